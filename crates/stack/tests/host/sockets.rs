//! Readiness, options, descriptors, pairs, and calls that sleep.

use std::time::Duration;

use bytes::Bytes;
use socketlab_stack::*;

use crate::harness::*;

const IN: u16 = 0x1 | 0x40;
const OUT: u16 = 0x4 | 0x100;
/// Of datagrams and AF_UNIX sockets; not of TCP.
const WRBAND: u16 = 0x200;
const ERR: u16 = 0x8;
const HUP: u16 = 0x10;
const RDHUP: u16 = 0x2000;

#[test]
fn poll_tells_what_linux_tells() {
    let mut net = Net::new();
    let fresh = net.socket(0, STREAM);
    assert_eq!(net.poll(0, fresh), OUT | HUP);
    let udp = net.socket(0, DGRAM);
    assert_eq!(net.poll(0, udp), OUT | WRBAND);
    let listener = net.listener(1, 80, 5);
    assert_eq!(net.poll(1, listener), 0);
    let call = Call::Connect { fd: fresh, addr: addr("10.0.0.2:80"), timeout: Some(Duration::ZERO) };
    assert_eq!(errno(net.now(0, call)), Errno::EINPROGRESS);
    assert_eq!(net.poll(0, fresh), 0, "connecting");
    net.run(ms(50));
    assert_eq!(net.poll(0, fresh), OUT);
    assert_eq!(net.poll(1, listener), IN);
    let server = net.accept(1, listener);
    net.send(0, fresh, b"x").unwrap();
    net.run(ms(50));
    assert_eq!(net.poll(1, server), IN | OUT);
    net.shutdown(0, fresh, 1).unwrap();
    net.run(ms(50));
    net.recv(1, server, 10).unwrap();
    assert_eq!(net.poll(1, server), IN | OUT | RDHUP);
    net.set_option(1, server, SOL_SOCKET, 13, &[1, 0]);
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(net.poll(0, fresh), IN | OUT | ERR | HUP | RDHUP);
    assert_eq!(net.option(0, fresh, SOL_SOCKET, 4), Errno::ECONNRESET as i32, "SO_ERROR");
    assert_eq!(net.option(0, fresh, SOL_SOCKET, 4), 0, "once");
    net.close(0, fresh);
    assert_eq!(net.poll(0, fresh), 0x20, "POLLNVAL");
}

#[test]
fn a_refused_connection_is_ready_with_its_error() {
    let mut net = Net::new();
    let fd = net.socket(0, STREAM);
    let call = Call::Connect { fd, addr: addr("10.0.0.2:80"), timeout: Some(Duration::ZERO) };
    assert_eq!(errno(net.now(0, call)), Errno::EINPROGRESS);
    let poll = net.call(0, Call::Poll { fds: vec![(fd, 4)], timeout: None });
    assert_eq!(poll, Ok(Ret::Ready(vec![(fd, 4 | ERR | HUP)])));
    assert_eq!(net.option(0, fd, SOL_SOCKET, 4), Errno::ECONNREFUSED as i32);
}

#[test]
fn poll_sleeps_until_something_happens() {
    let mut net = Net::new();
    let (client, server, listener) = net.pair();
    let fds = vec![(listener, 1), (server, 1), (Fd(-1), 1)];
    let call = net.start(1, Call::Poll { fds: fds.clone(), timeout: None });
    net.run(ms(50));
    assert_eq!(net.answer(call), None);
    net.send(0, client, b"x").unwrap();
    assert_eq!(net.wait(call), Ok(Ret::Ready(vec![(server, 1)])));
    net.recv(1, server, 9).unwrap();
    let before = net.now;
    let answer = net.call(1, Call::Poll { fds, timeout: Some(ms(70)) });
    assert_eq!((answer, net.now - before), (Ok(Ret::Ready(vec![])), ms(70)));
}

#[test]
fn options_read_as_on_linux() {
    let mut net = Net::new();
    let (tcp, udp) = (net.socket(0, STREAM), net.socket(0, DGRAM));
    for (fd, level, name, value) in [
        (tcp, 1, 3, 1), // SO_TYPE
        (udp, 1, 3, 2),
        (tcp, 1, 39, 2), // SO_DOMAIN
        (tcp, 1, 38, 6), // SO_PROTOCOL
        (udp, 1, 38, 17),
        (tcp, 1, 2, 0),       // SO_REUSEADDR
        (tcp, 1, 7, 16_384),  // SO_SNDBUF
        (tcp, 1, 8, 131_072), // SO_RCVBUF
        (udp, 1, 8, 212_992),
        (tcp, 1, 30, 0),   // SO_ACCEPTCONN
        (tcp, 6, 1, 0),    // TCP_NODELAY
        (tcp, 6, 4, 7200), // TCP_KEEPIDLE
        (tcp, 6, 2, 536),  // TCP_MAXSEG
        (tcp, 0, 2, 64),   // IP_TTL
    ] {
        assert_eq!(net.option(0, fd, level, name), value, "level {level} name {name}");
    }
    net.set_option(0, tcp, 1, 8, &[5000]);
    assert_eq!(net.option(0, tcp, 1, 8), 10_000, "doubled");
    net.set_option(0, tcp, 1, 2, &[7]);
    assert_eq!(net.option(0, tcp, 1, 2), 1);
    net.set_option(0, tcp, 1, 13, &[1, 5]);
    let linger = net.now(0, Call::GetSockOpt { fd: tcp, level: 1, name: 13, len: 8 });
    assert_eq!(linger, Ok(Ret::Opt(Bytes::from_static(&[1, 0, 0, 0, 5, 0, 0, 0]))));
    let unknown = net.now(0, Call::GetSockOpt { fd: tcp, level: 1, name: 999, len: 4 });
    assert_eq!(errno(unknown), Errno::ENOPROTOOPT);
    assert_eq!(errno(net.now(0, Call::GetSockOpt { fd: udp, level: 6, name: 1, len: 4 })), Errno::EOPNOTSUPP);
}

