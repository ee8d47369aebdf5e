use std::collections::BTreeMap;

use socketlab_netsim::NodeKind;

use crate::{Lab, PROBLEM_KEYS, library};

/// Parses `toml` and compares what is wrong with it, as the command line prints it.
fn check(toml: &str, expected: &[&str]) {
    let found: Vec<String> = match Lab::parse(toml) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(found, expected, "in:\n{toml}");
}

#[test]
fn unknown_fields_name_line_field_and_fix() {
    check(
        "version = 1\n\n[[host]]\nname = \"a\"\nadress = \"10.0.0.1/24\"\n",
        &["lab.toml:5: host[0].adress: there is no field \"adress\" here; did you mean \"address\"?"],
    );
    check(
        "colour = \"red\"\n",
        &[
            "lab.toml:1: colour: there is no field \"colour\" here; known are version, title, host, switch, hub, \
           lan, link, router, gateway, program, service",
        ],
    );
    check(
        "[[host]]\nname = \"a\"\n[[link]]\nbetween = [\"a\", \"b\"]\ndeley = \"1ms\"\n",
        &[
            "lab.toml:4: link[0].between: there is no host, switch, router or gateway \"b\"; did you mean \"a\"?",
            "lab.toml:5: link[0].deley: there is no field \"deley\" here; did you mean \"delay\"?",
        ],
    );
}

#[test]
fn a_link_to_a_missing_host_names_line_field_and_fix() {
    let two = "[[host]]\nname = \"server\"\n[[host]]\nname = \"client\"\n";
    check(
        &format!("{two}[[link]]\nbetween = [\"client\", \"sever\"]\n"),
        &[
            "lab.toml:6: link[0].between: there is no host, switch, router or gateway \"sever\"; did you mean \"server\"?",
        ],
    );
    check(
        &format!("{two}[[link]]\nbetween = [\n  \"client\",\n  \"printer\",\n]\n"),
        &[
            "lab.toml:8: link[0].between: there is no host, switch, router or gateway \"printer\"; add one with that name",
        ],
    );
    check(
        &format!("{two}[[link]]\nbetween = [\"client\"]\n"),
        &[
            "lab.toml:6: link[0].between: a link joins two different nodes; write between = [\"client\", \"server\"]",
        ],
    );
    check(
        &format!("{two}[[program]]\nhost = \"sevrer\"\nfile = \"a.py\"\n"),
        &["lab.toml:6: program[0].host: there is no host \"sevrer\"; did you mean \"server\"?"],
    );
}

#[test]
fn values_that_mean_nothing_say_how_to_write_them() {
    check(
        "[[host]]\nname = \"a\"\naddress = \"10.0.0.256/24\"\n",
        &["lab.toml:3: host[0].address: \"10.0.0.256/24\" is not an address; write it as \"10.0.0.80/24\""],
    );
    let link = "[[host]]\nname = \"a\"\n[[switch]]\nname = \"s\"\n[[link]]\nbetween = [\"a\", \"s\"]\n";
    check(
        &format!("{link}delay = \"5\"\nrate = \"fast\"\nloss = 2\nqueue = 0\njitter = 3\n"),
        &[
            "lab.toml:7: link[0].delay: \"5\" is not a time; write it with its unit, such as \"5ms\" or \"2s\"",
            "lab.toml:8: link[0].rate: \"fast\" is not a rate; write it with its unit, such as \"10mbit\"",
            "lab.toml:9: link[0].loss: 2 is not a probability; write a number from 0 to 1, such as 0.01",
            "lab.toml:10: link[0].queue: 0 is out of range; it must be from 1 to 1000000",
            "lab.toml:11: link[0].jitter: must be \"...\", not integer",
        ],
    );
    check("version = 2\n", &["lab.toml:1: version: this product reads version 1, not 2; write version = 1"]);
    check("[[host]]\n", &["lab.toml:1: host[0].name: the field \"name\" is missing; add name = \"server\""]);
    check(
        "[[host]]\nname = \"å ä\"\n",
        &[
            "lab.toml:2: host[0].name: \"å ä\" cannot be a name; use letters, digits and hyphens, such as \"server-1\"",
        ],
    );
    check(
        "[[host]]\nname = \"a\"\n[[program]]\nhost = \"a\"\nfile = \"a.py\"\nstdin = \"x\"\ntyped = [[\"1s\", \"x\"]]\n",
        &["lab.toml:6: program[0].stdin: a program has either stdin or typed; remove one"],
    );
}

