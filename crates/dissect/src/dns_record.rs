//! Names and resource records of DNS (RFC 1035 3.2, 4.1; RFC 3596, RFC 2782, RFC 6891).

use crate::dns::class_name;
use crate::fields::*;
use crate::header::Header;
use crate::tree::Value;

/// Longest name (RFC 1035 2.3.4).
const LONGEST: usize = 255;

/// A name as it stands in a message.
pub(crate) struct Name {
    /// `www.example.com`, or `<Root>`.
    pub(crate) text: String,
    /// Octets at its place: less than the text when it points elsewhere.
    pub(crate) len: usize,
    /// How many labels.
    pub(crate) labels: u64,
}

/// The name at `at` of a message that begins at `base`. Nothing if it is malformed: cut off, too long, or pointing in
/// circles.
pub(crate) fn name(h: &mut Header<'_>, base: usize, at: usize) -> Option<Name> {
    let mut text = String::new();
    let (mut place, mut len, mut labels, mut octets) = (at, None, 0, 0);
    loop {
        let size = usize::from(h.u8(place)?);
        match size {
            0 => {
                let len = len.unwrap_or_else(|| place + 1 - at);
                let text = if text.is_empty() { "<Root>".to_string() } else { text };
                return Some(Name { text, len, labels });
            }
            1..=63 => {
                let label = h.peek(place + 1, size)?;
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&printable(label));
                labels += 1;
                octets += size + 1;
                place += size + 1;
            }
            0xc0.. => {
                let target = base + usize::from(h.u16(place)? & 0x3fff);
                len.get_or_insert_with(|| place + 2 - at);
                // RFC 1035 4.1.4: to a prior occurrence, so that the way is finite.
                if target >= place {
                    return None;
                }
                place = target;
                octets += 1;
            }
            _ => return None,
        }
        if octets > LONGEST {
            return None;
        }
    }
}

/// Text as shown: UTF-8 where it is, else escaped.
pub(crate) fn printable(octets: &[u8]) -> String {
    let quoted = crate::header::preview(octets, usize::MAX);
    quoted[1..quoted.len() - 1].to_string()
}

/// A resource record; answers where it ends, or nothing if it is malformed.
pub(crate) fn record(
    h: &mut Header<'_>,
    base: usize,
    at: usize,
    multicast: bool,
    info: &mut String,
) -> Option<usize> {
    let Name { text, len, .. } = name(h, base, at)?;
    let kind = h.u16(at + len)?;
    let bits = h.u16(at + len + 2)?;
    let ttl = h.u32(at + len + 4)?;
    let size = usize::from(h.u16(at + len + 8)?);
    let data = at + len + 10;
    h.peek(data, size)?;
    let flush = multicast && bits & 0x8000 != 0 && kind != 41;
    let class = if multicast { bits & 0x7fff } else { bits };
    h.open(LINE, at, len + 10 + size, Value::None, String::new);
    let service = (kind == 33).then(|| service(&text)).flatten();
    match &service {
        Some((service, proto, rest)) => {
            for (def, part) in [(DNS_SRV_SERVICE, service), (DNS_SRV_PROTO, proto), (DNS_SRV_NAME, rest)] {
                h.add(def, at, len, Value::Text(part.clone()), || part.clone());
            }
        }
        None => h.add(DNS_RESP_NAME, at, len, Value::Text(text.clone()), || text.clone()),
    }
    h.number(DNS_RESP_TYPE, at + len, 2, |v| format!("{} ({v})", type_long(v as u16)));
    *info += &format!(" {}", type_name(kind));
    if kind == 41 {
        if let Some(f) = h.group() {
            f.label = format!("{text}: type OPT").into();
        }
        opt(h, at + len, data, size);
        h.close();
        return Some(data + size);
    }
    if flush {
        *info += ", cache flush";
    }
    h.add(DNS_RESP_CLASS, at + len + 2, 2, Value::Uint(class.into()), || {
        format!("{} (0x{class:04x})", class_name(class))
    });
    if multicast {
        let word = if flush { "True" } else { "False" };
        h.add(DNS_CACHE_FLUSH, at + len + 2, 2, Value::Bool(flush), || word.to_string());
    }
    h.add(DNS_RESP_TTL, at + len + 4, 4, Value::Uint(ttl.into()), || format!("{ttl} ({})", span(ttl.into())));
    h.uint(DNS_RESP_LEN, at + len + 8, 2);
    let (label, column) = contents(h, base, kind, data, size)?;
    if !column.is_empty() {
        *info += &format!(" {column}");
    }
    if let Some(f) = h.group() {
        let class = class_name(class);
        let flush = if flush { ", cache flush" } else { "" };
        f.label = format!("{text}: type {}, class {class}{flush}{label}", type_name(kind)).into();
    }
    h.close();
    Some(data + size)
}

