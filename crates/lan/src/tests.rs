use std::time::Duration;

use bytes::Bytes;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn welcome(slot: u8, clock_ns: u64) -> String {
    let you = MemberInfo {
        id: MemberId(7),
        name: "Åsa".into(),
        slot: Slice::new(slot).ok(),
        teacher: false,
        muted: false,
        relay: String::new(),
        hosts: Vec::new(),
    };
    let limits =
        Limits { frame_octets: 1518, frames_per_second: 2000, octets_per_second: 2_000_000, members: 64 };
    let message =
        ToMember::Welcome { version: 1, room: "r".into(), you, clock_ns, limits, members: Vec::new() };
    serde_json::to_string(&message).unwrap()
}

fn texts(client: &mut Client) -> Vec<ToRelay> {
    let mut all = Vec::new();
    while let Some(message) = client.poll_message() {
        if let Outgoing::Text(text) = message {
            all.push(serde_json::from_str(&text).unwrap());
        }
    }
    all
}

fn joined(slot: u8) -> Client {
    let mut client = Client::new("Åsa", "0123456789abcdef", None);
    client.handle_open(MS);
    client.handle_text(MS, &welcome(slot, 5_000_000_000)).unwrap();
    client
}

#[test]
fn slices_never_share_an_address() {
    let mut seen = std::collections::BTreeSet::new();
    for slice in Slice::all() {
        for n in 1..=254 {
            assert!(seen.insert(slice.mac(n)));
            assert_eq!(Slice::of_mac(slice.mac(n)), Some(slice));
        }
    }
    assert_eq!(Slice::new(3).unwrap().ipv4(80), ("10.77.3.80".parse().unwrap(), 16));
    assert_eq!(Slice::new(3).unwrap().ipv6(2), ("fd77::3:2".parse().unwrap(), 64));
    assert!(Slice::new(0).is_err() && Slice::new(255).is_err());
    assert_eq!(Slice::of_mac([0x52, 0x54, 0, 1, 2, 3]), None);
    assert!(serde_json::from_str::<Slice>("0").is_err());
}

#[test]
fn names_of_rooms_and_members_are_tidy() {
    assert!(is_room("7B-friday_2"));
    for bad in ["", "a b", "a.b", "å", "a/b", "a>", "*", &"x".repeat(49)] {
        assert!(!is_room(bad), "{bad}");
    }
    assert_eq!(tidy_name("  Åsa \n Öberg\u{202e} "), Some("Åsa Öberg".into()));
    assert_eq!(tidy_name("\u{200b} \t"), None);
    assert_eq!(tidy_name(&"é".repeat(100)).unwrap().chars().count(), MAX_NAME);
}

#[test]
fn a_member_says_hello_and_comes_back_with_its_slot_and_its_hosts() {
    let mut client = Client::new("Åsa", "0123456789abcdef", None);
    assert_eq!(client.poll_event(), Some(ClientEvent::Connect));
    client.handle_open(MS);
    assert!(matches!(&texts(&mut client)[..], [ToRelay::Hello { slot: None, version: 1, .. }]));
    client.handle_text(MS, &welcome(9, 0)).unwrap();
    assert_eq!(client.poll_event(), Some(ClientEvent::Joined { slice: Slice::new(9).ok(), moved: false }));
    let hosts = vec![HostReport {
        name: "server".into(),
        addresses: vec!["10.77.9.1".into()],
        ports: vec![],
        streams: vec![],
    }];
    client.report(hosts.clone());
    client.report(hosts.clone());
    let reports = texts(&mut client).into_iter().filter(|m| matches!(m, ToRelay::Report { .. })).count();
    assert_eq!(reports, 1, "what has not changed is not told again");

    client.handle_lost(10 * MS);
    client.send_frame(Bytes::from_static(&[0; 60]));
    assert_eq!(client.poll_message(), None, "a frame is lost while the member is away");
    assert_eq!(client.phase(), Phase::Waiting(510 * MS));
    client.handle_timeout(509 * MS);
    assert_eq!(client.phase(), Phase::Waiting(510 * MS));
    client.handle_timeout(510 * MS);
    assert_eq!(client.phase(), Phase::Connecting);
    client.handle_open(600 * MS);
    assert!(matches!(&texts(&mut client)[..], [ToRelay::Hello { slot: Some(s), .. }] if s.slot() == 9));
    client.handle_text(600 * MS, &welcome(9, 0)).unwrap();
    assert!(texts(&mut client).contains(&ToRelay::Report { hosts }), "the new relay learns of the hosts");
}

