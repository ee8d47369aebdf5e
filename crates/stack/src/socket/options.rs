//! getsockopt(2) and setsockopt(2), with Linux's numbers, defaults and oddities.

use core::time::Duration;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::ip_options::{IPPROTO_IP, IpOptions, Value};
use super::{Body, Socket};
use crate::call::Ret;
use crate::errno::{Errno, Failure};
use crate::event::SocketId;
use crate::host::Host;
use crate::snapshot::TcpState;
use crate::tcp::Settings;
use crate::time::Instant;

const SOL_SOCKET: i32 = 1;
const IPPROTO_TCP: i32 = 6;

/// Linux `net.core.rmem_max` and `wmem_max`: what a program may ask for.
const MAX_BUFFER: usize = 212_992;
/// Linux `SOCK_MIN_SNDBUF`, `SOCK_MIN_RCVBUF`.
const MIN_SEND: usize = 4_608;
const MIN_RECV: usize = 2_304;

/// Options that any socket has; those of TCP are in [`Settings`].
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    pub(crate) reuse_addr: bool,
    pub(crate) reuse_port: bool,
    pub(crate) broadcast: bool,
    /// `SO_LINGER`: seconds, if on.
    pub(crate) linger: Option<u32>,
    /// The seconds that were set with `SO_LINGER` off: they read back.
    linger_off: u32,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// `SO_RCVBUF`, `SO_SNDBUF` as getsockopt shows them: twice what was asked for.
    pub(crate) recv_buffer: Option<usize>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) ip: IpOptions,
    /// `SO_RCVTIMEO`, `SO_SNDTIMEO`: how long a call may block that would block for ever.
    pub(crate) recv_limit: Option<Duration>,
    pub(crate) send_limit: Option<Duration>,
    pub(crate) tcp: Arc<Settings>,
    /// Options that are kept for the program, and change nothing here: level, name, value.
    other: Vec<(i32, i32, Bytes)>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            reuse_addr: false,
            reuse_port: false,
            broadcast: false,
            linger: None,
            linger_off: 0,
            ttl: crate::ip::DEFAULT_TTL,
            tos: 0,
            recv_buffer: None,
            send_buffer: None,
            ip: IpOptions::default(),
            recv_limit: None,
            send_limit: None,
            tcp: Arc::default(),
            other: Vec::new(),
        }
    }
}

/// What a fresh socket has: shared, until the program changes something.
pub(super) static DEFAULT: LazyLock<Arc<SocketOptions>> = LazyLock::new(Arc::default);

impl SocketOptions {
    pub(crate) fn udp_recv_buffer(&self) -> usize {
        self.recv_buffer.unwrap_or(MAX_BUFFER)
    }

    pub(crate) fn udp_send_buffer(&self) -> usize {
        self.send_buffer.unwrap_or(MAX_BUFFER)
    }
}

/// Options of no effect in the lab, with their default on Linux: (level, name, value).
const KEPT: &[(i32, i32, i32)] = &[
    (SOL_SOCKET, 5, 0),  // SO_DONTROUTE
    (SOL_SOCKET, 12, 0), // SO_PRIORITY
    (SOL_SOCKET, 29, 0), // SO_TIMESTAMP
    (SOL_SOCKET, 36, 0), // SO_MARK
    (IPPROTO_IP, 15, 0), // IP_FREEBIND
    (IPPROTO_IP, 19, 0), // IP_TRANSPARENT
    (IPPROTO_IP, 24, 0), // IP_BIND_ADDRESS_NO_PORT
];

impl Host {
    pub(crate) fn get_option(
        &mut self,
        now: Instant,
        id: SocketId,
        level: i32,
        name: i32,
        len: usize,
    ) -> Result<Ret, Failure> {
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let of_ip = self.read_ip_option(socket, level, name);
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let value = match (level, name) {
            _ if of_ip.is_some() => of_ip.unwrap_or(Err(Errno::ENOPROTOOPT))?,
            (IPPROTO_TCP, _) if socket.is_tcp() => super::tcp_options::read(now, &self.sysctl, socket, name)?,
            (SOL_SOCKET, 4) => {
                // SO_ERROR reads and clears.
                Value::Int(socket.take_error().map_or(0, |(errno, _)| errno as i32))
            }
            _ => read(socket, level, name)?,
        };
        Ok(Ret::Opt(match value {
            Value::Bytes(bytes) => bytes.slice(..bytes.len().min(len)),
            // IP options of one octet may be read as one (Linux `ip_getsockopt`).
            Value::Int(value) if level == IPPROTO_IP && (1..4).contains(&len) => {
                Bytes::copy_from_slice(&value.to_le_bytes()[..1])
            }
            Value::Int(value) => {
                let bytes = value.to_le_bytes();
                Bytes::copy_from_slice(bytes.get(..len).unwrap_or(&bytes))
            }
        }))
    }

