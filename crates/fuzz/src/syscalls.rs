//! Calls with any arguments, by a process on each of two hosts with a perfect wire between them. No call panics or
//! fails with a number that its man page does not have; each is answered once; descriptors are the lowest free ones
//! and balance; and when the processes have gone, no socket stays behind.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;
use socketlab_stack::{Call, CallId, Control, Failure, Fd, Ret, SockAddr};

use crate::man;
use crate::net::{Net, PID, at, octets, v4, v6};

/// Standard input, output and error.
const FIRST_FD: i32 = 3;
const MSG_TRUNC: i32 = 0x20;

struct Run {
    net: Net,
    open: [BTreeSet<i32>; 2],
    blocked: BTreeMap<CallId, (usize, Call)>,
}

fn small(u: &mut Unstructured<'_>) -> Result<i32> {
    Ok(if u.ratio(7, 8)? { u.int_in_range(0..=8)? } else { i32::arbitrary(u)? })
}

fn fd(u: &mut Unstructured<'_>, open: &BTreeSet<i32>) -> Result<Fd> {
    Ok(Fd(if !open.is_empty() && u.ratio(15, 16)? {
        let open: Vec<i32> = open.iter().copied().collect();
        *u.choose(&open)?
    } else {
        i32::arbitrary(u)?
    }))
}

fn addr(u: &mut Unstructured<'_>) -> Result<SockAddr> {
    let port = *u.choose(&[80, 80, 81, 0, 5000, 65_535])?;
    let any4 = core::net::Ipv4Addr::UNSPECIFIED;
    Ok(match u.int_in_range(0..=15)? {
        0..=2 => at(v4(0), port),
        3..=5 => at(v4(1), port),
        6 => at(any4, port),
        7 => at(core::net::Ipv4Addr::LOCALHOST, port),
        8 => at(v6(u.int_in_range(0..=1)?), port),
        9 => at(core::net::Ipv6Addr::UNSPECIFIED, port),
        10 => at(core::net::Ipv6Addr::LOCALHOST, port),
        11 => at(v4(u.int_in_range(0..=1)?).to_ipv6_mapped(), port),
        12 => at(core::net::Ipv4Addr::from_bits(u.arbitrary()?), u.arbitrary()?),
        13 => SockAddr::Ip(
            core::net::SocketAddrV6::new(
                core::net::Ipv6Addr::from_bits(u.arbitrary()?),
                u.arbitrary()?,
                u.arbitrary()?,
                u.int_in_range(0..=3)?,
            )
            .into(),
        ),
        14 => SockAddr::Unix(format!("\0{}", u.int_in_range(0..=3)?).into_bytes()),
        _ => SockAddr::Unix(Vec::arbitrary(u)?),
    })
}

fn timeout(u: &mut Unstructured<'_>) -> Result<Option<Duration>> {
    Ok(match u.int_in_range(0..=3)? {
        0 => None,
        1 => Some(Duration::from_millis(u.int_in_range(1..=3000)?)),
        _ => Some(Duration::ZERO),
    })
}

fn data(u: &mut Unstructured<'_>) -> Result<Bytes> {
    let len = *u.choose(&[0usize, 1, 2, 100, 1460, 5000, 65_507, 65_508, 300_000])?;
    Ok(Bytes::from(vec![u.arbitrary()?; len]))
}

fn flags(u: &mut Unstructured<'_>) -> Result<i32> {
    // MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT, MSG_EOR, MSG_WAITALL, MSG_CONFIRM,
    // MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_MORE.
    let known = [0, 0, 0, 1, 2, 4, 8, 0x20, 0x40, 0x40, 0x80, 0x100, 0x800, 0x2000, 0x4000, 0x8000];
    Ok(if u.ratio(15, 16)? { *u.choose(&known)? | *u.choose(&known)? } else { i32::arbitrary(u)? })
}

fn option(u: &mut Unstructured<'_>) -> Result<(i32, i32)> {
    // SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_ICMPV6, IPPROTO_RAW.
    let level = if u.ratio(15, 16)? { *u.choose(&[1, 0, 6, 17, 41, 58, 255])? } else { i32::arbitrary(u)? };
    let name = if u.ratio(15, 16)? { u.int_in_range(0..=80)? } else { i32::arbitrary(u)? };
    Ok((level, name))
}

fn controls(u: &mut Unstructured<'_>, open: &BTreeSet<i32>) -> Result<Vec<Control>> {
    let mut all = Vec::new();
    while all.len() < 4 && u.ratio(1, 3)? {
        if u.ratio(1, 3)? {
            // SCM_RIGHTS: a descriptor and a word.
            let rights = [fd(u, open)?.0, small(u)?].map(i32::to_le_bytes).concat();
            all.push(Control { level: 1, kind: 1, data: rights.into() });
            continue;
        }
        let (level, kind) = option(u)?;
        let data = Bytes::copy_from_slice(octets(u, 20)?);
        all.push(Control { level, kind, data });
    }
    Ok(all)
}

