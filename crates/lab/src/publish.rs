//! `[[gateway.publish]]`: a program's port that the real world can reach.
//!
//! ```toml
//! [[gateway]]
//! name = "internet"
//!
//! [[gateway.publish]]
//! host = "server"
//! port = 7007
//! real = 8007      # optional: the real port that is wished for; without it any that is free
//! udp = true       # optional: UDP instead of TCP
//! ```

use socketlab_netsim::{NodeId, PublishedPort, WorldBuilder};

use crate::read::{At, Reader, Section};

/// One such table.
#[derive(Clone, Debug)]
pub(crate) struct PublishEntry {
    path: String,
    host: At<String>,
    port: u16,
    udp: bool,
    real: u16,
}

pub(crate) const PUBLISH: &[&str] = &["host", "port", "real", "udp"];

/// The tables of one gateway.
pub(crate) fn read(r: &mut Reader<'_>, gateway: &Section<'_, '_>) -> Vec<PublishEntry> {
    let mut entries = Vec::new();
    for entry in gateway.sections(r, "publish") {
        entry.only(r, PUBLISH);
        let host = entry.required(r, "host", "host = \"server\"");
        let mut number = |name| entry.number(r, name, 1, 65_535).and_then(|n| u16::try_from(n.value).ok());
        let (port, real) = (number("port"), number("real").unwrap_or(0));
        let udp = entry.flag(r, "udp");
        let missing = port.is_none() && !entry.has("port");
        if missing {
            let args = [("name", "port"), ("example", "port = 7007")];
            r.complain(entry.line, &entry.field("port"), "lab-missing-field", &args);
        }
        if let (Some(host), Some(port)) = (host, port) {
            entries.push(PublishEntry { path: entry.path.clone(), host, port, udp, real });
        }
    }
    entries
}

/// Puts the ports of `gateway` into the world. `hosts`: the names of the hosts, by node number.
pub(crate) fn plan(
    r: &mut Reader<'_>,
    builder: &mut WorldBuilder,
    gateway: NodeId,
    entries: &[PublishEntry],
    hosts: &[&str],
) {
    for PublishEntry { path, host, port, udp, real } in entries {
        match hosts.iter().position(|name| *name == host.value) {
            Some(node) => {
                let host = NodeId(node as u32);
                builder.publish(PublishedPort { gateway, host, port: *port, udp: *udp, real: *real });
            }
            None => {
                let keys = ("lab-missing-host", "lab-missing-host-near");
                let names = hosts.iter().copied();
                r.complain_missing(host.line, &format!("{path}.host"), keys, &host.value, names);
            }
        }
    }
}
