//! Who is let in, what is not Wisp, and what plain HTTP answers.

use crate::common::{Relay, options, soon, start, target};
use futures_util::{SinkExt, StreamExt};
use socketlab_server::{ServeOptions, bind};
use socketlab_wisp::{Packet, Reason, StreamId, StreamKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        Error, Message,
        http::header::SEC_WEBSOCKET_PROTOCOL,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

/// The status that an upgrade gets: 101 or a refusal with a sentence.
pub(crate) async fn knock(relay: &Relay, path: &str, headers: &[(&'static str, &str)]) -> (u16, String) {
    let mut request = relay.request(path);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let tcp = TcpStream::connect(relay.address).await.unwrap();
    match client_async(request, tcp).await {
        Ok(_) => (101, String::new()),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8_lossy(body).into_owned())
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn only_the_own_page_gets_in() {
    let relay = Relay::start().await;
    let port = relay.address.port();
    let own = format!("http://127.0.0.1:{port}");
    for path in ["/wisp/", "/wsproxy/127.0.0.1:1"] {
        assert_eq!(knock(&relay, path, &[("origin", &own)]).await.0, 101);
        assert_eq!(knock(&relay, path, &[]).await.0, 101, "a program that is no browser");
        let other_port = format!("http://127.0.0.1:{}", port ^ 1);
        for evil in ["http://evil.example", "null", "http://localhost.evil.example", &other_port] {
            let (status, text) = knock(&relay, path, &[("origin", evil)]).await;
            assert_eq!(status, 403, "{evil}");
            assert!(text.contains("may not use the relay"), "{text}");
        }
        let rebound = format!("evil.example:{port}");
        let its_origin = format!("http://{rebound}");
        let (status, text) = knock(&relay, path, &[("host", &rebound), ("origin", &its_origin)]).await;
        assert_eq!(status, 403);
        assert!(text.contains("--host evil.example"), "{text}");
    }
}

#[tokio::test]
async fn browsers_only_when_asked_for() {
    let relay = start(ServeOptions { require_origin: true, ..options(&[]) }).await;
    assert_eq!(knock(&relay, "/wisp/", &[]).await.0, 403);
    let own = format!("http://{}", relay.address);
    assert_eq!(knock(&relay, "/wisp/", &[("origin", &own)]).await.0, 101);
}

#[tokio::test]
async fn connections_have_a_limit_that_is_said() {
    let relay = start(ServeOptions { max_connections: 1, ..options(&[]) }).await;
    let first = relay.raw().await;
    let (status, text) = knock(&relay, "/wisp/", &[]).await;
    assert_eq!(status, 503);
    assert!(text.contains("--max-connections"), "{text}");
    drop(first);
}

#[tokio::test]
async fn an_offered_subprotocol_is_answered_with_itself() {
    let relay = Relay::start().await;
    let mut request = relay.request("/wisp/");
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, "wisp-v2, other".parse().unwrap());
    let tcp = TcpStream::connect(relay.address).await.unwrap();
    let (_, response) = client_async(request, tcp).await.unwrap();
    assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "wisp-v2");
}

#[tokio::test]
async fn what_is_not_wisp_ends_the_connection_and_says_why() {
    let relay = Relay::start().await;
    let (_listener, address) = target().await;
    let port = address.port().to_le_bytes();
    let open = [&[1, 1, 0, 0, 0, 1][..], &port, b"127.0.0.1"].concat();
    let zero = [&[1, 0, 0, 0, 0, 1][..], &port, b"127.0.0.1"].concat();
    let cases: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        ("empty", vec![vec![]], "packet type"),
        ("four octets", vec![vec![2, 1, 0, 0]], "stream id"),
        ("short CONNECT", vec![vec![1, 1, 0, 0, 0, 1, 80]], "port"),
        ("short CLOSE", vec![vec![4, 1, 0, 0, 0]], "close reason"),
        ("long CLOSE", vec![vec![4, 1, 0, 0, 0, 2, 2]], "too many"),
        ("unknown type", vec![vec![9, 1, 0, 0, 0]], "unknown packet type 0x09"),
        ("CONNECT for stream 0", vec![zero], "stream 0"),
        ("DATA for stream 0", vec![vec![2, 0, 0, 0, 0, 1]], "stream 0"),
        ("number in use", vec![open.clone(), open], "stream 1 is already open"),
        ("CONTINUE", vec![vec![3, 1, 0, 0, 0, 1, 0, 0, 0]], "servers only"),
        ("INFO", vec![vec![5, 0, 0, 0, 0, 2, 0]], "version 1"),
    ];
    for (name, messages, part) in cases {
        let mut raw = relay.raw().await;
        for message in messages {
            raw.send_octets(message).await;
        }
        let (packets, code, text) = raw.end().await;
        let last = packets.last().unwrap();
        let expected = Packet::Close { stream: StreamId::CONNECTION, reason: Reason::INVALID };
        assert_eq!(*last, expected, "{name}");
        assert_eq!(u16::from(code), 1002, "{name}");
        assert!(text.contains(part), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_request_that_makes_no_sense_costs_that_stream_only() {
    let relay = Relay::with_demo().await;
    let mut raw = relay.raw().await;
    raw.send_octets(vec![1, 3, 0, 0, 0, 7, 80, 0, b'a']).await;
    assert_eq!(raw.next().await, Packet::Close { stream: StreamId(3), reason: Reason::INVALID });
    raw.send_octets(vec![1, 4, 0, 0, 0, 1, 80, 0, 0xff]).await;
    assert_eq!(raw.next().await, Packet::Close { stream: StreamId(4), reason: Reason::INVALID });
    raw.send(&Packet::Data { stream: StreamId(5), bytes: "unknown".into() }).await;
    raw.send(&Packet::Close { stream: StreamId(5), reason: Reason::VOLUNTARY }).await;
    raw.connect(6, relay.demo().echo).await;
    assert!(matches!(raw.next().await, Packet::Continue { stream: StreamId(6), .. }));
}

#[tokio::test]
async fn text_is_refused_and_so_is_a_message_that_is_too_long() {
    let relay = Relay::start().await;
    let mut raw = relay.raw().await;
    raw.socket.send(Message::text("hej")).await.unwrap();
    let (_, code, text) = raw.end().await;
    assert_eq!((u16::from(code), text.as_str()), (1003, "Wisp packets are binary messages"));

    let mut raw = relay.raw().await;
    let mut long = vec![0; 1024 * 1024 + 1];
    long[..2].copy_from_slice(&[2, 1]);
    // The relay may hang up before it has taken everything.
    drop(raw.socket.send(Message::Binary(long.into())).await);
    let ended = loop {
        match raw.socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => break Some(u16::from(frame.code)),
            Some(Ok(_)) => {}
            // The reset that follows unread octets can overtake the close frame.
            Some(Err(_)) | None => break None,
        }
    };
    assert!(matches!(ended, None | Some(1009)), "{ended:?}");
}

#[tokio::test]
async fn a_message_in_many_frames_is_one_packet() {
    let relay = Relay::with_demo().await;
    let mut raw = relay.raw().await;
    let demo = relay.demo().echo;
    let host = demo.ip().to_string();
    let stream = StreamId(0x0a0b_0c0d);
    let connect = Packet::Connect { stream, kind: StreamKind::Tcp, port: demo.port(), host }.emit();
    let data = Packet::Data { stream, bytes: "hej hej".into() }.emit();
    for message in [connect, data] {
        let last = message.len() - 1;
        for (at, octet) in message.iter().enumerate() {
            let opcode = if at == 0 { Data::Binary } else { Data::Continue };
            let frame = Frame::message(vec![*octet], OpCode::Data(opcode), at == last);
            raw.socket.send(Message::Frame(frame)).await.unwrap();
        }
    }
    assert!(matches!(raw.next().await, Packet::Continue { .. }));
    assert_eq!(raw.next().await, Packet::Data { stream, bytes: "hej hej".into() });
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_let_go_and_one_that_does_is_not() {
    let relay = start(ServeOptions { idle_timeout: 2, ..options(&[]) }).await;
    let mut alive = relay.raw().await;
    let silent = relay.raw().await;
    // Reading is what answers pings.
    let mut silent = silent.socket.into_inner();
    let mut octets = Vec::new();
    let both = async {
        tokio::select! {
            read = silent.read_to_end(&mut octets) => read.unwrap(),
            message = alive.message() => panic!("{message:?}"),
        }
    };
    soon("the end of the silent one", both).await;
    let text = String::from_utf8_lossy(&octets);
    assert!(text.ends_with("nothing was heard from the client for 2s"), "{text}");
}

#[tokio::test]
async fn wsproxy_is_one_connection() {
    let relay = Relay::with_demo().await;
    let mut socket = relay.open(&format!("/wsproxy/{}", relay.demo().echo)).await;
    socket.send(Message::Binary("hej".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Binary("hej".into()));

    let mut socket = relay.open(&format!("/wsproxy/{}", relay.demo().daytime)).await;
    let Message::Binary(line) = socket.next().await.unwrap().unwrap() else { panic!() };
    assert!(line.ends_with(b" GMT\r\n"));
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!() };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "closed by the target"));

    for (target, code, part) in [
        ("192.168.1.1:80", 1008, "private address (to allow it: --allow 192.168.1.1:80/tcp)"),
        ("127.1:80", 1008, "no host"),
        ("nonsense", 1008, "not HOST:PORT"),
        ("[::1]:80", 1008, "relay's own machine"),
    ] {
        let mut socket = relay.open(&format!("/wsproxy/{target}")).await;
        let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!() };
        assert_eq!(u16::from(frame.code), code, "{target}");
        assert!(frame.reason.contains(part), "{target}: {}", frame.reason);
    }
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let relay = Relay::start().await;
    let (head, body) = relay.get("/healthz", "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, b"ok\n");
    for path in ["/healthz", "/", "/no-such-file", "/wisp/"] {
        let (head, _) = relay.get(path, "").await;
        for line in ["x-content-type-options: nosniff", "referrer-policy: no-referrer"] {
            assert!(head.contains(line), "{path}: {head}");
        }
    }
    let (head, body) = relay.get("/no-such-file", "").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert_eq!(body, b"there is no /no-such-file here\n");
    for path in ["/../Cargo.toml", "/..%2fCargo.toml", "//etc/passwd", "/%2e%2e/Cargo.toml"] {
        let (head, _) = relay.get(path, "").await;
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
    }
    let mut tcp = TcpStream::connect(relay.address).await.unwrap();
    tcp.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_code() {
    let public = ServeOptions { listen: "0.0.0.0:0".parse().unwrap(), ..ServeOptions::default() };
    // A class code is made up, and part of the link that is printed.
    let server = bind(public.clone()).await.unwrap();
    let link = server.join_link();
    let (_, code) = link.split_once("/#token=").unwrap();
    assert!(code.len() == 11 && server.banner().contains(&link), "{}", server.banner());
    let mine = bind(ServeOptions { token: vec!["kiva-2026".into()], ..public.clone() }).await.unwrap();
    assert!(mine.join_link().ends_with("/#token=kiva-2026"), "{}", mine.join_link());
    let server = bind(ServeOptions { open: true, ..public }).await.unwrap();
    assert!(!server.join_link().contains("token"));
    assert!(server.banner().contains("Everybody who reaches this address"), "{}", server.banner());
}

#[tokio::test]
async fn the_banner_says_what_is_allowed_and_how_to_allow_more() {
    let server = bind(options(&[])).await.unwrap();
    let banner = server.banner();
    assert!(banner.contains(&format!("http://{}/", server.address())), "{banner}");
    assert!(banner.contains("can reach no real server"), "{banner}");
    assert!(banner.contains("--allow example.org:80"), "{banner}");

    let server = bind(ServeOptions { demo_services: true, ..options(&["*.example.org:80"]) }).await.unwrap();
    let (banner, demo) = (server.banner(), *server.demo().unwrap());
    assert!(banner.contains("  *.example.org:80\n"), "{banner}");
    assert!(banner.contains(&format!("  {}/udp   echo\n", demo.echo)), "{banner}");
    assert!(banner.contains(&format!("  {}/tcp   web server\n", demo.http)), "{banner}");

    let taken = bind(ServeOptions { listen: server.address(), ..options(&[]) }).await.err().unwrap();
    assert!(taken.to_string().starts_with(&format!("cannot listen on {}", server.address())), "{taken}");
}
