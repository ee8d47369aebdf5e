//! TCP options (RFC 9293 3.1, RFC 7323, RFC 2018, RFC 2385, RFC 5482, RFC 7413, RFC 6994).

use crate::fields::*;
use crate::header::{Header, Walk, hex};
use crate::tree::Value;

/// One option: kind, place and octets, kind and length included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt<'a> {
    pub(crate) kind: u8,
    /// From the beginning of the options.
    pub(crate) at: usize,
    pub(crate) octets: &'a [u8],
}

impl<'a> Opt<'a> {
    /// What stands behind kind and length.
    pub(crate) fn body(&self) -> &'a [u8] {
        self.octets.get(2..).unwrap_or_default()
    }

    pub(crate) fn u16(&self, at: usize) -> Option<u16> {
        self.body().get(at..at + 2).map(|o| u16::from_be_bytes([o[0], o[1]]))
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        self.body().get(at..at + 4).map(|o| u32::from_be_bytes([o[0], o[1], o[2], o[3]]))
    }

    /// The ranges of a SACK option.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        let edge = |o: &[u8]| u32::from_be_bytes([o[0], o[1], o[2], o[3]]);
        self.body().chunks_exact(8).map(move |o| (edge(&o[..4]), edge(&o[4..])))
    }
}

/// The options one after the other; `Err` with the place where they are malformed, as the last.
pub(crate) fn walk(octets: &[u8]) -> impl Iterator<Item = Result<Opt<'_>, usize>> {
    let mut at = 0;
    let mut over = false;
    core::iter::from_fn(move || {
        let kind = *octets.get(at).filter(|_| !over)?;
        let len = match kind {
            0 | 1 => 1,
            _ => usize::from(octets.get(at + 1).copied().unwrap_or(0)),
        };
        let Some(own) = octets.get(at..at + len).filter(|_| kind < 2 || len >= 2) else {
            over = true;
            return Some(Err(at));
        };
        let option = Opt { kind, at, octets: own };
        at += len;
        Some(Ok(option))
    })
}

/// Shift of the window scale option, at most 14 (RFC 7323 2.3).
pub(crate) fn scale(octets: &[u8]) -> Option<u8> {
    walk(octets).flatten().find(|o| o.kind == 3 && o.octets.len() == 3).map(|o| o.octets[2].min(14))
}

/// Adds the options to the header; answers what the Info column says of them. `base`: what to subtract from absolute
/// acknowledgement numbers.
pub(crate) fn options(
    w: &mut Walk<'_>,
    h: &mut Header<'_>,
    header_len: usize,
    end: usize,
    base: u32,
) -> String {
    let from = h.start + 20;
    let octets = w.slice(from, (h.start + header_len).min(end));
    if octets.len() < header_len - 20 {
        h.short = true;
    }
    let mut info = String::new();
    if octets.is_empty() {
        return info;
    }
    h.open(TCP_OPTIONS, 20, octets.len(), Value::Bytes, String::new);
    let mut names = Vec::new();
    for option in walk(octets) {
        match option {
            Ok(option) => names.push(one(h, option, base, &mut info, w.mode.columns)),
            Err(at) => w.note(NOTE_BAD_OPTION, "tcp", from + at, from + octets.len()),
        }
    }
    if let Some(group) = h.group() {
        group.value = format!("({} bytes), {}", octets.len(), names.join(", "));
    }
    h.close();
    info
}

