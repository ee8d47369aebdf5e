//! TCP options as the packet list and tcpdump word them.

use smoltcp::wire::TcpOption;

use super::tcpdump;
use crate::transport::sack_ranges;

/// The options of one segment.
pub(super) struct Options {
    /// As in the Info column: ` MSS=1460 SACK_PERM WS=128`; ranges of SACK come behind it.
    pub(super) info: String,
    pub(super) sack: Vec<(u32, u32)>,
    /// As tcpdump prints them, with [`tcpdump::SACK`] in place of the ranges.
    pub(super) tcpdump: String,
    pub(super) scale: Option<u8>,
}

pub(super) fn options(octets: &[u8]) -> Options {
    let mut out = Options { info: String::new(), sack: Vec::new(), tcpdump: String::new(), scale: None };
    let mut dump = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let Ok((after, option)) = TcpOption::parse(rest) else { break };
        let own = &rest[..rest.len() - after.len()];
        match option {
            TcpOption::EndOfList => dump.push("eol".to_string()),
            TcpOption::NoOperation => dump.push("nop".to_string()),
            TcpOption::MaxSegmentSize(mss) => {
                out.info += &format!(" MSS={mss}");
                dump.push(format!("mss {mss}"));
            }
            TcpOption::WindowScale(shift) => {
                out.info += &format!(" WS={}", 1u32 << shift.min(14));
                out.scale = Some(shift.min(14));
                dump.push(format!("wscale {shift}"));
            }
            TcpOption::SackPermitted => {
                out.info += " SACK_PERM";
                dump.push("sackOK".to_string());
            }
            TcpOption::SackRange(_) => {
                out.sack.extend(sack_ranges(own));
                dump.push(tcpdump::SACK.to_string());
            }
            TcpOption::TimeStamp { tsval, tsecr } => {
                out.info += &format!(" TSval={tsval} TSecr={tsecr}");
                dump.push(format!("TS val {tsval} ecr {tsecr}"));
            }
            TcpOption::Unknown { kind, .. } => dump.push(format!("unknown-{kind}")),
        }
        rest = after;
        if matches!(option, TcpOption::EndOfList) {
            break;
        }
    }
    out.tcpdump = dump.join(",");
    out
}
