//! Facts for a log: what was done to the network, what waits, which timers run. A message key with parameters, and the
//! place it is about.

use serde::{Deserialize, Serialize};
use socketlab_netsim::record::RecordKind;
use socketlab_netsim::{Change, Deed, LinkParams};
use socketlab_stack::FilterAction;

use crate::keys;

/// One fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeView {
    /// Index of the node it is about.
    pub node: Option<u32>,
    /// Index of the link it is about.
    pub link: Option<u32>,
    /// Number of the frame it is about.
    pub frame: Option<u64>,
    /// Number of the socket it is about.
    pub socket: Option<u32>,
    /// Message key, one of [`notice_keys`].
    pub key: String,
    /// Parameters of the message.
    pub args: Vec<(String, String)>,
}

/// All message keys of [`NoticeView`], with their parameters. Parameters named `timer` are message keys themselves.
pub fn notice_keys() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("notice-frame-queued", &["ahead"]),
        ("notice-loopback", &["octets"]),
        ("notice-link-changed", &["before", "after"]),
        ("notice-link-cut", &[]),
        ("notice-link-mended", &[]),
        ("notice-frame-held", &[]),
        ("notice-frame-released", &[]),
        ("notice-frame-edited", &["octets"]),
        ("notice-will-hold", &["nth"]),
        ("notice-will-drop", &["nth"]),
        ("notice-timer-set", &["timer", "ms"]),
        ("notice-timer-stopped", &["timer"]),
        ("notice-service-started", &["service"]),
        ("notice-filter-accept", &["rule"]),
        ("notice-filter-drop", &["rule"]),
        ("notice-filter-reject", &["rule"]),
        ("notice-translated", &["source", "destination", "new_source", "new_destination"]),
        ("notice-address-lent", &["address", "router", "dns", "server", "seconds"]),
        ("notice-address-lost", &["server"]),
    ]
}

