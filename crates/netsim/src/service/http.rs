//! A web server (RFC 9110, RFC 9112) with a few pages: GET and HEAD, connections that stay open, error pages. It has
//! no `Date`, as a server without a clock must not send one (RFC 9110 6.6.1).

use std::collections::BTreeMap;

use bytes::Bytes;
use socketlab_stack::Fd;

use super::reactor::Out;

/// Longest request head. A choice, as Apache's 8 KiB for a line.
const MAX_HEAD: usize = 8192;
/// Header lines.
const MAX_HEADERS: usize = 64;

#[derive(Clone, Debug, Default)]
struct Visitor {
    received: Vec<u8>,
    /// Octets of a request's content that are still to come; nobody reads them.
    skip: usize,
}

/// The pages, by path.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pages: BTreeMap<String, String>,
    visitors: BTreeMap<Fd, Visitor>,
}

/// What a request asks for.
struct Asked {
    /// Octets of its head.
    head: usize,
    content: usize,
    method: String,
    path: String,
    closes: bool,
}

impl Site {
    pub(super) fn new(host: &str, pages: Vec<(String, String)>) -> Site {
        let mut pages: BTreeMap<String, String> = pages.into_iter().collect();
        if pages.is_empty() {
            let page = format!(
                "<!DOCTYPE html>\n<title>{host}</title>\n<h1>It works!</h1>\n<p>This is the web server on {host}.</p>\n"
            );
            pages.insert("/".to_owned(), page);
        }
        Site { pages, visitors: BTreeMap::new() }
    }

    pub(super) fn ended(&mut self, connection: Fd) -> Vec<Out> {
        self.visitors.remove(&connection);
        Vec::new()
    }

    pub(super) fn data(&mut self, connection: Fd, data: &Bytes) -> Vec<Out> {
        let visitor = self.visitors.entry(connection).or_default();
        visitor.received.extend_from_slice(data);
        let mut out = Vec::new();
        loop {
            let Some(visitor) = self.visitors.get_mut(&connection) else { return out };
            let skipped = visitor.skip.min(visitor.received.len());
            visitor.received.drain(..skipped);
            visitor.skip -= skipped;
            if visitor.skip > 0 || visitor.received.is_empty() {
                return out;
            }
            let asked = match parse(&visitor.received) {
                Ok(Some(asked)) => asked,
                Ok(None) if visitor.received.len() <= MAX_HEAD => return out,
                Ok(None) => return self.refuse(connection, out, "431 Request Header Fields Too Large"),
                Err(()) => return self.refuse(connection, out, "400 Bad Request"),
            };
            visitor.received.drain(..asked.head);
            visitor.skip = asked.content;
            out.push(Out::Send(connection, self.answer(&asked)));
            if asked.closes {
                self.visitors.remove(&connection);
                out.push(Out::Close(connection));
                return out;
            }
        }
    }

    fn refuse(&mut self, connection: Fd, mut out: Vec<Out>, status: &str) -> Vec<Out> {
        self.visitors.remove(&connection);
        out.push(Out::Send(connection, error_page(status, "", false, true)));
        out.push(Out::Close(connection));
        out
    }

    fn answer(&self, asked: &Asked) -> Bytes {
        let head_only = asked.method == "HEAD";
        if !matches!(asked.method.as_str(), "GET" | "HEAD") {
            return error_page("405 Method Not Allowed", "Allow: GET, HEAD\r\n", false, asked.closes);
        }
        let path = asked.path.split(['?', '#']).next().unwrap_or_default();
        match self.pages.get(path) {
            Some(page) => response("200 OK", "", kind_of(path, page), page, head_only, asked.closes),
            None => error_page("404 Not Found", "", head_only, asked.closes),
        }
    }
}

fn error_page(status: &str, more: &str, head_only: bool, closes: bool) -> Bytes {
    let page = format!("<!DOCTYPE html>\n<title>{status}</title>\n<h1>{status}</h1>\n");
    response(status, more, "text/html; charset=utf-8", &page, head_only, closes)
}

fn kind_of(path: &str, page: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ if page.trim_start().starts_with('<') => "text/html; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

fn response(status: &str, more: &str, kind: &str, page: &str, head_only: bool, closes: bool) -> Bytes {
    let length = page.len();
    let connection = if closes { "close" } else { "keep-alive" };
    let mut text = format!(
        "HTTP/1.1 {status}\r\nServer: socketlab\r\n{more}Content-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: {connection}\r\n\r\n"
    );
    if !head_only {
        text.push_str(page);
    }
    text.into()
}

/// Reads the head of a request. `Ok(None)`: it is not complete.
fn parse(received: &[u8]) -> Result<Option<Asked>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(received).map_err(|_| ())? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let field = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    let content = match field("content-length") {
        Some(length) => length.parse().map_err(|_| ())?,
        None => 0,
    };
    // Chunks are not read, so what follows could not be found.
    if field("transfer-encoding").is_some() {
        return Err(());
    }
    let closes = match field("connection").as_deref() {
        Some("close") => true,
        Some("keep-alive") => false,
        // RFC 9112 9.3.
        _ => request.version == Some(0),
    };
    let method = request.method.unwrap_or_default().to_owned();
    let path = request.path.unwrap_or_default().to_owned();
    // RFC 9112 3.2: a request of HTTP/1.1 names the host it is for.
    if request.version == Some(1) && field("host").is_none() {
        return Err(());
    }
    Ok(Some(Asked { head, content, method, path, closes }))
}
