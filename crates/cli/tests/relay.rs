//! `socketlab run --relay` at the real relay, which runs in this process: what the page reaches through it, a lab on
//! the command line reaches, too.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use socketlab_server::dial::{Lookup, Resolve};
use socketlab_server::{DemoServices, ServeOptions, bind_with};
use tokio::runtime::Runtime;

/// Knows one name.
#[derive(Debug)]
struct OneName;

impl Resolve for OneName {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            match name {
                "echo.example" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
                _ => Err(std::io::ErrorKind::NotFound.into()),
            }
        })
    }
}

/// A relay with real servers behind it, on free ports. It ends with the runtime.
struct Relay {
    address: String,
    demo: DemoServices,
    _runtime: Runtime,
}

impl Relay {
    fn start(token: &[&str]) -> Relay {
        let runtime = Runtime::new().expect("a runtime");
        let options = ServeOptions {
            listen: "127.0.0.1:0".parse().expect("an address"),
            demo_services: true,
            // A name has to be allowed as a name; where it leads, the services' own rules say.
            allow: vec!["echo.example:1-65535".parse().expect("a rule")],
            demo_port_base: 0,
            token: token.iter().map(|&code| code.to_owned()).collect(),
            ..ServeOptions::default()
        };
        let server = runtime.block_on(bind_with(options, Arc::new(OneName))).expect("the relay starts");
        let address = server.address().to_string();
        let demo = *server.demo().expect("its services");
        runtime.spawn(server.run());
        Relay { address, demo, _runtime: runtime }
    }
}

const LAB: &str = "version = 1\n[[host]]\nname = \"client\"\n[[gateway]]\nname = \"internet\"\n\
     [[gateway.real]]\nname = \"real\"\ntarget = \"127.0.0.1\"\n\
     [[program]]\nhost = \"client\"\nfile = \"client.py\"\nargs = [\"PORT\"]\n";

fn lab(toml: &str, name: &str, program: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("lab.toml"), toml).expect("writes");
    fs::write(folder.path().join(name), program).expect("writes");
    folder
}

/// What the program printed, and what we said beside it.
fn run(port: u16, program: &str, relay: &str) -> (String, String) {
    let folder = lab(&LAB.replace("PORT", &port.to_string()), "client.py", program);
    let output = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .args(["run", &folder.path().display().to_string(), "--json", "--until", "60s", "--relay", relay])
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let text = |stream: &str| report["programs"][0][stream].as_str().unwrap_or_default().to_owned();
    (text("stdout") + &text("stderr"), format!("{said}\n{report}"))
}

/// A megabyte there, the half-close, and the same megabyte back; a datagram; a name that only the relay can look up;
/// what its rules do not allow, and a name that nobody knows.
const EVERYTHING: &str = "import socket, sys\n\
port = int(sys.argv[1])\n\
data = bytes(range(256)) * 4096\n\
s = socket.create_connection(('real', port))\n\
s.sendall(data)\n\
s.shutdown(socket.SHUT_WR)\n\
got = b''\n\
while piece := s.recv(65536):\n    got += piece\n\
print('TCP', len(got), got == data)\n\
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
u.settimeout(20)\n\
u.sendto(b'hej', ('real', port))\n\
print('UDP', u.recvfrom(100)[0])\n\
s = socket.create_connection(('echo.example', port))\n\
s.sendall(b'by name')\n\
print('name', s.recv(100))\n\
for host, port in (('real', 1), ('unknown.example', port)):\n\
\x20   try:\n        socket.create_connection((host, port))\n\
\x20   except OSError as error:\n        print(host, error)\n";

