//! Version 2 and our extension: the vectors of `docs/relay-protocol.md`, the handshake in every layout, and both ends
//! against each other.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Answer, Client, ClientEvent, ClientOptions, Credentials, Ext, Extension, Hello, Limits, Offer, OpenError,
    Packet, PasswordLayout, Question, Reason, Refused, Request, Server, ServerTerms, Signer, StreamId,
    StreamKey, StreamKind, TcpInfo, Violation,
    ext::{self, ClientTerms, SERVER_STREAM, split_datagram},
};

const NOW: Duration = Duration::ZERO;

fn octets(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Name and octets of every vector in the document.
fn vectors() -> BTreeMap<String, Bytes> {
    let text = include_str!("../../../docs/relay-protocol.md");
    let (_, rest) = text.split_once("```vectors\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let vector = |line: &str| {
        let (name, hex) = line.split_at(20);
        (name.trim().to_owned(), octets(hex))
    };
    block.lines().map(vector).collect()
}

#[test]
fn the_documents_vectors_are_what_we_write_and_read() {
    let v4 = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (near, far) = (v4("198.51.100.1:49618"), v4("203.0.113.5:80"));
    let peer = v4("203.0.113.5:54794");
    let (stream, port) = (StreamId(3), v4("198.51.100.1:20001"));
    let six = |n: u16, port| SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]), port);
    let packet = |id: u32, body| Packet::Ext { stream: StreamId(id), body };
    let info = TcpInfo {
        local: near,
        remote: far,
        state: 1,
        rtt_us: 8900,
        rttvar_us: 4439,
        rto_us: 200_000,
        cwnd: 10,
        ssthresh: 0x7fff_ffff,
        snd_mss: 1460,
        unacked: 2,
        lost: 0,
        retransmitted: 1,
        octets_acked: 1000,
        octets_received: 1600,
    };
    assert_eq!(info.state_name(), "ESTABLISHED");
    let packets = [
        ("listen tcp", packet(1, Ext::Listen { kind: StreamKind::Tcp, port: 7777 })),
        ("listen udp any", packet(2, Ext::Listen { kind: StreamKind::Udp, port: 0 })),
        (
            "accept",
            packet(SERVER_STREAM | 1, Ext::Accept { listener: StreamId(1), remote: peer, local: port }),
        ),
        ("opened v4", packet(3, Ext::Opened { local: near, remote: Some(far) })),
        ("opened v6", packet(3, Ext::Opened { local: six(1, 49618), remote: Some(six(2, 80)) })),
        ("opened port", packet(1, Ext::Opened { local: port, remote: None })),
        ("window", packet(3, Ext::Window { octets: 0x20000 })),
        ("finish", packet(3, Ext::Finish)),
        ("error", packet(3, Ext::Error { errno: 111, text: "ingen hörs".into() })),
        ("notice", packet(0, Ext::Error { errno: 11, text: "slower, please".into() })),
        ("ask names", packet(1, Ext::Ask(Question::Lookup { host: "example.org".into() }))),
        ("ask socket", packet(2, Ext::Ask(Question::Socket { stream }))),
        ("ask echo", packet(3, Ext::Ask(Question::Ping { host: "203.0.113.5".into() }))),
        (
            "answer names",
            packet(1, Ext::Answer(Answer::Lookup { addresses: vec![far.ip(), six(2, 0).ip()] })),
        ),
        ("answer socket", packet(2, Ext::Answer(Answer::Socket(Box::new(info))))),
        ("answer echo", packet(3, Ext::Answer(Answer::Ping { from: far.ip(), rtt_us: 10_000 }))),
        ("answer no name", {
            let text = "no address".into();
            packet(1, Ext::Answer(Answer::Failed { question: 1, errno: 2, text }))
        }),
    ];
    let mut vectors = vectors();
    for (name, packet) in packets {
        let vector = vectors.remove(name).unwrap_or_else(|| panic!("no vector {name}"));
        assert_eq!(packet.emit(), vector, "{name}");
        assert_eq!(Packet::parse(vector), Ok(packet), "{name}");
    }
    let terms = ServerTerms {
        listen: true,
        bind_udp: true,
        lookup: true,
        tcp_info: true,
        ping: true,
        ports: 4,
        port_range: (20000, 20015),
    };
    let vector = vectors.remove("server terms").unwrap();
    assert_eq!(terms.emit(), Extension { id: ext::ID, metadata: vector.clone() });
    assert_eq!(ServerTerms::parse(&vector), Some(terms));
    let vector = vectors.remove("client terms").unwrap();
    assert_eq!(ClientTerms { window: 256 * 1024 }.emit().metadata, vector);
    assert_eq!(ClientTerms::parse(&vector), Some(ClientTerms { window: 256 * 1024 }));
    let vector = vectors.remove("datagram of a port").unwrap();
    let Ok(Packet::Data { bytes, .. }) = Packet::parse(vector) else { panic!() };
    assert_eq!(split_datagram(&bytes), Ok((peer, Bytes::from_static(b"hej"))));
    assert!(vectors.is_empty(), "not checked: {vectors:?}");
}

