//! Clients that mean harm (cases 47 to 50 of the list that this relay is held against): each at a relay with the usual
//! limits and at one whose operator allows and permits all that can be. What only a limit stops is shown to go through
//! where there is none.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use socketlab_wisp::{ClientOptions, Extension, Packet, Reason, StreamId, StreamKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use crate::{
    common::{Raw, options, page_of, pattern, soon, start},
    faults::{echo, ours, works},
    front_door::knock,
    process::Process,
};
use socketlab_server::ServeOptions;

/// Octets by which a relay may grow while it is abused. A choice: what two streams' credit may hold.
const GROWTH: u64 = 24_000_000;

const ALLOWS_ALL: &[&str] = &["--allow", "*", "--allow", "127.0.0.1:1-65535", "--allow", "[::1]:1-65535"];
const NO_LIMITS: &[&str] = &["--max-streams", "60000", "--max-opens", "0", "--max-message", "67108864"];

/// One relay with the usual limits, and one without; what a test does at both, and the memory that it may take.
async fn at_both(test: impl AsyncFn(&Process, bool)) {
    for is_permissive in [false, true] {
        let flags = if is_permissive { [ALLOWS_ALL, NO_LIMITS].concat() } else { ALLOWS_ALL.to_vec() };
        let mut relay = Process::start(1000, &flags).await;
        let echo = echo().await;
        let mut other = ours(relay.address).await;
        works(&mut other, echo).await;
        let before = relay.memory();
        test(&relay, is_permissive).await;
        let grown = relay.memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} octets, permissive: {is_permissive}");
        works(&mut other, echo).await;
        let log = relay.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

async fn raw(relay: &Process) -> Raw {
    let tcp = TcpStream::connect(relay.address).await.unwrap();
    let (socket, _) = client_async(format!("ws://{}/wisp/", relay.address), tcp).await.unwrap();
    let mut raw = Raw { socket };
    assert!(matches!(raw.next().await, Packet::Continue { stream: StreamId::CONNECTION, .. }));
    raw
}

/// The code of the close frame; none if a reset overtook it.
async fn close_code(raw: &mut Raw) -> Option<u16> {
    soon("the end", async {
        loop {
            match raw.socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    })
    .await
}

/// 47, the other way round: what an operator names comes in.
#[tokio::test]
async fn origins_and_names_that_the_operator_allows_come_in() {
    let origins = ["http://evil.example", "null", "http://localhost.evil.example"];
    let relay = start(ServeOptions {
        allow_origin: origins.map(str::to_owned).to_vec(),
        host: vec!["evil.example".into()],
        ..options(&[])
    })
    .await;
    for path in ["/wisp/", "/wsproxy/127.0.0.1:1", "/lan/room"] {
        for origin in origins {
            assert_eq!(knock(&relay, path, &[("origin", origin)]).await.0, 101, "{path} {origin}");
        }
        let host = format!("evil.example:{}", relay.address.port());
        let origin = format!("http://{host}");
        assert_eq!(knock(&relay, path, &[("host", &host), ("origin", &origin)]).await.0, 101, "{path}");
        assert_eq!(knock(&relay, path, &[("origin", "http://other.example")]).await.0, 403, "{path}");
    }
}

/// 48: what is not Wisp is no more Wisp at a relay that allows everything.
#[tokio::test]
async fn nonsense_is_nonsense_everywhere() {
    at_both(async |relay, _| {
        let long_extension = [5, 0, 0, 0, 0, 2, 0, 0xf5, 0xff, 0xff, 0xff, 0x7f, 1];
        for message in [
            &[][..],
            &[2, 1, 0, 0],
            &[1, 1, 0, 0, 0, 1, 80],
            &[9, 1, 0, 0, 0],
            &[1, 0, 0, 0, 0, 1, 80, 0, b'a'],
            &[2, 0, 0, 0, 0, 1],
            &[3, 1, 0, 0, 0, 1, 0, 0, 0],
            &long_extension,
        ] {
            let mut raw = raw(relay).await;
            raw.send_octets(message.to_vec()).await;
            let (packets, code, text) = raw.end().await;
            let closed = Packet::Close { stream: StreamId::CONNECTION, reason: Reason::INVALID };
            assert_eq!((packets.last(), u16::from(code)), (Some(&closed), 1002), "{message:?} {text}");
        }
        // An unknown kind of stream, and a host that is no text, cost that stream only.
        let mut raw = raw(relay).await;
        for (id, message) in
            [(3, vec![1, 3, 0, 0, 0, 7, 80, 0, b'a']), (4, vec![1, 4, 0, 0, 0, 1, 80, 0, 0xff])]
        {
            raw.send_octets(message).await;
            assert_eq!(raw.next().await, Packet::Close { stream: StreamId(id), reason: Reason::INVALID });
        }
        // The same in version 2: INFO comes once, and first.
        for extra in [
            Packet::Info { stream: StreamId::CONNECTION, major: 2, minor: 0, extensions: Vec::new() },
            Packet::Continue { stream: StreamId(1), credit: 1 },
        ] {
            let mut page = page_of(relay.address, ClientOptions::default()).await;
            let info = Packet::Info {
                stream: StreamId::CONNECTION,
                major: 2,
                minor: 0,
                extensions: vec![Extension {
                    id: 0x77,
                    metadata: Bytes::from_static(b"unknown: passed over"),
                }],
            };
            for packet in [&info, &extra] {
                page.socket.send(Message::Binary(packet.emit())).await.unwrap();
            }
            assert_eq!(close_code(&mut Raw { socket: page.socket }).await, Some(1002), "{extra:?}");
        }
    })
    .await;
}

/// 49: credit bounds what waits for a target that reads nothing, whatever the limits are.
#[tokio::test]
async fn credit_bounds_memory_everywhere() {
    at_both(async |relay, _| {
        let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut raw = raw(relay).await;
        let stream = raw.connect(1, deaf.local_addr().unwrap()).await;
        let held = deaf.accept().await.unwrap();
        let message = Packet::Data { stream, bytes: vec![0; 20_000].into() }.emit();
        let (mut sink, mut source) = raw.socket.split();
        let sending = tokio::spawn(async move {
            // 40 MB, where 5 MB of credit are given and as much again is forgiven.
            for _ in 0..2_000 {
                sink.send(Message::Binary(message.clone())).await.unwrap();
            }
            sink
        });
        let reason = soon("the end of the stream", async {
            loop {
                let Message::Binary(message) = source.next().await.unwrap().unwrap() else { continue };
                if let Packet::Close { stream: StreamId(1), reason } = Packet::parse(message).unwrap() {
                    return reason;
                }
            }
        })
        .await;
        assert_eq!(reason, Reason::THROTTLED);
        drop((sending.await.unwrap(), held));
    })
    .await;
}

/// 50: messages. The limit is looked at when a frame begins, not when it is there.
#[tokio::test]
async fn long_messages_are_not_waited_for() {
    at_both(async |relay, is_permissive| {
        // 100 MiB are announced.
        let mut socket = raw(relay).await.socket.into_inner();
        let mut head = vec![0x82, 0xff];
        head.extend((100_u64 << 20).to_be_bytes());
        head.extend([0; 4]);
        socket.write_all(&head).await.unwrap();
        let mut answer = Vec::new();
        drop(soon("the end", socket.read_to_end(&mut answer)).await);
        assert!(answer.windows(2).any(|two| two == 1009_u16.to_be_bytes()), "{answer:?}");

        // One octet more than 1 MiB: a stream's data where that is permitted.
        let mut raw = raw(relay).await;
        raw.connect(1, echo().await).await;
        let message = Packet::Data { stream: StreamId(1), bytes: vec![0; 1 << 20].into() }.emit();
        drop(raw.socket.send(Message::Binary(message)).await);
        if is_permissive {
            let mut octets = 0;
            while octets < 1 << 20 {
                if let Packet::Data { bytes, .. } = raw.next().await {
                    octets += bytes.len();
                }
            }
        } else {
            assert!(matches!(close_code(&mut raw).await, None | Some(1009)));
        }
    })
    .await;
}

/// 50: a message of a million one-octet fragments is a message of a million octets.
#[tokio::test]
async fn fragments_are_counted_together() {
    at_both(async |relay, is_permissive| {
        let mut raw = raw(relay).await;
        let sent = async {
            for n in 0..(1 << 20) + 6 {
                let opcode = if n == 0 { Data::Binary } else { Data::Continue };
                let frame = Frame::message(vec![2], OpCode::Data(opcode), false);
                raw.socket.feed(Message::Frame(frame)).await?;
            }
            raw.socket.flush().await
        };
        drop(sent.await);
        if is_permissive {
            let frame = Frame::message(vec![2], OpCode::Data(Data::Continue), true);
            raw.socket.send(Message::Frame(frame)).await.unwrap();
            // DATA for a stream that is not open: passed over, and the connection goes on.
            let echo = echo().await;
            raw.connect(1, echo).await;
            assert!(matches!(raw.next().await, Packet::Continue { stream: StreamId(1), .. }));
        } else {
            assert!(matches!(close_code(&mut raw).await, None | Some(1009)));
        }
    })
    .await;
}

/// 50: 100,000 pings whose answers nobody reads.
#[tokio::test]
async fn a_flood_of_pings_piles_up_nothing() {
    at_both(async |relay, _| {
        let mut socket = raw(relay).await.socket.into_inner();
        let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
        ping.extend([b'.'; 125]);
        let many = ping.repeat(1000);
        let flood = async {
            for _ in 0..100 {
                socket.write_all(&many).await.unwrap();
            }
        };
        // The relay may stop reading; it must not collect.
        drop(tokio::time::timeout(Duration::from_secs(3), flood).await);
    })
    .await;
}

/// 50: a target that goes on after CLOSE is cut off, and nothing of it reaches the client any more.
#[tokio::test]
async fn a_target_that_goes_on_after_close_is_cut_off() {
    at_both(async |relay, _| {
        let flooding = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut raw = raw(relay).await;
        let stream = raw.connect(1, flooding.local_addr().unwrap()).await;
        let (mut target, _) = flooding.accept().await.unwrap();
        let cut_off = tokio::spawn(async move {
            let block = vec![0; 100_000];
            while target.write_all(&block).await.is_ok() {}
        });
        let mut octets = 0;
        while octets < 1_000_000 {
            if let Packet::Data { bytes, .. } = raw.next().await {
                octets += bytes.len();
            }
        }
        raw.send(&Packet::Close { stream, reason: Reason::VOLUNTARY }).await;
        soon("the target's end", cut_off).await.unwrap();
        // What was on its way comes before the answer to this; after it nothing does.
        let echo = echo().await;
        let second = raw.connect(2, echo).await;
        while !matches!(raw.next().await, Packet::Continue { stream: StreamId(2), .. }) {}
        raw.send(&Packet::Data { stream: second, bytes: "hej".into() }).await;
        assert_eq!(raw.next().await, Packet::Data { stream: second, bytes: "hej".into() });
    })
    .await;
}

/// 50: the longest datagram there is goes both ways; a longer one harms its own stream only.
#[tokio::test]
async fn datagrams_of_64_kib() {
    at_both(async |relay, _| {
        let echo = echo().await;
        let mut raw = raw(relay).await;
        let (host, port) = (echo.ip().to_string(), echo.port());
        for (id, octets, is_sent) in [(1, 65_507, true), (2, 65_508, false), (3, 65_536, false)] {
            let (stream, bytes) = (StreamId(id), Bytes::from(pattern(octets)));
            raw.send(&Packet::Connect { stream, kind: StreamKind::Udp, port, host: host.clone() }).await;
            raw.send(&Packet::Data { stream, bytes: bytes.clone() }).await;
            match raw.next().await {
                Packet::Data { bytes: got, .. } => assert!(is_sent && got == bytes, "{octets}"),
                other => {
                    let closed = Packet::Close { stream, reason: Reason::NETWORK_ERROR };
                    assert!(!is_sent && other == closed, "{octets}: {other:?}");
                }
            }
        }
    })
    .await;
}
