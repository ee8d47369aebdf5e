//! Who may open a WebSocket: decided from Host and Origin, before the upgrade.
//!
//! A WebSocket is exempt from the same-origin rule, so any page a browser has open can try to use a relay on its own
//! machine. Origin tells them apart and cannot be forged by a page; it has to equal Host. A name that an attacker's DNS
//! points at this machine has an equal Host and Origin (rebinding): so Host must be an address or a name we know.

use std::net::IpAddr;

use axum::http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use crate::{options::is_loopback, settings::Settings};

/// Why a WebSocket is not opened. The text goes to the client with 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the request has no usable {0} header")]
    Header(HeaderName),
    #[error(
        "this relay is not known as {0:?}. If that is its right name, its operator adds --host {0} to `socketlab serve`"
    )]
    Host(String),
    #[error(
        "pages of {origin:?} may not use the relay at {host:?}: only the page that this relay serves itself may. \
         If that page is meant to, the relay's operator adds --allow-origin {origin} to `socketlab serve`"
    )]
    Origin { origin: String, host: String },
    #[error("this relay lets in browsers only (--require-origin): the request has no Origin header")]
    NoOrigin,
}

impl Refusal {
    /// For the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Refusal::Header(_) => "headers",
            Refusal::Host(_) => "host",
            Refusal::Origin { .. } | Refusal::NoOrigin => "origin",
        }
    }
}

/// `listen` is the address that the relay listens on.
pub(crate) fn check(headers: &HeaderMap, options: &Settings, listen: IpAddr) -> Result<(), Refusal> {
    let host = single(headers, HOST)?.ok_or(Refusal::Header(HOST))?;
    let (name, _) = split_authority(&host).ok_or(Refusal::Header(HOST))?;
    if !is_known(name, options, listen) {
        return Err(Refusal::Host(name.to_owned()));
    }
    match single(headers, ORIGIN)? {
        None if options.require_origin => Err(Refusal::NoOrigin),
        None => Ok(()),
        Some(origin) if is_same(&origin, &host) => Ok(()),
        Some(origin) if options.origins.iter().any(|o| o.eq_ignore_ascii_case(&origin)) => Ok(()),
        Some(origin) => Err(Refusal::Origin { origin, host }),
    }
}

/// The header's value; an error if it is there twice or is not text.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(&name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Refusal::Header(name)),
        },
        (Some(_), Some(_)) => Err(Refusal::Header(name)),
    }
}

/// `host[:port]` with an IPv6 address in brackets; the host comes without them.
fn split_authority(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    (!host.is_empty()).then_some((host, port))
}

/// Names by which this relay is known. Rebinding needs a name, so on a listener that others reach every address will do.
fn is_known(name: &str, options: &Settings, listen: IpAddr) -> bool {
    let plain = name.strip_suffix('.').unwrap_or(name);
    match name.parse::<IpAddr>() {
        Ok(address) => is_loopback(address) || !is_loopback(listen),
        Err(_) => {
            plain.eq_ignore_ascii_case("localhost")
                || options.hosts.iter().any(|h| h.eq_ignore_ascii_case(plain))
        }
    }
}

fn is_same(origin: &str, host: &str) -> bool {
    let (authority, default) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, 80),
        // Behind a proxy that does TLS.
        Some(("https", authority)) => (authority, 443),
        _ => return false,
    };
    match (split_authority(authority), split_authority(host)) {
        (Some((a, a_port)), Some((b, b_port))) => {
            a.eq_ignore_ascii_case(b) && a_port.unwrap_or(default) == b_port.unwrap_or(default)
        }
        _ => false,
    }
}

/// What a request says about its class code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nothing.
    None,
    /// It is this one.
    Given(String),
}

/// Browsers send Origin with every WebSocket (RFC 6455 4.1), other clients hardly ever.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

/// A browser can give no header of its own, but subprotocols: `socketlab-token.CODE`. Other clients may use
/// `Authorization`: `Bearer CODE`, or `Basic` with the code as the password. Not the address: that is logged and
/// shared; see [`code_in_query`].
pub(crate) fn code(headers: &HeaderMap) -> Code {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered = offered.flat_map(|list| list.split(','));
    for protocol in offered {
        if let Some(code) = protocol.trim().strip_prefix(TOKEN_PROTOCOL) {
            return Code::Given(code.to_owned());
        }
    }
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match authorization.and_then(|value| value.split_once(' ')) {
        Some((scheme, code)) if scheme.eq_ignore_ascii_case("bearer") => Code::Given(code.trim().to_owned()),
        Some((scheme, packed)) if scheme.eq_ignore_ascii_case("basic") => {
            let plain = BASE64.decode(packed.trim()).ok().and_then(|octets| String::from_utf8(octets).ok());
            let code = plain.and_then(|plain| plain.split_once(':').map(|(_, code)| code.to_owned()));
            Code::Given(code.unwrap_or_default())
        }
        _ => Code::None,
    }
}

/// The class code as `code=CODE` in an address. Addresses get into logs, so this is for clients that have no other way
/// only; nothing here writes one down.
pub(crate) fn code_in_query(query: &str) -> Code {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
    found.map_or(Code::None, |(_, code)| Code::Given(code.into_owned()))
}

/// Before the code in a subprotocol.
const TOKEN_PROTOCOL: &str = "socketlab-token.";

