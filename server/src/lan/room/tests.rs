use bytes::Bytes;
use socketlab_lan::{HostReport, LeftReason, LimitKind, Limits, MemberId, Slice, ToMember, ToRelay};

use super::*;

const T: u64 = 1_800_000_000 * SECOND;
const LIMITS: Limits =
    Limits { frame_octets: 1518, frames_per_second: 100, octets_per_second: 100_000, members: 10 };

fn room(relay: u64) -> Room {
    Room::new("7b", RelayId(relay), &format!("relay {relay}"), LIMITS, relay > 0)
}

fn hello(name: &str, slot: Option<u8>) -> ToRelay {
    let slot = slot.map(|slot| Slice::new(slot).unwrap());
    ToRelay::Hello { version: 1, name: name.into(), key: String::new(), slot, teacher: None }
}

fn join(room: &mut Room, now: u64, id: u64, name: &str, owner: u64) -> Option<u8> {
    join_with(room, now, id, name, owner, None, None)
}

fn join_with(
    room: &mut Room,
    now: u64,
    id: u64,
    name: &str,
    owner: u64,
    slot: Option<u8>,
    teacher: Option<bool>,
) -> Option<u8> {
    room.enter(now, MemberId(id)).unwrap();
    room.handle_text(now, MemberId(id), hello(name, slot), Some(Greeting { owner: Owner(owner), teacher }));
    let welcome = effects(room).into_iter().find_map(|effect| match effect {
        Effect::Text { to, message: ToMember::Welcome { you, .. } } if to == MemberId(id) => Some(you),
        _ => None,
    });
    welcome.expect("a welcome").slot.map(Slice::slot)
}

fn effects(room: &mut Room) -> Vec<Effect> {
    std::iter::from_fn(|| room.poll_effect()).collect()
}

/// Who got the frame, and whether it went over the bus.
fn send(room: &mut Room, now: u64, from: u64, frame: &Bytes) -> (Vec<u64>, bool) {
    room.handle_frame(now, MemberId(from), frame.clone());
    let all = effects(room);
    let to = all.iter().filter_map(|e| match e {
        Effect::Frame { to, .. } => Some(to.0),
        _ => None,
    });
    (to.collect(), all.iter().any(|e| matches!(e, Effect::BusFrame { .. })))
}

fn frame(to: [u8; 6], from: [u8; 6]) -> Bytes {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame.into()
}

const ALL: [u8; 6] = [0xff; 6];

fn mac(slot: u8) -> [u8; 6] {
    Slice::new(slot).unwrap().mac(1)
}

fn limits_told(effects: &[Effect]) -> Vec<(u64, LimitKind, u64)> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Text { to, message: ToMember::Limit { what, dropped } } => Some((to.0, *what, *dropped)),
        _ => None,
    });
    told.collect()
}

/// Carries what each relay says to the other until both are silent.
fn talk(now: u64, a: &mut Room, b: &mut Room) -> Vec<Effect> {
    let mut seen = Vec::new();
    loop {
        let (from_a, from_b) = (effects(a), effects(b));
        if from_a.is_empty() && from_b.is_empty() {
            return seen;
        }
        for (effects, to) in [(from_a, &mut *b), (from_b, &mut *a)] {
            for effect in effects {
                match &effect {
                    Effect::Bus(control) => to.handle_control(now, control.clone()),
                    Effect::BusFrame { frame, .. } => to.handle_bus_frame(now, frame.clone()),
                    _ => {}
                }
                seen.push(effect);
            }
        }
    }
}

#[test]
fn members_get_slots_and_names_of_their_own() {
    let mut room = room(0);
    assert_eq!(join(&mut room, T, 1, "Åsa", 11), Some(1));
    assert_eq!(join(&mut room, T, 2, "åsa", 12), Some(2));
    let names: Vec<&str> = room.roster().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["Åsa", "åsa-2"]);
    room.leave(T, MemberId(1), LeftReason::Closed);
    assert_eq!(join(&mut room, T, 3, "Bo", 13), Some(3), "a slot is kept for who had it");
    assert_eq!(join(&mut room, T, 4, "Åsa", 11), Some(1), "who comes back has it again");
}

#[test]
fn who_comes_back_before_it_was_missed_takes_its_own_place() {
    let mut room = room(0);
    join(&mut room, T, 1, "Bo", 11);
    room.enter(T, MemberId(2)).unwrap();
    room.handle_text(
        T,
        MemberId(2),
        hello("Bo", Some(1)),
        Some(Greeting { owner: Owner(11), teacher: None }),
    );
    let all = effects(&mut room);
    assert!(all.iter().any(|e| matches!(e, Effect::End { member: MemberId(1), .. })));
    let roster: Vec<_> = room.roster().map(|m| (m.id.0, m.name.as_str(), m.slot.map(Slice::slot))).collect();
    assert_eq!(roster, [(2, "Bo", Some(1))]);
}

