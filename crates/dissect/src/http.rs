//! HTTP/1 (RFC 9112): the head of a message field by field, its body as text or octets.

use crate::context::Message;
use crate::data;
use crate::fields::*;
use crate::header::{Header, Walk, plural};
use crate::http_frame::{Head, chunks, head};
use crate::tree::{LayerLetter, Value};

/// Takes a whole message apart.
pub(crate) fn http(w: &mut Walk<'_>, m: &Message, start: usize, end: usize) {
    let octets = w.slice(start, end);
    let Some(head) = head(octets) else {
        continuation(w, start, end);
        return;
    };
    let mut h = w.header(start, end);
    start_line(&mut h, &head);
    for line in &head.fields {
        field_line(&mut h, line);
    }
    let len = head.len;
    if len >= 2 {
        let blank = if octets.get(len - 2) == Some(&b'\r') { 2 } else { 1 };
        h.open(LINE, len - blank, blank, Value::None, String::new);
        if let Some(f) = h.group() {
            f.label = if blank == 2 { "\\r\\n" } else { "\\n" }.into();
        }
        h.close();
    }
    if head.is_request() {
        h.hidden(HTTP_REQUEST, 0, 0, Value::Bool(true));
        if let Some(uri) = full_uri(&head) {
            h.derive(HTTP_FULL_URI, 0, Value::Text(uri));
        }
    } else {
        h.hidden(HTTP_RESPONSE, 0, 0, Value::Bool(true));
        if let Some(reply) = m.reply {
            h.derive(HTTP_TIME, 0, Value::Nanos(reply.after));
            h.derive(HTTP_REQUEST_IN, 0, Value::Uint(reply.frame));
        }
        if let Some(uri) = &m.uri {
            h.derive(HTTP_RESPONSE_FOR, 0, Value::Text(uri.clone()));
        }
    }
    let body = octets.get(len..).unwrap_or_default();
    let chunked = head.chunked().then(|| chunked_body(&mut h, octets, len));
    let content: &[u8] = chunked.as_deref().unwrap_or(body);
    if !content.is_empty() {
        let size = content.len();
        let text = String::from_utf8_lossy(content).into_owned();
        h.add(HTTP_FILE_DATA, len, if chunked.is_some() { 0 } else { size }, Value::Text(text), || {
            format!("{size} byte{}", plural(size))
        });
    }
    let kind = head.value("content-type").map(media_type).unwrap_or_default();
    let is_lines = is_text_type(&kind) && !content.is_empty();
    if w.writes() {
        let line = String::from_utf8_lossy(head.first).into_owned();
        let mut info = format!("{line} ");
        if is_named(&kind) && !content.is_empty() {
            info += &format!(" ({kind})");
        }
        let label = line.trim_end_matches(" HTTP/1.1").trim_end_matches(" HTTP/1.0");
        let size = w.columns.label.clone();
        w.columns.set("HTTP", info);
        // The arrow keeps the segment's numbers and says what it carries.
        let numbers = size.split(" \"").next().unwrap_or_default();
        w.columns.label(format!("{numbers} \"{label}\""));
    }
    w.layer(LayerLetter::Application, "http", || "Hypertext Transfer Protocol".to_string(), h, len);
    if content.is_empty() {
        return;
    }
    if let Some(content) = chunked {
        w.apart("De-chunked entity body", content, |w, len| match is_lines {
            true => data::text_lines(w, 0, len, &kind),
            false => data::data(w, 0, len),
        });
    } else if is_lines {
        data::text_lines(w, start + len, end, &kind);
    } else {
        data::data(w, start + len, end);
    }
}