#[test]
fn the_send_buffer_grows_when_the_connection_is_there() {
    let mut net = Net::new();
    let (client, _, _) = net.pair();
    assert_eq!(net.option(0, client, SOL_SOCKET, 7), 87_040, "as on Linux's Ethernet");
    let listener = net.listener(0, 80, 5);
    let near = net.socket(0, STREAM);
    net.connect(0, near, "127.0.0.1:80".parse().unwrap()).unwrap();
    net.accept(0, listener);
    assert_eq!(net.option(0, near, SOL_SOCKET, 7), 2_626_560, "as on Linux's lo");
}

#[test]
fn unknown_families_types_and_protocols() {
    let mut net = Net::new();
    for (family, kind, protocol, expected) in [
        (99, 1, 0, Errno::EAFNOSUPPORT),
        (2, 1, 17, Errno::EPROTONOSUPPORT),
        (2, 5, 0, Errno::ESOCKTNOSUPPORT),
        (2, 3, 0, Errno::EPROTONOSUPPORT),
        (2, 3, 300, Errno::EINVAL),
        (2, 2, 58, Errno::EPROTONOSUPPORT),
        (10, 2, 1, Errno::EPROTONOSUPPORT),
    ] {
        let answer = net.now(0, Call::Socket { family, kind, protocol });
        assert_eq!(errno(answer), expected, "{family} {kind} {protocol}");
    }
    let mut net = Net::with(vec![HostConfig { privileged_ports: false, ..HostConfig::default() }]);
    let raw = net.now(0, Call::Socket { family: 2, kind: 3, protocol: 1 });
    assert_eq!(errno(raw), Errno::EPERM, "raw sockets are for the privileged");
}

#[test]
fn dup_shares_the_socket() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    let Ok(Ret::Fd(copy)) = net.now(0, Call::Dup { fd: client }) else { panic!() };
    net.close(0, client);
    net.run(ms(50));
    net.send(0, copy, b"still open").unwrap();
    assert_eq!(bytes(net.recv(1, server, 99)), "still open");
    net.close(0, copy);
    assert_eq!(bytes(net.recv(1, server, 99)), "");
}

#[test]
fn a_killed_process_leaves_its_connections_to_the_kernel() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.start(0, Call::Recv { fd: client, len: 1, flags: 0, timeout: None });
    let now = net.now;
    net.hosts[0].kill(now, PID);
    net.drain(0);
    net.run(ms(50));
    assert_eq!(net.state(1, server), TcpState::CloseWait);
    assert_eq!(net.kernel_states(0), [TcpState::FinWait2]);
    assert_eq!(net.hosts[0].socket_of(PID, client), None);
}

#[test]
fn a_cancelled_call_is_never_answered() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    let call = net.start(1, Call::Recv { fd: server, len: 9, flags: 0, timeout: Some(ms(500)) });
    let now = net.now;
    net.hosts[1].cancel(now, call);
    net.send(0, client, b"x").unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(net.answer(call), None);
    assert_eq!(bytes(net.try_recv(1, server, 9)), "x");
}

#[test]
fn an_interrupted_send_tells_how_much_it_had_taken() {
    let mut net = Net::new();
    let (client, _, _) = net.pair();
    let data = Bytes::from(vec![1; 1_000_000]);
    let call = net.start(0, Call::Send { fd: client, data, flags: 0, timeout: None });
    net.run(ms(100));
    let now = net.now;
    let part = net.hosts[0].cancel(now, call);
    assert!(matches!(part, Some(Ret::Len(n)) if n > 87_040 && n < 1_000_000), "{part:?}");
    let call = net.start(0, Call::Recv { fd: client, len: 1, flags: 0, timeout: None });
    assert_eq!(net.hosts[0].cancel(now, call), None);
}

#[test]
fn closing_a_descriptor_does_not_wake_a_sleeper() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    let call = net.start(1, Call::Recv { fd: server, len: 9, flags: 0, timeout: None });
    net.close(1, server);
    net.run(ms(50));
    assert_eq!(net.answer(call), None);
    net.send(0, client, b"last").unwrap();
    assert_eq!(bytes(net.wait(call)), "last");
    net.run(ms(50));
    assert_eq!(bytes(net.recv(0, client, 9)), "", "and then the socket closes");
}

