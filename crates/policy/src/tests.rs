//! What must be refused, as a table, with two configurations: the default (nothing is allowed) and a wide one that
//! allows everything public on every port. Beside each case stands a rule that names it, to show that the case would
//! pass if the policy let it.

use std::net::IpAddr;

use super::*;

fn policy(rules: &[&str]) -> Policy {
    let mut policy = Policy::new(rules.iter().map(|rule| Rule::parse(rule).unwrap()).collect());
    policy.set_own_addresses(vec!["192.168.7.7".parse().unwrap(), "5.5.5.5".parse().unwrap()]);
    policy.set_own_names(["teacher-pc".to_owned(), "relay.school.example".to_owned()]);
    policy.add_listener("127.0.0.1:8080".parse().unwrap());
    policy
}

/// Everything that a careless operator might write, and public addresses on every port.
const WIDE: [&str; 4] = ["*", "*:1-65535", "0.0.0.0/0:1-65535", "[::/0]:1-65535"];

/// The whole way of a request whose name resolves to `answers`.
fn ask(
    policy: &Policy,
    transport: Transport,
    host: &str,
    port: u16,
    answers: &[&str],
) -> Result<Vec<String>, Why> {
    let parsed = policy.check_request(transport, host, port).map_err(|denial| denial.why)?;
    let found: Vec<IpAddr> = match &parsed {
        Host::Address(address) => vec![*address],
        Host::Name(_) => answers.iter().map(|answer| answer.parse().unwrap()).collect(),
    };
    let good = policy.choose(transport, &parsed, port, &found).map_err(|denial| denial.why)?;
    Ok(good.iter().map(ToString::to_string).collect())
}

fn tcp(rules: &[&str], host: &str, answers: &[&str]) -> Result<Vec<String>, Why> {
    ask(&policy(rules), Transport::Tcp, host, 80, answers)
}

#[test]
fn public_places_are_reached_when_a_rule_says_so() {
    assert_eq!(tcp(&WIDE, "93.184.216.34", &[]), Ok(vec!["93.184.216.34:80".into()]));
    assert_eq!(tcp(&WIDE, "2606:2800:220:1::1", &[]), Ok(vec!["[2606:2800:220:1::1]:80".into()]));
    assert_eq!(tcp(&WIDE, "example.org", &["93.184.216.34"]), Ok(vec!["93.184.216.34:80".into()]));
    assert_eq!(
        tcp(&["example.org:80"], "EXAMPLE.org.", &["93.184.216.34"]),
        Ok(vec!["93.184.216.34:80".into()])
    );
    assert_eq!(tcp(&[], "example.org", &["93.184.216.34"]), Err(Why::NotListed));
    assert_eq!(tcp(&[], "93.184.216.34", &[]), Err(Why::NotListed));
}

