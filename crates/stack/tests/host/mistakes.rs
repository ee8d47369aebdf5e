//! Classic mistakes with sockets: the errno that Linux gives, and the cause that the lab adds.

use std::time::Duration;

use bytes::Bytes;
use socketlab_stack::*;

use crate::harness::*;

#[test]
fn binding_a_port_that_is_taken() {
    let mut net = Net::new();
    let first = net.listener(0, 80, 5);
    let holder = net.hosts[0].socket_of(PID, first).unwrap();
    for place in ["0.0.0.0:80", "127.0.0.1:80", "10.0.0.1:80"] {
        let fd = net.socket(0, STREAM);
        let answer = net.bind(0, fd, place);
        let cause = Cause::HeldBy { socket: holder, time_wait: false };
        assert_eq!(answer, Err(Failure::Errno(Errno::EADDRINUSE, cause)), "{place}");
    }
    let udp = net.socket(0, DGRAM);
    assert_eq!(net.bind(0, udp, "0.0.0.0:80"), Ok(Ret::Unit), "UDP has its own ports");
}

#[test]
fn two_addresses_may_share_a_port() {
    let mut net = Net::new();
    let (a, b) = (net.socket(0, STREAM), net.socket(0, STREAM));
    net.bind(0, a, "127.0.0.1:80").unwrap();
    assert_eq!(net.bind(0, b, "10.0.0.1:80"), Ok(Ret::Unit));
}

#[test]
fn restarting_a_server_while_the_old_connection_rests() {
    for (old, new, expected) in [(0, 0, Err(true)), (0, 1, Err(true)), (1, 0, Err(true)), (1, 1, Ok(()))] {
        let mut net = Net::new();
        let listener = net.socket(1, STREAM);
        net.set_option(1, listener, SOL_SOCKET, SO_REUSEADDR, &[old]);
        net.bind(1, listener, "0.0.0.0:80").unwrap();
        net.now(1, Call::Listen { fd: listener, backlog: 1 }).unwrap();
        let client = net.socket(0, STREAM);
        net.connect(0, client, at(1, 80)).unwrap();
        let server = net.accept(1, listener);
        net.close(1, server);
        net.run(ms(50));
        net.close(0, client);
        net.close(1, listener);
        net.run(ms(50));
        let again = net.socket(1, STREAM);
        net.set_option(1, again, SOL_SOCKET, SO_REUSEADDR, &[new]);
        let answer = match net.bind(1, again, "0.0.0.0:80") {
            Ok(_) => Ok(()),
            Err(Failure::Errno(Errno::EADDRINUSE, Cause::HeldBy { time_wait, .. })) => Err(time_wait),
            other => panic!("{other:?}"),
        };
        assert_eq!(answer, expected, "REUSEADDR old {old} new {new}");
        net.run(Duration::from_secs(61));
        let later = net.socket(1, STREAM);
        assert_eq!(net.bind(1, later, "0.0.0.0:80").is_ok(), expected.is_err(), "after TIME-WAIT");
    }
}

#[test]
fn reuseaddr_does_not_help_against_a_listener() {
    let mut net = Net::new();
    let (a, b) = (net.socket(0, STREAM), net.socket(0, STREAM));
    for fd in [a, b] {
        net.set_option(0, fd, SOL_SOCKET, SO_REUSEADDR, &[1]);
        net.bind(0, fd, "0.0.0.0:80").unwrap();
    }
    net.now(0, Call::Listen { fd: a, backlog: 1 }).unwrap();
    assert_eq!(errno(net.now(0, Call::Listen { fd: b, backlog: 1 })), Errno::EADDRINUSE);
    let c = net.socket(0, STREAM);
    net.set_option(0, c, SOL_SOCKET, SO_REUSEADDR, &[1]);
    assert_eq!(errno(net.bind(0, c, "0.0.0.0:80")), Errno::EADDRINUSE);
}

