//! What is measured: a relay in a process of its own, and what that process uses according to /proc.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::target::{SERVICES, Service, Targets};

/// How streams travel to the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// One TCP connection each.
    Tcp,
    /// One WebSocket each.
    WebSocket,
    /// All in one WebSocket.
    Wisp,
}

/// A program between generator and targets; none: straight to them.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) carrier: Carrier,
    fronts: [SocketAddr; SERVICES.len()],
    paths: [String; SERVICES.len()],
    processes: Vec<Child>,
}

/// The names that can be asked for.
pub(crate) const NAMES: [&str; 7] =
    ["direct", "socat", "relay", "relay-wsproxy", "wisp-js", "websockify", "websocat"];

/// Nothing takes so long to start.
const PATIENCE: Duration = Duration::from_secs(20);

impl Subject {
    /// Starts it; it ends when it goes out of scope.
    pub(crate) fn start(name: &'static str, targets: &Targets) -> Result<Subject> {
        let direct = SERVICES.map(|service| targets.address(service));
        let mut subject = Subject {
            name,
            carrier: Carrier::Tcp,
            fronts: direct,
            paths: SERVICES.map(|_| "/".to_owned()),
            processes: Vec::new(),
        };
        match name {
            "direct" => {}
            "relay" | "relay-wsproxy" => {
                let front = subject.relay()?;
                subject.fronts = SERVICES.map(|_| front);
                if name == "relay" {
                    subject.carrier = Carrier::Wisp;
                    subject.paths = SERVICES.map(|_| "/wisp/".to_owned());
                } else {
                    subject.carrier = Carrier::WebSocket;
                    subject.paths = direct.map(|target| format!("/wsproxy/{target}"));
                }
            }
            "wisp-js" => {
                subject.carrier = Carrier::Wisp;
                let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
                let mut node = Command::new("node");
                node.arg("peers/wisp-js-server.mjs").current_dir(tests);
                let port: u16 = subject.spawn_and_read(&mut node, |line| line.trim().parse().ok())?;
                subject.fronts = SERVICES.map(|_| SocketAddr::from(([127, 0, 0, 1], port)));
                subject.paths = SERVICES.map(|_| "/wisp/".to_owned());
            }
            _ => {
                subject.carrier = if name == "socat" { Carrier::Tcp } else { Carrier::WebSocket };
                for (front, target) in subject.fronts.iter_mut().zip(direct) {
                    // A port that was free a moment ago.
                    *front = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
                    let mut command = peer(name, *front, target);
                    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                    subject.processes.push(child.with_context(|| format!("cannot start {name}"))?);
                }
                for front in subject.fronts {
                    let start = Instant::now();
                    while TcpStream::connect(front).is_err() {
                        if start.elapsed() > PATIENCE {
                            bail!("{name} does not listen on {front}");
                        }
                        sleep(Duration::from_millis(10));
                    }
                }
            }
        }
        Ok(subject)
    }

    fn relay(&mut self) -> Result<SocketAddr> {
        let mut relay = Command::new(env!("CARGO_BIN_EXE_socketlab-relay"));
        relay.args(["--listen", "127.0.0.1:0", "--allow", "127.0.0.1:1-65535"]);
        // The limits of a class are not what is measured.
        relay.args(["--max-streams", "60000", "--max-opens", "0", "--max-connections", "20000"]);
        relay.args(["--max-connections-per-address", "20000"]);
        self.spawn_and_read(&mut relay, |line| {
            let (_, rest) = line.split_once("http://")?;
            rest.trim_end_matches('/').parse().ok()
        })
    }

    /// Starts a program that says on standard output where it listens. Its log goes to a file that forgets, as a log
    /// that is not looked at would.
    fn spawn_and_read<T>(&mut self, command: &mut Command, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().context("standard output")?;
        self.processes.push(child);
        let mut lines = BufReader::new(out).lines();
        let found = lines.by_ref().map_while(Result::ok).find_map(|line| find(&line));
        std::thread::spawn(move || lines.for_each(drop));
        found.with_context(|| format!("{} did not say where it listens", self.name))
    }

    pub(crate) fn front(&self, service: Service) -> SocketAddr {
        self.fronts[service as usize]
    }

    pub(crate) fn path(&self, service: Service) -> &str {
        &self.paths[service as usize]
    }

    /// Seconds of processor time, of user and system, of the subject's processes and their children.
    pub(crate) fn cpu(&self) -> f64 {
        let ticks: u64 = self.pids().into_iter().filter_map(stat).map(|stat| stat.ticks).sum();
        // Linux' USER_HZ is 100 wherever Rust runs (proc(5)).
        ticks as f64 / 100.0
    }

    /// Octets of memory: PSS, which shares what processes share.
    pub(crate) fn memory(&self) -> u64 {
        self.pids().into_iter().filter_map(pss).sum()
    }

    /// The processes and all below them.
    fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.processes.iter().map(Child::id).collect();
        let parents: Vec<(u32, u32)> = match pids.len() {
            0 => Vec::new(),
            _ => std::fs::read_dir("/proc")
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
                .filter_map(|pid| stat(pid).map(|stat| (pid, stat.parent)))
                .collect(),
        };
        let mut at = 0;
        while let Some(parent) = pids.get(at).copied() {
            pids.extend(parents.iter().filter(|(_, up)| *up == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        pids
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // socat's and websockify's children end with their connections.
        for child in &mut self.processes {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn peer(name: &str, front: SocketAddr, target: SocketAddr) -> Command {
    let mut command = Command::new(name);
    match name {
        "socat" => command
            .arg(format!("TCP-LISTEN:{},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=4096", front.port()))
            .arg(format!("TCP:{target},nodelay")),
        "websockify" => command.args([front.to_string(), target.to_string()]),
        _ => command.args(["--binary", "-q"]).args([format!("ws-l:{front}"), format!("tcp:{target}")]),
    };
    command
}

struct Stat {
    parent: u32,
    /// Of the process and of its children that have ended.
    ticks: u64,
}

/// proc_pid_stat(5).
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, but its bracket is the last.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn pss(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
