//! Records made by hand for tests: a client and a server behind a switch, 5 ms per link.

use core::net::SocketAddr;

use socketlab_netsim::record::{FrameId, LinkId, LossReason, NodeId, PacketId, Record, RecordKind};
use socketlab_stack::{CallId, Cause, DropReason, Instant, Pid, SocketId, TcpState};

use crate::event::{Event, NodeKind, ProgramInfo, TopologyLink, TopologyNode, TopologyView};
use crate::frames::{self, Tcp, tcp};
use crate::ingest::Ingest;

pub(crate) const CLIENT: u32 = 0;
pub(crate) const SERVER: u32 = 1;
pub(crate) const LAN: u32 = 2;
pub(crate) const DELAY: u64 = 5_000_000;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const C: (u8, u16) = (11, 13401);
pub(crate) const S: (u8, u16) = (80, 7007);

pub(crate) fn topology() -> TopologyView {
    let host = |name: &str, address: &str, program: u32| TopologyNode {
        name: name.to_string(),
        kind: NodeKind::Host,
        addresses: vec![address.to_string()],
        programs: vec![program],
    };
    let lan =
        TopologyNode { name: "lan".to_string(), kind: NodeKind::Switch, addresses: vec![], programs: vec![] };
    let link = |a, b| TopologyLink { ends: (a, b), delay: DELAY, rate: 0 };
    TopologyView {
        nodes: vec![host("client", "10.0.0.11", 0), host("server", "10.0.0.80", 1), lan],
        links: vec![link(CLIENT, LAN), link(SERVER, LAN)],
    }
}

pub(crate) fn programs() -> Vec<ProgramInfo> {
    let program = |node, file: &str, forever| ProgramInfo { node, file: file.to_string(), forever };
    vec![program(CLIENT, "client.py", false), program(SERVER, "server.py", true)]
}

fn end(end: (u8, u16)) -> SocketAddr {
    SocketAddr::from((frames::ip(end.0), end.1))
}

/// Writes records and hands out events.
pub(crate) struct Scene {
    ingest: Ingest,
    pub(crate) now: u64,
    records: Vec<Record>,
    frame: u64,
    packet: u64,
    call: u64,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut scene = Scene {
            ingest: Ingest::new(&topology(), &programs()),
            now: 0,
            records: Vec::new(),
            frame: 0,
            packet: 0,
            call: 0,
        };
        for (pid, node, program) in [(1, CLIENT, 0), (2, SERVER, 1)] {
            scene.add(RecordKind::ProcessStarted { node: NodeId(node), pid: Pid(pid), program });
        }
        scene
    }

    pub(crate) fn add(&mut self, kind: RecordKind) {
        self.records.push(Record { at: Instant::from_nanos(self.now), kind });
    }

    pub(crate) fn at(&mut self, nanos: u64) -> &mut Self {
        assert!(nanos >= self.now, "time goes forward");
        self.now = nanos;
        self
    }

    /// All events so far.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        self.records.sort_by_key(|r| r.at);
        let ingest = &mut self.ingest;
        self.records.drain(..).map(|r| ingest.ingest(&r)).collect()
    }

    pub(crate) fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    fn hop(&mut self, at: u64, from: u32, to: u32, bytes: &[u8], cause: Option<u64>) -> FrameId {
        self.frame += 1;
        let frame = FrameId(self.frame);
        let kind = RecordKind::FrameSent {
            frame,
            packet: PacketId(self.packet),
            link: LinkId(if from == CLIENT || to == CLIENT { 0 } else { 1 }),
            from: NodeId(from),
            to: NodeId(to),
            arrives: Instant::from_nanos(at + DELAY),
            bytes: bytes.to_vec().into(),
            cause: cause.map(CallId),
            first_hop: from == CLIENT || from == SERVER,
        };
        self.records.push(Record { at: Instant::from_nanos(at), kind });
        frame
    }

    fn note(&mut self, at: u64, kind: RecordKind) {
        self.records.push(Record { at: Instant::from_nanos(at), kind });
    }

    /// A packet over both links, now; answers its number.
    pub(crate) fn send(&mut self, from: u32, bytes: &[u8], cause: Option<u64>) -> u64 {
        self.packet += 1;
        let start = self.now;
        let frame = self.hop(start, from, LAN, bytes, cause);
        self.note(start + DELAY, RecordKind::FrameDelivered { frame });
        let frame = self.hop(start + DELAY, LAN, 1 - from, bytes, None);
        self.note(start + 2 * DELAY, RecordKind::FrameDelivered { frame });
        self.packet
    }

    /// A packet that the second link loses.
    pub(crate) fn lose(&mut self, from: u32, bytes: &[u8]) -> u64 {
        self.packet += 1;
        let start = self.now;
        let frame = self.hop(start, from, LAN, bytes, None);
        self.note(start + DELAY, RecordKind::FrameDelivered { frame });
        let frame = self.hop(start + DELAY, LAN, 1 - from, bytes, None);
        self.note(start + 2 * DELAY, RecordKind::FrameLost { frame, reason: LossReason::Random });
        self.packet
    }

    /// A packet that its host drops.
    pub(crate) fn send_dropped(&mut self, from: u32, bytes: &[u8], reason: DropReason) -> u64 {
        let packet = self.send(from, bytes, None);
        let node = NodeId(1 - from);
        let frame = Some(FrameId(self.frame));
        self.note(self.now + 2 * DELAY, RecordKind::Dropped { node, frame, reason });
        packet
    }

    pub(crate) fn enter(&mut self, node: u32, name: &'static str, args: &str, socket: Option<u32>) -> u64 {
        self.call += 1;
        let call = CallId(self.call);
        let (args, place) = (args.to_string(), format!("file.py:{}", self.call));
        let socket = socket.map(SocketId);
        self.add(RecordKind::CallEntered { call, pid: Pid(node + 1), tid: 1, name, args, socket, place });
        self.call
    }

    pub(crate) fn leave(&mut self, call: u64, result: &str, made: Option<u32>) {
        let made = made.map(SocketId);
        self.add(RecordKind::CallReturned {
            call: CallId(call),
            result: result.to_string(),
            failure: None,
            made,
        });
    }

    pub(crate) fn fail(&mut self, call: u64, errno: &'static str, cause: Cause) {
        let failure = Some((errno, cause));
        let result = "None".to_string();
        self.add(RecordKind::CallReturned { call: CallId(call), result, failure, made: None });
    }

    pub(crate) fn state(&mut self, node: u32, socket: u32, from: TcpState, to: TcpState) {
        let (local, peer) = if node == CLIENT { (C, S) } else { (S, C) };
        let peer = (to != TcpState::Listen && from != TcpState::Listen || socket != 1).then(|| end(peer));
        let (node, socket, local) = (NodeId(node), SocketId(socket), end(local));
        self.add(RecordKind::TcpState { node, socket, local, peer, from, to });
    }
}

