//! The way to the relay, against a relay that the test plays packet by packet.

use std::net::IpAddr;

use socketlab_wisp::{Answer, Ext, Limits, Offer, Packet, Question, Server, ServerTerms};

use super::*;

const FLOW: FlowId = FlowId(7);

struct Scene {
    relay: Relay,
    now: Duration,
}

impl Scene {
    fn new() -> Scene {
        Scene { relay: Relay::default(), now: Duration::from_secs(1) }
    }

    /// A TCP flow was asked for and the relay has greeted.
    fn opening() -> Scene {
        let mut scene = Scene::new();
        scene.asks(GatewayRequest::OpenTcp { flow: FLOW, host: "relay.example".to_owned(), port: 7 });
        scene.relay.handle_open();
        scene.hears(Packet::Continue { stream: StreamId::CONNECTION, credit: 4 });
        scene
    }

    fn asks(&mut self, request: GatewayRequest) {
        self.relay.handle_request(self.now, request);
    }

    fn hears(&mut self, packet: Packet) {
        self.relay.handle_message(self.now, packet.emit());
    }

    fn jobs(&mut self) -> Vec<RelayJob> {
        std::iter::from_fn(|| self.relay.poll_job()).collect()
    }

    fn told(&mut self) -> Vec<GatewayEvent> {
        self.jobs()
            .into_iter()
            .filter_map(|job| if let RelayJob::Tell(event) = job { Some(event) } else { None })
            .collect()
    }

    fn sent(&mut self) -> Vec<Packet> {
        let jobs = self.jobs().into_iter();
        jobs.filter_map(|job| if let RelayJob::Send(bytes) = job { Packet::parse(bytes).ok() } else { None })
            .collect()
    }
}

#[test]
fn the_first_flow_opens_the_connection() {
    let mut scene = Scene::new();
    scene.asks(GatewayRequest::OpenTcp { flow: FLOW, host: "relay.example".to_owned(), port: 7 });
    assert_eq!(scene.jobs(), [RelayJob::Show(Link::Connecting), RelayJob::Connect]);
    scene.relay.handle_open();
    assert_eq!(scene.jobs(), [RelayJob::Show(Link::Open)], "nothing before the relay's greeting");
    scene.hears(Packet::Continue { stream: StreamId::CONNECTION, credit: 4 });
    let host = "relay.example".to_owned();
    assert_eq!(scene.sent(), [Packet::Connect { stream: StreamId(1), kind: StreamKind::Tcp, port: 7, host }]);
}

#[test]
fn octets_go_both_ways_and_the_end_is_told() {
    let mut scene = Scene::opening();
    scene.jobs();
    scene.hears(Packet::Continue { stream: StreamId(1), credit: 4 });
    let told = scene.told();
    assert_eq!(told[0], GatewayEvent::Opened { flow: FLOW });
    assert!(matches!(told[1], GatewayEvent::Writable { flow: FLOW, octets } if octets > 1000), "{told:?}");
    scene.asks(GatewayRequest::Data { flow: FLOW, bytes: Bytes::from_static(b"hej") });
    assert_eq!(scene.sent(), [Packet::Data { stream: StreamId(1), bytes: Bytes::from_static(b"hej") }]);
    scene.hears(Packet::Data { stream: StreamId(1), bytes: Bytes::from_static(b"svar") });
    assert_eq!(scene.told(), [GatewayEvent::Data { flow: FLOW, bytes: Bytes::from_static(b"svar") }]);
    scene.hears(Packet::Close { stream: StreamId(1), reason: Reason::VOLUNTARY });
    assert_eq!(scene.told(), [GatewayEvent::Closed { flow: FLOW, reset: false }]);
}

#[test]
fn each_refusal_keeps_its_reason() {
    for (reason, fact) in [
        (Reason::REFUSED, GatewayFact::Refused),
        (Reason::BLOCKED, GatewayFact::NotAllowed),
        (Reason::TIMED_OUT, GatewayFact::TimedOut),
        (Reason::UNREACHABLE, GatewayFact::Unreachable),
        (Reason::THROTTLED, GatewayFact::Throttled),
    ] {
        let mut scene = Scene::opening();
        scene.hears(Packet::Close { stream: StreamId(1), reason });
        assert_eq!(scene.told(), [GatewayEvent::Failed { flow: FLOW, fact }]);
    }
}

