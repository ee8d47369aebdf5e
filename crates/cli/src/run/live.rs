//! The network as text while the programs run: `--view`. Lines come in the order of virtual time, as soon as what they
//! tell is known; so an arrow of the ladder comes when its packet has arrived or is lost.

use std::collections::BTreeMap;

use clap::ValueEnum;
use socketlab_netsim::{Record, RecordKind, World};
use socketlab_view::ladder::{ArrowEnd, LadderBuilder, LadderFilter, RowKind};
use socketlab_view::packets::PacketList;
use socketlab_view::{Event, EventKind, Ingest, ProgramInfo, TopologyView, text};

/// A call that takes longer waits for something, and is told before it has ended. Twice what a call costs.
const CALL: u64 = 20_000;

/// What is shown beside the programs' output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// A sequence diagram: packets as arrows between the hosts, system calls, TCP's states
    Ladder,
    /// A packet list in tshark's columns
    Packets,
    /// Each host's sockets, as `ss -anp` lists them, whenever a TCP connection changes its state
    Sockets,
    /// The lines of `tcpdump -n`
    Tcpdump,
    /// Nothing at all: neither the network nor what the programs print
    Quiet,
}

/// Events of the views, made from records.
pub(crate) struct Events {
    pub(super) ingest: Ingest,
    pub(super) topology: TopologyView,
    programs: Vec<ProgramInfo>,
}

impl Events {
    pub(crate) fn new(world: &World) -> Events {
        let topology = TopologyView::from(world.topology());
        let programs: Vec<_> = world.programs().iter().map(ProgramInfo::from).collect();
        Events { ingest: Ingest::new(&topology, &programs), topology, programs }
    }

    pub(crate) fn event(&mut self, record: &Record) -> Event {
        self.ingest.ingest(record)
    }
}

/// A view that grows.
pub(crate) enum Live {
    Ladder { builder: Box<LadderBuilder>, printed: usize, headed: bool, width: usize },
    Packets { list: PacketList, printed: usize },
    Sockets { shown: BTreeMap<u32, String> },
    Tcpdump,
}

/// SGR parameters of ECMA-48.
mod colour {
    pub(super) const BOLD: &str = "1";
    pub(super) const DIM: &str = "2";
    pub(super) const RED: &str = "31";
    pub(super) const GREEN: &str = "32";
    pub(super) const YELLOW: &str = "33";
    pub(super) const BLUE: &str = "34";
    pub(super) const MAGENTA: &str = "35";
    pub(super) const CYAN: &str = "36";
}

/// A protocol's colour, the same in all views.
fn of_protocol(protocol: &str) -> &'static str {
    match protocol {
        "ARP" => colour::YELLOW,
        "ICMP" | "ICMPv6" | "IGMP" | "IGMPv3" => colour::MAGENTA,
        "UDP" | "DHCP" => colour::BLUE,
        "DNS" => colour::CYAN,
        _ => colour::GREEN,
    }
}

/// A line in a colour; its newline stays outside.
fn painted(line: &str, colour: Option<&str>) -> String {
    match (colour, line.strip_suffix('\n')) {
        (Some(colour), Some(line)) => format!("\x1b[{colour}m{line}\x1b[0m\n"),
        _ => line.to_owned(),
    }
}

impl Live {
    /// Nothing yet; none for a view that shows nothing. `width`: columns of a line.
    pub(crate) fn new(view: Option<View>, events: &Events, width: usize) -> Option<Live> {
        match view? {
            View::Ladder => {
                let builder = LadderBuilder::new(&events.topology, &events.programs, LadderFilter::default());
                Some(Live::Ladder { builder: Box::new(builder), printed: 0, headed: false, width })
            }
            View::Packets => Some(Live::Packets { list: PacketList::default(), printed: 0 }),
            View::Sockets => Some(Live::Sockets { shown: BTreeMap::new() }),
            View::Tcpdump => Some(Live::Tcpdump),
            View::Quiet => None,
        }
    }

