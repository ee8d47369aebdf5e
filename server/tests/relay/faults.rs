//! What goes wrong outside: clients that break off or talk nonsense, bursts, no descriptor left. The relay answers or
//! closes, others go on, and nothing stays behind.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use socketlab_wisp::{
    Client, ClientEvent, ClientOptions, Ext, Offer, Packet, Question, Reason, ServerTerms, StreamId,
    StreamKind,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error, Message},
};

use crate::{
    common::{Page, page_at, page_of, soon},
    process::{Process, get},
};

/// Echo of TCP and UDP on one port; ends with the test.
pub(crate) async fn echo() -> SocketAddr {
    let (tcp, address) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        if let Ok(udp) = tokio::net::UdpSocket::bind(address).await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok((octets, from)) = udp.recv_from(&mut buffer).await {
                    drop(udp.send_to(&buffer[..octets], from).await);
                }
            });
            break (tcp, address);
        }
    };
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = tcp.accept().await {
            tokio::spawn(async move {
                let (mut reading, mut writing) = socket.split();
                drop(tokio::io::copy(&mut reading, &mut writing).await);
            });
        }
    });
    address
}

async fn with_echo(descriptors: u32, flags: &[&str]) -> (Process, SocketAddr) {
    let echo = echo().await;
    let rule = echo.to_string();
    (Process::start(descriptors, &[&["--allow", &rule], flags].concat()).await, echo)
}

/// A connection of version 2 with our extension.
pub(crate) async fn ours(relay: SocketAddr) -> Page {
    let mut page = page_of(relay, ClientOptions::default()).await;
    assert_eq!(page.event().await, ClientEvent::Ready { credit: 128 });
    page
}

/// A client that does everything right gets its octets back.
pub(crate) async fn works(page: &mut Page, echo: SocketAddr) {
    let stream = page.tcp(echo);
    page.opened(stream).await;
    page.send(stream, b"hej hej").await;
    loop {
        match page.event_of(stream).await {
            ClientEvent::Addresses { .. } => {}
            ClientEvent::Data { bytes, .. } => break assert_eq!(bytes, "hej hej"),
            other => panic!("{other:?}"),
        }
    }
    page.client.close(stream, Reason::VOLUNTARY);
    page.pump().await;
}

/// Octets that look random and are the same each time (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides.max(1)
    }
}

/// A message as a client's frame, masked.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x82];
    match u16::try_from(message.len()).unwrap() {
        octets @ 0..126 => out.push(0x80 | u8::try_from(octets).unwrap()),
        octets => {
            out.push(0x80 | 126);
            out.extend(octets.to_be_bytes());
        }
    }
    out.extend([1, 2, 3, 4]);
    out.extend(message.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(octet, mask)| octet ^ mask));
    out
}

fn upgrade(relay: SocketAddr) -> Vec<u8> {
    format!(
        "GET /wisp/ HTTP/1.1\r\nhost: {relay}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: wisp-v2\r\n\r\n"
    )
    .into_bytes()
}

/// Messages of a real session with our extension: INFO as our client writes it, and one packet of each kind.
fn session(echo: SocketAddr) -> Vec<Bytes> {
    let mut client = Client::with_options(ClientOptions::default());
    let offer = Offer { udp: true, confirm: true, ours: Some(ServerTerms::default()), ..Offer::default() };
    client.handle_message(Duration::ZERO, offer.emit().emit()).unwrap();
    let mut messages: Vec<Bytes> = std::iter::from_fn(|| client.poll_message()).collect();
    assert_eq!(messages.len(), 1, "INFO");
    let (host, port) = (echo.ip().to_string(), echo.port());
    let [one, two, three, four, five, six] = [1, 2, 3, 4, 5, 6].map(StreamId);
    let data =
        |stream| Packet::Data { stream, bytes: Bytes::from_static(b"some octets, and some more of them") };
    let ext = |stream, body| Packet::Ext { stream, body };
    messages.extend(
        [
            Packet::Connect { stream: one, kind: StreamKind::Tcp, port, host: host.clone() },
            data(one),
            ext(one, Ext::Window { octets: 70_000 }),
            Packet::Connect { stream: two, kind: StreamKind::Udp, port, host },
            data(two),
            ext(three, Ext::Listen { kind: StreamKind::Tcp, port: 0 }),
            ext(four, Ext::Listen { kind: StreamKind::Udp, port: 0 }),
            ext(five, Ext::Ask(Question::Lookup { host: "localhost".into() })),
            ext(six, Ext::Ask(Question::Socket { stream: one })),
            data(one),
            ext(one, Ext::Finish),
            Packet::Close { stream: two, reason: Reason::VOLUNTARY },
            Packet::Close { stream: one, reason: Reason::VOLUNTARY },
        ]
        .iter()
        .map(Packet::emit),
    );
    messages
}

