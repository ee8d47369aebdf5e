//! `[[host]]`, `[[router]]`, `[[gateway]]`, with their routes and firewalls; `[[switch]]` and `[[hub]]`.

use socketlab_stack::{ConnState, Direction, FilterAction, NatKind};

use super::name;
use crate::publish::{self, PublishEntry};
use crate::read::{At, Reader, Section};

/// What a node with addresses is.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Host,
    Router(Option<NatEntry>),
    /// Name in the lab, name or address in the real world.
    Gateway(Vec<(String, String)>),
}

/// A host, router or gateway.
#[derive(Clone, Debug)]
pub(crate) struct HostEntry {
    pub(crate) path: String,
    pub(crate) name: At<String>,
    pub(crate) role: Role,
    pub(crate) addresses: Vec<At<String>>,
    /// Its address comes from a DHCP server: the line that says so.
    pub(crate) dhcp: Option<u32>,
    pub(crate) default_route: Option<At<String>>,
    pub(crate) routes: Vec<RouteEntry>,
    pub(crate) firewall: Vec<FirewallEntry>,
    pub(crate) dns: Option<At<String>>,
    /// It announces its addresses when it starts.
    pub(crate) announce: bool,
    /// Gateways only: ports of programs that the real world can reach.
    pub(crate) published: Vec<PublishEntry>,
}

impl HostEntry {
    /// The translation it does, if it is a router that translates.
    pub(crate) const fn nat(&self) -> Option<&NatEntry> {
        match &self.role {
            Role::Router(nat) => nat.as_ref(),
            _ => None,
        }
    }

    pub(crate) const fn is_gateway(&self) -> bool {
        matches!(self.role, Role::Gateway(_))
    }
}

/// The port to a shared LAN.
#[derive(Clone, Debug)]
pub(crate) struct LanEntry {
    pub(crate) name: At<String>,
    /// The room that is joined if nobody says another.
    pub(crate) room: Option<String>,
}

/// `nat = true` of a router.
#[derive(Clone, Debug)]
pub(crate) struct NatEntry {
    pub(crate) line: u32,
    pub(crate) kind: NatKind,
    /// The neighbour on the outside.
    pub(crate) outside: Option<At<String>>,
    pub(crate) forwards: Vec<ForwardEntry>,
}

/// `[[router.forward]]`.
#[derive(Clone, Debug)]
pub(crate) struct ForwardEntry {
    pub(crate) path: String,
    pub(crate) protocol: u8,
    pub(crate) port: u16,
    /// Name or address, and port.
    pub(crate) to: At<String>,
}

/// `[[host.route]]`, `[[router.route]]`.
#[derive(Clone, Debug)]
pub(crate) struct RouteEntry {
    pub(crate) path: String,
    pub(crate) to: At<String>,
    pub(crate) via: At<String>,
}

/// `[[host.firewall]]`, `[[router.firewall]]`.
#[derive(Clone, Debug)]
pub(crate) struct FirewallEntry {
    pub(crate) path: String,
    pub(crate) direction: Option<Direction>,
    pub(crate) action: FilterAction,
    pub(crate) protocol: Option<u8>,
    /// Names of hosts, addresses or networks.
    pub(crate) from: Option<At<String>>,
    pub(crate) to: Option<At<String>>,
    pub(crate) source_ports: Option<(u16, u16)>,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) state: Option<ConnState>,
}

pub(crate) const HOST: &[&str] =
    &["name", "address", "default_route", "dns", "announce", "route", "firewall"];
pub(crate) const ROUTER: &[&str] =
    &["name", "address", "default_route", "dns", "nat", "outside", "forward", "route", "firewall"];
pub(crate) const GATEWAY: &[&str] = &["name", "address", "real", "publish"];
pub(crate) const REAL: &[&str] = &["name", "target"];
pub(crate) const SWITCH: &[&str] = &["name"];
pub(crate) const LAN: &[&str] = &["name", "room"];
pub(crate) const ROUTE: &[&str] = &["to", "via"];
pub(crate) const FORWARD: &[&str] = &["protocol", "port", "to"];
pub(crate) const FIREWALL: &[&str] =
    &["action", "direction", "protocol", "from", "to", "port", "source_port", "state"];

const PROTOCOLS: &[(&str, u8)] = &[("tcp", 6), ("udp", 17), ("icmp", 1)];