    pub(crate) fn set_option(
        &mut self,
        now: Instant,
        id: SocketId,
        level: i32,
        name: i32,
        value: &Bytes,
    ) -> Result<Ret, Failure> {
        if let Some(result) = self.write_ip_option(now, id, (level, name), value) {
            return result.map(|()| Ret::Unit);
        }
        let socket = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        match level {
            IPPROTO_TCP if socket.is_tcp() => super::tcp_options::write(now, socket, name, value)?,
            _ => write(socket, level, name, value)?,
        }
        let settings = socket.options.tcp.clone();
        if let Some(tcb) = socket.tcb_mut() {
            *tcb.settings_mut() = settings;
            tcb.apply_settings(now);
            self.flush(now, id);
        }
        Ok(Ret::Unit)
    }
}

fn read(socket: &Socket, level: i32, name: i32) -> Result<Value, Errno> {
    let options = &socket.options;
    let size = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
    let int = match (level, name) {
        (SOL_SOCKET, 2) => i32::from(options.reuse_addr),
        (SOL_SOCKET, 3) => socket.kind,
        (SOL_SOCKET, 6) => i32::from(options.broadcast),
        (SOL_SOCKET, 7) => size(options.send_buffer.unwrap_or_else(|| default_send_buffer(socket))),
        (SOL_SOCKET, 8) => size(options.recv_buffer.unwrap_or_else(|| default_recv_buffer(socket))),
        (SOL_SOCKET, 9) => i32::from(options.tcp.keepalive),
        (SOL_SOCKET, 13) => {
            let (on, time) = options.linger.map_or((0, options.linger_off), |time| (1u32, time));
            let bytes = [on.to_le_bytes(), time.to_le_bytes()].concat();
            return Ok(Value::Bytes(bytes.into()));
        }
        (SOL_SOCKET, 15) => i32::from(options.reuse_port),
        (SOL_SOCKET, 10) => i32::from(options.tcp.urgent_inline),
        (SOL_SOCKET, 17) => {
            // SO_PEERCRED: process, user, group. Everybody is root; nobody is -1.
            let (pid, user) = match &socket.body {
                Body::Unix(unix) => unix.peer_pid().map_or((0, -1), |pid| (pid.0 as i32, 0)),
                _ => (0, -1),
            };
            let bytes = [pid, user, user].map(i32::to_le_bytes).concat();
            return Ok(Value::Bytes(bytes.into()));
        }
        (SOL_SOCKET, 18) => i32::try_from(options.tcp.recv_low).unwrap_or(i32::MAX),
        (SOL_SOCKET, 19) => 1, // SO_SNDLOWAT
        (SOL_SOCKET, 20 | 66) => return Ok(Value::Bytes(timeval(options.recv_limit))),
        (SOL_SOCKET, 21 | 67) => return Ok(Value::Bytes(timeval(options.send_limit))),
        (SOL_SOCKET, 30) => i32::from(match &socket.body {
            Body::Tcp(tcp) => tcp.listener.is_some(),
            Body::Unix(unix) => unix.listens(),
            _ => false,
        }),
        (SOL_SOCKET, 38) => socket.protocol,
        (SOL_SOCKET, 39) => socket.family,
        (IPPROTO_TCP, _) => return Err(Errno::EOPNOTSUPP),
        // Linux `ip_getsockopt`: it knows its own level only.
        _ if !matches!(level, SOL_SOCKET | IPPROTO_IP) => return Err(Errno::EOPNOTSUPP),
        _ => {
            let default =
                KEPT.iter().find(|(l, n, _)| (*l, *n) == (level, name)).ok_or(Errno::ENOPROTOOPT)?;
            return Ok(kept(options, level, name).map_or(Value::Int(default.2), Value::Bytes));
        }
    };
    Ok(Value::Int(int))
}

fn kept(options: &SocketOptions, level: i32, name: i32) -> Option<Bytes> {
    options.other.iter().find(|(l, n, _)| (*l, *n) == (level, name)).map(|(_, _, value)| value.clone())
}

/// Linux `tcp_wmem[1]`, then what the window needs; `wmem_default` for others.
fn default_send_buffer(socket: &Socket) -> usize {
    match &socket.body {
        Body::Tcp(tcp) => match &tcp.tcb {
            Some(tcb) if tcb.state() != TcpState::Closed => tcb.send_buffer(),
            _ => 16_384,
        },
        _ => MAX_BUFFER,
    }
}

