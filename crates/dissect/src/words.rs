//! Octets as people write them: addresses, hexadecimal, quoted text; the Internet checksum.

/// `02:00:00:00:00:11`.
pub(crate) fn mac(octets: &[u8]) -> String {
    let mut out = String::with_capacity(17);
    for (i, o) in octets.iter().enumerate() {
        if i > 0 {
            out.push(':');
        }
        for digit in [o >> 4, o & 15] {
            out.push(char::from_digit(u32::from(digit), 16).unwrap_or('?'));
        }
    }
    out
}

/// The address as Wireshark names it: `Broadcast`, `IPv6mcast_01`, else as [`mac`].
pub(crate) fn mac_name(octets: &[u8]) -> String {
    match octets {
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => "Broadcast".to_string(),
        // RFC 2464 7 and RFC 1112 6.4: groups of IPv6 and IPv4.
        [0x33, 0x33, a, b, c, d] => format!("IPv6mcast_{a:02x}:{b:02x}:{c:02x}:{d:02x}"),
        [0x01, 0x00, 0x5e, a, b, c] if *a < 0x80 => format!("IPv4mcast_{a:02x}:{b:02x}:{c:02x}"),
        [0, 0, 0, a, b, c] => format!("00:00:00_{a:02x}:{b:02x}:{c:02x}"),
        _ => mac(octets),
    }
}

/// Octets as hexadecimal digits without spaces, at most 32 of them and then `…`.
pub(crate) fn hex(octets: &[u8]) -> String {
    let mut out: String = octets.iter().take(32).map(|o| format!("{o:02x}")).collect();
    if octets.len() > 32 {
        out.push('…');
    }
    out
}

/// `s` unless there is exactly one.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The one's complement sum over all parts, each of which but the last has an even length (RFC 1071). A block that
/// holds its own right checksum sums up to 0xffff.
pub(crate) fn ones_sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        let mut pairs = part.chunks_exact(2);
        for pair in &mut pairs {
            sum += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
        }
        if let [last] = pairs.remainder() {
            sum += u64::from(*last) << 8;
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Octets as text in double quotes: UTF-8 where it is, escapes elsewhere, at most `max` characters and then `…`.
pub fn preview(octets: &[u8], max: usize) -> String {
    let mut out = String::from("\"");
    let mut count = 0;
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            if count == max {
                return out + "…\"";
            }
            count += 1;
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        for octet in chunk.invalid() {
            if count == max {
                return out + "…\"";
            }
            count += 1;
            out.push_str(&format!("\\x{octet:02x}"));
        }
    }
    out.push('"');
    out
}