#[test]
fn a_refused_datagram_is_a_failure_too() {
    let mut scene = Scene::new();
    scene.asks(GatewayRequest::OpenUdp { flow: FLOW, host: "10.9.9.9".to_owned(), port: 7 });
    scene.relay.handle_open();
    scene.hears(Packet::Continue { stream: StreamId::CONNECTION, credit: 4 });
    scene.jobs();
    scene.hears(Packet::Close { stream: StreamId(1), reason: Reason::BLOCKED });
    assert_eq!(scene.told(), [GatewayEvent::Failed { flow: FLOW, fact: GatewayFact::NotAllowed }]);
}

#[test]
fn when_the_relay_is_gone_flows_fail_and_it_is_tried_again_later_and_later() {
    let mut scene = Scene::opening();
    scene.jobs();
    scene.relay.handle_lost(scene.now);
    let failed = RelayJob::Tell(GatewayEvent::Failed { flow: FLOW, fact: GatewayFact::NoRelay });
    assert_eq!(scene.jobs(), [failed, RelayJob::Show(Link::Lost { retry_ms: 500 })]);

    // Between two tries a new flow fails at once.
    scene.asks(GatewayRequest::OpenTcp { flow: FlowId(8), host: "relay.example".to_owned(), port: 7 });
    assert_eq!(scene.told(), [GatewayEvent::Failed { flow: FlowId(8), fact: GatewayFact::NoRelay }]);

    for retry_ms in [1000, 2000, 4000, 8000, 16_000, 16_000] {
        scene.now = scene.relay.poll_timeout().expect("it will be tried again");
        scene.relay.handle_timeout(scene.now);
        assert_eq!(scene.jobs(), [RelayJob::Show(Link::Connecting), RelayJob::Connect]);
        scene.relay.handle_lost(scene.now);
        assert_eq!(scene.jobs(), [RelayJob::Show(Link::Lost { retry_ms })]);
    }
}

#[test]
fn a_new_world_closes_the_old_ones_streams() {
    let mut scene = Scene::opening();
    scene.hears(Packet::Continue { stream: StreamId(1), credit: 4 });
    scene.jobs();
    scene.relay.hang_up();
    assert_eq!(scene.sent(), [Packet::Close { stream: StreamId(1), reason: Reason::NETWORK_ERROR }]);
    scene.hears(Packet::Data { stream: StreamId(1), bytes: Bytes::from_static(b"late") });
    assert_eq!(scene.told(), []);
}

#[test]
fn at_the_end_of_a_run_what_was_given_still_goes_out() {
    let mut scene = Scene::opening();
    scene.hears(Packet::Continue { stream: StreamId(1), credit: 0 });
    scene.jobs();
    scene.asks(GatewayRequest::Data { flow: FLOW, bytes: Bytes::from_static(b"hej") });
    scene.relay.finish();
    assert_eq!(scene.sent(), [], "the relay has no room");
    assert!(!scene.relay.is_quiet());
    scene.hears(Packet::Continue { stream: StreamId(1), credit: 1 });
    let data = Packet::Data { stream: StreamId(1), bytes: Bytes::from_static(b"hej") };
    assert_eq!(scene.sent(), [data, Packet::Close { stream: StreamId(1), reason: Reason::VOLUNTARY }]);
    assert!(scene.relay.is_quiet());
}

/// A relay with our extension, as far as its greeting goes.
fn greets_as_ours(scene: &mut Scene) {
    let terms = ServerTerms {
        listen: false,
        bind_udp: false,
        lookup: true,
        tcp_info: true,
        ping: true,
        ports: 0,
        port_range: (0, 0),
    };
    let offer = Offer { udp: true, password: None, key: None, motd: None, confirm: true, ours: Some(terms) };
    let mut server = Server::version2(Limits::default(), offer);
    scene.relay.handle_open();
    scene.hears(server.greeting());
    for job in scene.jobs() {
        if let RelayJob::Send(bytes) = job {
            let _ = server.handle_message(bytes);
        }
    }
    scene.hears(server.admit());
}

fn answer(number: u32, answer: Answer) -> Packet {
    Packet::Ext { stream: StreamId(number), body: Ext::Answer(answer) }
}

fn asked(scene: &mut Scene) -> Vec<(u32, Question)> {
    let sent = scene.sent().into_iter();
    sent.filter_map(|packet| match packet {
        Packet::Ext { stream, body: Ext::Ask(question) } => Some((stream.0, question)),
        _ => None,
    })
    .collect()
}

