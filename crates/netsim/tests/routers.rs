//! Routers: several networks, TTL, ICMP errors, address translation, port forwards, packet filters.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use common::{Code, FOREVER, Stage, Sys, TCP, UDP, delay};
use socketlab_netsim::{End, LinkParams, NodeId, PacketId, Program, RecordKind, Rest, Stdin, WorldBuilder};
use socketlab_stack::{
    Cause, ConnState, Direction, DropReason, FilterAction, FilterRule, IpCidr, MacAddr, NatKind, PortForward,
};

/// `a` 10.0.1.2 – .1 `r1` 10.0.9.1 – 10.0.9.2 `r2` 10.0.2.1 – 10.0.2.2 `b`
struct Net {
    builder: WorldBuilder,
    a: NodeId,
    r1: NodeId,
    r2: NodeId,
    b: NodeId,
    code: Vec<Code>,
}

fn cidr(text: &str) -> IpCidr {
    let (address, prefix) = text.split_once('/').unwrap();
    IpCidr { address: address.parse().unwrap(), prefix_len: prefix.parse().unwrap() }
}

fn net(middle: LinkParams) -> Net {
    let mut builder = WorldBuilder::new(5);
    let (a, r1) = (builder.host("a"), builder.router("r1"));
    let (r2, b) = (builder.router("r2"), builder.host("b"));
    let mut mac = 0;
    let mut end = |node, address: &str| {
        mac += 1;
        End { node, mac: MacAddr([2, 0, 0, 0, 0, mac]), addresses: vec![cidr(address)] }
    };
    builder.link(end(a, "10.0.1.2/24"), end(r1, "10.0.1.1/24"), delay(1));
    builder.link(end(r1, "10.0.9.1/24"), end(r2, "10.0.9.2/24"), middle);
    builder.link(end(r2, "10.0.2.1/24"), end(b, "10.0.2.2/24"), delay(1));
    builder.route(a, cidr("0.0.0.0/0"), Some([10, 0, 1, 1].into()));
    builder.route(b, cidr("0.0.0.0/0"), Some([10, 0, 2, 1].into()));
    builder.route(r1, cidr("10.0.2.0/24"), Some([10, 0, 9, 2].into()));
    builder.route(r2, cidr("10.0.1.0/24"), Some([10, 0, 9, 1].into()));
    Net { builder, a, r1, r2, b, code: Vec::new() }
}

impl Net {
    fn program(&mut self, node: NodeId, start_ms: u64, code: impl Fn(&mut Sys) + Send + Sync + 'static) {
        self.builder.program(Program {
            node,
            host: String::new(),
            file: "p.py".to_owned(),
            args: Vec::new(),
            start: Duration::from_millis(start_ms),
            stdin: Stdin::Open,
            forever: false,
        });
        self.code.push(Arc::new(code));
    }

    fn stage(self) -> Stage {
        Stage::new(self.builder.build(), self.code)
    }
}

/// Why calls failed.
fn causes(stage: &Stage) -> Vec<Cause> {
    let failures = stage.kinds().filter_map(|k| match k {
        RecordKind::CallReturned { failure: Some((_, cause)), .. } => Some(cause.clone()),
        _ => None,
    });
    failures.collect()
}

fn drops(stage: &Stage) -> Vec<(u32, DropReason)> {
    let drops = stage.kinds().filter_map(|k| match k {
        RecordKind::Dropped { node, reason, .. } => Some((node.0, *reason)),
        _ => None,
    });
    drops.collect()
}