#[test]
fn what_exists_twice_or_in_a_circle_is_refused() {
    check(
        "[[host]]\nname = \"a\"\n[[switch]]\nname = \"A\"\n",
        &["lab.toml:4: name: \"A\" is already the name of something in line 2; choose another"],
    );
    check(
        "[[host]]\nname = \"a\"\naddress = \"10.0.0.1\"\n[[host]]\nname = \"b\"\naddress = \"10.0.0.1/24\"\n",
        &["lab.toml:6: host[1].address: 10.0.0.1 already belongs to \"a\"; choose another"],
    );
    check(
        "[[switch]]\nname = \"s\"\n[[switch]]\nname = \"t\"\n[[link]]\nbetween = [\"s\", \"t\"]\n[[link]]\nbetween = [\"t\", \"s\"]\n",
        &[
            "lab.toml:7: link[1].between: this link closes a loop of switches, in which frames would circle for ever; remove it",
        ],
    );
    check(
        "[[host]]\nname = \"a\"\naddress = \"10.0.0.1/31\"\n[[host]]\nname = \"b\"\n",
        &["lab.toml:5: host[1]: no address is left in 10.0.0.0/31; give addresses in a larger network"],
    );
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let problems = Lab::parse("version = 1\n[[host]\nname = \"a\"\n").unwrap_err();
    assert_eq!(problems[0].line, 2, "{problems:?}");
    assert_eq!(problems[0].key, "lab-syntax");
    // The parser has no place for this one.
    let deep = format!("version = 1\ntitle = \"deep\"\nx{} = 1\n[[host]]\nname = \"a\"\n", ".x".repeat(200));
    let problems = Lab::parse(&deep).unwrap_err();
    assert_eq!((problems[0].line, problems[0].key), (3, "lab-syntax"), "{problems:?}");
}

#[test]
fn every_problem_has_a_key_and_all_its_parameters() {
    for (_, template) in PROBLEM_KEYS {
        assert_eq!(template.matches('{').count(), template.matches('}').count());
    }
    let broken =
        "version = 9\nx = 1\n[[host]]\nname = \"a\"\naddress = \"?\"\ndefault_route = \"10.9.9.9\"\n";
    for problem in Lab::parse(broken).unwrap_err() {
        assert!(PROBLEM_KEYS.iter().any(|(key, _)| *key == problem.key), "{problem:?}");
        assert!(!problem.text.contains('{'), "{problem:?}");
    }
}

#[test]
fn addresses_are_given_out_in_order() {
    let lab = Lab::parse(
        "[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\naddress = \"10.0.0.2/24\"\n[[host]]\nname = \"c\"\n",
    )
    .unwrap();
    let topology = lab.topology();
    let shown: Vec<String> = topology.nodes.iter().map(|n| format!("{} {:?}", n.name, n.addresses)).collect();
    assert_eq!(shown, ["a [10.0.0.1, fd00::1]", "b [10.0.0.2, fd00::2]", "c [10.0.0.3, fd00::3]", "lan []"]);
    assert_eq!(topology.nodes[3].kind, NodeKind::Switch);
    assert_eq!(topology.links.len(), 3);
}

#[test]
fn an_ipv6_address_shows_the_ipv4_address_or_is_given() {
    let lab = Lab::parse(
        "[[host]]\nname = \"a\"\naddress = [\"10.77.3.200/16\", \"2001:db8::5/64\"]\n\
         [[host]]\nname = \"b\"\naddress = \"10.77.3.7/16\"\n",
    )
    .unwrap();
    let shown: Vec<String> = lab.topology().nodes.iter().map(|n| format!("{:?}", n.addresses)).collect();
    assert_eq!(shown, ["[10.77.3.200, 2001:db8::5]", "[10.77.3.7, 2001:db8::3:7]", "[]"]);
}

