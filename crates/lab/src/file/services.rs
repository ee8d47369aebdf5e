//! `[[service]]`: what runs on a host without being a student's program.

use core::time::Duration;

use crate::read::{At, Reader, Section};
use crate::units;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dns,
    Dhcp,
    Http,
    Echo,
    Chat,
}

/// A service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) host: At<String>,
    pub(crate) kind: Kind,
    pub(crate) port: Option<u16>,
    /// dns: names and addresses (or hosts).
    pub(crate) names: Vec<(String, At<String>)>,
    /// http: paths and texts.
    pub(crate) pages: Vec<(String, At<String>)>,
    /// dhcp: `10.0.0.100-10.0.0.199`.
    pub(crate) range: Option<At<String>>,
    pub(crate) lease: Option<Duration>,
    pub(crate) router: Option<At<String>>,
    pub(crate) dns: Option<At<String>>,
}

pub(crate) const SERVICE: &[&str] =
    &["host", "kind", "port", "names", "pages", "range", "lease", "router", "dns"];

/// The fields that one kind alone has.
const OWN: &[(&str, Kind)] = &[
    ("names", Kind::Dns),
    ("pages", Kind::Http),
    ("range", Kind::Dhcp),
    ("lease", Kind::Dhcp),
    ("router", Kind::Dhcp),
    ("dns", Kind::Dhcp),
];

pub(super) fn service(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<ServiceEntry> {
    section.only(r, SERVICE);
    let kinds = [
        ("dns", Kind::Dns),
        ("dhcp", Kind::Dhcp),
        ("http", Kind::Http),
        ("echo", Kind::Echo),
        ("chat", Kind::Chat),
    ];
    let host = section.required(r, "host", "host = \"server\"");
    section.required(r, "kind", "kind = \"http\"")?;
    let kind = section.choice(r, "kind", &kinds)?;
    let name = kinds.iter().find(|(_, k)| *k == kind).map_or("", |(name, _)| name);
    for (field, owner) in OWN {
        if *owner != kind
            && let Some(line) = section.line_of(r, field)
        {
            let args = [("name", *field), ("kind", name)];
            r.complain(line, &section.field(field), "lab-not-of-this-service", &args);
        }
    }
    Some(ServiceEntry {
        path: section.path.clone(),
        line: section.line,
        host: host?,
        kind,
        port: section.number(r, "port", 1, 65_535).map(|port| port.value as u16),
        names: section.table(r, "names", r#"{ "www.example.se" = "10.0.0.80" }"#),
        pages: section.table(r, "pages", r#"{ "/" = "<h1>Hej!</h1>" }"#),
        range: section.text(r, "range"),
        lease: section.parsed(r, "lease", "lab-bad-duration", units::duration),
        router: section.text(r, "router"),
        dns: section.text(r, "dns"),
    })
}
