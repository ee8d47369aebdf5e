//! The other views, each through its front door on the same scene.

use std::net::SocketAddr;

use socketlab_netsim::record::NodeId;
use socketlab_stack::{
    Cause, DropReason, Fd, HostSnapshot, IfaceSnapshot, Instant, IpCidr, MacAddr, Pid, ProtocolKind,
    SocketId, SocketSnapshot, TcpState,
};

use crate::event::{
    Event, EventKind, NodeKind, ProgramInfo, SocketsView, TopologyLink, TopologyNode, TopologyView,
};
use crate::evidence::Failures;
use crate::ladder::{LadderBuilder, LadderFilter};
use crate::packets::PacketList;
use crate::scene::{self, CLIENT, DELAY, LAN, MS, SERVER, Scene, segment};
use crate::timeline::TimelineBuilder;
use crate::topology::{self, BadgeShape, Flights, Place, Side};
use crate::wait::Waits;
use crate::{evidence, frames, text};

fn socket(id: u32, state: TcpState, local: &str, peer: Option<&str>) -> SocketSnapshot {
    SocketSnapshot {
        id: SocketId(id),
        protocol: ProtocolKind::Tcp,
        state: Some(state),
        local: Some(local.parse().unwrap()),
        peer: peer.map(|p| p.parse().unwrap()),
        owners: vec![(Pid(2), Fd(3))],
        recv_queue: 0,
        send_queue: 0,
        syn_queue: 0,
        recv_buffer: 131_072,
        send_buffer: 16_384,
        recv_head: vec![],
        waits_at: None,
        tcb: None,
        timers: vec![],
    }
}

fn host(sockets: Vec<SocketSnapshot>) -> HostSnapshot {
    HostSnapshot {
        ifaces: vec![],
        routes: vec![],
        neighbours: vec![],
        groups: vec![],
        sockets,
        nat: vec![],
        port_forwards: vec![],
        firewall: vec![],
    }
}

fn view(scene: &Scene, client: Vec<SocketSnapshot>, server: Vec<SocketSnapshot>) -> SocketsView {
    let hosts = [(NodeId(CLIENT), host(client)), (NodeId(SERVER), host(server))];
    scene.ingest().sockets(Instant::from_nanos(scene.now), &hosts)
}

#[test]
fn the_address_that_a_host_was_lent_is_told() {
    let address = |text: &str, prefix_len| IpCidr { address: text.parse().unwrap(), prefix_len };
    let told = |addresses: Vec<IpCidr>| {
        let iface = |name: &str, addresses| IfaceSnapshot {
            name: name.to_string(),
            mac: MacAddr([0; 6]),
            addresses,
            mtu: 1500,
        };
        let loopback = iface("lo", vec![address("127.0.0.1", 8)]);
        let state = HostSnapshot { ifaces: vec![loopback, iface("eth0", addresses)], ..host(vec![]) };
        let sockets = Scene::new().ingest().sockets(Instant::from_nanos(0), &[(NodeId(SERVER), state)]);
        sockets.address_of(SERVER).map(str::to_string)
    };
    assert_eq!(told(vec![]), None);
    assert_eq!(told(vec![address("fe80::11", 64)]), None);
    let lent = vec![address("fe80::11", 64), address("192.168.1.100", 24)];
    assert_eq!(told(lent).as_deref(), Some("192.168.1.100"));
}

#[test]
fn sockets_read_as_ss_prints_them() {
    let mut scene = scene::conversation();
    scene.events();
    let mut listener = socket(1, TcpState::Listen, "0.0.0.0:7007", None);
    (listener.recv_queue, listener.send_queue) = (2, 5);
    let mut waiting = socket(2, TcpState::Established, "10.0.0.80:7007", Some("10.0.0.11:13401"));
    (waiting.owners, waiting.waits_at, waiting.recv_queue) = (vec![], Some(SocketId(1)), 18);
    let mut udp = socket(3, TcpState::Closed, "[::]:5353", None);
    (udp.protocol, udp.state) = (ProtocolKind::Udp, None);
    let sockets = view(&scene, vec![], vec![listener, waiting, udp]);
    let rows: Vec<_> = sockets.hosts[1]
        .sockets
        .iter()
        .map(|s| {
            let (recv_q, send_q) = (s.recv_q, s.send_q);
            format!("{} {} {recv_q} {send_q} {} {} {}", s.netid, s.state, s.local, s.peer, s.process)
        })
        .collect();
    let wanted = [
        "tcp LISTEN 2 5 0.0.0.0:7007 0.0.0.0:* server.py fd=3",
        "tcp ESTAB 18 0 10.0.0.80:7007 10.0.0.11:13401 ",
        "udp UNCONN 0 0 [::]:5353 [::]:* server.py fd=3",
    ];
    assert_eq!(rows, wanted);
    assert_eq!(sockets.hosts[1].sockets[1].conversation, Some(0));
    assert!(sockets.hosts[1].sockets[1].in_accept_queue);
    let badges = topology::badges(&sockets);
    let shapes: Vec<_> = badges.iter().map(|b| (b.port, b.peer_port, b.shape)).collect();
    let wanted = [
        (7007, None, BadgeShape::Listening),
        (7007, Some(13401), BadgeShape::Open),
        (5353, None, BadgeShape::Open),
    ];
    assert_eq!(shapes, wanted);
    assert_eq!(badges[0].queue, Some((2, 5)));
}

