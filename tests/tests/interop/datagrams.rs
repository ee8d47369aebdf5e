//! UDP and ping of any size, whole and in fragments, and what happens where nobody listens.

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use socketlab_stack::{Call, Fd, Ret, SockAddr};

use crate::wire::{Family, Faults, Lab, MTU, pattern};

const PORT: u16 = 7000;
/// `SOCK_DGRAM`.
const DGRAM: i32 = 2;

fn send_to(lab: &mut Lab, fd: Fd, data: &Bytes, to: SocketAddr) -> Result<()> {
    let call = Call::SendTo { fd, data: data.clone(), flags: 0, addr: SockAddr::Ip(to), timeout: None };
    let sent = lab.good(call)?;
    ensure!(sent == Ret::Len(data.len()), "sendto: {sent:?}");
    Ok(())
}

fn recv_from(lab: &mut Lab, fd: Fd) -> Result<(Bytes, Option<SockAddr>)> {
    match lab.good(Call::Recv { fd, len: 1 << 16, flags: 0, timeout: None })? {
        Ret::Data(data, from, _) => Ok((data, from)),
        other => bail!("recvfrom: {other:?}"),
    }
}

/// Our descriptor, bound; the kernel's program has its socket as `u`.
fn two_sockets(lab: &mut Lab, family: Family) -> Result<Fd> {
    let fd = lab.socket(family, DGRAM, 0)?;
    lab.bind(fd, family, PORT)?;
    let number = family.number();
    lab.kernel(&format!("u = socket({number}, SOCK_DGRAM); u.bind(('{}', {PORT}))", family.kernel()))?;
    Ok(fd)
}

/// There and back.
fn exchange(lab: &mut Lab, fd: Fd, family: Family, len: usize) -> Result<()> {
    let data = pattern(len);
    send_to(lab, fd, &data, SocketAddr::new(family.kernel(), PORT))?;
    let told = lab.kernel(&format!(
        "got, sender = u.recvfrom(1 << 16); answer = [verdict(got, {len}), sender[0], sender[1]]"
    ))?;
    ensure!(told == serde_json::json!(["equal", family.ours().to_string(), PORT]), "{len} octets: {told}");
    lab.kernel(&format!("u.sendto(pattern({len}), ('{}', {PORT}))", family.ours()))?;
    let (got, from) = recv_from(lab, fd)?;
    ensure!(got == data, "{len} octets: {} came, or others", got.len());
    ensure!(from == Some(SockAddr::Ip(SocketAddr::new(family.kernel(), PORT))), "{from:?}");
    Ok(())
}

fn udp(family: Family) -> Result<()> {
    let mut lab = Lab::new()?;
    let fd = two_sockets(&mut lab, family)?;
    let header = if family == Family::V4 { 20 } else { 40 };
    let whole = MTU - header - 8;
    for len in [0, 1, whole - 1, whole, whole + 1, 8_000, 60_000] {
        exchange(&mut lab, fd, family, len)?;
    }
    // Fragments in any order, and some of them twice.
    lab.faults(Faults { seed: 5, lost: 0, twice: 300, late: 300 });
    for _ in 0..20 {
        exchange(&mut lab, fd, family, 8_000)?;
    }
    Ok(())
}

#[test]
fn udp_v4_whole_and_in_fragments() -> Result<()> {
    udp(Family::V4)
}

#[test]
fn udp_v6_whole_and_in_fragments() -> Result<()> {
    udp(Family::V6)
}

#[test]
fn udp_to_a_port_where_nobody_is() -> Result<()> {
    let mut lab = Lab::new()?;
    for family in [Family::V4, Family::V6] {
        let fd = lab.socket(family, DGRAM, 0)?;
        lab.connect(fd, SocketAddr::new(family.kernel(), 9))?;
        lab.send(fd, b"anybody?")?;
        let recv = Call::Recv { fd, len: 1, flags: 0, timeout: None };
        ensure!(lab.failure(recv)? == "ECONNREFUSED");
        let told = lab.kernel(&format!(
            "u = socket({}, SOCK_DGRAM); u.connect(('{}', 9)); u.send(b'anybody?'); answer = failure(u.recv, 1)",
            family.number(),
            family.ours()
        ))?;
        ensure!(told == "ECONNREFUSED", "{told}");
    }
    Ok(())
}

#[test]
fn ping_both_ways() -> Result<()> {
    let mut lab = Lab::new()?;
    lab.kernel("sysctl('net/ipv4/ping_group_range', '0 0')")?;
    for (family, protocol, request, reply) in [(Family::V4, 1, 8, 0), (Family::V6, 58, 128, 129)] {
        let fd = lab.socket(family, DGRAM, protocol)?;
        for len in [0, 56, 4_000] {
            // Type, code, checksum, identifier (the kernel's own), sequence number.
            let mut echo = vec![request, 0, 0, 0, 0, 0, 0, 7];
            echo.extend_from_slice(&pattern(len));
            send_to(&mut lab, fd, &echo.into(), SocketAddr::new(family.kernel(), 0))?;
            let (got, _) = recv_from(&mut lab, fd)?;
            ensure!(got.len() == 8 + len && got[..2] == [reply, 0] && got[6..8] == [0, 7], "{got:?}");
            ensure!(got[8..] == pattern(len)[..], "{len} octets came back as others");
            let told = lab.kernel(&format!(
                "
                p = socket({}, SOCK_DGRAM, {protocol})
                p.sendto(bytes([{request}, 0, 0, 0, 0, 0, 0, 7]) + pattern({len}), ('{}', 0))
                got = p.recv(1 << 16)
                answer = [got[0], got[1], got[7], verdict(got[8:], {len})]
                ",
                family.number(),
                family.ours()
            ))?;
            ensure!(told == serde_json::json!([reply, 0, 7, "equal"]), "{len} octets: {told}");
        }
    }
    Ok(())
}
