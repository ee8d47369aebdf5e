//! Ten megabytes each way at once, over a good and a bad line, over both families, with each side as the one that asks.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use socketlab_stack::{Call, Fd, NeighbourState, Ret};

use crate::wire::{BAD_LINE, Family, Faults, Lab, pattern};

const LEN: usize = 10_000_000;
const PORT: u16 = 5001;

/// Who makes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    We,
    Kernel,
}

/// A connection to port 5001: our descriptor. The kernel's program has it as `s`.
pub(crate) fn connection(lab: &mut Lab, family: Family, asks: Asks) -> Result<Fd> {
    match asks {
        Asks::We => {
            lab.kernel(&format!("listener = listen(('{}', {PORT}))", family.kernel()))?;
            let fd = lab.tcp(family)?;
            lab.connect(fd, SocketAddr::new(family.kernel(), PORT))?;
            lab.kernel("s, _ = listener.accept(); listener.close()")?;
            Ok(fd)
        }
        Asks::Kernel => {
            let listener = lab.listener(family, PORT)?;
            lab.tell(&format!("s = connect(('{}', {PORT}))", family.ours()))?;
            let fd = lab.accept(listener)?;
            lab.told()?;
            lab.close(listener)?;
            Ok(fd)
        }
    }
}

/// Sends the pattern and the end of it while it reads to the end of the other's. Gives what came,
/// and how many segments we had sent again when all was sent once.
fn both_ways(lab: &mut Lab, fd: Fd, len: usize) -> Result<(Vec<u8>, u64)> {
    let send = lab.start(Call::Send { fd, data: pattern(len), flags: 0, timeout: None })?;
    let recv = |lab: &mut Lab| lab.start(Call::Recv { fd, len: 1 << 18, flags: 0, timeout: None });
    let mut reading = Some(recv(lab)?);
    let mut sending = Some(send);
    let mut got = Vec::with_capacity(len);
    let mut again = 0;
    lab.until("both ways", |lab| {
        while let Some(answer) = reading.and_then(|id| lab.answer(id)) {
            let Ok(Ret::Data(data, ..)) = answer else { anyhow::bail!("recv: {answer:?}") };
            got.extend_from_slice(&data);
            reading = if data.is_empty() { None } else { Some(recv(lab)?) };
        }
        if let Some(answer) = sending.and_then(|id| lab.answer(id)) {
            ensure!(answer == Ok(Ret::Len(len)), "send: {answer:?}");
            sending = None;
            again = lab.tcb(fd)?.retransmissions;
            lab.shutdown(fd)?;
        }
        Ok((reading.is_none() && sending.is_none()).then_some(()))
    })?;
    Ok((got, again))
}

/// What both sides say of the connection must be the same thing.
fn they_agree(lab: &mut Lab, fd: Fd) -> Result<()> {
    let tcb = lab.tcb(fd)?;
    let kernel = lab.kernel("answer = info(s)")?;
    ensure!(tcb.timestamps && kernel["timestamps"] == true, "timestamps: {tcb:#?} {kernel}");
    ensure!(tcb.sack_permitted && kernel["sack"] == true, "SACK: {tcb:#?} {kernel}");
    let (ours, theirs) = tcb.window_scale.context("a window scale")?;
    ensure!(ours > 0 && theirs > 0, "window scale: {tcb:#?}");
    // TCP_INFO: what the peer scales by comes first.
    ensure!(kernel["scale"] == serde_json::json!([ours, theirs]), "window scale: {ours} {theirs} {kernel}");
    ensure!(kernel["snd_mss"] == tcb.snd_mss, "segment size: {} {kernel}", tcb.snd_mss);
    Ok(())
}

fn ten_megabytes(family: Family, asks: Asks, faults: Option<Faults>) -> Result<()> {
    let mut lab = Lab::new()?;
    if let Some(faults) = faults {
        lab.faults(faults);
    }
    let fd = connection(&mut lab, family, asks)?;
    they_agree(&mut lab, fd)?;
    lab.tell(&format!("answer = [both_ways(s, {LEN}), info(s)]"))?;
    let (got, ours) = both_ways(&mut lab, fd, LEN)?;
    ensure!(got == pattern(LEN), "{} of {LEN} octets reached us, or others", got.len());
    let told = lab.told()?;
    ensure!(told[0] == "equal", "what reached the kernel: {}", told[0]);
    let theirs = told[1]["retrans"].as_u64().context("retransmissions")?;
    // On a good line nobody should have to; but a busy machine may hold a frame back for longer than a probe waits.
    if faults.is_some() {
        ensure!(ours > 0 && theirs > 0, "the bad line did nothing: {ours} and {theirs} retransmissions");
    }
    // ARP and neighbour discovery, too: each asked the other.
    let neighbours = lab.host.snapshot().neighbours;
    let kernel =
        neighbours.iter().find(|entry| entry.address == family.kernel()).context("the kernel's entry")?;
    ensure!(kernel.mac.is_some() && kernel.state != NeighbourState::Failed, "{kernel:?}");
    let table = lab.kernel("answer = subprocess.check_output(['ip', 'neigh'], text=True)")?;
    let entry = format!("{} dev eth0 lladdr 02:00:00:00:00:01", family.ours());
    ensure!(table.as_str().is_some_and(|table| table.contains(&entry)), "{table}");
    lab.close(fd)?;
    lab.kernel("s.close()")?;
    Ok(())
}

#[test]
fn ten_megabytes_v4_we_ask() -> Result<()> {
    ten_megabytes(Family::V4, Asks::We, None)
}

#[test]
fn ten_megabytes_v4_the_kernel_asks() -> Result<()> {
    ten_megabytes(Family::V4, Asks::Kernel, None)
}

#[test]
fn ten_megabytes_v6_we_ask() -> Result<()> {
    ten_megabytes(Family::V6, Asks::We, None)
}

#[test]
fn ten_megabytes_v6_the_kernel_asks() -> Result<()> {
    ten_megabytes(Family::V6, Asks::Kernel, None)
}

#[test]
fn ten_megabytes_over_a_bad_line_v4_we_ask() -> Result<()> {
    ten_megabytes(Family::V4, Asks::We, Some(BAD_LINE))
}

#[test]
fn ten_megabytes_over_a_bad_line_v4_the_kernel_asks() -> Result<()> {
    ten_megabytes(Family::V4, Asks::Kernel, Some(Faults { seed: 2, ..BAD_LINE }))
}

#[test]
fn ten_megabytes_over_a_bad_line_v6_we_ask() -> Result<()> {
    ten_megabytes(Family::V6, Asks::We, Some(Faults { seed: 3, ..BAD_LINE }))
}

#[test]
fn ten_megabytes_over_a_bad_line_v6_the_kernel_asks() -> Result<()> {
    ten_megabytes(Family::V6, Asks::Kernel, Some(Faults { seed: 4, ..BAD_LINE }))
}
