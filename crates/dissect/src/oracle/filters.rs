//! Display filters: the same frames for tshark and for us.

use super::captures::captures;
use super::{lines, tools};
use crate::Filter;

/// Filters that Wireshark takes as well.
const TABLE: &[&str] = &[
    "tcp",
    "udp",
    "arp || icmp",
    "ip",
    "ipv6",
    "icmpv6",
    "igmp",
    "dns",
    "mdns",
    "dhcp",
    "http",
    "not ip",
    "!tcp && !udp",
    "ip.addr == 10.0.0.11",
    "ip.addr != 10.0.0.11",
    "!(ip.addr == 10.0.0.11)",
    "ip.addr !== 10.0.0.11",
    "ip.addr === 10.0.0.11",
    "ip.src == 10.0.0.0/24",
    "ip.dst == 224.0.0.0/4",
    "not ip.dst == 10.0.0.0/28",
    "ip.src > 10.0.0.50",
    "ip.ttl < 64",
    "ip.version == 6",
    "ip.flags.df == 1",
    "ip.flags.mf == 1 || ip.frag_offset > 0",
    "ip.frag_offset gt 100",
    "ip.proto == 17 and ip.len >= 100",
    "ip.dsfield.dscp != 0",
    "ip.checksum.status == 0",
    "ip.id == 0x1234",
    "ip.opt.type == 148",
    "ipv6.addr == fd00::11",
    "ipv6.src == fd00::/64",
    "ipv6.dst == ff02::/16",
    "ipv6.hlim == 255",
    "ipv6.nxt == 0",
    "eth.addr == 02:00:00:00:00:0b",
    "eth.dst == ff:ff:ff:ff:ff:ff",
    "eth.dst[0:2] == 33:33",
    "eth.src[5] == 50",
    "eth.type == 0x0806",
    "eth.ig == 1",
    "arp.opcode == 2",
    "arp.duplicate-address-detected",
    "arp.dst.proto_ipv4 == 10.0.0.80",
    "tcp.port == 80",
    "tcp.port in {80, 443}",
    "tcp.port in {7000..7010, 53}",
    "tcp.port not in {80, 8080}",
    "udp.port in {53, 67, 68}",
    "tcp.srcport == 13401 || tcp.dstport == 13401",
    "tcp.srcport > tcp.dstport",
    "tcp.flags.syn == 1 && tcp.flags.ack == 0",
    "tcp.flags.syn == 1 && ip.addr == 10.0.0.11",
    "tcp.flags.syn == True",
    "tcp.flags & 0x02",
    "tcp.flags & 0x12 == 0x12",
    "tcp.flags == 0x018",
    "tcp.flags.reset == 1",
    "tcp.flags.fin==1",
    "tcp.stream eq 0",
    "tcp.stream == 1 or udp.stream == 0",
    "tcp.len > 0",
    "tcp.len ge 6 and tcp.len le 20",
    "tcp.seq == 1 && tcp.ack == 1",
    "tcp.window_size > 60000",
    "tcp.window_size_value == 0",
    "tcp.options.mss_val == 1460",
    "tcp.options.sack_le",
    "tcp.options.timestamp.tsval > 1",
    "tcp.analysis.flags",
    "tcp.analysis.flags && !tcp.analysis.window_update",
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order",
    "tcp.analysis.lost_segment",
    "tcp.analysis.ack_lost_segment",
    "tcp.analysis.duplicate_ack",
    "tcp.analysis.duplicate_ack_num == 2",
    "tcp.analysis.zero_window",
    "tcp.analysis.zero_window_probe",
    "tcp.analysis.window_update",
    "tcp.analysis.window_full",
    "tcp.analysis.keep_alive || tcp.analysis.keep_alive_ack",
    "tcp.analysis.reused_ports",
    "tcp.analysis.ack_rtt > 0.005",
    "tcp.analysis.initial_rtt",
    "tcp.analysis.bytes_in_flight > 100",
    "tcp.time_delta > 0.02",
    "tcp.checksum.status == 1",
    "tcp.payload contains \"hel\"",
    "tcp contains \"GET\"",
    "tcp.segment_data",
    "tcp[0:2] == 34:59",
    "udp.length == 11",
    "udp.checksum.status == 0",
    "udp contains 68:65:6a",
    "frame contains \"hej\"",
    "frame.number <= 3",
    "frame.number in {2, 5..7}",
    "frame.len > 200",
    "frame.time_relative > 0.1",
    "frame.time_delta == 0.007",
    "frame[12:2] == 86:dd",
    "icmp.type == 3 && icmp.code in {1, 3, 13}",
    "icmp.type == 8",
    "icmp.resp_to",
    "icmpv6.type == 135 || icmpv6.type == 136",
    "icmpv6.nd.ns.target_address == fd00::80",
    "icmpv6.nd.na.flag.s == 1",
    "igmp.maddr == 239.1.2.3",
    "igmp.version == 3",
    "dns.qry.name == \"www.example.com\"",
    "dns.qry.name contains \"example\"",
    "dns.qry.name matches \"^(www|nope)\\\\.\"",
    "dns.qry.name ~ \"LAB$\"",
    "dns.flags.response == 1",
    "dns.flags.rcode != 0",
    "dns.a == 10.0.0.80",
    "dns.qry.type == 28",
    "dns.id == 0x0004",
    "dns.count.answers > 0",
    "dns.time > 0.001",
    "dns.response_to == 3",
    "dhcp.option.dhcp == 1",
    "dhcp.option.hostname == \"client\"",
    "dhcp.option.requested_ip_address",
    "http.request",
    "http.response",
    "http.request.method == \"GET\"",
    "http.request.method in {\"POST\", \"HEAD\"}",
    "http.request.uri matches \"^/a\"",
    "http.host == \"x\"",
    "http.host != \"x\"",
    "http.response.code >= 400",
    "http.response.code == 200",
    "http.content_type contains \"text\"",
    "http.user_agent",
    "http.time < 1",
    "lower(http.server) contains \"python\"",
    "upper(http.request.method) == \"GET\"",
    "len(http.host) > 5",
    "len(udp.payload) == 3",
    "count(tcp.options.nop) == 2",
    "http.request.uri[0:2] == \"/a\"",
    "tcp.port == 80 and not http",
    "http or dns and ip.src == 10.0.0.11",
    "(http or dns) and ip.src == 10.0.0.11",
    "ip.src == ip.dst",
    "any tcp.port > 13000",
    "all tcp.port > 100",
    "data.len > 5",
    "data contains \"abc\"",
    "data.data == 61:62:63:64:65:66:67:68",
];

