//! What the programs of a run do.

use crate::net::Nanos;

/// The same work for every stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// One connection carries so many octets.
    Bulk { octets: u64 },
    /// A message at intervals, by one connection after the other.
    Trickle { connections: usize, every: Nanos, octets: usize },
    /// So many octets into each connection, which nobody reads.
    Fill { connections: usize, octets: usize },
    /// Connections that do nothing.
    Idle { connections: usize },
}

impl Work {
    pub(crate) fn connections(self) -> usize {
        match self {
            Work::Bulk { .. } => 1,
            Work::Trickle { connections, .. }
            | Work::Fill { connections, .. }
            | Work::Idle { connections } => connections,
        }
    }
}
