//! The gateway: what a program's packets become on the real side, and what the real side's answers become for it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{FOREVER, Lan, Stage, Sys, TCP, UDP, delay};
use socketlab_netsim::record::RecordKind;
use socketlab_netsim::{
    FlowId, GatewayEvent, GatewayFact, GatewayName, GatewayRequest, PortId, PublishedPort, Rest,
};
use socketlab_stack::{IpCidr, TcpState};

/// One host and a gateway, with one program on the host.
fn stage(code: impl Fn(&mut Sys) + Send + Sync + 'static) -> Stage {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    let relay = GatewayName { name: "relay".to_owned(), target: "127.0.0.1".to_owned() };
    let gateway = lan.builder.gateway("internet", vec![relay]);
    let n = lan.plug(gateway);
    let everything = IpCidr { address: [0, 0, 0, 0].into(), prefix_len: 0 };
    lan.builder.route(host, everything, Some([10, 0, 0, n].into()));
    lan.program(host, 0, code);
    let mut stage = lan.stage();
    stage.world.start();
    stage
}

fn open_tcp(stage: &mut Stage) -> (FlowId, String, u16) {
    match stage.request() {
        GatewayRequest::OpenTcp { flow, host, port } => (flow, host, port),
        other => panic!("{other:?}"),
    }
}

fn facts(stage: &Stage) -> Vec<(String, GatewayFact)> {
    let facts = stage.kinds().filter_map(|kind| match kind {
        RecordKind::Gateway { target, fact, .. } => Some((target.clone(), fact.clone())),
        _ => None,
    });
    facts.collect()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn a_connection_by_name_goes_out_and_back() {
    let mut stage = stage(|sys| {
        let address = sys.resolve("relay").unwrap();
        assert_eq!(address, "198.18.0.1");
        assert_eq!(sys.resolve("RELAY").unwrap(), address, "a name keeps its address");
        let s = sys.socket(TCP);
        sys.connect(s, &address, 9007).unwrap();
        sys.send_all(s, b"hej").unwrap();
        assert_eq!(sys.recv(s, 100).unwrap(), b"HEJ");
        sys.ok("shutdown", args![s, 1]);
        assert_eq!(sys.recv_all(s), b"adieu", "the other direction stays open");
        sys.close(s);
        sys.print("ok");
    });
    let (flow, host, port) = open_tcp(&mut stage);
    assert_eq!((host.as_str(), port), ("127.0.0.1", 9007), "the gateway's own name for the relay");
    assert!(stage.world.real_time());
    let syn_acks = |stage: &Stage| {
        let states =
            stage.kinds().filter(|k| matches!(k, RecordKind::TcpState { to: TcpState::Established, .. }));
        states.count()
    };
    assert_eq!(syn_acks(&stage), 0, "the SYN is held");
    stage.world.handle_gateway(GatewayEvent::Opened { flow });
    assert_eq!(stage.play(), Rest::RealWorld, "without credit nothing goes out");
    assert_eq!(syn_acks(&stage), 2);
    assert!(stage.requests.is_empty());
    stage.world.handle_gateway(GatewayEvent::Writable { flow, octets: 1000 });
    assert_eq!(stage.request(), GatewayRequest::Data { flow, bytes: bytes("hej") });
    stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: bytes("HEJ") });
    assert_eq!(stage.request(), GatewayRequest::Consumed { flow, octets: 3 });
    assert_eq!(stage.request(), GatewayRequest::Finish { flow });
    stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: bytes("adieu") });
    stage.world.handle_gateway(GatewayEvent::Finished { flow });
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(
        stage.requests,
        [GatewayRequest::Consumed { flow, octets: 5 }, GatewayRequest::Close { flow, reset: false }]
    );
    assert_eq!(stage.console(0), "ok\n");
    assert!(!stage.world.real_time());
    let relay = || "relay:9007".to_owned();
    assert_eq!(
        facts(&stage),
        [
            (relay(), GatewayFact::Connecting),
            (relay(), GatewayFact::Connected),
            (relay(), GatewayFact::Closed)
        ]
    );
}