/// Linux `tcp_rmem[1]`; `rmem_default` for others.
fn default_recv_buffer(socket: &Socket) -> usize {
    match &socket.body {
        Body::Tcp(tcp) => tcp.tcb.as_ref().map_or(131_072, |tcb| (2 * tcb.recv_buffer()).max(131_072)),
        _ => MAX_BUFFER,
    }
}

fn write(socket: &mut Socket, level: i32, name: i32, value: &Bytes) -> Result<(), Errno> {
    let options = Arc::make_mut(&mut socket.options);
    if (level, name) == (SOL_SOCKET, 13) {
        let (on, time) = (int_at(value, 0)?, int_at(value, 4)?);
        let time = u32::try_from(time).unwrap_or(0);
        options.linger = (on != 0).then_some(time);
        options.linger_off = time;
        return Ok(());
    }
    if let (SOL_SOCKET, 20 | 21 | 66 | 67) = (level, name) {
        let limit = time_limit(value)?;
        *(if matches!(name, 20 | 66) { &mut options.recv_limit } else { &mut options.send_limit }) = limit;
        return Ok(());
    }
    // IP options also come as one octet.
    let int = match value.first() {
        Some(octet) if level == IPPROTO_IP && value.len() < 4 => i32::from(*octet),
        _ => int_at(value, 0)?,
    };
    let on = int != 0;
    let asked = usize::try_from(int).unwrap_or(MAX_BUFFER).min(MAX_BUFFER);
    match (level, name) {
        (SOL_SOCKET, 2) => options.reuse_addr = on,
        (SOL_SOCKET, 3 | 4 | 30 | 38 | 39) => return Err(Errno::ENOPROTOOPT),
        (SOL_SOCKET, 6) => options.broadcast = on,
        (SOL_SOCKET, 7) => {
            let size = (2 * asked).max(MIN_SEND);
            options.send_buffer = Some(size);
            Arc::make_mut(&mut options.tcp).send_buffer = Some(size);
        }
        (SOL_SOCKET, 8) => {
            let size = (2 * asked).max(MIN_RECV);
            options.recv_buffer = Some(size);
            Arc::make_mut(&mut options.tcp).recv_buffer = Some(size);
        }
        (SOL_SOCKET, 9) => Arc::make_mut(&mut options.tcp).keepalive = on,
        (SOL_SOCKET, 10) => Arc::make_mut(&mut options.tcp).urgent_inline = on,
        (SOL_SOCKET, 15) => options.reuse_port = on,
        (SOL_SOCKET, 18) => {
            Arc::make_mut(&mut options.tcp).recv_low = u32::try_from(int).unwrap_or(i32::MAX as u32).max(1)
        }
        (IPPROTO_TCP, _) => return Err(Errno::ENOPROTOOPT),
        (SOL_SOCKET, 5 | 29) | (IPPROTO_IP, 15 | 19 | 24) => {
            keep(options, level, name, &Bytes::copy_from_slice(&i32::from(on).to_le_bytes()));
        }
        _ if KEPT.iter().any(|(l, n, _)| (*l, *n) == (level, name)) => {
            keep(options, level, name, &Bytes::copy_from_slice(&int.to_le_bytes()));
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

fn keep(options: &mut SocketOptions, level: i32, name: i32, value: &Bytes) {
    options.other.retain(|(l, n, _)| (*l, *n) != (level, name));
    options.other.push((level, name, value.clone()));
}

pub(super) fn int_at(value: &Bytes, at: usize) -> Result<i32, Errno> {
    let octets = value.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
    Ok(i32::from_le_bytes(*octets))
}

/// `struct timeval` of a time limit; zero: none.
fn timeval(limit: Option<Duration>) -> Bytes {
    let limit = limit.unwrap_or_default();
    [limit.as_secs().to_le_bytes(), u64::from(limit.subsec_micros()).to_le_bytes()].concat().into()
}

/// Linux `sock_set_timeout`.
/// Linux counts in ticks of its clock, of which there are 250 in a second.
const TICK: u64 = 4_000;

fn time_limit(value: &Bytes) -> Result<Option<Duration>, Errno> {
    let long = |at: usize| {
        let octets = value.get(at..).and_then(|rest| rest.first_chunk::<8>()).ok_or(Errno::EINVAL)?;
        Ok::<i64, Errno>(i64::from_le_bytes(*octets))
    };
    let (seconds, micros) = (long(0)?, long(8)?);
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EDOM);
    }
    // Linux `sock_set_timeout`: a negative time means "do not wait", and reads back as zero.
    let Ok(seconds) = u64::try_from(seconds) else { return Ok(Some(Duration::ZERO)) };
    let micros = micros.unsigned_abs().next_multiple_of(TICK);
    let limit = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
    Ok((!limit.is_zero()).then_some(limit))
}