/// What comes in a conversation of HTTP without being the beginning of a message.
pub(crate) fn continuation(w: &mut Walk<'_>, start: usize, end: usize) {
    let len = end - start;
    let mut h = w.header(start, end);
    if len > 0 {
        let text = String::from_utf8_lossy(w.slice(start, end)).into_owned();
        h.add(HTTP_FILE_DATA, 0, len, Value::Text(text), || format!("{len} byte{}", plural(len)));
    }
    if w.writes() {
        w.columns.set("HTTP", "Continuation");
    }
    w.layer(LayerLetter::Application, "http", || "Hypertext Transfer Protocol".to_string(), h, 0);
    data::data(w, start, end);
}

/// `GET /a?x=1 HTTP/1.1`, or `HTTP/1.1 200 OK`.
fn start_line(h: &mut Header<'_>, head: &Head<'_>) {
    let text = |o: &[u8]| String::from_utf8_lossy(o).into_owned();
    let first = head.first;
    h.open(LINE, 0, head.first_len, Value::None, String::new);
    if let Some(f) = h.group() {
        f.label = escaped(first, head.first_len).into();
    }
    let mut part = |def: Def, at: usize, octets: &[u8]| {
        let text = text(octets);
        h.add(def, at, octets.len(), Value::Text(text.clone()), || text);
    };
    let mut words = first.splitn(3, |o| *o == b' ');
    let (a, b, c) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (at_b, at_c) = (a.len() + 1, a.len() + b.len() + 2);
    if head.is_request() {
        part(HTTP_METHOD, 0, a);
        uri(h, at_b, b);
        if !c.is_empty() {
            h.add(HTTP_REQUEST_VERSION, at_c, c.len(), Value::Text(text(c)), || text(c));
        }
    } else {
        part(HTTP_RESPONSE_VERSION, 0, a);
        let code: Option<u64> = text(b).parse().ok();
        if let Some(code) = code {
            h.add(HTTP_CODE, at_b, b.len(), Value::Uint(code), || code.to_string());
            let meaning = status_name(code);
            h.add(HTTP_CODE_DESC, at_b, b.len(), Value::Text(meaning.to_string()), || meaning.to_string());
            h.generated();
        }
        if !c.is_empty() {
            h.add(HTTP_PHRASE, at_c, c.len(), Value::Text(text(c)), || text(c));
        }
    }
    h.close();
}

fn uri(h: &mut Header<'_>, at: usize, octets: &[u8]) {
    let text = |o: &[u8]| String::from_utf8_lossy(o).into_owned();
    let whole = text(octets);
    h.open(HTTP_URI, at, octets.len(), Value::Text(whole.clone()), || whole);
    if let Some(mark) = octets.iter().position(|o| *o == b'?') {
        let (path, query) = (&octets[..mark], &octets[mark + 1..]);
        h.add(HTTP_URI_PATH, at, mark, Value::Text(text(path)), || text(path));
        h.open(HTTP_URI_QUERY, at + mark + 1, query.len(), Value::Text(text(query)), || text(query));
        let mut o = at + mark + 1;
        for parameter in query.split(|o| *o == b'&') {
            let shown = text(parameter);
            h.add(HTTP_URI_PARAMETER, o, parameter.len(), Value::Text(shown.clone()), || shown);
            o += parameter.len() + 1;
        }
        h.close();
    }
    h.close();
}

