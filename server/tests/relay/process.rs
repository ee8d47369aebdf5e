//! A relay in a process of its own: with limits of its own, a log that can be read, and figures in /proc.

use std::{
    fs::File,
    io::{Read, Seek},
    net::SocketAddr,
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::common::soon;

/// Ends with the value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: File,
}

impl Process {
    /// With these flags, and at most so many descriptors.
    pub(crate) async fn start(descriptors: u32, flags: &[&str]) -> Process {
        Process::start_logging("info", descriptors, flags).await
    }

    /// The same, with so much in the log.
    pub(crate) async fn start_logging(log_level: &str, descriptors: u32, flags: &[&str]) -> Process {
        let log = tempfile::tempfile().unwrap();
        let mut child = Command::new("sh")
            .env("RUST_LOG", log_level)
            .args(["-c", &format!("ulimit -n {descriptors} && exec \"$@\""), "sh"])
            .args([
                env!("CARGO_BIN_EXE_socketlab-relay"),
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut address, mut admin) = (None, None);
        while address.is_none() || admin.is_none() {
            let line = soon("the relay's address", lines.next_line()).await.unwrap().unwrap();
            let Some((before, rest)) = line.split_once("http://") else { continue };
            // The name is the one that browsers use.
            let port = rest.split('/').next().unwrap().rsplit(':').next().unwrap();
            let place = port.parse().ok().map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)));
            if before.starts_with("Metrics") { admin = place } else { address = place }
        }
        Process { child, address: address.unwrap(), admin: admin.unwrap(), log }
    }

    /// Sends it the signal of this name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// All that it has written to standard error.
    pub(crate) fn log(&mut self) -> String {
        let mut text = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut text).unwrap();
        text
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Octets of resident memory.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// One figure of /metrics; 0 if it is not there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = get(self.admin, "/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Waits until a figure of /metrics has this value.
    pub(crate) async fn until(&self, name: &str, value: u64) {
        let reached = async {
            while self.metric(name).await != value {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        soon(&format!("{name} {value}"), reached).await;
    }
}

/// An answer to a GET, whole.
pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("an HTTP answer", tcp.read_to_string(&mut answer)).await.unwrap();
    answer
}