#[test]
fn programs_reach_real_servers_through_the_relay_and_its_rules_hold() {
    let relay = Relay::start(&[]);
    let (printed, said) = run(relay.demo.echo.port(), EVERYTHING, &format!("ws://{}/", relay.address));
    assert_eq!(
        printed,
        "TCP 1048576 True\nUDP b'hej'\nname b'by name'\nreal [Errno 113] No route to host\n\
         unknown.example [Errno 113] No route to host\n",
        "{said}"
    );
    assert!(said.contains("127.0.0.1:1"), "the refusal says what was refused: {said}");
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    // Nobody listens there once this is dropped.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    let runtime = Runtime::new().expect("a runtime");
    let options = ServeOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        allow: vec![format!("127.0.0.1:{port}").parse().expect("a rule")],
        ..ServeOptions::default()
    };
    let server = runtime.block_on(bind_with(options, Arc::new(OneName))).expect("the relay starts");
    let relay = format!("ws://{}/", server.address());
    runtime.spawn(server.run());
    drop(nobody);
    let program = "import socket, sys\n\
        try:\n    socket.create_connection(('real', int(sys.argv[1])))\n\
        except OSError as error:\n    print(error)\n";
    let (printed, said) = run(port, program, &relay);
    assert_eq!(printed, "[Errno 111] Connection refused\n", "{said}");
}

/// Sends one octet and says how it went.
const ASK: &str = "import socket, sys\n\
    try:\n\
    \x20   s = socket.create_connection(('real', int(sys.argv[1])))\n\
    \x20   s.sendall(b'x')\n\
    \x20   print(s.recv(1))\n\
    except OSError as error:\n    print(error)\n";

#[test]
fn a_class_code_lets_in_and_its_lack_is_explained() {
    let relay = Relay::start(&["abcde-fghij"]);
    let (port, address) = (relay.demo.echo.port(), &relay.address);
    // As the page is named in the link that the relay prints.
    let (printed, said) = run(port, ASK, &format!("http://{address}/#token=abcde-fghij"));
    assert_eq!(printed, "b'x'\n", "{said}");

    let (printed, said) = run(port, ASK, &format!("ws://{address}/"));
    assert!(printed.starts_with("[Errno 1"), "{printed}");
    assert!(said.contains("wants a class code: add #token=CODE"), "{said}");
    let (_, said) = run(port, ASK, &format!("ws://{address}/#token=other-other"));
    assert!(said.contains("does not know this class code"), "{said}");
}

#[test]
fn without_a_relay_it_is_said_how_to_start_one() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let (printed, said) = run(7, ASK, &format!("ws://{address}/"));
    assert!(printed.starts_with("[Errno 1"), "{printed}");
    assert!(said.contains("cannot reach the relay") && said.contains("`socketlab serve`"), "{said}");
    assert_eq!(said.matches("cannot reach").count(), 1, "{said}");
    assert!(!said.contains("  "), "{said}");
}

const PUBLISHED: &str = "version = 1\n[[host]]\nname = \"server\"\n[[gateway]]\nname = \"internet\"\n\
     [[gateway.publish]]\nhost = \"server\"\nport = 7007\n\
     [[program]]\nhost = \"server\"\nfile = \"server.py\"\n";

const CAPITALS: &str = "import socket\n\
     with socket.create_server(('', 7007)) as server:\n\
     \x20   client, peer = server.accept()\n\
     \x20   with client:\n\
     \x20       question = b''.join(iter(lambda: client.recv(4096), b''))\n\
     \x20       client.sendall(question.upper())\n";

#[test]
fn a_port_that_the_relay_lends_leads_to_a_program() {
    let relay = Relay::start(&[]);
    let folder = lab(PUBLISHED, "server.py", CAPITALS);
    let mut run = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .args(["run", &folder.path().display().to_string(), "--until", "60s"])
        .args(["--relay", &format!("ws://{}/", relay.address)])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut said = String::new();
    let address = BufReader::new(run.stderr.take().expect("its standard error")).lines().find_map(|line| {
        let line = line.expect("text");
        said += &line;
        let (_, rest) = line.split_once("real clients reach the lab at ")?;
        rest.split(',').next().map(str::to_owned)
    });
    let address = address.unwrap_or_else(|| panic!("it says where: {said}"));
    let mut client = TcpStream::connect(address).expect("connects");
    let question = "hej ".repeat(20_000);
    client.write_all(question.as_bytes()).expect("sends");
    client.shutdown(Shutdown::Write).expect("finishes");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("receives");
    assert!(answer == question.to_ascii_uppercase(), "{} octets", answer.len());
    assert!(run.wait().expect("ends").success());
}
