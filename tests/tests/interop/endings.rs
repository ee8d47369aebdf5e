//! How a connection ends, and what is possible right after: half-close, reset, refusal, TIME-WAIT.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use serde_json::json;
use socketlab_stack::{Call, Fd, SockAddr, TcpState};

use crate::transfer::{Asks, connection};
use crate::wire::{Family, Lab, pattern};

/// `SOL_SOCKET`, `SO_LINGER`.
const LINGER: (i32, i32) = (1, 13);
/// `SOL_SOCKET`, `SO_REUSEADDR`.
const REUSE: (i32, i32) = (1, 2);
/// The kernel's number of FIN-WAIT-2 (net/tcp_states.h).
const FIN_WAIT_2: u64 = 5;
const SERVER: u16 = 5002;
const CLIENT: u16 = 40_000;

fn wait_for_state(lab: &mut Lab, fd: Fd, state: TcpState) -> Result<()> {
    lab.until(state.name(), |lab| Ok((lab.picture(fd)?.state == Some(state)).then_some(())))
}

fn recv(fd: Fd) -> Call {
    Call::Recv { fd, len: 100, flags: 0, timeout: None }
}

/// One side has said all, and still hears all that the other says.
fn half_close(asks: Asks) -> Result<()> {
    let mut lab = Lab::new()?;
    let fd = connection(&mut lab, Family::V4, asks)?;
    lab.send(fd, b"question")?;
    lab.shutdown(fd)?;
    ensure!(lab.kernel("answer = read_all(s).decode()")? == "question");
    wait_for_state(&mut lab, fd, TcpState::FinWait2)?;
    lab.tell("s.sendall(pattern(300_000)); s.close()")?;
    ensure!(lab.read_all(fd)? == pattern(300_000));
    lab.told()?;
    wait_for_state(&mut lab, fd, TcpState::TimeWait)?;

    let mut lab = Lab::new()?;
    let fd = connection(&mut lab, Family::V4, asks)?;
    lab.kernel("s.sendall(b'question'); s.shutdown(SHUT_WR)")?;
    ensure!(lab.read_all(fd)? == b"question");
    ensure!(lab.picture(fd)?.state == Some(TcpState::CloseWait));
    lab.kernel_says("info(s)['state']", &json!(FIN_WAIT_2))?;
    lab.tell("answer = verdict(read_all(s), 300_000)")?;
    lab.send(fd, &pattern(300_000))?;
    lab.close(fd)?;
    ensure!(lab.told()? == "equal");
    lab.until("the end of LAST-ACK", |lab| {
        Ok(lab.states().iter().all(|state| *state == TcpState::Listen).then_some(()))
    })
}

#[test]
fn half_close_we_ask() -> Result<()> {
    half_close(Asks::We)
}

#[test]
fn half_close_the_kernel_asks() -> Result<()> {
    half_close(Asks::Kernel)
}

/// RFC 2525 2.17: who closes with octets unread tells so by a reset.
fn reset(asks: Asks) -> Result<()> {
    let mut lab = Lab::new()?;
    let fd = connection(&mut lab, Family::V4, asks)?;
    lab.kernel("s.sendall(b'unread')")?;
    lab.until("six octets", |lab| Ok((lab.picture(fd)?.recv_queue == 6).then_some(())))?;
    lab.close(fd)?;
    ensure!(lab.kernel("answer = failure(s.recv, 1); s.close()")? == "ECONNRESET");
    ensure!(lab.states().is_empty(), "nothing is left of it");

    let fd = connection(&mut lab, Family::V4, asks)?;
    lab.send(fd, b"unread")?;
    lab.kernel("s.recv(1, MSG_PEEK); s.close()")?;
    ensure!(lab.failure(recv(fd))? == "ECONNRESET");
    lab.close(fd)?;

    // SO_LINGER with no time at all: a reset instead of a FIN, socket(7).
    let fd = connection(&mut lab, Family::V6, asks)?;
    lab.option(fd, LINGER.0, LINGER.1, &[1, 0])?;
    lab.close(fd)?;
    ensure!(lab.kernel("answer = failure(s.recv, 1); s.close()")? == "ECONNRESET");

    let fd = connection(&mut lab, Family::V6, asks)?;
    lab.kernel("s.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0)); s.close()")?;
    ensure!(lab.failure(recv(fd))? == "ECONNRESET");
    lab.close(fd)?;
    ensure!(lab.states().is_empty(), "nothing is left of them");
    Ok(())
}

#[test]
fn reset_we_ask() -> Result<()> {
    reset(Asks::We)
}

#[test]
fn reset_the_kernel_asks() -> Result<()> {
    reset(Asks::Kernel)
}

#[test]
fn nobody_listens() -> Result<()> {
    let mut lab = Lab::new()?;
    for family in [Family::V4, Family::V6] {
        let fd = lab.tcp(family)?;
        let addr = SockAddr::Ip(SocketAddr::new(family.kernel(), 9));
        ensure!(lab.failure(Call::Connect { fd, addr, timeout: None })? == "ECONNREFUSED");
        let piece = format!("answer = failure(connect, ('{}', 9))", family.ours());
        ensure!(lab.kernel(&piece)? == "ECONNREFUSED");
    }
    Ok(())
}

fn from_the_client_port(lab: &mut Lab) -> Result<Fd> {
    let fd = lab.tcp(Family::V4)?;
    lab.option(fd, REUSE.0, REUSE.1, &[1])?;
    lab.bind(fd, Family::V4, CLIENT)?;
    Ok(fd)
}

