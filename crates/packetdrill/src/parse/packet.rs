//! Packets: `S. 0:0(0) ack 1 win 65535 <mss 1460>`, `udp (10)`, `icmp unreachable port_unreachable [1:1(0)]`.

use crate::Trouble;
use crate::packet::{Body, Flags, Icmp, Packet, Quoted, Segment, TcpOption};

use super::cursor::Cursor;

/// A packet, after its `<` or `>`.
pub(super) fn packet(cursor: &mut Cursor<'_>) -> Result<Packet, Trouble> {
    let (mut ttl, mut ecn) = ip_info(cursor)?;
    match cursor.peek_word()? {
        "udp" => {
            cursor.word()?;
            let ports = ports(cursor)?;
            cursor.must("(")?;
            let len = cursor.number("a length")?;
            cursor.must(")")?;
            return Ok(Packet { ports, ttl, ecn, body: Body::Udp(len) });
        }
        "icmp" => {
            cursor.word()?;
            return Ok(Packet { ports: None, ttl, ecn, body: Body::Icmp(icmp(cursor)?) });
        }
        what @ ("ipv4" | "ipv6" | "gre" | "GREv0" | "mpls" | "psp" | "sctp" | "udplite" | "encap") => {
            return Err(cursor.lacking(format!("{what} in a packet")));
        }
        _ => {}
    }
    let ports = ports(cursor)?;
    if ttl.is_none() && ecn.is_none() {
        (ttl, ecn) = ip_info(cursor)?;
    }
    Ok(Packet { ports, ttl, ecn, body: Body::Tcp(segment(cursor)?) })
}

/// `(ttl 64)` or `[ect0]`, or several of them with commas between: time to live and ECN field.
fn ip_info(cursor: &mut Cursor<'_>) -> Result<(Option<u8>, Option<u8>), Trouble> {
    let (mut ttl, mut ecn) = (None, None);
    let close = if cursor.eat("(")? {
        ")"
    } else if cursor.eat("[")? {
        "]"
    } else {
        return Ok((ttl, ecn));
    };
    loop {
        match cursor.word()? {
            "ttl" | "hlim" => ttl = Some(cursor.number("a time to live")?),
            "noecn" => ecn = Some(0),
            "ect1" => ecn = Some(1),
            "ect0" => ecn = Some(2),
            "ce" => ecn = Some(3),
            "ecn" => {}
            other => return Err(cursor.lacking(format!("{other} in an IP header"))),
        }
        if !cursor.eat(",")? {
            break;
        }
    }
    cursor.must(close)?;
    Ok((ttl, ecn))
}

fn ports(cursor: &mut Cursor<'_>) -> Result<Option<(u16, u16)>, Trouble> {
    cursor.skip_blank()?;
    if !cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let source = cursor.number("a port")?;
    cursor.must(">")?;
    Ok(Some((source, cursor.number("a port")?)))
}

fn segment(cursor: &mut Cursor<'_>) -> Result<Segment, Trouble> {
    let mut segment = Segment { flags: flags(cursor)?, options: Some(Vec::new()), ..Segment::default() };
    (segment.seq, segment.len) = sequence_range(cursor)?;
    if cursor.at("!") {
        return Err(cursor.lacking("absolute sequence numbers"));
    }
    loop {
        match cursor.peek_word()? {
            "ack" => {
                cursor.word()?;
                segment.ack = cursor.sequence()?;
            }
            "win" => {
                cursor.word()?;
                segment.window = Some(cursor.number("a window")?);
            }
            "urg" => {
                cursor.word()?;
                segment.urgent = Some(cursor.number("an urgent pointer")?);
            }
            _ => break,
        }
    }
    if cursor.eat("<")? {
        segment.options = if cursor.eat("...")? {
            cursor.must(">")?;
            None
        } else {
            Some(options(cursor)?)
        };
    }
    if cursor.at("/udp") {
        return Err(cursor.lacking("TCP over UDP"));
    }
    Ok(segment)
}

fn flags(cursor: &mut Cursor<'_>) -> Result<Flags, Trouble> {
    let letters = cursor.token()?;
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match letter {
            'S' => flags.syn = true,
            'F' => flags.fin = true,
            'R' => flags.rst = true,
            'P' => flags.psh = true,
            'U' => flags.urg = true,
            'E' => flags.ece = true,
            'W' => flags.cwr = true,
            '.' => flags.ack = true,
            '-' => {}
            'A' | '0'..='9' => return Err(cursor.lacking(format!("accurate ECN flags `{letters}`"))),
            _ => return Err(cursor.wrong(format!("`{letters}` are no TCP flags"))),
        }
    }
    Ok(flags)
}

/// `1:1001(1000)`: first, end, length. They must fit together.
fn sequence_range(cursor: &mut Cursor<'_>) -> Result<(Option<u32>, usize), Trouble> {
    let any = cursor.eat("...")?;
    let range = if any {
        None
    } else {
        let first = cursor.sequence()?;
        cursor.must(":")?;
        Some((first, cursor.sequence()?))
    };
    cursor.must("(")?;
    let len: u16 = cursor.number("a length")?;
    cursor.must(")")?;
    if let Some((first, end)) = range
        && first.wrapping_add(u32::from(len)) != end
    {
        return Err(cursor.wrong(format!("{first} plus {len} octets do not end at {end}")));
    }
    Ok((range.map(|(first, _)| first), usize::from(len)))
}

