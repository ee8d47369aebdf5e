//! Shared LANs through real WebSockets, and through a real NATS server when several relays share a room.

use std::{
    net::{SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use socketlab_lan::{Client, ClientEvent, HostReport, Outgoing, Phase, Slice, ToRelay};
use socketlab_server::{LanOptions, ServeOptions};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::common::{Relay, options, soon, start};

/// A member, as the page's worker is one: our client over a WebSocket.
struct Member {
    client: Client,
    socket: WebSocketStream<TcpStream>,
    start: std::time::Instant,
    /// The code of the close frame.
    closed: Option<u16>,
}

impl Member {
    async fn join(relay: &Relay, room: &str, name: &str) -> Member {
        Member::join_with(relay, room, name, None).await
    }

    async fn join_with(relay: &Relay, room: &str, name: &str, teacher: Option<&str>) -> Member {
        let key = format!("the key of {name:>20}");
        let client = Client::new(name, key, teacher.map(str::to_owned));
        let socket = relay.open(&format!("/lan/{room}")).await;
        let mut member = Member { client, socket, start: std::time::Instant::now(), closed: None };
        member.client.handle_open(member.start.elapsed());
        member.until("the welcome", |client, _| client.phase() == Phase::Joined).await;
        member
    }

    /// Comes back, to this relay or another.
    async fn come_back(&mut self, relay: &Relay, room: &str) {
        self.client.handle_lost(self.start.elapsed());
        self.socket = relay.open(&format!("/lan/{room}")).await;
        self.client.handle_open(self.start.elapsed());
        self.until("the welcome", |client, _| client.phase() == Phase::Joined).await;
    }

    /// Takes in messages until something is true; frames that came meanwhile.
    async fn until(
        &mut self,
        what: &str,
        mut done: impl FnMut(&Client, &[ClientEvent]) -> bool,
    ) -> Vec<ClientEvent> {
        let mut events = Vec::new();
        soon(what, async {
            loop {
                while let Some(message) = self.client.poll_message() {
                    let message = match message {
                        Outgoing::Text(text) => Message::Text(text.into()),
                        Outgoing::Frame(frame) => Message::Binary(frame),
                    };
                    self.socket.send(message).await.unwrap();
                }
                events.extend(std::iter::from_fn(|| self.client.poll_event()));
                if done(&self.client, &events) {
                    return;
                }
                match self.socket.next().await {
                    Some(Ok(Message::Binary(frame))) => self.client.handle_frame(frame),
                    Some(Ok(Message::Text(text))) => {
                        self.client.handle_text(self.start.elapsed(), &text).unwrap()
                    }
                    Some(Ok(Message::Close(frame))) => self.closed = frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => self.client.handle_lost(self.start.elapsed()),
                }
            }
        })
        .await;
        events
    }

    async fn until_roster(&mut self, names: &[&str]) {
        let what = format!("the roster {names:?}");
        self.until(&what, |client, _| {
            let mut seen: Vec<_> = client.members().map(|m| m.name.as_str()).collect();
            seen.sort_unstable();
            seen == names
        })
        .await;
    }

    async fn send(&mut self, frame: &Bytes) {
        self.client.send_frame(frame.clone());
        self.until("nothing", |_, _| true).await;
    }

    async fn frame(&mut self) -> Bytes {
        let events = self
            .until("a frame", |_, events| events.iter().any(|e| matches!(e, ClientEvent::Frame(_))))
            .await;
        let frame =
            events.into_iter().find_map(|e| if let ClientEvent::Frame(f) = e { Some(f) } else { None });
        frame.unwrap()
    }

    fn slot(&self) -> u8 {
        self.client.slice().unwrap().slot()
    }
}

fn frame(to: [u8; 6], from: [u8; 6], text: &str) -> Bytes {
    [&to[..], &from, &[0x88, 0xb5], text.as_bytes(), &[0; 46]].concat().into()
}

const ALL: [u8; 6] = [0xff; 6];

fn mac(slot: u8) -> [u8; 6] {
    Slice::new(slot).unwrap().mac(1)
}

#[tokio::test]
async fn two_pages_share_an_ethernet() {
    let relay = start(options(&[])).await;
    let mut asa = Member::join(&relay, "7b", "Åsa").await;
    let mut bo = Member::join(&relay, "7b", "Bo").await;
    let mut elsewhere = Member::join(&relay, "7c", "Eva").await;
    assert_eq!((asa.slot(), bo.slot(), elsewhere.slot()), (1, 2, 1));
    asa.until_roster(&["Bo", "Åsa"]).await;
    let who_has = frame(ALL, mac(1), "who has 10.77.2.1?");
    asa.send(&who_has).await;
    assert_eq!(bo.frame().await, who_has);
    let is_at = frame(mac(1), mac(2), "is at");
    bo.send(&is_at).await;
    assert_eq!(asa.frame().await, is_at);
    // The other room has heard nothing: its own next frame is the first.
    let mut dan = Member::join(&relay, "7c", "Dan").await;
    dan.send(&frame(ALL, mac(2), "7c")).await;
    assert_eq!(elsewhere.frame().await, frame(ALL, mac(2), "7c"));

    let host = HostReport {
        name: "server".into(),
        addresses: vec!["10.77.1.1".into()],
        ports: vec![],
        streams: vec![],
    };
    asa.client.report(vec![host]);
    asa.until("nothing", |_, _| true).await;
    bo.until("the host", |client, _| client.resolve("server") == ["10.77.1.1"]).await;

    let (a, b) = (asa.client.room_time(asa.start.elapsed()), bo.client.room_time(bo.start.elapsed()));
    let (a, b) = (a.unwrap() as i128, b.unwrap() as i128);
    assert!((a - b).abs() < 5_000_000_000, "one clock for the room: {a} and {b}");
}

#[tokio::test]
async fn frames_alone_are_enough_for_a_guest() {
    let relay = start(options(&[])).await;
    let mut bo = Member::join(&relay, "v86", "Bo").await;
    let mut guest = relay.open("/lan/v86").await;
    let guest_mac = [0x00, 0x22, 0x15, 7, 7, 7];
    guest.send(Message::Binary(frame(ALL, guest_mac, "discover"))).await.unwrap();
    assert_eq!(bo.frame().await, frame(ALL, guest_mac, "discover"));
    bo.until_roster(&["Bo", "guest"]).await;
    let offer = frame(guest_mac, mac(1), "offer");
    bo.send(&offer).await;
    let heard = soon("the offer", async {
        loop {
            match guest.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                other => return other,
            }
        }
    })
    .await;
    assert_eq!(heard, Message::Binary(offer), "and no text");
}

#[tokio::test]
async fn a_relay_that_comes_back_gives_the_same_addresses() {
    let relay = start(options(&[])).await;
    let mut asa = Member::join(&relay, "7b", "Åsa").await;
    let mut bo = Member::join(&relay, "7b", "Bo").await;
    relay.stop.cancel();
    soon("the end", relay.done).await.unwrap().unwrap();
    let relay = start(options(&[])).await;
    // In the other order: the slots are asked for again, not counted anew.
    bo.come_back(&relay, "7b").await;
    asa.come_back(&relay, "7b").await;
    assert_eq!((asa.slot(), bo.slot()), (1, 2));
    asa.until_roster(&["Bo", "Åsa"]).await;
}

#[tokio::test]
async fn a_teacher_sees_mutes_and_disconnects() {
    let lan = LanOptions { teacher_word: Some("kalkyl".into()), ..LanOptions::default() };
    let relay = start(ServeOptions { lan, ..options(&[]) }).await;
    let mut teacher = Member::join_with(&relay, "7b", "Teacher", Some("kalkyl")).await;
    let mut bo = Member::join_with(&relay, "7b", "Bo", Some("guessed")).await;
    assert!(!bo.client.me().unwrap().teacher);
    teacher.until_roster(&["Bo", "Teacher"]).await;
    let id = bo.client.me().unwrap().id;
    bo.send(&frame(ALL, mac(2), "hello")).await;
    assert_eq!(teacher.frame().await, frame(ALL, mac(2), "hello"));
    teacher
        .until("the traffic", |_, events| {
            events.iter().any(|event| match event {
                ClientEvent::Traffic(all) => all.iter().any(|(who, t)| *who == id && t.frames_up == 1),
                _ => false,
            })
        })
        .await;
    teacher.client.command(&ToRelay::Mute { member: id, on: true });
    teacher.until("nothing", |_, _| true).await;
    bo.until("to be muted", |_, events| {
        events.contains(&ClientEvent::Muted { on: true, by: "Teacher".into() })
    })
    .await;
    bo.send(&frame(ALL, mac(2), "hello?")).await;
    bo.until("to be told", |_, events| events.iter().any(|e| matches!(e, ClientEvent::Limit { .. }))).await;
    teacher.client.command(&ToRelay::Disconnect { member: id });
    teacher.until_roster(&["Teacher"]).await;
    bo.until("the end", |client, _| matches!(client.phase(), Phase::Waiting(_))).await;
    assert_eq!(bo.closed, Some(socketlab_lan::close::THROWN_OUT));
}

#[tokio::test]
async fn what_is_no_room_or_no_message_is_said_in_the_close_frame() {
    let lan = LanOptions { lan_rooms: 1, ..LanOptions::default() };
    let relay = start(ServeOptions { lan, ..options(&[]) }).await;
    let _bo = Member::join(&relay, "one", "Bo").await;
    let reason = async |path: &str, message: Option<Message>| {
        let mut socket = relay.open(path).await;
        if let Some(message) = message {
            socket.send(message).await.unwrap();
        }
        soon("the close frame", async {
            loop {
                if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                    return frame.unwrap().reason.to_string();
                }
            }
        })
        .await
    };
    assert!(reason("/lan/a%20b", None).await.contains("a room's name"));
    assert!(reason("/lan/two", None).await.contains("--lan-rooms"));
    assert!(reason("/lan/one", Some(Message::Text("hi".into()))).await.contains("not understood"));
    let short = r#"{"type":"hello","version":1,"name":"x","key":"short"}"#;
    assert!(reason("/lan/one", Some(Message::Text(short.into()))).await.contains("16"));
    let long = Message::Text(format!("\"{}\"", "x".repeat(70_000)).into());
    assert!(reason("/lan/one", Some(long)).await.contains("65536"));
    // A room that is empty again makes place for another.
    drop(_bo);
    soon("place for a room", async {
        loop {
            let mut socket = relay.open("/lan/two").await;
            let hello = r#"{"type":"hello","version":1,"name":"x","key":"0123456789abcdef"}"#;
            socket.send(Message::Text(hello.into())).await.unwrap();
            if let Message::Text(_) = socket.next().await.unwrap().unwrap() {
                return;
            }
        }
    })
    .await;
}