#[test]
fn every_vector_cut_short_is_an_error_or_another_packet_and_never_a_panic() {
    for (name, whole) in vectors() {
        for end in 0..whole.len() {
            if let Ok(packet) = Packet::parse(whole.slice(..end)) {
                assert_eq!(packet.emit(), whole.slice(..end), "{name}");
            }
        }
        for at in 0..whole.len() {
            for octet in [0, 1, 4, 6, 0x7f, 0x80, 0xf5, 0xff] {
                let mut changed = whole.to_vec();
                changed[at] = octet;
                if let Ok(packet) = Packet::parse(changed.into()) {
                    // Not the same octets: a port that means nothing is written as 0.
                    assert_eq!(Packet::parse(packet.emit()), Ok(packet), "{name}");
                }
            }
        }
    }
}

#[test]
fn later_versions_terms_are_not_taken_for_ours() {
    assert_eq!(ServerTerms::parse(&octets("02 1f00 0400 204e 2f4e")), None);
    assert_eq!(ServerTerms::parse(&octets("01 1f00 0400")), None);
    assert_eq!(ClientTerms::parse(&octets("02 00000400")), None);
    assert_eq!(ClientTerms::parse(&octets("01 00000400 ff")), Some(ClientTerms { window: 256 * 1024 }));
}

fn everything() -> Offer {
    Offer {
        udp: true,
        confirm: true,
        motd: Some("välkommen".into()),
        ours: Some(ServerTerms {
            listen: true,
            bind_udp: true,
            lookup: true,
            ports: 2,
            ..ServerTerms::default()
        }),
        ..Offer::default()
    }
}

/// Both ends, and a line between them that loses nothing.
struct Pair {
    client: Client,
    server: Server,
    asked: Vec<Request>,
}

impl Pair {
    fn new(options: ClientOptions, offer: Offer) -> Pair {
        let mut pair = Pair {
            client: Client::with_options(options),
            server: Server::version2(Limits { credit: 4, ..Limits::default() }, offer),
            asked: Vec::new(),
        };
        let greeting = pair.server.greeting();
        pair.tell(&greeting);
        pair
    }

    fn tell(&mut self, packet: &Packet) {
        self.client.handle_message(NOW, packet.emit()).unwrap();
    }

    /// Everything that the client has to say; the server lets it in.
    fn run(&mut self) {
        while let Some(message) = self.client.poll_message() {
            let request = self.server.handle_message(message).unwrap();
            if matches!(request, Request::Hello(_)) {
                let greeting = self.server.admit();
                self.tell(&greeting);
            }
            self.asked.push(request);
        }
    }

    fn asked(&mut self) -> Vec<Request> {
        self.run();
        std::mem::take(&mut self.asked)
    }

    fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    fn ours() -> Pair {
        let mut pair = Pair::new(ClientOptions { window: 1000, ..ClientOptions::default() }, everything());
        pair.run();
        pair.asked.clear();
        pair.events();
        pair
    }

    fn opened(&mut self, what: &Request) -> StreamKey {
        let Request::Open { stream, .. } = what else { panic!("{what:?}") };
        *stream
    }
}