#[test]
fn a_conversation_goes_through_two_routers() {
    let mut net = net(delay(3));
    let (a, b) = (net.a, net.b);
    net.program(a, 1, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.2.2", 80).unwrap();
        sys.send_all(s, b"hej").unwrap();
        sys.ok("shutdown", args![s, 1]);
        assert_eq!(sys.recv_all(s), b"svar");
    });
    net.program(b, 0, |sys| {
        let l = sys.listener("0.0.0.0", 80);
        let accepted = sys.ok("accept", args![l, FOREVER]);
        assert_eq!(accepted.at(1).at(0).str(), "10.0.1.2");
        let s = accepted.at(0).int();
        assert_eq!(sys.recv_all(s), b"hej");
        sys.send_all(s, b"svar").unwrap();
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(causes(&stage), []);
    // The SYN is one packet on three links, with one less to live on each, and sound checksums.
    let mut hops: Vec<(PacketId, u8)> = Vec::new();
    for kind in stage.kinds() {
        if let RecordKind::FrameSent { packet, bytes, .. } = kind
            && bytes.len() > 47
            && bytes[23] == 6
            && bytes[47] == 2
        {
            hops.push((*packet, bytes[22]));
        }
    }
    let packets: BTreeSet<PacketId> = hops.iter().map(|(packet, _)| *packet).collect();
    assert_eq!(packets.len(), 1);
    assert_eq!(hops.iter().map(|(_, ttl)| *ttl).collect::<Vec<_>>(), [64, 63, 62]);
    assert_eq!(drops(&stage), []);
}

#[test]
fn a_packet_without_time_to_live_is_answered_by_the_router_where_it_ends() {
    let mut net = net(delay(3));
    let a = net.a;
    net.program(a, 1, |sys| {
        for ttl in 1..=3i64 {
            let s = sys.socket(UDP);
            sys.ok("setsockopt", args![s, 0, 2, ttl]);
            // IP_RECVERR: an unconnected reader would not hear of it.
            sys.ok("connect", args![s, ("10.0.2.2", 33434), FOREVER]);
            sys.ok("send", args![s, b"?", 0, FOREVER]);
            let soon = Some(Duration::from_millis(500));
            let error = sys.call("recv", args![s, 10, 0, soon]).unwrap_err();
            sys.print(&format!("{ttl} {error}"));
            sys.close(s);
        }
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    // Linux: "time exceeded" is no error for a socket that did not ask for it.
    assert_eq!(stage.console(0), "1 timeout\n2 timeout\n3 ECONNREFUSED\n");
    let errors: Vec<(u8, u8, [u8; 4])> = stage
        .kinds()
        .filter_map(|k| match k {
            RecordKind::FrameSent { link, bytes, to, .. }
                if link.0 == 0 && *to == NodeId(0) && bytes.get(23) == Some(&1) =>
            {
                Some((bytes[34], bytes[35], bytes[26..30].try_into().unwrap()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(errors, [(11, 0, [10, 0, 1, 1]), (11, 0, [10, 0, 9, 2]), (3, 3, [10, 0, 2, 2])]);
    let expired: Vec<u32> =
        drops(&stage).into_iter().filter(|(_, r)| *r == DropReason::TtlExpired).map(|(n, _)| n).collect();
    assert_eq!(expired, [1, 2]);
}

#[test]
fn what_cannot_be_reached_says_so_as_on_linux() {
    let mut net = net(delay(1));
    let a = net.a;
    net.program(a, 1, |sys| {
        for address in ["10.0.7.7", "10.0.2.99"] {
            let s = sys.socket(TCP);
            let error = sys.connect(s, address, 80).unwrap_err();
            sys.print(&format!("{address} {error} {}", sys.now / 1_000_000_000));
        }
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    // The first router has no route; the last one gets no answer to ARP, and says so after three questions.
    assert_eq!(stage.console(0), "10.0.7.7 ENETUNREACH 0\n10.0.2.99 EHOSTUNREACH 3\n");
    let kinds: Vec<(u8, u8)> = causes(&stage)
        .iter()
        .map(|cause| match cause {
            Cause::Icmp { kind, code, .. } => (*kind, *code),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [(3, 0), (3, 1)]);
}

#[test]
fn a_narrow_link_is_told_to_the_sender() {
    let mut net = net(LinkParams { mtu: 1000, ..delay(1) });
    let (a, b) = (net.a, net.b);
    let much: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
    let expected = much.clone();
    net.program(a, 1, move |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.2.2", 80).unwrap();
        sys.send_all(s, &much).unwrap();
        sys.close(s);
        // A datagram may be cut on its way.
        let u = sys.socket(UDP);
        sys.ok("sendto", args![u, &[7u8; 2500][..], 0, ("10.0.2.2", 9), FOREVER]);
    });
    net.program(b, 0, move |sys| {
        let l = sys.listener("0.0.0.0", 80);
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 9)]);
        let s = sys.accept(l);
        assert!(sys.recv_all(s) == expected);
        assert_eq!(sys.recv(u, 4000).unwrap(), [7u8; 2500]);
        sys.print("all");
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(1), "all\n");
    assert!(drops(&stage).contains(&(1, DropReason::TooBig)), "{:?}", drops(&stage));
}

fn forward(protocol: u8, port: u16, to: &str) -> PortForward {
    PortForward { protocol, port, to: to.parse::<SocketAddrV4>().unwrap() }
}

/// Where a datagram or connection of `a` seems to come from, seen by `b`.
#[test]
fn a_nat_hides_the_inside_and_lets_answers_in() {
    let mut net = net(delay(1));
    let (a, r1, b) = (net.a, net.r1, net.b);
    net.builder.nat(r1, 1, NatKind::PortRestricted, vec![]);
    net.program(a, 1, |sys| {
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 5000)]);
        sys.ok("sendto", args![u, b"hej", 0, ("10.0.2.2", 9), FOREVER]);
        assert_eq!(sys.recv(u, 10).unwrap(), b"svar");
        // A stranger's word (from another port) does not come in.
        let soon = Some(Duration::from_millis(300));
        assert_eq!(sys.call("recv", args![u, 10, 0, soon]), Err("timeout".to_owned()));
        let t = sys.socket(TCP);
        sys.connect(t, "10.0.2.2", 80).unwrap();
        assert_eq!(sys.recv_all(t), b"valkommen");
        // Refused connections are told through the NAT, too, and closed ports of UDP by a translated ICMP error.
        let t = sys.socket(TCP);
        assert_eq!(sys.connect(t, "10.0.2.2", 81).unwrap_err(), "ECONNREFUSED");
        let u = sys.socket(UDP);
        sys.ok("connect", args![u, ("10.0.2.2", 10), FOREVER]);
        sys.ok("send", args![u, b"?", 0, FOREVER]);
        assert_eq!(sys.recv(u, 10).unwrap_err(), "ECONNREFUSED");
        sys.print("done");
    });
    net.program(b, 0, |sys| {
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 9)]);
        let l = sys.listener("0.0.0.0", 80);
        let got = sys.ok("recvfrom", args![u, 10, 0, FOREVER]);
        assert_eq!(got.at(1), &common::Py::from(("10.0.9.1", 5000)), "the router's address, the same port");
        sys.ok("sendto", args![u, b"svar", 0, ("10.0.9.1", 5000), FOREVER]);
        let stranger = sys.socket(UDP);
        sys.ok("sendto", args![stranger, b"fel", 0, ("10.0.9.1", 5000), FOREVER]);
        let accepted = sys.ok("accept", args![l, FOREVER]);
        assert_eq!(accepted.at(1).at(0).str(), "10.0.9.1");
        let s = accepted.at(0).int();
        sys.send_all(s, b"valkommen").unwrap();
        sys.close(s);
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "done\n");
    assert!(drops(&stage).contains(&(1, DropReason::NoMapping)));
    let table = &stage.world.snapshot()[1].1.nat;
    let first = table.iter().find(|row| row.protocol == 17 && row.outside_port == 5000).unwrap();
    assert_eq!(first.inside.to_string(), "10.0.1.2:5000");
    assert_eq!(first.peer.to_string(), "10.0.2.2:9");
    assert_eq!(table.iter().filter(|row| row.protocol == 6).count(), 2);
    let translated = stage.kinds().filter(|k| matches!(k, RecordKind::Translated { new: true, .. })).count();
    assert_eq!(translated, 4);
    // No frame outside shows an inside address.
    let inside = [10, 0, 1, 2];
    assert!(!stage.kinds().any(
        |k| matches!(k, RecordKind::FrameSent { link, bytes, .. } if link.0 > 0 && bytes.windows(4).any(|w| w == inside))
    ));
}

#[test]
fn a_full_cone_lets_strangers_in_and_mappings_are_forgotten() {
    let mut net = net(delay(1));
    let (a, r1, b) = (net.a, net.r1, net.b);
    net.builder.nat(r1, 1, NatKind::FullCone, vec![]);
    net.program(a, 1, |sys| {
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 5000)]);
        sys.ok("sendto", args![u, b"hej", 0, ("10.0.2.2", 9), FOREVER]);
        assert_eq!(sys.recv(u, 10).unwrap(), b"okand");
        let long = Some(Duration::from_secs(400));
        assert_eq!(sys.call("recv", args![u, 10, 0, long]), Err("timeout".to_owned()), "forgotten by then");
    });
    net.program(b, 0, |sys| {
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 9)]);
        sys.recv(u, 10).unwrap();
        let stranger = sys.socket(UDP);
        sys.ok("sendto", args![stranger, b"okand", 0, ("10.0.9.1", 5000), FOREVER]);
        sys.sleep(Duration::from_secs(130)).unwrap();
        sys.ok("sendto", args![stranger, b"sent", 0, ("10.0.9.1", 5000), FOREVER]);
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert!(stage.world.snapshot()[1].1.nat.is_empty());
}

