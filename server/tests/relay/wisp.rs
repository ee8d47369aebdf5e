//! `/wisp/` against real sockets on loopback, with our own client.

use std::time::Duration;

use crate::common::{Relay, nobody, options, pattern, soon, start, target};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use socketlab_server::ServeOptions;
use socketlab_wisp::{ClientEvent, Packet, Reason, StreamId, StreamKind, client::SEND_BUFFER};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    sync::oneshot,
};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_demo_services_answer() {
    let relay = Relay::with_demo().await;
    let mut page = relay.page().await;

    let echo = page.tcp(relay.demo().echo);
    page.opened(echo).await;
    page.send(echo, "hej på dig".as_bytes()).await;
    assert_eq!(page.read(echo, 11).await, "hej på dig".as_bytes());

    let daytime = page.tcp(relay.demo().daytime);
    page.opened(daytime).await;
    let line = String::from_utf8(page.read(daytime, 1000).await).unwrap();
    assert!(line.ends_with(" GMT\r\n"), "{line:?}");

    let web = page.tcp(relay.demo().http);
    page.opened(web).await;
    page.send(web, b"GET /hello.txt HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(page.read(web, 100_000).await).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nHello from a real web server.\n"), "{answer}");

    let clock = page.udp(relay.demo().daytime);
    page.opened(clock).await;
    assert!(page.client.send_datagram(clock, b""));
    let ClientEvent::Data { bytes, .. } = page.event_of(clock).await else { panic!() };
    assert!(bytes.ends_with(b" GMT\r\n"), "{bytes:?}");
}