#[test]
fn each_network_has_its_own_addresses() {
    let lab = Lab::parse(
        "[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n[[host]]\nname = \"c\"\n\
         [[link]]\nbetween = [\"a\", \"b\"]\n[[link]]\nbetween = [\"b\", \"c\"]\n",
    )
    .unwrap();
    let shown: Vec<String> = lab.topology().nodes.iter().map(|n| format!("{:?}", n.addresses)).collect();
    assert_eq!(
        shown,
        ["[10.0.0.1, fd00::1]", "[10.0.0.2, 10.0.1.1, fd00::2, fd00:0:0:1::1]", "[10.0.1.2, fd00:0:0:1::2]"]
    );
}

#[test]
fn a_missing_program_file_is_named_with_the_line_that_wants_it() {
    let lab =
        Lab::parse("[[host]]\nname = \"a\"\n[[program]]\nhost = \"a\"\nfile = \"server.py\"\n").unwrap();
    let files: BTreeMap<String, String> = [("sever.py".to_owned(), String::new())].into();
    let problems = lab.check_files(&files);
    assert_eq!(
        problems[0].to_string(),
        "lab.toml:5: program[0].file: the program file \"server.py\" is not there; did you mean \"sever.py\"?"
    );
    assert_eq!(lab.check_files(&[("server.py".to_owned(), String::new())].into()), []);
}

#[test]
fn shipped_labs_are_sound() {
    let names: Vec<_> = library().iter().map(|lab| lab.name).collect();
    assert_eq!(
        names,
        ["sensors", "sensors-udp", "lossy", "routers", "dns-http", "home-nat", "real-world", "shared-lan"]
    );
    for shipped in library() {
        let lab =
            Lab::parse(shipped.toml).unwrap_or_else(|problems| panic!("{}: {problems:?}", shipped.name));
        let files: BTreeMap<String, String> =
            shipped.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(lab.check_files(&files), [], "{}", shipped.name);
        assert_eq!(lab.programs().len(), files.len(), "{}: every file is run", shipped.name);
        assert_eq!(lab.title(), shipped.sv.title);
        for (name, text) in shipped.files {
            assert!(
                (8..=15).contains(&text.lines().count()),
                "{}/{name} is of a length to read",
                shipped.name
            );
        }
        let tasks =
            |body: &str| body.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
        assert_eq!(tasks(shipped.en.body), tasks(shipped.sv.body), "{}: two languages", shipped.name);
        assert!(tasks(shipped.en.body) >= 4);
    }
}

#[test]
fn the_opening_lab_is_the_slides_scene() {
    let lab = Lab::parse(library()[0].toml).unwrap();
    let topology = lab.topology();
    let hosts: Vec<String> = topology.nodes.iter().map(|n| format!("{} {:?}", n.name, n.addresses)).collect();
    assert_eq!(
        hosts,
        [
            "sensor1 [10.0.0.11, fd00::11]",
            "sensor2 [10.0.0.12, fd00::12]",
            "sensor3 [10.0.0.13, fd00::13]",
            "sensor4 [10.0.0.14, fd00::14]",
            "server [10.0.0.80, fd00::80]",
            "lan []"
        ]
    );
}

#[test]
fn a_spoilt_file_is_a_list_of_problems_or_a_lab() {
    let try_it = |text: &str| match Lab::parse(text) {
        Ok(lab) => lab.build(1).start(),
        Err(problems) => assert!(!problems.is_empty()),
    };
    // It has a table of every kind.
    let whole = library().iter().find(|lab| lab.name == "real-world").unwrap().toml;
    for (at, _) in whole.char_indices() {
        let (head, tail) = whole.split_at(at);
        try_it(head);
        for c in ['"', '[', '=', '0', '\n', 'å'] {
            try_it(&format!("{head}{c}{tail}"));
        }
    }
    let lines: Vec<&str> = whole.lines().collect();
    for i in 0..lines.len() {
        let without: Vec<&str> = lines.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, l)| *l).collect();
        try_it(&without.join("\n"));
    }
    for prefix in 0..=33 {
        try_it(&format!("[[host]]\nname = \"a\"\naddress = \"10.0.0.1/{prefix}\"\n[[host]]\nname = \"b\"\n"));
    }
}