#[test]
fn a_forwarded_port_brings_the_outside_in_and_inside_neighbours_too() {
    let mut net = net(delay(1));
    let (a, r1, b) = (net.a, net.r1, net.b);
    net.builder.nat(r1, 1, NatKind::PortRestricted, vec![forward(6, 8080, "10.0.1.2:80")]);
    net.program(a, 0, |sys| {
        let l = sys.listener("0.0.0.0", 80);
        for _ in 0..2 {
            let accepted = sys.ok("accept", args![l, FOREVER]);
            sys.print(accepted.at(1).at(0).str());
            let s = accepted.at(0).int();
            sys.send_all(s, b"hemma").unwrap();
            sys.close(s);
        }
    });
    net.program(b, 10, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.9.1", 8080).unwrap();
        assert_eq!(sys.recv_all(s), b"hemma");
        // Not forwarded: nobody answers.
        let t = sys.socket(TCP);
        let soon = Some(Duration::from_secs(2));
        assert_eq!(sys.call("connect", args![t, ("10.0.9.1", 8081), soon]), Err("timeout".to_owned()));
    });
    net.program(a, 3000, |sys| {
        let s = sys.socket(TCP);
        sys.connect(s, "10.0.9.1", 8080).unwrap();
        assert_eq!(sys.recv_all(s), b"hemma");
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    // Through the hairpin the neighbour, too, bears the outside address.
    assert_eq!(stage.console(0), "10.0.2.2\n10.0.9.1\n");
    assert_eq!(stage.world.snapshot()[1].1.port_forwards.len(), 1);
}

#[test]
fn fragments_go_through_a_nat() {
    let mut net = net(LinkParams { mtu: 600, ..delay(1) });
    let (a, r1, b) = (net.a, net.r1, net.b);
    net.builder.nat(r1, 1, NatKind::PortRestricted, vec![]);
    net.program(a, 1, |sys| {
        let u = sys.socket(UDP);
        sys.ok("sendto", args![u, &[1u8; 4000][..], 0, ("10.0.2.2", 9), FOREVER]);
        assert_eq!(sys.recv(u, 4000).unwrap(), [2u8; 3000]);
        sys.print("both ways");
    });
    net.program(b, 0, |sys| {
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 9)]);
        let got = sys.ok("recvfrom", args![u, 4000, 0, FOREVER]);
        assert_eq!(got.at(0).bytes(), [1u8; 4000]);
        let port = got.at(1).at(1).int();
        sys.ok("sendto", args![u, &[2u8; 3000][..], 0, ("10.0.9.1", port), FOREVER]);
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "both ways\n");
}

