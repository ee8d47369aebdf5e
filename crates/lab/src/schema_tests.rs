//! The lab file as types, for `docs/lab.schema.json`: editors complete and check a lab with it. The tests keep three
//! things equal: these types, the fields that the reader knows, and the file in `docs`.

#![expect(dead_code, reason = "only their schema is wanted")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// A lab: hosts, how they are connected, and what runs on them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LabFile {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1))]
    version: Option<u32>,
    /// Title, as it stands above the lab.
    title: Option<String>,
    /// Computers that programs run on.
    #[schemars(default)]
    host: Vec<Host>,
    /// Learning switches. Without any link, all hosts share one switch called "lan".
    #[schemars(default)]
    switch: Vec<Switch>,
    /// Hubs: every frame goes out by all other ports.
    #[schemars(default)]
    hub: Vec<Switch>,
    /// The port to a shared LAN, in which hosts of several labs meet. One at most; link it to a switch or host.
    #[schemars(default)]
    lan: Vec<Lan>,
    /// Cables.
    #[schemars(default)]
    link: Vec<Link>,
    /// Routers: they pass packets on between networks.
    #[schemars(default)]
    router: Vec<Router>,
    /// Nodes whose far side is the real world, through the relay.
    #[schemars(default)]
    gateway: Vec<Gateway>,
    /// Students' programs.
    #[schemars(default)]
    program: Vec<Program>,
    /// Built-in services.
    #[schemars(default)]
    service: Vec<Service>,
}

/// The port to a shared LAN. Hosts in its network get their addresses from the room once it is joined.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Lan {
    /// Its name, for links.
    name: String,
    /// The room that is offered for joining.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,48}$"))]
    room: Option<String>,
}

/// A text, or a list of texts.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// A host.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Host {
    /// Its name, for programs and for links.
    #[schemars(regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"))]
    name: String,
    /// "10.0.0.80/24", several of these, or "dhcp". The lab gives out an address otherwise.
    address: Option<Texts>,
    /// Address of a neighbour, "on-link" or "none". The lab finds one otherwise.
    default_route: Option<String>,
    /// The DNS server it asks: a host or an address; "none": it finds all names in its hosts file.
    dns: Option<String>,
    /// It says at the beginning what a real host says when its cable is plugged in.
    announce: Option<bool>,
    /// Routes; with any, the host has only these.
    #[schemars(default)]
    route: Vec<Route>,
    /// Packet filter, for packets in if a rule says nothing else. The first rule that fits decides.
    #[schemars(default)]
    firewall: Vec<Firewall>,
}

/// A switch or hub.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Switch {
    /// Its name, for links.
    name: String,
}

/// A route.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Route {
    /// "10.0.2.0/24"; "0.0.0.0/0" is everything.
    to: String,
    /// Address of the neighbour that knows the way.
    via: String,
}

/// A rule of a packet filter. What is left out fits everything.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Firewall {
    /// What happens to the packet.
    action: Action,
    /// Which way: "in" on hosts, "forward" on routers if it is left out.
    direction: Option<Direction>,
    /// Protocol.
    protocol: Option<Protocol>,
    /// Host, address or network that it comes from.
    from: Option<String>,
    /// Host, address or network that it goes to.
    to: Option<String>,
    /// Destination port, or a range such as "8000-8100".
    port: Option<Ports>,
    /// Source port, or a range.
    source_port: Option<Ports>,
    /// "established": of a conversation that has gone both ways.
    state: Option<State>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Action {
    Accept,
    Drop,
    Reject,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
    Forward,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum State {
    New,
    Established,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Ports {
    One(u16),
    Range(String),
}

/// A router.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Router {
    /// Its name, for links.
    name: String,
    /// One address for each link, in the order of the links. The lab gives out addresses otherwise.
    address: Option<Texts>,
    /// Address of a neighbour, "on-link" or "none". The lab finds one otherwise.
    default_route: Option<String>,
    /// The DNS server it asks.
    dns: Option<String>,
    /// It translates addresses as a home router: true ("port-restricted") or "full-cone".
    nat: Option<Nat>,
    /// The neighbour on the outside, if it translates and no gateway shows which one.
    outside: Option<String>,
    /// Ports of its outside address that belong to hosts inside.
    #[schemars(default)]
    forward: Vec<Forward>,
    /// Routes; with any, the router has only these.
    #[schemars(default)]
    route: Vec<Route>,
    /// Packet filter, for packets through the router if a rule says nothing else.
    #[schemars(default)]
    firewall: Vec<Firewall>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Nat {
    Switch(bool),
    Kind(NatKind),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum NatKind {
    PortRestricted,
    FullCone,
}

/// A port forward.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Forward {
    /// "tcp" if it is left out.
    protocol: Option<StreamOrDatagram>,
    /// Port at the outside address.
    #[schemars(range(min = 1))]
    port: u16,
    /// "nas:80" or "192.168.1.10:80".
    to: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum StreamOrDatagram {
    Tcp,
    Udp,
}

/// A gateway.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Gateway {
    /// Its name, for links.
    name: String,
    /// Its addresses in the lab.
    address: Option<Texts>,
    /// Names that programs use for something in the real world.
    #[schemars(default)]
    real: Vec<Real>,
    /// Ports of programs that the real world can reach.
    #[schemars(default)]
    publish: Vec<Publish>,
}

/// A program's port that the real world can reach.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Publish {
    /// The host of the program.
    host: String,
    /// Its port.
    #[schemars(range(min = 1))]
    port: u16,
    /// The real port that is wished for; any free one otherwise.
    #[schemars(range(min = 1))]
    real: Option<u16>,
    /// UDP instead of TCP.
    udp: Option<bool>,
}

/// A name for something in the real world.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Real {
    /// The name in the lab.
    name: String,
    /// What the relay is asked for instead.
    target: String,
}