type Args = Vec<(&'static str, String)>;

/// The notice of a record; none if it is of another sort.
pub(crate) fn notice(at: u64, kind: &RecordKind) -> Option<NoticeView> {
    let mut place = NoticeView::default();
    let (key, args): (&str, Args) = match kind {
        RecordKind::FrameQueued { frame, link, from, ahead, .. } => {
            (place.frame, place.link, place.node) = (Some(frame.0), Some(link.0), Some(from.0));
            ("notice-frame-queued", vec![("ahead", ahead.to_string())])
        }
        RecordKind::Loopback { node, frame, bytes, .. } => {
            (place.frame, place.node) = (Some(frame.0), Some(node.0));
            ("notice-loopback", vec![("octets", bytes.len().to_string())])
        }
        RecordKind::TimerSet { node, socket, timer, deadline } => {
            (place.node, place.socket) = (Some(node.0), Some(socket.0));
            let timer = ("timer", keys::timer_key(*timer).to_string());
            match deadline {
                Some(deadline) => {
                    let left = crate::wait::ms(deadline.as_nanos().saturating_sub(at));
                    ("notice-timer-set", vec![timer, ("ms", left)])
                }
                None => ("notice-timer-stopped", vec![timer]),
            }
        }
        RecordKind::Changed { change } => changed(change, &mut place),
        RecordKind::Filtered { node, frame, rule, action, .. } => {
            (place.node, place.frame) = (Some(node.0), frame.map(|f| f.0));
            let key = match action {
                FilterAction::Accept => "notice-filter-accept",
                FilterAction::Drop => "notice-filter-drop",
                FilterAction::Reject => "notice-filter-reject",
            };
            // People count rules from one.
            (key, vec![("rule", (rule + 1).to_string())])
        }
        RecordKind::Translated { node, frame, ends, .. } => {
            (place.node, place.frame) = (Some(node.0), frame.map(|f| f.0));
            let (before, after) = &**ends;
            let args = vec![
                ("source", before.source.to_string()),
                ("destination", before.destination.to_string()),
                ("new_source", after.source.to_string()),
                ("new_destination", after.destination.to_string()),
            ];
            ("notice-translated", args)
        }
        RecordKind::ServiceStarted { node, kind, .. } => {
            place.node = Some(node.0);
            ("notice-service-started", vec![("service", (*kind).to_string())])
        }
        RecordKind::Configured { node, address, router, dns, server, time, .. } => {
            place.node = Some(node.0);
            let server = ("server", server.to_string());
            let text = |ip: &Option<core::net::Ipv4Addr>| ip.map_or("-".to_string(), |ip| ip.to_string());
            match address {
                Some(address) => {
                    let args = vec![
                        ("address", address.to_string()),
                        ("router", text(router)),
                        ("dns", text(dns)),
                        server,
                        ("seconds", time.as_secs().to_string()),
                    ];
                    ("notice-address-lent", args)
                }
                None => ("notice-address-lost", vec![server]),
            }
        }
        _ => return None,
    };
    place.key = key.to_string();
    place.args = args.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    Some(place)
}

fn changed(change: &Change, place: &mut NoticeView) -> (&'static str, Args) {
    match change {
        Change::Link { link, before, after } => {
            place.link = Some(link.0);
            let (before, after) = differences(before, after);
            ("notice-link-changed", vec![("before", before), ("after", after)])
        }
        Change::Cut { link } => {
            place.link = Some(link.0);
            ("notice-link-cut", vec![])
        }
        Change::Mended { link } => {
            place.link = Some(link.0);
            ("notice-link-mended", vec![])
        }
        Change::Held { frame } => {
            place.frame = Some(frame.0);
            ("notice-frame-held", vec![])
        }
        Change::Released { frame } => {
            place.frame = Some(frame.0);
            ("notice-frame-released", vec![])
        }
        Change::Edited { frame, before, after } => {
            place.frame = Some(frame.0);
            let same = before.iter().zip(after).filter(|(a, b)| a == b).count();
            let changed = before.len().max(after.len()) - same;
            ("notice-frame-edited", vec![("octets", changed.to_string())])
        }
        Change::WillCatch { link, from, nth, deed } => {
            (place.link, place.node) = (Some(link.0), Some(from.0));
            let key = match deed {
                Deed::Hold => "notice-will-hold",
                Deed::Drop => "notice-will-drop",
            };
            (key, vec![("nth", nth.to_string())])
        }
    }
}

/// What changed, as a lab file writes it: `delay 1.5ms, loss 1%`.
fn differences(before: &LinkParams, after: &LinkParams) -> (String, String) {
    let rows = fields(before).into_iter().zip(fields(after));
    let (before, after): (Vec<String>, Vec<String>) = rows
        .filter(|(a, b)| a != b)
        .map(|((name, a), (_, b))| (format!("{name} {a}"), format!("{name} {b}")))
        .unzip();
    (before.join(", "), after.join(", "))
}

fn fields(params: &LinkParams) -> [(&'static str, String); 9] {
    let ms = |time: core::time::Duration| {
        let nanos = time.as_nanos();
        let digits = format!("{}.{:06}", nanos / 1_000_000, nanos % 1_000_000);
        format!("{}ms", digits.trim_end_matches('0').trim_end_matches('.'))
    };
    let percent = |chance: socketlab_netsim::Chance| {
        let n = chance.in_a_million();
        let digits = format!("{}.{:04}", n / 10_000, n % 10_000);
        format!("{}%", digits.trim_end_matches('0').trim_end_matches('.'))
    };
    [
        ("delay", ms(params.delay)),
        ("jitter", ms(params.jitter)),
        ("rate", params.rate_bits_per_s.map_or("unlimited".to_string(), |rate| format!("{rate}bit"))),
        ("queue", params.queue.to_string()),
        ("loss", percent(params.loss)),
        ("duplicate", percent(params.duplicate)),
        ("reorder", percent(params.reorder)),
        ("corrupt", percent(params.corrupt)),
        ("mtu", params.mtu.to_string()),
    ]
}
