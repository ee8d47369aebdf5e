//! A lab's programs and a real host that is neither this machine nor allowed by its address: two network namespaces, one
//! with the relay and `socketlab run`, one with a real server. Names, pings, and a server that vanishes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use socketlab_tests::namespace::{HostPlan, Namespace};
use socketlab_tests::product;

/// A public network, so that rules for names open it.
const RELAY: &str = "93.184.216.1";
const SHOP: &str = "93.184.216.34";

/// Echoes on port 7007, for ever.
const SERVER: &str = "\
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
with Server(('', 7007), Echo) as server:
    print('ready', flush=True)
    server.serve_forever()
";

/// The name, the connection, the ping; a name that nobody has, and one that no rule allows.
const CLIENT: &str = "\
import socket
for row in socket.getaddrinfo('shop.example', 7007, type=socket.SOCK_STREAM):
    print(row[4][0])
with socket.create_connection(('shop.example', 7007)) as s:
    print(s.getpeername())
    s.sendall(b'hej')
    print(s.recv(100))
ping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
ping.settimeout(10)
ping.connect(('shop.example', 0))
try:
    ping.send(b'\\x08\\0\\0\\0\\0\\0\\0\\7hej')
    print('ping', ping.recv(100)[6:])
except OSError as error:
    print('ping', error)
for name in ('gone.example', 'other.example'):
    try:
        socket.create_connection((name, 7007))
    except OSError as error:
        print(name, error)
";

const LAB: &str = "version = 1\n[[host]]\nname = \"client\"\n[[gateway]]\nname = \"internet\"\n";

/// What ends by itself with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The two hosts, and the server on the second one.
struct Net {
    relay: Namespace,
    shop: Namespace,
    folder: tempfile::TempDir,
    _server: Running,
}

impl Net {
    fn new() -> Result<Net> {
        let folder = tempfile::tempdir()?;
        let plan = |name: &str, address: &str| HostPlan {
            name: name.to_owned(),
            addresses: vec![format!("{address}/24")],
            on_link: false,
        };
        let plans = [plan("relay", RELAY), plan("shop.example", SHOP)];
        let [relay, shop] = Namespace::two(&plans, folder.path())?;
        fs::write(folder.path().join("server.py"), SERVER)?;
        let mut server =
            shop.command(folder.path(), "python3").arg("server.py").stdout(Stdio::piped()).spawn()?;
        let out = server.stdout.take().context("its standard output")?;
        let server = Running(server);
        let first = BufReader::new(out).lines().next().context("the server has ended")??;
        ensure!(first == "ready", "{first}");
        Ok(Net { relay, shop, folder, _server: server })
    }

    /// A lab with one program for each of `programs`.
    fn lab(&self, programs: &[(&str, &str)]) -> Result<()> {
        let mut lab = LAB.to_owned();
        for (name, text) in programs {
            fs::write(self.folder.path().join(name), text)?;
            lab += &format!("[[program]]\nhost = \"client\"\nfile = \"{name}\"\n");
        }
        Ok(fs::write(self.folder.path().join("lab.toml"), lab)?)
    }

    fn product(&self) -> Result<Command> {
        let binary = product::binary()?;
        Ok(self.relay.command(self.folder.path(), binary.to_str().context("its path")?))
    }

    fn run(&self, flags: &[&str]) -> Result<Output> {
        let mut run = self.product()?;
        run.args(["run", "lab.toml", "--until", "120s"]).args(flags).stdin(Stdio::null());
        Ok(run.output()?)
    }

    /// A relay on a port of its own namespace; its address.
    fn serve(&self, flags: &[&str]) -> Result<(Running, String)> {
        let mut serve = self.product()?;
        let mut child =
            serve.arg("serve").args(flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().context("its standard output")?;
        let running = Running(child);
        let mut lines = BufReader::new(out).lines();
        loop {
            let line = lines.next().context("the relay has ended")??;
            if line.contains("http://") {
                // Nobody must be stopped by a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok((running, "ws://127.0.0.1:8080/".to_owned()));
            }
        }
    }

    fn sh(host: &Namespace, folder: &Path, line: &str) -> Result<()> {
        let status = host.command(folder, "sh").args(["-c", line]).status()?;
        ensure!(status.success(), "{line}");
        Ok(())
    }
}

const RULES: [&str; 4] = ["--allow", "shop.example", "--allow", "gone.example"];

/// What [`CLIENT`] prints.
fn printed(ping: &str) -> String {
    format!(
        "{SHOP}\n('{SHOP}', 7007)\nb'hej'\nping {ping}\ngone.example [Errno -2] Name or service not known\n\
         other.example [Errno 113] No route to host\n"
    )
}

#[test]
fn real_names_have_their_addresses_and_real_hosts_answer_pings() -> Result<()> {
    let net = Net::new()?;
    net.lab(&[("client.py", CLIENT)])?;
    let (_relay, address) = net.serve(&RULES)?;
    let through_relay = ["--relay", &address];
    // As a namespace begins, nobody may ping; then everybody.
    for (groups, ping) in [("1 0", "[Errno 113] No route to host"), ("0 2147483647", "b'\\x00\\x07hej'")] {
        let line = format!("echo {groups} > /proc/sys/net/ipv4/ping_group_range");
        Net::sh(&net.relay, net.folder.path(), &line)?;
        for flags in [&RULES[..], &through_relay[..]] {
            let output = net.run(flags)?;
            let (out, said) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(out, printed(ping), "{flags:?}: {said}");
            assert!(said.contains("--allow other.example:7007/tcp"), "{said}");
            assert_eq!(said.contains("ping_group_range"), groups == "1 0", "{said}");
        }
    }
    Ok(())
}

/// Says when it is connected, then waits for an octet that never comes.
const QUIET: &str = "\
import socket
s = socket.create_connection(('shop.example', 7007))
print('open', flush=True)
try:
    print(s.recv(1))
except OSError as error:
    print('quiet', error)
";

/// The same, and sends all the time.
const BUSY: &str = "\
import socket, time
s = socket.create_connection(('shop.example', 7007))
print('open', flush=True)
try:
    while True:
        s.sendall(b'x' * 100)
        time.sleep(0.1)
except OSError as error:
    print('busy', error)
";

#[test]
fn a_target_that_vanishes_ends_its_streams() -> Result<()> {
    let net = Net::new()?;
    net.lab(&[("quiet.py", QUIET), ("busy.py", BUSY)])?;
    let (_relay, address) = net.serve(&["--allow", "shop.example", "--target-timeout", "4"])?;
    let mut run = net.product()?;
    run.args(["run", "lab.toml", "--until", "120s", "--relay", &address]).stdin(Stdio::null());
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("its standard output")?;
    let mut said = child.stderr.take().context("its standard error")?;
    let _running = Running(child);
    let mut lines = BufReader::new(out).lines();
    for _ in 0..2 {
        let line = lines.next().context("the run has ended")??;
        ensure!(line.ends_with("open"), "{line}");
    }
    // No FIN, no RST: nothing at all.
    Net::sh(&net.shop, net.folder.path(), "ip link set eth0 down")?;
    let rest = lines.collect::<std::io::Result<Vec<_>>>()?.join("\n");
    let mut text = String::new();
    said.read_to_string(&mut text)?;
    for who in ["quiet", "busy"] {
        let expected = format!("{who} [Errno 104] Connection reset by peer");
        assert!(rest.contains(&expected), "{rest}\n{text}");
    }
    assert!(text.contains("93.184.216.34:7007 has acknowledged nothing for 4s"), "{text}");
    Ok(())
}