/// What a record says: words for its title, and for the Info column.
fn contents(h: &mut Header<'_>, base: usize, kind: u16, at: usize, size: usize) -> Option<(String, String)> {
    Some(match kind {
        1 if size == 4 => {
            let a = h.ipv4(DNS_A, at)?;
            (format!(", addr {a}"), a.to_string())
        }
        28 if size == 16 => {
            let a = h.ipv6(DNS_AAAA, at)?;
            (format!(", addr {a}"), a.to_string())
        }
        2 | 5 | 12 | 39 => {
            let Name { text, len, .. } = name(h, base, at)?;
            let (def, word) = match kind {
                2 => (DNS_NS, "ns "),
                5 => (DNS_CNAME, "cname "),
                39 => (DNS_DNAME, "dname "),
                _ => (DNS_PTR, ""),
            };
            h.add(def, at, len, Value::Text(text.clone()), || text.clone());
            (format!(", {word}{text}"), text)
        }
        15 => {
            let preference = h.uint(DNS_MX_PREFERENCE, at, 2)?;
            let Name { text, len, .. } = name(h, base, at + 2)?;
            h.add(DNS_MX, at + 2, len, Value::Text(text.clone()), || text.clone());
            (format!(", preference {preference}, mx {text}"), format!("{preference} {text}"))
        }
        13 => {
            let cpu = usize::from(h.u8(at)?);
            let os = usize::from(h.u8(at + 1 + cpu)?);
            let words = [printable(h.peek(at + 1, cpu)?), printable(h.peek(at + 2 + cpu, os)?)];
            (format!(", CPU {}, OS {}", words[0], words[1]), words.join(" "))
        }
        35 => {
            let (order, preference) =
                (h.uint(DNS_NAPTR_ORDER, at, 2)?, h.uint(DNS_NAPTR_PREFERENCE, at + 2, 2)?);
            let len = usize::from(h.u8(at + 4)?);
            let flags = printable(h.peek(at + 5, len)?);
            (
                format!(", order {order}, preference {preference}, flags {flags}"),
                format!("{order} {preference} {flags}"),
            )
        }
        16 => {
            let mut o = at;
            while o < at + size {
                let len = usize::from(h.u8(o)?);
                let text = String::from_utf8_lossy(h.peek(o + 1, len)?).into_owned();
                h.uint(DNS_TXT_LEN, o, 1);
                h.add(DNS_TXT, o + 1, len, Value::Text(text.clone()), || text);
                o += 1 + len;
            }
            (String::new(), String::new())
        }
        6 => {
            let mname = name(h, base, at)?;
            let rname = name(h, base, at + mname.len)?;
            let mut o = at;
            for (def, n) in [(DNS_SOA_MNAME, &mname), (DNS_SOA_RNAME, &rname)] {
                h.add(def, o, n.len, Value::Text(n.text.clone()), || n.text.clone());
                o += n.len;
            }
            h.uint(DNS_SOA_SERIAL, o, 4)?;
            let times = [DNS_SOA_REFRESH, DNS_SOA_RETRY, DNS_SOA_EXPIRE, DNS_SOA_MINIMUM];
            for (i, def) in times.into_iter().enumerate() {
                h.number(def, o + 4 + 4 * i, 4, |v| format!("{v} ({})", span(v)))?;
            }
            (format!(", mname {}", mname.text), mname.text)
        }
        33 => {
            let priority = h.uint(DNS_SRV_PRIORITY, at, 2)?;
            let weight = h.uint(DNS_SRV_WEIGHT, at + 2, 2)?;
            let port = h.uint(DNS_SRV_PORT, at + 4, 2)?;
            let Name { text, len, .. } = name(h, base, at + 6)?;
            h.add(DNS_SRV_TARGET, at + 6, len, Value::Text(text.clone()), || text.clone());
            (
                format!(", priority {priority}, weight {weight}, port {port}, target {text}"),
                format!("{priority} {weight} {port} {text}"),
            )
        }
        _ => {
            if size > 0 {
                h.bytes(DNS_DATA, at, size);
            }
            (String::new(), String::new())
        }
    })
}

