//! What a call waits for that nothing will wake: the words of the report.

use core::net::SocketAddr;

use socketlab_netsim::{Topology, TopologyNode};
use socketlab_stack::{Instant, SocketId};
use socketlab_view::{SocketRow, SocketsView};

/// A call that is not answered.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) program: usize,
    pub(crate) thread: u32,
    pub(crate) name: &'static str,
    pub(crate) args: String,
    pub(crate) place: String,
    pub(crate) socket: Option<SocketId>,
    /// When it was made.
    pub(crate) since: Instant,
    /// In words; empty until the deadlock is known.
    pub(crate) waits_for: String,
}

impl Waiting {
    /// Puts it into words. `node`: where the program runs; `sockets`: as they are now.
    pub(crate) fn explain(&mut self, node: Option<usize>, sockets: &SocketsView, topology: &Topology) {
        let host = sockets.hosts.iter().find(|host| Some(host.node as usize) == node);
        let row = host
            .and_then(|host| host.sockets.iter().find(|row| self.socket.is_some_and(|s| s.0 == row.socket)));
        self.waits_for = words(self.name, row) + &service(self.name, row, topology);
    }
}

/// The built-in service that the call waits for, if it is one: ` (dns server on h2)`.
fn service(name: &str, row: Option<&SocketRow>, topology: &Topology) -> String {
    let peer = row.and_then(|row| row.peer.parse::<SocketAddr>().ok());
    let asked = |node: &TopologyNode, (kind, port): (&str, u16)| match peer {
        Some(peer) => port == peer.port() && node.addresses.contains(&peer.ip()),
        None => kind == "dns" && matches!(name, "resolve" | "revresolve"),
    };
    let services = topology.nodes.iter().flat_map(|node| node.services.iter().map(move |s| (node, *s)));
    let mut found = services.filter(|(node, service)| asked(node, *service));
    match (found.next(), found.next()) {
        (Some((node, (kind, _))), None) => format!(" ({kind} server on {})", node.name),
        _ => String::new(),
    }
}

fn words(name: &str, row: Option<&SocketRow>) -> String {
    match (name, row) {
        ("accept", Some(row)) => format!("a connection to {}", row.local),
        ("connect", Some(row)) => format!("an answer from {}", row.peer),
        ("recv" | "recvfrom" | "recvmsg", Some(row)) if row.peer.ends_with('*') => {
            format!("a datagram to {}", row.local)
        }
        ("recv" | "recvfrom" | "recvmsg", Some(row)) => format!("octets from {}", row.peer),
        ("send" | "sendto" | "sendmsg", Some(row)) => {
            format!("room: {} octets wait, and {} takes none", row.send_q, row.peer)
        }
        ("poll" | "epoll_wait", _) => "something on one of its descriptors".to_owned(),
        ("park", _) => "a lock or another thread".to_owned(),
        ("readline", _) => "its standard input".to_owned(),
        ("waitpid", _) => "the end of a process that it started".to_owned(),
        ("resolve" | "revresolve", _) => "the answer of a name server".to_owned(),
        (name, _) => format!("the end of {name}"),
    }
}
