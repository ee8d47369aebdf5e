//! Sockets and tables of every node at any instant of the run: [`Teller`] finds what changed at a node, [`History`]
//! keeps the changes and puts together how it was.

use std::collections::BTreeMap;

use crate::event::{HostRow, NodeChange, NodeTable, SocketRow, SocketsView};

/// Remembers what was last told of each node.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    nodes: BTreeMap<u32, Told>,
}

#[derive(Clone, Debug, Default)]
struct Told {
    sockets: BTreeMap<u32, SocketRow>,
    tables: Vec<NodeTable>,
}

impl Teller {
    /// What is different at a node that looks like `now` at instant `at` (nanoseconds); none: nothing.
    pub fn tell(&mut self, at: u64, now: HostRow) -> Option<NodeChange> {
        let told = self.nodes.entry(now.node).or_default();
        let mut change = NodeChange { at, node: now.node, ..NodeChange::default() };
        let mut old = core::mem::take(&mut told.sockets);
        for row in now.sockets {
            if old.remove(&row.socket).as_ref() != Some(&row) {
                change.sockets.push(row.clone());
            }
            told.sockets.insert(row.socket, row);
        }
        change.gone = old.into_keys().collect();
        if told.tables != now.tables {
            told.tables.clone_from(&now.tables);
            change.tables = Some(now.tables);
        }
        let same = change.sockets.is_empty() && change.gone.is_empty() && change.tables.is_none();
        (!same).then_some(change)
    }
}

/// States of one thing, by the instant since when it was so.
type Since<T> = Vec<(u64, T)>;

/// Every change of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By node and socket; none: the socket is gone.
    sockets: BTreeMap<(u32, u32), Since<Option<SocketRow>>>,
    tables: BTreeMap<u32, Since<Vec<NodeTable>>>,
}

impl History {
    /// The next change. Changes of a node come in the order of time.
    pub fn push(&mut self, change: NodeChange) {
        let NodeChange { at, node, sockets, gone, tables } = change;
        for row in sockets {
            put(self.sockets.entry((node, row.socket)).or_default(), at, Some(row));
        }
        for socket in gone {
            put(self.sockets.entry((node, socket)).or_default(), at, None);
        }
        // A node without sockets is known by its tables.
        let known = self.tables.entry(node).or_default();
        if let Some(tables) = tables {
            put(known, at, tables);
        }
    }

    /// How it was at instant `at`, in nanoseconds.
    pub fn at(&self, at: u64) -> SocketsView {
        let mut hosts: BTreeMap<u32, HostRow> = BTreeMap::new();
        for (node, tables) in &self.tables {
            let tables = state(tables, at).cloned().unwrap_or_default();
            hosts.insert(*node, HostRow { node: *node, sockets: Vec::new(), tables });
        }
        for ((node, _), states) in &self.sockets {
            if let (Some(Some(row)), Some(host)) = (state(states, at), hosts.get_mut(node)) {
                host.sockets.push(row.clone());
            }
        }
        SocketsView { at, hosts: hosts.into_values().collect() }
    }

    /// All states of a socket: since when, and how it was; none: gone.
    pub fn socket(&self, node: u32, socket: u32) -> &[(u64, Option<SocketRow>)] {
        self.sockets.get(&(node, socket)).map_or(&[], Vec::as_slice)
    }
}

fn put<T>(states: &mut Since<T>, at: u64, state: T) {
    match states.last_mut() {
        // Several changes within one instant: the last one counts.
        Some(last) if last.0 >= at => last.1 = state,
        _ => states.push((at, state)),
    }
}

fn state<T>(states: &Since<T>, at: u64) -> Option<&T> {
    let after = states.partition_point(|(since, _)| *since <= at);
    states.get(after.checked_sub(1)?).map(|(_, state)| state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(socket: u32, state: &str) -> SocketRow {
        SocketRow {
            socket,
            netid: "tcp".to_string(),
            state: state.to_string(),
            recv_q: 0,
            send_q: 0,
            local: "10.0.0.80:80".to_string(),
            peer: "0.0.0.0:*".to_string(),
            process: String::new(),
            program: None,
            conversation: None,
            syn_queue: 0,
            in_accept_queue: false,
            recv_head: Vec::new(),
            recv_buffer: 0,
            send_buffer: 0,
            tcb: None,
            timers: Vec::new(),
        }
    }

    /// A story of one node: at each instant these sockets exist. Answers the history of what was told.
    fn story(chapters: &[(u64, &[(u32, &str)])]) -> (History, usize) {
        let (mut teller, mut history, mut told) = (Teller::default(), History::default(), 0);
        for (at, sockets) in chapters {
            let sockets = sockets.iter().map(|(socket, state)| row(*socket, state)).collect();
            if let Some(change) = teller.tell(*at, HostRow { node: 3, sockets, tables: Vec::new() }) {
                told += change.sockets.len() + change.gone.len();
                history.push(change);
            }
        }
        (history, told)
    }

    fn seen(history: &History, at: u64) -> Vec<(u32, String)> {
        let view = history.at(at);
        view.hosts.iter().flat_map(|h| &h.sockets).map(|s| (s.socket, s.state.clone())).collect()
    }

    const LIFE: &[(u64, &[(u32, &str)])] = &[
        (10, &[(1, "LISTEN")]),
        (20, &[(1, "LISTEN"), (2, "SYN-RECV")]),
        (30, &[(1, "LISTEN"), (2, "ESTAB")]),
        (40, &[(1, "LISTEN")]),
    ];

    #[test]
    fn each_instant_has_the_sockets_it_had() {
        let (history, _) = story(LIFE);
        let of = |list: &[(u32, &str)]| -> Vec<(u32, String)> {
            list.iter().map(|(socket, state)| (*socket, (*state).to_string())).collect()
        };
        assert_eq!(seen(&history, 9), of(&[]));
        assert_eq!(seen(&history, 10), of(&[(1, "LISTEN")]));
        assert_eq!(seen(&history, 29), of(&[(1, "LISTEN"), (2, "SYN-RECV")]));
        assert_eq!(seen(&history, 30), of(&[(1, "LISTEN"), (2, "ESTAB")]));
        assert_eq!(seen(&history, u64::MAX), of(&[(1, "LISTEN")]));
    }

    #[test]
    fn only_what_changed_is_told() {
        // The listener once; the connection twice, and that it is gone.
        assert_eq!(story(LIFE).1, 4);
        assert_eq!(story(&[(1, &[(1, "LISTEN")]), (2, &[(1, "LISTEN")])]).1, 1);
    }

    #[test]
    fn of_several_changes_within_an_instant_the_last_counts() {
        let (history, _) = story(&[(10, &[(1, "SYN-SENT")]), (10, &[(1, "ESTAB")])]);
        assert_eq!(seen(&history, 10), [(1, "ESTAB".to_string())]);
        assert_eq!(history.socket(3, 1).len(), 1);
    }
}
