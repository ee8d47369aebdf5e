//! Lines of ARP and ICMPv6.

use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, ArpPacket};

use super::{Ip, Summary, base, hosts};
use crate::header::mac;
use crate::icmp::{code_name_v6, type_name_v6};

pub(super) fn arp(octets: &[u8], src: &str, dst: &str) -> Summary {
    let mut line = Summary {
        protocol: "ARP".to_string(),
        source: src.to_string(),
        destination: dst.to_string(),
        ..Summary::default()
    };
    let packet = match ArpPacket::new_checked(octets) {
        Ok(packet) if packet.hardware_len() == 6 && packet.protocol_len() == 4 => packet,
        _ => {
            line.info = "[Malformed Packet]".to_string();
            return line;
        }
    };
    let address = |o: &[u8]| <[u8; 4]>::try_from(o).map_or(Ipv4Addr::UNSPECIFIED, Ipv4Addr::from);
    let (sender, target) = (address(packet.source_protocol_addr()), address(packet.target_protocol_addr()));
    let sender_mac = mac(packet.source_hardware_addr());
    let len = octets.len();
    match packet.operation() {
        ArpOperation::Request if sender == target => {
            line.info = format!("ARP Announcement for {sender}");
            line.tcpdump = format!("ARP, Request who-has {target} tell {sender}, length {len}");
        }
        ArpOperation::Request if sender.is_unspecified() => {
            line.info = format!("Who has {target}? (ARP Probe)");
            line.tcpdump = format!("ARP, Request who-has {target} tell {sender}, length {len}");
        }
        ArpOperation::Request => {
            line.info = format!("Who has {target}? Tell {sender}");
            line.tcpdump = format!("ARP, Request who-has {target} tell {sender}, length {len}");
        }
        ArpOperation::Reply => {
            line.info = format!("{sender} is at {sender_mac}");
            line.tcpdump = format!("ARP, Reply {sender} is-at {sender_mac}, length {len}");
        }
        ArpOperation::Unknown(v) => {
            line.info = format!("Unknown ARP opcode 0x{v:04x}");
            line.tcpdump = format!("ARP, Unknown ({v}), length {len}");
        }
    }
    line.label = line.info.clone();
    line.target = Some(target.into());
    line
}

pub(super) fn icmpv6(ip: Ip, octets: &[u8]) -> Summary {
    let mut line = base("ICMPv6", ip);
    let (Some(&kind), Some(&code)) = (octets.first(), octets.get(1)) else {
        line.info = "[Malformed Packet]".to_string();
        return line;
    };
    let name = type_name_v6(kind);
    let target = octets
        .get(8..24)
        .and_then(|o| <[u8; 16]>::try_from(o).ok())
        .map(|o| core::net::Ipv6Addr::from(o).to_string())
        .unwrap_or_default();
    let word = |at: usize| octets.get(at..at + 2).map_or(0, |o| u16::from_be_bytes([o[0], o[1]]));
    // The option right behind the target address: type 1 or 2, one unit long.
    let link = octets.get(26..32).filter(|_| octets.get(25) == Some(&1)).map(mac);
    let len = octets.len();
    line.info = match kind {
        128 | 129 => {
            format!("{name} id=0x{:04x}, seq={}, hop limit={}", word(4), word(6), ip.ttl)
        }
        135 => match &link {
            Some(link) => format!("{name} for {target} from {link}"),
            None => format!("{name} for {target}"),
        },
        136 => {
            let flags = octets.get(4).copied().unwrap_or(0);
            let words: Vec<_> = [(0x80, "rtr"), (0x40, "sol"), (0x20, "ovr")]
                .iter()
                .filter(|(bit, _)| flags & bit != 0)
                .map(|(_, word)| *word)
                .collect();
            let at = link.as_ref().map(|link| format!(" is at {link}")).unwrap_or_default();
            format!("{name} {target} ({}){at}", words.join(", "))
        }
        _ => match code_name_v6(kind, code) {
            Some(reason) => format!("{name} ({reason})"),
            None => name.to_string(),
        },
    };
    line.label.clone_from(&line.info);
    let text = match kind {
        128 => format!("echo request, id {}, seq {}", word(4), word(6)),
        129 => format!("echo reply, id {}, seq {}", word(4), word(6)),
        135 => format!("neighbor solicitation, who has {target}"),
        136 => format!("neighbor advertisement, tgt is {target}"),
        _ => name.to_lowercase(),
    };
    line.tcpdump = format!("{}: ICMP6, {text}, length {len}", hosts(ip));
    line
}
