//! Runs tshark and tcpdump on a capture.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::captures::Capture;

/// A file that is removed at the end.
pub(super) struct File(pub(super) PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        // A file of ours that is gone already is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A field of tshark's tree.
pub(super) struct TheirField {
    pub(super) name: String,
    pub(super) pos: usize,
    pub(super) size: usize,
    pub(super) show: String,
}

pub(super) type Packet = Vec<TheirField>;

pub(super) fn file(name: &str, capture: &Capture) -> File {
    let id = std::thread::current().name().unwrap_or_default().replace("::", "-");
    let path = std::env::temp_dir().join(format!("dissect-{}-{id}-{name}.pcap", std::process::id()));
    let mut out = std::fs::File::create(&path).expect("a temporary file");
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes()).unwrap();
    }
    for (ms, frame) in capture {
        let len = u32::try_from(frame.len()).unwrap();
        let micros = u32::try_from(ms % 1000 * 1000).unwrap();
        // Wireshark takes the time 0 for none.
        for word in [1_000_000 + u32::try_from(ms / 1000).unwrap(), micros, len, len] {
            out.write_all(&word.to_le_bytes()).unwrap();
        }
        out.write_all(frame).unwrap();
    }
    File(path)
}

/// Protocols that the dissection knows, and what they cannot do without.
const OURS: [&str; 20] = [
    "frame",
    "eth",
    "ethertype",
    "arp",
    "ip",
    "ipv6",
    "ipv6.hopopts",
    "ipv6.routing",
    "ipv6.fraghdr",
    "ipv6.dstopts",
    "icmp",
    "icmpv6",
    "igmp",
    "udp",
    "tcp",
    "dns",
    "mdns",
    "dhcp",
    "http",
    "data-text-lines",
];

/// A folder of settings for tshark: other protocols are off, so that what is at their ports is data for both.
fn profile() -> &'static std::path::Path {
    static PROFILE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    PROFILE.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("dissect-profile-{}", std::process::id()));
        let ours = folder.join("profiles/ours");
        std::fs::create_dir_all(&ours).expect("a temporary folder");
        let output = Command::new("tshark").args(["-G", "protocols"]).output();
        let output = output.expect("tshark runs; `cargo xtask test` installs it");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text.lines().filter_map(|l| l.split('\t').nth(2));
        let off: Vec<&str> =
            names.filter(|n| !OURS.contains(n) && *n != "data" && !n.starts_with('_')).collect();
        std::fs::write(ours.join("disabled_protos"), off.join("\n") + "\n").expect("our own file");
        folder
    })
}

fn run(tool: &str, file: &File, args: &[&str]) -> String {
    let mut command = Command::new(tool);
    command.env("WIRESHARK_CONFIG_DIR", profile()).arg("-r").arg(&file.0).args(args);
    let output = command.output();
    let output = output.unwrap_or_else(|_| panic!("{tool} runs; `cargo xtask test` installs it"));
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub(super) fn tshark(file: &File, args: &[&str]) -> String {
    let mut all = vec!["-C", "ours"];
    for check in ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"] {
        all.extend(["-o", check]);
    }
    all.extend(args);
    run("tshark", file, &all)
}

/// Protocol, source, destination and Info column of each frame.
pub(super) fn columns(name: &str, capture: &Capture) -> Vec<String> {
    let columns = ["_ws.col.Protocol", "_ws.col.Source", "_ws.col.Destination", "_ws.col.Info"];
    let mut args = vec!["-T", "fields"];
    args.extend(columns.iter().flat_map(|c| ["-e", c]));
    tshark(&file(name, capture), &args).lines().map(str::to_string).collect()
}

/// The tree of each frame, flat.
pub(super) fn pdml(name: &str, capture: &Capture) -> Vec<Packet> {
    let text = tshark(&file(name, capture), &["-T", "pdml"]);
    let mut packets: Vec<Packet> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line == "<packet>" {
            packets.push(Vec::new());
        }
        if !line.starts_with("<field ") && !line.starts_with("<proto ") {
            continue;
        }
        let number = |key| attribute(line, key).parse().unwrap_or(0);
        if let Some(packet) = packets.last_mut() {
            packet.push(TheirField {
                name: attribute(line, "name"),
                pos: number("pos"),
                size: number("size"),
                show: attribute(line, "show"),
            });
        }
    }
    packets
}

fn attribute(line: &str, key: &str) -> String {
    let Some((_, rest)) = line.split_once(&format!(" {key}=\"")) else { return String::new() };
    let text = rest.split('"').next().unwrap_or_default();
    let mut out = text.to_string();
    for (from, to) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#x27;", "'"), ("&amp;", "&")]
    {
        out = out.replace(from, to);
    }
    out
}

/// What tcpdump prints for each frame; further lines belong to the one before.
pub(super) fn tcpdump(name: &str, capture: &Capture, verbose: bool, absolute: bool) -> Vec<String> {
    // The time on each first line tells where a frame begins.
    let mut args = vec!["-n", "-ttt", "-Z", "root"];
    if verbose {
        args.push("-v");
    }
    if absolute {
        args.push("-S");
    }
    let text = run("tcpdump", &file(name, capture), &args);
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let stamp = line.get(..17).is_some_and(|s| s.starts_with(' ') && s.as_bytes()[3] == b':');
        match (stamp, out.last_mut()) {
            (true, _) => out.push(line[17..].to_string()),
            (false, Some(last)) => {
                last.push('\n');
                last.push_str(line);
            }
            (false, None) => {}
        }
    }
    out
}

/// The numbers of the frames that each filter chooses, all in one run.
pub(super) fn filtered(name: &str, capture: &Capture, filters: &[&str]) -> Vec<Vec<u64>> {
    let mut script = String::new();
    for (i, filter) in filters.iter().enumerate() {
        // Lua keeps at most 200 local variables: each listener gets a block of its own.
        script += &format!(
            "do local ok, l = pcall(Listener.new, \"frame\", [==[{filter}]==])\n\
             if ok then function l.packet(p) print(\"FILTER {i} \" .. p.number) end\n\
             else print(\"REFUSED {i}\") end end\n"
        );
    }
    let file = file(name, capture);
    let path = File(file.0.with_extension("lua"));
    std::fs::write(&path.0, script).expect("a temporary file");
    let text = tshark(&file, &["-q", "-X", &format!("lua_script:{}", path.0.display())]);
    let mut out = vec![Vec::new(); filters.len()];
    for line in text.lines() {
        if let Some(i) = line.strip_prefix("REFUSED ") {
            panic!("tshark does not take {}", filters[i.parse::<usize>().expect("an index")]);
        }
        let mut words = line.split(' ');
        if let (Some("FILTER"), Some(i), Some(n)) = (words.next(), words.next(), words.next()) {
            let (i, n): (usize, u64) = (i.parse().expect("an index"), n.parse().expect("a number"));
            out[i].push(n);
        }
    }
    out
}