/// A link between two nodes, the same in both directions.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Link {
    /// The two nodes.
    between: [String; 2],
    /// Time a bit needs from end to end: "5ms".
    delay: Option<String>,
    /// "10mbit". Without it a frame takes no time to send.
    rate: Option<String>,
    /// Probability that a frame is lost: 0.01 or "1%".
    loss: Option<Chance>,
    /// Up to this much more delay: "1ms".
    jitter: Option<String>,
    /// Probability that a frame arrives twice.
    duplicate: Option<Chance>,
    /// Probability that later frames overtake a frame.
    reorder: Option<Chance>,
    /// Probability that one bit of a frame is flipped.
    corrupt: Option<Chance>,
    /// Frames that may wait for the link.
    #[schemars(range(min = 1, max = 1_000_000))]
    queue: Option<u32>,
    /// Largest IP packet in octets.
    #[schemars(range(min = 576, max = 65_535))]
    mtu: Option<u32>,
    /// Single frames that are lost on purpose.
    #[schemars(default)]
    drop: Vec<Drop>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Chance {
    Part(f64),
    Percent(String),
}

/// A frame that is lost on purpose.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Drop {
    /// Who sends it: one of the link's nodes.
    from: String,
    /// Which of its frames on this link, from 1.
    #[schemars(range(min = 1))]
    frame: u64,
}

/// A student's program.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Program {
    /// The host it runs on.
    host: String,
    /// Its file, beside the lab file.
    file: String,
    /// Arguments after the file's name.
    args: Option<Texts>,
    /// When it starts: "10ms".
    start: Option<String>,
    /// What it reads from standard input, then end of file.
    stdin: Option<String>,
    /// Text at times after its start; an empty text is the end of file.
    typed: Option<Vec<[String; 2]>>,
    /// A server: stopped when all other programs have ended.
    forever: Option<bool>,
}

/// A built-in service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Service {
    /// The host or router it runs on.
    host: String,
    /// What it does.
    kind: Kind,
    /// Its port, if not the usual one: dns 53, dhcp 67, http 80, echo 7, chat 5000.
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// dns: names beside those of the hosts, with a host or address each.
    names: Option<BTreeMap<String, String>>,
    /// http: path and text of each page.
    pages: Option<BTreeMap<String, String>>,
    /// dhcp: "10.0.0.100-10.0.0.199". The upper half of the network otherwise.
    range: Option<String>,
    /// dhcp: how long an address is lent; "1440min" otherwise.
    lease: Option<String>,
    /// dhcp: the default router it tells. The lab finds one otherwise.
    router: Option<String>,
    /// dhcp: the DNS server it tells; the lab's otherwise.
    dns: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Kind {
    Dns,
    Dhcp,
    Http,
    Echo,
    Chat,
}

/// The whole schema.
fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(LabFile);
    schema.insert("title".to_owned(), "Socketlab lab file".into());
    schema.to_value()
}

#[test]
fn the_schema_in_docs_is_the_types() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lab.schema.json");
    let expected = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("SOCKETLAB_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/lab.schema.json is old: cargo xtask bless");
}

#[test]
fn the_types_have_the_fields_that_the_reader_knows() {
    use crate::file::known;

    let schema = schema();
    let fields = |value: &serde_json::Value| -> Vec<String> {
        let mut names: Vec<String> = value["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    for (name, known) in known() {
        let of = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let mut known: Vec<String> = known.iter().map(|field| (*field).to_owned()).collect();
        known.sort();
        assert_eq!(fields(of), known, "{name}");
    }
}