#[test]
fn events_name_conversations_before_and_after_their_first_packet() {
    let events = scene::conversation().events();
    let mut seen = Vec::new();
    for event in &events {
        match &event.kind {
            EventKind::TcpState { to, conversation, .. } => seen.push((to.clone(), *conversation)),
            EventKind::CallReturned { conversation: Some(c), .. } => {
                seen.push(("accept".to_string(), Some(*c)))
            }
            EventKind::FrameSent(f) => {
                assert_eq!((f.conversation, f.target.is_some()), (Some(0), true));
                assert_eq!(f.first_hop, f.from != LAN);
            }
            _ => {}
        }
    }
    let wanted = [
        ("LISTEN", None),
        ("SYN-SENT", Some(0)),
        ("SYN-RECEIVED", Some(0)),
        ("ESTABLISHED", Some(0)),
        ("ESTABLISHED", Some(0)),
        ("accept", Some(0)),
    ];
    assert_eq!(seen, wanted.map(|(name, c)| (name.to_string(), c)));
}

#[test]
fn events_travel() {
    for event in scene::conversation().events() {
        let bytes = postcard::to_allocvec(&event).unwrap();
        let back: Event = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back, event);
    }
}

#[test]
fn the_packet_list_has_each_packet_once() {
    let mut scene = scene::conversation();
    let lost = scene.lose(SERVER, &segment(SERVER, "R", 1, 0, b""));
    scene.at(scene.now + 2 * DELAY);
    let mut list = PacketList::default();
    let events = scene.events();
    for event in &events {
        list.push(event);
    }
    let rows: Vec<_> = list.rows().iter().map(|r| (r.number, r.info.as_str(), r.colour.as_str())).collect();
    let wanted = [
        (1, "13401 → 7007 [SYN] Seq=0 Win=64240 Len=0", "syn-fin"),
        (2, "7007 → 13401 [SYN, ACK] Seq=0 Ack=1 Win=64240 Len=0", "syn-fin"),
        (3, "13401 → 7007 [ACK] Seq=1 Ack=1 Win=64240 Len=0", "tcp"),
        (4, "13401 → 7007 [PSH, ACK] Seq=1 Ack=1 Win=64240 Len=8", "tcp"),
        (5, "7007 → 13401 [RST] Seq=1 Win=64240 Len=0", "rst"),
    ];
    assert_eq!(rows, wanted);
    assert_eq!(list.row_of(lost).unwrap().lost.as_deref(), Some("loss-random"));
    let printed = text::packets(&list);
    assert!(
        printed.contains("1   0.001010000 10.0.0.11 → 10.0.0.80 TCP      54 13401 → 7007 [SYN]"),
        "{printed}"
    );
    let dump = text::tcpdump(&events);
    let first =
        "00:00:00.001010 IP 10.0.0.11.13401 > 10.0.0.80.7007: Flags [S], seq 1000, win 64240, length 0";
    assert_eq!(dump.lines().next(), Some(first));
}