/// Cases 1 to 31: addresses, and the rule that opens each (`None`: no rule can).
#[test]
fn special_addresses_are_refused_unless_a_rule_names_them() {
    let cases: &[(&str, Class, Option<&str>)] = &[
        ("127.0.0.1", Class::Loopback, Some("127.0.0.1:80")),
        ("127.255.255.254", Class::Loopback, Some("127.0.0.0/8:80")),
        ("0.0.0.0", Class::Unspecified, None),
        ("0.1.2.3", Class::Unspecified, None),
        ("10.0.0.1", Class::Private, Some("10.0.0.0/8")),
        ("172.16.0.1", Class::Private, Some("172.16.0.0/12")),
        ("172.31.255.255", Class::Private, Some("172.16.0.0/12")),
        ("192.168.1.1", Class::Private, Some("192.168.1.1")),
        ("169.254.169.254", Class::LinkLocal, Some("169.254.169.254:80")),
        ("169.254.170.2", Class::LinkLocal, Some("169.254.0.0/16")),
        ("100.64.0.1", Class::Shared, Some("100.64.0.0/10")),
        ("100.100.100.200", Class::Shared, Some("100.100.100.200:1-80")),
        ("192.0.0.192", Class::Protocol, Some("192.0.0.192")),
        ("168.63.129.16", Class::Metadata, Some("168.63.129.16")),
        ("198.18.0.1", Class::Benchmark, Some("198.18.0.0/15")),
        ("198.19.255.255", Class::Benchmark, Some("198.18.0.0/15")),
        ("192.0.2.1", Class::Documentation, Some("192.0.2.0/24")),
        ("198.51.100.1", Class::Documentation, Some("198.51.100.1")),
        ("203.0.113.1", Class::Documentation, Some("203.0.113.1")),
        ("224.0.0.1", Class::Multicast, None),
        ("239.255.255.250", Class::Multicast, None),
        ("240.0.0.1", Class::Reserved, None),
        ("255.255.255.255", Class::Broadcast, None),
        ("192.88.99.1", Class::Protocol, Some("192.88.99.0/24")),
        ("::1", Class::Loopback, Some("[::1]:80")),
        ("::", Class::Unspecified, None),
        ("fe80::1", Class::LinkLocal, Some("fe80::/10")),
        ("fc00::1", Class::Private, Some("fc00::/7")),
        ("fd00:ec2::254", Class::Private, Some("[fd00::/8]:80")),
        ("ff02::1", Class::Multicast, None),
        ("2001:db8::1", Class::Documentation, Some("2001:db8::/32")),
        ("3fff::1", Class::Documentation, Some("3fff::/20")),
        ("100::1", Class::Protocol, Some("100::/64")),
        ("5f00::1", Class::Protocol, Some("5f00::/16")),
        ("fec0::1", Class::Private, Some("fec0::/10")),
        ("2001:2::1", Class::Benchmark, Some("2001:2::/48")),
        ("4000::1", Class::Reserved, None),
    ];
    for (address, class, rule) in cases {
        assert_eq!(Class::of(address.parse().unwrap()), *class, "{address}");
        let expected = if class.can_be_allowed() { Why::Special(*class) } else { Why::Never(*class) };
        assert_eq!(tcp(&WIDE, address, &[]), Err(expected.clone()), "{address}");
        assert_eq!(
            ask(&policy(&WIDE), Transport::Udp, address, 80, &[]),
            Err(expected.clone()),
            "{address} UDP"
        );
        assert!(tcp(&[], address, &[]).is_err(), "{address} by default");
        let behind = Err(Why::LeadsTo(address.parse().unwrap(), *class));
        assert_eq!(tcp(&WIDE, "example.org", &[address]), behind, "a name that leads to {address}");
        if let Some(rule) = rule {
            let reached = Ok(vec![SocketAddr::new(address.parse().unwrap(), 80).to_string()]);
            assert_eq!(tcp(&[rule], address, &[]), reached, "{address} by {rule}");
        } else {
            let refused = Rule::parse(&format!("[{address}]:80"));
            assert!(matches!(refused, Err(RuleError::Never(..))), "{address}: {refused:?}");
        }
    }
}

/// Cases 24 to 31: an IPv6 address that leads to an IPv4 address is judged as both.
#[test]
fn an_ipv4_address_inside_an_ipv6_address_is_found() {
    let inside =
        |text: &str| address::embedded(address::canonical(text.parse().unwrap())).map(|a| a.to_string());
    let cases: &[(&str, &str)] = &[
        ("::127.0.0.1", "127.0.0.1"),
        ("64:ff9b::7f00:1", "127.0.0.1"),
        ("64:ff9b::a9fe:a9fe", "169.254.169.254"),
        ("64:ff9b:1::7f00:1", "127.0.0.1"),
        ("2002:7f00:1::", "127.0.0.1"),
        ("2002:a9fe:a9fe::", "169.254.169.254"),
        ("2001:0:5ef5:79fd::80ff:fffe", "127.0.0.1"),
        ("::ffff:0:127.0.0.1", "127.0.0.1"),
    ];
    for (outer, inner) in cases {
        assert_eq!(inside(outer).as_deref(), Some(*inner), "{outer}");
        assert_eq!(tcp(&WIDE, outer, &[]), Err(Why::Special(Class::Translated)), "{outer}");
        let outer_only = format!("[{outer}]:80");
        assert!(tcp(&[&outer_only], outer, &[]).is_err(), "{outer}: the inner address is not allowed");
        let inner_too = format!("{inner}:80");
        assert!(tcp(&[&outer_only, &inner_too], outer, &[]).is_ok(), "{outer}: both are");
    }
    for mapped in ["::ffff:127.0.0.1", "::ffff:7f00:1"] {
        assert_eq!(tcp(&WIDE, mapped, &[]), Err(Why::Special(Class::Loopback)), "{mapped}");
        assert!(tcp(&["127.0.0.1:80"], mapped, &[]).is_ok(), "{mapped} is 127.0.0.1");
    }
    assert_eq!(tcp(&WIDE, "::ffff:169.254.169.254", &[]), Err(Why::Special(Class::LinkLocal)));
    assert_eq!(tcp(&WIDE, "::ffff:93.184.216.34", &[]), Ok(vec!["[::ffff:93.184.216.34]:80".into()]));
}