#[test]
fn waits_grow_to_ten_seconds_and_begin_anew_after_a_welcome() {
    let mut client = Client::new("a", "0123456789abcdef", None);
    let mut waits = Vec::new();
    let mut now = Duration::ZERO;
    for _ in 0..7 {
        client.handle_lost(now);
        let at = client.poll_timeout().unwrap();
        waits.push((at - now).as_millis());
        now = at;
        client.handle_timeout(now);
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    client.handle_open(now);
    client.handle_text(now, &welcome(1, 0)).unwrap();
    client.handle_lost(now);
    assert_eq!(client.poll_timeout(), Some(now + 500 * MS));
}

#[test]
fn the_rooms_clock_is_read_half_way() {
    let mut client = joined(1);
    assert_eq!(client.room_time(2 * MS), Some(5_001_000_000));
    let ask = texts(&mut client).into_iter().find_map(|m| match m {
        ToRelay::Clock { id } => Some(id),
        _ => None,
    });
    // Asked at 1 ms, answered at 11 ms: at 6 ms it was 9 s in the room.
    let answer =
        serde_json::to_string(&ToMember::Clock { id: ask.unwrap(), clock_ns: 9_000_000_000 }).unwrap();
    client.handle_text(11 * MS, &answer).unwrap();
    assert_eq!(client.room_time(11 * MS), Some(9_005_000_000));
    client.handle_text(12 * MS, &answer).unwrap();
    assert_eq!(client.room_time(11 * MS), Some(9_005_000_000), "an answer counts once");
}

#[test]
fn a_slot_that_changed_is_told() {
    let mut client = joined(4);
    while client.poll_event().is_some() {}
    client.handle_text(MS, r#"{"type":"moved","slot":5}"#).unwrap();
    assert_eq!(client.poll_event(), Some(ClientEvent::Joined { slice: Slice::new(5).ok(), moved: true }));
    client.handle_lost(MS);
    client.handle_open(2 * MS);
    while client.poll_event().is_some() {}
    client.handle_text(2 * MS, &welcome(6, 0)).unwrap();
    assert_eq!(client.poll_event(), Some(ClientEvent::Joined { slice: Slice::new(6).ok(), moved: true }));
}

#[test]
fn hosts_are_found_by_name_when_there_is_no_doubt() {
    let mut client = joined(1);
    for (id, name, address) in [(1, "Bo", "10.77.2.1"), (2, "Eva", "10.77.3.1")] {
        let host = HostReport {
            name: "server".into(),
            addresses: vec![address.into()],
            ports: vec![],
            streams: vec![],
        };
        let member = MemberInfo {
            id: MemberId(id),
            name: name.into(),
            slot: None,
            teacher: false,
            muted: false,
            relay: String::new(),
            hosts: vec![host],
        };
        client.handle_text(MS, &serde_json::to_string(&ToMember::Joined { member }).unwrap()).unwrap();
        if id == 1 {
            assert_eq!(client.resolve("server"), ["10.77.2.1"]);
        }
    }
    assert_eq!(client.resolve("server"), Vec::<String>::new(), "two of them: which?");
    assert_eq!(client.resolve("Server.eva"), ["10.77.3.1"]);
    client.handle_text(MS, r#"{"type":"left","member":"0000000000000001","why":"lost"}"#).unwrap();
    assert_eq!(client.resolve("server"), ["10.77.3.1"]);
}

#[test]
fn what_is_not_understood_harms_nothing() {
    let mut client = joined(1);
    let before = client.members().count();
    for bad in ["", "null", "{}", r#"{"type":"hi"}"#, r#"{"type":"moved","slot":0}"#, r#"{"type":"joined"}"#]
    {
        assert!(client.handle_text(MS, bad).is_err(), "{bad}");
    }
    client.handle_text(MS, r#"{"type":"muted","on":true,"by":"T","more":1}"#).unwrap();
    client.handle_frame(Bytes::from_static(&[0; 13]));
    client.handle_frame(Bytes::from(vec![0; MAX_FRAME + 1]));
    assert_eq!(client.members().count(), before);
    assert!(!std::iter::from_fn(|| client.poll_event()).any(|e| matches!(e, ClientEvent::Frame(_))));
}
