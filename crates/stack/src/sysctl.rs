//! What an administrator sets with sysctl(8): the `net.ipv4` settings of TCP that a lab, a script or a teacher may want
//! to change. Each field has the kernel's name and default; ip-sysctl.rst of the Linux documentation describes them.

use core::time::Duration;

use crate::host::Profile;

/// A congestion control algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CongestionControl {
    /// RFC 5681.
    Reno,
    /// RFC 9438, with Linux's HyStart.
    Cubic,
}

impl CongestionControl {
    /// The name that `TCP_CONGESTION` uses.
    pub const fn name(self) -> &'static str {
        match self {
            CongestionControl::Reno => "reno",
            CongestionControl::Cubic => "cubic",
        }
    }

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<CongestionControl> {
        [CongestionControl::Reno, CongestionControl::Cubic].into_iter().find(|one| one.name() == name)
    }
}

/// The settings of `net.ipv4.tcp_*`, and `net.core.somaxconn`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's names; ip-sysctl.rst describes each")]
pub struct Sysctl {
    pub tcp_sack: bool,
    pub tcp_dsack: bool,
    pub tcp_timestamps: bool,
    pub tcp_window_scaling: bool,
    /// 0: never. 1: ask for it. 2: agree if the peer asks.
    pub tcp_ecn: u8,
    /// RFC 3168 6.1.1.1: after an ECN SYN was lost the next one goes without.
    pub tcp_ecn_fallback: bool,
    /// 3: tail loss probes. 0: none.
    pub tcp_early_retrans: u8,
    /// Bit 0: RACK finds losses by time. 0: by three SACKed segments.
    pub tcp_recovery: u8,
    /// F-RTO (RFC 5682).
    pub tcp_frto: bool,
    /// Proportional rate reduction (RFC 6937); no sysctl of Linux, which always does it.
    pub tcp_prr: bool,
    /// Undo a reduction that proves wrong (RFC 3522, RFC 3708); no sysctl of Linux, which always does it.
    pub tcp_undo: bool,
    pub tcp_reordering: u32,
    pub tcp_max_reordering: u32,
    pub tcp_retrans_collapse: bool,
    pub tcp_slow_start_after_idle: bool,
    pub tcp_congestion_control: CongestionControl,
    /// CUBIC leaves slow start early (a parameter of the module, on by default).
    pub hystart: bool,
    pub tcp_moderate_rcvbuf: bool,
    /// Receive buffer: least, first, largest, in octets of memory.
    pub tcp_rmem: [usize; 3],
    /// Send buffer: least, first, largest, in octets of memory.
    pub tcp_wmem: [usize; 3],
    pub tcp_syn_retries: u32,
    pub tcp_syn_linear_timeouts: u32,
    pub tcp_synack_retries: u32,
    pub tcp_retries2: u32,
    pub tcp_orphan_retries: u32,
    pub tcp_fin_timeout: Duration,
    pub tcp_keepalive_time: Duration,
    pub tcp_keepalive_intvl: Duration,
    pub tcp_keepalive_probes: u32,
    pub tcp_invalid_ratelimit: Duration,
    pub tcp_challenge_ack_limit: u32,
    pub tcp_abort_on_overflow: bool,
    pub tcp_rfc1337: bool,
    /// 0: never. 1: a connection in TIME-WAIT gives way to a new one. 2: on loopback only.
    pub tcp_tw_reuse: u8,
    pub tcp_stdurg: bool,
    pub tcp_notsent_lowat: u32,
    pub tcp_max_syn_backlog: usize,
    /// `net.core.somaxconn`.
    pub somaxconn: usize,
    /// Least RTO: a route's `rto_min`, 200 ms on Linux; RFC 6298 (2.4) says 1 s.
    pub rto_min: Duration,
    /// Initial window in segments: a route's `initcwnd`. None: RFC 5681's rule.
    pub initcwnd: Option<u32>,
}

impl Sysctl {
    /// The settings as they come with a profile.
    pub fn of(profile: Profile) -> Sysctl {
        let linux = profile == Profile::Linux;
        Sysctl {
            tcp_sack: true,
            tcp_dsack: true,
            tcp_timestamps: true,
            tcp_window_scaling: true,
            tcp_ecn: 2,
            tcp_ecn_fallback: true,
            tcp_early_retrans: if linux { 3 } else { 0 },
            tcp_recovery: u8::from(linux),
            tcp_frto: linux,
            tcp_prr: linux,
            tcp_undo: linux,
            tcp_reordering: 3,
            tcp_max_reordering: 300,
            tcp_retrans_collapse: linux,
            tcp_slow_start_after_idle: true,
            tcp_congestion_control: if linux { CongestionControl::Cubic } else { CongestionControl::Reno },
            hystart: linux,
            tcp_moderate_rcvbuf: true,
            tcp_rmem: [4_096, 131_072, 6 << 20],
            tcp_wmem: [4_096, 16_384, 4 << 20],
            tcp_syn_retries: 6,
            tcp_syn_linear_timeouts: if linux { 4 } else { 0 },
            tcp_synack_retries: 5,
            tcp_retries2: 15,
            tcp_orphan_retries: 8,
            tcp_fin_timeout: Duration::from_secs(60),
            tcp_keepalive_time: Duration::from_secs(7200),
            tcp_keepalive_intvl: Duration::from_secs(75),
            tcp_keepalive_probes: 9,
            tcp_invalid_ratelimit: Duration::from_millis(500),
            tcp_challenge_ack_limit: u32::MAX,
            tcp_abort_on_overflow: false,
            tcp_rfc1337: false,
            tcp_tw_reuse: 2,
            tcp_stdurg: false,
            tcp_notsent_lowat: u32::MAX,
            tcp_max_syn_backlog: 4_096,
            somaxconn: 4_096,
            rto_min: if linux { Duration::from_millis(200) } else { Duration::from_secs(1) },
            initcwnd: linux.then_some(10),
        }
    }

