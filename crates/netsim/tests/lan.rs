//! The port to a shared LAN: two labs, each in a world of its own, whose hosts hear each other by frames alone.

mod common;

use std::time::Duration;

use common::{Lan, Stage, Sys, TCP, delay};
use socketlab_netsim::{
    End, LanEvent, LinkParams, NodeId, Program, RecordKind, Rest, Stdin, Turn, WorldBuilder,
};
use socketlab_stack::{Instant, IpCidr, MacAddr};

/// A host with the address 10.77.`slot`.1 and one program, at a port to the shared LAN.
fn lab(slot: u8, code: impl Fn(&mut Sys) + Send + Sync + 'static) -> Stage {
    let mut builder = WorldBuilder::new(u64::from(slot));
    let host = builder.host("pc");
    let port = builder.lan("class");
    let address = IpCidr { address: [10, 77, slot, 1].into(), prefix_len: 16 };
    let own = End { node: host, mac: MacAddr([2, 0x53, 0x4c, 0, slot, 1]), addresses: vec![address] };
    let end = End { node: port, mac: MacAddr::default(), addresses: Vec::new() };
    builder.link(own, end, LinkParams { delay: Duration::from_millis(1), ..LinkParams::default() });
    builder.program(Program {
        node: host,
        host: "pc".to_owned(),
        file: "main.py".to_owned(),
        args: Vec::new(),
        start: Duration::ZERO,
        stdin: Stdin::Open,
        forever: false,
    });
    let mut stage = Stage::new(builder.build(), vec![std::sync::Arc::new(code)]);
    stage.world.handle_lan(LanEvent::Joined(true));
    stage.world.start();
    stage
}

/// When something happens next.
fn next(stage: &mut Stage) -> Option<Instant> {
    stage.outputs();
    match stage.world.turn() {
        Turn::Process(_) => Some(stage.world.now()),
        Turn::Event(at) => Some(at),
        Turn::Idle => None,
    }
}

/// Lets both go on at one clock until neither has anything to do, and carries their frames over.
fn together(a: &mut Stage, b: &mut Stage) {
    loop {
        let (first, other) = match (next(a), next(b)) {
            (None, None) => return,
            (Some(x), Some(y)) if x > y => (&mut *b, &mut *a),
            (None, Some(_)) => (&mut *b, &mut *a),
            _ => (&mut *a, &mut *b),
        };
        first.turn();
        first.outputs();
        for frame in core::mem::take(&mut first.lan) {
            other.world.advance_to(first.world.now());
            other.world.handle_lan(LanEvent::Frame(frame.into()));
        }
    }
}

fn server(sys: &mut Sys) {
    let s = sys.listener("0.0.0.0", 7000);
    let c = sys.accept(s);
    let asked = sys.recv(c, 100).unwrap_or_default();
    sys.send_all(c, &asked.to_ascii_uppercase()).ok();
    let end = match sys.recv(c, 100) {
        Ok(rest) => format!("{} more", rest.len()),
        Err(error) => error,
    };
    sys.print(&end);
}

#[test]
fn a_client_in_one_lab_reaches_a_server_in_another() {
    let mut a = lab(1, server);
    let mut b = lab(2, |sys| {
        let address = sys.resolve("pc.anna").unwrap();
        let s = sys.socket(TCP);
        sys.connect(s, &address, 7000).unwrap();
        sys.send_all(s, b"hej").unwrap();
        let answer = sys.recv(s, 100).unwrap();
        sys.print(&format!("{address} {}", String::from_utf8(answer).unwrap()));
        sys.close(s);
    });
    b.world.handle_lan(LanEvent::Names(vec![("pc.Anna".to_owned(), vec![[10, 77, 1, 1].into()])]));
    together(&mut a, &mut b);
    assert_eq!(b.console(0).trim(), "10.77.1.1 HEJ");
    assert_eq!(a.console(0).trim(), "0 more");
    let seen =
        a.kinds().any(|kind| matches!(kind, RecordKind::FrameSent { from: NodeId(1), to: NodeId(0), .. }));
    assert!(seen, "frames from outside leave the port as any others");
}

#[test]
fn who_waits_in_a_shared_lan_waits_for_somebody() {
    let mut a = lab(1, server);
    let mut nobody = lab(2, |_| {});
    together(&mut a, &mut nobody);
    assert_eq!(a.world.rest(), Rest::RealWorld);
    assert!(a.world.real_time());
    a.world.handle_lan(LanEvent::Joined(false));
    assert!(matches!(a.world.rest(), Rest::Deadlock(_)), "alone again: {:?}", a.world.rest());
    assert_eq!(a.world.turn(), Turn::Idle);
}

#[test]
fn a_teacher_ends_a_connection() {
    let mut a = lab(1, server);
    let mut b = lab(2, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.77.1.1", 7000).unwrap();
        sys.send_all(s, b"hej").unwrap();
        sys.recv(s, 100).unwrap();
        let end = sys.recv(s, 100).map_or_else(|error| error, |octets| format!("{octets:?}"));
        sys.print(&end);
    });
    together(&mut a, &mut b);
    let local = "10.77.1.1:7000".parse().unwrap();
    let (_, host) = a.world.snapshot().remove(0);
    let remote = host.sockets.iter().find_map(|socket| socket.peer).unwrap();
    a.world.handle_lan(LanEvent::Reset { node: NodeId(0), local, remote });
    together(&mut a, &mut b);
    assert!(a.console(0).contains("ECONNABORTED"), "{}", a.console(0));
    assert!(b.console(0).contains("ECONNRESET"), "{}", b.console(0));
}

#[test]
fn a_world_without_a_port_hears_nothing() {
    let mut lan = Lan::new(delay(1));
    lan.host();
    let mut stage = lan.stage();
    stage.world.handle_lan(LanEvent::Frame(vec![0xff; 60].into()));
    stage.play();
    assert_eq!(stage.kinds().count(), 0);
}
