//! What a relay or a stranger may send to a member of a shared LAN: text, frames, connections that come and go.

use core::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;
use socketlab_lan::{
    Client, ClientEvent, MAX_FRAME, MAX_NAME, MIN_FRAME, Outgoing, Slice, ToMember, ToRelay, is_room,
    tidy_name,
};

/// What can be read is written so that it reads the same.
fn check_text(text: &str) {
    if let Ok(message) = serde_json::from_str::<ToRelay>(text) {
        let again = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<ToRelay>(&again).unwrap(), message);
    }
    if let Ok(message) = serde_json::from_str::<ToMember>(text) {
        let again = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<ToMember>(&again).unwrap(), message);
    }
    if let Some(name) = tidy_name(text) {
        assert!(name.chars().count() <= MAX_NAME, "a name of {} characters", name.chars().count());
        assert!(!name.chars().any(char::is_control));
        assert_eq!(tidy_name(&name).as_deref(), Some(name.as_str()), "a tidy name stays as it is");
    }
    assert!(!is_room(text) || text.is_ascii());
}

fn drain(client: &mut Client) {
    while let Some(message) = client.poll_message() {
        if let Outgoing::Text(text) = message {
            serde_json::from_str::<ToRelay>(&text).expect("a member's own message can be read");
        }
    }
    while let Some(event) = client.poll_event() {
        if let ClientEvent::Frame(frame) = event {
            assert!((MIN_FRAME..=MAX_FRAME).contains(&frame.len()));
        }
    }
}

/// Lines are messages: the input as text. Then the same octets as a play of frames, time and broken connections.
pub(crate) fn lan_message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut client = Client::new("Åsa", "0123456789abcdef", None);
    client.handle_open(Duration::ZERO);
    for line in text.lines() {
        check_text(line);
        let _ = client.handle_text(Duration::from_secs(1), line);
        client.resolve(line);
        drain(&mut client);
    }
    for member in client.members() {
        assert!(member.slot.is_none_or(|slot| Slice::of_mac(slot.mac(1)) == Some(slot)));
    }
    // An input that is used up is no mistake.
    let _ = play(&mut Unstructured::new(data), &mut client, &text);
}

fn play(u: &mut Unstructured<'_>, client: &mut Client, text: &str) -> Result<()> {
    let lines: Vec<&str> = text.lines().collect();
    let mut now = Duration::from_secs(1);
    for _ in 0..64 {
        if u.is_empty() {
            break;
        }
        match u.int_in_range(0..=5)? {
            0 => client.handle_frame(Bytes::from(vec![0; u.int_in_range(0..=2000)?])),
            1 => client.send_frame(Bytes::from(vec![0; u.int_in_range(0..=2000)?])),
            2 if !lines.is_empty() => {
                let _ = client.handle_text(now, u.choose(&lines)?);
            }
            3 => client.handle_lost(now),
            4 => client.handle_open(now),
            _ => {
                // Virtual centuries: a clock that runs over must not break a member.
                now = now.saturating_add(Duration::from_nanos(u64::arbitrary(u)? >> u.int_in_range(0..=63)?));
                if client.poll_timeout().is_some_and(|at| at <= now) {
                    client.handle_timeout(now);
                }
                client.room_time(now);
            }
        }
        drain(client);
    }
    Ok(())
}