    /// Sets one by its full name (`net.ipv4.tcp_sack`) from the text that sysctl(8) takes. False: there is no such
    /// setting here, or the text is not one of its values.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let name = name.strip_prefix("net.ipv4.").or(name.strip_prefix("net.core.")).unwrap_or(name);
        let numbers: Option<Vec<u64>> = value.split_whitespace().map(|word| word.parse().ok()).collect();
        let Some(numbers) = numbers else {
            return match (name, CongestionControl::from_name(value)) {
                ("tcp_congestion_control", Some(algorithm)) => {
                    self.tcp_congestion_control = algorithm;
                    true
                }
                _ => false,
            };
        };
        if let (Some(field), &[least, first, largest]) = (self.three(name), numbers.as_slice()) {
            *field = [least, first, largest].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            return true;
        }
        let &[number] = numbers.as_slice() else { return false };
        if let Some(field) = self.flag(name) {
            *field = number != 0;
            return true;
        }
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        if let Some(field) = self.number(name) {
            *field = small;
            return true;
        }
        let octet = u8::try_from(number).unwrap_or(u8::MAX);
        match name {
            "tcp_frto" => self.tcp_frto = number != 0,
            "tcp_ecn" if number <= 2 => self.tcp_ecn = octet,
            "tcp_early_retrans" => self.tcp_early_retrans = octet,
            "tcp_recovery" => self.tcp_recovery = octet,
            "tcp_tw_reuse" => self.tcp_tw_reuse = octet,
            "tcp_fin_timeout" => self.tcp_fin_timeout = Duration::from_secs(number),
            "tcp_keepalive_time" => self.tcp_keepalive_time = Duration::from_secs(number),
            "tcp_keepalive_intvl" => self.tcp_keepalive_intvl = Duration::from_secs(number),
            "tcp_invalid_ratelimit" => self.tcp_invalid_ratelimit = Duration::from_millis(number),
            "tcp_max_syn_backlog" => self.tcp_max_syn_backlog = small as usize,
            "somaxconn" => self.somaxconn = small as usize,
            _ => return false,
        }
        true
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "tcp_sack" => &mut self.tcp_sack,
            "tcp_dsack" => &mut self.tcp_dsack,
            "tcp_timestamps" => &mut self.tcp_timestamps,
            "tcp_window_scaling" => &mut self.tcp_window_scaling,
            "tcp_ecn_fallback" => &mut self.tcp_ecn_fallback,
            "tcp_retrans_collapse" => &mut self.tcp_retrans_collapse,
            "tcp_slow_start_after_idle" => &mut self.tcp_slow_start_after_idle,
            "tcp_moderate_rcvbuf" => &mut self.tcp_moderate_rcvbuf,
            "tcp_abort_on_overflow" => &mut self.tcp_abort_on_overflow,
            "tcp_rfc1337" => &mut self.tcp_rfc1337,
            "tcp_stdurg" => &mut self.tcp_stdurg,
            "hystart" => &mut self.hystart,
            _ => return None,
        })
    }

    fn number(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "tcp_reordering" => &mut self.tcp_reordering,
            "tcp_max_reordering" => &mut self.tcp_max_reordering,
            "tcp_syn_retries" => &mut self.tcp_syn_retries,
            "tcp_syn_linear_timeouts" => &mut self.tcp_syn_linear_timeouts,
            "tcp_synack_retries" => &mut self.tcp_synack_retries,
            "tcp_retries2" => &mut self.tcp_retries2,
            "tcp_orphan_retries" => &mut self.tcp_orphan_retries,
            "tcp_keepalive_probes" => &mut self.tcp_keepalive_probes,
            "tcp_challenge_ack_limit" => &mut self.tcp_challenge_ack_limit,
            "tcp_notsent_lowat" => &mut self.tcp_notsent_lowat,
            _ => return None,
        })
    }

    fn three(&mut self, name: &str) -> Option<&mut [usize; 3]> {
        match name {
            "tcp_rmem" => Some(&mut self.tcp_rmem),
            "tcp_wmem" => Some(&mut self.tcp_wmem),
            _ => None,
        }
    }
}