#[tokio::test]
async fn one_udp_packet_is_one_datagram() {
    let relay = Relay::with_demo().await;
    let mut page = relay.page().await;
    let echo = page.udp(relay.demo().echo);
    page.opened(echo).await;
    for octets in [1, 0, 1472, 9000, 65_507] {
        let datagram = pattern(octets);
        assert!(page.client.send_datagram(echo, &datagram));
        let bytes = Bytes::from(datagram);
        assert_eq!(page.event_of(echo).await, ClientEvent::Data { stream: echo, bytes });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_go_each_way_intact_past_a_slow_reader() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let whole = pattern(10_000_000);
    let expected = whole.clone();
    let server = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut got = vec![0; 10_000_000];
        // In small bites, so that the credit runs out again and again.
        for bite in got.chunks_mut(1000) {
            client.read_exact(bite).await.unwrap();
        }
        client.write_all(&got).await.unwrap();
        got
    });
    let mut page = relay.page().await;
    let id = page.tcp(address);
    page.opened(id).await;
    let mut given = 0;
    while given < whole.len() {
        given += page.client.send(id, &whole[given..]);
        assert!(page.client.room(id) <= SEND_BUFFER);
        page.pump().await;
        if page.client.room(id) == 0 {
            let event = page.event().await;
            assert!(matches!(event, ClientEvent::Writable { .. }), "{event:?}");
        }
    }
    assert!(page.read(id, whole.len()).await == expected, "what comes back is what was sent");
    assert!(soon("the target", server).await.unwrap() == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_not_read_stops_the_target() {
    const TOTAL: usize = 100_000_000;
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let (sent_all, mut has_sent_all) = oneshot::channel();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let bite = pattern(1 << 16);
        let mut left = TOTAL;
        while left > 0 {
            let octets = left.min(bite.len());
            client.write_all(&bite[..octets]).await.unwrap();
            left -= octets;
        }
        sent_all.send(()).unwrap();
    });
    let mut raw = relay.raw().await;
    raw.connect(1, address).await;
    assert!(matches!(raw.next().await, Packet::Continue { .. }));
    // 100 MB go through loopback in less than half of this; what the kernel's buffers hold is a few MB.
    let unread = tokio::time::timeout(Duration::from_secs(1), &mut has_sent_all).await;
    assert!(unread.is_err(), "the relay took everything though nobody read");

    // The stream is late, not lost; and another one gets through beside it.
    let (second, second_address) = target().await;
    raw.connect(2, second_address).await;
    let (mut other, _) = soon("the second connection", second.accept()).await.unwrap();
    other.write_all(b"hej").await.unwrap();
    let (mut got, mut greeted) = (0, false);
    while got < TOTAL {
        match raw.next().await {
            Packet::Data { stream: StreamId(1), bytes } => got += bytes.len(),
            Packet::Data { stream: StreamId(2), bytes } => {
                assert_eq!(&bytes[..], b"hej");
                assert!(got < TOTAL / 2, "it did not wait for the download's end");
                greeted = true;
            }
            Packet::Continue { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(greeted);
    has_sent_all.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_read_stops_its_own_stream_only() {
    let (listener, stuck_address) = target().await;
    let rule = format!("127.0.0.1:{}", stuck_address.port());
    let relay = start(ServeOptions { demo_services: true, ..options(&[&rule]) }).await;
    let mut page = relay.page().await;
    let stuck = page.tcp(stuck_address);
    page.opened(stuck).await;
    let (_client, _) = listener.accept().await.unwrap();
    let echo = page.tcp(relay.demo().echo);
    page.opened(echo).await;

    // Until nothing moves: the kernel's buffers are full, the credit is used up, the client's buffer is full.
    let bite = pattern(SEND_BUFFER);
    loop {
        page.client.send(stuck, &bite);
        page.pump().await;
        page.send(echo, b"still here?").await;
        assert_eq!(page.read(echo, 11).await, b"still here?");
        if page.client.send(stuck, &bite) == 0 && page.client.room(stuck) == 0 {
            // The echo came back after everything that was sent before it, so the credit that is due has come as well.
            page.send(echo, b"and now?").await;
            assert_eq!(page.read(echo, 8).await, b"and now?");
            if page.client.room(stuck) == 0 {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ignores_its_credit_loses_the_stream_and_nothing_else() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut raw = relay.raw().await;
    let stream = raw.connect(7, address).await;
    let (_target, _) = listener.accept().await.unwrap();
    let bytes = Bytes::from(pattern(16 * 1024));
    let (mut sink, mut source) = raw.socket.split();
    let flood = tokio::spawn(async move {
        let packet = Packet::Data { stream, bytes }.emit();
        // Far more than the kernel's buffers and the slack; ends early when the relay would not read on.
        for _ in 0..4096 {
            sink.send(Message::Binary(packet.clone())).await.unwrap();
        }
        sink
    });
    let refused = soon("the refusal", async {
        loop {
            let message = source.next().await.unwrap().unwrap().into_data();
            if let Packet::Close { reason, .. } = Packet::parse(message).unwrap() {
                return reason;
            }
        }
    });
    assert_eq!(refused.await, Reason::THROTTLED);
    drop(soon("the flood", flood).await.unwrap());
}

#[tokio::test]
async fn each_failure_has_its_reason() {
    let relay = start(options(&["127.0.0.1:1-65535", "*.invalid"])).await;
    let mut page = relay.page().await;
    let now = page.now();

    let refused = page.tcp(nobody().await);
    assert_eq!(page.closed(refused).await, Reason::REFUSED);
    let cases = [
        ("192.168.1.1", 80, Reason::BLOCKED),
        ("127.0.0.2", 80, Reason::BLOCKED),
        ("example.org", 80, Reason::BLOCKED),
        ("localhost", 80, Reason::BLOCKED),
        ("127.0.0.1", relay.address.port(), Reason::BLOCKED),
        ("127.1", 80, Reason::INVALID),
        ("", 80, Reason::INVALID),
        ("127.0.0.1", 0, Reason::INVALID),
        ("nothing.invalid", 80, Reason::UNREACHABLE),
    ];
    for (host, port, reason) in cases {
        let tcp = page.client.open_tcp(now, host, port).unwrap();
        assert_eq!(page.closed(tcp).await, reason, "{host}:{port}");
        let udp = page.client.open_udp(host, port).unwrap();
        page.opened(udp).await;
        assert_eq!(page.closed(udp).await, reason, "{host}:{port} UDP");
    }
}

#[tokio::test]
async fn a_name_is_dialled_at_the_address_that_answers() {
    let (listener, address) = target().await;
    let relay = start(options(&[&format!("localhost:{}", address.port())])).await;
    let mut page = relay.page().await;
    let now = page.now();
    // Where localhost is ::1 as well, nobody listens there.
    let id = page.client.open_tcp(now, "LocalHost.", address.port()).unwrap();
    page.opened(id).await;
    let (mut client, _) = listener.accept().await.unwrap();
    client.write_all(b"hej").await.unwrap();
    assert_eq!(page.read(id, 3).await, b"hej");
    let literal = page.tcp(address);
    assert_eq!(page.closed(literal).await, Reason::BLOCKED, "the rule has the name only");
}

#[tokio::test]
async fn a_target_that_never_answers_is_given_up() {
    let relay = start(ServeOptions { connect_timeout: 1, ..options(&["127.0.0.1:1-65535"]) }).await;
    // A listener that accepts nothing, with a queue for one: Linux drops the SYNs that find it full.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        filling.push(connected.unwrap());
    }
    let mut page = relay.page().await;
    let id = page.tcp(address);
    assert_eq!(page.closed(id).await, Reason::TIMED_OUT);
}

#[tokio::test]
async fn what_was_sent_before_a_close_arrives_and_then_the_end() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut raw = relay.raw().await;
    // All at once, before the relay can have dialled.
    let stream = raw.connect(1, address).await;
    for part in ["one ", "two ", "three"] {
        raw.send(&Packet::Data { stream, bytes: Bytes::from(part) }).await;
    }
    raw.send(&Packet::Close { stream, reason: Reason::VOLUNTARY }).await;
    let (mut client, _) = soon("the connection", listener.accept()).await.unwrap();
    let mut got = String::new();
    soon("the end", client.read_to_string(&mut got)).await.unwrap();
    assert_eq!(got, "one two three");
}

#[tokio::test]
async fn a_target_that_finishes_or_resets_is_told_apart() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut page = relay.page().await;

    let finished = page.tcp(address);
    page.opened(finished).await;
    let (mut client, _) = listener.accept().await.unwrap();
    client.write_all(b"bye").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(page.read(finished, 3).await, b"bye");
    assert_eq!(page.closed(finished).await, Reason::VOLUNTARY);
    let mut rest = Vec::new();
    soon("our end", client.read_to_end(&mut rest)).await.unwrap();

    let reset = page.tcp(address);
    page.opened(reset).await;
    let (client, _) = listener.accept().await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(page.closed(reset).await, Reason::NETWORK_ERROR);

    // And the other way: a program that was killed leaves a reset behind, not an end of file.
    let broken = page.tcp(address);
    page.opened(broken).await;
    let (mut client, _) = listener.accept().await.unwrap();
    page.client.abort(broken, Reason::NETWORK_ERROR);
    page.pump().await;
    let error = soon("the reset", client.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_udp_port_where_nobody_listens_refuses() {
    let relay = Relay::start().await;
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let mut page = relay.page().await;
    let id = page.udp(address);
    page.opened(id).await;
    assert!(page.client.send_datagram(id, b"anybody?"));
    assert_eq!(page.closed(id).await, Reason::REFUSED);
}

#[tokio::test]
async fn a_udp_stream_hears_its_target_only() {
    let relay = Relay::start().await;
    let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut page = relay.page().await;
    let id = page.udp(target.local_addr().unwrap());
    page.opened(id).await;
    assert!(page.client.send_datagram(id, b"hello"));
    page.pump().await;
    let mut buffer = [0; 100];
    let (_, relay_side) = soon("the datagram", target.recv_from(&mut buffer)).await.unwrap();
    stranger.send_to(b"from a stranger", relay_side).await.unwrap();
    target.send_to(b"from the target", relay_side).await.unwrap();
    let bytes = Bytes::from_static(b"from the target");
    assert_eq!(page.event_of(id).await, ClientEvent::Data { stream: id, bytes });
}

#[tokio::test]
async fn a_websocket_that_breaks_leaves_no_connection_behind() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut page = relay.page().await;
    let id = page.tcp(address);
    page.opened(id).await;
    let (mut client, _) = listener.accept().await.unwrap();
    drop(page);
    let end = soon("the end", client.read_to_end(&mut Vec::new())).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "broken off, not finished");
}

#[tokio::test]
async fn streams_have_a_limit_that_is_said() {
    let relay = start(ServeOptions { max_streams: 2, ..options(&["127.0.0.1:1-65535"]) }).await;
    let (_listener, address) = target().await;
    let mut page = relay.page().await;
    for _ in 0..2 {
        let id = page.tcp(address);
        page.opened(id).await;
    }
    let third = page.tcp(address);
    assert_eq!(page.closed(third).await, Reason::THROTTLED);
    let first = StreamId(1);
    page.client.close(first, Reason::VOLUNTARY);
    let fourth = page.tcp(address);
    page.opened(fourth).await;
}

#[tokio::test]
async fn stopping_the_relay_ends_every_connection_properly() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut raw = relay.raw().await;
    raw.connect(1, address).await;
    assert!(matches!(raw.next().await, Packet::Continue { .. }));
    let (mut client, _) = listener.accept().await.unwrap();
    relay.stop.cancel();
    let (packets, code, text) = raw.end().await;
    assert_eq!(packets, [Packet::Close { stream: StreamId::CONNECTION, reason: Reason::VOLUNTARY }]);
    assert_eq!((u16::from(code), text.as_str()), (1001, "the relay is being stopped"));
    drop(raw);
    soon("the relay", relay.done).await.unwrap().unwrap();
    drop(soon("the target's end", client.read_to_end(&mut Vec::new())).await);
    assert!(TcpStream::connect(relay.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_stream_number_can_be_used_again() {
    let relay = Relay::with_demo().await;
    let mut raw = relay.raw().await;
    let demo = relay.demo().echo;
    for _ in 0..3 {
        let stream = raw.connect(5, demo).await;
        assert!(matches!(raw.next().await, Packet::Continue { .. }));
        raw.send(&Packet::Data { stream, bytes: Bytes::from_static(b"x") }).await;
        assert_eq!(raw.next().await, Packet::Data { stream, bytes: Bytes::from_static(b"x") });
        raw.send(&Packet::Close { stream, reason: Reason::VOLUNTARY }).await;
    }
    let stream = StreamId(9);
    let host = demo.ip().to_string();
    raw.send(&Packet::Connect { stream, kind: StreamKind::Udp, port: demo.port(), host }).await;
    raw.send(&Packet::Data { stream, bytes: Bytes::from_static(b"y") }).await;
    assert_eq!(raw.next().await, Packet::Data { stream, bytes: Bytes::from_static(b"y") });
}