fn entry(r: &mut Reader<'_>, section: &Section<'_, '_>, role: Role, name: At<String>) -> HostEntry {
    let (dhcp, addresses): (Vec<_>, Vec<_>) =
        section.texts(r, "address").into_iter().partition(|address| address.value == "dhcp");
    HostEntry {
        path: section.path.clone(),
        name,
        role,
        addresses,
        dhcp: dhcp.first().map(|address| address.line),
        default_route: section.text(r, "default_route"),
        routes: section.sections(r, "route").iter().filter_map(|s| route(r, s)).collect(),
        firewall: section.sections(r, "firewall").iter().filter_map(|s| firewall(r, s)).collect(),
        dns: section.text(r, "dns"),
        announce: section.flag(r, "announce"),
        published: Vec::new(),
    }
}

pub(super) fn host(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<HostEntry> {
    section.only(r, HOST);
    let name = name(r, section, "server")?;
    Some(entry(r, section, Role::Host, name))
}

pub(super) fn router(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<HostEntry> {
    section.only(r, ROUTER);
    let name = name(r, section, "router")?;
    let forwards = section.sections(r, "forward").iter().filter_map(|s| forward(r, s)).collect();
    let outside = section.text(r, "outside");
    let nat = section.flag_or_text(r, "nat", r#"true / "full-cone""#).and_then(|At { line, value }| {
        let kind = match value.as_str() {
            "true" | "port-restricted" => NatKind::PortRestricted,
            "full-cone" => NatKind::FullCone,
            "false" => return None,
            _ => {
                let known = "true, \"port-restricted\", \"full-cone\"";
                r.complain(
                    line,
                    &section.field("nat"),
                    "lab-bad-choice",
                    &[("value", &value), ("known", known)],
                );
                return None;
            }
        };
        Some(NatEntry { line, kind, outside, forwards })
    });
    Some(entry(r, section, Role::Router(nat), name))
}

pub(super) fn gateway(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<HostEntry> {
    section.only(r, GATEWAY);
    let mut real = Vec::new();
    for entry in section.sections(r, "real") {
        entry.only(r, REAL);
        let name = entry.required(r, "name", "name = \"relay\"");
        let target = entry.required(r, "target", "target = \"127.0.0.1\"");
        if let (Some(name), Some(target)) = (name, target) {
            real.push((name.value, target.value));
        }
    }
    let published = publish::read(r, section);
    let name = name(r, section, "internet")?;
    Some(HostEntry { published, ..entry(r, section, Role::Gateway(real), name) })
}

pub(super) fn switch(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<At<String>> {
    section.only(r, SWITCH);
    name(r, section, "lan")
}

pub(super) fn lan(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<LanEntry> {
    section.only(r, LAN);
    let room = section.text(r, "room");
    // As docs/lan.md has it.
    let is_room = |name: &str| {
        (1..=48).contains(&name.len())
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    if let Some(room) = room.as_ref().filter(|room| !is_room(&room.value)) {
        r.complain(room.line, &section.field("room"), "lab-bad-room", &[("name", &room.value)]);
    }
    let name = name(r, section, "class")?;
    Some(LanEntry { name, room: room.map(|room| room.value) })
}

fn route(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<RouteEntry> {
    section.only(r, ROUTE);
    let to = section.required(r, "to", "to = \"10.0.2.0/24\"");
    let via = section.required(r, "via", "via = \"10.0.1.2\"");
    Some(RouteEntry { path: section.path.clone(), to: to?, via: via? })
}

fn forward(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<ForwardEntry> {
    section.only(r, FORWARD);
    let protocol = section.choice(r, "protocol", &PROTOCOLS[..2]).unwrap_or(6);
    let to = section.required(r, "to", "to = \"server:80\"");
    let port = section.required_number(r, "port", "port = 8080", 1, 65_535);
    Some(ForwardEntry { path: section.path.clone(), protocol, port: port? as u16, to: to? })
}

fn firewall(r: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<FirewallEntry> {
    section.only(r, FIREWALL);
    let actions =
        [("accept", FilterAction::Accept), ("drop", FilterAction::Drop), ("reject", FilterAction::Reject)];
    let directions = [("in", Direction::In), ("out", Direction::Out), ("forward", Direction::Forward)];
    let states = [("new", ConnState::New), ("established", ConnState::Established)];
    section.required(r, "action", "action = \"drop\"")?;
    let action = section.choice(r, "action", &actions)?;
    Some(FirewallEntry {
        path: section.path.clone(),
        direction: section.choice(r, "direction", &directions),
        action,
        protocol: section.choice(r, "protocol", PROTOCOLS),
        from: section.text(r, "from"),
        to: section.text(r, "to"),
        source_ports: section.ports(r, "source_port"),
        ports: section.ports(r, "port"),
        state: section.choice(r, "state", &states),
    })
}
