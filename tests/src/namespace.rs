//! Hosts of the real kernel: each a network namespace with its own name and hosts file, joined by veth pairs. They live
//! as long as a process that we hold, so nothing is left behind when a test dies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Sets a host up, step by step, and then lives until its standard input ends.
const SETUP: &str = "\
    set -e; hostname \"$1\"; mount --bind \"$2/hosts\" /etc/hosts; \
    mount --bind \"$2/nsswitch.conf\" /etc/nsswitch.conf; \
    ip link set lo up; \
    for f in default all; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done; \
    echo made; read linked; ip -batch \"$2/$1.ip\"; echo ready; exec cat";

/// What a host is made from.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// Its name.
    pub name: String,
    /// Addresses of its only network card, each with its prefix length.
    pub addresses: Vec<String>,
    /// Is everything a neighbour, or is there no way but to the connected networks?
    pub on_link: bool,
}

/// A running host.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Namespace {
    /// Two hosts with a cable between them. `folder` keeps their configuration files.
    ///
    /// # Errors
    /// If the machine does not let us make namespaces: the text says what is missing.
    pub fn two(hosts: &[HostPlan; 2], folder: &Path) -> Result<[Namespace; 2]> {
        let mut table = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for host in hosts {
            let mut batch = String::from("link set eth0 up\n");
            for address in &host.addresses {
                let ip = address.split('/').next().unwrap_or_default();
                table += &format!("{ip} {}\n", host.name);
                batch += &format!("addr add {address} dev eth0\n");
                if host.on_link {
                    let family = if ip.contains(':') { "-6 " } else { "" };
                    batch += &format!("{family}route add default dev eth0\n");
                }
            }
            std::fs::write(folder.join(format!("{}.ip", host.name)), batch)?;
        }
        std::fs::write(folder.join("hosts"), table)?;
        // The hosts file is all there is: an unknown name is unknown, and nobody is asked.
        std::fs::write(folder.join("nsswitch.conf"), "hosts: files\n")?;
        let mut two = [Namespace::make(&hosts[0].name, folder)?, Namespace::make(&hosts[1].name, folder)?];
        let other = two[1].holder.id().to_string();
        let cable = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &other];
        let output = two[0].command(folder, cable[0]).args(&cable[1..]).output()?;
        ensure!(output.status.success(), "no veth pair: {}", String::from_utf8_lossy(&output.stderr));
        for host in &mut two {
            host.holder.stdin.as_mut().context("its standard input")?.write_all(b"\n")?;
        }
        for host in &mut two {
            host.expect("ready")?;
        }
        Ok(two)
    }

    /// One host that is set up by the lines of `batch`, which are for ip(8); the devices it names have to be made there.
    /// `folder` keeps its configuration files.
    ///
    /// # Errors
    /// If the machine does not let us make namespaces, or ip(8) refuses a line: the text says what is missing.
    pub fn one(name: &str, batch: &str, folder: &Path) -> Result<Namespace> {
        std::fs::write(folder.join(format!("{name}.ip")), batch)?;
        std::fs::write(folder.join("hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        std::fs::write(folder.join("nsswitch.conf"), "hosts: files\n")?;
        let mut host = Namespace::make(name, folder)?;
        host.holder.stdin.as_mut().context("its standard input")?.write_all(b"\n")?;
        host.expect("ready")?;
        Ok(host)
    }

    fn make(name: &str, folder: &Path) -> Result<Namespace> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--uts", "--mount", "sh", "-c", SETUP, "sh", name])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start `unshare` (Debian: apt-get install util-linux)")?;
        let lines = BufReader::new(holder.stdout.take().context("its standard output")?);
        let mut namespace = Namespace { holder, lines };
        namespace.expect("made")?;
        Ok(namespace)
    }

    fn expect(&mut self, wanted: &str) -> Result<()> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        ensure!(
            line.trim() == wanted,
            "cannot make a network namespace: this needs root (or CAP_SYS_ADMIN), `unshare` of util-linux and `ip` of \
             iproute2 (its own words are above)"
        );
        Ok(())
    }

    /// A command that runs on this host, in a folder. It stays one process, so it can be ended by its own number.
    pub fn command(&self, folder: &Path, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "--net", "--uts", "--mount"]);
        // nsenter(1) goes where the other process is.
        command.args(["env", "-C"]).arg(folder).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
