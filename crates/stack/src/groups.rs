//! Multicast groups: which ones the host listens to, and what it tells routers about that, by IGMP (versions 1 to 3,
//! RFC 1112, 2236, 3376) and MLD (versions 1 and 2, RFC 2710, 3810). Groups are joined by sockets, and counted here.
//!
//! The groups that neighbour discovery needs are listened to, but not reported, unless the host announces itself: on a
//! switch that floods groups, as the lab's does, nobody acts on such a report. Left out: lists of sources.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::addr::solicited_node;
use crate::event::{DropReason, IfaceId};
use crate::host::Host;
use crate::icmp::{Kind, checksum};
use crate::ip::{Arrived, Fragment, Header, protocol};
use crate::rng;
use crate::time::Instant;

const ALL_HOSTS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_ROUTERS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// RFC 3376 4.2.14, RFC 3810 5.2.14: where reports of the newest version go.
const REPORTS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const REPORTS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ALL_ROUTERS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

const IGMP_QUERY: u8 = 0x11;
const IGMP_REPORT: [u8; 3] = [0x12, 0x16, 0x22];
const IGMP_LEAVE: u8 = 0x17;
const MLD_QUERY: u8 = 130;
const MLD_REPORT: u8 = 131;
const MLD_DONE: u8 = 132;
const MLD_REPORT_2: u8 = 143;

/// RFC 3376 8.11, RFC 3810 9.11: unsolicited report interval. The second of two reports comes within it.
const UNSOLICITED: Duration = Duration::from_secs(1);
/// RFC 2236 8.10, RFC 2710 7.10.
const UNSOLICITED_OLD: Duration = Duration::from_secs(10);
/// RFC 3376 8.12, RFC 3810 9.12: so long after an old router's question we speak its version.
const OLDER_VERSION: Duration = Duration::from_secs(260);

/// Why a report is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The second report of a change, in case the first was lost.
    Joined,
    Left,
    /// A router asked for this group, or for all (the group is then unspecified).
    Asked,
}

/// The groups of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    /// How many sockets listen to a group.
    members: BTreeMap<(IfaceId, IpAddr), u32>,
    due: BTreeSet<(Instant, IfaceId, IpAddr, Why)>,
    /// A router on the link speaks an older version: which one, and until when we believe it. By family.
    older: BTreeMap<(IfaceId, bool), (u8, Instant)>,
    /// Delays drawn so far.
    drawn: u64,
}

impl Groups {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Groups by interface.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IfaceId, IpAddr)> {
        self.members.keys().copied()
    }

    fn forget(&mut self, iface: IfaceId, group: IpAddr) {
        self.due.retain(|(_, other, about, _)| (*other, *about) != (iface, group));
    }
}