#[test]
fn questions_are_asked_when_the_relay_is_there_and_answered() {
    let mut scene = Scene::new();
    let name = || "shop.example".to_owned();
    scene.asks(GatewayRequest::LookUp { flow: FLOW, host: name() });
    scene.asks(GatewayRequest::Ping { flow: FlowId(8), host: "192.0.2.9".to_owned() });
    assert_eq!(scene.jobs(), [RelayJob::Show(Link::Connecting), RelayJob::Connect]);
    greets_as_ours(&mut scene);
    let questions = asked(&mut scene);
    assert_eq!(
        questions,
        [(1, Question::Lookup { host: name() }), (2, Question::Ping { host: "192.0.2.9".to_owned() })]
    );
    let addresses: Vec<IpAddr> = vec!["93.184.216.34".parse().unwrap()];
    scene.hears(answer(2, Answer::Failed { question: 3, errno: 13, text: "why not".to_owned() }));
    scene.hears(answer(1, Answer::Lookup { addresses: addresses.clone() }));
    let not_allowed = GatewayEvent::Failed { flow: FlowId(8), fact: GatewayFact::NotAllowed };
    assert_eq!(
        scene.jobs(),
        [
            RelayJob::Say("why not".to_owned()),
            RelayJob::Tell(not_allowed),
            RelayJob::Tell(GatewayEvent::Addresses { flow: FLOW, addresses }),
        ]
    );
    scene.hears(answer(1, Answer::Lookup { addresses: Vec::new() }));
    assert_eq!(scene.jobs(), [], "an answer to nothing");
}

#[test]
fn an_address_that_an_earlier_connection_told_is_asked_for_by_its_name() {
    let mut scene = Scene::new();
    scene.asks(GatewayRequest::LookUp { flow: FLOW, host: "shop.example".to_owned() });
    scene.jobs();
    greets_as_ours(&mut scene);
    scene.hears(answer(1, Answer::Lookup { addresses: vec!["93.184.216.34".parse().unwrap()] }));
    scene.jobs();
    let dialled = |scene: &mut Scene, flow| {
        scene.asks(GatewayRequest::OpenTcp { flow, host: "93.184.216.34".to_owned(), port: 80 });
        let sent = scene.sent().into_iter();
        sent.filter_map(|p| if let Packet::Connect { host, .. } = p { Some(host) } else { None }).next()
    };
    assert_eq!(dialled(&mut scene, FlowId(8)).as_deref(), Some("93.184.216.34"));
    scene.relay.handle_lost(scene.now);
    scene.now = scene.relay.poll_timeout().unwrap();
    scene.relay.handle_timeout(scene.now);
    scene.jobs();
    greets_as_ours(&mut scene);
    scene.jobs();
    assert_eq!(dialled(&mut scene, FlowId(9)).as_deref(), Some("shop.example"));
}

#[test]
fn questions_end_with_the_relay_or_where_it_has_no_answers() {
    let failed = |fact| GatewayEvent::Failed { flow: FLOW, fact };
    let mut lost = Scene::new();
    lost.asks(GatewayRequest::Ping { flow: FLOW, host: "192.0.2.9".to_owned() });
    lost.jobs();
    lost.relay.handle_lost(lost.now);
    assert_eq!(lost.told(), [failed(GatewayFact::NoRelay)]);
    lost.asks(GatewayRequest::Ping { flow: FLOW, host: "192.0.2.9".to_owned() });
    assert_eq!(lost.told(), [failed(GatewayFact::NoRelay)], "between two tries");

    let mut plain = Scene::new();
    plain.asks(GatewayRequest::LookUp { flow: FLOW, host: "shop.example".to_owned() });
    plain.relay.handle_open();
    plain.hears(Packet::Continue { stream: StreamId::CONNECTION, credit: 4 });
    assert_eq!(plain.told(), [failed(GatewayFact::NotAllowed)], "a relay that speaks plain Wisp");
}