/// The exception that `connect` gives when the real side says `fact`, and the cause as the trace has it.
fn connect_fails(fact: GatewayFact) -> (String, String) {
    let mut stage = stage(|sys| {
        let s = sys.socket(TCP);
        let minute = Some(Duration::from_secs(3));
        let error = sys.call("connect", args![s, ("192.0.2.9", 22), minute]).unwrap_err();
        sys.print(&error);
    });
    let (flow, host, port) = open_tcp(&mut stage);
    assert_eq!((host.as_str(), port), ("192.0.2.9", 22), "addresses are dialled as they are");
    stage.world.handle_gateway(GatewayEvent::Failed { flow, fact: fact.clone() });
    assert_eq!(stage.play(), Rest::Finished);
    assert!(!stage.world.real_time());
    assert_eq!(facts(&stage).last(), Some(&("192.0.2.9:22".to_owned(), fact)));
    let opened = stage.requests.iter().filter(|r| matches!(r, GatewayRequest::OpenTcp { .. }));
    assert_eq!(opened.count(), 0, "a SYN sent again is no new attempt");
    let cause = stage.kinds().find_map(|k| match k {
        RecordKind::CallReturned { failure: Some((_, cause)), .. } => Some(format!("{cause:?}")),
        _ => None,
    });
    (stage.console(0), cause.unwrap())
}

#[test]
fn a_refusal_reaches_the_program_as_the_right_error() {
    let (error, cause) = connect_fails(GatewayFact::Refused);
    assert_eq!((error.as_str(), cause.as_str()), ("ECONNREFUSED\n", "RefusedByPeer { peer: 192.0.2.9:22 }"));
    let (error, cause) = connect_fails(GatewayFact::NotAllowed);
    assert_eq!(
        (error.as_str(), cause.as_str()),
        ("EHOSTUNREACH\n", "Icmp { kind: 3, code: 13, from: 10.0.0.2 }")
    );
    let (error, cause) = connect_fails(GatewayFact::Unreachable);
    assert_eq!(
        (error.as_str(), cause.as_str()),
        ("EHOSTUNREACH\n", "Icmp { kind: 3, code: 1, from: 10.0.0.2 }")
    );
    let (error, cause) = connect_fails(GatewayFact::NoRelay);
    assert_eq!(
        (error.as_str(), cause.as_str()),
        ("ENETUNREACH\n", "Icmp { kind: 3, code: 0, from: 10.0.0.2 }")
    );
    let (error, _) = connect_fails(GatewayFact::TimedOut);
    assert_eq!(error, "timeout\n", "silence: the program's own time-out ends it");
}

#[test]
fn a_slow_real_side_slows_the_program_down() {
    const ALL: usize = 2_000_000;
    let mut stage = stage(|sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "192.0.2.9", 9).unwrap();
        sys.send_all(s, &vec![b'x'; ALL]).unwrap();
        sys.close(s);
        sys.print("sent");
    });
    let (flow, ..) = open_tcp(&mut stage);
    stage.world.handle_gateway(GatewayEvent::Opened { flow });
    stage.world.handle_gateway(GatewayEvent::Writable { flow, octets: 10_000 });
    stage.play_for(Duration::from_secs(20));
    let sent = |stage: &mut Stage| -> usize {
        let requests = stage.requests.drain(..);
        requests.map(|r| if let GatewayRequest::Data { bytes, .. } = r { bytes.len() } else { 0 }).sum()
    };
    assert_eq!(sent(&mut stage), 10_000, "not one octet more than the real side takes");
    assert_eq!(stage.console(0), "", "the program is still sending");
    let mut total = 10_000;
    while total < ALL {
        stage.world.handle_gateway(GatewayEvent::Writable { flow, octets: 50_000 });
        stage.play_for(Duration::from_secs(20));
        let more = sent(&mut stage);
        assert!(more > 0 && more <= 50_000, "{more}");
        total += more;
    }
    assert_eq!((total, stage.console(0).as_str()), (ALL, "sent\n"));
}

