//! Commands between back-quotes. None is run: those that set a kernel to what this stack is anyway are accepted, those
//! that count sockets are answered from the host's snapshot, all others make the script not interpretable.

use socketlab_stack::{HostSnapshot, TcpState};

use crate::Trouble;

/// Settings that this stack has, or that change nothing a script sees here. `None`: any value.
const SETTINGS: &[(&str, Option<&[&str]>)] = &[
    ("net.ipv4.tcp_timestamps", Some(&["1"])),
    ("net.ipv4.tcp_window_scaling", Some(&["1"])),
    ("net.ipv4.tcp_sack", Some(&["1"])),
    ("net.ipv4.tcp_dsack", Some(&["1"])),
    ("net.ipv4.tcp_fack", Some(&["0"])),
    ("net.ipv4.tcp_reordering", Some(&["3"])),
    ("net.ipv4.tcp_ecn", Some(&["0", "2"])),
    ("net.ipv4.tcp_early_retrans", Some(&["0"])),
    ("net.ipv4.tcp_recovery", Some(&["0"])),
    ("net.ipv4.tcp_frto", Some(&["0"])),
    ("net.ipv4.tcp_mtu_probing", Some(&["0"])),
    ("net.ipv4.tcp_abort_on_overflow", Some(&["0"])),
    ("net.ipv4.tcp_rfc1337", Some(&["0"])),
    ("net.ipv4.tcp_syn_retries", Some(&["6"])),
    ("net.ipv4.tcp_synack_retries", Some(&["5"])),
    ("net.ipv4.tcp_retries1", Some(&["3"])),
    ("net.ipv4.tcp_retries2", Some(&["15"])),
    ("net.ipv4.tcp_fin_timeout", Some(&["60"])),
    ("net.ipv4.tcp_no_metrics_save", None),
    ("net.ipv4.tcp_syncookies", None),
    ("net.ipv4.tcp_pacing_ss_ratio", None),
    ("net.ipv4.tcp_pacing_ca_ratio", None),
    ("net.ipv4.tcp_min_tso_segs", None),
    ("net.ipv4.tcp_fastopen", None),
    ("net.inet.tcp.rfc1323", Some(&["1"])),
    ("net.inet.tcp.blackhole", Some(&["0"])),
    ("net.inet.tcp.sack.enable", Some(&["1"])),
    ("net.inet.tcp.ecn.enable", Some(&["2"])),
    ("net.inet.tcp.hostcache.purgenow", None),
    ("net.inet.tcp.recvspace", Some(&["65536"])),
    ("net.inet.tcp.sendspace", Some(&["32768"])),
    ("net.inet.tcp.insecure_rst", Some(&["0"])),
    ("net.inet.tcp.insecure_syn", Some(&["0"])),
    ("net.inet.tcp.rexmit_drop_options", Some(&["0"])),
    ("net.inet.tcp.rexmit_initial", Some(&["1000"])),
    ("net.inet.tcp.rexmit_slop", Some(&["200"])),
    ("net.inet.tcp.syncookies", None),
    ("net.inet.tcp.syncookies_only", Some(&["0"])),
    ("net.inet.tcp.drop_synfin", Some(&["0"])),
    ("net.inet.tcp.icmp_may_rst", Some(&["1"])),
    ("net.inet.tcp.keepinit", Some(&["75000"])),
    ("kern.ipc.maxsockbuf", Some(&["2097152"])),
];

/// Understands the commands of one pair of back-quotes, or says which one it does not.
pub(crate) fn run(line: usize, text: &str, host: &HostSnapshot) -> Result<(), Trouble> {
    for (offset, command) in text.lines().enumerate() {
        let command = command.trim();
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            // The suites' own set-up of a test machine, and what undoes it.
            [first] if first.ends_with("/defaults.sh") || first.starts_with("/tmp/sysctl_restore") => {}
            [first, settings @ ..] if first.ends_with("/set_sysctls.py") => {
                for setting in settings {
                    let name = setting.trim_start_matches("/proc/sys/").replace('/', ".");
                    self::setting(line + offset, &name)?;
                }
            }
            ["sysctl", settings @ ..] => {
                for setting in settings.iter().filter(|s| !s.starts_with('-')) {
                    self::setting(line + offset, setting)?;
                }
            }
            // Segmentation offload: here, a segment is a segment.
            ["ethtool", "-K", ..] => {}
            // Tidies up after a test.
            ["tcpdrop", ..] => {}
            ["sockstat", ..] => count(line + offset, command, host)?,
            _ => return Err(Trouble::lacking(line + offset, format!("the command `{command}`"))),
        }
    }
    Ok(())
}

fn setting(line: usize, text: &str) -> Result<(), Trouble> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Trouble::lacking(line, format!("the setting `{text}`")));
    };
    let value = value.trim_matches(['"', '\'']);
    let known = SETTINGS.iter().find(|(n, _)| *n == name);
    match known {
        Some((_, None)) => Ok(()),
        Some((_, Some(values))) if values.contains(&value) => Ok(()),
        _ => Err(Trouble::lacking(line, format!("the setting `{name}={value}`"))),
    }
}

/// `sockstat ... | grep -c TIME_WAIT | grep 1`: so many sockets are in that state.
fn count(line: usize, command: &str, host: &HostSnapshot) -> Result<(), Trouble> {
    let lacking = || Trouble::lacking(line, format!("the command `{command}`"));
    let (_, state) = command.split_once("grep -c ").ok_or_else(lacking)?;
    let (state, wanted) = state.split_once("| grep ").ok_or_else(lacking)?;
    let wanted: usize = wanted.trim().parse().map_err(|_| lacking())?;
    let state = match state.trim() {
        "TIME_WAIT" => TcpState::TimeWait,
        "SYN_RCVD" => TcpState::SynReceived,
        "CLOSED" => TcpState::Closed,
        "ESTABLISHED" => TcpState::Established,
        _ => return Err(lacking()),
    };
    let found = host.sockets.iter().filter(|s| s.state == Some(state)).count();
    if found == wanted {
        return Ok(());
    }
    Err(Trouble::wrong(line, format!("{found} sockets are in {state}, not {wanted}")))
}
