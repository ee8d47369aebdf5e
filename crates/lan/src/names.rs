//! What the others' hosts are called: `server.anna`, so that two members may each have a `server`.

use core::net::IpAddr;
use std::collections::BTreeMap;

use crate::message::MemberInfo;

/// A member's name as a label of a host's name (RFC 1123 2.1): `Åsa Berg` is `asa-berg`.
pub fn label(name: &str) -> String {
    let mut label = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'å' | 'ä' | 'à' | 'á' | 'â' | 'ã' => label.push('a'),
            'ö' | 'ø' | 'ò' | 'ó' | 'ô' | 'õ' => label.push('o'),
            'é' | 'è' | 'ê' | 'ë' => label.push('e'),
            'ü' | 'ù' | 'ú' | 'û' => label.push('u'),
            'í' | 'ì' | 'î' | 'ï' => label.push('i'),
            'æ' => label.push_str("ae"),
            'ñ' => label.push('n'),
            'ç' => label.push('c'),
            c if c.is_ascii_alphanumeric() => label.push(c),
            _ if !label.ends_with('-') => label.push('-'),
            _ => {}
        }
    }
    let label = label.trim_matches('-');
    if label.is_empty() { "guest".to_owned() } else { label.to_owned() }
}

/// Hosts by name: `server.anna`, and `server` if only one member has such a host.
pub fn host_names<'a>(members: impl Iterator<Item = &'a MemberInfo>) -> Vec<(String, Vec<IpAddr>)> {
    let mut by_name: BTreeMap<String, Vec<Vec<IpAddr>>> = BTreeMap::new();
    for member in members {
        let label = label(&member.name);
        for host in &member.hosts {
            let addresses: Vec<IpAddr> = host.addresses.iter().filter_map(|a| a.parse().ok()).collect();
            by_name.entry(format!("{}.{label}", host.name)).or_default().push(addresses.clone());
            by_name.entry(host.name.clone()).or_default().push(addresses);
        }
    }
    let only = |(name, found): (String, Vec<Vec<IpAddr>>)| match <[Vec<IpAddr>; 1]>::try_from(found) {
        Ok([addresses]) => Some((name, addresses)),
        Err(_) => None,
    };
    by_name.into_iter().filter_map(only).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{HostReport, MemberId};

    #[test]
    fn a_members_name_becomes_a_label_of_a_hosts_name() {
        for (name, expected) in [
            ("Anna", "anna"),
            ("Åsa Berg", "asa-berg"),
            ("  Ærø & Søn! ", "aero-son"),
            ("bo_2", "bo-2"),
            ("--", "guest"),
            ("日本", "guest"),
            ("Ñandú", "nandu"),
        ] {
            assert_eq!(label(name), expected, "{name}");
        }
    }

    fn member(id: u64, name: &str, hosts: &[(&str, &str)]) -> MemberInfo {
        let host = |(name, address): &(&str, &str)| HostReport {
            name: (*name).to_owned(),
            addresses: vec![(*address).to_owned(), "no address".to_owned()],
            ports: Vec::new(),
            streams: Vec::new(),
        };
        MemberInfo {
            id: MemberId(id),
            name: name.to_owned(),
            slot: None,
            teacher: false,
            muted: false,
            relay: String::new(),
            hosts: hosts.iter().map(host).collect(),
        }
    }

    #[test]
    fn a_name_that_two_hosts_have_is_nobodys() {
        let named = |members: &[MemberInfo]| -> Vec<(String, String)> {
            let names = host_names(members.iter()).into_iter();
            names.map(|(name, addresses)| (name, format!("{addresses:?}"))).collect()
        };
        let row = |name: &str, address: &str| (name.to_owned(), format!("[{address}]"));
        let anna = member(1, "Anna", &[("server", "10.77.1.1"), ("client", "10.77.1.2")]);
        let bo = member(2, "Bo", &[("server", "10.77.2.1")]);
        assert_eq!(named(&[]), []);
        assert_eq!(
            named(&[anna.clone(), bo.clone()]),
            [
                row("client", "10.77.1.2"),
                row("client.anna", "10.77.1.2"),
                row("server.anna", "10.77.1.1"),
                row("server.bo", "10.77.2.1"),
            ]
        );
        assert_eq!(
            named(std::slice::from_ref(&bo)),
            [row("server", "10.77.2.1"), row("server.bo", "10.77.2.1")]
        );
        // Two who are called the same: nobody can tell whose host it is.
        let twin = member(3, "bo!", &[("server", "10.77.3.1")]);
        assert_eq!(named(&[bo, twin]), []);
    }
}