#[test]
fn a_slow_program_slows_the_real_side_down() {
    let mut stage = stage(|sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "192.0.2.9", 9).unwrap();
        sys.sleep(Duration::from_secs(100)).unwrap();
        let all = sys.recv_all(s);
        sys.print(&all.len().to_string());
    });
    let (flow, ..) = open_tcp(&mut stage);
    stage.world.handle_gateway(GatewayEvent::Opened { flow });
    for _ in 0..40 {
        stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: vec![0; 100_000].into() });
    }
    let consumed = |stage: &mut Stage| -> u64 {
        let requests = stage.requests.drain(..);
        requests.map(|r| if let GatewayRequest::Consumed { octets, .. } = r { octets } else { 0 }).sum()
    };
    while stage.world.now().as_nanos() < 99_000_000_000 {
        stage.turn();
    }
    let early = consumed(&mut stage);
    assert!((1..4_000_000).contains(&early), "{early}: only what fits into the buffers");
    stage.world.handle_gateway(GatewayEvent::Closed { flow, reset: false });
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(early + consumed(&mut stage), 4_000_000);
    assert_eq!(stage.console(0), "4000000\n", "what came before the end is not lost");
}

#[test]
fn a_reset_goes_through_in_both_directions() {
    let mut from_real = stage(|sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "192.0.2.9", 9).unwrap();
        let error = sys.recv(s, 10).unwrap_err();
        sys.print(&error);
    });
    let (flow, ..) = open_tcp(&mut from_real);
    from_real.world.handle_gateway(GatewayEvent::Opened { flow });
    assert_eq!(from_real.play(), Rest::RealWorld);
    from_real.world.handle_gateway(GatewayEvent::Closed { flow, reset: true });
    assert_eq!(from_real.play(), Rest::Finished);
    assert_eq!(from_real.console(0), "ECONNRESET\n");

    let mut from_program = stage(|sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "192.0.2.9", 9).unwrap();
        let linger = [1, 0, 0, 0, 0, 0, 0, 0];
        sys.ok("setsockopt", args![s, 1, 13, &linger]);
        sys.close(s);
    });
    let (flow, ..) = open_tcp(&mut from_program);
    from_program.world.handle_gateway(GatewayEvent::Opened { flow });
    assert_eq!(from_program.play(), Rest::Finished);
    assert_eq!(from_program.requests, [GatewayRequest::Close { flow, reset: true }]);
    assert!(!from_program.world.real_time());
}

#[test]
fn datagrams_go_out_and_back_and_a_quiet_flow_is_forgotten() {
    let mut stage = stage(|sys| {
        let address = sys.resolve("relay").unwrap();
        let s = sys.socket(UDP);
        for text in ["one", "two"] {
            sys.ok("sendto", args![s, text.as_bytes(), 0, (&*address, 9007), FOREVER]);
        }
        let got = sys.ok("recvfrom", args![s, 100, 0, FOREVER]);
        assert_eq!(got.at(1), &common::Py::from((&*address, 9007)), "from where it was sent to");
        sys.print(core::str::from_utf8(&got.at(0).bytes()).unwrap());
        let long = Some(Duration::from_secs(300));
        assert_eq!(sys.call("recv", args![s, 100, 0, long]), Err("timeout".to_owned()));
    });
    let GatewayRequest::OpenUdp { flow, host, port } = stage.request() else { panic!() };
    assert_eq!((host.as_str(), port), ("127.0.0.1", 9007));
    stage.world.handle_gateway(GatewayEvent::Opened { flow });
    assert_eq!(stage.request(), GatewayRequest::Data { flow, bytes: bytes("one") });
    assert_eq!(stage.request(), GatewayRequest::Data { flow, bytes: bytes("two") });
    stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: bytes("svar") });
    assert_eq!(stage.request(), GatewayRequest::Close { flow, reset: false });
    let now = stage.world.now().as_nanos() / 1_000_000;
    assert!((60_000..60_100).contains(&now), "{now} ms");
    assert!(!stage.world.real_time());
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "svar\n");
}

