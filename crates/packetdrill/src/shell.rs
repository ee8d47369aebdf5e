//! Commands between back-quotes. None is run: sysctl(8) sets the host's own settings, those that set a kernel to what this
//! stack is anyway are accepted, those that count sockets are answered from the host's snapshot, all others make the
//! script not interpretable.

use socketlab_stack::{HostSnapshot, TcpState};

use crate::Trouble;
use crate::bench::Bench;

/// Settings that change nothing a script sees here, or that say what this stack is anyway. `None`: any value. Those that
/// the stack has ([`socketlab_stack::Sysctl`]) are set in it.
const SETTINGS: &[(&str, Option<&[&str]>)] = &[
    ("net.ipv4.tcp_fack", Some(&["0"])),
    ("net.ipv4.tcp_mtu_probing", Some(&["0"])),
    ("net.ipv4.tcp_base_mss", None),
    ("net.ipv4.tcp_retries1", None),
    ("net.ipv4.tcp_no_metrics_save", None),
    ("net.ipv4.tcp_syncookies", None),
    ("net.ipv4.tcp_pacing_ss_ratio", None),
    ("net.ipv4.tcp_pacing_ca_ratio", None),
    ("net.ipv4.tcp_min_tso_segs", None),
    ("net.ipv4.tcp_tso_win_divisor", None),
    ("net.ipv4.tcp_limit_output_bytes", None),
    ("net.ipv4.tcp_min_rtt_wlen", None),
    ("net.ipv4.tcp_thin_linear_timeouts", Some(&["0"])),
    ("net.ipv4.tcp_autocorking", None),
    ("net.ipv4.tcp_app_win", Some(&["31"])),
    ("net.ipv4.tcp_adv_win_scale", Some(&["1"])),
    ("net.ipv4.tcp_comp_sack_nr", None),
    ("net.ipv4.tcp_comp_sack_delay_ns", None),
    ("net.ipv4.tcp_comp_sack_slack_ns", None),
    ("net.ipv4.tcp_fastopen", None),
    ("net.ipv4.tcp_fastopen_key", None),
    ("net.ipv4.tcp_ecn_option", None),
    ("net.ipv4.tcp_available_congestion_control", None),
    ("net.ipv4.tcp_shrink_window", Some(&["0"])),
    ("net.ipv4.tcp_tso_rtt_log", None),
    ("net.core.default_qdisc", None),
    ("net.core.optmem_max", None),
    ("net.core.netdev_max_backlog", None),
    ("net.ipv4.ip_local_port_range", None),
    ("net.ipv4.tcp_mem", None),
    ("net.core.rmem_max", None),
    ("net.core.wmem_max", None),
    ("net.core.rmem_default", None),
    ("net.core.wmem_default", None),
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

/// Reads a file that a script runs, by the name it gives.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Understands the commands of one pair of back-quotes, or says which one it does not.
pub(crate) fn run(line: usize, text: &str, bench: &mut Bench, read: Read<'_>) -> Result<(), Trouble> {
    // A backslash at its end carries a line on.
    let text = text.replace("\\\n", " ");
    for (offset, command) in text.lines().enumerate() {
        let command = command.trim();
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            // What undoes the suite's own set-up of a test machine.
            [first] if first.starts_with("/tmp/sysctl_restore") => {}
            [first] if first.ends_with(".sh") => match read(first) {
                Some(text) => run(line, &text, bench, &|_| None)?,
                // Each suite's file of defaults: without it the stack's own hold.
                None if first.ends_with("/defaults.sh") => {}
                None => return Err(Trouble::lacking(line + offset, format!("the file {first}"))),
            },
            [first, ..] if first.ends_with("/set_sysctls.py") => {
                for (name, value) in assignments(command.trim_start_matches(first)) {
                    let name = name.trim_start_matches("/proc/sys/").replace('/', ".");
                    self::setting(line + offset, bench, &name, &value.replace(',', " "))?;
                }
            }
            // The ends of an `if` that chooses a file which this kernel may not have.
            ["sysctl", ..] => {
                for (name, value) in assignments(command) {
                    self::setting(line + offset, bench, name, value)?;
                }
            }
            // Segmentation offload: here, a segment is a segment.
            ["ethtool", "-K", ..] => {}
            // Nothing is remembered of earlier connections.
            ["ip", "tcp_metrics", "flush" | "flush_all", ..] => {}
            // A queue that only orders packets, or that sends them at once.
            ["tc", "qdisc", "add" | "replace", "dev", _, "root", "pfifo" | "fq", ..] => {}
            ["tc", "qdisc", "delete" | "del", ..] => {}
            ["rm", ..] => {}
            // HyStart's parameter of the module.
            ["echo", value, ">", "/sys/module/tcp_cubic/parameters/hystart_detect"] => {
                bench.set_hystart(*value != "0");
            }
            ["sync"] | ["sleep", _] | ["true"] => {}
            // Tidies up after a test.
            ["tcpdrop", ..] => {}
            ["sockstat", ..] => count(line + offset, command, &bench.snapshot())?,
            _ => return Err(Trouble::lacking(line + offset, format!("the command `{command}`"))),
        }
    }
    Ok(())
}

