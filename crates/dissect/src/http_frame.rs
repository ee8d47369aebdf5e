//! Where a message of HTTP/1 begins and ends in a stream (RFC 9112 6).

/// Methods that Wireshark knows by name; anything else is not taken for a request.
const METHODS: [&[u8]; 24] = [
    b"GET",
    b"PUT",
    b"HEAD",
    b"POST",
    b"COPY",
    b"LOCK",
    b"MOVE",
    b"POLL",
    b"PATCH",
    b"MKCOL",
    b"TRACE",
    b"LABEL",
    b"MERGE",
    b"DELETE",
    b"SEARCH",
    b"UNLOCK",
    b"REPORT",
    b"UPDATE",
    b"NOTIFY",
    b"OPTIONS",
    b"CONNECT",
    b"PROPFIND",
    b"SUBSCRIBE",
    b"PROPPATCH",
];

/// A line of a head.
pub(crate) struct Line<'a> {
    /// Where it begins.
    pub(crate) at: usize,
    /// Octets with its end.
    pub(crate) len: usize,
    /// Without its end.
    pub(crate) all: &'a [u8],
    pub(crate) name: &'a [u8],
    /// Without the blanks around it.
    pub(crate) value: &'a [u8],
    /// It ends with CR and LF.
    pub(crate) crlf: bool,
}

/// Start line and fields of a message.
pub(crate) struct Head<'a> {
    /// The start line without its end.
    pub(crate) first: &'a [u8],
    /// Octets of the start line with its end.
    pub(crate) first_len: usize,
    pub(crate) fields: Vec<Line<'a>>,
    /// Octets up to and with the empty line.
    pub(crate) len: usize,
}

impl<'a> Head<'a> {
    pub(crate) fn is_request(&self) -> bool {
        !self.first.starts_with(b"HTTP/")
    }

    /// The value of the first field with this name (in lower case).
    pub(crate) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name.as_bytes())).map(|f| f.value)
    }

    pub(crate) fn chunked(&self) -> bool {
        self.value("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with(b"chunked"))
    }

    fn status(&self) -> Option<u16> {
        let code = self.first.split(|o| *o == b' ').nth(1)?;
        core::str::from_utf8(code).ok()?.parse().ok()
    }

    /// How long the body is, as far as the head says.
    fn body(&self) -> Body {
        let status = if self.is_request() { None } else { self.status() };
        // RFC 9112 6.3: these have no body.
        if status.is_some_and(|s| s < 200 || s == 204 || s == 304) {
            return Body::Octets(0);
        }
        if self.chunked() {
            return Body::Chunks;
        }
        let length = self.value("content-length").and_then(|v| core::str::from_utf8(v).ok());
        match length.map(|v| v.trim().parse::<u64>()) {
            Some(Ok(v)) => Body::Octets(usize::try_from(v).unwrap_or(usize::MAX)),
            Some(Err(_)) => Body::Octets(0),
            None if self.is_request() => Body::Octets(0),
            None => Body::UntilEnd,
        }
    }
}

enum Body {
    Octets(usize),
    Chunks,
    UntilEnd,
}

/// How far a message reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// So many octets, all of which are here.
    Whole(usize),
    /// So many octets in all, more than there are.
    Exactly(usize),
    /// More, nobody knows how much.
    More,
    /// Until the sender closes.
    UntilEnd,
    /// It does not begin as a message does.
    NotHttp,
}

/// How far the message at the beginning of `octets` reaches.
/// `bodiless`: it answers HEAD.
pub(crate) fn extent(octets: &[u8], bodiless: bool) -> Extent {
    let Some(end) = octets.iter().position(|o| *o == b'\n') else {
        // The first line may come in pieces. Wireshark waits for its end if it begins as text does.
        let text = octets.first().is_some_and(|o| (0x20..0x7f).contains(o));
        return if text { Extent::More } else { Extent::NotHttp };
    };
    if !is_start(trim_end(&octets[..end])) {
        return Extent::NotHttp;
    }
    let Some(head) = head(octets) else { return Extent::More };
    if bodiless && !head.is_request() {
        return Extent::Whole(head.len);
    }
    match head.body() {
        Body::Octets(len) => {
            let all = head.len.saturating_add(len);
            if octets.len() >= all { Extent::Whole(all) } else { Extent::Exactly(all) }
        }
        Body::UntilEnd => Extent::UntilEnd,
        Body::Chunks => chunks(octets, head.len).extent(),
    }
}

/// Whether a head ends in these lines.
pub(crate) fn has_empty_line(octets: &[u8]) -> bool {
    octets.windows(2).any(|two| two == b"\n\n") || octets.windows(3).any(|three| three == b"\n\r\n")
}