    /// The next event; `record` is what it was made from. Gives the lines it adds.
    pub(crate) fn see(
        &mut self,
        event: &Event,
        record: &Record,
        world: &World,
        events: &Events,
        colours: bool,
    ) -> String {
        let paint = |line: &str, colour| painted(line, Some(colour).filter(|_| colours));
        match self {
            Live::Ladder { builder, .. } => {
                builder.push(event);
                self.rows(event.at, colours)
            }
            Live::Packets { list, printed } => {
                list.push(event);
                let mut out = String::new();
                for row in list.rows().get(*printed..).unwrap_or_default() {
                    out.push_str(&paint(&text::packet(row), of_protocol(&row.protocol)));
                }
                *printed = list.rows().len();
                if let EventKind::FrameLost { reason, .. } = &event.kind
                    && let Some(row) = list.rows().iter().rev().find(|row| row.lost.as_ref() == Some(reason))
                {
                    out.push_str(&paint(&format!("{:>5} is lost: {reason}\n", row.number), colour::RED));
                }
                out
            }
            Live::Sockets { shown } => {
                if !matches!(record.kind, RecordKind::TcpState { .. }) {
                    return String::new();
                }
                let view = events.ingest.sockets(world.now(), &world.snapshot());
                let mut out = String::new();
                for host in view.hosts {
                    let table = text::sockets(&host);
                    if host.sockets.is_empty() && !shown.contains_key(&host.node)
                        || shown.get(&host.node) == Some(&table)
                    {
                        continue;
                    }
                    let name = events.topology.nodes.get(host.node as usize).map_or("", |node| &node.name);
                    let (ms, us) = (event.at / 1_000_000, event.at / 1_000 % 1_000);
                    out.push_str(&paint(&format!("--- {name} at {ms}.{us:03} ms\n"), colour::BOLD));
                    out.push_str(&table);
                    shown.insert(host.node, table);
                }
                out
            }
            Live::Tcpdump => match (&event.kind, text::tcpdump_line(event)) {
                (EventKind::FrameSent(frame), Some(line)) => paint(&line, of_protocol(&frame.protocol)),
                _ => String::new(),
            },
        }
    }

    /// What is left when the run is over.
    pub(crate) fn finish(&mut self, colours: bool) -> String {
        self.rows(u64::MAX, colours)
    }

    /// Rows of the ladder that have become known at `now`.
    fn rows(&mut self, now: u64, colours: bool) -> String {
        let Live::Ladder { builder, printed, headed, width } = self else { return String::new() };
        let ladder = builder.ladder();
        let mut out = String::new();
        if !*headed && !ladder.rows.is_empty() {
            *headed = true;
            out.push_str(&painted(
                &text::ladder_head(ladder, *width),
                Some(colour::BOLD).filter(|_| colours),
            ));
        }
        for row in ladder.rows.get(*printed..).unwrap_or_default() {
            let arrow = |i: u32| ladder.arrows.get(i as usize);
            let call = |i: u32| ladder.calls.get(i as usize);
            let known = match *row {
                RowKind::Arrow { arrow: i } => {
                    arrow(i).is_none_or(|a| !matches!(a.end, ArrowEnd::InFlight { .. }))
                }
                RowKind::Call { bracket } => {
                    call(bracket).is_none_or(|c| c.returned.is_some() || now > c.entered.saturating_add(CALL))
                }
                RowKind::State { .. } | RowKind::Gap { .. } => true,
            };
            if !known && now != u64::MAX {
                break;
            }
            let colour = match *row {
                RowKind::Arrow { arrow: i } => arrow(i).map(|a| match a.end {
                    ArrowEnd::Lost { .. } => colour::RED,
                    _ => of_protocol(&a.protocol),
                }),
                RowKind::Call { bracket } => call(bracket).filter(|c| c.failed).map(|_| colour::RED),
                RowKind::State { .. } => Some(colour::BOLD),
                RowKind::Gap { .. } => Some(colour::DIM),
            };
            out.push_str(&painted(&text::ladder_row(ladder, *row, *width), colour.filter(|_| colours)));
            *printed += 1;
        }
        out
    }
}