/// Upgrade, INFO and the rest, as octets of one TCP connection.
fn wire(relay: SocketAddr, messages: &[Bytes]) -> Vec<u8> {
    let mut octets = upgrade(relay);
    messages.iter().for_each(|message| octets.extend(frame(message)));
    octets
}

/// Reads until the relay closes, which it has to; nothing of that is a panic's business.
async fn to_the_end(tcp: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // It may reset, when octets are left that it did not want.
    drop(soon("the relay's end of a connection", tcp.read_to_end(&mut answer)).await);
    answer
}

/// Nothing is open, and nothing went wrong inside.
async fn is_at_rest(relay: &mut Process, descriptors: usize) {
    relay.until("socketlab_connections_open", 0).await;
    relay.until("socketlab_streams_open", 0).await;
    relay.until("socketlab_ports_open", 0).await;
    let closed = async {
        while relay.descriptors() > descriptors {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("descriptors to be closed", closed).await;
    let log = relay.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Half of them end with FIN, half with RST.
#[tokio::test]
async fn a_client_may_break_off_at_every_octet() {
    let (mut relay, echo) = with_echo(1000, &["--publish", "0-0"]).await;
    let octets = wire(relay.address, &session(echo));
    works(&mut ours(relay.address).await, echo).await;
    is_at_rest(&mut relay, usize::MAX).await;
    let descriptors = relay.descriptors();
    for cut in 0..octets.len() {
        let mut tcp = TcpStream::connect(relay.address).await.unwrap();
        tcp.write_all(&octets[..cut]).await.unwrap();
        if cut % 2 == 0 {
            tcp.set_zero_linger().unwrap();
        } else {
            tcp.shutdown().await.unwrap();
            to_the_end(&mut tcp).await;
        }
    }
    works(&mut ours(relay.address).await, echo).await;
    is_at_rest(&mut relay, descriptors).await;
}

/// Handshake, credentials and streams in one octet at a time.
#[tokio::test]
async fn a_client_may_send_octet_by_octet() {
    let (relay, echo) = with_echo(1000, &["--publish", "0-0"]).await;
    let mut tcp = TcpStream::connect(relay.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    for octet in wire(relay.address, &session(echo)[..3]) {
        tcp.write_all(&[octet]).await.unwrap();
    }
    let mut answer = Vec::new();
    let echoed = async {
        let wanted = b"some octets, and some more of them";
        while !answer.windows(wanted.len()).any(|part| part == wanted) {
            assert_ne!(tcp.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
        }
    };
    soon("the echo", echoed).await;
}

/// Sessions that went wrong on their way: in a message, in the frames around it, or in the order. The relay answers or
/// closes, a client beside them goes on, and memory does not grow with them.
#[tokio::test]
async fn nonsense_ends_its_own_connection_and_nothing_else() {
    let (mut relay, echo) = with_echo(1000, &["--publish", "0-0"]).await;
    let mut good = ours(relay.address).await;
    works(&mut good, echo).await;
    let messages = session(echo);
    let head = upgrade(relay.address);
    let mut dice = Dice(0x5eed_0000_0005);
    let mut memory = 0;
    for round in 0..1200 {
        let mut mutated = messages.clone();
        let mut octets = Vec::new();
        if round % 2 == 0 {
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(mutated.len());
                mutate(&mut mutated, at, &mut dice);
            }
            mutated.iter().for_each(|message| octets.extend(frame(message)));
        } else {
            mutated.iter().for_each(|message| octets.extend(frame(message)));
            for _ in 0..=dice.roll(4) {
                let at = dice.roll(octets.len());
                octets[at] ^= 1 << dice.roll(8);
            }
        }
        let mut tcp = TcpStream::connect(relay.address).await.unwrap();
        tcp.write_all(&head).await.unwrap();
        // It may have hung up already.
        drop(tcp.write_all(&octets).await);
        drop(tcp.shutdown().await);
        let answer = to_the_end(&mut tcp).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 101"), "round {round}");
        if round % 100 == 99 {
            works(&mut good, echo).await;
        }
        if round == 400 {
            memory = relay.memory();
        }
    }
    let grown = relay.memory().saturating_sub(memory);
    assert!(grown < 8_000_000, "{grown} octets in 800 sessions");
    drop(good);
    is_at_rest(&mut relay, usize::MAX).await;
}

/// One of the ways in which a message can be wrong.
fn mutate(messages: &mut Vec<Bytes>, at: usize, dice: &mut Dice) {
    let mut message = messages[at].to_vec();
    let place = dice.roll(message.len());
    match dice.roll(8) {
        0 => message.truncate(place),
        1 => message.insert(place, u8::try_from(dice.roll(256)).unwrap()),
        2 if !message.is_empty() => message[place] ^= 1 << dice.roll(8),
        3 if !message.is_empty() => message[place] = u8::try_from(dice.roll(256)).unwrap(),
        // The packet type.
        4 if !message.is_empty() => {
            message[0] = [1, 2, 3, 4, 5, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7][dice.roll(13)]
        }
        5 => message.extend(vec![0xff; dice.roll(300)]),
        6 => return messages.insert(dice.roll(messages.len()), message.into()),
        _ => {
            let other = dice.roll(messages.len());
            return messages.swap(at, other);
        }
    }
    messages[at] = message.into();
}

/// 10,000 CONNECTs at once at a relay with the usual limits: each one is answered, most by 0x49.
#[tokio::test]
async fn a_burst_of_opens_is_answered_one_by_one() {
    const OPENS: u32 = 10_000;
    let (mut relay, echo) = with_echo(1000, &[]).await;
    let (socket, _) = {
        let tcp = TcpStream::connect(relay.address).await.unwrap();
        client_async(format!("ws://{}/wisp/", relay.address), tcp).await.unwrap()
    };
    let (mut sink, mut source) = socket.split();
    let (host, port) = (echo.ip().to_string(), echo.port());
    let sending = tokio::spawn(async move {
        for id in 1..=OPENS {
            let host = host.clone();
            let packet = Packet::Connect { stream: StreamId(id), kind: StreamKind::Tcp, port, host };
            sink.feed(Message::Binary(packet.emit())).await?;
        }
        sink.flush().await?;
        Ok::<_, Error>(sink)
    });
    let (mut open, mut throttled) = (0, 0);
    while open + throttled < OPENS {
        let message = soon("an answer to each", source.next()).await.unwrap().unwrap();
        let Message::Binary(message) = message else { continue };
        match Packet::parse(message).unwrap() {
            Packet::Continue { stream: StreamId::CONNECTION, .. } => {}
            Packet::Continue { .. } => open += 1,
            Packet::Close { reason: Reason::THROTTLED, .. } => throttled += 1,
            other => panic!("{other:?}"),
        }
    }
    // 200 in a second, and 256 at a time.
    assert!((200..=256).contains(&open), "{open}");
    let refused = relay.metric("socketlab_refused_total{reason=\"opens_per_second\"}").await
        + relay.metric("socketlab_refused_total{reason=\"streams\"}").await;
    assert_eq!(refused, u64::from(throttled));
    drop((sending.await.unwrap().unwrap(), source));
    is_at_rest(&mut relay, usize::MAX).await;
}

/// The same at a relay whose operator set no limit: all of them are opened.
#[tokio::test]
async fn a_burst_without_limits_is_opened() {
    const OPENS: u32 = 10_000;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let greeter = socket.listen(4096).unwrap();
    let to = greeter.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = greeter.accept().await {
            drop(socket.write_all(b"h").await);
        }
    });
    let rule = to.to_string();
    let flags = ["--allow", &rule, "--max-streams", "20000", "--max-opens", "0"];
    let mut relay = Process::start(1000, &flags).await;
    let mut page = page_at(relay.address).await;
    let (mut asked, mut closed) = (0, 0);
    // Not more under way than the target's queue holds: what overflows there never hears from the target.
    while closed < OPENS {
        while asked < OPENS && asked - closed < 200 {
            page.tcp(to);
            asked += 1;
        }
        match page.event().await {
            ClientEvent::Closed { reason: Reason::VOLUNTARY, .. } => closed += 1,
            ClientEvent::Closed { reason, .. } | ClientEvent::Ended { reason } => panic!("{reason}"),
            _ => {}
        }
    }
    drop(page);
    is_at_rest(&mut relay, usize::MAX).await;
}

/// No descriptor left: the stream is refused with 0x49 and a sentence, a new client hears 503, the operator sees it in
/// log and metrics; and when descriptors come back so does the service.
#[tokio::test]
async fn without_descriptors_it_says_so_and_recovers() {
    let (mut relay, echo) = with_echo(48, &[]).await;
    let mut page = ours(relay.address).await;
    let (mut open, mut refused) = (Vec::new(), None);
    for _ in 0..60 {
        let stream = page.tcp(echo);
        match page.event_of(stream).await {
            ClientEvent::Opened { .. } => open.push(stream),
            ClientEvent::Trouble { errno, text, .. } => {
                assert_eq!((errno, page.closed(stream).await), (24, Reason::THROTTLED), "{text}");
                refused = Some(text);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let text = refused.expect("60 connections do not fit into 48 descriptors");
    assert!(text.contains("Too many open files"), "{text}");
    assert!(open.len() > 10, "{}", open.len());
    // The streams that are open work.
    page.send(open[0], b"still here").await;
    while !matches!(page.event_of(open[0]).await, ClientEvent::Data { bytes, .. } if bytes == "still here") {}
    let answer = get(relay.address, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("no descriptor left"), "{answer}");

    for stream in open {
        page.client.close(stream, Reason::VOLUNTARY);
    }
    page.pump().await;
    let well = async {
        while !get(relay.address, "/healthz").await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the relay to recover", well).await;
    works(&mut page, echo).await;
    works(&mut ours(relay.address).await, echo).await;
    assert!(relay.metric("socketlab_refused_total{reason=\"descriptors\"}").await >= 2);
    assert!(relay.log().contains("no descriptor left"), "{}", relay.log());
    drop(page);
    is_at_rest(&mut relay, usize::MAX).await;
}

/// Clients come, work, break off and go: memory and descriptors stay where they are. SOCKETLAB_SOAK_SECONDS makes it
/// as long as you like.
#[tokio::test]
async fn an_hours_work_leaves_nothing_behind() {
    let seconds = std::env::var("SOCKETLAB_SOAK_SECONDS").map_or(4, |text| text.parse().unwrap());
    let (mut relay, echo) = with_echo(1000, &["--publish", "0-0", "--max-opens", "0"]).await;
    let mut dice = Dice(0x5eed_0000_50a6);
    let start = std::time::Instant::now();
    let mut early = None;
    let mut rounds = 0;
    // A bounded rate: at most 100 rounds a second.
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while start.elapsed() < Duration::from_secs(seconds) || early.is_none() {
        pace.tick().await;
        let mut page = ours(relay.address).await;
        for _ in 0..=dice.roll(8) {
            works(&mut page, echo).await;
        }
        let (stream, _) = page.connect(echo).await;
        page.send(stream, &vec![0; dice.roll(100_000)]).await;
        match dice.roll(3) {
            // Gone without a word, in the middle of it.
            0 => drop(page),
            1 => {
                page.client.close(stream, Reason::NETWORK_ERROR);
                page.pump().await;
            }
            _ => {
                let now = page.now();
                page.client.finish(now, stream);
                while !matches!(
                    page.event_of(stream).await,
                    ClientEvent::Finished { .. } | ClientEvent::Closed { .. }
                ) {}
            }
        }
        rounds += 1;
        if early.is_none() && start.elapsed() > Duration::from_secs(seconds) / 4 && rounds > 50 {
            early = Some(relay.memory());
        }
    }
    let (early, late) = (early.unwrap(), relay.memory());
    assert!(late < early + 6_000_000, "{early} octets became {late} in {rounds} rounds");
    println!("{rounds} rounds in {:.0?}: {early} octets, then {late}", start.elapsed());
    // The listener, the operator's, the reserve and tokio's own.
    is_at_rest(&mut relay, 20).await;
}
