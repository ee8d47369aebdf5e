//! getsockopt(2) and setsockopt(2) at the level of TCP (tcp(7)).

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use super::ip_options::Value;
use super::options::int_at;
use super::{Body, SOCK_STREAM, Socket};
use crate::call::Ret;
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::snapshot::TcpState;
use crate::sysctl::{CongestionControl, Sysctl};
use crate::tcp::{Settings, info_without_connection};
use crate::time::Instant;

/// Linux `TCP_CA_NAME_MAX`.
const NAME_LEN: usize = 16;
/// Linux `SOCK_MIN_RCVBUF`.
const LEAST_CLAMP: u32 = 1_152;

/// getsockopt(2).
pub(super) fn read(now: Instant, sysctl: &Sysctl, socket: &Socket, name: i32) -> Result<Value, Errno> {
    let settings = &socket.options.tcp;
    let tcb = socket.tcb();
    let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
    let int = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    Ok(Value::Int(match name {
        1 => i32::from(settings.nodelay),
        2 => {
            let open = tcb.filter(|tcb| !matches!(tcb.state(), TcpState::Closed | TcpState::Listen));
            match (open, settings.max_segment) {
                (Some(tcb), _) => int(tcb.max_segment()),
                (None, Some(asked)) => i32::from(asked),
                (None, None) => 536,
            }
        }
        3 => i32::from(settings.cork),
        4 => seconds(settings.keep_idle.unwrap_or(sysctl.tcp_keepalive_time)),
        5 => seconds(settings.keep_interval.unwrap_or(sysctl.tcp_keepalive_intvl)),
        6 => int(settings.keep_count.unwrap_or(sysctl.tcp_keepalive_probes)),
        7 => int(settings.syn_retries.unwrap_or(sysctl.tcp_syn_retries)),
        8 => match settings.linger2 {
            Some(None) => -1,
            Some(Some(time)) => seconds(time),
            None => seconds(sysctl.tcp_fin_timeout),
        },
        9 => int(deferral(settings.defer_accept)),
        10 => match (settings.window_clamp, tcb) {
            (Some(clamp), _) => int(clamp),
            (None, Some(tcb)) => int(tcb.window_clamp()),
            (None, None) => 0,
        },
        11 => {
            let state = socket.tcp().map_or(TcpState::Closed, super::Tcp::program_state);
            return Ok(Value::Bytes(match tcb.filter(|_| state != TcpState::Closed) {
                Some(tcb) => tcb.info(now).into(),
                None => {
                    let listener = socket.tcp().and_then(|tcp| tcp.listener.as_ref());
                    let queue = listener.map(|listener| (listener.accept_queue.len(), listener.backlog));
                    info_without_connection(state, queue).into()
                }
            }));
        }
        12 => i32::from(tcb.is_none_or(|tcb| tcb.quick_ack())),
        13 => {
            let chosen = settings.congestion.unwrap_or(sysctl.tcp_congestion_control);
            let name = tcb.map_or(chosen.name(), |tcb| tcb.congestion_name());
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(NAME_LEN, 0);
            return Ok(Value::Bytes(bytes.into()));
        }
        18 => i32::try_from(settings.user_timeout.as_millis()).unwrap_or(i32::MAX),
        // TCP_THIN_LINEAR_TIMEOUTS, TCP_THIN_DUPACK, TCP_REPAIR, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_INQ: off.
        16 | 17 | 19 | 23 | 30 | 34 | 36 => 0,
        25 => settings.notsent_lowat.unwrap_or(sysctl.tcp_notsent_lowat) as i32,
        _ => return Err(Errno::ENOPROTOOPT),
    }))
}