#[test]
fn frames_go_where_their_station_is_and_else_to_all() {
    let mut room = room(0);
    for id in 1..=3 {
        join(&mut room, T, id, "m", 10 + id);
    }
    assert_eq!(send(&mut room, T, 1, &frame(ALL, mac(1))), (vec![2, 3], false));
    assert_eq!(send(&mut room, T, 2, &frame(mac(1), mac(2))), (vec![1], false));
    assert_eq!(send(&mut room, T, 1, &frame(mac(3), mac(1))), (vec![2, 3], false), "not heard of yet");
    assert_eq!(send(&mut room, T, 1, &frame(mac(2), mac(1))), (vec![2], false));
    assert_eq!(send(&mut room, T + AGEING, 1, &frame(mac(2), mac(1))), (vec![2, 3], false), "forgotten");
    room.leave(T, MemberId(2), LeftReason::Lost);
    effects(&mut room);
    assert_eq!(send(&mut room, T, 1, &frame(mac(2), mac(1))), (vec![3], false));
}

#[test]
fn a_guest_that_only_sends_frames_is_a_member_and_is_sent_no_text() {
    let mut room = room(0);
    join(&mut room, T, 1, "Bo", 11);
    room.enter(T, MemberId(2)).unwrap();
    assert_eq!(room.roster().count(), 1, "silent so far");
    let guest = [0x00, 0x22, 0x15, 1, 2, 3];
    room.handle_frame(T, MemberId(2), frame(ALL, guest));
    let all = effects(&mut room);
    assert!(all.iter().any(|e| matches!(e, Effect::Text { to: MemberId(1), message: ToMember::Joined { member } } if member.name == "guest" && member.slot.is_none())));
    assert!(!all.iter().any(|e| matches!(e, Effect::Text { to: MemberId(2), .. })));
    assert_eq!(send(&mut room, T, 1, &frame(guest, mac(1))), (vec![2], false));
}

#[test]
fn a_foreign_address_and_a_wrong_length_are_refused_and_told() {
    let mut room = room(0);
    join(&mut room, T, 1, "Bo", 11);
    join(&mut room, T, 2, "Eva", 12);
    room.handle_frame(T, MemberId(1), frame(ALL, mac(2)));
    assert_eq!(limits_told(&effects(&mut room)), [(1, LimitKind::ForeignAddress, 1)]);
    room.handle_frame(T + SECOND, MemberId(1), Bytes::from(vec![0; 1519]));
    assert_eq!(limits_told(&effects(&mut room)), [(1, LimitKind::FrameLength, 1)]);
    for n in [0, 5, 13] {
        room.handle_frame(T + SECOND, MemberId(1), Bytes::from(vec![0; n]));
    }
    assert!(effects(&mut room).is_empty(), "told once a second");
    room.tick(T + 2 * SECOND);
    assert_eq!(limits_told(&effects(&mut room)), [(1, LimitKind::FrameLength, 3)]);
}

#[test]
fn a_storm_is_cut_to_the_rate_and_told() {
    let mut room = room(0);
    join(&mut room, T, 1, "Bo", 11);
    join(&mut room, T, 2, "Eva", 12);
    let passed = |room: &mut Room, now, n| {
        (0..n).filter(|_| !send(room, now, 1, &frame(ALL, mac(1))).0.is_empty()).count()
    };
    assert_eq!(passed(&mut room, T, 500), 200, "two seconds of the rate at once");
    assert_eq!(passed(&mut room, T + SECOND, 500), 100);
    // Octets: 100,000 a second, two seconds' worth at once.
    let big = Bytes::from([&frame(ALL, mac(2))[..], &[0; 1440]].concat());
    let big = (0..300).filter(|_| !send(&mut room, T, 2, &big).0.is_empty()).count();
    assert_eq!(big, 200_000 / 1500);
    let dropped: Vec<_> = room.traffic().iter().map(|(id, traffic)| (id.0, traffic.dropped)).collect();
    assert_eq!(dropped, [(1, 700), (2, 167)]);
    room.tick(T + 3 * SECOND);
    assert!(!limits_told(&effects(&mut room)).is_empty());
}

