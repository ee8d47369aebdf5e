//! The lab file as it is written: its tables and fields, each with its line. What the fields mean together is
//! `plan`'s business.

mod nodes;
mod services;

use core::time::Duration;
use std::collections::BTreeMap;

use socketlab_netsim::{Chance, LinkParams};
use toml::de::DeTable;

pub(crate) use nodes::{FirewallEntry, HostEntry, LanEntry, NatEntry, Role};
pub(crate) use services::{Kind, ServiceEntry};

use crate::problem::Problem;
use crate::read::{At, Reader, Section};
use crate::units;

/// A link.
#[derive(Clone, Debug)]
pub(crate) struct LinkEntry {
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) between: [At<String>; 2],
    pub(crate) params: LinkParams,
    /// Frames that are lost on purpose: who sends it, which one, from 1.
    pub(crate) drops: Vec<(At<String>, u64)>,
}

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct ProgramEntry {
    pub(crate) path: String,
    pub(crate) host: At<String>,
    pub(crate) file: At<String>,
    pub(crate) args: Vec<String>,
    pub(crate) start: Duration,
    pub(crate) stdin: socketlab_netsim::Stdin,
    pub(crate) forever: bool,
}

/// The file.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) title: String,
    /// Hosts, then routers, then gateways.
    pub(crate) nodes: Vec<HostEntry>,
    pub(crate) switches: Vec<At<String>>,
    pub(crate) hubs: Vec<At<String>>,
    /// One at most.
    pub(crate) lans: Vec<LanEntry>,
    pub(crate) links: Vec<LinkEntry>,
    pub(crate) services: Vec<ServiceEntry>,
    pub(crate) programs: Vec<ProgramEntry>,
}

pub(crate) const ROOT: &[&str] =
    &["version", "title", "host", "switch", "hub", "lan", "link", "router", "gateway", "program", "service"];
pub(crate) const LINK: &[&str] = &[
    "between",
    "delay",
    "rate",
    "loss",
    "jitter",
    "duplicate",
    "reorder",
    "corrupt",
    "queue",
    "mtu",
    "drop",
];
pub(crate) const DROP: &[&str] = &["from", "frame"];
pub(crate) const PROGRAM: &[&str] = &["host", "file", "args", "start", "stdin", "typed", "forever"];

/// Smallest packet size every IPv4 host must take (RFC 791), and the most that IPv4's length field holds.
const MTU: (i64, i64) = (576, 65_535);

/// Line of an error that the parser gives no place for (tables nested too deep): the last one of the shortest beginning
/// of the file that has such an error.
fn first_bad_line(text: &str) -> u32 {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let sound = |end: &usize| {
        let (_, errors) = DeTable::parse_recoverable(text.get(..*end).unwrap_or(text));
        errors.iter().all(|error| error.span().is_some())
    };
    u32::try_from(ends.partition_point(sound)).map_or(u32::MAX, |lines| lines.saturating_add(1))
}

/// Reads the tables of a file. All that is wrong with them is in the problems.
pub(crate) fn read(text: &str) -> (File, Vec<Problem>) {
    let mut reader = Reader::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or_else(|| first_bad_line(text), |span| reader.line(&span));
        reader.complain(line, "", "lab-syntax", &[("message", error.message())]);
    }
    // What follows a slip of the pen is often read wrongly, and complaints about it mislead.
    if !reader.problems.is_empty() {
        return (File::default(), reader.problems);
    }
    let root = Section::root(table.get_ref());
    let r = &mut reader;
    root.only(r, ROOT);
    let version = root.number(r, "version", 0, i64::MAX);
    match version {
        Some(At { line, value }) if value != 1 => {
            r.complain(line, "version", "lab-bad-version", &[("found", &value.to_string())]);
        }
        _ => {}
    }
    let title = root.text(r, "title").map(|t| t.value).unwrap_or_default();
    let mut tables = |name, read: fn(&mut Reader<'_>, &Section<'_, '_>) -> Option<HostEntry>| {
        root.sections(r, name).iter().filter_map(|s| read(r, s)).collect::<Vec<_>>()
    };
    let mut all = tables("host", nodes::host);
    all.extend(tables("router", nodes::router));
    all.extend(tables("gateway", nodes::gateway));
    let switches = root.sections(r, "switch").iter().filter_map(|s| nodes::switch(r, s)).collect();
    let hubs = root.sections(r, "hub").iter().filter_map(|s| nodes::switch(r, s)).collect();
    let mut lans: Vec<LanEntry> = Vec::new();
    for section in root.sections(r, "lan") {
        match lans.first() {
            Some(first) => {
                let name = first.name.value.clone();
                r.complain(section.line, &section.path, "lab-one-lan", &[("name", &name)]);
            }
            None => lans.extend(nodes::lan(r, &section)),
        }
    }
    let links = root.sections(r, "link").iter().filter_map(|s| link(r, s)).collect();
    let programs = root.sections(r, "program").iter().filter_map(|s| program(r, s)).collect();
    let services = root.sections(r, "service").iter().filter_map(|s| services::service(r, s)).collect();
    let file = File { title, nodes: all, switches, hubs, lans, links, programs, services };
    unique_names(r, &file);
    (file, reader.problems)
}

