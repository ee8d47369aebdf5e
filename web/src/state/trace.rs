//! Everything that happened in this run, and what the views have made of it so far. Each event is pushed once into
//! every view's builder, so that a long run costs no more per event than a short one.

use socketlab_view::evidence::Failures;
use socketlab_view::ladder::{LadderBuilder, LadderFilter};
use socketlab_view::packets::{PacketList, PacketRow};
use socketlab_view::timeline::TimelineBuilder;
use socketlab_view::topology::Flights;
use socketlab_view::wait::Waits;
use std::collections::{BTreeMap, BTreeSet};

use socketlab_view::{Event, EventKind, Filter, FrameView, GatewayView, ProgramInfo, TopologyView};

use super::console::Consoles;
use super::programs::Programs;

/// Both directions between two sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its number, which gives its colour.
    pub number: u32,
    /// Both ends, the one that spoke first before the other: `sensor2:13402 – server:80`.
    pub name: String,
}

/// The run so far.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Grows when everything drawn has to be drawn anew: another run, another filter.
    pub generation: u32,
    topology: TopologyView,
    programs_info: Vec<ProgramInfo>,
    filter: LadderFilter,
    events: Vec<Event>,
    conversations: Vec<Conversation>,
    known_conversations: BTreeSet<u32>,
    refusals: Vec<GatewayView>,
    /// Place in the program (`server.py:7`) of each call, and its program.
    places: BTreeMap<u64, (u32, String)>,
    /// MAC address of each node that has sent a frame of its own.
    macs: BTreeMap<u32, String>,
    /// The packet list.
    pub packets: PacketList,
    /// The packet list's filter; none: all are shown.
    display: Option<Filter>,
    /// Rows that fit the filter, while there is one.
    fitting: Vec<usize>,
    /// Rows that were asked.
    asked: usize,
    /// Frames under way at any instant.
    pub flights: Flights,
    /// What programs wait for.
    pub waits: Waits,
    /// Calls that failed.
    pub failures: Failures,
    /// The timeline.
    pub timeline: TimelineBuilder,
    /// The ladder.
    pub ladder: LadderBuilder,
    /// What programs wrote.
    pub consoles: Consoles,
    /// How far programs have come.
    pub programs: Programs,
}

impl Trace {
    /// Before the first event of a run.
    pub fn new(topology: &TopologyView, programs: &[ProgramInfo], filter: LadderFilter) -> Self {
        Trace {
            topology: topology.clone(),
            programs_info: programs.to_vec(),
            events: Vec::new(),
            conversations: Vec::new(),
            known_conversations: BTreeSet::new(),
            refusals: Vec::new(),
            places: BTreeMap::new(),
            macs: BTreeMap::new(),
            generation: 0,
            packets: PacketList::default(),
            display: None,
            fitting: Vec::new(),
            asked: 0,
            flights: Flights::default(),
            waits: Waits::default(),
            failures: Failures::default(),
            timeline: TimelineBuilder::new(topology, programs),
            ladder: LadderBuilder::new(topology, programs, filter.clone()),
            consoles: Consoles::default(),
            programs: Programs::default(),
            filter,
        }
    }

    /// A new run of the same lab.
    pub fn restart(&mut self) {
        let generation = self.generation + 1;
        // A conversation's number means nothing in another run.
        let filter = LadderFilter { conversation: None, ..self.filter.clone() };
        let display = self.display.take();
        *self = Trace { generation, display, ..Trace::new(&self.topology, &self.programs_info, filter) };
    }

    /// What happened next.
    pub fn extend(&mut self, events: Vec<Event>) {
        for event in &events {
            self.packets.push(event);
            self.flights.push(event);
            self.waits.push(event);
            self.failures.push(event);
            self.timeline.push(event);
            self.ladder.push(event);
            self.consoles.push(event);
            self.programs.push(event);
            self.note(event);
        }
        self.events.extend(events);
        self.ask_filter();
    }

    /// Shows only packets that fit; none: all.
    pub fn set_display_filter(&mut self, filter: Option<Filter>) {
        self.display = filter;
        self.fitting.clear();
        self.asked = 0;
        self.ask_filter();
        self.generation += 1;
    }

    fn ask_filter(&mut self) {
        let Some(filter) = &self.display else { return };
        for (index, row) in self.packets.rows().iter().enumerate().skip(self.asked) {
            if self.frame(row.event).is_some_and(|frame| filter.matches(&frame.bytes, &frame.context)) {
                self.fitting.push(index);
            }
        }
        self.asked = self.packets.rows().len();
    }

    /// How many packets are listed.
    pub fn listed(&self) -> usize {
        if self.display.is_some() { self.fitting.len() } else { self.packets.rows().len() }
    }