/// Cases 32 to 37: never reach a resolver, whatever the rules are.
#[test]
fn doubtful_spellings_are_no_hosts() {
    let long_label = format!("{}.example.org", "a".repeat(64));
    let long_name = format!("{}org", "abcdefgh.".repeat(28));
    let cases = [
        "",
        " ",
        "127.1",
        "127.0.1",
        "0",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.1",
        "0177.0.0.1",
        "017700000001",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "1.2.3.4.5",
        "1.2.3.256",
        "127.0.0.01",
        "example.0x",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127.0.0.1:80",
        "user@127.0.0.1",
        " 127.0.0.1",
        "127.0.0.1 ",
        "example.org\t",
        "example.org\r\n",
        "exa\0mple.org",
        "127.0.0.1%00.example.com",
        "fe80::1%eth0",
        "１２７.0.0.1",
        "127。0。0。1",
        "exämple.org",
        "еxample.org",
        "under_score.org",
        "-a.example.org",
        "a-.example.org",
        "a..example.org",
        ".example.org",
        "example.org..",
        ".",
        "http://example.org",
        "example.org/x",
        "*",
        "*.example.org",
        ":::",
        "1::2::3",
        &long_label,
        &long_name,
    ];
    for host in cases {
        let refused = policy(&WIDE).check_request(Transport::Tcp, host, 80).unwrap_err();
        assert!(matches!(refused.why, Why::Host(_)), "{host:?}: {refused:?}");
        assert!(refused.is_invalid());
        assert_eq!(refused.hint(), None, "{host:?}");
    }
    for host in
        ["xn--exmple-cua.org", "a.1b.example.org", "1.example.org", "EXAMPLE.ORG.", "0x7f.example.org"]
    {
        assert!(policy(&WIDE).check_request(Transport::Tcp, host, 80).is_ok(), "{host}");
    }
}

/// Cases 38 to 44.
#[test]
fn names_of_this_machine_and_its_neighbourhood_are_refused_before_any_look_up() {
    let local = [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
        "teacher-pc",
        "relay.school.example",
        "metadata.google.internal",
        "instance-data.ec2.internal",
        "kubernetes.default.svc",
        "printer.local",
        "nas.lan",
        "router",
        "fritz.box.home.arpa",
        "x.localdomain",
    ];
    for host in local {
        assert_eq!(tcp(&WIDE, host, &["93.184.216.34"]), Err(Why::LocalName), "{host}");
        let rule = format!("{host}:80");
        assert!(tcp(&[&rule], host, &["93.184.216.34"]).is_ok(), "{host} by a rule with its name");
    }
    assert!(tcp(&["*.lan"], "nas.lan", &["93.184.216.34"]).is_ok());
    assert_eq!(tcp(&["*.lan"], "nas.local", &["93.184.216.34"]), Err(Why::LocalName));
}

#[test]
fn a_name_with_good_and_bad_addresses_is_dialled_at_the_good_ones_only() {
    let both = ["93.184.216.34", "127.0.0.1", "::ffff:10.0.0.1", "2606:2800:220:1::1"];
    assert_eq!(
        tcp(&WIDE, "example.org", &both),
        Ok(vec!["93.184.216.34:80".into(), "[2606:2800:220:1::1]:80".into()])
    );
    let bad = "::ffff:10.0.0.1";
    let private: IpAddr = "10.0.0.1".parse().unwrap();
    assert_eq!(tcp(&WIDE, "example.org", &[bad]), Err(Why::LeadsTo(private, Class::Private)));
    // Rebinding: the second answer is judged like the first.
    assert!(tcp(&WIDE, "example.org", &["93.184.216.34"]).is_ok());
    assert!(tcp(&WIDE, "example.org", &["127.0.0.1"]).is_err());
    assert!(tcp(&WIDE, "example.org", &["5.5.5.5"]).is_err(), "the relay's own machine");
}

