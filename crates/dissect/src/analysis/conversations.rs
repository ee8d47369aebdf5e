//! Numbers for conversations: one for all (its colour on screen), and one among those of the same protocol.

use std::collections::BTreeMap;

use super::packet::Ends;

/// A conversation's place among those of its protocol, and when it spoke.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) stream: u32,
    pub(super) since_first: u64,
    pub(super) since_previous: u64,
}

/// All conversations so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversations {
    /// How many got a number.
    count: u32,
    /// The one of each pair of ends at the moment; a connection that is opened again gets a new one.
    current: BTreeMap<Ends, u32>,
    /// Numbers given to connections whose SYN is still to come.
    announced: BTreeMap<Ends, u32>,
    /// Stream index, first and last time.
    streams: BTreeMap<Ends, (u32, u64, u64)>,
    /// How many streams of each protocol.
    indices: BTreeMap<u8, u32>,
}

impl Conversations {
    /// The number of a pair of ends, announced or current.
    pub(super) fn number(&self, ends: Ends) -> Option<u32> {
        self.announced.get(&ends).or_else(|| self.current.get(&ends)).copied()
    }

    /// The number of the conversation that is going on.
    pub(super) fn current(&self, ends: Ends) -> Option<u32> {
        self.current.get(&ends).copied()
    }

    /// The number of the next connection between these ends.
    pub(super) fn announce(&mut self, ends: Ends) -> u32 {
        if let Some(number) = self.announced.get(&ends) {
            return *number;
        }
        let number = self.next();
        self.announced.insert(ends, number);
        number
    }

    /// The number of the conversation, a new one if there is none.
    pub(super) fn of(&mut self, ends: Ends) -> u32 {
        if let Some(number) = self.current.get(&ends) {
            return *number;
        }
        let number = self.announced.remove(&ends).unwrap_or_else(|| self.next());
        self.current.insert(ends, number);
        number
    }

    /// The conversation is over: another one begins between the same ends.
    pub(super) fn forget(&mut self, ends: Ends) {
        self.current.remove(&ends);
        self.streams.remove(&ends);
    }

    fn next(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    /// As [`Conversations::stream`], but it does not count as speaking.
    pub(super) fn known_stream(&mut self, ends: Ends, at: u64) -> Times {
        let before = self.streams.get(&ends).copied();
        let times = self.stream(ends, at);
        if let Some(before) = before {
            self.streams.insert(ends, before);
        }
        times
    }

    /// Index among the conversations of its protocol, which is counted from here if it is new.
    pub(super) fn stream(&mut self, ends: Ends, at: u64) -> Times {
        let indices = &mut self.indices;
        let (stream, first, last) = self.streams.entry(ends).or_insert_with(|| {
            let index = indices.entry(ends.0).or_insert(0);
            *index += 1;
            (*index - 1, at, at)
        });
        let times = Times {
            stream: *stream,
            since_first: at.saturating_sub(*first),
            since_previous: at.saturating_sub(*last),
        };
        *last = at;
        times
    }
}
