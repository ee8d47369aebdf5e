//! The event queue: what will happen, by time and, at one instant, in the order in which it was decided.

use std::collections::BTreeMap;

use bytes::Bytes;
use socketlab_stack::{Instant, Pid};

use crate::command::Held;
use crate::gateway::FlowId;
use crate::record::{FrameId, LinkId, LossReason, NodeId, PacketId};

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The last bit of a frame reaches the end `side` of a link.
    Arrive { link: LinkId, side: usize, frame: FrameId, packet: PacketId, bytes: Bytes },
    /// A frame is lost on its way.
    Lose { frame: FrameId, reason: LossReason, way: Box<Held> },
    /// The end `side` of a link has sent its frame and can take the next.
    LinkFree { link: LinkId, side: usize },
    /// A host's own timers are due.
    HostTimer { node: NodeId },
    /// A thread gets its reply.
    Reply { pid: Pid, tid: u32 },
    /// A process starts.
    Start { pid: Pid },
    /// Text is typed to a process.
    Typed { pid: Pid, text: String },
    /// Ctrl-C.
    Interrupt { pid: Pid },
    /// A process's interval timer (setitimer(2)) is due.
    Alarm { pid: Pid },
    /// A UDP flow of a gateway was quiet for too long.
    FlowIdle { flow: FlowId },
    /// A service goes on: its call is answered.
    Serve { servant: u32 },
    /// A service goes on that slept; nothing waits for it.
    Rest { servant: u32 },
    /// All programs but the servers have ended a while ago.
    StopServers,
}

impl Event {
    /// Whether it can, by itself, make something happen that a program notices. A host's timers are asked one by one.
    const fn is_lively(&self) -> bool {
        !matches!(
            self,
            Event::HostTimer { .. } | Event::FlowIdle { .. } | Event::Rest { .. } | Event::StopServers
        )
    }
}

/// Where an event stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventKey {
    pub(crate) at: Instant,
    order: u64,
}

/// The queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    events: BTreeMap<EventKey, Event>,
    order: u64,
    lively: usize,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, event: Event) -> EventKey {
        let key = EventKey { at, order: self.order };
        self.order += 1;
        self.lively += usize::from(event.is_lively());
        self.events.insert(key, event);
        key
    }

    pub(crate) fn cancel(&mut self, key: EventKey) {
        if let Some(event) = self.events.remove(&key) {
            self.lively -= usize::from(event.is_lively());
        }
    }

    /// Takes the first event out that `wanted` picks. Looks at all of them: for commands, not for every frame.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let key = *self.events.iter().find(|(_, event)| wanted(event))?.0;
        let event = self.events.remove(&key)?;
        self.lively -= usize::from(event.is_lively());
        Some(event)
    }

    /// Takes all events out for which `wanted` gives something, in their order.
    pub(crate) fn take_all<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        let (keys, taken): (Vec<EventKey>, Vec<T>) =
            self.events.iter().filter_map(|(key, event)| Some((*key, wanted(event)?))).unzip();
        keys.into_iter().for_each(|key| self.cancel(key));
        taken
    }

    /// The first event in which `wanted` finds what it looks for.
    pub(crate) fn find_mut<'a, T: ?Sized>(
        &'a mut self,
        wanted: impl Fn(&'a mut Event) -> Option<&'a mut T>,
    ) -> Option<&'a mut T> {
        self.events.values_mut().find_map(wanted)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, Event)> {
        let (key, event) = self.events.pop_first()?;
        self.lively -= usize::from(event.is_lively());
        Some((key.at, event))
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.events.first_key_value().map(|(key, _)| key.at)
    }

    /// Whether anything but timers is due.
    pub(crate) const fn is_lively(&self) -> bool {
        self.lively > 0
    }
}