#[test]
fn a_teacher_mutes_and_disconnects_and_nobody_else_does() {
    let mut room = room(0);
    join_with(&mut room, T, 1, "Teacher", 11, None, Some(true));
    join_with(&mut room, T, 2, "Eva", 12, None, Some(false));
    let mute = |member| ToRelay::Mute { member: MemberId(member), on: true };
    room.handle_text(T, MemberId(2), mute(1), None);
    assert!(matches!(
        &effects(&mut room)[..],
        [Effect::Text { to: MemberId(2), message: ToMember::Refused { .. } }]
    ));
    room.handle_text(T, MemberId(1), mute(2), None);
    let all = effects(&mut room);
    assert!(all.contains(&Effect::Text {
        to: MemberId(2),
        message: ToMember::Muted { on: true, by: "Teacher".into() }
    }));
    assert_eq!(send(&mut room, T, 2, &frame(ALL, mac(2))), (vec![], false));
    room.handle_text(T, MemberId(1), ToRelay::Mute { member: MemberId(2), on: false }, None);
    effects(&mut room);
    assert_eq!(send(&mut room, T, 2, &frame(ALL, mac(2))), (vec![1], false));
    room.tick(T + SECOND);
    let traffic = effects(&mut room).into_iter().find_map(|effect| match effect {
        Effect::Text { to: MemberId(1), message: ToMember::Traffic { members } } => Some(members),
        _ => None,
    });
    let eva = traffic.unwrap().into_iter().find(|(id, _)| *id == MemberId(2)).unwrap().1;
    assert_eq!((eva.frames_up, eva.octets_up, eva.dropped), (1, 60, 1));
    room.handle_text(T, MemberId(1), ToRelay::Disconnect { member: MemberId(2) }, None);
    assert!(effects(&mut room).iter().any(|e| matches!(e, Effect::End { member: MemberId(2), .. })));
    assert_eq!(room.roster().count(), 1);
}

#[test]
fn a_report_is_cut_to_what_a_lab_can_have() {
    let mut room = room(0);
    join(&mut room, T, 1, "Bo", 11);
    join(&mut room, T, 2, "Eva", 12);
    let host = HostReport { name: "å".repeat(100), addresses: vec![], ports: vec![], streams: vec![] };
    room.handle_text(T, MemberId(1), ToRelay::Report { hosts: vec![host; 100] }, None);
    let all = effects(&mut room);
    let changed = all.iter().find_map(|e| match e {
        Effect::Text { to: MemberId(2), message: ToMember::Changed { member } } => Some(member.clone()),
        _ => None,
    });
    let hosts = changed.unwrap().hosts;
    assert_eq!((hosts.len(), hosts[0].name.chars().count()), (64, 64));
    assert!(
        all.iter().any(|e| matches!(e, Effect::Text { to: MemberId(1), message: ToMember::Refused { .. } }))
    );
}

#[test]
fn nothing_but_the_clock_before_hello_and_hello_once() {
    let mut room = room(0);
    room.enter(T, MemberId(1)).unwrap();
    room.handle_text(T, MemberId(1), ToRelay::Clock { id: 5 }, None);
    room.handle_text(T, MemberId(1), ToRelay::Report { hosts: vec![] }, None);
    let all = effects(&mut room);
    assert_eq!(all[0], Effect::Text { to: MemberId(1), message: ToMember::Clock { id: 5, clock_ns: T } });
    assert!(matches!(&all[1], Effect::Text { message: ToMember::Refused { .. }, .. }));
    let greeting = || Some(Greeting { owner: Owner(1), teacher: None });
    room.handle_text(T, MemberId(1), hello("a", None), greeting());
    effects(&mut room);
    room.handle_text(T, MemberId(1), hello("b", None), greeting());
    assert!(matches!(&effects(&mut room)[..], [Effect::Text { message: ToMember::Refused { .. }, .. }]));
}

#[test]
fn a_full_room_says_so() {
    let mut room = room(0);
    for id in 0..10 {
        room.enter(T, MemberId(id)).unwrap();
    }
    assert!(room.enter(T, MemberId(10)).unwrap_err().contains("10 members"));
}