#[test]
fn binding_twice_elsewhere_or_low() {
    let mut net = Net::with(vec![HostConfig { privileged_ports: false, ..HostConfig::default() }]);
    let fd = net.socket(0, STREAM);
    assert_eq!(
        net.bind(0, fd, "8.8.8.8:5000"),
        Err(Failure::Errno(Errno::EADDRNOTAVAIL, Cause::NotMyAddress { addr: "8.8.8.8".parse().unwrap() }))
    );
    assert_eq!(errno(net.bind(0, fd, "127.0.0.1:80")), Errno::EACCES);
    net.bind(0, fd, "127.0.0.1:0").unwrap();
    assert_eq!(errno(net.bind(0, fd, "127.0.0.1:0")), Errno::EINVAL);
}

#[test]
fn connecting_where_nobody_listens() {
    let mut net = Net::new();
    let bound = net.socket(1, STREAM);
    net.bind(1, bound, "0.0.0.0:80").unwrap();
    let inward = net.socket(1, STREAM);
    net.bind(1, inward, "127.0.0.1:81").unwrap();
    net.now(1, Call::Listen { fd: inward, backlog: 1 }).unwrap();
    for port in [80, 81, 82, 0] {
        let fd = net.socket(0, STREAM);
        assert_eq!(errno(net.connect(0, fd, at(1, port))), Errno::ECONNREFUSED, "port {port}");
    }
}

#[test]
fn using_a_listener_as_a_connection() {
    let mut net = Net::new();
    let listener = net.listener(0, 80, 5);
    assert_eq!(errno(net.recv(0, listener, 10)), Errno::ENOTCONN);
    assert_eq!(errno(net.send(0, listener, b"x")), Errno::EPIPE);
    assert_eq!(errno(net.connect(0, listener, at(0, 81))), Errno::EISCONN);
    assert_eq!(errno(net.now(0, Call::GetPeerName { fd: listener })), Errno::ENOTCONN);
}

#[test]
fn using_a_socket_that_is_not_connected() {
    let mut net = Net::new();
    let fd = net.socket(0, STREAM);
    assert_eq!(errno(net.recv(0, fd, 10)), Errno::ENOTCONN);
    assert_eq!(errno(net.send(0, fd, b"x")), Errno::EPIPE);
    assert_eq!(errno(net.now(0, Call::GetPeerName { fd })), Errno::ENOTCONN);
    assert_eq!(errno(net.shutdown(0, fd, 1)), Errno::ENOTCONN);
    assert_eq!(errno(net.now(0, Call::Accept { fd, timeout: None })), Errno::EINVAL);
    let data = Bytes::from_static(b"x");
    let call = Call::SendTo { fd, data, flags: 0, addr: addr("10.0.0.2:1"), timeout: None };
    assert_eq!(errno(net.now(0, call)), Errno::EPIPE);
    let udp = net.socket(0, DGRAM);
    assert_eq!(errno(net.send(0, udp, b"x")), Errno::EDESTADDRREQ);
    assert_eq!(errno(net.now(0, Call::Listen { fd: udp, backlog: 1 })), Errno::EOPNOTSUPP);
    assert_eq!(errno(net.now(0, Call::Accept { fd: udp, timeout: None })), Errno::EOPNOTSUPP);
}

#[test]
fn listening_without_a_port_gives_a_random_one() {
    let mut net = Net::new();
    let fd = net.socket(0, STREAM);
    net.now(0, Call::Listen { fd, backlog: 128 }).unwrap();
    let Ok(Ret::Addr(SockAddr::Ip(name))) = net.now(0, Call::GetSockName { fd }) else { panic!() };
    assert!(name.ip().is_unspecified() && (32_768..=60_999).contains(&name.port()));
}

#[test]
fn connecting_or_listening_on_a_connection() {
    let mut net = Net::new();
    let (client, _, _) = net.pair();
    assert_eq!(errno(net.connect(0, client, at(1, 80))), Errno::EISCONN);
    assert_eq!(errno(net.now(0, Call::Listen { fd: client, backlog: 1 })), Errno::EINVAL);
    assert_eq!(errno(net.bind(0, client, "10.0.0.1:0")), Errno::EINVAL);
}

#[test]
fn sending_after_the_peer_closed() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(net.send(0, client, b"first"), Ok(Ret::Len(5)));
    net.run(ms(50));
    let answer = net.send(0, client, b"second");
    assert_eq!(answer, Err(Failure::Errno(Errno::EPIPE, Cause::PeerGone { peer: at(1, 80) })));
    assert_eq!(bytes(net.recv(0, client, 9)), "");
}

