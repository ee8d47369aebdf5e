//! The captures that are compared.

/// (milliseconds, frame).
pub(super) type Capture = Vec<(u64, Vec<u8>)>;

/// A text of milliseconds and frames in hexadecimal.
pub(super) fn specimen(text: &str) -> Capture {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines
        .map(|line| {
            let (ms, hex) = line.split_once(' ').expect("a time and a frame");
            let octets = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16));
            (ms.parse().expect("milliseconds"), octets.map(|o| o.expect("hexadecimal")).collect())
        })
        .collect()
}

pub(super) fn captures() -> Vec<(String, Capture)> {
    let texts = [
        ("network", include_str!("../../specimens/network.txt")),
        ("dns-dhcp", include_str!("../../specimens/dns-dhcp.txt")),
        ("http", include_str!("../../specimens/http.txt")),
        ("network-odd", include_str!("../../specimens/network-odd.txt")),
        ("dns-more", include_str!("../../specimens/dns-more.txt")),
        ("http-more", include_str!("../../specimens/http-more.txt")),
    ];
    let mut all: Vec<(String, Capture)> =
        texts.iter().map(|(name, text)| ((*name).to_string(), specimen(text))).collect();
    all.push(("http-octets".to_string(), super::conversations::octet_by_octet()));
    // One after the other in one capture, each from a port of its own: each run of tshark costs a second.
    let mut together = Capture::new();
    for (port, (_, capture)) in (20_000..).zip(super::conversations::captures()) {
        let start = together.last().map_or(0, |(ms, _)| ms + 1000);
        together.extend(capture.into_iter().map(|(ms, frame)| (start + ms, from_port(frame, port))));
    }
    all.push(("conversations".to_string(), together));
    all
}

/// A segment of TCP with another port in place of the client's.
fn from_port(mut frame: Vec<u8>, port: u16) -> Vec<u8> {
    if frame.get(23) != Some(&6) || frame[12..14] != [8, 0] {
        return frame;
    }
    let own = super::conversations::CLIENT.1;
    for at in [34, 36] {
        if u16::from_be_bytes([frame[at], frame[at + 1]]) == own {
            frame[at..at + 2].copy_from_slice(&port.to_be_bytes());
        }
    }
    // RFC 1624: the checksum changes by what the port changes by.
    let old = u16::from_be_bytes([frame[50], frame[51]]);
    let mut sum = u32::from(!old) + u32::from(!own) + u32::from(port);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    frame[50..52].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame
}
