//! Built-in services, seen from programs and from the network.

mod common;

use std::time::Duration;

use common::{Code, FOREVER, Lan, Stage, Sys, TCP, UDP, delay};
use socketlab_netsim::{NodeId, RecordKind, Rest, Service, ServiceKind};

/// A client (10.0.0.1) that runs `code`, and a host (10.0.0.2) with a service.
fn with_service(kind: ServiceKind, port: u16, code: impl Fn(&mut Sys) + Send + Sync + 'static) -> Stage {
    let mut lan = Lan::new(delay(1));
    let (client, server) = (lan.host(), lan.host());
    lan.builder.service(Service { node: server, port, kind: kind.clone() });
    if matches!(kind, ServiceKind::Dns { .. }) {
        lan.builder.resolver(client, [10, 0, 0, 2].into());
    }
    lan.program(client, 1, code);
    lan.stage()
}

fn dns(names: &[(&str, [u8; 4])]) -> ServiceKind {
    let names = names.iter().map(|(name, ip)| ((*name).to_owned(), (*ip).into()));
    ServiceKind::Dns { names: names.collect() }
}

/// Datagrams from and to port 53 on the client's link.
fn questions(stage: &Stage) -> usize {
    let is_dns = |bytes: &[u8]| bytes.len() > 42 && bytes[23] == 17 && (bytes[37] == 53 || bytes[35] == 53);
    let frames = stage
        .kinds()
        .filter(|k| matches!(k, RecordKind::FrameSent { link, bytes, .. } if link.0 == 0 && is_dns(bytes)));
    frames.count()
}

#[test]
fn names_are_asked_over_the_network() {
    let mut stage = with_service(dns(&[("www.example.se", [10, 0, 0, 99])]), 53, |sys| {
        for name in ["host2", "www.example.se", "nobody.example.se"] {
            let found = sys.resolve(name).unwrap_or_else(|error| error);
            sys.print(&found);
        }
        // A literal asks nobody.
        assert_eq!(sys.resolve("10.9.9.9").unwrap(), "10.9.9.9");
        let name = sys.ok("revresolve", vec!["10.0.0.99".into()]);
        sys.print(name.str());
        assert_eq!(sys.call("resolve", args!["host2", 10]).unwrap_err(), "EAI_NODATA");
    });
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "10.0.0.2\n10.0.0.99\nEAI_NONAME\nwww.example.se\n");
    // Three names for two families, one address, one family: each there and back.
    assert_eq!(questions(&stage), 2 * (3 * 2 + 1 + 1));
    let names: Vec<&str> = stage
        .kinds()
        .filter_map(|k| match k {
            RecordKind::CallEntered { name, place, .. } if place == "program0.py:1" => Some(*name),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["resolve", "socket", "connect", "send", "send", "recv", "recv", "close"]);
}

#[test]
fn without_a_server_that_answers_a_name_is_a_temporary_failure() {
    let mut lan = Lan::new(delay(1));
    let (client, _silent) = (lan.host(), lan.host());
    lan.builder.resolver(client, [10, 0, 0, 2].into());
    lan.program(client, 0, |sys| {
        let error = sys.resolve("server").unwrap_err();
        sys.print(&format!("{error} after {} ms", sys.now / 1_000_000));
        // One's own name is in the hosts file, and the socket of the lookup is closed.
        assert_eq!(sys.resolve("host1").unwrap(), "10.0.0.1");
        let s = sys.socket(UDP);
        assert_eq!(s, 3);
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    // ICMP says at once that nobody listens there; asked twice.
    assert_eq!(stage.console(0), "EAI_AGAIN after 8 ms\n");
}

#[test]
fn a_lookup_gives_up_after_two_times_five_seconds() {
    let mut lan = Lan::new(delay(1));
    let (client, server) = (lan.host(), lan.host());
    lan.builder.resolver(client, [10, 0, 0, 2].into());
    lan.program(client, 1, |sys| {
        let error = sys.resolve("server").unwrap_err();
        sys.print(&format!("{error} after {} s", sys.now / 1_000_000_000));
    });
    // It holds the port and says nothing.
    lan.server(server, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("0.0.0.0", 53)]);
        sys.sleep(Duration::from_secs(100)).unwrap();
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "EAI_AGAIN after 10 s\n");
}