#[test]
fn a_flow_without_anybody_who_waits_does_not_slow_the_world() {
    let mut stage = stage(|sys| {
        let s = sys.socket(UDP);
        sys.ok("sendto", args![s, b"hej", 0, ("192.0.2.9", 9), FOREVER]);
        assert_eq!(sys.ok("recv", args![s, 9, 0, FOREVER]).bytes(), b"svar");
        sys.sleep(Duration::from_secs(30)).unwrap();
        sys.ok("sendto", args![s, b"hej", 0, ("192.0.2.9", 9), FOREVER]);
        sys.sleep(Duration::from_secs(20)).unwrap();
    });
    let GatewayRequest::OpenUdp { flow, .. } = stage.request() else { panic!() };
    stage.world.handle_gateway(GatewayEvent::Opened { flow });
    stage.play_for(Duration::from_millis(100));
    assert!(stage.world.real_time(), "the program waits for the answer");
    stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: bytes("svar") });
    stage.play_for(Duration::from_secs(1));
    assert!(!stage.world.real_time(), "it sleeps, and nothing is due");
    stage.play_for(Duration::from_secs(31));
    assert!(stage.world.real_time(), "an answer may come");
    stage.world.advance_to(stage.world.now() + Duration::from_secs(6));
    assert!(!stage.world.real_time(), "none came");
    assert_eq!(stage.play(), Rest::Finished);
}

#[test]
fn a_refused_datagram_comes_back_as_icmp() {
    let mut stage = stage(|sys| {
        let s = sys.socket(UDP);
        sys.ok("connect", args![s, ("192.0.2.9", 9), FOREVER]);
        sys.send_all(s, b"hej").unwrap();
        let error = sys.recv(s, 10).unwrap_err();
        sys.print(&error);
    });
    let GatewayRequest::OpenUdp { flow, .. } = stage.request() else { panic!() };
    stage.world.handle_gateway(GatewayEvent::Failed { flow, fact: GatewayFact::NotAllowed });
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "EHOSTUNREACH\n");
}

#[test]
fn news_about_unknown_flows_changes_nothing() {
    let mut stage = stage(|sys| {
        let s = sys.socket(TCP);
        let _ = sys.connect(s, "192.0.2.9", 9);
        sys.print("open");
        let _ = sys.recv(s, 1);
    });
    let (known, ..) = open_tcp(&mut stage);
    // Too early, or about nothing: no panic, and the flow is as it was.
    for flow in [FlowId(77), known] {
        stage.world.handle_gateway(GatewayEvent::Data { flow: FlowId(77), bytes: bytes("x") });
        stage.world.handle_gateway(GatewayEvent::Writable { flow, octets: 5 });
        stage.world.handle_gateway(GatewayEvent::Finished { flow: FlowId(77) });
    }
    stage.world.handle_gateway(GatewayEvent::Opened { flow: known });
    stage.world.handle_gateway(GatewayEvent::Opened { flow: known });
    assert_eq!(stage.play(), Rest::RealWorld);
    assert_eq!(stage.console(0), "open\n");
}

/// One host with a server that answers in capitals, published.
fn published(udp: bool, code: impl Fn(&mut Sys) + Send + Sync + 'static) -> (Stage, PortId) {
    let mut lan = Lan::new(delay(1));
    let host = lan.host();
    let gateway = lan.builder.gateway("internet", Vec::new());
    let n = lan.plug(gateway);
    let everything = IpCidr { address: [0, 0, 0, 0].into(), prefix_len: 0 };
    lan.builder.route(host, everything, Some([10, 0, 0, n].into()));
    lan.builder.publish(PublishedPort { gateway, host, port: 7007, udp, real: 8007 });
    lan.program(host, 0, code);
    let mut stage = lan.stage();
    stage.world.start();
    match stage.request() {
        GatewayRequest::Listen { port, udp: asked, number: 8007 } => {
            assert_eq!(asked, udp);
            (stage, port)
        }
        other => panic!("{other:?}"),
    }
}

