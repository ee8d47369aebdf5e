//! Which fields of a TCB are shown, under which name, and how each is written.

use socketlab_view::TcbView;

use crate::texts::{Lang, count, duration};

/// A field: the end of its text's key and of its test id, its name in the RFCs, its value as written.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) value: fn(&TcbView, Lang) -> String,
}

const fn field(id: &'static str, name: &'static str, value: fn(&TcbView, Lang) -> String) -> Field {
    Field { id, name, value }
}

/// All of them, in groups with the key of a heading.
pub(super) const GROUPS: &[(&str, &[Field])] = &[
    (
        "tcp-sending",
        &[
            field("snd-una", "SND.UNA", |t, l| relative(t.snd_una, t.iss, l)),
            field("snd-nxt", "SND.NXT", |t, l| relative(t.snd_nxt, t.iss, l)),
            field("snd-wnd", "SND.WND", |t, l| count(l, t.snd_wnd.into())),
            field("flight", "flight", |t, l| count(l, t.flight().into())),
            field("cwnd", "cwnd", |t, l| count(l, t.cwnd.into())),
            field("ssthresh", "ssthresh", |t, l| match t.ssthresh {
                // Nothing lost yet: RFC 5681 3.1 begins with a threshold that is as good as infinite.
                u32::MAX => "∞".to_owned(),
                ssthresh if ssthresh >= 0x7fff_ffff => "∞".to_owned(),
                ssthresh => count(l, ssthresh.into()),
            }),
            field("iss", "ISS", |t, _| t.iss.to_string()),
        ],
    ),
    (
        "tcp-receiving",
        &[
            field("rcv-nxt", "RCV.NXT", |t, l| relative(t.rcv_nxt, t.irs, l)),
            field("rcv-wnd", "RCV.WND", |t, l| count(l, t.rcv_wnd.into())),
            field("out-of-order", "out of order", |t, _| ranges(&t.out_of_order, t.irs)),
            field("irs", "IRS", |t, _| t.irs.to_string()),
        ],
    ),
    (
        "tcp-timing",
        &[
            field("srtt", "SRTT", |t, l| t.srtt.map_or_else(dash, |nanos| duration(l, nanos))),
            field("rttvar", "RTTVAR", |t, l| t.rttvar.map_or_else(dash, |nanos| duration(l, nanos))),
            field("rto", "RTO", |t, l| duration(l, t.rto)),
            field("backoff", "backoff", |t, _| t.backoff.to_string()),
        ],
    ),
    (
        "tcp-losses",
        &[
            field("dup-acks", "dup ACKs", |t, _| t.dup_acks.to_string()),
            field("recovery", "recovery", |t, _| yes(t.in_recovery)),
            field("sacked", "SACK", |t, _| ranges(&t.sacked, t.iss)),
            field("retransmissions", "retransmissions", |t, _| t.retransmissions.to_string()),
        ],
    ),
    (
        "tcp-agreed",
        &[
            field("mss", "MSS", |t, l| {
                format!("{} / {}", count(l, t.snd_mss.into()), count(l, t.rcv_mss.into()))
            }),
            field("wscale", "wscale", |t, _| {
                t.window_scale.map_or_else(dash, |(own, peer)| format!("{own} / {peer}"))
            }),
            field("sack-permitted", "SACK_PERM", |t, _| yes(t.sack_permitted)),
            field("timestamps", "timestamps", |t, _| yes(t.timestamps)),
            field("bytes-sent", "bytes sent", |t, l| count(l, t.bytes_sent)),
            field("bytes-received", "bytes received", |t, l| count(l, t.bytes_received)),
        ],
    ),
];

/// A sequence number as its distance from the first one, as Wireshark counts.
fn relative(number: u32, first: u32, lang: Lang) -> String {
    count(lang, number.wrapping_sub(first).into())
}

fn ranges(ranges: &[(u32, u32)], first: u32) -> String {
    if ranges.is_empty() {
        return dash();
    }
    let of = |(from, to): &(u32, u32)| format!("{}–{}", from.wrapping_sub(first), to.wrapping_sub(first));
    ranges.iter().map(of).collect::<Vec<_>>().join(" ")
}

fn yes(is: bool) -> String {
    if is { "✓".to_owned() } else { dash() }
}

fn dash() -> String {
    "–".to_owned()
}