#[test]
fn peek_and_waitall() {
    let mut net = Net::new();
    let (client, server, _) = net.pair();
    net.send(0, client, b"abc").unwrap();
    net.run(ms(50));
    let peek = Call::Recv { fd: server, len: 2, flags: 2, timeout: None };
    assert_eq!(bytes(net.now(1, peek)), "ab");
    let all = net.start(1, Call::Recv { fd: server, len: 6, flags: 0x100, timeout: None });
    net.run(ms(50));
    assert_eq!(net.answer(all), None);
    net.send(0, client, b"defgh").unwrap();
    assert_eq!(bytes(net.wait(all)), "abcdef");
    let rest = net.start(1, Call::Recv { fd: server, len: 6, flags: 0x100, timeout: None });
    net.close(0, client);
    assert_eq!(bytes(net.wait(rest)), "gh", "the end of the stream ends the wait");
}

#[test]
fn accepts_are_answered_in_order() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 5);
    let first = net.start(1, Call::Accept { fd: listener, timeout: None });
    let second = net.start(1, Call::Accept { fd: listener, timeout: None });
    let (a, b) = (net.socket(0, STREAM), net.socket(0, STREAM));
    net.connect(0, a, at(1, 80)).unwrap();
    net.connect(0, b, at(1, 80)).unwrap();
    let Ok(Ret::Addr(SockAddr::Ip(a_name))) = net.now(0, Call::GetSockName { fd: a }) else { panic!() };
    let Ok(Ret::Accepted(_, SockAddr::Ip(peer))) = net.wait(first) else { panic!() };
    assert_eq!(peer, a_name);
    assert!(matches!(net.wait(second), Ok(Ret::Accepted(_, _))));
    let listener_state = net.socket_snapshot(1, listener);
    assert_eq!((listener_state.state, listener_state.recv_queue), (Some(TcpState::Listen), 0));
}

#[test]
fn a_connection_waits_in_the_queue_with_its_data() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 5);
    let client = net.socket(0, STREAM);
    net.connect(0, client, at(1, 80)).unwrap();
    net.send(0, client, b"early").unwrap();
    net.run(ms(50));
    let id = net.hosts[1].socket_of(PID, listener);
    let waiting = net.hosts[1].snapshot().sockets.into_iter().find(|s| s.waits_at.is_some()).unwrap();
    assert_eq!((waiting.waits_at, waiting.recv_queue, waiting.recv_head.as_slice()), (id, 5, &b"early"[..]));
    let server = net.accept(1, listener);
    assert_eq!(bytes(net.recv(1, server, 9)), "early");
}

#[test]
fn socketpair_is_a_pipe_both_ways() {
    let mut net = Net::new();
    let call = Call::SocketPair { family: 1, kind: STREAM, protocol: 0 };
    let Ok(Ret::Pair(a, b)) = net.now(0, call) else { panic!() };
    assert_eq!(net.poll(0, a), OUT | WRBAND);
    let reader = net.start(0, Call::Recv { fd: b, len: 10, flags: 0, timeout: None });
    net.send(0, a, b"wake").unwrap();
    assert_eq!(bytes(net.wait(reader)), "wake");
    net.send(0, b, b"up").unwrap();
    assert_eq!(net.poll(0, a), IN | OUT | WRBAND);
    assert_eq!(bytes(net.recv(0, a, 10)), "up");
    assert_eq!(errno(net.try_recv(0, a, 10)), Errno::EAGAIN);
    net.close(0, b);
    assert_eq!(net.poll(0, a), IN | OUT | HUP | RDHUP | WRBAND);
    assert_eq!(bytes(net.recv(0, a, 10)), "");
    assert_eq!(errno(net.send(0, a, b"x")), Errno::EPIPE);
}

#[test]
fn a_full_pair_blocks_the_writer() {
    let mut net = Net::new();
    let call = Call::SocketPair { family: 1, kind: STREAM, protocol: 0 };
    let Ok(Ret::Pair(a, b)) = net.now(0, call) else { panic!() };
    let data = Bytes::from(vec![1; 500_000]);
    let writer = net.start(0, Call::Send { fd: a, data, flags: 0, timeout: None });
    assert_eq!(net.answer(writer), None);
    let mut got = 0;
    while got < 500_000 {
        got += bytes(net.recv(0, b, 65_536)).len();
    }
    assert_eq!(net.wait(writer), Ok(Ret::Len(500_000)));
}

#[test]
fn shutdown_of_a_listener_wakes_accept() {
    let mut net = Net::new();
    let listener = net.listener(1, 80, 5);
    let call = net.start(1, Call::Accept { fd: listener, timeout: None });
    net.shutdown(1, listener, 2).unwrap();
    assert_eq!(errno(net.wait(call)), Errno::EINVAL);
}
