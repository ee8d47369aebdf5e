//! Gateway mode: connections and datagrams to foreign addresses, answered in their name.

use std::time::Duration;

use bytes::Bytes;
use socketlab_stack::*;

use crate::harness::*;

/// Host 1 is the gateway of host 0.
fn net() -> Net {
    let mut net = Net::with(vec![
        HostConfig { seed: 1, ..HostConfig::default() },
        HostConfig { seed: 2, any_ip: true, ..HostConfig::default() },
    ]);
    let default = IpCidr { address: "0.0.0.0".parse().unwrap(), prefix_len: 0 };
    net.hosts[0].add_route(default, Some(ip(1)), IfaceId(1));
    net
}

fn intercept(net: &mut Net) -> (CallId, Fd, Intercept) {
    let fd = net.socket(0, STREAM);
    let call = net.start(0, Call::Connect { fd, addr: addr("198.18.0.1:443"), timeout: None });
    net.run(ms(50));
    let intercept = net.hosts[1].poll_intercept().expect("a held SYN");
    (call, fd, intercept)
}

fn id_of(intercept: &Intercept) -> InterceptId {
    match intercept {
        Intercept::Syn { id, target, .. } => {
            assert_eq!(target.to_string(), "198.18.0.1:443");
            *id
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_syn_is_held_until_the_far_side_is_open() {
    let mut net = net();
    let (call, client, syn) = intercept(&mut net);
    // The client repeats its SYN; that is no second attempt.
    net.run(Duration::from_secs(2));
    assert_eq!((net.answer(call), net.hosts[1].poll_intercept()), (None, None));
    let now = net.now;
    let server = net.hosts[1].intercept_accept(now, id_of(&syn), PID).unwrap();
    net.drain(1);
    assert_eq!(net.wait(call), Ok(Ret::Unit));
    net.send(0, client, b"GET").unwrap();
    assert_eq!(bytes(net.recv(1, server, 9)), "GET");
    net.send(1, server, b"200").unwrap();
    assert_eq!(bytes(net.recv(0, client, 9)), "200");
    let Ok(Ret::Addr(SockAddr::Ip(peer))) = net.now(0, Call::GetPeerName { fd: client }) else { panic!() };
    assert_eq!(peer.to_string(), "198.18.0.1:443");
}

#[test]
fn a_refusal_is_what_the_program_sees() {
    let from = ip(1);
    for (how, errno, cause) in [
        (
            Refusal::Reset,
            Errno::ECONNREFUSED,
            Cause::RefusedByPeer { peer: "198.18.0.1:443".parse().unwrap() },
        ),
        (Refusal::Icmp { kind: 3, code: 13 }, Errno::EHOSTUNREACH, Cause::Icmp { kind: 3, code: 13, from }),
        (Refusal::Icmp { kind: 3, code: 1 }, Errno::EHOSTUNREACH, Cause::Icmp { kind: 3, code: 1, from }),
        (Refusal::Icmp { kind: 3, code: 0 }, Errno::ENETUNREACH, Cause::Icmp { kind: 3, code: 0, from }),
    ] {
        let mut net = net();
        let (call, _, syn) = intercept(&mut net);
        let now = net.now;
        net.hosts[1].intercept_refuse(now, id_of(&syn), how);
        net.drain(1);
        assert_eq!(net.wait(call), Err(Failure::Errno(errno, cause)), "{how:?}");
        assert!(net.now - now < ms(50));
    }
    let mut net = net();
    let (call, _, syn) = intercept(&mut net);
    let now = net.now;
    net.hosts[1].intercept_refuse(now, id_of(&syn), Refusal::Silence);
    net.run(Duration::from_secs(1));
    assert_eq!(net.answer(call), None);
}

#[test]
fn datagrams_go_out_and_come_back_under_the_foreign_name() {
    let mut net = net();
    let fd = net.socket(0, DGRAM);
    net.connect(0, fd, "198.18.0.1:53".parse().unwrap()).unwrap();
    net.send(0, fd, b"who?").unwrap();
    net.run(ms(50));
    let Some(Intercept::Datagram { client, target, data }) = net.hosts[1].poll_intercept() else { panic!() };
    assert_eq!((target.to_string(), data), ("198.18.0.1:53".to_owned(), Bytes::from_static(b"who?")));
    let now = net.now;
    net.hosts[1].send_datagram_from(now, target, client, b"me");
    net.drain(1);
    assert_eq!(bytes(net.recv(0, fd, 9)), "me");
    net.hosts[1].refuse_datagram(net.now, client, target, b"who?", 3, 3);
    net.drain(1);
    assert_eq!(errno(net.recv(0, fd, 9)), Errno::ECONNREFUSED);
}

#[test]
fn the_gateways_own_address_is_an_ordinary_host() {
    let mut net = net();
    let fd = net.socket(0, STREAM);
    assert_eq!(errno(net.connect(0, fd, at(1, 80))), Errno::ECONNREFUSED);
    assert_eq!(net.hosts[1].poll_intercept(), None);
}

/// A ping socket's echo request, and the gateway's view of it.
fn pinged(net: &mut Net) -> (Fd, EchoRequest) {
    let Ok(Ret::Fd(fd)) = net.now(0, Call::Socket { family: 2, kind: 2, protocol: 1 }) else { panic!() };
    net.connect(0, fd, addr_of("198.18.0.1:0")).unwrap();
    net.send(0, fd, &[8, 0, 0, 0, 0, 0, 0, 7, b'h', b'e', b'j']).unwrap();
    net.run(ms(50));
    let Some(Intercept::Echo(request)) = net.hosts[1].poll_intercept() else { panic!() };
    assert_eq!((request.client, request.target), (ip(0), addr_of("198.18.0.1:0").ip()));
    (fd, request)
}

fn addr_of(text: &str) -> std::net::SocketAddr {
    text.parse().unwrap()
}

#[test]
fn an_echo_waits_for_the_far_side_and_is_answered_in_its_name() {
    let mut net = net();
    let (fd, request) = pinged(&mut net);
    net.hosts[1].answer_echo_from(net.now, &request);
    net.drain(1);
    let reply = net.recv(0, fd, 100);
    let Ok(Ret::Data(data, ..)) = reply else { panic!("{reply:?}") };
    assert_eq!((data[0], &data[6..]), (0, &b"\0\x07hej"[..]), "the number and the data come back");

    let (fd, request) = pinged(&mut net);
    net.hosts[1].refuse_echo(net.now, &request, 3, 13);
    net.drain(1);
    assert_eq!(errno(net.recv(0, fd, 100)), Errno::EHOSTUNREACH);
}

#[test]
fn the_gateway_itself_answers_for_itself() {
    let mut net = net();
    let Ok(Ret::Fd(fd)) = net.now(0, Call::Socket { family: 2, kind: 2, protocol: 1 }) else { panic!() };
    net.connect(0, fd, at(1, 0)).unwrap();
    net.send(0, fd, &[8, 0, 0, 0, 0, 0, 0, 7]).unwrap();
    net.run(ms(50));
    assert_eq!(net.hosts[1].poll_intercept(), None);
    assert!(matches!(net.recv(0, fd, 100), Ok(Ret::Data(..))));
}