/// The OPT pseudo record (RFC 6891 6.1).
fn opt(h: &mut Header<'_>, at: usize, data: usize, size: usize) {
    h.uint(DNS_OPT_SIZE, at + 2, 2);
    h.uint(DNS_OPT_RCODE, at + 4, 1);
    h.uint(DNS_OPT_VERSION, at + 5, 1);
    if let Some(z) = h.u16(at + 6) {
        h.open(DNS_OPT_Z, at + 6, 2, Value::Uint(z.into()), || format!("0x{z:04x}"));
        let set = z & 0x8000 != 0;
        let word = if set { "Accepts DNSSEC security RRs" } else { "Cannot handle DNSSEC security RRs" };
        h.add(DNS_OPT_DO, at + 6, 2, Value::Bool(set), || word.to_string());
        let rest = z & 0x7fff;
        h.add(DNS_OPT_RESERVED, at + 6, 2, Value::Uint(rest.into()), || format!("0x{rest:04x}"));
        h.close();
    }
    h.uint(DNS_RESP_LEN, at + 8, 2);
    if size > 0 {
        h.bytes(DNS_DATA, data, size);
    }
}

/// Service, protocol and domain of `_http._tcp.example.com`.
fn service(text: &str) -> Option<(String, String, String)> {
    let mut parts = text.splitn(3, '.');
    let (service, proto, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let both = service.starts_with('_') && proto.starts_with('_');
    both.then(|| (service.to_string(), proto.to_string(), rest.to_string()))
}

/// Seconds in words: `1 hour, 2 minutes`.
pub(crate) fn span(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let words: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}{}", crate::header::plural(*count as usize)))
        .collect();
    if words.is_empty() { "0 seconds".to_string() } else { words.join(", ") }
}

/// `A`, `CNAME`, ...
pub(crate) fn type_name(kind: u16) -> String {
    match type_names(kind).0 {
        "" => format!("Unknown ({kind})"),
        name => name.to_string(),
    }
}

/// `A (Host Address)`.
pub(crate) fn type_long(kind: u16) -> String {
    let (short, long) = type_names(kind);
    match (kind, long) {
        (255, long) => format!("* ({long})"),
        _ if short.is_empty() => "Unknown".to_string(),
        (_, "") => short.to_string(),
        _ => format!("{short} ({long})"),
    }
}

fn type_names(kind: u16) -> (&'static str, &'static str) {
    match kind {
        1 => ("A", "Host Address"),
        2 => ("NS", "authoritative Name Server"),
        5 => ("CNAME", "Canonical NAME for an alias"),
        6 => ("SOA", "Start Of a zone of Authority"),
        12 => ("PTR", "domain name PoinTeR"),
        13 => ("HINFO", "host information"),
        15 => ("MX", "Mail eXchange"),
        16 => ("TXT", "Text strings"),
        28 => ("AAAA", "IPv6 Address"),
        33 => ("SRV", "Server Selection"),
        35 => ("NAPTR", "Naming Authority PoinTeR"),
        39 => ("DNAME", "redirection of a subtree"),
        41 => ("OPT", ""),
        43 => ("DS", "Delegation Signer"),
        46 => ("RRSIG", ""),
        47 => ("NSEC", ""),
        48 => ("DNSKEY", "DNS Public Key"),
        99 => ("SPF", "Sender Policy Framework"),
        64 => ("SVCB", "Service Binding"),
        65 => ("HTTPS", "HTTPS Specific Service Endpoints"),
        251 => ("IXFR", "incremental transfer"),
        252 => ("AXFR", "transfer of an entire zone"),
        255 => ("ANY", "A request for all records the server/cache has available"),
        257 => ("CAA", "Certification Authority Restriction"),
        _ => ("", ""),
    }
}
