//! Finds the messages in a stream of TCP, also where they span segments, in the way of Wireshark: a segment that comes
//! early is put in its place only if the message's length is known already.

use std::collections::BTreeMap;

use super::tcp::Segment;
use crate::context::{App, Message, Piece, Reassembled, Reply};
use crate::http_frame::{self, Extent, extent, first_line};
use crate::{dns, http};

/// Ports at which HTTP is expected (Wireshark's default).
const HTTP_PORTS: [u16; 10] = [80, 3128, 3132, 5985, 8080, 8088, 11371, 1900, 2869, 2710];

/// How much more a message needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// So many octets in all.
    Octets(usize),
    /// At least one more segment.
    More,
    /// All until the sender closes.
    UntilEnd,
}

/// What is known of an HTTP message, so that what was read once is not read again with each segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Its first line has no end yet.
    Nothing,
    /// Its head has no end yet.
    FirstLine,
    /// The head, which says how long the body is.
    Head,
    /// The body comes in chunks, of which the next begins here.
    Chunks(usize),
}

impl Known {
    fn of(octets: &[u8]) -> Known {
        if !octets.contains(&b'\n') {
            return Known::Nothing;
        }
        match http_frame::head(octets) {
            None => Known::FirstLine,
            Some(head) if head.chunked() => Known::Chunks(head.len),
            Some(_) => Known::Head,
        }
    }
}

/// A message that is not whole.
#[derive(Clone, Debug)]
struct Pending {
    protocol: App,
    /// Sequence number of its first octet.
    seq: u32,
    octets: Vec<u8>,
    pieces: Vec<Piece>,
    /// Parts beyond a hole, by their offset.
    early: BTreeMap<usize, (u64, Vec<u8>)>,
    want: Want,
    known: Known,
    /// So many octets were looked at.
    seen: usize,
}

/// One direction of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembly {
    pending: Option<Pending>,
}

/// What both directions share.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialogue {
    /// HTTP was seen.
    http: bool,
    /// The HTTP request that came last, and whether it was answered.
    request: Option<(u64, u64, Option<String>, bool)>,
    /// That request was HEAD: its answer has no body, whatever it says.
    bodiless: bool,
    /// DNS queries by identifier.
    queries: BTreeMap<u16, (u64, u64)>,
}

/// The messages of a segment's payload. `ports`: source and destination.
pub(super) fn push(
    own: &mut Assembly,
    both: &mut Dialogue,
    s: &Segment,
    payload: &[u8],
    ports: (u16, u16),
) -> Vec<Message> {
    let mut out = Vec::new();
    let fin = s.flags & crate::TcpSummary::FIN != 0;
    let mut at = 0;
    if let Some(pending) = own.pending.take() {
        match go_on(pending, s, payload, fin, (both.bodiless, both.http)) {
            Step::Apart(pending) => own.pending = Some(pending),
            Step::Open(pending, message) => {
                own.pending = Some(pending);
                out.push(message);
                return out;
            }
            Step::Whole(message, used) => {
                out.push(message);
                at = used;
            }
        }
    }
    while at < payload.len() {
        let rest = &payload[at..];
        let (protocol, extent) = frame(both, rest, ports);
        let start = at as u32;
        let mut message = Message { protocol, start, end: start, ..Message::default() };
        let want = match extent {
            Extent::Whole(len) => {
                at += len.clamp(1, rest.len());
                message.end = at as u32;
                out.push(message);
                continue;
            }
            Extent::UntilEnd if fin => {
                message.end = payload.len() as u32;
                out.push(message);
                break;
            }
            Extent::Exactly(all) => Want::Octets(all),
            Extent::More => Want::More,
            Extent::UntilEnd => Want::UntilEnd,
            Extent::NotHttp => Want::More,
        };
        message.end = payload.len() as u32;
        message.open = true;
        message.head = head_of(protocol, rest);
        out.push(message);
        own.pending = Some(Pending {
            protocol,
            seq: s.seq.wrapping_add(at as u32),
            octets: rest.to_vec(),
            pieces: vec![Piece { frame: s.frame, start: 0, len: rest.len() as u32 }],
            early: BTreeMap::new(),
            want,
            known: Known::of(rest),
            seen: rest.len(),
        });
        break;
    }
    for message in &mut out {
        if !message.open {
            answer(both, s, payload, message);
        }
    }
    out
}