#[test]
fn a_lookup_can_be_interrupted() {
    let mut lan = Lan::new(delay(1));
    let (client, server) = (lan.host(), lan.host());
    lan.builder.resolver(client, [10, 0, 0, 2].into());
    lan.program(client, 0, |sys| {
        let error = sys.resolve("server").unwrap_err();
        sys.print(&error);
        assert_eq!(sys.socket(UDP), 3, "nothing is left open");
    });
    lan.server(server, |sys| {
        let s = sys.socket(UDP);
        sys.ok("bind", args![s, ("0.0.0.0", 53)]);
        sys.recv(s, 10).unwrap();
        sys.recv(s, 10).unwrap();
        sys.recv(s, 10).unwrap();
    });
    let mut stage = lan.stage();
    stage.world.start();
    stage.play_for(Duration::from_secs(2));
    stage.world.interrupt(socketlab_stack::Pid(1));
    assert_eq!(stage.play(), Rest::Finished);
    assert_eq!(stage.console(0), "EINTR\n");
}

#[test]
fn the_web_server_speaks_http() {
    let pages = vec![("/".to_owned(), "<p>Hej</p>\n".to_owned()), ("/a.txt".to_owned(), "åäö\n".to_owned())];
    let mut stage = with_service(ServiceKind::Http { pages }, 80, |sys| {
        let ask = |sys: &mut Sys, request: &[u8]| {
            let s = sys.socket(TCP);
            sys.connect(s, "10.0.0.2", 80).unwrap();
            // Cut in two, as a network may.
            let (head, tail) = request.split_at(request.len() / 2);
            sys.send_all(s, head).unwrap();
            sys.sleep(Duration::from_millis(100)).unwrap();
            sys.send_all(s, tail).unwrap();
            let answer = sys.recv_all(s);
            sys.close(s);
            sys.print(&String::from_utf8(answer).unwrap().replace('\r', ""));
        };
        ask(sys, b"GET / HTTP/1.0\r\n\r\n");
        ask(sys, b"GET /a.txt?x HTTP/1.1\r\nHost: h\r\n\r\nHEAD /nix HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        ask(sys, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n");
        ask(sys, b"hej\r\n\r\n");
    });
    assert_eq!(stage.run(), Rest::Finished);
    let said = stage.console(0);
    let lines: Vec<&str> =
        said.lines().filter(|l| l.starts_with("HTTP/") || l.starts_with("Content-L")).collect();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 200 OK",
            "Content-Length: 11",
            "HTTP/1.1 200 OK",
            "Content-Length: 7",
            "HTTP/1.1 404 Not Found",
            "Content-Length: 68",
            "HTTP/1.1 405 Method Not Allowed",
            "Content-Length: 86",
            "HTTP/1.1 200 OK",
            "Content-Length: 11",
            "HTTP/1.1 400 Bad Request",
            "Content-Length: 72"
        ]
    );
    assert!(
        said.contains("åäö\n") && said.contains("Allow: GET, HEAD\n") && !said.contains("<h1>404"),
        "{said}"
    );
}

#[test]
fn echo_gives_back_what_it_gets() {
    let mut stage = with_service(ServiceKind::Echo, 7, |sys| {
        let u = sys.socket(UDP);
        sys.ok("sendto", args![u, b"udp", 0, ("10.0.0.2", 7), FOREVER]);
        assert_eq!(sys.recv(u, 10).unwrap(), b"udp");
        let t = sys.socket(TCP);
        sys.connect(t, "10.0.0.2", 7).unwrap();
        let much: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let mut back = Vec::new();
        for piece in much.chunks(10_000) {
            sys.send_all(t, piece).unwrap();
        }
        sys.ok("shutdown", args![t, 1]);
        back.extend(sys.recv_all(t));
        assert!(back == much);
        sys.print("same");
    });
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "same\n");
}

