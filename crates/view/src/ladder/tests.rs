//! What a person sees in the ladder, and that it can be read.

use socketlab_stack::DropReason;

use super::{ArrowEnd, Ladder, LadderBuilder, LadderFilter, RowKind};
use crate::event::Event;
use crate::frames;
use crate::scene::{self, CLIENT, DELAY, MS, SERVER, Scene, segment};

fn draw(events: &[Event], filter: LadderFilter) -> Ladder {
    let (topology, programs) = (scene::topology(), scene::programs());
    LadderBuilder::with_history(&topology, &programs, filter, events).ladder().clone()
}

fn labels(ladder: &Ladder) -> Vec<&str> {
    ladder.arrows.iter().map(|a| a.label.as_str()).collect()
}

/// No text touches another, nothing goes upward.
fn check_readable(ladder: &Ladder) {
    let mut rows: Vec<f64> = ladder.arrows.iter().filter(|a| !a.label.is_empty()).map(|a| a.y0).collect();
    rows.extend(ladder.states.iter().map(|s| s.y));
    rows.sort_by(f64::total_cmp);
    assert!(rows.windows(2).all(|w| w[1] - w[0] >= 15.9), "{rows:?}");
    for line in 0..ladder.lifelines.len() as u32 {
        let mut text: Vec<f64> = Vec::new();
        for c in ladder.calls.iter().filter(|c| c.lifeline == line) {
            text.push(c.label_y);
            if (c.result_y - c.label_y).abs() > 0.1 {
                text.push(c.result_y);
            }
        }
        text.sort_by(f64::total_cmp);
        assert!(text.windows(2).all(|w| w[1] - w[0] >= 14.9), "{text:?}");
    }
    for a in &ladder.arrows {
        assert!(a.y1 > a.y0, "{a:?}");
        assert!(a.y1 <= ladder.height);
    }
    for c in &ladder.calls {
        assert!(c.y1.is_none_or(|y1| y1 > c.y0), "{c:?}");
    }
    assert!(ladder.ticks.windows(2).all(|w| w[1].y - w[0].y >= 20.0));
}

#[test]
fn a_conversation_is_one_arrow_per_packet_from_host_to_host() {
    let events = scene::conversation().events();
    let ladder = draw(&events, LadderFilter::default());
    assert_eq!(ladder.lifelines.iter().map(|l| l.title.as_str()).collect::<Vec<_>>(), ["client", "server"]);
    let wanted = ["SYN seq=0", "SYN, ACK seq=0 ack=1", "ACK ack=1", "PSH, ACK seq=1 ack=1 len=8 \"21,5 °C\""];
    assert_eq!(labels(&ladder), wanted);
    let syn = &ladder.arrows[0];
    assert_eq!((syn.from, syn.to, syn.sent), (0, 1, MS + 10_000));
    assert_eq!((syn.ended, &syn.end), (Some(MS + 10_000 + 2 * DELAY), &ArrowEnd::Arrived));
    check_readable(&ladder);
}

#[test]
fn a_blocked_call_is_a_bracket_until_it_returns() {
    let mut scene = scene::conversation();
    let ladder = draw(&scene.events(), LadderFilter::default());
    let call = |name: &str| ladder.calls.iter().find(|c| c.label.starts_with(name)).expect("drawn");
    let connect = call("connect");
    assert!(connect.blocked && connect.y1.is_some());
    assert_eq!(connect.label, "connect(('10.0.0.80', 7007))");
    let arrow = &ladder.arrows[1];
    assert!(connect.y0 < ladder.arrows[0].y0 + 0.1 && connect.y1.unwrap() >= arrow.y1);
    assert_eq!(call("accept").result, "→ (4, ('10.0.0.11', 13401))");
    assert_eq!((call("send").result.as_str(), call("send").blocked), ("→ 8", false));
    assert_eq!((call("recv").y1, call("recv").blocked), (None, true));
    assert_eq!(ladder.lifelines[0].lanes, 1);
}

#[test]
fn states_stand_where_they_are_reached() {
    let ladder = draw(&scene::conversation().events(), LadderFilter::default());
    let states: Vec<_> = ladder.states.iter().map(|s| (s.lifeline, s.state.as_str())).collect();
    let wanted =
        [(1, "LISTEN"), (0, "SYN-SENT"), (1, "SYN-RECEIVED"), (0, "ESTABLISHED"), (1, "ESTABLISHED")];
    assert_eq!(states, wanted);
    assert!(ladder.states[1].y < ladder.arrows[0].y0, "SYN-SENT above the SYN");
    assert!(ladder.states[3].y > ladder.arrows[1].y1, "ESTABLISHED below what brought it");
}