#[test]
fn frames_fly_along_their_links() {
    let mut flights = Flights::default();
    let mut scene = scene::conversation();
    let lost_at = scene.now;
    scene.lose(SERVER, &segment(SERVER, "PA", 1, 9, b"hej"));
    scene.at(scene.now + 4 * DELAY);
    for event in scene.events() {
        flights.push(&event);
    }
    let start = MS + 10_000;
    let first = &flights.at(start + DELAY / 2)[0];
    assert_eq!((first.link, first.from, first.to, first.progress), (0, CLIENT, LAN, 0.5));
    assert_eq!(first.detail, "SYN");
    let second = &flights.at(start + DELAY + DELAY / 4)[0];
    assert_eq!((second.link, second.from, second.to, second.progress), (1, LAN, SERVER, 0.25));
    assert_eq!(flights.at(0).len(), 0);
    let dying = flights.at(lost_at + 2 * DELAY + MS);
    assert_eq!((dying.len(), dying[0].lost.as_deref()), (1, Some("loss-random")));
    assert_eq!(dying[0].detail, "\"hej\"");
    assert_eq!(flights.at(lost_at + 3 * DELAY).len(), 0);
}

/// A topology of these nodes, by kind, and links.
fn network(kinds: &[NodeKind], links: &[(u32, u32)]) -> TopologyView {
    let node = |(index, kind): (usize, &NodeKind)| TopologyNode {
        name: format!("n{index}"),
        kind: *kind,
        addresses: vec![],
        programs: vec![],
    };
    let link = |ends: &(u32, u32)| TopologyLink { ends: *ends, delay: 0, rate: 0 };
    TopologyView {
        nodes: kinds.iter().enumerate().map(node).collect(),
        links: links.iter().map(link).collect(),
    }
}

/// A program that is stopped at the end, on this host.
fn server_on(node: u32) -> ProgramInfo {
    ProgramInfo { node, file: "main.py".into(), forever: true }
}

#[test]
fn routers_lie_in_the_order_in_which_packets_meet_them() {
    use NodeKind::{Host, Router};
    // The file names them the other way round.
    let chain = network(&[Host, Host, Router, Router], &[(0, 3), (3, 2), (2, 1)]);
    let places = topology::layout(&chain, &[server_on(1)]);
    let [client, server, near_server, near_client] = &places[..] else { panic!("{places:?}") };
    assert!(client.x < near_client.x && near_client.x < near_server.x && near_server.x < server.x);
    assert!(places.iter().all(|place| (place.y - 0.5).abs() < 0.01), "no bend: {places:?}");
}

#[test]
fn a_link_to_a_gateway_leads_past_the_server() {
    use NodeKind::{Host, Lan, Switch};
    let shared = network(&[Host, Host, Switch, Lan], &[(0, 2), (1, 2), (2, 3)]);
    let places = topology::layout(&shared, &[server_on(1)]);
    let [_, server, switch, lan] = &places[..] else { panic!("{places:?}") };
    assert!(switch.x < server.x && server.x < lan.x, "{places:?}");
    let at_server = switch.y + (lan.y - switch.y) * (server.x - switch.x) / (lan.x - switch.x);
    assert!(at_server - server.y > 0.3, "{places:?}");
}

#[test]
fn two_networks_lie_above_each_other_with_their_router_between() {
    use NodeKind::{Host, Router, Switch};
    // At home a laptop and a server, outside a client and a server; the router last, as in the lab.
    let links = [(0, 4), (1, 4), (6, 4), (6, 5), (2, 5), (3, 5)];
    let nat = network(&[Host, Host, Host, Host, Switch, Switch, Router], &links);
    let places = topology::layout(&nat, &[server_on(1), server_on(2)]);
    let [laptop, nas, web, friend, home, outside, router] = &places[..] else { panic!("{places:?}") };
    let level = |a: &Place, b: &Place| (a.y - b.y).abs() < 0.01;
    assert!(level(laptop, home) && level(home, nas), "{places:?}");
    assert!(level(friend, outside) && level(outside, web), "{places:?}");
    assert!(home.y < router.y && router.y < outside.y, "no link leads over another node: {places:?}");
}

#[test]
fn the_map_has_clients_left_and_servers_right() {
    let places = topology::layout(&scene::topology(), &scene::programs());
    let sides: Vec<_> = places.iter().map(|p| p.side).collect();
    assert_eq!(sides, [Side::Clients, Side::Servers, Side::Middle]);
    assert!(places[0].x < places[2].x && places[2].x < places[1].x);
    for hosts in 2..=12 {
        let node = |i: usize, kind| TopologyNode {
            name: format!("n{i}"),
            kind,
            addresses: vec![],
            programs: vec![],
        };
        let mut nodes: Vec<_> = (0..hosts).map(|i| node(i, NodeKind::Host)).collect();
        nodes.push(node(20, NodeKind::Switch));
        nodes.push(node(21, NodeKind::Gateway));
        let places = topology::layout(&TopologyView { nodes, links: vec![] }, &[]);
        for (i, a) in places.iter().enumerate() {
            assert!((0.0..=1.0).contains(&a.x) && (0.0..=1.0).contains(&a.y));
            for b in &places[..i] {
                let apart = (a.x - b.x).abs() > 0.15 || (a.y - b.y).abs() > 0.12;
                assert!(apart, "{hosts} hosts: {a:?} {b:?}");
            }
        }
        assert!(places.last().unwrap().x > 0.85, "the gateway is at the right edge");
    }
}