/// What the payload is, and how far it reaches.
fn frame(both: &mut Dialogue, rest: &[u8], (from, to): (u16, u16)) -> (App, Extent) {
    if from == 53 || to == 53 {
        let Some(len) = rest.first_chunk::<2>() else { return (App::Dns, Extent::More) };
        let all = 2 + usize::from(u16::from_be_bytes(*len));
        return (App::Dns, if rest.len() >= all { Extent::Whole(all) } else { Extent::Exactly(all) });
    }
    let at_port = HTTP_PORTS.contains(&from) || HTTP_PORTS.contains(&to);
    if !at_port && !both.http && !http_frame::looks_like(rest) {
        return (App::Data, Extent::Whole(rest.len()));
    }
    match extent(rest, both.bodiless) {
        Extent::NotHttp if both.http => (App::HttpContinuation, Extent::Whole(rest.len())),
        Extent::NotHttp => (App::Data, Extent::Whole(rest.len())),
        found => {
            both.http |= first_line(rest).is_some();
            (App::Http, found)
        }
    }
}

fn head_of(protocol: App, octets: &[u8]) -> Option<String> {
    let line = first_line(octets).filter(|_| protocol == App::Http)?;
    Some(String::from_utf8_lossy(line).into_owned())
}

enum Step {
    /// The segment has nothing to do with it.
    Apart(Pending),
    /// It goes on.
    Open(Pending, Message),
    /// It is whole, with so many octets of the segment.
    Whole(Message, usize),
}

fn go_on(mut p: Pending, s: &Segment, payload: &[u8], fin: bool, known: (bool, bool)) -> Step {
    let have = p.octets.len();
    let offset = s.seq.wrapping_sub(p.seq) as usize;
    let limit = match p.want {
        Want::Octets(all) => all,
        Want::More => have + 1,
        Want::UntilEnd => usize::MAX,
    };
    // A sequence number before the message's first is a very large offset.
    if offset >= limit || offset > 0x4000_0000 || (payload.is_empty() && !fin) {
        return Step::Apart(p);
    }
    if payload.is_empty() && p.want != Want::UntilEnd {
        return Step::Apart(p);
    }
    let fresh = have.saturating_sub(offset).min(payload.len());
    if offset > have {
        p.early.entry(offset).or_insert_with(|| (s.frame, payload.to_vec()));
    } else {
        let piece = Piece { frame: s.frame, start: offset as u32, len: payload.len() as u32 };
        p.pieces.push(piece);
        p.octets.extend_from_slice(&payload[fresh..]);
        while let Some((o, (frame, octets))) = p.early.pop_first() {
            if o > p.octets.len() {
                p.early.insert(o, (frame, octets));
                break;
            }
            let known = p.octets.len() - o;
            p.pieces.push(Piece { frame, start: o as u32, len: octets.len() as u32 });
            p.octets.extend_from_slice(octets.get(known..).unwrap_or_default());
        }
    }
    let mut message = Message {
        protocol: p.protocol,
        start: 0,
        end: payload.len() as u32,
        open: true,
        ..Message::default()
    };
    let all = match p.want {
        Want::Octets(all) if p.octets.len() >= all => match p.protocol {
            App::Http => again(&mut p, &mut message, fin, known),
            _ => Some(all),
        },
        Want::Octets(_) => {
            // Wireshark looks at a body of chunks again with each segment.
            if matches!(p.known, Known::Chunks(_)) {
                message.head = head_of(p.protocol, &p.octets);
            }
            None
        }
        Want::More => again(&mut p, &mut message, fin, known),
        Want::UntilEnd => fin.then_some(p.octets.len()),
    };
    let Some(all) = all else { return Step::Open(p, message) };
    // What lies behind the end of the message in this segment is another one's.
    let over = p.octets.len().saturating_sub(all);
    let used = payload.len().saturating_sub(over);
    p.octets.truncate(all);
    for piece in &mut p.pieces {
        piece.len = piece.len.min((all as u32).saturating_sub(piece.start));
    }
    message.open = false;
    message.head = None;
    message.end = used as u32;
    message.whole = Some(Box::new(Reassembled { octets: p.octets, pieces: p.pieces }));
    Step::Whole(message, used)
}