/// A segment of the client (`seq` and `ack` relative) or the server.
pub(crate) fn segment(from: u32, flags: &'static str, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let (from, to, own, other) = if from == CLIENT { (C, S, 1000, 9000) } else { (S, C, 9000, 1000) };
    let ack = if flags.contains('A') { other + ack } else { 0 };
    let data = data.to_vec();
    tcp(&Tcp { from, to, flags, seq: own + seq, ack, window: 64240, data, ..Tcp::default() })
}

/// Handshake, one message, the client still waiting in `recv`. Answers the scene at 35 ms.
pub(crate) fn conversation() -> Scene {
    let mut s = Scene::new();
    let listen = s.enter(SERVER, "listen", "5", Some(1));
    s.state(SERVER, 1, TcpState::Closed, TcpState::Listen);
    s.at(10_000).leave(listen, "None", None);
    let accept = s.enter(SERVER, "accept", "", Some(1));
    let socket = s.at(MS).enter(CLIENT, "socket", "AF_INET, SOCK_STREAM", None);
    s.at(MS + 10_000).leave(socket, "3", Some(1));
    let connect = s.enter(CLIENT, "connect", "('10.0.0.80', 7007)", Some(1));
    s.state(CLIENT, 1, TcpState::Closed, TcpState::SynSent);
    s.send(CLIENT, &segment(CLIENT, "S", 0, 0, b""), Some(connect));
    s.at(s.now + 2 * DELAY).state(SERVER, 2, TcpState::Closed, TcpState::SynReceived);
    s.send(SERVER, &segment(SERVER, "SA", 0, 1, b""), None);
    s.at(s.now + 2 * DELAY).state(CLIENT, 1, TcpState::SynSent, TcpState::Established);
    s.send(CLIENT, &segment(CLIENT, "A", 1, 1, b""), None);
    s.leave(connect, "None", None);
    let send = s.at(s.now + 10_000).enter(CLIENT, "send", "b'21,5 \\xc2\\xb0C'", Some(1));
    s.send(CLIENT, &segment(CLIENT, "PA", 1, 1, "21,5 °C".as_bytes()), Some(send));
    s.at(s.now + 10_000).leave(send, "8", None);
    s.enter(CLIENT, "recv", "1024", Some(1));
    s.at(s.now + 2 * DELAY - 20_000).state(SERVER, 2, TcpState::SynReceived, TcpState::Established);
    s.leave(accept, "(4, ('10.0.0.11', 13401))", Some(2));
    s.enter(SERVER, "recv", "1024", Some(2));
    s
}