#[test]
fn a_chat_room_tells_all_others() {
    let mut lan = Lan::new(delay(1));
    let (a, b, server) = (lan.host(), lan.host(), lan.host());
    lan.builder.service(Service { node: server, port: 5000, kind: ServiceKind::Chat });
    let guest = |name: &'static str, start: u64| -> (u64, Code) {
        let code: Code = std::sync::Arc::new(move |sys: &mut Sys| {
            let s = sys.socket(TCP);
            sys.connect(s, "10.0.0.3", 5000).unwrap();
            assert_eq!(sys.recv(s, 100).unwrap(), b"Your name?\n");
            sys.send_all(s, format!("{name}\n").as_bytes()).unwrap();
            sys.sleep(Duration::from_millis(100)).unwrap();
            sys.send_all(s, format!("hej fr\u{e5}n {name}\n").as_bytes()).unwrap();
            sys.sleep(Duration::from_millis(200)).unwrap();
            sys.ok("shutdown", args![s, 1]);
            let heard = sys.recv_all(s);
            sys.print(&format!("[{name}] {}", String::from_utf8_lossy(&heard).replace('\n', "|")));
        });
        (start, code)
    };
    for (node, (start, code)) in [(a, guest("Ada", 0)), (b, guest("Bo", 50))] {
        lan.program(node, start, move |sys| code(sys));
    }
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "[Ada] * Bo is here|Bo: hej från Bo|\n");
    assert_eq!(stage.console(1), "[Bo] Ada: hej från Ada|* Ada has left|\n");
}

#[test]
fn services_make_the_same_calls_as_programs() {
    let mut stage = with_service(ServiceKind::Echo, 7, |sys| {
        let t = sys.socket(TCP);
        sys.connect(t, "10.0.0.2", 7).unwrap();
        sys.close(t);
    });
    let world = stage.world.clone();
    assert_eq!(stage.run(), Rest::Finished);
    let pid = stage.kinds().find_map(|k| match k {
        RecordKind::ServiceStarted { node: NodeId(2), pid, kind: "echo" } => Some(*pid),
        _ => None,
    });
    let pid = pid.unwrap();
    let calls = stage.kinds().filter_map(|k| match k {
        RecordKind::CallEntered { pid: p, name, .. } if *p == pid => Some(*name),
        _ => None,
    });
    let calls: Vec<&str> = calls.collect();
    assert_eq!(
        calls,
        [
            "socket",
            "setsockopt",
            "bind",
            "listen",
            "socket",
            "bind",
            "poll",
            "accept",
            "poll",
            "recv",
            "close",
            "poll"
        ]
    );
    let host = &stage.world.snapshot()[1].1;
    assert!(host.sockets.iter().any(|s| s.owners.iter().any(|(p, _)| *p == pid)));
    // A world with services can be cloned and played again.
    let again = common::replay(
        {
            let mut world = world;
            world.start();
            world
        },
        &stage.heard,
    );
    assert_eq!(again, stage.records);
}