#[test]
fn a_lost_packet_ends_where_it_died_with_the_reason() {
    let mut scene = scene::conversation();
    let packet = scene.lose(SERVER, &segment(SERVER, "PA", 1, 9, b"hej"));
    scene.at(scene.now + 200 * MS);
    scene.send(SERVER, &segment(SERVER, "PA", 1, 9, b"hej"), None);
    scene.at(scene.now + 2 * DELAY);
    let ladder = draw(&scene.events(), LadderFilter::default());
    let lost = ladder.arrows.iter().find(|a| a.packet == packet).expect("drawn");
    // The second of two links: three quarters of the way.
    assert_eq!(lost.end, ArrowEnd::Lost { progress: 0.75, reason: "loss-random".to_string() });
    let again = ladder.arrows.last().expect("drawn");
    assert!(again.retransmission, "{again:?}");
    assert!(again.label.starts_with("[Retransmission] PSH, ACK"), "{}", again.label);
    check_readable(&ladder);
}

#[test]
fn what_a_full_queue_drops_ends_at_the_host() {
    let mut scene = scene::conversation();
    scene.send_dropped(CLIENT, &segment(CLIENT, "S", 500, 0, b""), DropReason::AcceptQueueFull);
    scene.at(scene.now + 2 * DELAY);
    let ladder = draw(&scene.events(), LadderFilter::default());
    let end = &ladder.arrows.last().expect("drawn").end;
    assert_eq!(*end, ArrowEnd::Lost { progress: 1.0, reason: "drop-accept-queue-full".to_string() });
}

#[test]
fn idle_time_is_cut_out_and_marked() {
    let mut scene = scene::conversation();
    let start = scene.now;
    scene.at(start + 60_000 * MS);
    scene.send(CLIENT, &segment(CLIENT, "FA", 9, 1, b""), None);
    scene.at(scene.now + 2 * DELAY);
    let ladder = draw(&scene.events(), LadderFilter::default());
    let gap = ladder.gaps.last().expect("a break");
    assert!(gap.from >= start && gap.from < start + DELAY, "{gap:?}");
    assert_eq!(gap.to, start + 60_000 * MS);
    assert!(ladder.height < 700.0, "{}", ladder.height);
    check_readable(&ladder);
}

#[test]
fn time_and_height_are_each_others_inverse() {
    let ladder = draw(&scene::conversation().events(), LadderFilter::default());
    for a in &ladder.arrows {
        assert!((ladder.time.units(a.sent) - a.y0).abs() < 40.0);
        let y = ladder.time.units(a.sent + MS);
        let back = ladder.time.time(y);
        assert!(back.abs_diff(a.sent + MS) < MS / 10, "{back} {}", a.sent + MS);
    }
}

#[test]
fn a_followed_conversation_shows_its_own_calls_only() {
    let mut scene = scene::conversation();
    let other = scene.enter(CLIENT, "sendto", "b'?', ('10.0.0.80', 53)", Some(9));
    scene.send(CLIENT, &frames::udp((11, 5000), (80, 5353), b"?"), Some(other));
    scene.at(scene.now + 10_000).leave(other, "1", None);
    scene.at(scene.now + 2 * DELAY);
    let events = scene.events();
    let all = draw(&events, LadderFilter::default());
    assert!(labels(&all).contains(&"len=1 \"?\""));
    let one = draw(&events, LadderFilter { conversation: Some(0), ..LadderFilter::default() });
    assert_eq!(one.arrows.len(), all.arrows.len() - 1);
    let subtitles: Vec<_> = one.lifelines.iter().map(|l| l.subtitle.as_str()).collect();
    assert_eq!(subtitles, ["10.0.0.11:13401", "10.0.0.80:7007"]);
    let calls: Vec<_> = one.calls.iter().map(|c| c.label.split('(').next().unwrap_or_default()).collect();
    assert_eq!(calls, ["accept", "connect", "send", "recv", "recv"]);
    check_readable(&one);
}