#[test]
fn a_gateway_is_the_default_route_of_its_neighbours() {
    let shipped = library().iter().find(|lab| lab.name == "real-world").unwrap();
    let world = Lab::parse(shipped.toml).unwrap().build(1);
    let routes: Vec<String> =
        world.snapshot()[0].1.routes.iter().map(|(network, hop, _)| format!("{network} {hop:?}")).collect();
    assert!(routes.contains(&"0.0.0.0/0 Some(10.0.0.1)".to_owned()), "{routes:?}");
    let sensors = Lab::parse(library()[0].toml).unwrap().build(1);
    let (_, sensor) = &sensors.snapshot()[0];
    assert!(sensor.routes.iter().all(|(network, ..)| network.prefix_len > 0), "no gateway, no way out");
    assert_eq!(sensor.ifaces[1].mac.to_string(), "02:00:00:00:00:11");
}

#[test]
fn published_ports_name_a_host_and_a_port() {
    let gateway = "[[host]]\nname = \"server\"\n[[gateway]]\nname = \"internet\"\n[[gateway.publish]]\n";
    check(&format!("{gateway}host = \"server\"\nport = 7007\nreal = 8007\nudp = true\n"), &[]);
    check(
        &format!("{gateway}host = \"sever\"\nport = 7007\n"),
        &["lab.toml:6: gateway[0].publish[0].host: there is no host \"sever\"; did you mean \"server\"?"],
    );
    check(
        &format!("{gateway}host = \"server\"\n"),
        &["lab.toml:5: gateway[0].publish[0].port: the field \"port\" is missing; add port = 7007"],
    );
    check(
        &format!("{gateway}host = \"server\"\nport = 0\n"),
        &["lab.toml:7: gateway[0].publish[0].port: 0 is out of range; it must be from 1 to 65535"],
    );
}

/// The routes of a node as ip-route(8) would print them, IPv4 only, without the connected networks.
fn routes(toml: &str, name: &str) -> Vec<String> {
    let lab = Lab::parse(toml).unwrap_or_else(|problems| panic!("{problems:?}"));
    let world = lab.build(1);
    let node = world.topology().nodes.iter().position(|node| node.name == name).unwrap();
    let snapshot = world.snapshot();
    let (_, host) = snapshot.iter().find(|(id, _)| id.0 as usize == node).unwrap();
    let far = host.routes.iter().filter(|(network, hop, _)| hop.is_some() && network.address.is_ipv4());
    far.map(|(network, hop, _)| format!("{network} {}", hop.unwrap())).collect()
}

const CHAIN: &str = "[[host]]\nname = \"a\"\naddress = \"10.0.1.2/24\"\n\
    [[host]]\nname = \"b\"\naddress = \"10.0.3.2/24\"\n\
    [[router]]\nname = \"r1\"\naddress = [\"10.0.1.1/24\", \"10.0.2.1/24\"]\n\
    [[router]]\nname = \"r2\"\naddress = [\"10.0.2.2/24\", \"10.0.3.1/24\"]\n\
    [[link]]\nbetween = [\"a\", \"r1\"]\n[[link]]\nbetween = [\"r1\", \"r2\"]\n\
    [[link]]\nbetween = [\"r2\", \"b\"]\n";

#[test]
fn a_lab_without_routes_finds_them() {
    assert_eq!(routes(CHAIN, "a"), ["0.0.0.0/0 10.0.1.1"]);
    assert_eq!(routes(CHAIN, "r1"), ["10.0.3.0/24 10.0.2.2"]);
    assert_eq!(routes(CHAIN, "r2"), ["10.0.1.0/24 10.0.2.1"]);
    let with_gateway = format!(
        "{CHAIN}[[gateway]]\nname = \"net\"\naddress = \"10.0.2.9/24\"\n\
         [[switch]]\nname = \"s\"\n[[link]]\nbetween = [\"net\", \"s\"]\n"
    )
    .replace("between = [\"r1\", \"r2\"]", "between = [\"r1\", \"s\"]\n[[link]]\nbetween = [\"r2\", \"s\"]");
    // Careful: r2's first link is now the one to the switch, too.
    assert_eq!(routes(&with_gateway, "r1"), ["0.0.0.0/0 10.0.2.9", "10.0.3.0/24 10.0.2.2"]);
    assert_eq!(routes(&with_gateway, "net"), ["10.0.1.0/24 10.0.2.1", "10.0.3.0/24 10.0.2.2"]);
}