/// A host without an address, and a server that lends some.
fn with_dhcp(lease: u64, code: impl Fn(&mut Sys) + Send + Sync + 'static) -> Stage {
    let mut lan = Lan::new(delay(1));
    let server = lan.host();
    let client = lan.builder.host("laptop");
    let bare = |node, last| socketlab_netsim::End {
        node,
        mac: socketlab_stack::MacAddr([2, 0, 0, 0, 9, last]),
        addresses: vec![],
    };
    lan.builder.link(bare(client, 9), bare(NodeId(0), 0), delay(1));
    let pool = socketlab_netsim::DhcpPool {
        interface: "eth0".to_owned(),
        first: [10, 0, 0, 100].into(),
        last: [10, 0, 0, 101].into(),
        prefix_len: 24,
        router: Some([10, 0, 0, 1].into()),
        dns: Some([10, 0, 0, 1].into()),
        lease: Duration::from_secs(lease),
    };
    lan.builder.service(Service { node: server, port: 67, kind: ServiceKind::Dhcp(pool) });
    lan.builder.service(Service { node: server, port: 53, kind: dns(&[]) });
    lan.builder.service(Service { node: client, port: 68, kind: ServiceKind::DhcpClient { port: 0 } });
    lan.program(client, 0, code);
    lan.stage()
}

/// Types of the DHCP messages on the laptop's link: 1 DISCOVER, 2 OFFER, 3 REQUEST, 5 ACK.
fn dhcp_messages(stage: &Stage) -> Vec<u8> {
    let messages = stage.kinds().filter_map(|k| match k {
        RecordKind::FrameSent { link, bytes, .. }
            if link.0 == 1 && bytes.len() > 290 && (bytes[37] == 67 || bytes[37] == 68) =>
        {
            // Behind the magic number stands option 53, the message's type.
            Some(bytes[42 + 242])
        }
        _ => None,
    });
    messages.collect()
}

#[test]
fn a_host_asks_for_its_address_before_its_programs_begin() {
    let mut stage = with_dhcp(3600, |sys| {
        // The lab's DNS server came with the address, and knows the lent one.
        let found = [sys.resolve("host1").unwrap(), sys.resolve("laptop").unwrap()];
        sys.print(&found.join(" "));
        let u = sys.socket(UDP);
        sys.ok("connect", args![u, ("10.0.0.1", 7), FOREVER]);
        let own = sys.ok("getsockname", args![u]);
        sys.print(own.at(0).str());
    });
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "10.0.0.1 10.0.0.100\n10.0.0.100\n");
    assert_eq!(dhcp_messages(&stage), [1, 2, 3, 5]);
    let lent = stage.kinds().find_map(|k| match k {
        RecordKind::Configured { address: Some(address), router, time, .. } => {
            Some((address.to_string(), *router, time.as_secs()))
        }
        _ => None,
    });
    assert_eq!(lent, Some(("10.0.0.100/24".to_owned(), Some([10, 0, 0, 1].into()), 3600)));
    let laptop = stage.world.topology().nodes.iter().find(|n| n.name == "laptop").unwrap();
    assert!(laptop.addresses.contains(&[10, 0, 0, 100].into()));
}

#[test]
fn a_lease_is_renewed_at_half_of_its_time() {
    let mut stage = with_dhcp(100, |sys| {
        sys.sleep(Duration::from_secs(120)).unwrap();
    });
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(dhcp_messages(&stage), [1, 2, 3, 5, 3, 5, 3, 5]);
}

#[test]
fn without_a_dhcp_server_a_host_stays_without_an_address() {
    let mut lan = Lan::new(delay(1));
    let _other = lan.host();
    let client = lan.builder.host("laptop");
    let bare = |node, last| socketlab_netsim::End {
        node,
        mac: socketlab_stack::MacAddr([2, 0, 0, 0, 9, last]),
        addresses: vec![],
    };
    lan.builder.link(bare(client, 9), bare(NodeId(0), 0), delay(1));
    lan.builder.service(Service { node: client, port: 68, kind: ServiceKind::DhcpClient { port: 0 } });
    lan.program(client, 0, |sys| {
        let s = sys.socket(TCP);
        let error = sys.connect(s, "10.0.0.1", 80).unwrap_err();
        sys.print(&format!("{error} after {} s", sys.now / 1_000_000_000));
    });
    let mut stage = lan.stage();
    assert_eq!(stage.run(), Rest::Finished);
    assert_eq!(stage.console(0), "ENETUNREACH after 60 s\n");
}