/// Looks again how far a message reaches, now that there is more of it; answers that if it is whole.
fn again(p: &mut Pending, message: &mut Message, fin: bool, (bodiless, seen): (bool, bool)) -> Option<usize> {
    let found = match p.protocol {
        App::Dns => match p.octets.first_chunk::<2>() {
            Some(len) => {
                let all = 2 + usize::from(u16::from_be_bytes(*len));
                if p.octets.len() >= all { Extent::Whole(all) } else { Extent::Exactly(all) }
            }
            None => Extent::More,
        },
        _ => http_extent(p, bodiless),
    };
    if p.known != Known::Nothing {
        message.head = head_of(p.protocol, &p.octets);
    }
    p.want = match found {
        Extent::Whole(all) => return Some(all),
        Extent::NotHttp => {
            message.protocol = if seen { App::HttpContinuation } else { App::Data };
            return Some(p.octets.len());
        }
        Extent::UntilEnd if fin => return Some(p.octets.len()),
        Extent::Exactly(all) => Want::Octets(all),
        Extent::More => Want::More,
        Extent::UntilEnd => Want::UntilEnd,
    };
    None
}

/// How far an HTTP message reaches that has grown.
fn http_extent(p: &mut Pending, bodiless: bool) -> Extent {
    let seen = core::mem::replace(&mut p.seen, p.octets.len());
    // An empty line may begin with the end of the line before it.
    let fresh = p.octets.get(seen.saturating_sub(3)..).unwrap_or_default();
    match &mut p.known {
        Known::Nothing if !fresh.contains(&b'\n') => return Extent::More,
        Known::FirstLine if !http_frame::has_empty_line(fresh) => return Extent::More,
        Known::Chunks(at) => {
            let list = http_frame::chunks(&p.octets, *at);
            if let Some(last) = list.chunks.last() {
                *at = last.end;
            }
            return list.extent();
        }
        _ => {}
    }
    p.known = Known::of(&p.octets);
    extent(&p.octets, bodiless)
}

/// Ties responses to requests.
fn answer(both: &mut Dialogue, s: &Segment, payload: &[u8], m: &mut Message) {
    let own = payload.get(m.start as usize..m.end as usize).unwrap_or_default();
    let octets = m.whole.as_ref().map_or(own, |whole| &whole.octets);
    match m.protocol {
        App::Http => {
            both.http = true;
            let Some(head) = http_frame::head(octets) else { return };
            if head.is_request() {
                let path = || {
                    let path = head.first.split(|o| *o == b' ').nth(1)?;
                    Some(String::from_utf8_lossy(path).into_owned())
                };
                both.bodiless = head.first.starts_with(b"HEAD ");
                both.request = Some((s.frame, s.at, http::full_uri(&head).or_else(path), false));
            } else if let Some((frame, at, uri, answered)) = &mut both.request {
                m.uri.clone_from(uri);
                m.reply = (!*answered).then(|| Reply { frame: *frame, after: s.at.saturating_sub(*at) });
                *answered = true;
                both.bodiless = false;
            }
        }
        App::Dns => {
            let Some((id, response)) = dns::peek(octets.get(2..).unwrap_or_default()) else { return };
            if response {
                let query = both.queries.get(&id);
                m.reply = query.map(|(frame, at)| Reply { frame: *frame, after: s.at.saturating_sub(*at) });
            } else {
                both.queries.insert(id, (s.frame, s.at));
            }
        }
        _ => {}
    }
}
