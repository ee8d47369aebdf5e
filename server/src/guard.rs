//! Who may open a WebSocket: decided from Host and Origin, before the upgrade.
//!
//! A WebSocket is exempt from the same-origin rule, so any page a browser has open can try to use a relay on its own
//! machine. Origin tells them apart and cannot be forged by a page; it has to equal Host. A name that an attacker's DNS
//! points at this machine has an equal Host and Origin (rebinding): so Host must be an address or a name we know.

use std::net::IpAddr;

use axum::http::{
    HeaderMap, HeaderName,
    header::{HOST, ORIGIN},
};

use crate::options::{ServeOptions, is_loopback};

/// Why a WebSocket is not opened. The text goes to the client with 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the request has no usable {0} header")]
    Header(HeaderName),
    #[error(
        "this relay is not known as {0:?}. If that is its right name, its operator adds --host {0} to `socketlab serve`"
    )]
    Host(String),
    #[error(
        "pages of {origin:?} may not use the relay at {host:?}: only the page that this relay serves itself may. \
         If that page is meant to, the relay's operator adds --allow-origin {origin} to `socketlab serve`"
    )]
    Origin { origin: String, host: String },
    #[error("this relay lets in browsers only (--require-origin): the request has no Origin header")]
    NoOrigin,
}

pub(crate) fn check(headers: &HeaderMap, options: &ServeOptions) -> Result<(), Refusal> {
    let host = single(headers, HOST)?.ok_or(Refusal::Header(HOST))?;
    let (name, _) = split_authority(&host).ok_or(Refusal::Header(HOST))?;
    if !is_known(name, options) {
        return Err(Refusal::Host(name.to_owned()));
    }
    match single(headers, ORIGIN)? {
        None if options.require_origin => Err(Refusal::NoOrigin),
        None => Ok(()),
        Some(origin) if is_same(&origin, &host) => Ok(()),
        Some(origin) if options.allow_origin.iter().any(|o| o.eq_ignore_ascii_case(&origin)) => Ok(()),
        Some(origin) => Err(Refusal::Origin { origin, host }),
    }
}

/// The header's value; an error if it is there twice or is not text.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Refusal::Header(name)),
        },
        (Some(_), Some(_)) => Err(Refusal::Header(name)),
    }
}

/// `host[:port]` with an IPv6 address in brackets; the host comes without them.
fn split_authority(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    (!host.is_empty()).then_some((host, port))
}

/// Names by which this relay is known. Rebinding needs a name, so on a listener that others reach every address will do.
fn is_known(name: &str, options: &ServeOptions) -> bool {
    let plain = name.strip_suffix('.').unwrap_or(name);
    match name.parse::<IpAddr>() {
        Ok(address) => is_loopback(address) || !is_loopback(options.listen.ip()),
        Err(_) => {
            plain.eq_ignore_ascii_case("localhost")
                || options.host.iter().any(|h| h.eq_ignore_ascii_case(plain))
        }
    }
}

fn is_same(origin: &str, host: &str) -> bool {
    let (authority, default) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, 80),
        // Behind a proxy that does TLS.
        Some(("https", authority)) => (authority, 443),
        _ => return false,
    };
    match (split_authority(authority), split_authority(host)) {
        (Some((a, a_port)), Some((b, b_port))) => {
            a.eq_ignore_ascii_case(b) && a_port.unwrap_or(default) == b_port.unwrap_or(default)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(listen: &str, host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let options = ServeOptions {
            listen: listen.parse().unwrap(),
            host: vec!["lab.school.example".into()],
            ..ServeOptions::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        check(&headers, &options)
    }

    #[test]
    fn the_own_page_and_native_clients_come_in() {
        let loopback = "127.0.0.1:8080";
        for host in
            ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "lab.school.example:8080"]
        {
            assert_eq!(checked(loopback, host, None), Ok(()), "{host}");
            assert_eq!(checked(loopback, host, Some(&format!("http://{host}"))), Ok(()), "{host}");
        }
        assert_eq!(checked(loopback, "lab.school.example", Some("https://lab.school.example")), Ok(()));
        assert_eq!(checked(loopback, "localhost:80", Some("http://localhost")), Ok(()));
        assert_eq!(checked("0.0.0.0:8080", "192.168.1.7:8080", Some("http://192.168.1.7:8080")), Ok(()));
    }

    #[test]
    fn a_page_from_elsewhere_comes_in_by_its_whole_origin_only() {
        let options = ServeOptions {
            allow_origin: vec!["https://lab.school.example".into()],
            ..ServeOptions::default()
        };
        let from = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            check(&headers, &options).is_ok()
        };
        assert!(from("https://lab.school.example"));
        assert!(!from("http://lab.school.example"));
        assert!(!from("https://lab.school.example:8443"));
        assert!(!from("https://lab.school.example.evil.example"));
        assert!(!from("null"));
    }

    #[test]
    fn other_pages_stay_out() {
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example:8080",
            "http://localhost:8081",
            "http://localhost",
            "https://localhost",
            "http://127.0.0.1:8080",
            "http://user@localhost:8080",
            "file://",
            "chrome-extension://localhost:8080",
            "http://localhost:8080/",
            "http://localhost:+8080",
        ] {
            let refused = checked("127.0.0.1:8080", "localhost:8080", Some(origin));
            assert!(matches!(refused, Err(Refusal::Origin { .. })), "{origin}: {refused:?}");
        }
    }

    #[test]
    fn a_name_that_was_rebound_to_this_machine_stays_out() {
        for host in [
            "evil.example:8080",
            "evil.example",
            "localhost.evil.example:8080",
            "192.168.1.7:8080",
            "10.0.0.1",
        ] {
            let refused = checked("127.0.0.1:8080", host, Some(&format!("http://{host}")));
            assert!(matches!(refused, Err(Refusal::Host(_))), "{host}: {refused:?}");
        }
        assert!(checked("0.0.0.0:8080", "evil.example:8080", Some("http://evil.example:8080")).is_err());
        for host in ["", ":8080", "[::1", "[::1]8080", "localhost:http", "localhost:99999"] {
            assert!(matches!(checked("127.0.0.1:8080", host, None), Err(Refusal::Header(_))), "{host}");
        }
    }

    #[test]
    fn two_hosts_or_origins_are_none() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        headers.append(HOST, "evil.example".parse().unwrap());
        assert_eq!(check(&headers, &ServeOptions::default()), Err(Refusal::Header(HOST)));
        assert_eq!(check(&HeaderMap::new(), &ServeOptions::default()), Err(Refusal::Header(HOST)));
    }
}