impl Host {
    /// Whether packets to `group` that come in by `iface` are for us.
    pub(crate) fn is_member(&self, iface: IfaceId, group: IpAddr) -> bool {
        if self.groups.members.contains_key(&(iface, group)) {
            return true;
        }
        match group {
            IpAddr::V4(group) => group == ALL_HOSTS_V4,
            IpAddr::V6(group) => {
                let [_, scope, ..] = group.octets();
                let all_nodes = group.to_bits() << 16 == 1 << 16 && matches!(scope, 1 | 2);
                let asks_us = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if solicited_node(ip) == group);
                all_nodes
                    || self.ifaces.get(iface.0).is_some_and(|link| {
                        link.addresses.iter().chain(&link.tentative).any(|cidr| asks_us(cidr.address))
                    })
            }
        }
    }

    /// One more socket listens.
    pub(crate) fn join_group(&mut self, now: Instant, iface: IfaceId, group: IpAddr) {
        let users = self.groups.members.entry((iface, group)).or_insert(0);
        *users += 1;
        if *users > 1 || !is_reported(iface, group) {
            return;
        }
        self.groups.forget(iface, group);
        self.report_group(now, iface, group, Why::Joined);
        let most = if self.version(now, iface, group.is_ipv6()) > 2 { UNSOLICITED } else { UNSOLICITED_OLD };
        self.schedule(now, most, iface, group, Why::Joined);
    }

    /// One socket less listens.
    pub(crate) fn leave_group(&mut self, now: Instant, iface: IfaceId, group: IpAddr) {
        let Some(users) = self.groups.members.get_mut(&(iface, group)) else { return };
        *users = users.saturating_sub(1);
        if *users > 0 {
            return;
        }
        self.groups.members.remove(&(iface, group));
        self.groups.forget(iface, group);
        if is_reported(iface, group) {
            self.report_group(now, iface, group, Why::Left);
            if self.version(now, iface, group.is_ipv6()) > 2 {
                self.schedule(now, UNSOLICITED, iface, group, Why::Left);
            }
        }
    }

    /// The version that routers on the link understand: 1 to 3 of IGMP; of MLD one more than its own number.
    fn version(&self, now: Instant, iface: IfaceId, v6: bool) -> u8 {
        let older = self.groups.older.get(&(iface, v6)).filter(|(_, until)| *until > now);
        older.map_or(3, |(version, _)| *version)
    }

    fn schedule(&mut self, now: Instant, most: Duration, iface: IfaceId, group: IpAddr, why: Why) {
        self.groups.drawn += 1;
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        let delay = rng::hash(self.config.seed, &[self.groups.drawn, iface.0 as u64]) % most;
        self.groups.due.insert((now + Duration::from_millis(delay), iface, group, why));
    }

    /// Sends the reports that are due.
    pub(crate) fn run_groups(&mut self, now: Instant) {
        while let Some((at, iface, group, why)) =
            self.groups.due.first().copied().filter(|(at, ..)| *at <= now)
        {
            self.groups.due.remove(&(at, iface, group, why));
            self.report_group(now, iface, group, why);
        }
    }

    fn report_group(&mut self, now: Instant, iface: IfaceId, group: IpAddr, why: Why) {
        let v6 = group.is_ipv6();
        let version = self.version(now, iface, v6);
        // RFC 3376 4.2.12: MODE_IS_EXCLUDE, CHANGE_TO_INCLUDE, CHANGE_TO_EXCLUDE, with no sources.
        let record = match why {
            Why::Asked => 2,
            Why::Left => 3,
            Why::Joined => 4,
        };
        let groups: Vec<IpAddr> = if group.is_unspecified() {
            let all = self.groups.members.keys().filter(|(of, group)| *of == iface && group.is_ipv6() == v6);
            all.filter(|(of, group)| is_reported(*of, *group)).map(|(_, group)| *group).collect()
        } else {
            vec![group]
        };
        if groups.is_empty() {
            return;
        }
        if version > 2 {
            let mut body = vec![0, 0];
            body.extend((groups.len() as u16).to_be_bytes());
            for group in groups {
                body.extend([record, 0, 0, 0]);
                match group {
                    IpAddr::V4(ip) => body.extend(ip.octets()),
                    IpAddr::V6(ip) => body.extend(ip.octets()),
                }
            }
            return if v6 {
                self.send_mld(now, iface, MLD_REPORT_2, REPORTS_V6, &body);
            } else {
                self.send_igmp(now, iface, IGMP_REPORT[2], REPORTS_V4, &body);
            };
        }
        for group in groups {
            match group {
                IpAddr::V4(ip) if why == Why::Left && version == 2 => {
                    self.send_igmp(now, iface, IGMP_LEAVE, ALL_ROUTERS_V4, &ip.octets());
                }
                IpAddr::V4(_) if why == Why::Left => {}
                IpAddr::V4(ip) => {
                    let kind = IGMP_REPORT[usize::from(version == 2)];
                    self.send_igmp(now, iface, kind, ip, &ip.octets());
                }
                IpAddr::V6(ip) => {
                    let body = [&[0; 4][..], &ip.octets()].concat();
                    let left = why == Why::Left;
                    let (kind, to) = if left { (MLD_DONE, ALL_ROUTERS_V6) } else { (MLD_REPORT, ip) };
                    self.send_mld(now, iface, kind, to, &body);
                }
            }
        }
    }

    /// Reports the group in which neighbours ask for `ip`.
    pub(crate) fn report_solicited_node(&mut self, now: Instant, iface: IfaceId, ip: Ipv6Addr) {
        self.report_group(now, iface, IpAddr::V6(solicited_node(ip)), Why::Joined);
    }

    fn send_igmp(&mut self, now: Instant, iface: IfaceId, kind: u8, to: Ipv4Addr, body: &[u8]) {
        let source = self.ifaces.get(iface.0).and_then(|link| link.ipv4().next());
        let source = source.map_or(Ipv4Addr::UNSPECIFIED, |(address, _)| address);
        let header = Header {
            ttl: 1,
            tos: 0xc0,
            fragment: Fragment::Do,
            iface: Some(iface),
            loops: false,
            router_alert: true,
            ..Header::new(source.into(), to.into(), protocol::IGMP)
        };
        // Without an address there is no way, and no router that could care.
        let _ = self.send_packet(now, &header, 4 + body.len(), |out| {
            if let Some((head, rest)) = out.split_at_mut_checked(4) {
                head.copy_from_slice(&[kind, 0, 0, 0]);
                rest.copy_from_slice(body);
            }
            let sum = checksum(0, out).to_be_bytes();
            if let Some(field) = out.get_mut(2..4) {
                field.copy_from_slice(&sum);
            }
        });
    }

    fn send_mld(&mut self, now: Instant, iface: IfaceId, kind: u8, to: Ipv6Addr, body: &[u8]) {
        // RFC 3810 5.2.13: from the link-local address, or from none.
        let own = self.ifaces.get(iface.0).and_then(|link| link.ipv6().find(Ipv6Addr::is_unicast_link_local));
        let source = own.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let header = Header {
            ttl: 1,
            iface: Some(iface),
            loops: false,
            router_alert: true,
            ..Header::new(source.into(), to.into(), protocol::ICMPV6)
        };
        // Without an address there is no way, and no router that could care.
        let _ = self.send_icmp(now, &header, Kind(kind, 0), body);
    }

    pub(crate) fn receive_igmp(&mut self, now: Instant, arrived: &Arrived) {
        let Some(head) = arrived.payload.first_chunk::<8>() else {
            return self.drop_packet(DropReason::Malformed);
        };
        if checksum(0, &arrived.payload) != 0 {
            return self.drop_packet(DropReason::BadChecksum);
        }
        let [kind, code, _, _, a, b, c, d] = *head;
        let group = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        match kind {
            IGMP_QUERY => {
                let version = match (arrived.payload.len(), code) {
                    (8, 0) => 1,
                    (8, _) => 2,
                    _ => 3,
                };
                let tenths = match code {
                    0 if version == 1 => 100,
                    // RFC 3376 4.1.1: a small floating point number.
                    128.. if version == 3 => u64::from(code & 0xf | 0x10) << (u64::from(code >> 4 & 7) + 3),
                    _ => u64::from(code),
                };
                self.asked(now, arrived.iface, group, version, Duration::from_millis(tenths * 100));
            }
            // RFC 2236 3: somebody else has said it.
            0x12 | 0x16 if !self.is_own(arrived.source) => self.said_by_another(now, arrived.iface, group),
            _ => {}
        }
    }

    /// A message of MLD whose checksum is right.
    pub(crate) fn receive_mld(&mut self, now: Instant, arrived: &Arrived) {
        let payload = &arrived.payload;
        let from_link = matches!(arrived.source, IpAddr::V6(ip) if ip.is_unicast_link_local());
        // RFC 3810 6.2: only from a neighbour.
        if arrived.ttl != 1 || !from_link {
            return self.drop_packet(DropReason::Malformed);
        }
        let kind = payload.first().copied().unwrap_or(0);
        if kind == MLD_REPORT_2 {
            return;
        }
        let (Some(code), Some(group)) = (
            payload.get(4..6).map(|octets| u16::from_be_bytes([octets[0], octets[1]])),
            payload.get(8..).and_then(|rest| rest.first_chunk::<16>()),
        ) else {
            return self.drop_packet(DropReason::Malformed);
        };
        let group = IpAddr::V6(Ipv6Addr::from(*group));
        match kind {
            MLD_QUERY => {
                let version = if payload.len() < 28 { 2 } else { 3 };
                let code = u64::from(code);
                // RFC 3810 5.1.3.
                let ms = match code {
                    0x8000.. if version == 3 => (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3),
                    _ => code,
                };
                self.asked(now, arrived.iface, group, version, Duration::from_millis(ms));
            }
            MLD_REPORT if !self.is_own(arrived.source) => self.said_by_another(now, arrived.iface, group),
            _ => {}
        }
    }

    /// A router asks who listens to `group`, or to any.
    fn asked(&mut self, now: Instant, iface: IfaceId, group: IpAddr, version: u8, within: Duration) {
        let v6 = group.is_ipv6();
        if version < 3 {
            self.groups.older.insert((iface, v6), (version, now + OLDER_VERSION));
        }
        if !group.is_unspecified() {
            if self.groups.members.contains_key(&(iface, group)) {
                self.answer_later(now, within, iface, group);
            }
        } else if self.version(now, iface, v6) > 2 {
            self.answer_later(now, within, iface, group);
        } else {
            let all: Vec<IpAddr> =
                self.groups.iter().filter(|(of, _)| *of == iface).map(|(_, g)| g).collect();
            for group in all.into_iter().filter(|g| g.is_ipv6() == v6 && is_reported(iface, *g)) {
                self.answer_later(now, within, iface, group);
            }
        }
    }

    fn answer_later(&mut self, now: Instant, within: Duration, iface: IfaceId, group: IpAddr) {
        let waits =
            |due: &&(Instant, IfaceId, IpAddr, Why)| (due.1, due.2, due.3) == (iface, group, Why::Asked);
        // RFC 3376 5.2: an answer that comes soon enough serves both questions.
        match self.groups.due.iter().find(waits).copied() {
            Some((at, ..)) if at <= now + within => {}
            old => {
                old.map(|old| self.groups.due.remove(&old));
                self.schedule(now, within, iface, group, Why::Asked);
            }
        }
    }

    fn said_by_another(&mut self, now: Instant, iface: IfaceId, group: IpAddr) {
        if self.version(now, iface, group.is_ipv6()) < 3 {
            self.groups.due.retain(|(_, of, about, why)| (*of, *about, *why) != (iface, group, Why::Asked));
        }
    }
}

/// Routers care for all groups but those of all hosts, and of `lo` (RFC 3376 6, RFC 3810 6).
fn is_reported(iface: IfaceId, group: IpAddr) -> bool {
    let beyond_host = match group {
        IpAddr::V4(ip) => ip != ALL_HOSTS_V4,
        IpAddr::V6(ip) => ip.octets()[1] & 0xf > 1 && ip.to_bits() << 16 != 1 << 16,
    };
    iface != IfaceId(0) && beyond_host
}