#[test]
fn the_timeline_has_a_lane_per_program() {
    let mut scene = scene::conversation();
    scene.at(scene.now + 60_000 * MS).send(CLIENT, &segment(CLIENT, "FA", 9, 1, b""), None);
    scene.at(scene.now + 2 * DELAY);
    let mut builder = TimelineBuilder::new(&scene::topology(), &scene::programs());
    for event in scene.events() {
        builder.push(&event);
    }
    let timeline = builder.timeline();
    let lane = &timeline.lanes[0];
    assert_eq!(lane.name, "client");
    let spans: Vec<_> = lane.calls.iter().map(|s| (s.name.as_str(), s.blocked, s.end.is_some())).collect();
    let wanted =
        [("socket", false, true), ("connect", true, true), ("send", false, true), ("recv", true, false)];
    assert_eq!(spans, wanted);
    let ticks: Vec<_> = lane.packets.iter().map(|p| p.sent).collect();
    assert_eq!(ticks, [true, false, true, true, true]);
    assert_eq!(timeline.cuts.len(), 1);
    assert!(timeline.time.units(timeline.end) < 400.0);
}

/// The calls that are open after all that has happened so far.
fn waits_in(scene: &mut Scene) -> Waits {
    let mut waits = Waits::default();
    scene.events().iter().for_each(|event| waits.push(event));
    waits
}

#[test]
fn a_waiting_program_says_for_what() {
    let mut scene = scene::conversation();
    let mut waits = waits_in(&mut scene);
    let client = socket(1, TcpState::Established, "10.0.0.11:13401", Some("10.0.0.80:7007"));
    let server = socket(2, TcpState::Established, "10.0.0.80:7007", Some("10.0.0.11:13401"));
    let sockets = view(&scene, vec![client], vec![server]);
    let reason = &waits.of(0, &sockets, scene.now)[0];
    assert_eq!((reason.key.as_str(), reason.call_text.as_str()), ("wait-recv-empty", "recv(1024)"));
    assert_eq!(reason.args, [("peer".to_string(), "10.0.0.80:7007".to_string())]);
    assert_eq!(reason.line, Some(6));
    // Now an answer is on its way: the second of its two links lies ahead.
    let sent = scene.now;
    let packet = scene.send(SERVER, &segment(SERVER, "PA", 1, 9, b"hej"), None);
    for event in scene.events().iter().filter(|e| e.at <= sent + DELAY) {
        waits.push(event);
    }
    let reason = &waits.of(0, &sockets, sent + DELAY + 2_900_000)[0];
    assert_eq!((reason.key.as_str(), reason.packet), ("wait-recv-in-flight", Some(packet)));
    assert_eq!(reason.args[1], ("ms".to_string(), "2.1".to_string()));
    assert!(waits.of(7, &sockets, sent).is_empty());
}

#[test]
fn a_send_that_nothing_holds_up_is_not_said_to_wait_for_room() {
    let mut scene = Scene::new();
    scene.enter(CLIENT, "send", "b'hej'", Some(1));
    let waits = waits_in(&mut scene);
    let key = |queued: usize| {
        let mut own = socket(1, TcpState::Established, "10.0.0.11:13401", Some("10.0.0.80:7007"));
        own.send_queue = queued;
        waits.of(0, &view(&scene, vec![own], vec![]), scene.now)[0].key.clone()
    };
    assert_eq!(key(18), "wait-send-room");
    assert_eq!(key(16_000), "wait-send-full");
}