/// What the server's program sees of its client.
fn served(remote: &str) -> String {
    let (mut stage, port) = published(false, |sys| {
        let s = sys.socket(TCP);
        sys.ok("bind", args![s, ("0.0.0.0", 7007)]);
        sys.ok("listen", args![s, 5]);
        let accepted = sys.ok("accept", args![s, FOREVER]);
        let (client, peer) = (accepted.at(0).int(), accepted.at(1));
        sys.print(&format!("{}:{}", peer.at(0).str(), peer.at(1).int()));
        let question = sys.recv_all(client);
        sys.send_all(client, &question.to_ascii_uppercase()).unwrap();
        sys.close(client);
        sys.close(s);
    });
    let address = "192.0.2.1:8007".parse().unwrap();
    assert_eq!(stage.play(), Rest::RealWorld, "somebody may come");
    stage.world.handle_gateway(GatewayEvent::Listening { port, address });
    let flow = FlowId::from_outside(1);
    stage.world.handle_gateway(GatewayEvent::Accepted { port, flow, remote: remote.parse().unwrap() });
    stage.world.handle_gateway(GatewayEvent::Writable { flow, octets: 1000 });
    stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: bytes("hej") });
    stage.world.handle_gateway(GatewayEvent::Finished { flow });
    stage.play();
    let sent = stage.requests.iter().find_map(|request| match request {
        GatewayRequest::Data { bytes, .. } => Some(bytes.clone()),
        _ => None,
    });
    assert_eq!(sent, Some(bytes("HEJ")));
    assert!(stage.requests.contains(&GatewayRequest::Close { flow, reset: false }));
    let facts = facts(&stage).into_iter().map(|(_, fact)| fact).collect::<Vec<_>>();
    use GatewayFact::{Accepted, Closed, Connected, Published};
    assert_eq!(facts, [Published, Accepted, Connected, Closed]);
    stage.console(0).trim().to_owned()
}

#[test]
fn a_program_is_reached_from_the_real_world_and_sees_who_came() {
    assert_eq!(served("203.0.113.5:54794"), "203.0.113.5:54794", "the real peer");
    assert_eq!(served("127.0.0.1:54794"), "198.18.0.1:54794", "its own 127.0.0.1 is every host's own");
    assert_eq!(
        served("10.0.0.77:54794"),
        "198.18.0.1:54794",
        "an address of the lab's network is a neighbour's"
    );
}

#[test]
fn a_visitor_finds_nobody_where_no_program_listens() {
    let (mut stage, port) = published(false, |sys| {
        sys.sleep(Duration::from_secs(1)).unwrap();
    });
    let flow = FlowId::from_outside(1);
    let remote = "203.0.113.5:54794".parse().unwrap();
    stage.world.handle_gateway(GatewayEvent::Accepted { port, flow, remote });
    stage.play();
    assert!(stage.requests.contains(&GatewayRequest::Close { flow, reset: true }));
}

#[test]
fn datagrams_from_the_real_world_reach_a_program_and_are_answered() {
    let (mut stage, port) = published(true, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("0.0.0.0", 7007)]);
        let got = sys.ok("recvfrom", args![s, 100, 0, FOREVER]);
        let (data, host, port) = (got.at(0).bytes(), got.at(1).at(0).str(), got.at(1).at(1).int());
        sys.ok("sendto", args![s, &data.to_ascii_uppercase()[..], 0, (host, port), FOREVER]);
        sys.print("ok");
    });
    assert_eq!(stage.play(), Rest::RealWorld);
    let flow = FlowId::from_outside(1);
    let remote = "203.0.113.5:54794".parse().unwrap();
    stage.world.handle_gateway(GatewayEvent::Accepted { port, flow, remote });
    stage.world.handle_gateway(GatewayEvent::Data { flow, bytes: bytes("hej") });
    stage.play();
    assert!(stage.requests.contains(&GatewayRequest::Data { flow, bytes: bytes("HEJ") }));
}