#[test]
fn no_more_questions_are_open_than_a_relay_takes() {
    let mut scene = Scene::new();
    for flow in 0..40 {
        scene.asks(GatewayRequest::Ping { flow: FlowId(flow), host: "192.0.2.9".to_owned() });
    }
    scene.jobs();
    greets_as_ours(&mut scene);
    let first = asked(&mut scene);
    assert_eq!(first.len(), 24, "eight of 32 are left for real sockets");
    scene.asks(GatewayRequest::Close { flow: FlowId(39), reset: false });
    for (number, _) in first {
        scene.hears(answer(number, Answer::Ping { from: "192.0.2.9".parse().unwrap(), rtt_us: 1 }));
    }
    assert_eq!(asked(&mut scene).len(), 15, "the rest but the one that nobody wants any more");
}

/// A relay's own opinion of a socket.
fn figures() -> TcpInfo {
    TcpInfo {
        local: "127.0.0.1:40000".parse().unwrap(),
        remote: "127.0.0.1:7".parse().unwrap(),
        state: 1,
        rtt_us: 40,
        rttvar_us: 20,
        rto_us: 204_000,
        cwnd: 10,
        ssthresh: u32::MAX >> 1,
        snd_mss: 1_448,
        unacked: 0,
        lost: 0,
        retransmitted: 0,
        octets_acked: 3,
        octets_received: 3,
    }
}

#[test]
fn real_sockets_are_asked_for_when_they_open_every_second_and_at_the_end() {
    let mut scene = Scene::new();
    scene.relay.watch_sockets();
    scene.asks(GatewayRequest::OpenTcp { flow: FLOW, host: "relay.example".to_owned(), port: 7 });
    greets_as_ours(&mut scene);
    scene.jobs();
    scene.hears(Packet::Continue { stream: StreamId(1), credit: 4 });
    let question = Question::Socket { stream: StreamId(1) };
    assert_eq!(asked(&mut scene), [(1, question.clone())]);
    scene.hears(answer(1, Answer::Socket(Box::new(figures()))));
    assert_eq!(scene.jobs(), [RelayJob::Socket { flow: FLOW, info: Box::new(figures()) }]);

    scene.now = scene.relay.poll_timeout().expect("it will be asked again");
    scene.relay.handle_timeout(scene.now);
    assert_eq!(asked(&mut scene), [(2, question.clone())]);
    // The answer may come after the flow is over.
    scene.asks(GatewayRequest::Finish { flow: FLOW });
    assert_eq!(asked(&mut scene), [(3, question)]);
    scene.asks(GatewayRequest::Close { flow: FLOW, reset: false });
    scene.hears(answer(2, Answer::Failed { question: 2, errno: 107, text: "gone".to_owned() }));
    scene.hears(answer(3, Answer::Socket(Box::new(figures()))));
    let told = RelayJob::Socket { flow: FLOW, info: Box::new(figures()) };
    assert!(scene.jobs().contains(&told));
    assert_eq!(scene.relay.poll_timeout(), None, "nothing is left to ask for");
}

#[test]
fn a_relay_that_turns_us_away_is_tried_again_with_another_code_only() {
    for (reason, why) in [
        (Reason::CREDENTIALS_REQUIRED, TurnedAway::CodeWanted),
        (Reason::BAD_PASSWORD, TurnedAway::WrongCode),
        (Reason::BLOCKED, TurnedAway::Withdrawn),
    ] {
        let mut scene = Scene::opening();
        scene.hears(Packet::Continue { stream: StreamId(1), credit: 4 });
        scene.jobs();
        scene.hears(Packet::Close { stream: StreamId::CONNECTION, reason });
        let failed = |flow| RelayJob::Tell(GatewayEvent::Failed { flow, fact: GatewayFact::NoRelay });
        assert_eq!(scene.jobs(), [failed(FLOW), RelayJob::Dismissed(reason)]);
        scene.relay.handle_lost(scene.now);
        assert_eq!(scene.jobs(), [RelayJob::Show(Link::TurnedAway(why))]);
        assert_eq!(scene.relay.poll_timeout(), None);
        scene.asks(GatewayRequest::OpenTcp { flow: FlowId(8), host: "relay.example".to_owned(), port: 7 });
        assert_eq!(scene.jobs(), [failed(FlowId(8))]);
        scene.asks(GatewayRequest::Ping { flow: FlowId(9), host: "relay.example".to_owned() });
        assert_eq!(scene.jobs(), [failed(FlowId(9))]);
        scene.relay.set_code(Some("kiva-2026".to_owned()));
        assert_eq!(scene.jobs(), [RelayJob::Show(Link::Connecting), RelayJob::Connect]);
    }
}
