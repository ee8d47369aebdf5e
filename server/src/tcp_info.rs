//! `getsockopt(TCP_INFO)`: how the kernel sees a connection. The page shows it beside the simulated one.

use std::{io, time::Duration};

use socketlab_wisp::TcpInfo;
use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
mod linux {
    use nix::{
        getsockopt_impl,
        libc::{self, IPPROTO_TCP, TCP_INFO},
        sys::socket::sockopt::GetStruct,
    };

    /// The head of `struct tcp_info` (linux/tcp.h), up to what we show. The kernel fills as much as is asked for; the
    /// last field came with Linux 4.1.
    #[repr(C)]
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Raw {
        pub(super) state: u8,
        ca_state: u8,
        /// Time-outs in a row without an answer.
        pub(super) retransmits: u8,
        /// Window and keep-alive probes in a row without an answer.
        pub(super) probes: u8,
        octets: [u8; 4],
        pub(super) rto: u32,
        ato: u32,
        pub(super) snd_mss: u32,
        rcv_mss: u32,
        pub(super) unacked: u32,
        sacked: u32,
        pub(super) lost: u32,
        retrans: u32,
        fackets: u32,
        last: [u32; 3],
        /// Milliseconds since the peer's last ACK.
        pub(super) last_ack_recv: u32,
        pmtu: u32,
        rcv_ssthresh: u32,
        pub(super) rtt: u32,
        pub(super) rttvar: u32,
        pub(super) snd_ssthresh: u32,
        pub(super) snd_cwnd: u32,
        advmss: u32,
        reordering: u32,
        rcv_rtt: u32,
        rcv_space: u32,
        pub(super) total_retrans: u32,
        pacing: [u64; 2],
        pub(super) bytes_acked: u64,
        pub(super) bytes_received: u64,
    }

    #[derive(Clone, Copy, Debug)]
    pub(super) struct GetTcpInfo;

    getsockopt_impl!(GetTcpInfo, IPPROTO_TCP, TCP_INFO, Raw, GetStruct<Raw>);
}

/// What the kernel knows of this connection.
///
/// # Errors
/// What getsockopt(2) says; elsewhere than on Linux, that there is no such thing.
#[cfg(target_os = "linux")]
pub fn of(stream: &TcpStream) -> io::Result<TcpInfo> {
    let raw = nix::sys::socket::getsockopt(stream, linux::GetTcpInfo).map_err(io::Error::from)?;
    Ok(TcpInfo {
        local: stream.local_addr()?,
        remote: stream.peer_addr()?,
        state: raw.state,
        rtt_us: raw.rtt,
        rttvar_us: raw.rttvar,
        rto_us: raw.rto,
        cwnd: raw.snd_cwnd,
        ssthresh: raw.snd_ssthresh,
        snd_mss: raw.snd_mss,
        unacked: raw.unacked,
        lost: raw.lost,
        retransmitted: raw.total_retrans,
        octets_acked: raw.bytes_acked,
        octets_received: raw.bytes_received,
    })
}

/// What the kernel knows of this connection.
///
/// # Errors
/// Always: only Linux has `TCP_INFO`.
#[cfg(not(target_os = "linux"))]
pub fn of(_stream: &TcpStream) -> io::Result<TcpInfo> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the peer has acknowledged nothing for so long, although it was asked more than once: by data, or by probes of
/// its closed window. A connection that is quiet is the business of keep-alive ([`crate::dial::keep_alive`]), which asks
/// after half the time. `TCP_USER_TIMEOUT` would also end connections to a peer that lives and does not read.
#[cfg(target_os = "linux")]
pub(crate) fn is_gone(stream: &TcpStream, patience: Duration) -> bool {
    let Ok(raw) = nix::sys::socket::getsockopt(stream, linux::GetTcpInfo) else { return false };
    let was_asked = (raw.unacked > 0 && raw.retransmits > 1) || raw.probes > 1;
    was_asked && u128::from(raw.last_ack_recv) >= patience.as_millis()
}

/// Nobody can tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_gone(_stream: &TcpStream, _patience: Duration) -> bool {
    false
}