/// Cases 17, 45 and 46.
#[test]
fn own_addresses_and_misused_ports_need_a_rule_and_the_relay_itself_is_never_dialled() {
    for own in ["5.5.5.5", "192.168.7.7"] {
        let refused = Err(Why::OwnAddress(own.parse().unwrap()));
        assert_eq!(tcp(&WIDE, own, &[]), refused);
        assert_eq!(
            tcp(&["192.168.0.0/16", "5.0.0.0/8"], own, &[]),
            refused,
            "a network is not meant to include it"
        );
        assert!(tcp(&[&format!("{own}:80")], own, &[]).is_ok());
    }

    let all = policy(&["*", "127.0.0.1:1-65535", "localhost:1-65535"]);
    assert_eq!(ask(&all, Transport::Tcp, "127.0.0.1", 8080, &[]), Err(Why::OwnListener));
    assert_eq!(ask(&all, Transport::Tcp, "::ffff:127.0.0.1", 8080, &[]), Err(Why::OwnListener));
    assert_eq!(ask(&all, Transport::Tcp, "localhost", 8080, &["127.0.0.1"]), Err(Why::OwnListener));
    assert!(ask(&all, Transport::Tcp, "127.0.0.1", 8081, &[]).is_ok());
    let mut everywhere = policy(&["5.5.5.5:1-65535", "127.0.0.1:1-65535"]);
    everywhere.add_listener("0.0.0.0:9090".parse().unwrap());
    assert_eq!(ask(&everywhere, Transport::Tcp, "5.5.5.5", 9090, &[]), Err(Why::OwnListener));
    assert_eq!(ask(&everywhere, Transport::Tcp, "127.0.0.1", 9090, &[]), Err(Why::OwnListener));

    let denial = all.check_request(Transport::Tcp, "93.184.216.34", 0).unwrap_err();
    assert_eq!((denial.why.clone(), denial.is_invalid()), (Why::PortZero, true));
    let misused =
        [(Transport::Tcp, vec![25, 465, 587]), (Transport::Udp, vec![19, 53, 123, 161, 389, 1900, 11211])];
    for (transport, ports) in misused {
        for port in ports {
            let refused =
                ask(&policy(&["*", "example.org"]), transport, "example.org", port, &["93.184.216.34"]);
            assert_eq!(refused, Err(Why::MisusedPort), "{transport} {port}");
            let named = format!("example.org:{port}/{transport}");
            assert!(ask(&policy(&[&named]), transport, "example.org", port, &["93.184.216.34"]).is_ok());
        }
    }
}

#[test]
fn rules_cover_what_they_say_and_no_more() {
    let check = |rule: &str, transport, host: &str, port, expected: bool| {
        let answer = if host == "localhost" { "127.0.0.1" } else { "93.184.216.34" };
        let reached = ask(&policy(&[rule]), transport, host, port, &[answer]);
        assert_eq!(reached.is_ok(), expected, "{rule}: {transport} {host} {port}: {reached:?}");
    };
    use Transport::{Tcp, Udp};
    check("example.org:80", Tcp, "example.org", 80, true);
    check("example.org:80", Udp, "example.org", 80, true);
    check("example.org:80", Tcp, "example.org", 81, false);
    check("example.org:80", Tcp, "www.example.org", 80, false);
    check("example.org:80/udp", Tcp, "example.org", 80, false);
    check("example.org:80/udp", Udp, "example.org", 80, true);
    check("*.example.org:8000-8099", Tcp, "a.b.example.org", 8099, true);
    check("*.example.org:8000-8099", Tcp, "a.b.example.org", 8100, false);
    check("*.example.org", Tcp, "example.org", 80, false);
    check("*.example.org", Tcp, "badexample.org", 80, false);
    check("127.0.0.1:9000-9010", Tcp, "127.0.0.1", 9010, true);
    check("127.0.0.1:9000-9010", Tcp, "127.0.0.1", 9011, false);
    check("127.0.0.1:9000-9010", Tcp, "127.0.0.2", 9000, false);
    check("127.0.0.1:9000-9010", Tcp, "localhost", 9000, false);
    check("localhost:9000-9010", Tcp, "localhost", 9000, true);
    check("localhost:9000-9010", Tcp, "localhost", 9011, false);
    check("localhost:9000-9010", Tcp, "127.0.0.1", 9000, false);
    check("93.184.0.0/16:80", Tcp, "93.184.216.34", 80, true);
    check("93.184.0.0/16:80", Tcp, "93.185.0.1", 80, false);
    check("93.184.0.0/16:80", Tcp, "example.org", 80, false);
}