/// A NATS server of this test's own.
struct Nats {
    child: Child,
    address: SocketAddr,
}

impl Nats {
    async fn start(address: Option<SocketAddr>) -> Nats {
        // A port that was free a moment ago.
        let address =
            address.unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let child = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nats-server: `cargo xtask test` installs it");
        soon("the NATS server", async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        Nats { child, address }
    }

    async fn relay(&self, name: &str) -> Relay {
        let bus = Some(format!("nats://{}", self.address));
        let lan = LanOptions { bus, relay_name: name.into(), ..LanOptions::default() };
        start(ServeOptions { lan, ..options(&[]) }).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_relays_share_a_room_and_outlive_each_other_and_the_bus() {
    let mut nats = Nats::start(None).await;
    let (north, south) = (nats.relay("north").await, nats.relay("south").await);
    let mut asa = Member::join(&north, "7b", "Åsa").await;
    let mut bo = Member::join(&south, "7b", "Bo").await;
    assert_eq!((asa.slot(), bo.slot()), (1, 2));
    asa.until_roster(&["Bo", "Åsa"]).await;
    assert_eq!(asa.client.members().find(|m| m.name == "Bo").unwrap().relay, "south");
    asa.send(&frame(ALL, mac(1), "hej")).await;
    assert_eq!(bo.frame().await, frame(ALL, mac(1), "hej"));
    bo.send(&frame(mac(1), mac(2), "hej hej")).await;
    assert_eq!(asa.frame().await, frame(mac(1), mac(2), "hej hej"));

    // The bus dies: members of one relay go on, the others drop out and come back with it.
    nats.child.kill().await.unwrap();
    let mut eva = Member::join(&north, "7b", "Eva").await;
    eva.send(&frame(mac(1), mac(eva.slot()), "still here")).await;
    assert_eq!(asa.frame().await, frame(mac(1), mac(eva.slot()), "still here"));
    asa.until_roster(&["Eva", "Åsa"]).await;
    nats = Nats::start(Some(nats.address)).await;
    asa.until_roster(&["Bo", "Eva", "Åsa"]).await;
    bo.until_roster(&["Bo", "Eva", "Åsa"]).await;
    bo.send(&frame(mac(1), mac(2), "again")).await;
    assert_eq!(asa.frame().await, frame(mac(1), mac(2), "again"));

    // One relay dies: its members come to the other, with the same addresses, and nobody else notices more.
    let before = (asa.slot(), eva.slot());
    north.done.abort();
    north.stop.cancel();
    asa.come_back(&south, "7b").await;
    eva.come_back(&south, "7b").await;
    assert_eq!((asa.slot(), eva.slot()), before);
    assert_eq!(bo.slot(), 2);
    bo.until_roster(&["Bo", "Eva", "Åsa"]).await;
    asa.send(&frame(mac(2), mac(1), "back")).await;
    assert_eq!(bo.frame().await, frame(mac(2), mac(1), "back"));
    drop(nats);
}
