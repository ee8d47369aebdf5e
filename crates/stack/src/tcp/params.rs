//! What goes into a connection beside segments, and what comes out: settings and notes.

use core::time::Duration;
use std::sync::Arc;

use super::seq::Seq;
use crate::event::TimerKind;
use crate::host::Profile;
use crate::snapshot::TcpState;
use crate::sysctl::{CongestionControl, Sysctl};

/// What a connection starts from.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    pub(crate) profile: Profile,
    pub(crate) sysctl: Arc<Sysctl>,
    pub(crate) iss: Seq,
    /// Added to the millisecond clock to make TSval.
    pub(crate) timestamp_offset: u32,
    /// The MSS we announce: the interface's MTU less the headers, or `TCP_MAXSEG`.
    pub(crate) mss: u32,
    /// Largest packet the path takes, in octets, and what IP and TCP headers take of it.
    pub(crate) path_mtu: u32,
    pub(crate) headers: u32,
    pub(crate) settings: Arc<Settings>,
}

/// What socket options say about a connection.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) nodelay: bool,
    pub(crate) cork: bool,
    pub(crate) keepalive: bool,
    /// `SO_OOBINLINE`.
    pub(crate) urgent_inline: bool,
    pub(crate) keep_idle: Option<Duration>,
    pub(crate) keep_interval: Option<Duration>,
    pub(crate) keep_count: Option<u32>,
    pub(crate) syn_retries: Option<u32>,
    /// `TCP_USER_TIMEOUT`; zero: the count of retransmissions decides.
    pub(crate) user_timeout: Duration,
    /// `TCP_LINGER2`: how long an orphan stays in FIN-WAIT-2. `Some(None)`: not at all.
    pub(crate) linger2: Option<Option<Duration>>,
    /// `TCP_MAXSEG`, if the program has set it.
    pub(crate) max_segment: Option<u16>,
    /// `TCP_WINDOW_CLAMP`, if the program has set it.
    pub(crate) window_clamp: Option<u32>,
    /// `TCP_NOTSENT_LOWAT`.
    pub(crate) notsent_lowat: Option<u32>,
    /// `SO_RCVLOWAT`, in octets.
    pub(crate) recv_low: u32,
    /// `TCP_DEFER_ACCEPT` in seconds; zero: off.
    pub(crate) defer_accept: u32,
    /// `TCP_CONGESTION`, if the program has chosen.
    pub(crate) congestion: Option<CongestionControl>,
    /// `SO_SNDBUF` in octets, if the program has set it.
    pub(crate) send_buffer: Option<usize>,
    /// `SO_RCVBUF` in octets, if the program has set it.
    pub(crate) recv_buffer: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            nodelay: false,
            cork: false,
            keepalive: false,
            urgent_inline: false,
            keep_idle: None,
            keep_interval: None,
            keep_count: None,
            syn_retries: None,
            user_timeout: Duration::ZERO,
            linger2: None,
            max_segment: None,
            window_clamp: None,
            notsent_lowat: None,
            recv_low: 1,
            defer_accept: 0,
            congestion: None,
            send_buffer: None,
            recv_buffer: None,
        }
    }
}

impl Params {
    pub(super) fn keep_idle(&self) -> Duration {
        self.settings.keep_idle.unwrap_or(self.sysctl.tcp_keepalive_time)
    }

    pub(super) fn keep_interval(&self) -> Duration {
        self.settings.keep_interval.unwrap_or(self.sysctl.tcp_keepalive_intvl)
    }

    pub(super) fn keep_count(&self) -> u32 {
        self.settings.keep_count.unwrap_or(self.sysctl.tcp_keepalive_probes)
    }

    pub(super) fn congestion(&self) -> CongestionControl {
        self.settings.congestion.unwrap_or(self.sysctl.tcp_congestion_control)
    }

    /// How long an orphan stays in FIN-WAIT-2; none: it is closed at once.
    pub(super) fn fin_timeout(&self) -> Option<Duration> {
        self.settings.linger2.unwrap_or(Some(self.sysctl.tcp_fin_timeout))
    }
}

/// Why a connection ended without FINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// A RST answered our SYN.
    Refused,
    /// A RST came on an open connection. `closing`: the peer had sent its FIN before.
    Reset { closing: bool },
    /// Retransmissions or probes went unanswered.
    TimedOut { transmissions: u32 },
}

/// Something that happened, for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    State(TcpState, TcpState),
    Retransmitted {
        seq: Seq,
        len: u32,
        attempt: u32,
    },
    Timer(TimerKind),
    Failed(Fail),
    /// Urgent data was announced: `SIGURG`, `POLLPRI`.
    Urgent,
}