#[test]
fn routes_that_are_written_are_all_there_are() {
    let own = CHAIN.replace(
        "name = \"r1\"\n",
        "name = \"r1\"\nroute = [{ to = \"10.0.3.0/25\", via = \"10.0.2.2\" }]\n",
    );
    assert_eq!(routes(&own, "r1"), ["10.0.3.0/25 10.0.2.2"]);
    let none = CHAIN.replace("name = \"a\"\n", "name = \"a\"\ndefault_route = \"none\"\n");
    assert!(routes(&none, "a").is_empty());
    check(
        &CHAIN
            .replace("name = \"r1\"\n", "name = \"r1\"\nroute = [{ to = \"10.0.3\", via = \"10.9.9.9\" }]\n"),
        &[
            "lab.toml:9: router[0].route[0].to: \"10.0.3\" is no network; write it as \"10.0.2.0/24\"",
            "lab.toml:9: router[0].route[0].via: \"10.9.9.9\" is no neighbour's address; write \"on-link\", or an \
             address in 10.0.1.1/24, fd00::1/64, 10.0.2.1/24, fd00:0:0:1::1/64",
        ],
    );
}

#[test]
fn nobody_outside_knows_the_way_behind_a_nat() {
    let nat = CHAIN.replace("name = \"r1\"\n", "name = \"r1\"\nnat = true\noutside = \"r2\"\n");
    assert_eq!(routes(&nat, "a"), ["0.0.0.0/0 10.0.1.1"]);
    assert!(routes(&nat, "r2").is_empty());
    let addresses = Lab::parse(&nat).unwrap().topology().nodes[0].addresses.clone();
    assert_eq!(addresses.len(), 1, "no IPv6 behind it: {addresses:?}");
    check(
        &CHAIN.replace("name = \"r1\"\n", "name = \"r1\"\nnat = true\n"),
        &[
            "lab.toml:9: router[0].outside: which link leads outside? Write outside = \"r2\"; the neighbours are a, r2",
        ],
    );
}

#[test]
fn services_and_firewalls_say_what_is_wrong_with_them() {
    check(
        "[[host]]\nname = \"a\"\naddress = \"dhcp\"\n\
         [[host.firewall]]\naction = \"deny\"\n\
         [[host.firewall]]\naction = \"drop\"\nfrom = \"nowhere\"\nport = \"9-1\"\n\
         [[service]]\nhost = \"b\"\nkind = \"http\"\n\
         [[service]]\nhost = \"a\"\nkind = \"echo\"\npages = { \"/\" = \"x\" }\n\
         [[service]]\nhost = \"a\"\nkind = \"ftp\"\n",
        &[
            "lab.toml:3: host[0].address: nobody in the network of \"a\" gives out addresses; add a [[service]] with \
             kind = \"dhcp\"",
            "lab.toml:5: host[0].firewall[0].action: \"deny\" cannot stand here; write one of \"accept\", \"drop\", \
             \"reject\"",
            "lab.toml:8: host[0].firewall[1].from: \"nowhere\" is no host, address or network; write \"client\" or \
             \"10.0.2.0/24\"",
            "lab.toml:9: host[0].firewall[1].port: \"9-1\" is no port; write a number, or a range such as \
             \"8000-8100\"",
            "lab.toml:11: service[0].host: there is no host \"b\"; did you mean \"a\"?",
            "lab.toml:16: service[1].pages: a service of kind \"echo\" has no \"pages\"; remove it",
            "lab.toml:19: service[2].kind: \"ftp\" cannot stand here; write one of \"dns\", \"dhcp\", \"http\", \
             \"echo\", \"chat\"",
        ],
    );
    check(
        "[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n[[link]]\nbetween = [\"a\", \"b\"]\n\
         [[link.drop]]\nfrom = \"c\"\nframe = 3\n",
        &["lab.toml:8: link[0].drop: \"c\" is at no end of this link; write \"a\" or \"b\""],
    );
}

