//! `getsockopt(TCP_INFO)`: how the kernel sees a connection. The page shows it beside the simulated one.

use std::io;

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
        octets: [u8; 7],
        pub(super) rto: u32,
        ato: u32,
        pub(super) snd_mss: u32,
        rcv_mss: u32,
        pub(super) unacked: u32,
        sacked: u32,
        pub(super) lost: u32,
        retrans: u32,
        fackets: u32,
        last: [u32; 4],
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