#[test]
fn the_handshake_agrees_on_what_both_have() {
    let mut pair = Pair::new(ClientOptions::default(), everything());
    assert_eq!(pair.client.version(), 2);
    assert_eq!(pair.events(), [ClientEvent::Motd { text: "välkommen".into() }]);
    assert!(!pair.client.is_ready());
    let asked = pair.asked();
    let [Request::Hello(hello)] = &asked[..] else { panic!("{asked:?}") };
    let ours = Some(ClientTerms { window: 256 * 1024 });
    let expected = Hello { major: 2, udp: true, confirm: true, credentials: Credentials::default(), ours };
    assert_eq!(**hello, expected);
    assert_eq!(pair.events(), [ClientEvent::Ready { credit: 4 }]);
    assert_eq!(pair.client.terms(), everything().ours);
    assert_eq!(pair.server.window(), Some(256 * 1024));

    let mut plain = Pair::new(ClientOptions { extended: false, ..ClientOptions::default() }, everything());
    plain.run();
    assert_eq!((plain.client.terms(), plain.server.window()), (None, None));
    assert_eq!(plain.client.listen(StreamKind::Tcp, 0), Err(OpenError::NotOffered));
    assert_eq!(plain.client.ask(Question::Lookup { host: "a".into() }), Err(OpenError::NotOffered));
    let ours = octets("f4 01000000");
    assert!(matches!(plain.server.handle_message(ours), Err(Violation::Parse(_))), "not agreed on");
}

#[test]
fn a_relay_of_version_1_is_spoken_to_in_version_1() {
    let mut client = Client::new();
    let stream = client.open_tcp(NOW, "host.example", 80).unwrap();
    let port = client.listen(StreamKind::Tcp, 0).unwrap();
    assert_eq!(client.poll_message(), None);
    client.handle_message(NOW, Packet::Continue { stream: StreamId(0), credit: 9 }.emit()).unwrap();
    assert_eq!(client.version(), 1);
    assert_eq!(client.poll_event(), Some(ClientEvent::Ready { credit: 9 }));
    let closed = ClientEvent::Closed { stream: port, reason: Reason::INCOMPATIBLE, opened: false };
    assert_eq!(client.poll_event(), Some(closed));
    let (kind, host) = (StreamKind::Tcp, "host.example".to_owned());
    assert_eq!(client.poll_message(), Some(Packet::Connect { stream, kind, port: 80, host }.emit()));
    assert_eq!(client.poll_message(), None);
}

#[test]
fn without_udp_in_info_there_is_none() {
    let mut pair = Pair::new(ClientOptions::default(), Offer { udp: false, ..everything() });
    pair.client = Client::new();
    let early = pair.client.open_udp("host.example", 53).unwrap();
    assert!(pair.client.send_datagram(early, b"early"));
    let greeting = pair.server.greeting();
    pair.tell(&greeting);
    let asked = pair.asked();
    assert!(matches!(asked[..], [Request::Hello(_)]), "{asked:?}");
    let closed = ClientEvent::Closed { stream: early, reason: Reason::INCOMPATIBLE, opened: true };
    assert!(pair.events().contains(&closed));
    assert_eq!(pair.client.open_udp("host.example", 53), Err(OpenError::NotOffered));
    let connect = octets("01 07000000 02 3500 61");
    let refused = pair.server.handle_message(connect).unwrap();
    let (stream, reason, why) = (StreamId(7), Reason::INVALID, Refused::NoUdp);
    assert_eq!(refused, Request::Refuse { stream, reason, why });
}

#[test]
fn before_info_nothing_else_is_legal() {
    for hex in
        ["01 01000000 01 5000 61", "02 01000000 61", "09 01000000", "04 01000000 02", "f4 01000000", ""]
    {
        let mut server = Server::version2(Limits::default(), everything());
        assert!(server.handle_message(octets(hex)).is_err(), "{hex}");
    }
    let mut server = Server::version2(Limits::default(), everything());
    let close = Request::Close { stream: StreamId(0), reason: Reason::INCOMPATIBLE };
    assert_eq!(server.handle_message(octets("04 00000000 04")), Ok(close));
    assert!(matches!(server.handle_message(octets("05 00000000 02 00")), Ok(Request::Hello(_))));
    assert_eq!(server.handle_message(octets("05 00000000 02 00")), Err(Violation::InfoAgain));
    assert_eq!(server.handle_message(octets("01 01000000 01 5000 61")), Err(Violation::BeforeInfo));
}

fn passwords(hex: &str) -> Vec<(String, String)> {
    let offer = Offer { password: Some(true), ..Offer::default() };
    offer.read(2, &[Extension { id: 2, metadata: octets(hex) }]).credentials.passwords
}