    /// A line of the packet list.
    pub fn listed_row(&self, line: usize) -> Option<&PacketRow> {
        let index = if self.display.is_some() { *self.fitting.get(line)? } else { line };
        self.packets.rows().get(index)
    }

    /// On which line a packet is listed.
    pub fn line_of(&self, packet: u64) -> Option<usize> {
        (0..self.listed()).find(|line| self.listed_row(*line).is_some_and(|row| row.packet == packet))
    }

    fn note(&mut self, event: &Event) {
        match &event.kind {
            EventKind::FrameSent(frame) => {
                if frame.first_hop
                    && let Some(source) = frame.bytes.get(6..12)
                {
                    self.macs.entry(frame.from).or_insert_with(|| mac(source));
                }
                if let Some(number) = frame.conversation
                    && self.known_conversations.insert(number)
                {
                    let name = self.conversation_name(frame);
                    self.conversations.push(Conversation { number, name });
                }
            }
            EventKind::CallEntered(call) => {
                self.places.insert(call.call, (call.program, call.place.clone()));
            }
            EventKind::Gateway(fact) if is_refusal(&fact.fact) => {
                let known = |other: &GatewayView| other.target == fact.target && other.fact == fact.fact;
                if !self.refusals.iter().any(known) {
                    self.refusals.push((**fact).clone());
                }
            }
            _ => {}
        }
    }

    fn conversation_name(&self, frame: &FrameView) -> String {
        let end = |address: &str, port: Option<u16>| {
            let node = self
                .topology
                .nodes
                .iter()
                .find(|node| node.addresses.iter().any(|own| own.split('/').next() == Some(address)));
            let host = node.map_or(address, |node| node.name.as_str());
            port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        };
        let from = end(&frame.source, frame.ports.map(|(source, _)| source));
        let to = end(&frame.destination, frame.ports.map(|(_, destination)| destination));
        format!("{from} – {to}")
    }

    /// The conversations, in the order in which they began.
    pub fn conversations(&self) -> &[Conversation] {
        &self.conversations
    }

    /// The MAC address of a node, once it has sent a frame.
    pub fn mac_of(&self, node: u32) -> Option<&str> {
        self.macs.get(&node).map(String::as_str)
    }

    /// What the real side of a gateway did not let through, each once.
    pub fn refusals(&self) -> &[GatewayView] {
        &self.refusals
    }

    /// The line of a call in its program, if it is that program's.
    pub fn line_of_call(&self, call: u64, program: u32) -> Option<u32> {
        let (owner, place) = self.places.get(&call)?;
        if *owner == program { crate::state::line_of(place) } else { None }
    }

    /// Draws the ladder anew with another filter.
    pub fn set_filter(&mut self, filter: LadderFilter) {
        self.ladder = LadderBuilder::new(&self.topology, &self.programs_info, filter.clone());
        for event in &self.events {
            self.ladder.push(event);
        }
        self.filter = filter;
        self.generation += 1;
    }

    /// All events, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The topology this run is about.
    pub fn topology(&self) -> &TopologyView {
        &self.topology
    }

    /// Numbers of all frames of a packet, one per hop.
    pub fn frames_of(&self, packet: u64) -> Vec<u64> {
        let Some(row) = self.packets.row_of(packet) else { return Vec::new() };
        let first = self.events.partition_point(|event| event.seq < row.event);
        let sent = self.events[first..].iter().filter_map(|event| match &event.kind {
            EventKind::FrameSent(frame) if frame.packet == packet => Some(frame.frame),
            _ => None,
        });
        sent.collect()
    }

    /// The frame of an event, by the event's `seq`.
    pub fn frame(&self, seq: u64) -> Option<&FrameView> {
        let first = self.events.first()?.seq;
        match &self.events.get(usize::try_from(seq.checked_sub(first)?).ok()?)?.kind {
            EventKind::FrameSent(frame) => Some(&**frame),
            _ => None,
        }
    }

    /// When the thing before `at` happened, for a step back.
    pub fn before(&self, at: u64) -> Option<u64> {
        let index = self.events.partition_point(|event| event.at < at);
        self.events.get(index.checked_sub(1)?).map(|event| event.at)
    }

    /// When the thing after `at` happened, for a step forward in the past.
    pub fn after(&self, at: u64) -> Option<u64> {
        let index = self.events.partition_point(|event| event.at <= at);
        self.events.get(index).map(|event| event.at)
    }
}

/// Facts that end a connection before it began, for which the operator or the network is the reason.
fn is_refusal(fact: &str) -> bool {
    matches!(fact, "gateway-not-allowed" | "gateway-no-relay" | "gateway-throttled")
}

/// Six octets as written: `02:00:00:00:00:01`.
pub fn mac(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}