#[test]
fn shutting_down_after_a_reset() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.set_option(1, server, SOL_SOCKET, 13, &[1, 0]);
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(errno(net.shutdown(0, client, 1)), Errno::ENOTCONN);
}

#[test]
fn using_a_closed_descriptor() {
    let mut net = Net::new();
    let fd = net.socket(0, STREAM);
    net.close(0, fd);
    assert_eq!(errno(net.recv(0, fd, 1)), Errno::EBADF);
    assert_eq!(errno(net.now(0, Call::Close { fd })), Errno::EBADF);
}

#[test]
fn never_closing_runs_out_of_descriptors() {
    let mut net = Net::new();
    for _ in 3..1024 {
        net.socket(0, STREAM);
    }
    let call = Call::Socket { family: AF_INET, kind: STREAM, protocol: 0 };
    assert_eq!(errno(net.now(0, call.clone())), Errno::EMFILE);
    net.close(0, Fd(500));
    assert_eq!(net.now(0, call), Ok(Ret::Fd(Fd(500))), "the lowest free one");
}

#[test]
fn two_sends_are_one_receive() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(0, client, b"HELLO").unwrap();
    net.send(0, client, b"WORLD").unwrap();
    net.run(ms(50));
    assert_eq!(bytes(net.recv(1, server, 1024)), "HELLOWORLD");
}

#[test]
fn a_time_out_of_the_program_is_not_an_errno() {
    let mut net = Net::new();
    let (client, _, listener) = net.pair();
    let timeout = Some(ms(100));
    let before = net.now;
    assert_eq!(net.call(0, Call::Recv { fd: client, len: 1, flags: 0, timeout }), Err(Failure::TimedOut));
    assert_eq!(net.now - before, ms(100));
    assert_eq!(net.call(1, Call::Accept { fd: listener, timeout }), Err(Failure::TimedOut));
}

#[test]
fn not_blocking() {
    let mut net = Net::new();
    let (client, _, listener) = net.pair();
    assert_eq!(errno(net.try_recv(0, client, 1)), Errno::EAGAIN);
    assert_eq!(errno(net.now(1, Call::Accept { fd: listener, timeout: Some(ms(0)) })), Errno::EAGAIN);
    let fd = net.socket(0, STREAM);
    let call = Call::Connect { fd, addr: addr("10.0.0.2:80"), timeout: Some(ms(0)) };
    assert_eq!(errno(net.now(0, call.clone())), Errno::EINPROGRESS);
    assert_eq!(errno(net.now(0, call.clone())), Errno::EALREADY);
    net.run(ms(50));
    assert_eq!(net.now(0, call.clone()), Ok(Ret::Unit));
    assert_eq!(errno(net.now(0, call)), Errno::EISCONN);
}

#[test]
fn a_send_that_does_not_block_takes_a_part() {
    let mut net = Net::new();
    let (client, _, _) = net.pair();
    let data = Bytes::from(vec![0; 10_000_000]);
    let answer = net.now(0, Call::Send { fd: client, data, flags: 0x40, timeout: None });
    assert!(matches!(answer, Ok(Ret::Len(n)) if (10_000..5_000_000).contains(&n)), "{answer:?}");
}

#[test]
fn no_route_and_no_neighbour() {
    let mut net = Net::new();
    let fd = net.socket(0, STREAM);
    let to = "192.0.2.1:80".parse().unwrap();
    let cause = Cause::NoRoute { to: "192.0.2.1".parse().unwrap() };
    assert_eq!(net.connect(0, fd, to), Err(Failure::Errno(Errno::ENETUNREACH, cause)));
    let before = net.now;
    let cause = Cause::NoNeighbour { next_hop: "10.0.0.99".parse().unwrap() };
    let answer = net.connect(0, fd, "10.0.0.99:80".parse().unwrap());
    assert_eq!(answer, Err(Failure::Errno(Errno::EHOSTUNREACH, cause)));
    assert_eq!(net.now - before, Duration::from_secs(3));
    assert_eq!(net.log.len(), 3, "three questions");
}
