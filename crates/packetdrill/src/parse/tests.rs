use core::time::Duration;

use super::parse;
use crate::Trouble;
use crate::script::{Action, Expr, When};

fn first(text: &str) -> (When, Action) {
    let script = parse(text).expect("a script");
    let event = script.events.into_iter().next().expect("an event");
    (event.when, event.action)
}

fn wrong(text: &str) -> (usize, String) {
    match parse(text) {
        Err(Trouble::Wrong { line, why }) => (line, why),
        other => panic!("not refused as wrong: {other:?}"),
    }
}

#[test]
fn a_packet_prints_as_it_was_written() {
    for text in [
        "S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>",
        "S. 0:0(0) ack 1 <...>",
        "P. 1:1001(1000) ack 1 win 257",
        ". 1:1(0) ack 1001 win 257 <sack 2001:3001 4001:5001,nop,nop>",
        "R 4294967295:4294967295(0)",
        "- 1:1(0)",
        "1234>8080 F. 1:1(0) ack 1",
        "udp (1000)",
    ] {
        let (_, action) = first(&format!("+0 < {text}"));
        let Action::Inbound(packet) = action else { panic!("not a packet: {action:?}") };
        assert_eq!(packet.to_string(), text);
    }
}

#[test]
fn times_are_relative_absolute_ranges_or_any() {
    let ms = Duration::from_millis;
    assert_eq!(first("0.1 < . 1:1(0) ack 1").0, When::At(ms(100)));
    assert_eq!(first("+.1 < . 1:1(0) ack 1").0, When::After(ms(100)));
    assert_eq!(first("* > . 1:1(0) ack 1").0, When::Any);
    assert_eq!(first("1~2 > . 1:1(0) ack 1").0, When::Between(ms(1000), ms(2000)));
    assert_eq!(first("+.2~+.25 > . 1:1(0) ack 1").0, When::AfterBetween(ms(200), ms(250)));
}

#[test]
fn a_call_may_block_and_may_fail() {
    let (when, action) =
        first("+.1...0.2 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)\n+0 < . 1:1(0) ack 1");
    assert_eq!(when, When::After(Duration::from_millis(100)));
    let Action::Call(call) = action else { panic!("not a call: {action:?}") };
    assert_eq!(call.name, "connect");
    assert_eq!(call.blocks_until, Some(Duration::from_millis(200)));
    assert_eq!((call.result, call.errno.as_deref()), (Expr::Int(-1), Some("ECONNREFUSED")));
}

#[test]
fn structures_keep_their_fields() {
    let (_, action) = first("0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0");
    let Action::Call(call) = action else { panic!("not a call: {action:?}") };
    assert_eq!(call.args[3].field("onoff"), Some(&Expr::Int(1)));
    let (_, action) = first("0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0");
    let Action::Call(call) = action else { panic!("not a call: {action:?}") };
    assert!(matches!(&call.args[2], Expr::Or(parts) if parts.len() == 2));
}

#[test]
fn mistakes_name_their_line() {
    assert_eq!(wrong("\n+0 < Q 0:0(0)").0, 2);
    assert_eq!(wrong("0 < S 0:5(0)"), (1, "0 plus 0 octets do not end at 5".to_owned()));
    assert!(wrong("0 socket(..., SOCK_STREAM").1.contains("expected"));
    assert!(wrong("0 < S 0:0(0)\n+0 < . 1:1(0) ack 1 win 99999").1.contains("out of range"));
    assert!(wrong("0 < S 0:0(0)\n/* no end").1.contains("comment"));
}

#[test]
fn branches_for_other_kernels_are_left_out() {
    let script = parse("#ifdef FreeBSD\n0 < S 0:0(0)\n#else\n0 < F 0:0(0)\n#endif\n+1 < R 0:0(0)\n")
        .expect("a script");
    assert_eq!(script.events.iter().map(|e| e.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn what_is_lacking_is_not_called_wrong() {
    for text in ["0 < S 0:0(0) <FO>", "0 < [tos 0x10] . 1:1(0) ack 1", "0 < ipv6 1::1 > 2::2: udp (1)"] {
        assert!(matches!(parse(text), Err(Trouble::Lacking { .. })), "{text}");
    }
}
