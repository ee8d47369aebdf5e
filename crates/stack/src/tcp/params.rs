//! What goes into a connection beside segments, and what comes out: settings and notes.

use core::time::Duration;

use super::seq::Seq;
use crate::event::TimerKind;
use crate::host::Profile;
use crate::snapshot::TcpState;

/// What a connection starts from.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    pub(crate) profile: Profile,
    pub(crate) iss: Seq,
    /// Added to the millisecond clock to make TSval.
    pub(crate) timestamp_offset: u32,
    /// The MSS we announce: the interface's MTU less 40 octets.
    pub(crate) mss: u32,
    pub(crate) settings: Settings,
}

/// What socket options say about a connection.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) nodelay: bool,
    pub(crate) cork: bool,
    pub(crate) keepalive: bool,
    pub(crate) keep_idle: Duration,
    pub(crate) keep_interval: Duration,
    pub(crate) keep_count: u32,
    pub(crate) syn_retries: u32,
    /// `TCP_USER_TIMEOUT`; zero: the count of retransmissions decides.
    pub(crate) user_timeout: Duration,
    /// `TCP_LINGER2`: how long an orphan stays in FIN-WAIT-2.
    pub(crate) fin_timeout: Duration,
    /// `SO_SNDBUF` in octets, if the program has set it.
    pub(crate) send_buffer: Option<usize>,
    /// `SO_RCVBUF` in octets, if the program has set it.
    pub(crate) recv_buffer: Option<usize>,
}

impl Default for Settings {
    /// Linux's sysctls as they come.
    fn default() -> Self {
        Settings {
            nodelay: false,
            cork: false,
            keepalive: false,
            keep_idle: Duration::from_secs(7200),
            keep_interval: Duration::from_secs(75),
            keep_count: 9,
            syn_retries: 6,
            user_timeout: Duration::ZERO,
            fin_timeout: Duration::from_secs(60),
            send_buffer: None,
            recv_buffer: None,
        }
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
    Retransmitted { seq: Seq, len: u32, attempt: u32 },
    Timer(TimerKind),
    Failed(Fail),
}