#[test]
fn rules_are_read_and_written_the_same_way() {
    for text in [
        "example.org",
        "*.example.org:443",
        "*",
        "*:80",
        "192.0.2.7:8000-8099",
        "10.1.0.0/16",
        "10.1.0.0/16:80/tcp",
        "[fd00::7]:80",
        "fd00::7",
        "fd00::/8",
        "[fd00::/8]:80/udp",
        "127.0.0.1:9007/udp",
        "[::1]:9000-9010",
        "example.org/icmp",
        "*/icmp",
        "10.1.0.0/16/icmp",
        "127.0.0.1/icmp",
    ] {
        assert_eq!(Rule::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Rule::parse("[fd00::7]").unwrap().to_string(), "fd00::7");
    assert_eq!(Rule::parse("Example.ORG.").unwrap().to_string(), "example.org");
    let own = Rule::address("127.0.0.1".parse().unwrap(), 9007, Transport::Udp);
    assert_eq!(own, Rule::parse("127.0.0.1:9007/udp").unwrap());
}

#[test]
fn rules_that_cannot_be_read_say_what_to_write() {
    let says = |text: &str, part: &str| {
        let error = Rule::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    says("", "empty");
    says("example.org:", "8000-8099");
    says("example.org:http", "8000-8099");
    says("example.org:0", "8000-8099");
    says("example.org:90-80", "8000-8099");
    says("example.org:+80", "8000-8099");
    says("example.org:70000", "8000-8099");
    says("127.0.0.1", "127.0.0.1:9000-9010");
    says("localhost", "localhost:9000");
    says("::1", "::1:9000");
    says("10.0.0.1/8", "10.0.0.0/8");
    says("10.0.0.0/33", "10.1.0.0/16");
    says("example.org/24", "10.1.0.0/16");
    says("[fd00::7:80", "bracket");
    says("[fd00::7]80", "bracket");
    says("*example.org", "*.example.org");
    says("a.*.org", "*.example.org");
    says("0.0.0.0:80", "no rule can allow it");
    says("exa mple.org", "neither letter");
    says("127.1:80", "four decimal numbers");
    says("example.org:80/icmp", "a ping has no port");
}

#[test]
fn a_refusal_says_what_and_how_to_allow_it() {
    let check = |transport, host: &str, port, sentence: &str, hint: Option<&str>| {
        let wide = policy(&["*"]);
        let denial = wide.check_request(transport, host, port).unwrap_err();
        assert_eq!(denial.to_string(), sentence);
        assert_eq!(denial.hint().as_deref(), hint);
        if let Some(rule) = denial.hint() {
            let opened = policy(&[&rule]);
            assert!(opened.check_request(transport, host, port).is_ok(), "the hint {rule} helps");
        }
    };
    check(Transport::Tcp, "192.168.1.1", 80, "192.168.1.1 is a private address", Some("192.168.1.1:80/tcp"));
    check(Transport::Udp, "::1", 53, "::1 is an address of the relay's own machine", Some("[::1]:53/udp"));
    check(Transport::Tcp, "224.0.0.1", 80, "224.0.0.1 is a multicast address, which no rule can allow", None);
    check(
        Transport::Tcp,
        "1.2.3.4",
        25,
        "tcp port 25 is opened only by a rule that names it",
        Some("1.2.3.4:25/tcp"),
    );
    check(
        Transport::Tcp,
        "localhost",
        80,
        "localhost is a name for this machine or its neighbourhood",
        Some("localhost:80/tcp"),
    );
    let deny_all = policy(&[]).check_request(Transport::Tcp, "example.org", 80).unwrap_err();
    assert_eq!(deny_all.to_string(), "tcp to example.org port 80: no rule of this relay allows it");
    assert_eq!(deny_all.hint().as_deref(), Some("example.org:80/tcp"));

    let named = policy(&["printer.school.example"]);
    let host = named.check_request(Transport::Tcp, "printer.school.example", 80).unwrap();
    let denial = named.choose(Transport::Tcp, &host, 80, &["10.1.2.3".parse().unwrap()]).unwrap_err();
    assert_eq!(denial.to_string(), "printer.school.example leads to 10.1.2.3, a private address");
    assert_eq!(denial.hint().as_deref(), Some("10.1.2.3:80/tcp"));
    let both = policy(&["printer.school.example", "10.1.2.3:80/tcp"]);
    assert!(both.choose(Transport::Tcp, &host, 80, &["10.1.2.3".parse().unwrap()]).is_ok());
}

#[test]
fn a_name_may_be_asked_for_when_some_port_of_it_may_be_reached() {
    let policy = Policy::new(
        ["example.org:443", "127.0.0.1:9007/udp", "*.lab.example", "10.1.2.3:80"]
            .map(|rule| Rule::parse(rule).unwrap())
            .to_vec(),
    );
    let name = |host: &str| policy.check_name(host).is_ok();
    assert!(name("example.org") && name("a.lab.example") && name("127.0.0.1") && name("10.1.2.3"));
    assert!(
        !name("example.com")
            && !name("localhost")
            && !name("127.0.0.2")
            && !name("127.1")
            && !name("printer")
    );
    let host = policy.check_name("example.org").unwrap();
    let addresses = |list: &[&str]| {
        let list: Vec<IpAddr> = list.iter().map(|text| text.parse().unwrap()).collect();
        policy.visible(&host, &list).map(|good| good.len())
    };
    assert_eq!(addresses(&["93.184.216.34", "192.168.1.1"]), Ok(1), "what lies inside is not told");
    let denial = addresses(&["192.168.1.1"]).unwrap_err();
    assert!(matches!(denial.why, Why::LeadsTo(..)), "{denial}");
    let denial = policy.check_name("example.com").unwrap_err();
    assert_eq!(denial.to_string(), "example.com: no rule of this relay allows it");
    assert_eq!(denial.hint().unwrap(), "example.com");
}

#[test]
fn a_ping_needs_a_rule_for_it_or_any_other_for_the_host() {
    let may = |rule: &str, host: &str, found: &str| {
        let policy = policy(&[rule]);
        let found = [found.parse().unwrap()];
        policy.check_ping(host).and_then(|host| policy.visible(&host, &found)).is_ok()
    };
    let public = "93.184.216.34";
    for rule in ["*", "*/icmp", "example.org", "example.org/icmp", "example.org:80", "*.org/icmp"] {
        assert!(may(rule, "example.org", public), "{rule}");
        assert!(!may(rule, "example.org", "192.168.1.1"), "{rule}: what lies inside needs its own");
    }
    assert!(may("127.0.0.1/icmp", "127.0.0.1", "127.0.0.1") && !may("*/icmp", "127.0.0.1", "127.0.0.1"));
    assert!(!may("example.org/icmp", "example.com", public) && !may("224.0.0.0/3", "224.0.0.1", "224.0.0.1"));

    let only = policy(&["example.org/icmp"]);
    assert!(only.check_request(Transport::Tcp, "example.org", 80).is_err(), "it opens nothing else");
    let denial = only.check_ping("10.1.2.3").unwrap_err();
    assert_eq!(denial.hint().as_deref(), Some("10.1.2.3/icmp"));
    assert!(policy(&["10.1.2.3/icmp"]).check_ping("10.1.2.3").is_ok(), "the hint helps");
    let denial = only.check_ping("other.example").unwrap_err();
    assert_eq!(denial.to_string(), "ping to other.example: no rule of this relay allows it");
}