#[test]
fn a_call_that_the_kernel_is_carrying_out_is_not_said_to_wait() {
    let mut scene = Scene::new();
    scene.enter(CLIENT, "bind", "('', 80)", Some(1));
    let waits = waits_in(&mut scene);
    let own = socket(1, TcpState::Closed, "0.0.0.0:0", None);
    let sockets = view(&scene, vec![own], vec![]);
    let reason = |since: u64| waits.of(0, &sockets, scene.now + since)[0].clone();
    assert_eq!((reason(0).key.as_str(), reason(0).waits), ("wait-carried-out", false));
    // As close(2) may, with SO_LINGER.
    assert_eq!((reason(2 * MS).key.as_str(), reason(2 * MS).waits), ("wait-other", true));

    let mut scene = Scene::new();
    scene.enter(CLIENT, "accept", "", Some(1));
    let waits = waits_in(&mut scene);
    let accept = |queued: usize| {
        let mut listener = socket(1, TcpState::Listen, "0.0.0.0:80", None);
        listener.recv_queue = queued;
        let reason = waits.of(0, &view(&scene, vec![listener], vec![]), scene.now)[0].clone();
        (reason.key, reason.waits)
    };
    assert_eq!(accept(0), ("wait-accept-empty".to_string(), true));
    assert_eq!(accept(1), ("wait-accept-ready".to_string(), false));
}

fn refused(scene: &mut Scene) -> (Failures, u64) {
    let mut failures = Failures::default();
    let connect = scene.enter(CLIENT, "connect", "('10.0.0.80', 7007)", Some(1));
    scene.state(CLIENT, 1, TcpState::Closed, TcpState::SynSent);
    scene.send_dropped(CLIENT, &segment(CLIENT, "S", 0, 0, b""), DropReason::NoListener);
    scene.at(scene.now + 2 * DELAY);
    let rst = scene.send(SERVER, &segment(SERVER, "RA", 0, 1, b""), None);
    scene.at(scene.now + 2 * DELAY);
    let peer: SocketAddr = "10.0.0.80:7007".parse().unwrap();
    scene.fail(connect, "ECONNREFUSED", Cause::RefusedByPeer { peer });
    for event in scene.events() {
        failures.push(&event);
    }
    (failures, rst)
}

#[test]
fn a_port_that_was_open_counts_though_its_server_has_ended_since() {
    let mut scene = Scene::new();
    let (mut failures, _) = refused(&mut scene);
    for (at, from, to) in
        [(0, "CLOSED", "LISTEN"), (1, "LISTEN", "SYN-RECEIVED"), (scene.now + DELAY, "LISTEN", "CLOSED")]
    {
        let (from, to, local) = (from.to_string(), to.to_string(), "10.0.0.80:80".to_string());
        let (node, socket, peer, conversation) = (SERVER, 9, None, None);
        let kind = EventKind::TcpState { node, socket, local, peer, from, to, conversation };
        failures.push(&Event { seq: 0, at, kind });
    }
    let found = &failures.evidence(&scene::topology(), &view(&scene, vec![], vec![]))[0];
    assert_eq!(found.key, "evidence-refused-other-port");
}

#[test]
fn a_refused_connection_shows_which_port_is_open_there() {
    let mut scene = Scene::new();
    let (failures, rst) = refused(&mut scene);
    let sockets = view(&scene, vec![], vec![socket(1, TcpState::Listen, "0.0.0.0:80", None)]);
    let found = &failures.evidence(&scene::topology(), &sockets)[0];
    assert_eq!(found.key, "evidence-refused-other-port");
    let args = [("peer", "10.0.0.80:7007"), ("host", "server"), ("open", "80")];
    assert_eq!(found.args, args.map(|(n, v)| (n.to_string(), v.to_string())));
    assert_eq!((found.exception.as_str(), found.number), ("ConnectionRefusedError", Some(111)));
    assert_eq!(found.packet, Some(rst));
    let nothing = view(&scene, vec![], vec![]);
    assert_eq!(failures.evidence(&scene::topology(), &nothing)[0].key, "evidence-refused-no-port");
}

#[test]
fn a_client_that_came_too_early_is_told_so() {
    let mut scene = Scene::new();
    let (mut failures, _) = refused(&mut scene);
    scene.at(scene.now + MS).state(SERVER, 1, TcpState::Closed, TcpState::Listen);
    for event in scene.events() {
        failures.push(&event);
    }
    let found = &failures.evidence(&scene::topology(), &view(&scene, vec![], vec![]))[0];
    assert_eq!(found.key, "evidence-refused-too-early");
    assert!(evidence::evidence_keys().iter().any(|(key, _)| *key == found.key));
}