/// The `NAME=VALUE`s of a sysctl(8) command; a value may be quoted.
fn assignments(command: &str) -> Vec<(&str, &str)> {
    let mut rest = command.trim_start_matches("sysctl").trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        if let Some(option) = rest.strip_prefix('-') {
            rest = option.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
            continue;
        }
        let Some((name, value)) = rest.split_once('=') else { break };
        let (value, after) = match value.strip_prefix(['"', '\'']) {
            Some(quoted) => quoted.split_once(['"', '\'']).unwrap_or((quoted, "")),
            None => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        found.push((name.trim(), value.trim_end_matches(';')));
        rest = after.trim_start_matches(['"', '\'']).trim_start();
        // What the command prints is not asked for.
        if rest.starts_with(['>', ';', '&', '|', '2']) {
            break;
        }
    }
    found
}

fn setting(line: usize, bench: &mut Bench, name: &str, value: &str) -> Result<(), Trouble> {
    let (name, value) = (&*name.replace('/', "."), &*calculated(value));
    if bench.set_sysctl(name, value) {
        return Ok(());
    }
    // FreeBSD's names for what Linux has, too.
    let number = value.parse::<u64>().unwrap_or(0);
    let seconds = (number / 1000).to_string();
    let same: &[(&str, &str)] = match name {
        "net.inet.tcp.sack.enable" => &[("tcp_sack", value)],
        "net.inet.tcp.rfc1323" => &[("tcp_timestamps", value), ("tcp_window_scaling", value)],
        "net.inet.tcp.ecn.enable" if number <= 2 => &[("tcp_ecn", value)],
        "net.inet.tcp.keepidle" => &[("tcp_keepalive_time", &seconds)],
        "net.inet.tcp.keepintvl" => &[("tcp_keepalive_intvl", &seconds)],
        "net.inet.tcp.keepcnt" => &[("tcp_keepalive_probes", value)],
        _ => &[],
    };
    if !same.is_empty() && same.iter().all(|(name, value)| bench.set_sysctl(name, value)) {
        return Ok(());
    }
    match SETTINGS.iter().find(|(n, _)| *n == name) {
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

/// The shell's `$((15*1024*1024))` within a value: products only.
fn calculated(value: &str) -> String {
    let Some((before, rest)) = value.split_once("$((") else { return value.to_owned() };
    let Some((product, after)) = rest.split_once("))") else { return value.to_owned() };
    let factors: Option<Vec<u64>> = product.split('*').map(|n| n.trim().parse().ok()).collect();
    match factors {
        Some(factors) => calculated(&format!("{before}{}{after}", factors.iter().product::<u64>())),
        None => value.to_owned(),
    }
}
