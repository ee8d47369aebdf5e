//! What a relay must refuse: literals, spellings, names and ports, at a relay without rules and at one that allows
//! everything public. A permissive policy then lets the same through, which shows that the cases can fail; it is asked
//! without a relay, since nothing here may reach anybody.

use socketlab_policy::{Policy, Rule, Transport};
use socketlab_wisp::{Reason, StreamKind};

use crate::common::{Relay, options, start, start_with_names};

const BLOCKED: Reason = Reason::BLOCKED;
const INVALID: Reason = Reason::INVALID;

/// Addresses that are somebody's inside, written as they are.
const LITERALS: &[&str] = &[
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "198.18.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "5f00::1",
    "2001:0:0:0:0:0:80ff:fffe",
];

/// Addresses that no rule can open.
const NEVER: &[&str] =
    &["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "ff02::1"];

/// Spellings that must never reach a resolver.
const SPELLINGS: &[&str] = &[
    "127.1",
    "127.0.1",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "127.0.0.1:80",
    "user@127.0.0.1",
    "fe80::1%eth0",
    " 127.0.0.1",
    "127.0.0.1 ",
    "127.0.0.1\t",
    "127.0.0.1\r\n",
    "127.0.0.1\0",
    "a\0.example.org",
    "127.0.0.1%00.example.com",
    "１２７.0.0.1",
    "127。0。0。1",
    "exämple.org",
    "аpple.com",
    "",
    "a..b",
];

/// Names of this machine and its neighbourhood.
const LOCAL: &[&str] = &[
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "localhost6",
    "ip6-localhost",
    "printer.local",
    "metadata.google.internal",
    "instance-data.ec2.internal",
    "kubernetes.default.svc",
    "fileserver",
];

async fn refused(relay: &Relay, kind: StreamKind, host: &str, port: u16, expected: Reason) {
    let mut page = relay.page().await;
    let now = page.now();
    let id = match kind {
        StreamKind::Tcp => page.client.open_tcp(now, host, port).unwrap(),
        StreamKind::Udp => {
            let id = page.client.open_udp(host, port).unwrap();
            page.opened(id).await;
            id
        }
    };
    assert_eq!(page.closed(id).await, expected, "{host:?} port {port} {}", kind.name());
}

#[tokio::test]
async fn what_lies_inside_is_refused_in_every_spelling() {
    let long_label = format!("{}.example.org", "a".repeat(64));
    let long_name = "a.".repeat(127) + "org";
    for allow in [&[][..], &["*"]] {
        let relay = start(options(allow)).await;
        for kind in [StreamKind::Tcp, StreamKind::Udp] {
            for host in LITERALS.iter().chain(NEVER).chain(LOCAL) {
                refused(&relay, kind, host, 80, BLOCKED).await;
            }
            for host in SPELLINGS.iter().copied().chain([&*long_label, &*long_name]) {
                refused(&relay, kind, host, 80, INVALID).await;
            }
            refused(&relay, kind, "93.184.216.34", 0, INVALID).await;
        }
        for port in [25, 465, 587] {
            refused(&relay, StreamKind::Tcp, "93.184.216.34", port, BLOCKED).await;
        }
        for port in [19, 53, 123, 161, 389, 1900, 11211] {
            refused(&relay, StreamKind::Udp, "93.184.216.34", port, BLOCKED).await;
        }
        refused(&relay, StreamKind::Tcp, "127.0.0.1", relay.address.port(), BLOCKED).await;
        let own = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        if !own.trim().is_empty() {
            refused(&relay, StreamKind::Tcp, own.trim(), 80, BLOCKED).await;
        }
        for interface in if_addrs::get_if_addrs().unwrap() {
            refused(&relay, StreamKind::Tcp, &interface.ip().to_string(), 80, BLOCKED).await;
        }
    }
}

#[test]
fn a_rule_that_names_them_lets_them_through() {
    let allowed = |rule: &str, host: &str| {
        let policy = Policy::new(vec![Rule::parse(rule).unwrap()]);
        policy.check_request(Transport::Tcp, host, 80).is_ok()
    };
    let leads_elsewhere = |host: &str| ["64:ff9b:", "200", "::ffff:0:"].iter().any(|p| host.starts_with(p));
    // Those that lead to another address want a rule for that one as well.
    for host in LITERALS.iter().filter(|host| !leads_elsewhere(host)) {
        let rule = if host.contains(':') { format!("[{host}]:80") } else { format!("{host}:80") };
        assert!(allowed(&rule, host), "{host}");
    }
    for host in LOCAL {
        assert!(allowed(&format!("{}:80", host.trim_end_matches('.')), host), "{host}");
    }
    for host in NEVER {
        assert!(
            Rule::parse(&format!("[{host}]:80")).is_err() || !allowed(&format!("[{host}]:80"), host),
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_name_is_judged_by_where_it_leads() {
    let names: &[(&str, &[&[&str]])] = &[
        ("inside.example", &[&["127.0.0.1"]]),
        ("mapped.example", &[&["::ffff:10.0.0.1"]]),
        ("nat64.example", &[&["64:ff9b::a9fe:a9fe"]]),
        ("metadata.example", &[&["169.254.169.254", "192.168.1.1"]]),
        ("gone.example", &[&[]]),
    ];
    let relay = start_with_names(options(&["*"]), names).await;
    for name in ["inside.example", "mapped.example", "nat64.example", "metadata.example"] {
        refused(&relay, StreamKind::Tcp, name, 80, BLOCKED).await;
        refused(&relay, StreamKind::Udp, name, 80, BLOCKED).await;
    }
    refused(&relay, StreamKind::Tcp, "gone.example", 80, Reason::UNREACHABLE).await;
    refused(&relay, StreamKind::Tcp, "unknown.example", 80, Reason::UNREACHABLE).await;
}

/// Rebinding: the first answer may be dialled, the next is another. Each request is looked up once and judged by that
/// answer, and of several addresses only the good one is dialled.
#[tokio::test]
async fn a_name_that_changes_its_mind_gets_nowhere() {
    let (listener, address) = crate::common::target().await;
    let rules = [format!("lab.example:{}", address.port()), format!("127.0.0.1:{}", address.port())];
    let answers: &[&[&str]] = &[&["127.0.0.1"], &["192.168.1.1"], &["192.168.1.1", "127.0.0.1"]];
    let relay = start_with_names(options(&[&rules[0], &rules[1]]), &[("lab.example", answers)]).await;
    let mut page = relay.page().await;
    let now = page.now();
    let first = page.client.open_tcp(now, "lab.example", address.port()).unwrap();
    page.opened(first).await;
    listener.accept().await.unwrap();
    let second = page.client.open_tcp(now, "lab.example", address.port()).unwrap();
    assert_eq!(page.closed(second).await, BLOCKED);
    let third = page.client.open_tcp(now, "lab.example", address.port()).unwrap();
    page.opened(third).await;
    listener.accept().await.unwrap();
}