fn call(u: &mut Unstructured<'_>, open: &BTreeSet<i32>) -> Result<Call> {
    Ok(match u.int_in_range(0..=32)? {
        0..=3 => {
            let family = *u.choose(&[2, 2, 2, 10, 10, 1, 17, -1])?;
            let kind = *u.choose(&[1, 1, 1, 2, 2, 3, 5, 4, 99])?;
            let protocol = *u.choose(&[0, 0, 0, 0, 1, 6, 17, 58, 255, 41, 500])?;
            Call::Socket { family, kind, protocol }
        }
        4 => Call::SocketPair {
            family: *u.choose(&[1, 1, 1, 2])?,
            kind: small(u)?,
            protocol: *u.choose(&[0, 0, 1])?,
        },
        5 => Call::Dup { fd: fd(u, open)? },
        6 => Call::Close { fd: fd(u, open)? },
        7 | 8 => Call::Bind { fd: fd(u, open)?, addr: addr(u)? },
        9 | 10 => Call::Listen { fd: fd(u, open)?, backlog: small(u)? },
        11 | 12 => Call::Accept { fd: fd(u, open)?, timeout: timeout(u)? },
        13..=15 => Call::Connect { fd: fd(u, open)?, addr: addr(u)?, timeout: timeout(u)? },
        16 => Call::GetSockName { fd: fd(u, open)? },
        17 => Call::GetPeerName { fd: fd(u, open)? },
        18 => {
            let (level, name) = option(u)?;
            Call::GetSockOpt { fd: fd(u, open)?, level, name, len: u.int_in_range(0..=300)? }
        }
        19 | 20 => {
            let (level, name) = option(u)?;
            let value = if u.arbitrary()? {
                Bytes::copy_from_slice(&small(u)?.to_le_bytes())
            } else {
                Bytes::copy_from_slice(octets(u, 40)?)
            };
            Call::SetSockOpt { fd: fd(u, open)?, level, name, value }
        }
        21 => Call::Shutdown { fd: fd(u, open)?, how: small(u)? },
        22 | 23 => Call::Send { fd: fd(u, open)?, data: data(u)?, flags: flags(u)?, timeout: timeout(u)? },
        24 => Call::SendTo {
            fd: fd(u, open)?,
            data: data(u)?,
            flags: flags(u)?,
            addr: addr(u)?,
            timeout: timeout(u)?,
        },
        25 => Call::SendMsg {
            fd: fd(u, open)?,
            data: data(u)?,
            flags: flags(u)?,
            addr: if u.arbitrary()? { Some(addr(u)?) } else { None },
            control: controls(u, open)?,
            timeout: timeout(u)?,
        },
        26 => Call::Recv {
            fd: fd(u, open)?,
            len: *u.choose(&[0, 1, 100, 5000, 1 << 20])?,
            flags: flags(u)?,
            timeout: timeout(u)?,
        },
        27 => Call::RecvMsg {
            fd: fd(u, open)?,
            len: *u.choose(&[0, 1, 100, 5000, 1 << 20])?,
            room: u.int_in_range(0..=200)?,
            flags: flags(u)?,
            timeout: timeout(u)?,
        },
        28 => {
            let mut fds = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                fds.push((fd(u, open)?, u.arbitrary()?));
            }
            Call::Poll { fds, timeout: timeout(u)? }
        }
        29 => Call::EpollCreate,
        30 => Call::EpollCtl {
            epoll: fd(u, open)?,
            op: u.int_in_range(0..=4)?,
            fd: fd(u, open)?,
            // Mostly EPOLLIN, EPOLLOUT, EPOLLRDHUP, and each mode.
            events: u32::arbitrary(u)? & if u.ratio(3, 4)? { 0xd000_2005 } else { u32::MAX },
        },
        31 => Call::EpollWait { epoll: fd(u, open)?, most: u.int_in_range(0..=5)?, timeout: timeout(u)? },
        _ => match u.int_in_range(0..=4)? {
            0 => Call::Ioctl { fd: fd(u, open)?, request: *u.choose(&[0x541b, 0x5411, 0x8905, 0])? },
            1 => Call::FileLimit { limit: if u.arbitrary()? { Some(u.int_in_range(0..=64)?) } else { None } },
            3 => {
                let user = |u: &mut Unstructured<'_>| {
                    Ok(if u.arbitrary()? { Some(u.int_in_range(0..=2)?) } else { None })
                };
                Call::SetUsers { real: user(u)?, effective: user(u)?, saved: user(u)? }
            }
            2 => Call::Unlink { path: Vec::arbitrary(u)? },
            _ => Call::SockInfo { fd: fd(u, open)? },
        },
    })
}