fn rule(direction: Direction, action: FilterAction) -> FilterRule {
    FilterRule {
        direction,
        protocol: None,
        from: None,
        to: None,
        source_ports: None,
        ports: None,
        state: None,
        action,
    }
}

#[test]
fn a_firewall_drops_and_rejects_and_says_by_which_rule() {
    let mut net = net(delay(1));
    let (a, r2, b) = (net.a, net.r2, net.b);
    net.builder.firewall(
        r2,
        vec![
            FilterRule {
                state: Some(ConnState::Established),
                ..rule(Direction::Forward, FilterAction::Accept)
            },
            FilterRule {
                protocol: Some(6),
                ports: Some((80, 80)),
                to: Some(cidr("10.0.2.0/24")),
                ..rule(Direction::Forward, FilterAction::Accept)
            },
            FilterRule { ports: Some((23, 23)), ..rule(Direction::Forward, FilterAction::Reject) },
            rule(Direction::Forward, FilterAction::Drop),
        ],
    );
    net.program(a, 1, |sys| {
        let t = sys.socket(TCP);
        sys.connect(t, "10.0.2.2", 80).unwrap();
        assert_eq!(sys.recv_all(t), b"in");
        let t = sys.socket(TCP);
        let error = sys.connect(t, "10.0.2.2", 23).unwrap_err();
        sys.print(&error);
        let t = sys.socket(TCP);
        let soon = Some(Duration::from_millis(2500));
        let error = sys.call("connect", args![t, ("10.0.2.2", 443), soon]).unwrap_err();
        sys.print(&error);
    });
    net.program(b, 0, |sys| {
        let l = sys.listener("0.0.0.0", 80);
        let s = sys.accept(l);
        sys.send_all(s, b"in").unwrap();
        sys.close(s);
        // Nobody behind the firewall may begin a conversation with the outside.
        let t = sys.socket(TCP);
        let soon = Some(Duration::from_millis(500));
        assert_eq!(sys.call("connect", args![t, ("10.0.1.2", 80), soon]), Err("timeout".to_owned()));
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "EHOSTUNREACH\ntimeout\n");
    let mut decided = [0; 4];
    for kind in stage.kinds() {
        if let RecordKind::Filtered { node, rule, .. } = kind {
            assert_eq!(*node, r2);
            decided[*rule as usize] += 1;
        }
    }
    // Rule 2 lets a SYN in; the rest of that conversation is rule 1's. 443 gets its SYNs of 0, 1 and 2 s, the inside
    // one.
    assert_eq!((decided[1], decided[2], decided[3]), (1, 1, 3 + 1));
    assert!(decided[0] >= 6);
    let counts: Vec<u64> = stage.world.snapshot()[2].1.firewall.iter().map(|r| r.packets).collect();
    assert_eq!(counts, decided);
}

#[test]
fn a_host_has_a_firewall_too() {
    let mut net = net(delay(1));
    let (a, b) = (net.a, net.b);
    net.builder.firewall(
        b,
        vec![
            FilterRule {
                from: Some(cidr("10.0.1.0/24")),
                protocol: Some(17),
                ..rule(Direction::In, FilterAction::Drop)
            },
            FilterRule { ports: Some((25, 25)), ..rule(Direction::Out, FilterAction::Drop) },
        ],
    );
    net.program(a, 1, |sys| {
        let u = sys.socket(UDP);
        sys.ok("sendto", args![u, b"hej", 0, ("10.0.2.2", 9), FOREVER]);
    });
    net.program(b, 0, |sys| {
        let u = sys.socket(UDP);
        sys.ok("bind", args![u, ("0.0.0.0", 9)]);
        let soon = Some(Duration::from_millis(500));
        assert_eq!(sys.call("recv", args![u, 9, 0, soon]), Err("timeout".to_owned()));
        let error = sys.call("sendto", args![u, b"x", 0, ("10.0.1.2", 25), FOREVER]).unwrap_err();
        sys.print(&error);
    });
    let mut stage = net.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(1), "EPERM\n");
    assert!(drops(&stage).contains(&(3, DropReason::Firewall)));
}

/// A million records fit: each is so small, beside the frames' octets, which all hops of a packet share.
#[test]
fn a_record_is_small() {
    let size = size_of::<socketlab_netsim::Record>();
    assert!(size <= 128, "{size} octets");
}