#[test]
fn filters_choose_the_frames_that_tshark_chooses() {
    let mut wrong = String::new();
    let mut chosen = vec![0; TABLE.len()];
    let filters: Vec<Filter> =
        TABLE.iter().map(|f| Filter::new(f).unwrap_or_else(|e| panic!("{f}: {e}"))).collect();
    for (name, capture) in captures() {
        let lines = lines(&capture);
        let theirs = tools::filtered(&name, &capture, TABLE);
        for (i, (text, filter)) in TABLE.iter().zip(&filters).enumerate() {
            // At a port of HTTP, Wireshark does not show what is not HTTP as data, nor the data of a last segment.
            if name.starts_with("http") && ["data", "tcp.segment_data"].iter().any(|t| text.starts_with(t)) {
                continue;
            }
            let ours: Vec<u64> = (1..)
                .zip(capture.iter().zip(&lines))
                .filter(|(_, ((_, frame), line))| filter.matches(frame, &line.context))
                .map(|(number, _)| number)
                .collect();
            chosen[i] += ours.len();
            if ours != theirs[i] {
                wrong += &format!("{name}: {text}\n  ours   {ours:?}\n  theirs {:?}\n", theirs[i]);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let idle: Vec<_> = TABLE.iter().zip(&chosen).filter(|(_, n)| **n == 0).map(|(text, _)| *text).collect();
    assert_eq!(idle, ["ip.addr === 10.0.0.11"], "filters that choose nothing prove nothing");
}
