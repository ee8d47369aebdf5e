//! A peer that does not read, and one that is no longer there.

use anyhow::{Result, ensure};
use socketlab_stack::{Call, Ret, TcpState};

use crate::transfer::{Asks, connection};
use crate::wire::{CUT, Family, Lab, To, pattern};

/// More than the buffers of both sides take while nobody reads.
const LEN: usize = 3_000_000;
/// `SOL_SOCKET`, `SO_KEEPALIVE`; then `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`.
const KEEPALIVE: [(i32, i32, i32); 4] = [(1, 9, 1), (6, 4, 1), (6, 5, 1), (6, 6, 2)];

/// The kernel's program does not read for so long that our window probes come, further and further apart.
fn the_kernel_does_not_read(asks: Asks) -> Result<()> {
    let mut lab = Lab::new()?;
    let fd = connection(&mut lab, Family::V4, asks)?;
    let send = lab.start(Call::Send { fd, data: pattern(LEN), flags: 0, timeout: None })?;
    lab.until("the second probe", |lab| {
        let tcb = lab.tcb(fd)?;
        Ok((tcb.snd_wnd == 0 && tcb.in_flight == 0 && tcb.backoff >= 2).then_some(()))
    })?;
    lab.tell(&format!("answer = verdict(read_all(s), {LEN})"))?;
    let answer = lab.until("send", |lab| Ok(lab.answer(send)))?;
    ensure!(answer == Ok(Ret::Len(LEN)), "{answer:?}");
    lab.shutdown(fd)?;
    ensure!(lab.told()? == "equal");
    Ok(())
}

#[test]
fn zero_window_of_the_kernel_we_ask() -> Result<()> {
    the_kernel_does_not_read(Asks::We)
}

#[test]
fn zero_window_of_the_kernel_it_asks() -> Result<()> {
    the_kernel_does_not_read(Asks::Kernel)
}

fn we_do_not_read(asks: Asks) -> Result<()> {
    let mut lab = Lab::new()?;
    let fd = connection(&mut lab, Family::V6, asks)?;
    lab.kernel(&format!(
        "threading.Thread(target=lambda: (s.sendall(pattern({LEN})), s.shutdown(SHUT_WR))).start()"
    ))?;
    lab.kernel_says("info(s)['backoff'] >= 2", &true.into())?;
    ensure!(lab.tcb(fd)?.rcv_wnd == 0);
    ensure!(lab.read_all(fd)? == pattern(LEN));
    Ok(())
}

#[test]
fn zero_window_of_ours_we_ask() -> Result<()> {
    we_do_not_read(Asks::We)
}

#[test]
fn zero_window_of_ours_the_kernel_asks() -> Result<()> {
    we_do_not_read(Asks::Kernel)
}

/// Keep-alive probes are answered for longer than a silent peer would be waited for; then the cable is cut.
fn keep_alive(keeper: Asks) -> Result<()> {
    let mut lab = Lab::new()?;
    let fd = connection(&mut lab, Family::V4, Asks::We)?;
    if keeper == Asks::We {
        for (level, name, value) in KEEPALIVE {
            lab.option(fd, level, name, &[value])?;
        }
    } else {
        lab.kernel(&format!("for option in {KEEPALIVE:?}: s.setsockopt(*option)"))?;
    }
    let before = lab.arrived;
    lab.until("four probes and their answers", |lab| {
        let new = |to: To| lab.arrived[to as usize] - before[to as usize];
        Ok((new(To::Host) >= 4 && new(To::Kernel) >= 4).then_some(()))
    })?;
    ensure!(lab.picture(fd)?.state == Some(TcpState::Established));
    ensure!(lab.kernel("answer = info(s)['state']")? == 1, "ESTABLISHED (net/tcp_states.h)");
    lab.faults(CUT);
    if keeper == Asks::We {
        ensure!(lab.failure(Call::Recv { fd, len: 1, flags: 0, timeout: None })? == "ETIMEDOUT");
    } else {
        ensure!(lab.kernel("answer = failure(s.recv, 1)")? == "ETIMEDOUT");
    }
    Ok(())
}

#[test]
fn our_keep_alive() -> Result<()> {
    keep_alive(Asks::We)
}

#[test]
fn the_kernels_keep_alive() -> Result<()> {
    keep_alive(Asks::Kernel)
}