fn name(r: &mut Reader<'_>, section: &Section<'_, '_>, example: &str) -> Option<At<String>> {
    let name = section.required(r, "name", &format!("name = \"{example}\""))?;
    // RFC 1123 2.1: a host's name is a label of letters, digits and hyphens.
    let label = |n: &str| {
        (1..=63).contains(&n.len())
            && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !n.starts_with('-')
            && !n.ends_with('-')
    };
    if !label(&name.value) {
        r.complain(name.line, &section.field("name"), "lab-bad-name", &[("name", &name.value)]);
    }
    Some(name)
}

fn link(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<LinkEntry> {
    section.only(r, LINK);
    let default = LinkParams::default();
    let chance =
        |r: &mut Reader<'_>, name| section.chance(r, name).map_or(Chance::NEVER, Chance::per_million);
    let params = LinkParams {
        delay: section.parsed(r, "delay", "lab-bad-duration", units::duration).unwrap_or(default.delay),
        jitter: section.parsed(r, "jitter", "lab-bad-duration", units::duration).unwrap_or(default.jitter),
        rate_bits_per_s: section.parsed(r, "rate", "lab-bad-rate", units::rate),
        queue: section.number(r, "queue", 1, 1_000_000).map_or(default.queue, |n| n.value as usize),
        loss: chance(r, "loss"),
        duplicate: chance(r, "duplicate"),
        reorder: chance(r, "reorder"),
        corrupt: chance(r, "corrupt"),
        mtu: section.number(r, "mtu", MTU.0, MTU.1).map_or(default.mtu, |n| n.value as usize),
    };
    let mut drops = Vec::new();
    for drop in section.sections(r, "drop") {
        drop.only(r, DROP);
        let from = drop.required(r, "from", "from = \"client\"");
        let frame = drop.required_number(r, "frame", "frame = 4", 1, i64::MAX);
        if let (Some(from), Some(frame)) = (from, frame) {
            drops.push((from, frame.unsigned_abs()));
        }
    }
    let field = section.field("between");
    let between = section.texts(r, "between");
    match <[At<String>; 2]>::try_from(between) {
        Ok(between) if between[0].value != between[1].value => {
            Some(LinkEntry { path: field, line: section.line, between, params, drops })
        }
        Ok([first, _]) => {
            r.complain(first.line, &field, "lab-bad-between", &[]);
            None
        }
        Err(found) => {
            let line = found.first().map_or(section.line, |first| first.line);
            r.complain(line, &field, "lab-bad-between", &[]);
            None
        }
    }
}

fn program(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<ProgramEntry> {
    use socketlab_netsim::Stdin;

    section.only(r, PROGRAM);
    let host = section.required(r, "host", "host = \"server\"");
    let file = section.required(r, "file", "file = \"server.py\"");
    let args = section.texts(r, "args").into_iter().map(|arg| arg.value).collect();
    let start = section.parsed(r, "start", "lab-bad-duration", units::duration).unwrap_or_default();
    let text = section.text(r, "stdin");
    let typed = section.pairs(r, "typed");
    let stdin = match (text, typed) {
        (Some(text), Some(_)) => {
            r.complain(text.line, &section.field("stdin"), "lab-two-inputs", &[]);
            Stdin::Open
        }
        (Some(text), None) => Stdin::Text(text.value),
        (None, Some(pairs)) => {
            let mut lines = Vec::new();
            for (at, text) in pairs {
                match units::duration(&at.value) {
                    Some(after) => lines.push((after, text)),
                    None => {
                        let field = section.field("typed");
                        r.complain(at.line, &field, "lab-bad-duration", &[("value", &at.value)]);
                    }
                }
            }
            Stdin::Typed(lines)
        }
        (None, None) => Stdin::Open,
    };
    let forever = section.flag(r, "forever");
    Some(ProgramEntry { path: section.path.clone(), host: host?, file: file?, args, start, stdin, forever })
}

fn unique_names(r: &mut Reader<'_>, file: &File) {
    let mut lines: BTreeMap<String, u32> = BTreeMap::new();
    let nodes = file.nodes.iter().map(|node| &node.name);
    let mut names: Vec<&At<String>> =
        nodes.chain(&file.switches).chain(&file.hubs).chain(file.lans.iter().map(|lan| &lan.name)).collect();
    names.sort_by_key(|name| name.line);
    for At { line, value } in names {
        match lines.get(&value.to_ascii_lowercase()) {
            Some(first) => {
                let first = first.to_string();
                r.complain(*line, "name", "lab-duplicate-name", &[("name", value), ("line", &first)]);
            }
            None => _ = lines.insert(value.to_ascii_lowercase(), *line),
        }
    }
}

/// The tables with their fields, under the names of their types in the schema.
#[cfg(test)]
pub(crate) fn known() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("", ROOT),
        ("Host", nodes::HOST),
        ("Router", nodes::ROUTER),
        ("Gateway", nodes::GATEWAY),
        ("Real", nodes::REAL),
        ("Publish", crate::publish::PUBLISH),
        ("Switch", nodes::SWITCH),
        ("Lan", nodes::LAN),
        ("Route", nodes::ROUTE),
        ("Forward", nodes::FORWARD),
        ("Firewall", nodes::FIREWALL),
        ("Link", LINK),
        ("Drop", DROP),
        ("Program", PROGRAM),
        ("Service", services::SERVICE),
    ]
}
