//! How the relay's kernel sees the real sockets of the flows, for whoever shows them beside the simulated ones.

use std::collections::BTreeMap;
use std::time::Duration;

use socketlab_netsim::FlowId;
use socketlab_wisp::{Answer, Question, StreamId, StreamKind};

use crate::{Relay, RelayJob};

/// How often each real socket is asked for. A choice: a person reads the figures.
const EVERY: Duration = Duration::from_secs(1);
/// Such questions that are open at the relay at a time; the world's own (`questions.rs`) have room beside them.
const MOST_OPEN: usize = 8;

/// What is asked, and when next.
#[derive(Debug, Default)]
pub(super) struct Watch {
    wanted: bool,
    pub(super) next: Option<Duration>,
    open: BTreeMap<u32, FlowId>,
    /// The flow that was asked for last: so each has its turn when there are many.
    last: Option<FlowId>,
}

impl Watch {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

impl Relay {
    /// From now on [`RelayJob::Socket`] tells how the relay's kernel sees the real socket of each TCP flow: when it has
    /// opened, then every second, and when the lab ends it. A relay that does not offer it says nothing; of many flows
    /// eight are asked for in a second, in turn.
    pub fn watch_sockets(&mut self) {
        self.watch.wanted = true;
    }

    /// Asks for one flow's socket, unless too much is asked already.
    pub(super) fn ask_socket(&mut self, flow: FlowId) {
        let Some(&(stream, kind)) = self.streams.get(&flow) else { return };
        self.ask_stream(flow, stream, kind);
    }

    /// The same for a flow that is being forgotten.
    pub(super) fn ask_stream(&mut self, flow: FlowId, stream: StreamId, kind: StreamKind) {
        let offered = self.client.terms().is_some_and(|terms| terms.tcp_info);
        let free = self.watch.open.len() < MOST_OPEN;
        if self.watch.wanted
            && kind == StreamKind::Tcp
            && offered
            && free
            && let Ok(question) = self.client.ask(Question::Socket { stream })
        {
            self.watch.open.insert(question, flow);
        }
    }

    /// Asks for the flows whose turn it is, if it is time.
    pub(super) fn ask_sockets(&mut self, now: Duration) {
        if self.watch.next.is_none_or(|at| at > now) {
            return;
        }
        self.watch.next = None;
        let tcp = self.streams.iter().filter(|(_, (_, kind))| *kind == StreamKind::Tcp);
        let flows: Vec<FlowId> = tcp.map(|(flow, _)| *flow).collect();
        let first = flows.iter().position(|flow| Some(*flow) > self.watch.last).unwrap_or(0);
        for flow in flows.iter().cycle().skip(first).take(flows.len().min(MOST_OPEN)) {
            self.ask_socket(*flow);
            self.watch.last = Some(*flow);
        }
        self.plan(now);
    }

    /// When to ask next.
    pub(super) fn plan(&mut self, now: Duration) {
        let any = self.watch.wanted && self.streams.values().any(|(_, kind)| *kind == StreamKind::Tcp);
        self.watch.next = any.then(|| self.watch.next.unwrap_or(now + EVERY));
    }

    /// `true`: the answer was to such a question.
    pub(super) fn told_socket(&mut self, question: u32, answer: &Answer) -> bool {
        let Some(flow) = self.watch.open.remove(&question) else { return false };
        // A socket that was gone before it could be asked has nothing to say.
        if let Answer::Socket(info) = answer {
            self.jobs.push_back(RelayJob::Socket { flow, info: info.clone() });
        }
        true
    }
}