/// One option; answers its name.
fn one(h: &mut Header<'_>, o: Opt<'_>, base: u32, info: &mut String, columns: bool) -> &'static str {
    let (at, len) = (20 + o.at, o.octets.len());
    let (def, name, kind_name) = match (o.kind, len) {
        (0, _) => (TCP_OPT_EOL, "End of Option List (EOL)", "End of Option List"),
        (1, _) => (TCP_OPT_NOP, "No-Operation (NOP)", "No-Operation"),
        (2, 4) => (TCP_OPT_MSS, "Maximum segment size", "Maximum Segment Size"),
        (3, 3) => (TCP_OPT_WS, "Window scale", "Window Scale"),
        (4, 2) => (TCP_OPT_SACK_PERM, "SACK permitted", "SACK Permitted"),
        (5, _) => (TCP_OPT_SACK, "SACK", "SACK"),
        (8, 10) => (TCP_OPT_TS, "Timestamps", "Time Stamp Option"),
        (19, 18) => (TCP_OPT_MD5, "TCP MD5 signature", "MD5 Signature Option"),
        (28, 4) => (TCP_OPT_USER_TO, "User Timeout", "User Timeout Option"),
        (34, _) => (TCP_OPT_TFO, "TCP Fast Open", "TCP Fast Open Cookie"),
        (253, _) => (TCP_OPT_EXPERIMENTAL, "Experimental", "RFC3692-style Experiment 1"),
        (254, _) => (TCP_OPT_EXPERIMENTAL, "Experimental", "RFC3692-style Experiment 2"),
        _ => (TCP_OPT_OTHER, "Unknown", "Unknown"),
    };
    let mut say = |text: String| {
        if columns {
            info.push_str(&text);
        }
    };
    let value = match (o.kind, len) {
        (2, 4) => format!("{} bytes", o.u16(0).unwrap_or(0)),
        (3, 3) => {
            let shift = o.octets[2];
            format!("{shift} (multiply by {})", 1u32 << shift.min(14))
        }
        (8, 10) => format!("TSval {}, TSecr {}", o.u32(0).unwrap_or(0), o.u32(4).unwrap_or(0)),
        (253 | 254, _) => "Unknown".to_string(),
        _ if def.key == TCP_OPT_OTHER.key => format!("{}: {}", o.kind, hex(o.body())),
        _ => String::new(),
    };
    h.open(def, at, len, Value::Bytes, || value);
    h.number(OPT_KIND, at, 1, |v| format!("{kind_name} ({v})"));
    if o.kind > 1 {
        h.uint(OPT_LEN, at + 1, 1);
    }
    match (o.kind, len) {
        (2, 4) => {
            h.uint(TCP_OPT_MSS_VAL, at + 2, 2);
            say(format!(" MSS={}", o.u16(0).unwrap_or(0)));
        }
        (3, 3) => {
            let factor = 1u32 << o.octets[2].min(14);
            h.uint(TCP_OPT_WS_SHIFT, at + 2, 1);
            h.add(TCP_OPT_WS_MULTIPLIER, at + 2, 1, Value::Uint(factor.into()), || factor.to_string());
            h.generated();
            say(format!(" WS={factor}"));
        }
        (4, 2) => say(" SACK_PERM".to_string()),
        (5, _) => {
            let mut text = Vec::new();
            for (i, (left, right)) in o.ranges().enumerate() {
                let (left, right) = (left.wrapping_sub(base), right.wrapping_sub(base));
                let edge = at + 2 + 8 * i;
                h.add(TCP_OPT_SACK_LE, edge, 4, Value::Uint(left.into()), || format!("{left} (relative)"));
                let shown = || format!("{right} (relative)");
                h.add(TCP_OPT_SACK_RE, edge + 4, 4, Value::Uint(right.into()), shown);
                text.push(format!("{left}-{right}"));
                say(format!(" SLE={left} SRE={right}"));
            }
            h.derive(TCP_OPT_SACK_COUNT, at, Value::Uint(text.len() as u64));
            if let Some(group) = h.group() {
                group.value = text.join(" ");
            }
        }
        (8, 10) => {
            h.uint(TCP_OPT_TSVAL, at + 2, 4);
            h.uint(TCP_OPT_TSECR, at + 6, 4);
            say(format!(" TSval={} TSecr={}", o.u32(0).unwrap_or(0), o.u32(4).unwrap_or(0)));
        }
        (19, 18) => {
            h.bytes(TCP_OPT_MD5_DIGEST, at + 2, 16);
            say(" MD5".to_string());
        }
        (28, 4) => say(format!(" USER_TO={}", o.u16(0).unwrap_or(0))),
        (34, 2) => {
            h.add(TCP_OPT_TFO_REQUEST, at, 2, Value::None, String::new);
            say(" TFO=R".to_string());
        }
        (34, _) => {
            h.bytes(TCP_OPT_TFO_COOKIE, at + 2, len - 2);
            say(" TFO=C".to_string());
        }
        (253 | 254, 4..) => {
            let id = o.u16(0).unwrap_or(0);
            h.number(TCP_OPT_EXID, at + 2, 2, |v| format!("Unknown (0x{v:04x})"));
            if len > 4 {
                h.bytes(TCP_OPT_EXP_DATA, at + 4, len - 4);
            }
            say(format!(" ExID={id:x}"));
        }
        _ => {}
    }
    h.close();
    name
}