fn options(cursor: &mut Cursor<'_>) -> Result<Vec<TcpOption>, Trouble> {
    let mut found = Vec::new();
    if cursor.eat(">")? {
        return Ok(found);
    }
    loop {
        let option = match cursor.word()? {
            "eol" => TcpOption::Eol,
            "nop" => TcpOption::Nop,
            "mss" => TcpOption::Mss(cursor.number("an MSS")?),
            "wscale" => TcpOption::WindowScale(cursor.number("a window scale")?),
            "sackOK" => TcpOption::SackPermitted,
            "sack" => sack(cursor)?,
            "TS" => {
                if cursor.word()? != "val" {
                    return Err(cursor.expected("`val`"));
                }
                let val = cursor.sequence()?;
                if cursor.word()? != "ecr" {
                    return Err(cursor.expected("`ecr`"));
                }
                TcpOption::Timestamp { val, ecr: cursor.sequence()? }
            }
            "" => return Err(cursor.expected("a TCP option")),
            other => return Err(cursor.lacking(format!("the TCP option {other}"))),
        };
        found.push(option);
        if cursor.eat(">")? {
            return Ok(found);
        }
        cursor.must(",")?;
    }
}

fn sack(cursor: &mut Cursor<'_>) -> Result<TcpOption, Trouble> {
    let mut blocks = Vec::new();
    loop {
        cursor.skip_blank()?;
        if !cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Ok(TcpOption::Sack(blocks));
        }
        let left = cursor.sequence()?;
        cursor.must(":")?;
        blocks.push((left, cursor.sequence()?));
    }
}

fn icmp(cursor: &mut Cursor<'_>) -> Result<Icmp, Trouble> {
    let name = cursor.word()?;
    let kind = match name {
        "unreachable" if cursor.v6 => 1,
        "packet_too_big" if cursor.v6 => 2,
        "time_exceeded" if cursor.v6 => 3,
        "parameter_problem" if cursor.v6 => 4,
        "echo_request" if cursor.v6 => 128,
        "echo_reply" if cursor.v6 => 129,
        "echo_reply" => 0,
        "unreachable" => 3,
        "source_quench" => 4,
        "redirect" => 5,
        "echo_request" => 8,
        "time_exceeded" => 11,
        "parameter_problem" => 12,
        _ => return Err(cursor.lacking(format!("the ICMP type {name}"))),
    };
    let mut icmp = Icmp { kind, code: 0, mtu: None, id: None, quoted: None };
    loop {
        match cursor.peek_word()? {
            "mtu" => {
                cursor.word()?;
                icmp.mtu = Some(cursor.number("an MTU")?);
            }
            "id" => {
                cursor.word()?;
                icmp.id = Some(cursor.number("an identifier")?);
            }
            // Letters: a code. Digits: the next event's time.
            word if word.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                cursor.word()?;
                icmp.code =
                    code(word, cursor.v6).ok_or_else(|| cursor.lacking(format!("the ICMP code {word}")))?;
            }
            _ => break,
        }
    }
    if cursor.eat("[")? {
        icmp.quoted = Some(if cursor.peek_word()? == "udp" {
            cursor.word()?;
            cursor.must("(")?;
            let len = cursor.number("a length")?;
            cursor.must(")")?;
            Quoted::Udp { len }
        } else {
            let (seq, _) = sequence_range(cursor)?;
            Quoted::Tcp { seq: seq.unwrap_or(0) }
        });
        cursor.must("]")?;
    }
    Ok(icmp)
}

/// RFC 792, RFC 1122 3.2.2.1 and RFC 1812 5.2.7.1.
fn code(name: &str, v6: bool) -> Option<u8> {
    if let Some(number) = name.strip_prefix("code_") {
        return number.parse().ok();
    }
    if v6 {
        // RFC 4443 3.
        return Some(match name {
            "no_route" | "exceeded_hop_limit" | "header_field" => 0,
            "admin_prohibited" | "exceeded_frag_time" | "unknown_next_header" => 1,
            "not_neighbour" | "unknown_option" => 2,
            "address_unreachable" => 3,
            "port_unreachable" => 4,
            _ => return None,
        });
    }
    Some(match name {
        "net_unreachable" | "ttl_exceeded_in_transit" => 0,
        "host_unreachable" | "frag_reass_exceeded" => 1,
        "protocol_unreachable" => 2,
        "port_unreachable" => 3,
        "frag_needed" => 4,
        "source_route_failed" => 5,
        "net_unknown" => 6,
        "host_unknown" => 7,
        "source_host_isolated" => 8,
        "net_prohibited" => 9,
        "host_prohibited" => 10,
        "net_unreachable_for_tos" => 11,
        "host_unreachable_for_tos" => 12,
        "packet_filtered" => 13,
        "precedence_violation" => 14,
        "precedence_cutoff" => 15,
        _ => return None,
    })
}
