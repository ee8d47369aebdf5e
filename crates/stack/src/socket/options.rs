//! getsockopt(2) and setsockopt(2), with Linux's numbers, defaults and oddities.

use core::time::Duration;

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
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// `SO_RCVBUF`, `SO_SNDBUF` as getsockopt shows them: twice what was asked for.
    pub(crate) recv_buffer: Option<usize>,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) ip: IpOptions,
    pub(crate) tcp: Settings,
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
            ttl: crate::ip::DEFAULT_TTL,
            tos: 0,
            recv_buffer: None,
            send_buffer: None,
            ip: IpOptions::default(),
            tcp: Settings::default(),
            other: Vec::new(),
        }
    }
}

impl SocketOptions {
    pub(crate) fn udp_recv_buffer(&self) -> usize {
        self.recv_buffer.unwrap_or(MAX_BUFFER)
    }
}

/// Options of no effect in the lab, with their default on Linux: (level, name, value).
const KEPT: &[(i32, i32, i32)] = &[
    (SOL_SOCKET, 5, 0),   // SO_DONTROUTE
    (SOL_SOCKET, 10, 0),  // SO_OOBINLINE
    (SOL_SOCKET, 12, 0),  // SO_PRIORITY
    (SOL_SOCKET, 18, 1),  // SO_RCVLOWAT
    (SOL_SOCKET, 29, 0),  // SO_TIMESTAMP
    (SOL_SOCKET, 36, 0),  // SO_MARK
    (IPPROTO_IP, 24, 0),  // IP_BIND_ADDRESS_NO_PORT
    (IPPROTO_TCP, 9, 0),  // TCP_DEFER_ACCEPT
    (IPPROTO_TCP, 10, 0), // TCP_WINDOW_CLAMP
    (IPPROTO_TCP, 12, 1), // TCP_QUICKACK
    (IPPROTO_TCP, 23, 0), // TCP_FASTOPEN
];

