//! Frames made by hand, for tests. Host N has the addresses 10.0.0.N and 02:00:00:00:00:NN.

fn sum(parts: &[&[u8]]) -> [u8; 2] {
    let all: Vec<u8> = parts.concat();
    let mut sum: u32 =
        all.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

pub(crate) fn mac(host: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, host]
}

pub(crate) fn ip(host: u8) -> [u8; 4] {
    [10, 0, 0, host]
}

pub(crate) fn ethernet(from: u8, to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &mac(from), &kind.to_be_bytes(), payload].concat()
}

pub(crate) fn packet(from: u8, to: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap();
    let mut head = vec![0x45, 0];
    head.extend(len.to_be_bytes());
    head.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    head.extend(ip(from));
    head.extend(ip(to));
    let check = sum(&[&head]);
    head[10..12].copy_from_slice(&check);
    [&head, payload].concat()
}

fn ipv4(from: u8, to: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(from, mac(to), 0x0800, &packet(from, to, protocol, payload))
}

fn pseudo(from: u8, to: u8, protocol: u8, len: usize) -> Vec<u8> {
    let len = u16::try_from(len).unwrap().to_be_bytes();
    [&ip(from)[..], &ip(to), &[0, protocol], &len].concat()
}

pub(crate) fn arp_request(from: u8, target: u8) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac(from), &ip(from), &[0; 6], &ip(target)].concat();
    ethernet(from, [0xff; 6], 0x0806, &body)
}

pub(crate) fn arp_reply(from: u8, to: u8) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &mac(from), &ip(from), &mac(to), &ip(to)].concat();
    ethernet(from, mac(to), 0x0806, &body)
}

pub(crate) fn datagram(from: (u8, u16), to: (u8, u16), data: &[u8]) -> Vec<u8> {
    let len = 8 + data.len();
    let mut udp =
        [from.1.to_be_bytes(), to.1.to_be_bytes(), u16::try_from(len).unwrap().to_be_bytes()].concat();
    udp.extend([0, 0]);
    udp.extend(data);
    let check = sum(&[&pseudo(from.0, to.0, 17, len), &udp]);
    udp[6..8].copy_from_slice(&check);
    udp
}

pub(crate) fn udp(from: (u8, u16), to: (u8, u16), data: &[u8]) -> Vec<u8> {
    ipv4(from.0, to.0, 17, &datagram(from, to, data))
}

pub(crate) fn icmp(from: u8, to: u8, kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind, code, 0, 0];
    icmp.extend(rest);
    icmp.extend(body);
    let check = sum(&[&icmp]);
    icmp[2..4].copy_from_slice(&check);
    ipv4(from, to, 1, &icmp)
}

/// A TCP segment. `flags`: letters of `FSRPAU`.
#[derive(Clone, Default)]
pub(crate) struct Tcp {
    pub(crate) from: (u8, u16),
    pub(crate) to: (u8, u16),
    pub(crate) flags: &'static str,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

pub(crate) fn tcp(t: &Tcp) -> Vec<u8> {
    let flags: u8 = t.flags.chars().map(|c| 1u8 << "FSRPAU".find(c).unwrap()).sum();
    let words = u8::try_from(5 + t.options.len() / 4).unwrap();
    let mut s = [t.from.1.to_be_bytes(), t.to.1.to_be_bytes()].concat();
    s.extend(t.seq.to_be_bytes());
    s.extend(t.ack.to_be_bytes());
    s.extend([words << 4, flags]);
    s.extend(t.window.to_be_bytes());
    s.extend([0, 0, 0, 0]);
    s.extend(&t.options);
    s.extend(&t.data);
    let check = sum(&[&pseudo(t.from.0, t.to.0, 6, s.len()), &s]);
    s[16..18].copy_from_slice(&check);
    ipv4(t.from.0, t.to.0, 6, &s)
}