#[test]
fn a_port_that_nobody_opens_keeps_nobody_waiting() {
    let (mut stage, port) = published(false, |sys| {
        let s = sys.socket(TCP);
        sys.ok("bind", args![s, ("0.0.0.0", 7007)]);
        sys.ok("listen", args![s, 5]);
        sys.accept(s);
    });
    assert_eq!(stage.play(), Rest::RealWorld);
    stage.world.handle_gateway(GatewayEvent::NotListening { port, fact: GatewayFact::NotAllowed });
    assert!(matches!(stage.play(), Rest::Deadlock(_)));
}

/// Sends one echo request to an address or name and prints what came of it.
fn ping(sys: &mut Sys, host: &str) {
    let s = sys.ok("socket", args![2, 2, 1]).int();
    sys.ok("connect", args![s, (host, 0), FOREVER]);
    sys.send_all(s, &[8, 0, 0, 0, 0, 0, 0, 1, b'x']).unwrap();
    let got = sys.call("recv", args![s, 100, 0, Some(Duration::from_secs(3))]);
    match got {
        Ok(data) => sys.print(&format!("{:?}", &data.bytes()[6..])),
        Err(error) => sys.print(&error),
    }
}

/// What the program prints when the real side answers a ping so, and what the trace says.
fn pinged(answer: impl Fn(FlowId) -> GatewayEvent) -> (String, Vec<GatewayFact>) {
    let mut stage = stage(|sys| {
        ping(sys, "192.0.2.9");
    });
    let GatewayRequest::Ping { flow, host } = stage.request() else { panic!() };
    assert_eq!(host, "192.0.2.9");
    assert!(stage.world.real_time(), "virtual time does not run ahead of a real answer");
    stage.world.handle_gateway(answer(flow));
    assert_eq!(stage.play(), Rest::Finished);
    assert!(!stage.world.real_time());
    (stage.console(0), facts(&stage).into_iter().map(|(_, fact)| fact).collect())
}

#[test]
fn a_ping_is_answered_when_a_real_one_is() {
    use GatewayFact::{Echoed, NotAllowed, Pinging, TimedOut, Unreachable};
    let (printed, facts) = pinged(|flow| GatewayEvent::Echoed { flow });
    assert_eq!((printed.as_str(), facts), ("[0, 1, 120]\n", vec![Pinging, Echoed]));
    let (printed, facts) = pinged(|flow| GatewayEvent::Failed { flow, fact: NotAllowed });
    assert_eq!((printed.as_str(), facts), ("EHOSTUNREACH\n", vec![Pinging, NotAllowed]));
    // icmp(7): a host that cannot be reached is no hard error; a connected socket is not told.
    let (printed, _) = pinged(|flow| GatewayEvent::Failed { flow, fact: Unreachable });
    assert_eq!(printed, "timeout\n");
    let (printed, _) = pinged(|flow| GatewayEvent::Failed { flow, fact: TimedOut });
    assert_eq!(printed, "timeout\n");
}

/// The program's `getaddrinfo("shop.example")` when the real side answers so; and which questions the gateway heard.
fn looked_up(answer: impl Fn(FlowId) -> GatewayEvent) -> (String, Stage) {
    let mut stage = stage(|sys| {
        match sys.call("resolve", args!["shop.example", 0]) {
            Ok(rows) => {
                let common::Py::List(rows) = rows else { panic!("{rows:?}") };
                let rows = rows.iter().map(|row| row.at(1).str().to_owned());
                sys.print(&rows.collect::<Vec<_>>().join(" "));
            }
            Err(error) => sys.print(&error),
        }
        // So that a test can go on.
        let s = sys.socket(TCP);
        let _ = sys.call("connect", args![s, ("192.0.2.9", 80), Some(Duration::from_secs(1))]);
    });
    let GatewayRequest::LookUp { flow, host } = stage.request() else { panic!() };
    assert_eq!(host, "shop.example");
    assert!(stage.world.real_time());
    stage.world.handle_gateway(answer(flow));
    let (_, dialled, _) = open_tcp(&mut stage);
    assert_eq!(dialled, "192.0.2.9", "both questions were one to the real world");
    (stage.console(0), stage)
}

