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
    all.extend(super::conversations::captures().into_iter().map(|(name, c)| (name.to_string(), c)));
    all
}
