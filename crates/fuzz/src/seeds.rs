//! Inputs to begin with: a fuzzer finds the rest from there. Made from what the project has, so that they stay true.

use bytes::Bytes;
use smoltcp::wire::EthernetFrame;
use socketlab_lan::{Client, Outgoing, Slice};
use socketlab_wisp::ext::{ClientTerms, ServerTerms};
use socketlab_wisp::{Ext, Offer, Packet, Question, Reason, StreamId, StreamKind};

/// SplitMix64: the same numbers each time.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.number() % (n.max(1) as u64)) as usize
    }

    /// So many octets.
    pub fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }
}

/// Inputs that a structure is made of: octets by the dice.
pub(crate) fn numbers() -> Vec<Vec<u8>> {
    (1..=24).map(|n| Random(n).octets(64 * n as usize)).collect()
}

/// The same, shorter.
pub(crate) fn options() -> Vec<Vec<u8>> {
    (1..=24).map(|n| Random(1000 + n).octets(24 * n as usize)).collect()
}

/// One message of each kind.
pub(crate) fn wisp() -> Vec<Vec<u8>> {
    let stream = StreamId(7);
    let terms =
        ServerTerms { listen: true, ports: 4, port_range: (20_000, 20_099), ..ServerTerms::default() };
    let offer = Offer {
        udp: true,
        password: Some(true),
        key: Some((false, Bytes::from_static(&[9; 64]))),
        motd: Some("Välkommen".to_owned()),
        confirm: true,
        ours: Some(terms),
    };
    let local = "127.0.0.1:80".parse().unwrap();
    let remote = "[fd00::1]:40000".parse().unwrap();
    let ours = [
        Ext::Listen { kind: StreamKind::Tcp, port: 20_000 },
        Ext::Accept { listener: StreamId(3), remote, local },
        Ext::Opened { local, remote: Some(remote) },
        Ext::Opened { local, remote: None },
        Ext::Window { octets: 65_536 },
        Ext::Finish,
        Ext::Error { errno: 111, text: "refused".to_owned() },
        Ext::Ask(Question::Lookup { host: "example.org".to_owned() }),
        Ext::Ask(Question::Socket { stream }),
        Ext::Ask(Question::Ping { host: "10.0.0.1".to_owned() }),
    ];
    let info =
        socketlab_wisp::Extension { id: 0xf5, metadata: ClientTerms { window: 262_144 }.emit().metadata };
    let mut packets = vec![
        Packet::Connect { stream, kind: StreamKind::Tcp, port: 80, host: "example.org".to_owned() },
        Packet::Data { stream, bytes: Bytes::from_static(b"\x04\x50\x00\x7f\x00\x00\x01hej") },
        Packet::Continue { stream: StreamId(0), credit: 128 },
        Packet::Close { stream, reason: Reason::VOLUNTARY },
        Packet::Info { stream: StreamId(0), major: 2, minor: 0, extensions: vec![info] },
        offer.emit(),
    ];
    packets.extend(ours.map(|body| Packet::Ext { stream, body }));
    packets.iter().map(|packet| packet.emit().to_vec()).collect()
}

/// What a member says, and what a relay may say.
pub(crate) fn lan() -> Vec<Vec<u8>> {
    let member = r#"{"id":"00000000000000a1","name":"Åsa","slot":3,"teacher":false,"muted":false,"relay":"r","hosts":[{"name":"server","addresses":["10.77.3.1"],"ports":[{"proto":"tcp","port":80}],"streams":[]}]}"#;
    let welcome = format!(
        r#"{{"type":"welcome","version":1,"room":"lab","you":{member},"clock_ns":12345,"limits":{{"frame_octets":1518,"frames_per_second":2000,"octets_per_second":1000000,"members":40}},"members":[{member}]}}"#
    );
    let others = [
        format!(r#"{{"type":"joined","member":{member}}}"#),
        r#"{"type":"left","member":"00000000000000a1","why":"relay-lost"}"#.to_owned(),
        r#"{"type":"moved","slot":9}"#.to_owned(),
        r#"{"type":"clock","id":1,"clock_ns":18446744073709551615}"#.to_owned(),
        r#"{"type":"limit","what":"rate","dropped":3}"#.to_owned(),
        r#"{"type":"muted","on":true,"by":"Lärare"}"#.to_owned(),
        r#"{"type":"reset","host":"server","local":"10.77.3.1:80","remote":"10.77.4.1:40000","by":"Lärare"}"#.to_owned(),
        r#"{"type":"traffic","members":[["00000000000000a1",{"frames_up":1,"octets_up":2,"frames_down":3,"octets_down":4,"dropped":0}]]}"#.to_owned(),
        r#"{"type":"mute","member":"00000000000000a1","on":true}"#.to_owned(),
    ];
    let mut client = Client::new("Bo", "0123456789abcdef", Some("ord".to_owned()));
    client.want(Slice::new(7).unwrap());
    client.handle_open(core::time::Duration::ZERO);
    let mut all: Vec<String> = core::iter::from_fn(|| client.poll_message())
        .filter_map(|message| match message {
            Outgoing::Text(text) => Some(text),
            Outgoing::Frame(_) => None,
        })
        .collect();
    all.extend(others.iter().map(|other| format!("{welcome}\n{other}")));
    all.push(welcome);
    all.extend(others);
    all.into_iter().map(String::into_bytes).collect()
}

/// The shipped labs, and one with every kind of table.
pub(crate) fn labs() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        socketlab_lab::library().iter().map(|lab| lab.toml.as_bytes().to_vec()).collect();
    all.push(include_bytes!("../seeds/everything.toml").to_vec());
    all
}

/// Frames that hosts of ours put on the wire, several to an input, with a filter behind.
pub(crate) fn captures() -> Vec<Vec<u8>> {
    let filters = ["tcp.port == 80 && ip.ttl < 64", "dns or (udp and not arp)", "frame.len > 60", ""];
    let specimens = [
        include_str!("../../dissect/specimens/dns-dhcp.txt"),
        include_str!("../../dissect/specimens/dns-more.txt"),
        include_str!("../../dissect/specimens/http-more.txt"),
        include_str!("../../dissect/specimens/http.txt"),
        include_str!("../../dissect/specimens/network-odd.txt"),
        include_str!("../../dissect/specimens/network.txt"),
    ];
    let mut all = Vec::new();
    for text in specimens {
        let frames: Vec<Vec<u8>> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| hexadecimal(line.split_whitespace().nth(1)?))
            .filter(|frame| EthernetFrame::new_checked(frame).is_ok())
            .collect();
        for (n, some) in frames.chunks(6).enumerate() {
            let mut input = Vec::new();
            for frame in some {
                input.extend((frame.len() as u16).to_le_bytes());
                input.extend(frame);
            }
            input.extend(filters[n % filters.len()].as_bytes());
            all.push(input);
        }
    }
    all
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()).collect()
}