#[test]
fn a_real_name_has_its_real_addresses() {
    let found = |list: &'static [&str]| {
        move |flow| GatewayEvent::Addresses {
            flow,
            addresses: list.iter().map(|text| text.parse().unwrap()).collect(),
        }
    };
    let (printed, stage) = looked_up(found(&["93.184.216.34", "2606:2800:220:1::34"]));
    assert_eq!(printed, "93.184.216.34 2606:2800:220:1::34\n");
    let frames = stage.kinds().filter_map(|kind| match kind {
        RecordKind::FrameSent { packet, bytes, .. } => Some((*packet, bytes.clone())),
        _ => None,
    });
    let frames: std::collections::BTreeMap<_, _> = frames.collect();
    // UDP, from or to port 53.
    let dns = frames
        .values()
        .filter(|f| f.len() > 38 && f[23] == 17 && (f[34..36] == [0, 53] || f[36..38] == [0, 53]));
    assert_eq!(dns.count(), 4, "two questions and two answers are seen on the cable");
    // What means something else in the lab has a stand-in, which is connected to by name.
    let (printed, _) = looked_up(found(&["127.0.0.1", "10.0.0.1", "198.18.7.7"]));
    assert_eq!(printed, "198.18.0.1\n");
    for (fact, expected) in [
        (GatewayFact::NoSuchName, "EAI_NONAME\n"),
        (GatewayFact::Unreachable, "EAI_AGAIN\n"),
        (GatewayFact::NotAllowed, "198.18.0.1\n"),
        (GatewayFact::NoRelay, "198.18.0.1\n"),
    ] {
        let (printed, _) = looked_up(|flow| GatewayEvent::Failed { flow, fact: fact.clone() });
        assert_eq!(printed, expected, "{fact:?}");
    }
    let (printed, _) = looked_up(|flow| GatewayEvent::Closed { flow, reset: true });
    assert_eq!(printed, "EAI_AGAIN\n", "the past was cut off");
}

#[test]
fn the_address_of_a_name_is_dialled_and_called_by_the_name() {
    let mut stage = stage(|sys| {
        let address = sys.resolve("shop.example").unwrap();
        assert_eq!(sys.ok("revresolve", args![&*address]).str(), "shop.example");
        let s = sys.socket(TCP);
        let _ = sys.call("connect", args![s, (&*address, 80), Some(Duration::from_secs(1))]);
        assert_eq!(sys.resolve("SHOP.example").unwrap(), address, "kept for a minute");
        sys.sleep(Duration::from_secs(61)).unwrap();
        sys.resolve("shop.example").unwrap_err();
        sys.print("ok");
    });
    let GatewayRequest::LookUp { flow, .. } = stage.request() else { panic!() };
    let addresses = vec!["93.184.216.34".parse().unwrap()];
    stage.world.handle_gateway(GatewayEvent::Addresses { flow, addresses });
    let (flow, host, port) = open_tcp(&mut stage);
    assert_eq!((host.as_str(), port), ("93.184.216.34", 80));
    stage.world.handle_gateway(GatewayEvent::Failed { flow, fact: GatewayFact::NotAllowed });
    let GatewayRequest::LookUp { flow, .. } = stage.request() else { panic!() };
    stage.world.handle_gateway(GatewayEvent::Failed { flow, fact: GatewayFact::NoSuchName });
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "ok\n");
    let not_allowed = ("shop.example:80".to_owned(), GatewayFact::NotAllowed);
    assert!(facts(&stage).contains(&not_allowed), "{:?}", facts(&stage));
}