#[test]
fn event_by_event_gives_the_same_as_all_at_once() {
    let events = scene::conversation().events();
    let mut builder = LadderBuilder::new(&scene::topology(), &scene::programs(), LadderFilter::default());
    for event in &events {
        builder.push(event);
    }
    assert_eq!(*builder.ladder(), draw(&events, LadderFilter::default()));
}

#[test]
fn address_resolution_goes_to_the_host_that_is_asked_and_can_be_left_out() {
    let mut scene = Scene::new();
    scene.send(CLIENT, &frames::arp_request(11, 80), None);
    scene.at(2 * DELAY).send(SERVER, &frames::arp_reply(80, 11), None);
    scene.at(4 * DELAY);
    let events = scene.events();
    let ladder = draw(&events, LadderFilter::default());
    let arrows: Vec<_> = ladder.arrows.iter().map(|a| (a.from, a.to, a.label.as_str())).collect();
    let wanted = [(0, 1, "Who has 10.0.0.80? Tell 10.0.0.11"), (1, 0, "10.0.0.80 is at 02:00:00:00:00:50")];
    assert_eq!(arrows, wanted);
    let filter = LadderFilter { hide_arp: true, ..LadderFilter::default() };
    assert!(draw(&events, filter).arrows.is_empty());
}

#[test]
fn the_text_twin_tells_the_same() {
    let ladder = draw(&scene::conversation().events(), LadderFilter::default());
    let rows: Vec<_> = (0..ladder.rows.len()).filter_map(|i| ladder.row(i)).collect();
    assert_eq!(
        rows.len(),
        ladder.arrows.len() + ladder.calls.len() + ladder.states.len() + ladder.gaps.len()
    );
    let syn = rows.iter().find(|r| matches!(r.kind, RowKind::Arrow { arrow: 0 })).expect("a row");
    assert_eq!((syn.from.as_str(), syn.to.as_str(), syn.label.as_str()), ("client", "server", "SYN seq=0"));
    assert!(rows.iter().any(|r| r.label == "recv(1024)" && r.state == "ladder-blocked"));
    assert!(rows.iter().any(|r| r.from == "server" && r.state == "ESTABLISHED"));
    assert!(rows.windows(2).all(|w| w[0].at <= w[1].at), "in the order of time");
}

#[test]
fn a_burst_stays_readable() {
    let mut scene = scene::conversation();
    for i in 0..40 {
        let (from, ack) = if i % 3 == 0 { (SERVER, 9) } else { (CLIENT, 1) };
        scene.send(from, &segment(from, "A", 1 + i * 10, ack, b"0123456789"), None);
        scene.at(scene.now + u64::from(i % 4) * 1_000);
    }
    scene.at(scene.now + 2 * DELAY);
    let ladder = draw(&scene.events(), LadderFilter::default());
    check_readable(&ladder);
    let visible = ladder.visible(0.0, 100.0);
    assert!(!visible.arrows.is_empty() && visible.arrows.len() < ladder.arrows.len());
    check_windows(&ladder);
    assert_eq!(ladder.window(3..6), (3..6).filter_map(|i| ladder.row(i)).collect::<Vec<_>>());
    assert_eq!(ladder.window(0..1_000_000).len(), ladder.rows.len());
}

/// A window holds what touches it, no more and no less, wherever it is.
fn check_windows(ladder: &Ladder) {
    let end = ladder.height;
    for step in 0..60 {
        let top = end * f64::from(step) / 50.0 - 20.0;
        let bottom = top + 120.0;
        let touches = |a: f64, b: f64| a.min(b) <= bottom && a.max(b) >= top;
        let seen = ladder.visible(top, bottom);
        let arrows: Vec<usize> = (0..ladder.arrows.len())
            .filter(|i| touches(ladder.arrows[*i].y0, ladder.arrows[*i].y1))
            .collect();
        assert_eq!(seen.arrows, arrows, "at {top}");
        let open = end.max(bottom);
        let calls: Vec<usize> = (0..ladder.calls.len())
            .filter(|i| touches(ladder.calls[*i].y0, ladder.calls[*i].y1.unwrap_or(open)))
            .collect();
        assert_eq!(seen.calls, calls, "at {top}");
        let states: Vec<usize> =
            (0..ladder.states.len()).filter(|i| touches(ladder.states[*i].y, ladder.states[*i].y)).collect();
        assert_eq!(seen.states, states, "at {top}");
    }
}