/// setsockopt(2).
pub(super) fn write(now: Instant, socket: &mut Socket, name: i32, value: &Bytes) -> Result<(), Errno> {
    if name == 13 {
        let text = value.get(..value.len().min(NAME_LEN - 1)).unwrap_or_default();
        let text = text.split(|octet| *octet == 0).next().unwrap_or_default();
        let algorithm = core::str::from_utf8(text).ok().and_then(CongestionControl::from_name);
        settings(socket).congestion = Some(algorithm.ok_or(Errno::ENOENT)?);
        return Ok(());
    }
    let int = int_at(value, 0)?;
    let state = socket.tcp().map_or(TcpState::Closed, super::Tcp::program_state);
    let settings = settings(socket);
    let seconds = Duration::from_secs(u64::try_from(int).unwrap_or(0));
    let natural = || u32::try_from(int).map_err(|_| Errno::EINVAL);
    match name {
        1 => {
            settings.nodelay = int != 0;
            // Linux `__tcp_sock_set_nodelay`: what was held back goes now, corked or not.
            if let Some(tcb) = socket.tcb_mut().filter(|_| int != 0) {
                tcb.push(now);
            }
        }
        2 => match int {
            0 => settings.max_segment = None,
            88..=32_767 => settings.max_segment = Some(int as u16),
            _ => return Err(Errno::EINVAL),
        },
        3 => settings.cork = int != 0,
        4 if (1..=32_767).contains(&int) => settings.keep_idle = Some(seconds),
        5 if (1..=32_767).contains(&int) => settings.keep_interval = Some(seconds),
        6 if (1..=127).contains(&int) => settings.keep_count = Some(int as u32),
        7 if (1..=127).contains(&int) => settings.syn_retries = Some(int as u32),
        4..=7 => return Err(Errno::EINVAL),
        8 => {
            settings.linger2 = match int {
                ..0 => Some(None),
                0 => None,
                // Linux `TCP_FIN_TIMEOUT_MAX`.
                _ => Some(Some(seconds.min(Duration::from_secs(120)))),
            }
        }
        9 => settings.defer_accept = u32::try_from(int).unwrap_or(0),
        10 => match u32::try_from(int).unwrap_or(LEAST_CLAMP) {
            0 if state == TcpState::Closed => settings.window_clamp = None,
            0 => return Err(Errno::EINVAL),
            clamp => settings.window_clamp = Some(clamp.max(LEAST_CLAMP)),
        },
        12 => {
            if let Some(tcb) = socket.tcb_mut() {
                tcb.set_quick_ack(now, int != 0);
            }
        }
        18 => settings.user_timeout = Duration::from_millis(natural()?.into()),
        // TCP Fast Open is not there: switching it off succeeds, on does not.
        16 | 17 | 23 | 30 | 34 | 36 if int == 0 => {}
        16 | 17 => {}
        23 | 30 | 34 => return Err(Errno::EOPNOTSUPP),
        25 => settings.notsent_lowat = Some(int as u32),
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// The settings of TCP, to be changed.
fn settings(socket: &mut Socket) -> &mut Settings {
    Arc::make_mut(&mut Arc::make_mut(&mut socket.options).tcp)
}

/// What `TCP_DEFER_ACCEPT` reads: the time that the retransmissions of a SYN,ACK cover (Linux `retrans_to_secs`).
fn deferral(asked: u32) -> u32 {
    let (mut covered, mut timeout) = (0u32, 1);
    let mut retransmissions = 0;
    while covered < asked && retransmissions < 255 {
        covered += timeout;
        retransmissions += 1;
        timeout = (2 * timeout).min(120);
    }
    covered
}

impl Host {
    /// `SIOCATMARK`.
    pub(crate) fn at_mark(&self, id: SocketId) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        match &socket.body {
            Body::Tcp(_) => Ok(Ret::Len(usize::from(socket.tcb().is_some_and(|tcb| tcb.at_mark())))),
            // Linux 6: `unix_ioctl` knows it, for streams; no datagram has urgent data.
            Body::Unix(_) if socket.kind == SOCK_STREAM => Ok(Ret::Len(0)),
            Body::Unix(_) => Err(Errno::EOPNOTSUPP.into()),
            Body::Udp(_) | Body::Ping(_) | Body::Raw(_) | Body::Epoll(_) => Err(Errno::ENOTTY.into()),
        }
    }
}
