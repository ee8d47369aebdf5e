//! The way to the relay, against a relay that the test plays packet by packet.

use socketlab_wisp::Packet;

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