impl Run {
    /// A descriptor was given out: it must be a free one, and as low as can be, with those that calls which are over,
    /// but were not looked at yet, may have got.
    fn opened(&mut self, host: usize, fd: Fd) {
        let most = FIRST_FD + (self.open[host].len() + self.blocked.len()) as i32;
        assert!(
            (FIRST_FD..=most).contains(&fd.0),
            "descriptor {} while {:?} are open",
            fd.0,
            self.open[host]
        );
        assert!(self.open[host].insert(fd.0), "descriptor {} is given out twice", fd.0);
    }

    fn check(&mut self, host: usize, call: &Call, answer: Result<Ret, Failure>) {
        match answer {
            Ok(Ret::Fd(fd) | Ret::Accepted(fd, _)) => self.opened(host, fd),
            Ok(Ret::Pair(a, b)) => {
                self.opened(host, a);
                self.opened(host, b);
            }
            Ok(Ret::Len(taken)) => {
                let given = match call {
                    Call::Send { data, .. } | Call::SendTo { data, .. } | Call::SendMsg { data, .. } => {
                        data.len()
                    }
                    _ => usize::MAX,
                };
                assert!(taken <= given, "{call:?} took {taken} octets");
            }
            Ok(Ret::Data(data, ..)) => {
                let Call::Recv { len, flags, .. } = call else { panic!("data for {call:?}") };
                // With MSG_TRUNC recv(2) tells the real length; what did not fit is not given away.
                let fits = if flags & MSG_TRUNC == 0 {
                    data.len() <= *len
                } else {
                    data.iter().skip(*len).all(|o| *o == 0)
                };
                assert!(fits, "{} octets for {call:?}", data.len());
            }
            Ok(Ret::Message { control, .. }) => {
                // SCM_RIGHTS: three numbers for each descriptor.
                for control in control.iter().filter(|control| (control.level, control.kind) == (1, 1)) {
                    for entry in control.data.chunks_exact(12) {
                        let fd = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
                        if fd >= 0 {
                            self.opened(host, Fd(fd));
                        }
                    }
                }
            }
            Ok(_) => {}
            Err(Failure::TimedOut) => assert!(waits(call), "{call:?} timed out"),
            Err(Failure::Errno(errno, _)) => {
                assert!(
                    man::allows(call, errno),
                    "{call:?} fails with {errno}, which its page does not have"
                );
            }
        }
    }

    /// Takes in what has been answered meanwhile.
    fn collect(&mut self) {
        let answered: Vec<CallId> = self.blocked.keys().copied().collect();
        for id in answered {
            if let Some(answer) = self.net.answer(id)
                && let Some((host, call)) = self.blocked.remove(&id)
            {
                self.check(host, &call, answer);
            }
        }
    }

    fn balance(&self) {
        for host in [0, 1] {
            for n in -1..40 {
                let there = self.net.hosts[host].socket_of(PID, Fd(n)).is_some();
                assert_eq!(there, self.open[host].contains(&n), "descriptor {n} of host {host}");
            }
        }
    }
}

/// A call that may end by its own time-out or by a time set with `SO_RCVTIMEO` or `SO_SNDTIMEO`.
fn waits(call: &Call) -> bool {
    match call {
        Call::Accept { timeout, .. }
        | Call::Connect { timeout, .. }
        | Call::Send { timeout, .. }
        | Call::SendTo { timeout, .. }
        | Call::SendMsg { timeout, .. }
        | Call::Recv { timeout, .. }
        | Call::RecvMsg { timeout, .. } => timeout.is_some_and(|time| !time.is_zero()),
        _ => false,
    }
}

/// See the head of this file.
pub(crate) fn syscalls(input: &[u8]) {
    let mut run = Run { net: Net::new(false), open: Default::default(), blocked: BTreeMap::new() };
    // An input that is used up is no mistake.
    let _ = play(&mut Unstructured::new(input), &mut run);
    for host in [0, 1] {
        run.net.hosts[host].snapshot();
        run.net.kill(host);
    }
    // The longest that a connection nobody owns is kept: retransmissions, then TIME-WAIT.
    run.net.run(Duration::from_secs(3000));
    for host in &run.net.hosts {
        let left = host.snapshot().sockets;
        assert!(left.is_empty(), "{} sockets without an owner, the first {:?}", left.len(), left[0]);
    }
}

fn play(u: &mut Unstructured<'_>, run: &mut Run) -> Result<()> {
    for _ in 0..96 {
        if u.is_empty() {
            break;
        }
        let host = u.int_in_range(0..=1)?;
        let call = call(u, &run.open[host])?;
        if let Call::Close { fd } = call {
            // Free at once, also when the call lingers.
            run.open[host].remove(&fd.0);
        }
        let id = run.net.start(host, call.clone());
        match run.net.answer(id) {
            Some(answer) => run.check(host, &call, answer),
            None => {
                run.blocked.insert(id, (host, call));
            }
        }
        run.collect();
        run.balance();
        if u.ratio(1, 3)? {
            run.net.run(Duration::from_millis(*u.choose(&[1, 2, 50, 1000, 70_000])?));
            run.collect();
        }
    }
    Ok(())
}