fn to_the_server() -> SocketAddr {
    SocketAddr::new(Family::V4.kernel(), SERVER)
}

/// The kernel's program calls our server, always from the same port: our descriptor.
fn called(lab: &mut Lab, listener: Fd) -> Result<Fd> {
    let family = Family::V4;
    lab.tell(&format!(
        "s = connect(('{}', {SERVER}), bind=('{}', {CLIENT}))",
        family.ours(),
        family.kernel()
    ))?;
    let fd = lab.accept(listener)?;
    lab.told()?;
    Ok(fd)
}

/// RFC 6191: a server in TIME-WAIT lets a new connection of the same name in, if its SYN is clearly newer.
#[test]
fn a_server_in_time_wait_is_called_again_by_us() -> Result<()> {
    let mut lab = Lab::new()?;
    lab.kernel(&format!("listener = listen(('{}', {SERVER}))", Family::V4.kernel()))?;
    for round in 0..3 {
        let fd = from_the_client_port(&mut lab)?;
        lab.connect(fd, to_the_server())?;
        lab.kernel("s, _ = listener.accept(); s.sendall(b'well'); s.close()")?;
        ensure!(lab.read_all(fd)? == b"well", "round {round}");
        lab.close(fd)?;
        lab.until("the end of LAST-ACK", |lab| Ok(lab.states().is_empty().then_some(())))?;
        let waiting =
            "subprocess.check_output(['ss', '-Htan', 'state', 'time-wait'], text=True).count('\\n')";
        lab.kernel_says(waiting, &json!(1))?;
    }
    Ok(())
}

#[test]
fn we_in_time_wait_are_called_again_by_the_kernel() -> Result<()> {
    let mut lab = Lab::new()?;
    let listener = lab.listener(Family::V4, SERVER)?;
    for round in 0..3 {
        let fd = called(&mut lab, listener)?;
        lab.send(fd, b"well")?;
        lab.close(fd)?;
        ensure!(lab.kernel("answer = read_all(s).decode(); s.close()")? == "well", "round {round}");
        lab.until("TIME-WAIT", |lab| {
            Ok((lab.states() == [TcpState::Listen, TcpState::TimeWait]).then_some(()))
        })?;
    }
    Ok(())
}

/// Our host has a connection to the kernel's server in TIME-WAIT: tries to have the same one again.
fn we_call_again(timestamps: &str) -> Result<String> {
    let mut lab = Lab::new()?;
    ensure!(lab.host.set_sysctl("net.ipv4.tcp_timestamps", timestamps));
    lab.kernel(&format!("listener = listen(('{}', {SERVER}))", Family::V4.kernel()))?;
    let fd = from_the_client_port(&mut lab)?;
    lab.connect(fd, to_the_server())?;
    lab.close(fd)?;
    lab.kernel("s, _ = listener.accept(); read_all(s); s.close()")?;
    lab.until("TIME-WAIT", |lab| Ok((lab.states() == [TcpState::TimeWait]).then_some(())))?;
    let fd = from_the_client_port(&mut lab)?;
    let failure = lab.failure(Call::Connect { fd, addr: SockAddr::Ip(to_the_server()), timeout: None })?;
    if failure == "Ok(Unit)" {
        lab.kernel("s, _ = listener.accept(); s.sendall(b'again'); s.close()")?;
        ensure!(lab.read_all(fd)? == b"again");
        return Ok("again".to_owned());
    }
    Ok(failure)
}

/// The same with the two sides exchanged.
fn the_kernel_calls_again(timestamps: &str) -> Result<String> {
    let mut lab = Lab::new()?;
    lab.kernel(&format!("sysctl('net/ipv4/tcp_timestamps', '{timestamps}')"))?;
    let listener = lab.listener(Family::V4, SERVER)?;
    let fd = called(&mut lab, listener)?;
    lab.kernel("s.close()")?;
    ensure!(lab.read_all(fd)?.is_empty());
    lab.close(fd)?;
    lab.until("the end of LAST-ACK", |lab| Ok((lab.states() == [TcpState::Listen]).then_some(())))?;
    let (ours, kernel) = (Family::V4.ours(), Family::V4.kernel());
    let told = lab.kernel(&format!(
        "
        s = None
        def again():
            global s
            s = connect(('{ours}', {SERVER}), ('{kernel}', {CLIENT}))
        answer = failure(again)
        "
    ))?;
    if told == "None" {
        let fd = lab.accept(listener)?;
        lab.send(fd, b"again")?;
        lab.close(fd)?;
        return Ok(lab.kernel("answer = read_all(s).decode()")?.as_str().unwrap_or_default().to_owned());
    }
    Ok(told.as_str().unwrap_or_default().to_owned())
}

/// A client whose connection is in TIME-WAIT can have the same one again if timestamps tell the old segments from the
/// new ones (RFC 7323 appendix B.2), and otherwise not.
#[test]
fn a_client_in_time_wait_calls_again() -> Result<()> {
    for (timestamps, wanted) in [("1", "again"), ("0", "EADDRNOTAVAIL")] {
        let told = [the_kernel_calls_again(timestamps)?, we_call_again(timestamps)?];
        ensure!(
            told == [wanted, wanted],
            "timestamps {timestamps}: the kernel and we {told:?}, not {wanted}"
        );
    }
    Ok(())
}