#[test]
fn a_password_is_read_in_both_layouts() {
    let pair = |user: &str, password: &str| (user.to_owned(), password.to_owned());
    // wisp-js and wisp-mux: lengths first. Read as draft 6 it is another user, whom nobody knows.
    assert_eq!(passwords("03 0400 616e6e 6e6f72f0")[..], [][..], "not UTF-8");
    assert_eq!(passwords("03 0400 616e6e 6e6f7264")[0], pair("ann", "nord"));
    assert_eq!(passwords("03 616e6e 6e6f7264"), [pair("ann", "nord")]);
    assert_eq!(passwords("00 0400 6e6f7264")[0], pair("", "nord"));
    assert_eq!(passwords("00 6e6f7264"), [pair("", "nord")]);
    assert_eq!(passwords(""), []);
    assert_eq!(passwords("ff 61"), []);
    for layout in [PasswordLayout::Deployed, PasswordLayout::Draft6] {
        let password = Some(pair("ann", "nord"));
        let options = ClientOptions { password, layout, ..ClientOptions::default() };
        let mut pair_of = Pair::new(options, Offer { password: Some(true), ..everything() });
        let asked = pair_of.asked();
        let [Request::Hello(hello)] = &asked[..] else { panic!("{asked:?}") };
        assert!(hello.credentials.passwords.contains(&pair("ann", "nord")), "{layout:?}");
    }
    assert_eq!(format!("{:?}", Credentials { passwords: vec![pair("ann", "nord")], key: None }), {
        "Credentials(1 passwords, key: false)"
    });
}

/// "Signs" so that the test sees what was signed.
#[derive(Debug)]
struct Stamp;

impl Signer for Stamp {
    fn sign(&self, challenge: &[u8]) -> Vec<u8> {
        let mut out = challenge.to_vec();
        out.resize(64, 0);
        out
    }

    fn hash(&self, sha512: bool) -> Vec<u8> {
        vec![7; if sha512 { 64 } else { 32 }]
    }
}

#[test]
fn a_key_signs_the_challenge_in_both_layouts() {
    let challenge = Bytes::from(vec![9; 48]);
    let offer = Offer { key: Some((true, challenge.clone())), ..Offer::default() };
    let options = ClientOptions { key: Some(Box::new(Stamp)), ..ClientOptions::default() };
    let mut pair = Pair::new(options, offer);
    let asked = pair.asked();
    let [Request::Hello(hello)] = &asked[..] else { panic!("{asked:?}") };
    let signature = hello.credentials.key.clone().unwrap();
    assert_eq!(signature.signed[0], challenge);
    assert_eq!(signature.signed[1], [&[1][..], &challenge].concat());
    let (hash, signed) = &signature.readings[0];
    assert_eq!((&hash[..], &signed[..48]), (&[7; 32][..], &challenge[..]));

    // A relay on wisp-mux 5: no octet for "required", and a longer hash.
    let mut client =
        Client::with_options(ClientOptions { key: Some(Box::new(Stamp)), ..ClientOptions::default() });
    let metadata = [&[1][..], &[5; 64]].concat().into();
    let extensions = vec![Extension { id: 3, metadata }];
    let info = Packet::Info { stream: StreamId(0), major: 2, minor: 0, extensions };
    client.handle_message(NOW, info.emit()).unwrap();
    let Ok(Packet::Info { extensions, .. }) = Packet::parse(client.poll_message().unwrap()) else { panic!() };
    assert_eq!(extensions[0].metadata, [&[1][..], &[7; 64], &[5; 64]].concat());
}

