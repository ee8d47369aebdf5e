//! What a call waits for that nothing will wake: the words of the report.

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
    pub(crate) fn explain(&mut self, node: Option<usize>, sockets: &SocketsView) {
        let host = sockets.hosts.iter().find(|host| Some(host.node as usize) == node);
        let row = host
            .and_then(|host| host.sockets.iter().find(|row| self.socket.is_some_and(|s| s.0 == row.socket)));
        self.waits_for = words(self.name, row);
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
