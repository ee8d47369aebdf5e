//! `socketlab run` through its front door: real Python programs, in folders under `labs/` and shipped with the
//! product. `SOCKETLAB_BLESS=1` rewrites each `expected.txt`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn socketlab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

/// The JSON object that `run LAB --json` prints.
fn report(args: &[&str]) -> Value {
    let output = socketlab(&[&["run", "--json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn labs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labs")
}

/// A lab in a temporary folder.
fn lab(toml: &str, programs: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("lab.toml"), toml).expect("writes");
    for (name, text) in programs {
        fs::write(folder.path().join(name), text).expect("writes");
    }
    folder
}

/// One host with one program.
fn alone(program: &str) -> tempfile::TempDir {
    lab(
        "version = 1\n[[host]]\nname = \"alone\"\n[[program]]\nhost = \"alone\"\nfile = \"program.py\"\n",
        &[("program.py", program)],
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A report as text, program by program.
fn story(report: &Value) -> String {
    let mut story = String::new();
    for program in report["programs"].as_array().into_iter().flatten() {
        story += &format!(
            "== {} {}\n{}",
            text(&program["host"]),
            text(&program["file"]),
            text(&program["stdout"])
        );
        if !text(&program["stderr"]).is_empty() {
            story += &format!("-- stderr\n{}", text(&program["stderr"]));
        }
        story += &format!("-- exit {}\n", program["exit"]);
    }
    story
}

/// Runs the lab of this name, and compares with what it is known to print.
fn check(name: &str) {
    let folder = labs().join(name);
    let told = story(&report(&[&folder.display().to_string()]));
    let expected = folder.join("expected.txt");
    if std::env::var_os("SOCKETLAB_BLESS").is_some() {
        fs::write(&expected, &told).expect("writes");
    }
    assert_eq!(told, fs::read_to_string(&expected).unwrap_or_default(), "{name}");
}

#[test]
fn threads_locks_timers_and_pools() {
    check("threads");
}

#[test]
fn a_thread_for_each_client() {
    check("threading-server");
}

#[test]
fn select_poll_and_epoll() {
    check("select");
}

#[test]
fn coroutines() {
    check("asyncio");
}

#[test]
fn the_standard_librarys_web_server() {
    check("http");
}

#[test]
fn a_syntax_error_stops_one_program_and_not_the_others() {
    check("syntax-error");
}

#[test]
fn the_rest_of_the_machine() {
    check("machine");
}

#[test]
fn a_process_for_each_client() {
    check("processes");
}

#[test]
fn alarms_in_virtual_time() {
    check("signals");
}

#[test]
fn descriptors_are_numbers() {
    check("descriptors");
}

#[test]
fn loops_without_a_call_let_others_run() {
    check("loops");
}

#[test]
fn a_students_own_socket_py_shadows_the_librarys() {
    check("shadow");
}

#[test]
fn shipped_labs_run_and_tell_the_same_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["sensors", "sensors-udp"] {
        let captures = ["a.pcapng", "b.pcapng"].map(|file| folder.path().join(file));
        let reports = captures.each_ref().map(|file| report(&[name, "--pcap", &file.display().to_string()]));
        assert_eq!(reports[0], reports[1], "{name}");
        assert_eq!(
            fs::read(&captures[0]).expect("a capture"),
            fs::read(&captures[1]).expect("a capture"),
            "{name}"
        );
        let programs = reports[0]["programs"].as_array().expect("programs");
        assert_eq!(programs.len(), 5);
        for program in programs {
            assert_eq!(program["stderr"], "");
            assert_eq!(
                program["exit"],
                if program["host"] == "server" { Value::from("killed") } else { 0.into() }
            );
        }
        assert!(text(&programs[0]["stdout"]).contains("13404"), "{programs:?}");
        assert_eq!(reports[0]["deadlock"], Value::Null);
        assert_eq!(reports[0]["seed"], 1);
        check_capture(&captures[0], reports[0]["frames"].as_u64().expect("a number"));
    }
    let other = report(&["sensors", "--seed", "7"]);
    assert_eq!(story(&other), story(&report(&["sensors"])), "the seed changes numbers, not what is said");
}

/// tshark finds as many frames as we say, none malformed, no bad checksum, no error.
fn check_capture(file: &Path, frames: u64) {
    let tshark = |filter: &str| {
        let output = Command::new("tshark")
            .args([
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "tcp.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
            ])
            .arg("-r")
            .arg(file)
            .args(["-Y", filter])
            .output()
            .expect("tshark is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(tshark("frame").lines().count() as u64, frames);
    let bad =
        "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0";
    assert_eq!(tshark(bad), "");
    assert_eq!(tshark("tcp.analysis.flags"), "", "nothing is sent twice or out of order");
}

#[test]
fn mistakes_fail_as_on_linux() {
    let folder = labs().join("mistakes");
    let report = report(&[&folder.display().to_string()]);
    assert_eq!(report["programs"][0]["stderr"], "");
    let ours: Vec<String> = text(&report["programs"][0]["stdout"]).lines().map(without_chance).collect();
    let linux = fs::read_to_string(folder.join("expected.txt")).expect("is there");
    let linux: Vec<String> = linux.lines().map(without_chance).collect();
    // The first line is Python's version.
    assert_eq!(ours.len(), linux.len());
    let mut what = "";
    for (ours, linux) in ours.iter().zip(&linux).skip(1) {
        what = ours.strip_prefix("## ").unwrap_or(what);
        assert_eq!(ours, linux, "{what}");
    }
}

#[test]
fn ip_sockets_are_as_on_linux() {
    check("ip-sockets");
}

#[test]
fn ping_and_traceroute_run_as_they_are() {
    check("ping");
}

#[test]
fn routers_pass_ipv6_on() {
    check("routers-v6");
    // Each of the three links asked for neighbours, and all that was sent is sound.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (trace, capture) = (folder.path().join("trace.jsonl"), folder.path().join("all.pcapng"));
    let lab = labs().join("routers-v6").display().to_string();
    report(&[&lab, "--trace", &trace.display().to_string(), "--pcap", &capture.display().to_string()]);
    let trace = fs::read_to_string(trace).expect("a trace");
    let sent: Vec<Value> = trace
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &Value| line["event"] == "frame-sent")
        .collect();
    for (link, target) in [(0, "fd01::1"), (1, "fd02::2"), (2, "fd03::80")] {
        let question = format!("Neighbor Solicitation for {target} ");
        let asked = sent.iter().any(|f| f["link"] == link && text(&f["info"]).starts_with(&question));
        assert!(asked, "link {link}: {question}");
    }
    // The hop limit of the SYN to port 7007, link by link: octet 21 of the frame.
    let syn = sent.iter().filter(|f| text(&f["info"]).contains("→ 7007 [SYN]"));
    let limits: Vec<&str> = syn.filter_map(|f| text(&f["bytes"]).get(42..44)).collect();
    assert_eq!(limits, ["40", "3f", "3e"]);
    let bad = "_ws.malformed || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmpv6.checksum.status == 0";
    let output = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-r"])
        .arg(&capture)
        .args(["-Y", bad])
        .output()
        .expect("tshark is installed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

/// Numbers of three digits or more are ports that the system chose, or amounts of octets that depend on its buffers;
/// but error numbers stay.
fn without_chance(text: &str) -> String {
    let mut result = String::new();
    let mut digits = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let by_chance = digits.len() >= 3 && !result.ends_with("Errno ");
        result.push_str(if by_chance { "N" } else { &digits });
        digits.clear();
        result.push(c);
    }
    result
}

#[test]
fn output_comes_with_its_hosts_name() {
    let output = socketlab(&["run", "sensors"]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.lines().all(|line| line.starts_with("[server] ") || line.starts_with("[sensor")),
        "{printed}"
    );
    assert!(output.status.success());

    let folder = alone("print('no name where there is one program only', end='')\n");
    let output = socketlab(&["run", &folder.path().display().to_string()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no name where there is one program only");
}

/// `socketlab run` with this on its standard input.
fn socketlab_reading(args: &[&str], typed: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(typed.as_bytes()).expect("writes");
    child.wait_with_output().expect("it ends")
}

#[test]
fn lines_of_standard_input_go_to_the_program_that_asks_first() {
    let folder = lab(
        "version = 1\n[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n\
         [[program]]\nhost = \"a\"\nfile = \"a.py\"\n[[program]]\nhost = \"b\"\nfile = \"b.py\"\n",
        &[
            ("a.py", "print('hello', input('name? '))\nprint(input())\n"),
            (
                "b.py",
                "import time\ntime.sleep(1)\nprint('b reads', input())\ntry:\n    input()\n\
                 except EOFError as error:\n    print(error)\n",
            ),
        ],
    );
    let output = socketlab_reading(&["run", &folder.path().display().to_string()], "Ada\nsecond\nthird\n");
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        ["[a] name? [a] hello Ada", "[a] second", "[b] b reads third", "[b] EOF when reading a line"],
        "{output:?}"
    );
    assert!(output.status.success());
}

#[test]
fn views_tell_the_network_beside_what_programs_print() {
    let view = |name: &str, color: &str| {
        let output = socketlab(&["run", "sensors", "--view", name, "--color", color]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let ladder = view("ladder", "never");
    assert_eq!(ladder.lines().filter(|line| line.contains("SYN seq=0") && line.contains('▶')).count(), 4);
    assert_eq!(ladder.matches("sensor1 10.0.0.11").count(), 1, "one line of hosts: {ladder}");
    assert!(ladder.contains("[server] Ny klient") && ladder.contains("┿ ESTABLISHED"), "{ladder}");
    assert!(!ladder.contains('\x1b') && view("ladder", "always").contains('\x1b'));
    let packets = view("packets", "never");
    assert!(packets.contains("13401 → 80 [SYN] Seq=0"), "{packets}");
    let tcpdump = view("tcpdump", "never");
    assert!(tcpdump.contains("IP 10.0.0.11.13401 > 10.0.0.80.80: Flags [S]"), "{tcpdump}");
    let sockets = view("sockets", "never");
    assert!(sockets.contains("--- server at ") && sockets.contains("LISTEN"), "{sockets}");
    assert_eq!(view("quiet", "always"), "");
}

#[test]
fn two_runs_of_each_shipped_lab_are_equal_to_the_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let labs = socketlab(&["labs"]);
    let listed = String::from_utf8_lossy(&labs.stdout).into_owned();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    // Its programs talk to the real world, which is never the same twice.
    let names = names.into_iter().filter(|name| *name != "real-world");
    for name in names {
        let run = |number: u32| {
            let file =
                |kind: &str| folder.path().join(format!("{name}-{number}.{kind}")).display().to_string();
            let (trace, pcap) = (file("jsonl"), file("pcapng"));
            let output = socketlab(&["run", name, "--view", "ladder", "--trace", &trace, "--pcap", &pcap]);
            (
                output.stdout,
                output.stderr,
                fs::read(trace).expect("a trace"),
                fs::read(pcap).expect("a capture"),
            )
        };
        let (one, other) = (run(1), run(2));
        assert!(!one.2.is_empty() && one == other, "{name}: two runs differ");
        for line in String::from_utf8_lossy(&one.2).lines() {
            let line: Value = serde_json::from_str(line).expect("a JSON object");
            assert!(line["at_ns"].is_u64() && !text(&line["event"]).is_empty(), "{line}");
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_run_and_the_files_are_whole() {
    let folder = alone("import time\nprint('begun', flush=True)\nwhile True:\n    pass\n");
    let (trace, pcap) = (folder.path().join("trace.jsonl"), folder.path().join("frames.pcapng"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .arg("run")
        .arg(folder.path())
        .arg("--trace")
        .arg(&trace)
        .arg("--pcap")
        .arg(&pcap)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut begun = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut begun).expect("the program prints");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(fs::read_to_string(trace).expect("a trace").contains("\"begun"));
    assert_eq!(fs::read(pcap).expect("a capture").get(..4), Some(&[0x0a, 0x0d, 0x0d, 0x0a][..]));
}

#[test]
fn exit_statuses() {
    let programs = [
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit(-1)", 255),
        ("import sys; sys.exit('a sentence')", 1),
        ("1 / 0", 1),
        ("import os; os._exit(4)", 4),
        ("raise KeyboardInterrupt", -2),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", 0),
    ];
    for (program, status) in programs {
        let folder = alone(program);
        let report = report(&[&folder.path().display().to_string()]);
        assert_eq!(report["programs"][0]["exit"], status, "{program}: {report}");
    }
}

#[test]
fn a_deadlock_names_what_waits_where() {
    let folder = lab(
        "version = 1\n[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n\
         [[program]]\nhost = \"a\"\nfile = \"a.py\"\n[[program]]\nhost = \"b\"\nfile = \"b.py\"\nstart = \"10ms\"\n",
        &[
            ("a.py", "import socket\ns = socket.create_server(('', 7))\nc, _ = s.accept()\nc.recv(10)\n"),
            ("b.py", "import socket\nc = socket.create_connection(('a', 7))\nc.recv(10)\n"),
        ],
    );
    let lab = folder.path().display().to_string();
    let report = report(&[&lab]);
    let deadlock = report["deadlock"].as_array().expect("a deadlock");
    let places: Vec<_> = deadlock.iter().map(|w| (text(&w["host"]), text(&w["where"]))).collect();
    assert_eq!(places, [("a", "a.py:4"), ("b", "b.py:3")]);
    assert!(text(&deadlock[0]["call"]).starts_with("recv("), "{deadlock:?}");
    let wanted: Vec<_> = deadlock.iter().map(|w| text(&w["waits_for"])).collect();
    assert!(wanted[0].starts_with("octets from 10.0.0.2:"), "{wanted:?}");
    assert_eq!(wanted[1], "octets from 10.0.0.1:7");
    assert!(deadlock[1]["since_ns"].as_u64().is_some_and(|at| at > 10_000_000), "{deadlock:?}");
    let output = socketlab(&["run", &lab]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("  a waits in recv(") && said.contains("at b.py:3 for octets from 10.0.0.1:7"),
        "{said}"
    );
}

#[test]
fn a_deadlock_says_what_each_call_waits_for() {
    for (program, wanted) in [
        ("import socket\nsocket.create_server(('', 7)).accept()\n", "a connection to 0.0.0.0:7"),
        (
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 9))\ns.recv(1)\n",
            "a datagram to 0.0.0.0:9",
        ),
        (
            "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n",
            "a lock or another thread",
        ),
        (
            "import select, socket\nselect.select([socket.create_server(('', 7))], [], [])\n",
            "something on one of its descriptors",
        ),
    ] {
        let report = report(&[&alone(program).path().display().to_string()]);
        assert_eq!(text(&report["deadlock"][0]["waits_for"]), wanted, "{report}");
    }
}

#[test]
fn a_program_that_never_ends_is_cut_off() {
    let folder = alone("import time\nprint('begin')\nwhile True:\n    time.sleep(1)\n");
    let lab = folder.path().display().to_string();
    let report = report(&[&lab, "--until", "60s"]);
    assert_eq!(report["programs"][0]["exit"], "timeout");
    assert_eq!(report["programs"][0]["stdout"], "begin\n");
    assert_eq!(report["virtual_time_ns"], 60_000_000_000_u64);
}

#[test]
fn a_program_that_computes_for_ever_is_stopped() {
    let folder = lab(
        "version = 1\n[[host]]\nname = \"a\"\n[[program]]\nhost = \"a\"\nfile = \"spin.py\"\n\
         [[program]]\nhost = \"a\"\nfile = \"good.py\"\n",
        &[("spin.py", "while True:\n    pass\n"), ("good.py", "print('good')\n")],
    );
    let report = report(&[&folder.path().display().to_string(), "--cpu-limit", "4s"]);
    assert_eq!(report["programs"][0]["exit"], -9);
    assert!(text(&report["programs"][0]["stderr"]).contains("without any system call"), "{report}");
    assert_eq!(report["programs"][1]["stdout"], "good\n");
}

#[test]
fn a_program_that_prints_for_ever_is_stopped_and_lets_others_run() {
    let folder = lab(
        "version = 1\n[[host]]\nname = \"a\"\n[[program]]\nhost = \"a\"\nfile = \"loud.py\"\n\
         [[program]]\nhost = \"a\"\nfile = \"good.py\"\nstart = \"1ms\"\n",
        &[("loud.py", "while True:\n    print('x' * 4000)\n"), ("good.py", "print('good')\n")],
    );
    let report = report(&[&folder.path().display().to_string()]);
    assert_eq!(report["programs"][0]["exit"], -9);
    assert!(text(&report["programs"][0]["stderr"]).contains("printed more than 16 MiB"));
    assert_eq!(report["programs"][1]["stdout"], "good\n");
}

#[test]
fn what_is_wrong_with_a_lab_is_said_with_line_and_field() {
    let folder = lab(
        "version = 1\n[[host]]\nname = \"a\"\n[[link]]\nbetween = [\"a\", \"b\"]\n[[program]]\nhost = \"a\"\nfile = \"a.py\"\n",
        &[("a.py", "")],
    );
    let output = socketlab(&["run", &folder.path().display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("lab.toml:5: link[0].between: "), "{said}");

    let folder =
        lab("version = 1\n[[host]]\nname = \"a\"\n[[program]]\nhost = \"a\"\nfile = \"none.py\"\n", &[]);
    let output = socketlab(&["run", &folder.path().display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("none.py"), "{said}");

    let output = socketlab(&["run", "no-such-lab"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("no-such-lab") && said.contains("sensors"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_python_that_will_not_do_is_named_with_the_way_out() {
    use std::os::unix::fs::PermissionsExt as _;

    let output = socketlab(&["run", "sensors", "--python", "/nowhere/python3"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("/nowhere/python3") && said.contains("--python"), "{said}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = folder.path().join("python3");
    fs::write(&old, "#!/bin/sh\necho /usr/bin/python3\necho 3 9\n").expect("writes");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).expect("is ours");
    let output = socketlab(&["run", "sensors", "--python", &old.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is Python 3.9; programs need 3.10 or later"), "{said}");
}

const GATEWAY: &str = "version = 1\n[[host]]\nname = \"client\"\n[[gateway]]\nname = \"internet\"\n\
     [[gateway.real]]\nname = \"relay\"\ntarget = \"127.0.0.1\"\n\
     [[program]]\nhost = \"client\"\nfile = \"client.py\"\nargs = [\"PORT\"]\n";

#[test]
fn a_gateway_reaches_what_is_allowed_and_nothing_else() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    let echo = std::thread::spawn(move || -> std::io::Result<usize> {
        let (mut connection, _) = server.accept()?;
        let mut data = Vec::new();
        connection.read_to_end(&mut data)?;
        connection.write_all(&data)?;
        Ok(data.len())
    });
    // A megabyte there, the half-close, and the same megabyte back.
    let client = "import socket, sys\n\
         s = socket.create_connection(('relay', int(sys.argv[1])))\n\
         s.sendall(bytes(range(256)) * 4096)\n\
         s.shutdown(socket.SHUT_WR)\n\
         got = b''\n\
         while piece := s.recv(65536):\n    got += piece\n\
         print(len(got), got == bytes(range(256)) * 4096)\n\
         try:\n    socket.create_connection(('relay', 1))\n\
         except OSError as error:\n    print(error)\n";
    let folder = lab(&GATEWAY.replace("PORT", &port.to_string()), &[("client.py", client)]);
    let lab = folder.path().display().to_string();
    let output = socketlab(&["run", &lab, "--json", "--allow", &format!("127.0.0.1:{port}")]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        story(&report),
        "== client client.py\n1048576 True\n[Errno 113] No route to host\n-- exit 0\n"
    );
    assert_eq!(echo.join().expect("the server").expect("its socket"), 1 << 20);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--allow 127.0.0.1:1/tcp"), "the refusal says how to allow it: {said}");
}

#[test]
fn a_new_lab_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = folder.path().join("mine").display().to_string();
    assert!(socketlab(&["new", &lab]).status.success());
    let report = report(&[&lab]);
    assert_eq!(report["programs"][1]["stdout"], "got hej\n");
    assert_eq!(socketlab(&["new", &lab]).status.code(), Some(2), "nothing is overwritten");
    let schema = socketlab(&["lab", "schema"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lab.schema.json");
    assert_eq!(schema.stdout, fs::read(file).expect("is there"), "the schema as editors want it");
    let listed = socketlab(&["labs"]);
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("sensors "));
}

#[test]
fn the_shim_keeps_its_promises_without_a_world() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/tests");
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s"])
        .arg(&tests)
        .output()
        .expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const PUBLISHED: &str = "version = 1\n[[host]]\nname = \"server\"\n[[gateway]]\nname = \"internet\"\n\
     [[gateway.publish]]\nhost = \"server\"\nport = 7007\n\
     [[program]]\nhost = \"server\"\nfile = \"server.py\"\n";

const CAPITALS: &str = "import socket\n\
     with socket.create_server(('', 7007)) as server:\n\
     \x20   client, peer = server.accept()\n\
     \x20   print(peer[0], flush=True)\n\
     \x20   with client:\n\
     \x20       question = b''.join(iter(lambda: client.recv(4096), b''))\n\
     \x20       client.sendall(question.upper())\n";

#[test]
fn a_real_client_reaches_a_program_on_a_simulated_host() {
    use std::io::{BufRead as _, BufReader};
    use std::net::{Shutdown, TcpStream};

    let folder = lab(PUBLISHED, &[("server.py", CAPITALS)]);
    let path = folder.path().display().to_string();
    let mut run = Command::new(env!("CARGO_BIN_EXE_socketlab"))
        .args(["run", &path, "--publish", "127.0.0.1", "--until", "60s"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(run.stderr.take().expect("its standard error")).lines();
    let address = lines.find_map(|line| {
        let line = line.expect("text");
        let (_, rest) = line.split_once("real clients reach the lab at ")?;
        rest.split(' ').next().map(str::to_owned)
    });
    let mut client = TcpStream::connect(address.expect("it says where")).expect("connects");
    let question = "hej på dig ".repeat(20_000);
    let (mut writer, text) = (client.try_clone().expect("a second handle"), question.clone());
    let writing = std::thread::spawn(move || {
        writer.write_all(text.as_bytes()).expect("sends");
        writer.shutdown(Shutdown::Write).expect("finishes");
    });
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("receives");
    writing.join().expect("sent");
    assert!(answer == question.as_bytes().to_ascii_uppercase(), "{} octets", answer.len());
    let output = run.wait_with_output().expect("ends");
    assert!(output.status.success(), "{output:?}");
    // A peer on this very machine has no address that would mean the same in the lab.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "198.18.0.1\n");
}

#[test]
fn without_publish_nobody_comes_and_it_says_how_to() {
    let folder = lab(PUBLISHED, &[("server.py", CAPITALS)]);
    let output = socketlab(&["run", &folder.path().display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--publish 127.0.0.1"), "{said}");
    assert!(!output.status.success(), "the program waits for ever");
}

#[test]
fn built_in_services_have_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("trace.jsonl");
    report(&["dns-http", "--trace", &trace.display().to_string()]);
    let trace = fs::read_to_string(trace).expect("a trace");
    let lines: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let bind = lines.iter().find(|line| line["name"] == "bind" && line["place"] == "dns server");
    assert_eq!(bind.expect("it binds its port")["program"], Value::Null);
    assert!(lines.iter().all(|line| line["program"] != u32::MAX), "no number that is none");

    let view = socketlab(&["run", "dns-http", "--view", "sockets"]);
    let view = String::from_utf8_lossy(&view.stdout);
    assert!(view.contains("http server fd="), "{view}");

    let silent = lab(
        "version = 1\n[[host]]\nname = \"h1\"\n[[host]]\nname = \"h2\"\n[[service]]\nkind = \"echo\"\nhost = \"h2\"\n\
         [[program]]\nhost = \"h1\"\nfile = \"client.py\"\nstart = \"10ms\"\n",
        &[("client.py", "import socket\nsocket.create_connection(('h2', 7)).recv(10)\n")],
    );
    let output = socketlab(&["run", &silent.path().display().to_string()]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("for octets from 10.0.0.2:7 (echo server on h2)"), "{told}");
}