#[test]
fn two_relays_are_one_room() {
    let (mut a, mut b) = (room(1), room(2));
    join(&mut a, T, 1, "Åsa", 11);
    talk(T, &mut a, &mut b);
    b.ask_who();
    talk(T, &mut a, &mut b);
    assert_eq!(join(&mut b, T, 2, "åsa", 12), Some(2), "the other relay's slot is taken");
    b.announce(T);
    let told = talk(T, &mut a, &mut b);
    assert!(told.iter().any(|e| matches!(e, Effect::Text { to: MemberId(1), message: ToMember::Joined { member } } if member.name == "åsa-2")));

    // A broadcast goes to both; the answer only where it belongs.
    a.handle_frame(T, MemberId(1), frame(ALL, mac(1)));
    let to = |effects: &[Effect]| -> Vec<u64> {
        effects
            .iter()
            .filter_map(|e| if let Effect::Frame { to, .. } = e { Some(to.0) } else { None })
            .collect()
    };
    assert_eq!(to(&talk(T, &mut a, &mut b)), [2]);
    assert_eq!(send(&mut b, T, 2, &frame(mac(1), mac(2))), (vec![], true));
    join(&mut a, T, 3, "Bo", 13);
    assert_eq!(send(&mut a, T, 3, &frame(mac(1), mac(3))), (vec![1], false), "it stays at one relay");
}

#[test]
fn a_relay_that_is_not_heard_takes_its_members_with_it_and_they_come_to_another() {
    let (mut a, mut b) = (room(1), room(2));
    join(&mut a, T, 1, "Åsa", 11);
    join(&mut b, T, 2, "Bo", 12);
    talk(T, &mut a, &mut b);
    a.announce(T);
    talk(T, &mut a, &mut b);
    assert_eq!(b.roster().count(), 2);
    // Relay a is killed. Its member knocks at b, with the key it had, before b has missed a.
    let slot = join_with(&mut b, T + SECOND, 3, "Åsa", 11, Some(1), None);
    assert_eq!(slot, Some(1));
    assert_eq!(b.roster().count(), 2, "it is one member, not two");
    b.tick(T + 3 * SECOND);
    assert!(
        !effects(&mut b).iter().any(|e| matches!(e, Effect::Text { message: ToMember::Left { .. }, .. }))
    );
}

#[test]
fn silence_of_seven_seconds_is_the_end_of_a_relay() {
    let (mut a, mut b) = (room(1), room(2));
    join(&mut a, T, 1, "Åsa", 11);
    join(&mut b, T, 2, "Bo", 12);
    a.announce(T);
    talk(T, &mut a, &mut b);
    b.tick(T + FORGET - 1);
    assert_eq!(b.roster().count(), 2);
    b.tick(T + FORGET);
    let left = ToMember::Left { member: MemberId(1), why: LeftReason::RelayLost };
    assert!(effects(&mut b).contains(&Effect::Text { to: MemberId(2), message: left }));
    a.announce(T + FORGET);
    talk(T + FORGET, &mut a, &mut b);
    assert_eq!(b.roster().count(), 2, "it was only the bus");
}

#[test]
fn one_slot_given_twice_is_settled_for_who_came_first() {
    let (mut a, mut b) = (room(1), room(2));
    // The bus is broken: neither knows of the other.
    join(&mut a, T, 1, "Åsa", 11);
    join(&mut b, T + SECOND, 2, "Bo", 12);
    effects(&mut b);
    a.announce(T + 2 * SECOND);
    b.announce(T + 2 * SECOND);
    let told = talk(T + 2 * SECOND, &mut a, &mut b);
    let moved: Vec<_> = told
        .iter()
        .filter_map(|e| match e {
            Effect::Text { to, message: ToMember::Moved { slot } } => Some((to.0, slot.slot())),
            _ => None,
        })
        .collect();
    assert_eq!(moved, [(2, 2)]);
    for room in [&a, &b] {
        let mut slots: Vec<_> = room.roster().map(|m| (m.name.clone(), m.slot.map(Slice::slot))).collect();
        slots.sort();
        assert_eq!(slots, [("Bo".to_owned(), Some(2)), ("Åsa".to_owned(), Some(1))]);
    }
}

#[test]
fn a_teacher_reaches_members_of_other_relays() {
    let (mut a, mut b) = (room(1), room(2));
    join_with(&mut a, T, 1, "Teacher", 11, None, Some(true));
    join(&mut b, T, 2, "Bo", 12);
    b.announce(T);
    a.announce(T);
    talk(T, &mut a, &mut b);
    a.handle_text(T, MemberId(1), ToRelay::Mute { member: MemberId(2), on: true }, None);
    let told = talk(T, &mut a, &mut b);
    assert!(
        told.iter().any(|e| matches!(
            e,
            Effect::Text { to: MemberId(2), message: ToMember::Muted { on: true, .. } }
        ))
    );
    assert!(a.roster().any(|m| m.id == MemberId(2) && m.muted), "and sees it");
    a.handle_text(T, MemberId(1), ToRelay::Mute { member: MemberId(9), on: true }, None);
    assert!(matches!(&effects(&mut a)[..], [Effect::Text { message: ToMember::Refused { .. }, .. }]));
}