/// A line of the head.
fn field_line(h: &mut Header<'_>, line: &crate::http_frame::Line<'_>) {
    let value = String::from_utf8_lossy(line.value).into_owned();
    let name = String::from_utf8_lossy(line.name).to_ascii_lowercase();
    let def = match &*name {
        "host" => HTTP_HOST,
        "user-agent" => HTTP_USER_AGENT,
        "accept" => HTTP_ACCEPT,
        "accept-language" => HTTP_ACCEPT_LANGUAGE,
        "accept-encoding" => HTTP_ACCEPT_ENCODING,
        "authorization" => HTTP_AUTHORIZATION,
        "cache-control" => HTTP_CACHE_CONTROL,
        "connection" => HTTP_CONNECTION,
        "content-encoding" => HTTP_CONTENT_ENCODING,
        "content-length" => HTTP_CONTENT_LENGTH_HEADER,
        "content-type" => HTTP_CONTENT_TYPE,
        "cookie" => HTTP_COOKIE,
        "date" => HTTP_DATE,
        "last-modified" => HTTP_LAST_MODIFIED,
        "location" => HTTP_LOCATION,
        "referer" => HTTP_REFERER,
        "server" => HTTP_SERVER,
        "set-cookie" => HTTP_SET_COOKIE,
        "transfer-encoding" => HTTP_TRANSFER_ENCODING,
        "upgrade" => HTTP_UPGRADE,
        "www-authenticate" => HTTP_WWW_AUTHENTICATE,
        _ => LINE,
    };
    let end = if line.crlf { "\\r\\n" } else { "\\n" };
    if def.name.is_empty() {
        h.open(LINE, line.at, line.len, Value::None, String::new);
        if let Some(f) = h.group() {
            f.label = escaped(line.all, line.len).into();
        }
    } else {
        h.open(def, line.at, line.len, Value::Text(value.clone()), || format!("{value}{end}"));
    }
    if name == "content-length"
        && let Ok(v) = value.trim().parse::<u64>()
    {
        h.add(HTTP_CONTENT_LENGTH, line.at, line.len, Value::Uint(v), || v.to_string());
        h.generated();
    }
    h.close();
}

/// A line with its end made visible: `Host: x\r\n`.
fn escaped(line: &[u8], len: usize) -> String {
    let end = if len == line.len() + 2 { "\\r\\n" } else { "\\n" };
    format!("{}{end}", crate::dns_record::printable(line))
}

/// The chunks of a body (RFC 9112 7.1); answers what they carry.
fn chunked_body(h: &mut Header<'_>, octets: &[u8], at: usize) -> Vec<u8> {
    let mut content = Vec::new();
    let list = chunks(octets, at);
    h.open(HTTP_CHUNKED, at, octets.len() - at, Value::None, String::new);
    for c in &list.chunks {
        let size = c.size;
        let all = c.end - c.at;
        h.open(LINE, c.at, all, Value::None, String::new);
        if let Some(f) = h.group() {
            f.label = match size {
                0 => "End of chunked encoding".to_string(),
                size => format!("Data chunk ({size} octets)"),
            }
            .into();
        }
        let head = c.data - c.at;
        h.add(HTTP_CHUNK_SIZE, c.at, head, Value::Uint(size as u64), || format!("{size} octets"));
        if size > 0 {
            h.bytes(HTTP_CHUNK_DATA, c.data, size);
            content.extend_from_slice(octets.get(c.data..c.data + size).unwrap_or_default());
        }
        let rest = c.end.saturating_sub(c.data + size);
        if rest > 0 && size > 0 {
            h.bytes(HTTP_CHUNK_BOUNDARY, c.data + size, rest);
        }
        h.close();
    }
    h.close();
    content
}

/// `http://host/path`, if the request names its host.
pub(crate) fn full_uri(head: &Head<'_>) -> Option<String> {
    let host = head.value("host")?;
    let path = head.first.split(|o| *o == b' ').nth(1)?;
    let (host, path) = (String::from_utf8_lossy(host), String::from_utf8_lossy(path));
    Some(if path.contains("://") { path.into_owned() } else { format!("http://{host}{path}") })
}

/// `text/plain` of `Text/Plain; charset=utf-8`.
fn media_type(value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What Wireshark shows as lines of text.
fn is_text_type(kind: &str) -> bool {
    matches!(kind, "text/plain" | "text/html" | "text/css" | "text/richtext" | "text/enriched" | "text/csv")
}

/// What the Info column names.
fn is_named(kind: &str) -> bool {
    !matches!(kind, "" | "application/octet-stream")
}

/// Wireshark's words for a status (RFC 9110 15).
fn status_name(code: u64) -> &'static str {
    match code {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version not supported",
        _ => "Unknown",
    }
}