#[test]
fn a_dhcp_server_tells_what_the_lab_knows() {
    let toml = library().iter().find(|lab| lab.name == "home-nat").unwrap().toml;
    let world = Lab::parse(toml).unwrap().build(1);
    let router = world.topology().nodes.iter().find(|node| node.name == "router").unwrap();
    assert_eq!(router.services, [("dhcp", 67)]);
    let laptop = world.topology().nodes.iter().find(|node| node.name == "laptop").unwrap();
    assert!(laptop.addresses.is_empty(), "it has to ask: {:?}", laptop.addresses);
}

/// The addresses that a room gives its third member.
fn third_member() -> Vec<crate::RoomAddress> {
    let host = |n: u8| crate::RoomAddress {
        mac: socketlab_stack::MacAddr([2, 0x53, 0x4c, 0, 3, n]),
        addresses: vec![socketlab_stack::IpCidr { address: [10, 77, 3, n].into(), prefix_len: 16 }],
    };
    (1..=254).map(host).collect()
}

const SHARED: &str = r#"
[[host]]
name = "server"
address = "10.0.0.80/24"
[[host]]
name = "inner"
[[router]]
name = "r"
[[switch]]
name = "sw"
[[lan]]
name = "class"
room = "7b"
[[link]]
between = ["server", "sw"]
[[link]]
between = ["r", "sw"]
[[link]]
between = ["r", "inner"]
[[link]]
between = ["sw", "class"]
[[service]]
host = "server"
kind = "dns"
names = { "www.lab" = "10.0.0.80" }
"#;

#[test]
fn a_room_gives_the_addresses_of_the_network_that_leads_to_it() {
    let alone = Lab::parse(SHARED).unwrap();
    assert_eq!(alone.lan(), Some(Some("7b")));
    let addresses = |lab: &Lab, name: &str| -> Vec<String> {
        let topology = lab.topology();
        let node = topology.nodes.iter().find(|node| node.name == name).unwrap();
        node.addresses.iter().filter(|a| a.is_ipv4()).map(ToString::to_string).collect()
    };
    assert_eq!(addresses(&alone, "server"), ["10.0.0.80"]);
    assert_eq!(addresses(&alone, "class"), [""; 0], "the port is no host");
    let shared = Lab::parse_in(SHARED, &third_member()).unwrap();
    assert_eq!(addresses(&shared, "server"), ["10.77.3.1"]);
    assert_eq!(addresses(&shared, "r"), ["10.77.3.2", "10.0.1.2"], "only the link to the room is moved");
    assert_eq!(addresses(&shared, "inner"), addresses(&alone, "inner"));
}

#[test]
fn a_lab_without_a_port_to_a_shared_lan_gets_one() {
    for shipped in library() {
        let lab = Lab::parse(shipped.toml).unwrap();
        let text = lab.with_lan(shipped.toml);
        let joined = Lab::parse_in(&text, &third_member());
        let joined = joined.unwrap_or_else(|problems| panic!("{}: {problems:?}", shipped.name));
        assert!(joined.lan().is_some(), "{}", shipped.name);
        let moved =
            joined.topology().nodes.iter().any(|node| node.addresses.contains(&[10, 77, 3, 1].into()));
        assert!(moved, "{}: no host is in the room", shipped.name);
    }
}

#[test]
fn what_cannot_be_shared_is_told() {
    check(
        "[[host]]\nname = \"a\"\n[[lan]]\nname = \"x\"\nroom = \"7 b\"\n[[lan]]\nname = \"y\"\n",
        &[
            "lab.toml:5: lan[0].room: \"7 b\" cannot be a room; use at most 48 letters (a to z), digits, hyphens and \
             underscores",
            "lab.toml:6: lan[1]: a lab has one port to a shared LAN, and \"x\" is it; remove this one",
        ],
    );
    check(
        "[[host]]\nname = \"a\"\n[[service]]\nhost = \"a\"\nkind = \"dhcp\"\n[[lan]]\nname = \"x\"\n",
        &[
            "lab.toml:3: service[0]: in a shared LAN the room gives out the addresses; use DHCP in another network",
        ],
    );
}