/// The subprotocol to answer with: the first that was offered and is not a code. A browser that offered some fails the
/// connection when none is chosen, or one that it did not offer; an answer must not repeat a code.
pub(crate) fn subprotocol(headers: &HeaderMap) -> Option<String> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = offered.flat_map(|list| list.split(',')).map(str::trim).collect();
    let first = offered.iter().find(|protocol| !protocol.starts_with(TOKEN_PROTOCOL)).or(offered.first())?;
    (!first.is_empty()).then(|| (*first).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ServeOptions;

    fn settings(options: &ServeOptions) -> Settings {
        Settings::load(options, &socketlab_policy::Policy::default(), None).unwrap()
    }

    fn check(headers: &HeaderMap, options: &ServeOptions) -> Result<(), Refusal> {
        super::check(headers, &settings(options), options.listen.ip())
    }

    #[test]
    fn a_code_comes_as_a_subprotocol_or_in_authorization_and_is_not_repeated() {
        let mut headers = HeaderMap::new();
        assert_eq!((code(&headers), subprotocol(&headers)), (Code::None, None));
        let given = Code::Given("kiva-2026".into());
        headers.insert(SEC_WEBSOCKET_PROTOCOL, "wisp-v2, socketlab-token.kiva-2026".parse().unwrap());
        assert_eq!((code(&headers), subprotocol(&headers)), (given.clone(), Some("wisp-v2".into())));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, "socketlab-token.kiva-2026, wisp-v2".parse().unwrap());
        assert_eq!((code(&headers), subprotocol(&headers)), (given.clone(), Some("wisp-v2".into())));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, "wisp-v2, other".parse().unwrap());
        assert_eq!((code(&headers), subprotocol(&headers)), (Code::None, Some("wisp-v2".into())));
        let mut headers = HeaderMap::new();
        // printf 'anybody:kiva-2026' | base64
        for value in ["Bearer kiva-2026", "bearer  kiva-2026", "Basic YW55Ym9keTpraXZhLTIwMjY="] {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(code(&headers), given, "{value}");
        }
        headers.insert(AUTHORIZATION, "Basic %%%".parse().unwrap());
        assert_eq!(code(&headers), Code::Given(String::new()));
    }

    fn checked(listen: &str, host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let options = ServeOptions {
            listen: listen.parse().unwrap(),
            host: vec!["lab.school.example".into()],
            ..ServeOptions::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        check(&headers, &options)
    }

    #[test]
    fn the_own_page_and_native_clients_come_in() {
        let loopback = "127.0.0.1:8080";
        for host in
            ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "lab.school.example:8080"]
        {
            assert_eq!(checked(loopback, host, None), Ok(()), "{host}");
            assert_eq!(checked(loopback, host, Some(&format!("http://{host}"))), Ok(()), "{host}");
        }
        assert_eq!(checked(loopback, "lab.school.example", Some("https://lab.school.example")), Ok(()));
        assert_eq!(checked(loopback, "localhost:80", Some("http://localhost")), Ok(()));
        assert_eq!(checked("0.0.0.0:8080", "192.168.1.7:8080", Some("http://192.168.1.7:8080")), Ok(()));
    }

    #[test]
    fn a_page_from_elsewhere_comes_in_by_its_whole_origin_only() {
        let options = ServeOptions {
            allow_origin: vec!["https://lab.school.example".into()],
            ..ServeOptions::default()
        };
        let from = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            check(&headers, &options).is_ok()
        };
        assert!(from("https://lab.school.example"));
        assert!(!from("http://lab.school.example"));
        assert!(!from("https://lab.school.example:8443"));
        assert!(!from("https://lab.school.example.evil.example"));
        assert!(!from("null"));
    }

    #[test]
    fn other_pages_stay_out() {
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example:8080",
            "http://localhost:8081",
            "http://localhost",
            "https://localhost",
            "http://127.0.0.1:8080",
            "http://user@localhost:8080",
            "file://",
            "chrome-extension://localhost:8080",
            "http://localhost:8080/",
            "http://localhost:+8080",
        ] {
            let refused = checked("127.0.0.1:8080", "localhost:8080", Some(origin));
            assert!(matches!(refused, Err(Refusal::Origin { .. })), "{origin}: {refused:?}");
        }
    }

    #[test]
    fn a_name_that_was_rebound_to_this_machine_stays_out() {
        for host in [
            "evil.example:8080",
            "evil.example",
            "localhost.evil.example:8080",
            "192.168.1.7:8080",
            "10.0.0.1",
        ] {
            let refused = checked("127.0.0.1:8080", host, Some(&format!("http://{host}")));
            assert!(matches!(refused, Err(Refusal::Host(_))), "{host}: {refused:?}");
        }
        assert!(checked("0.0.0.0:8080", "evil.example:8080", Some("http://evil.example:8080")).is_err());
        for host in ["", ":8080", "[::1", "[::1]8080", "localhost:http", "localhost:99999"] {
            assert!(matches!(checked("127.0.0.1:8080", host, None), Err(Refusal::Header(_))), "{host}");
        }
    }

    #[test]
    fn two_hosts_or_origins_are_none() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        headers.append(HOST, "evil.example".parse().unwrap());
        assert_eq!(check(&headers, &ServeOptions::default()), Err(Refusal::Header(HOST)));
        assert_eq!(check(&HeaderMap::new(), &ServeOptions::default()), Err(Refusal::Header(HOST)));
    }
}