#[test]
fn a_datagram_to_a_closed_port_points_at_the_icmp_error() {
    let mut scene = Scene::new();
    let mut failures = Failures::default();
    let quoted = frames::packet(11, 80, 17, &frames::datagram((11, 40000), (80, 9999), b"hej"));
    scene.send(CLIENT, &frames::udp((11, 40000), (80, 9999), b"hej"), None);
    let recv = scene.enter(CLIENT, "recv", "1024", Some(4));
    let icmp = scene.at(2 * DELAY).send(SERVER, &frames::icmp(80, 11, 3, 3, [0; 4], &quoted), None);
    let peer: SocketAddr = "10.0.0.80:9999".parse().unwrap();
    scene.at(4 * DELAY).fail(recv, "ECONNREFUSED", Cause::PortUnreachable { peer });
    for event in scene.events() {
        failures.push(&event);
    }
    let found = &failures.evidence(&scene::topology(), &view(&scene, vec![], vec![]))[0];
    assert_eq!((found.key.as_str(), found.packet), ("evidence-port-unreachable", Some(icmp)));
}

#[test]
fn an_address_in_use_names_its_holder() {
    let mut scene = Scene::new();
    let mut failures = Failures::default();
    let bind = scene.enter(SERVER, "bind", "('0.0.0.0', 7007)", Some(5));
    scene.at(10_000).fail(bind, "EADDRINUSE", Cause::HeldBy { socket: SocketId(1), time_wait: false });
    for event in scene.events() {
        failures.push(&event);
    }
    let sockets = view(&scene, vec![], vec![socket(1, TcpState::Listen, "0.0.0.0:7007", None)]);
    let found = &failures.evidence(&scene::topology(), &sockets)[0];
    assert_eq!(found.key, "evidence-in-use-by-self");
    assert_eq!(found.args, [("local".to_string(), "0.0.0.0:7007".to_string())]);
}

#[test]
fn a_terminal_can_show_the_ladder() {
    let events = scene::conversation().events();
    let filter = LadderFilter::default();
    let builder = LadderBuilder::with_history(&scene::topology(), &scene::programs(), filter, &events);
    let drawn = text::ladder(builder.ladder(), 100);
    let syn = drawn.lines().find(|l| l.contains("SYN seq=0")).expect("an arrow");
    assert_eq!(syn, "     1.010   │── SYN seq=0 ─────────────────────────────▶│");
    assert!(drawn.contains("┿ ESTABLISHED"), "{drawn}");
    assert!(drawn.lines().any(|l| l.contains("recv(1024)  …")), "{drawn}");
    println!("{drawn}");
}

#[test]
fn keys_are_unique() {
    let mut all: Vec<&str> = Vec::new();
    all.extend(crate::keys::event_keys().iter().map(|(k, _)| *k));
    all.extend(crate::wait::wait_keys().iter().map(|(k, _)| *k));
    all.extend(evidence::evidence_keys().iter().map(|(k, _)| *k));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_held_frame_stays_where_it_is_until_it_is_let_go() {
    let mut flights = Flights::default();
    let mut scene = scene::conversation();
    let sent = scene.events().into_iter().find_map(|event| match &event.kind {
        EventKind::FrameSent(frame) => Some((event.clone(), (**frame).clone())),
        _ => None,
    });
    let (event, frame) = sent.unwrap();
    flights.push(&event);
    let half = event.at + (frame.arrives - event.at) / 2;
    let notice = crate::NoticeView {
        frame: Some(frame.frame),
        key: "notice-frame-held".to_string(),
        ..crate::NoticeView::default()
    };
    flights.push(&Event { seq: event.seq + 1, at: half, kind: EventKind::Notice(Box::new(notice)) });
    let later = frame.arrives + 60_000_000_000;
    let seen = flights.at(later);
    assert!(seen.len() == 1 && seen[0].held && (0.4..0.6).contains(&seen[0].progress), "{seen:?}");
    let delivered = EventKind::FrameDelivered { frame: frame.frame };
    flights.push(&Event { seq: event.seq + 2, at: later, kind: delivered });
    assert!(flights.at(later).is_empty());
    assert!(flights.at(later - 1)[0].held, "as it was before");
}

#[test]
fn an_event_is_small_beside_what_a_frame_says() {
    // Most events are not frames: a page keeps some hundred thousand of them.
    assert!(size_of::<Event>() <= 144, "{}", size_of::<Event>());
}
