//! Our extension over real sockets: half-close, windows, errno, addresses, ports, questions.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use socketlab_server::{Ports, ServeOptions};
use socketlab_wisp::{Answer, ClientEvent, ClientOptions, Question, Reason, StreamId, StreamKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

use crate::common::{Page, Relay, nobody, options, pattern, soon, start, start_with_names, target};

const ANY_PORT: Option<Ports> = Some(Ports { low: 0, high: 0 });

async fn publishing() -> Relay {
    start(ServeOptions { publish: ANY_PORT, publish_quota: 2, ..options(&["127.0.0.1:1-65535"]) }).await
}

/// Asks for a port; where it is.
async fn listen(page: &mut Page, kind: StreamKind) -> (StreamId, SocketAddr) {
    let port = page.client.listen(kind, 0).unwrap();
    match page.event_of(port).await {
        ClientEvent::Listening { local, .. } => (port, local),
        other => panic!("{other:?}"),
    }
}

/// The next connection to any port: stream and peer.
async fn accepted(page: &mut Page) -> (StreamId, SocketAddr) {
    page.wait_for(|event| match event {
        ClientEvent::Accepted { stream, remote, .. } => Some((*stream, *remote)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn the_addresses_are_those_of_the_real_socket() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut page = relay.ours().await;
    let (_, local) = page.connect(address).await;
    let (_client, peer) = listener.accept().await.unwrap();
    assert_eq!(local, peer);
}

#[tokio::test]
async fn each_side_ends_by_itself() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut page = relay.ours().await;

    // The page asks and has finished; the answer comes after the target has seen that end.
    let (id, _) = page.connect(address).await;
    let (mut client, _) = listener.accept().await.unwrap();
    page.send(id, b"the whole question").await;
    let now = page.now();
    page.client.finish(now, id);
    page.pump().await;
    let mut question = String::new();
    soon("the end of the question", client.read_to_string(&mut question)).await.unwrap();
    assert_eq!(question, "the whole question");
    let answer = pattern(1_000_000);
    let all = answer.clone();
    let sending = tokio::spawn(async move {
        client.write_all(&answer).await.unwrap();
        client
    });
    assert!(page.read(id, all.len()).await == all);
    drop(soon("the target", sending).await.unwrap());
    assert_eq!(page.event_of(id).await, ClientEvent::Finished { stream: id });
    assert_eq!(page.closed(id).await, Reason::VOLUNTARY);

    // The other way round: the target has finished, and the page goes on.
    let (id, _) = page.connect(address).await;
    let (mut client, _) = listener.accept().await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(page.event_of(id).await, ClientEvent::Finished { stream: id });
    page.send(id, b"still talking").await;
    let mut heard = [0; 13];
    soon("what the page says", client.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"still talking");
    let now = page.now();
    page.client.finish(now, id);
    page.pump().await;
    assert_eq!(soon("the end", client.read(&mut heard)).await.unwrap(), 0);
    assert_eq!(page.closed(id).await, Reason::VOLUNTARY);
}

#[tokio::test]
async fn a_target_that_resets_after_its_end_is_told() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut page = relay.ours().await;
    let (id, _) = page.connect(address).await;
    let (client, _) = listener.accept().await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let (errno, text, reason) = page.failed(id).await;
    assert_eq!((errno, reason), (104, Reason::NETWORK_ERROR), "{text}");
}

#[tokio::test]
async fn every_failure_has_errno_and_sentence() {
    let relay = start(options(&["127.0.0.1:1-65535", "*.invalid"])).await;
    let mut page = relay.ours().await;
    let refused = page.tcp(nobody().await);
    let (errno, text, reason) = page.failed(refused).await;
    assert_eq!((errno, reason), (111, Reason::REFUSED), "{text}");
    for (host, port, errno, reason, part) in [
        ("192.168.1.1", 80, 13, Reason::BLOCKED, "--allow 192.168.1.1:80/tcp"),
        ("example.org", 80, 13, Reason::BLOCKED, "--allow example.org:80/tcp"),
        ("127.1", 80, 22, Reason::INVALID, "no host"),
        ("nothing.invalid", 80, 2, Reason::UNREACHABLE, "no address is known"),
    ] {
        let now = page.now();
        let id = page.client.open_tcp(now, host, port).unwrap();
        let (number, text, why) = page.failed(id).await;
        assert_eq!((number, why), (errno, reason), "{host}: {text}");
        assert!(text.contains(part), "{host}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_consumed_stops_itself_and_no_other() {
    const WINDOW: usize = 100_000;
    let relay = start(ServeOptions { demo_services: true, ..options(&["127.0.0.1:1-65535"]) }).await;
    let (listener, address) = target().await;
    let options = ClientOptions { window: WINDOW as u32, ..ClientOptions::default() };
    let mut page = relay.page_with("wisp-v2", options).await;
    let (flood, _) = page.connect(address).await;
    let (mut client, _) = listener.accept().await.unwrap();
    let (whole, expected) = (pattern(20_000_000), pattern(20_000_000));
    let flooding = tokio::spawn(async move {
        client.write_all(&whole).await.unwrap();
        client.shutdown().await.unwrap();
        client
    });
    let mut got = Vec::new();
    while got.len() < WINDOW {
        let ClientEvent::Data { bytes, .. } = page.event_of(flood).await else { panic!() };
        got.extend_from_slice(&bytes);
    }
    assert_eq!(got.len(), WINDOW, "not an octet more than the window");
    // Another stream is as quick as ever, and nothing of the first comes with it.
    let (echo, _) = page.connect(relay.demo().echo).await;
    for _ in 0..50 {
        page.send(echo, b"still here?").await;
        let mut answer = Vec::new();
        while answer.len() < 11 {
            match page.event().await {
                ClientEvent::Data { stream, bytes } => {
                    assert_eq!(stream, echo, "the window is empty");
                    answer.extend_from_slice(&bytes);
                }
                ClientEvent::Writable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        page.client.consumed(echo, 11);
    }
    assert!(!flooding.is_finished(), "the target waits");
    // Late, but all of it.
    page.client.consumed(flood, WINDOW as u64);
    got.extend(page.read(flood, expected.len() - WINDOW).await);
    assert!(got == expected);
    soon("the target", flooding).await.unwrap();
}

#[tokio::test]
async fn a_real_client_reaches_a_program_that_listens() {
    let relay = publishing().await;
    let mut page = relay.ours().await;
    let (port, address) = listen(&mut page, StreamKind::Tcp).await;
    assert!(address.ip().is_loopback());

    let mut client = TcpStream::connect(address).await.unwrap();
    let (id, peer) = accepted(&mut page).await;
    assert_eq!(peer, client.local_addr().unwrap(), "accept() tells the real peer");
    client.write_all(b"hello, is this the server?").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(page.read(id, 26).await, b"hello, is this the server?");
    assert_eq!(page.event_of(id).await, ClientEvent::Finished { stream: id });
    page.send(id, b"it is").await;
    let now = page.now();
    page.client.finish(now, id);
    page.pump().await;
    let mut answer = String::new();
    soon("the answer", client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "it is");
    assert_eq!(page.closed(id).await, Reason::VOLUNTARY);

    // A program that closes with a reset; and one that was never there.
    let mut client = TcpStream::connect(address).await.unwrap();
    let (id, _) = accepted(&mut page).await;
    page.client.abort(id, Reason::NETWORK_ERROR);
    page.pump().await;
    let error = soon("the reset", client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    // A connection lives on when its port is given back; the port is free.
    let mut client = TcpStream::connect(address).await.unwrap();
    let (id, _) = accepted(&mut page).await;
    page.client.close(port, Reason::VOLUNTARY);
    page.pump().await;
    soon("the port", async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(page.read(id, 1).await, b"x");
    page.send(id, b"y").await;
    assert_eq!(soon("an octet", client.read_u8()).await.unwrap(), b'y');
}

#[tokio::test]
async fn ports_go_when_the_page_goes() {
    let relay = publishing().await;
    let mut page = relay.ours().await;
    let (_, tcp) = listen(&mut page, StreamKind::Tcp).await;
    let (_, udp) = listen(&mut page, StreamKind::Udp).await;
    let mut client = TcpStream::connect(tcp).await.unwrap();
    accepted(&mut page).await;
    drop(page);
    let end = soon("the end", client.read_u8()).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset, "broken off, not finished");
    soon("the ports", async {
        while std::net::TcpListener::bind(tcp).is_err() || std::net::UdpSocket::bind(udp).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn ports_have_a_range_a_quota_and_one_owner() {
    // Two ports that are free now.
    let (low, high) = loop {
        let (_a, a) = target().await;
        if let Some(next) = a.port().checked_add(1)
            && std::net::TcpListener::bind(("127.0.0.1", next)).is_ok()
        {
            break (a.port(), next);
        }
    };
    let publish = Some(Ports { low, high });
    let relay = start(ServeOptions { publish, publish_quota: 2, ..options(&[]) }).await;
    let mut page = relay.ours().await;
    let terms = page.client.terms().unwrap();
    assert!(terms.listen && terms.bind_udp);
    assert_eq!((terms.ports, terms.port_range), (2, (low, high)));
    let ask = async |page: &mut Page, port| {
        let id = page.client.listen(StreamKind::Tcp, port).unwrap();
        match page.event_of(id).await {
            ClientEvent::Listening { local, .. } => Ok(local.port()),
            ClientEvent::Trouble { errno, .. } => Err((errno, page.closed(id).await)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut page, 22).await, Err((1, Reason::BLOCKED)), "not one of those");
    assert_eq!(ask(&mut page, high).await, Ok(high));
    let mut other = relay.ours().await;
    assert_eq!(ask(&mut other, high).await, Err((98, Reason::THROTTLED)), "somebody has it");
    assert_eq!(ask(&mut other, 0).await, Ok(low));
    assert_eq!(ask(&mut page, 0).await, Err((98, Reason::THROTTLED)), "all are taken");
    drop(other);
    soon("the port", async {
        while ask(&mut page, low).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(ask(&mut page, 0).await, Err((11, Reason::THROTTLED)), "two at a time");

    let without = start(options(&[])).await;
    let mut page = without.ours().await;
    assert!(!page.client.terms().unwrap().listen);
    assert_eq!(ask(&mut page, 0).await, Err((1, Reason::BLOCKED)));
}

#[tokio::test]
async fn a_connection_over_the_limit_is_reset_and_told() {
    let relay = start(ServeOptions { publish: ANY_PORT, max_streams: 2, ..options(&[]) }).await;
    let mut page = relay.ours().await;
    let (port, address) = listen(&mut page, StreamKind::Tcp).await;
    let _first = TcpStream::connect(address).await.unwrap();
    accepted(&mut page).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(soon("the reset", second.read_u8()).await.is_err());
    let ClientEvent::Trouble { errno, text, .. } = page.event_of(port).await else { panic!() };
    assert_eq!(errno, 11);
    assert!(text.contains("was turned away: one page may have 2 streams"), "{text}");
}

#[tokio::test]
async fn datagrams_come_and_go_with_addresses() {
    let relay = start(ServeOptions { publish: ANY_PORT, ..options(&[]) }).await;
    let mut page = relay.ours().await;
    let (port, address) = listen(&mut page, StreamKind::Udp).await;
    let (one, other) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    for socket in [&one, &other] {
        socket.send_to(b"who am I?", address).await.unwrap();
        let from = socket.local_addr().unwrap();
        let bytes = Bytes::from_static(b"who am I?");
        assert_eq!(page.event_of(port).await, ClientEvent::Datagram { stream: port, from, bytes });
        assert!(page.client.send_datagram_to(port, from, from.to_string().as_bytes()));
        page.pump().await;
        let mut buffer = [0; 100];
        let (octets, relay_side) = soon("an answer", socket.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((&buffer[..octets], relay_side), (from.to_string().as_bytes(), address));
    }
    // Nobody else is written to without a rule.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert!(page.client.send_datagram_to(port, stranger.local_addr().unwrap(), b"unasked"));
    let ClientEvent::Trouble { errno, text, .. } = page.event_of(port).await else { panic!() };
    assert_eq!(errno, 13, "{text}");
}

async fn answer(page: &mut Page, question: Question) -> Answer {
    let number = page.client.ask(question).unwrap();
    page.wait_for(|event| match event {
        ClientEvent::Answered { question, answer } if *question == number => Some(answer.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn names_are_looked_up_under_the_policy() {
    let names: &[(&str, &[&[&str]])] = &[
        ("lab.example", &[&["93.184.216.34", "2606:2800:220:1::1"]]),
        ("inside.example", &[&["192.168.1.1"]]),
    ];
    let relay = start_with_names(options(&["*.example:80"]), names).await;
    let mut page = relay.ours().await;
    let lookup = |host: &str| Question::Lookup { host: host.to_owned() };
    let addresses = vec!["93.184.216.34".parse().unwrap(), "2606:2800:220:1::1".parse().unwrap()];
    assert_eq!(answer(&mut page, lookup("lab.example")).await, Answer::Lookup { addresses });
    for (host, expected, part) in [
        ("inside.example", 13, "inside.example leads to 192.168.1.1"),
        ("gone.example", 2, "no address is known for gone.example"),
        ("other.test", 13, "no rule of this relay allows it"),
        ("127.1", 22, "no host"),
    ] {
        match answer(&mut page, lookup(host)).await {
            Answer::Failed { question: 1, errno, text } => {
                assert_eq!(errno, expected, "{host}: {text}");
                assert!(text.contains(part), "{host}: {text}");
            }
            other => panic!("{host}: {other:?}"),
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_tells_how_the_real_socket_is_doing() {
    let relay = Relay::start().await;
    let (listener, address) = target().await;
    let mut page = relay.ours().await;
    let (id, local) = page.connect(address).await;
    let (mut client, _) = listener.accept().await.unwrap();
    page.send(id, &[1; 5000]).await;
    client.read_exact(&mut [0; 5000]).await.unwrap();
    client.write_all(&[2; 700]).await.unwrap();
    assert_eq!(page.read(id, 700).await.len(), 700);
    let Answer::Socket(info) = answer(&mut page, Question::Socket { stream: id }).await else { panic!() };
    assert_eq!((info.local, info.remote, info.state_name()), (local, address, "ESTABLISHED"));
    assert!(info.rtt_us > 0 && info.cwnd >= 2 && info.snd_mss > 500, "{info:?}");
    assert_eq!((info.octets_received, info.retransmitted), (700, 0), "{info:?}");
    client.shutdown().await.unwrap();
    assert_eq!(page.event_of(id).await, ClientEvent::Finished { stream: id });
    let Answer::Socket(info) = answer(&mut page, Question::Socket { stream: id }).await else { panic!() };
    assert_eq!(info.state_name(), "CLOSE-WAIT");
    let nothing = answer(&mut page, Question::Socket { stream: StreamId(99) }).await;
    assert!(matches!(nothing, Answer::Failed { question: 2, errno: 107, .. }), "{nothing:?}");
}

/// One echo, or this machine lets nobody send any: then it says how to.
fn is_echo(answer: Answer) {
    match answer {
        Answer::Ping { from, .. } => assert!(from.is_loopback()),
        Answer::Failed { errno: 1, text, .. } => assert!(text.contains("ping_group_range"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_echo_is_sent_where_it_may_be_and_explained_where_not() {
    let relay = start(options(&["127.0.0.1/icmp"])).await;
    let mut page = relay.ours().await;
    let ping = |host: &str| Question::Ping { host: host.to_owned() };
    is_echo(answer(&mut page, ping("127.0.0.1")).await);
    match answer(&mut page, ping("192.168.1.1")).await {
        Answer::Failed { question: 3, errno: 13, text } => {
            assert!(text.contains("--allow 192.168.1.1/icmp"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    let metrics = relay.control.metrics();
    assert!(metrics.contains("socketlab_questions_total{question=\"echo\",answer=\"no\"}"), "{metrics}");
}

#[tokio::test]
async fn echoes_count_as_new_streams_do() {
    let relay = start(ServeOptions { max_opens: 2, ..options(&["127.0.0.1/icmp"]) }).await;
    let mut page = relay.ours().await;
    let mut refused = 0;
    for _ in 0..4 {
        match answer(&mut page, Question::Ping { host: "127.0.0.1".to_owned() }).await {
            Answer::Failed { errno: 11, text, .. } => {
                assert!(text.contains("2 streams per second"), "{text}");
                refused += 1;
            }
            other => is_echo(other),
        }
    }
    assert!(refused > 0, "more than two in a burst");
}

#[tokio::test]
async fn an_address_is_judged_by_the_name_that_it_was_told_for() {
    let (listener, address) = target().await;
    let port = address.port();
    // The name alone opens no loopback address: this needs both rules, and a look-up first.
    let rules = [format!("localhost:{port}")];
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let relay = start_with_names(options(&rules), &[("localhost", &[&["127.0.0.1"]])]).await;
    let mut page = relay.ours().await;
    let open = async |page: &mut Page| {
        let id = page.client.open_tcp(Duration::ZERO, "127.0.0.1", port).unwrap();
        page.pump().await;
        page.event_of(id).await
    };
    match open(&mut page).await {
        ClientEvent::Trouble { errno: 13, .. } => {}
        other => panic!("{other:?}"),
    }
    let told = answer(&mut page, Question::Lookup { host: "localhost".to_owned() }).await;
    assert_eq!(told, Answer::Lookup { addresses: vec![address.ip()] });
    assert!(matches!(open(&mut page).await, ClientEvent::Opened { .. }));
    soon("the connection", listener.accept()).await.unwrap();
    // Another client was told nothing.
    let mut other = relay.ours().await;
    assert!(matches!(open(&mut other).await, ClientEvent::Trouble { errno: 13, .. }));
}