/// The first line, if it is whole and begins a message.
pub(crate) fn first_line(octets: &[u8]) -> Option<&[u8]> {
    let end = octets.iter().position(|o| *o == b'\n')?;
    let line = trim_end(&octets[..end]);
    is_start(line).then_some(line)
}

/// Whether a conversation that is not known yet is taken for HTTP: its first line names the protocol.
pub(crate) fn looks_like(octets: &[u8]) -> bool {
    let Some(end) = octets.iter().position(|o| *o == b'\n') else { return false };
    let line = trim_end(&octets[..end]);
    line.len() >= 8
        && (line.starts_with(b"HTTP/") || line[line.len() - 8..].get(..7).is_some_and(|v| v == b"HTTP/1."))
}

/// The method or version that a first line begins with, even if the line has no end yet.
pub(crate) fn first_word(octets: &[u8]) -> Option<&[u8]> {
    let word = octets.split(|o| *o == b' ').next()?;
    (METHODS.contains(&word) || word.starts_with(b"HTTP/")).then_some(word)
}

/// A request or a status line.
fn is_start(line: &[u8]) -> bool {
    if line.starts_with(b"HTTP/") {
        return true;
    }
    let method = line.split(|o| *o == b' ').next().unwrap_or_default();
    METHODS.contains(&method) && line.len() > method.len()
}

fn trim_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Place and octets of each line, with its end.
fn lines(octets: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    octets.split_inclusive(|o| *o == b'\n').map(move |line| {
        at += line.len();
        (at - line.len(), line)
    })
}

/// The head of a message; nothing if it is not whole.
pub(crate) fn head(octets: &[u8]) -> Option<Head<'_>> {
    let mut all = lines(octets);
    let (_, first) = all.next().filter(|(_, line)| line.ends_with(b"\n"))?;
    let mut fields = Vec::new();
    for (at, line) in all {
        let bare = line.strip_suffix(b"\n").map(trim_end)?;
        if bare.is_empty() {
            let first_bare = first.strip_suffix(b"\n").map_or(first, trim_end);
            return Some(Head { first: first_bare, first_len: first.len(), fields, len: at + line.len() });
        }
        let colon = bare.iter().position(|o| *o == b':').unwrap_or(bare.len());
        fields.push(Line {
            at,
            len: line.len(),
            all: bare,
            name: &bare[..colon],
            value: bare.get(colon + 1..).unwrap_or_default().trim_ascii(),
            crlf: line.ends_with(b"\r\n"),
        });
    }
    None
}

/// A chunk: where its size line, its data and its end are.
pub(crate) struct Chunk {
    pub(crate) at: usize,
    pub(crate) data: usize,
    pub(crate) size: usize,
    pub(crate) end: usize,
}

/// The chunks of a body.
pub(crate) struct Chunks {
    pub(crate) chunks: Vec<Chunk>,
    /// One past the last octet of the body, if all of it is here.
    pub(crate) end: Option<usize>,
    /// Octets of the whole message up to the end of the chunk that is not whole.
    pub(crate) missing: Option<usize>,
}

impl Chunks {
    /// How far the message reaches that ends with them.
    pub(crate) fn extent(&self) -> Extent {
        match (self.end, self.missing) {
            (Some(end), _) => Extent::Whole(end),
            (None, Some(all)) => Extent::Exactly(all),
            (None, None) => Extent::More,
        }
    }
}

/// The chunks from `at` on, as far as they are here (RFC 9112 7.1).
pub(crate) fn chunks(octets: &[u8], mut at: usize) -> Chunks {
    let mut out = Chunks { chunks: Vec::new(), end: None, missing: None };
    while let Some(line) = octets.get(at..).and_then(|rest| rest.split_inclusive(|o| *o == b'\n').next()) {
        if !line.ends_with(b"\n") {
            break;
        }
        let digits: &[u8] = line.split(|o| !o.is_ascii_hexdigit()).next().unwrap_or_default();
        let size = core::str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d, 16).ok());
        let data = at + line.len();
        let Some(size) = size else {
            // No chunk at all: what is left belongs to the body as it is.
            out.end = Some(octets.len());
            break;
        };
        if size == 0 {
            // Trailers, if any, up to an empty line.
            let mut end = data;
            for (_, line) in lines(octets.get(data..).unwrap_or_default()) {
                end += line.len();
                if line == b"\r\n" || line == b"\n" {
                    out.chunks.push(Chunk { at, data, size, end });
                    out.end = Some(end);
                    return out;
                }
            }
            break;
        }
        let Some(end) = data.checked_add(size).and_then(|v| v.checked_add(2)) else {
            out.end = Some(octets.len());
            break;
        };
        if end > octets.len() {
            out.missing = Some(end);
            break;
        }
        out.chunks.push(Chunk { at, data, size, end });
        at = end;
    }
    out
}