impl Host {
    pub(crate) fn get_option(
        &mut self,
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
            (SOL_SOCKET, 4) => {
                // SO_ERROR reads and clears.
                Value::Int(socket.error.take().map_or(0, |(errno, _)| errno as i32))
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
        write(socket, level, name, value)?;
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
    let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
    let int = match (level, name) {
        (SOL_SOCKET, 2) => i32::from(options.reuse_addr),
        (SOL_SOCKET, 3) => socket.kind,
        (SOL_SOCKET, 6) => i32::from(options.broadcast),
        (SOL_SOCKET, 7) => size(options.send_buffer.unwrap_or_else(|| default_send_buffer(socket))),
        (SOL_SOCKET, 8) => size(options.recv_buffer.unwrap_or_else(|| default_recv_buffer(socket))),
        (SOL_SOCKET, 9) => i32::from(options.tcp.keepalive),
        (SOL_SOCKET, 13) => {
            let (on, time) = options.linger.map_or((0, 0), |time| (1u32, time));
            let bytes = [on.to_le_bytes(), time.to_le_bytes()].concat();
            return Ok(Value::Bytes(bytes.into()));
        }
        (SOL_SOCKET, 15) => i32::from(options.reuse_port),
        (SOL_SOCKET, 20 | 21) => {
            return Ok(Value::Bytes(kept(options, level, name).unwrap_or(vec![0; 16].into())));
        }
        (SOL_SOCKET, 30) => i32::from(socket.tcp().is_some_and(|tcp| tcp.listener.is_some())),
        (SOL_SOCKET, 38) => socket.protocol,
        (SOL_SOCKET, 39) => socket.family,
        (IPPROTO_TCP, _) if !socket.is_tcp() => return Err(Errno::EOPNOTSUPP),
        (IPPROTO_TCP, 1) => i32::from(options.tcp.nodelay),
        (IPPROTO_TCP, 2) => socket.tcb().map_or(536, |tcb| i32::try_from(tcb.max_segment()).unwrap_or(536)),
        (IPPROTO_TCP, 3) => i32::from(options.tcp.cork),
        (IPPROTO_TCP, 4) => seconds(options.tcp.keep_idle),
        (IPPROTO_TCP, 5) => seconds(options.tcp.keep_interval),
        (IPPROTO_TCP, 6) => options.tcp.keep_count as i32,
        (IPPROTO_TCP, 7) => options.tcp.syn_retries as i32,
        (IPPROTO_TCP, 8) => seconds(options.tcp.fin_timeout),
        (IPPROTO_TCP, 13) => return Ok(Value::Bytes(Bytes::from_static(b"reno\0\0\0\0\0\0\0\0\0\0\0\0"))),
        (IPPROTO_TCP, 18) => i32::try_from(options.tcp.user_timeout.as_millis()).unwrap_or(i32::MAX),
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
    let is_tcp = socket.is_tcp();
    let options = &mut socket.options;
    if (level, name) == (SOL_SOCKET, 13) {
        let (on, time) = (int_at(value, 0)?, int_at(value, 4)?);
        options.linger = (on != 0).then_some(u32::try_from(time).unwrap_or(0));
        return Ok(());
    }
    if matches!((level, name), (SOL_SOCKET, 20 | 21)) {
        keep(options, level, name, value);
        return Ok(());
    }
    // IP options also come as one octet.
    let int = match value.first() {
        Some(octet) if level == IPPROTO_IP && value.len() < 4 => i32::from(*octet),
        _ if (level, name) == (IPPROTO_TCP, 13) => 0,
        _ => int_at(value, 0)?,
    };
    let on = int != 0;
    let asked = usize::try_from(int).unwrap_or(MAX_BUFFER).min(MAX_BUFFER);
    let seconds = Duration::from_secs(u64::try_from(int).unwrap_or(0));
    match (level, name) {
        (SOL_SOCKET, 2) => options.reuse_addr = on,
        (SOL_SOCKET, 3 | 4 | 30 | 38 | 39) => return Err(Errno::ENOPROTOOPT),
        (SOL_SOCKET, 6) => options.broadcast = on,
        (SOL_SOCKET, 7) => {
            let size = (2 * asked).max(MIN_SEND);
            options.send_buffer = Some(size);
            options.tcp.send_buffer = Some(size);
        }
        (SOL_SOCKET, 8) => {
            let size = (2 * asked).max(MIN_RECV);
            options.recv_buffer = Some(size);
            options.tcp.recv_buffer = Some(size);
        }
        (SOL_SOCKET, 9) => options.tcp.keepalive = on,
        (SOL_SOCKET, 15) => options.reuse_port = on,
        (IPPROTO_TCP, _) if !is_tcp => return Err(Errno::EOPNOTSUPP),
        (IPPROTO_TCP, 1) => options.tcp.nodelay = on,
        (IPPROTO_TCP, 3) => options.tcp.cork = on,
        (IPPROTO_TCP, 4) if (1..=32_767).contains(&int) => options.tcp.keep_idle = seconds,
        (IPPROTO_TCP, 5) if (1..=32_767).contains(&int) => options.tcp.keep_interval = seconds,
        (IPPROTO_TCP, 6) if (1..=127).contains(&int) => options.tcp.keep_count = int as u32,
        (IPPROTO_TCP, 7) if (1..=127).contains(&int) => options.tcp.syn_retries = int as u32,
        (IPPROTO_TCP, 4..=7) => return Err(Errno::EINVAL),
        (IPPROTO_TCP, 8) => options.tcp.fin_timeout = seconds.min(Duration::from_secs(120)),
        (IPPROTO_TCP, 13) => match value.split(|octet| *octet == 0).next() {
            Some(b"reno") => {}
            _ => return Err(Errno::ENOENT),
        },
        (IPPROTO_TCP, 18) => {
            options.tcp.user_timeout = Duration::from_millis(u64::try_from(int).map_err(|_| Errno::EINVAL)?);
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

fn int_at(value: &Bytes, at: usize) -> Result<i32, Errno> {
    let octets = value.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Errno::EINVAL)?;
    Ok(i32::from_le_bytes(*octets))
}