#[test]
fn half_close_and_credit_go_both_ways() {
    let mut pair = Pair::ours();
    let id = pair.client.open_tcp(NOW, "host.example", 80).unwrap();
    assert_eq!(pair.client.poll_timeout(), None, "nothing is guessed by time");
    let asked = pair.asked();
    let stream = pair.opened(&asked[0]);
    let (local, remote) = ("10.0.0.1:5".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    pair.tell(&Packet::Ext { stream: id, body: Ext::Opened { local, remote: Some(remote) } });
    assert_eq!(
        pair.events(),
        [ClientEvent::Opened { stream: id }, ClientEvent::Addresses { stream: id, local, remote }]
    );

    // The last octets go out before FINISH, however late their credit comes.
    let sent = vec![1; 100_000];
    assert_eq!(pair.client.send(id, &sent), sent.len());
    pair.client.finish(NOW, id);
    assert_eq!(pair.client.room(id), 0);
    let mut got = 0;
    let mut finished = false;
    while !finished {
        for request in pair.asked() {
            match request {
                Request::Data { bytes, .. } => {
                    assert!(!finished);
                    got += bytes.len();
                    if let Some(credit) = pair.server.consumed(stream, bytes.len()) {
                        pair.tell(&credit);
                    }
                }
                Request::Finish { stream } => {
                    assert_eq!(stream, id);
                    finished = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(got, sent.len());
    pair.events();

    // The other direction is open, and each half window is given back.
    pair.tell(&Packet::Data { stream: id, bytes: vec![2; 600].into() });
    pair.client.consumed(id, 499);
    assert_eq!(pair.asked(), []);
    pair.client.consumed(id, 101);
    assert_eq!(pair.asked(), [Request::Window { stream: id, octets: 600 }]);
    pair.tell(&Packet::Ext { stream: id, body: Ext::Finish });
    assert!(pair.server.close(stream));
    pair.tell(&Packet::Close { stream: id, reason: Reason::VOLUNTARY });
    assert_eq!(
        pair.events(),
        [
            ClientEvent::Data { stream: id, bytes: vec![2; 600].into() },
            ClientEvent::Finished { stream: id },
            ClientEvent::Closed { stream: id, reason: Reason::VOLUNTARY, opened: true },
        ]
    );
}

#[test]
fn data_after_finish_costs_the_stream() {
    let mut pair = Pair::ours();
    let id = pair.client.open_tcp(NOW, "host.example", 80).unwrap();
    pair.asked();
    let finish = Packet::Ext { stream: id, body: Ext::Finish }.emit();
    assert_eq!(pair.server.handle_message(finish.clone()), Ok(Request::Finish { stream: id }));
    assert_eq!(pair.server.handle_message(finish), Ok(Request::Ignore));
    let data = Packet::Data { stream: id, bytes: Bytes::from_static(b"x") }.emit();
    let refused = Request::Refuse { stream: id, reason: Reason::INVALID, why: Refused::Finished };
    assert_eq!(pair.server.handle_message(data), Ok(refused));
}

#[test]
fn a_port_takes_connections() {
    let mut pair = Pair::ours();
    let port = pair.client.listen(StreamKind::Tcp, 7777).unwrap();
    let asked = pair.asked();
    let [Request::Listen { stream: key, kind: StreamKind::Tcp, port: 7777 }] = asked[..] else {
        panic!("{asked:?}")
    };
    let local = "198.51.100.1:20001".parse().unwrap();
    pair.tell(&Packet::Ext { stream: port, body: Ext::Opened { local, remote: None } });
    assert_eq!(pair.events(), [ClientEvent::Listening { stream: port, local }]);

    let remote = "203.0.113.5:54794".parse().unwrap();
    let stream = pair.server.accept(key).unwrap().id;
    assert_eq!(stream, StreamId(SERVER_STREAM | 1));
    pair.tell(&Packet::Ext { stream, body: Ext::Accept { listener: port, remote, local } });
    assert_eq!(pair.events(), [ClientEvent::Accepted { listener: port, stream, remote, local }]);
    pair.tell(&Packet::Data { stream, bytes: Bytes::from_static(b"hej") });
    assert_eq!(pair.events(), [ClientEvent::Data { stream, bytes: Bytes::from_static(b"hej") }]);
    assert_eq!(pair.client.send(stream, b"svar"), 4);
    assert_eq!(pair.asked(), [Request::Data { stream, bytes: Bytes::from_static(b"svar") }]);
    assert_eq!(pair.events(), [ClientEvent::Writable { stream, octets: 4 }]);

    // A connection that was on its way when the port was closed is turned away.
    pair.client.close(port, Reason::VOLUNTARY);
    let late = StreamId(SERVER_STREAM | 2);
    pair.tell(&Packet::Ext { stream: late, body: Ext::Accept { listener: port, remote, local } });
    assert_eq!(pair.events(), []);
    let messages: Vec<_> = std::iter::from_fn(|| pair.client.poll_message()).collect();
    let reason = Reason::NETWORK_ERROR;
    assert_eq!(messages.last(), Some(&Packet::Close { stream: late, reason }.emit()));
    let accept = Packet::Ext { stream: late, body: Ext::Accept { listener: port, remote, local } };
    let violation = pair.server.handle_message(accept.emit());
    assert_eq!(violation, Err(Violation::ServersPacket(0xf1)));
}

#[test]
fn a_udp_port_says_who_wrote() {
    let mut pair = Pair::ours();
    let port = pair.client.listen(StreamKind::Udp, 0).unwrap();
    pair.asked();
    let local = "198.51.100.1:20001".parse().unwrap();
    pair.tell(&Packet::Ext { stream: port, body: Ext::Opened { local, remote: None } });
    assert_eq!(pair.events(), [ClientEvent::Listening { stream: port, local }]);
    let peer: SocketAddr = "203.0.113.5:54794".parse().unwrap();
    let mut payload = bytes::BytesMut::new();
    ext::put_address(&mut payload, peer);
    payload.extend_from_slice(b"hej");
    pair.tell(&Packet::Data { stream: port, bytes: payload.freeze() });
    let bytes = Bytes::from_static(b"hej");
    assert_eq!(pair.events(), [ClientEvent::Datagram { stream: port, from: peer, bytes: bytes.clone() }]);
    assert!(pair.client.send_datagram_to(port, peer, b"hej"));
    assert!(!pair.client.send_datagram(port, b"to whom?"));
    assert_eq!(pair.asked(), [Request::Datagram { stream: port, to: peer, bytes }]);
    let broken = Packet::Data { stream: port, bytes: Bytes::from_static(b"\x07xx") }.emit();
    let refused = pair.server.handle_message(broken).unwrap();
    assert!(matches!(refused, Request::Refuse { reason: Reason::INVALID, .. }), "{refused:?}");
}

#[test]
fn questions_are_answered_by_number_and_counted() {
    let mut pair = Pair::new(ClientOptions::default(), everything());
    pair.server = Server::version2(Limits { questions: 2, ..Limits::default() }, everything());
    pair.run();
    pair.events();
    let host = || "example.org".to_owned();
    let first = pair.client.ask(Question::Lookup { host: host() }).unwrap();
    for _ in 0..2 {
        pair.client.ask(Question::Lookup { host: host() }).unwrap();
    }
    let asked = pair.asked();
    let asked = &asked[asked.len() - 3..];
    assert!(matches!(asked[1], Request::Ask { .. }), "{asked:?}");
    assert!(matches!(asked[2], Request::TooManyQuestions { .. }), "{asked:?}");
    pair.server.answered();
    let answer = Answer::Lookup { addresses: vec!["203.0.113.5".parse().unwrap()] };
    pair.tell(&Packet::Ext { stream: StreamId(first), body: Ext::Answer(answer.clone()) });
    assert_eq!(pair.events(), [ClientEvent::Answered { question: first, answer }]);
    pair.client.ask(Question::Lookup { host: host() }).unwrap();
    assert!(matches!(pair.asked()[..], [Request::Ask { .. }]));
}

#[test]
fn an_error_comes_before_the_close_and_a_notice_alone() {
    let mut pair = Pair::ours();
    let id = pair.client.open_tcp(NOW, "host.example", 80).unwrap();
    pair.asked();
    let trouble =
        |stream, errno, text: &str| Packet::Ext { stream, body: Ext::Error { errno, text: text.into() } };
    pair.tell(&trouble(StreamId(0), 11, "slower"));
    pair.tell(&trouble(id, 111, "refused"));
    pair.tell(&Packet::Close { stream: id, reason: Reason::REFUSED });
    assert_eq!(
        pair.events(),
        [
            ClientEvent::Trouble { stream: StreamId(0), errno: 11, text: "slower".into() },
            ClientEvent::Trouble { stream: id, errno: 111, text: "refused".into() },
            ClientEvent::Closed { stream: id, reason: Reason::REFUSED, opened: false },
        ]
    );
}

#[test]
fn a_client_may_not_use_the_servers_numbers() {
    let mut pair = Pair::ours();
    let connect = octets("01 01000080 01 5000 61");
    assert_eq!(
        pair.server.handle_message(connect.clone()),
        Err(Violation::ServersNumber(StreamId(0x8000_0001)))
    );
    let mut old = Server::new(Limits::default());
    assert!(matches!(old.handle_message(connect), Ok(Request::Open { .. })), "any number is legal in Wisp");
}
