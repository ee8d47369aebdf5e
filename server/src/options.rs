//! The flags of `socketlab serve`. What may change while it runs becomes [`Settings`](crate::settings::Settings).

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{Args, ValueEnum};
use socketlab_policy::Rule;

use crate::lan::LanOptions;

/// How the relay is to run. `Default` is what `socketlab serve` does without flags.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// Address and port to listen on. Port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    pub listen: SocketAddr,

    /// What programs may reach: HOST[:PORT|:LOW-HIGH][/tcp|/udp], with a name, *.example.org, an address or a
    /// network as HOST, or * for everything public. Again for each rule; nothing is allowed without
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<Rule>,

    /// Start real echo, daytime and web servers on this machine, and allow exactly these; lend out ports, too
    #[arg(long)]
    pub demo_services: bool,

    /// The services' ports are this + 7 (echo), + 13 (daytime) and + 80 (web), ports to lend + 100 to + 199; 0 takes
    /// any free ones
    #[arg(long, value_name = "PORT", default_value_t = 9000, value_parser = clap::value_parser!(u16).range(0..=65_000))]
    pub demo_port_base: u16,

    /// A settings file (TOML): rules, class codes and limits. Read again on SIGHUP. What it names goes before flags
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    // Who gets in.
    /// A class code that clients have to know. Again for each. On an address that other machines reach one is made up
    /// unless it is given here or in the settings file
    #[arg(long, value_name = "CODE", value_parser = token)]
    pub token: Vec<String>,

    /// Let in everybody who reaches the address, without a class code
    #[arg(long)]
    pub open: bool,

    /// A name under which browsers may open the page, besides localhost and addresses. Again for each name
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,

    /// A page that another server serves and that may use this relay, as its Origin: https://lab.school.example.
    /// Again for each
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,

    /// Turn away clients that send no Origin: programs that are not browsers
    #[arg(long)]
    pub require_origin: bool,

    /// A proxy in front of this relay, whose X-Forwarded-For is believed. Again for each
    #[arg(long, value_name = "ADDRESS")]
    pub trusted_proxy: Vec<IpAddr>,

    // TLS.
    /// Certificate chain (PEM), for https and wss
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// https and wss with a certificate made now; browsers warn of it
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_self_signed: bool,

    // Ports for programs that listen.
    /// Real ports that programs may listen on: LOW-HIGH. None are lent without
    #[arg(long, value_name = "LOW-HIGH")]
    pub publish: Option<Ports>,

    /// The address of these ports; without it 127.0.0.1, so that only this machine reaches them
    #[arg(long, value_name = "ADDRESS")]
    pub publish_address: Option<IpAddr>,

    /// How many of these ports one client may have at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    pub publish_quota: u16,

    // Limits.
    /// How many WebSockets may be open at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 1024)]
    pub max_connections: usize,

    /// How many of them may come from one address
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub max_connections_per_address: usize,

    /// How many streams one WebSocket may have open at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub max_streams: usize,

    /// How many streams one WebSocket may open per second; 0 is without limit
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    pub max_opens: u32,

    /// Octets per second that one WebSocket may move, both ways together; 0 is without limit
    #[arg(long, value_name = "OCTETS", default_value_t = 0)]
    pub max_rate: u64,

    /// Octets of a message at most
    #[arg(long, value_name = "OCTETS", default_value_t = MAX_MESSAGE, value_parser = message_size)]
    pub max_message: usize,

    /// Seconds to wait for a target to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub connect_timeout: u64,

    /// Seconds after which a target that acknowledges nothing any more is given up; 0 leaves that to the system
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub target_timeout: u64,

    /// Seconds after which a WebSocket that says nothing, not even to a ping, is closed
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle_timeout: u64,

    /// Seconds after which a TCP stream that moves nothing is closed; 0 is never
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub stream_idle_timeout: u64,

    /// Seconds that a client may take for TLS and for the head of a request
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub header_timeout: u64,

    /// Seconds that open streams get to end when the relay is stopped; a second signal ends it at once
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub drain: u64,

    // For the operator.
    /// Where /metrics (Prometheus), /healthz and /readyz are served; nowhere without
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin: Option<SocketAddr>,

    /// A welcome message for clients
    #[arg(long, value_name = "TEXT")]
    pub motd: Option<String>,

    /// How the log is written, on standard error. RUST_LOG chooses what is in it
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Shared LANs
    #[command(flatten)]
    pub lan: LanOptions,
}

/// Octets in a message at most. epoxy-tls sends 267 KB for one large POST; libcurl.js 65,541.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object in a line.
    Json,
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first; 0: any free port, and no other.
    pub low: u16,
    /// The last.
    pub high: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Ports, String> {
        let bad = || format!("{text:?} is no range of ports: write 20000-20099");
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high) = (low.trim().parse().map_err(|_| bad())?, high.trim().parse().map_err(|_| bad())?);
        if low > high || (low == 0 && high != 0) {
            return Err(bad());
        }
        Ok(Ports { low, high })
    }
}

/// A class code travels as a WebSocket subprotocol, so it has the letters that one may have (RFC 9110 5.6.2).
fn token(text: &str) -> Result<String, String> {
    let good = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if text.len() < 4 || text.len() > 128 || !text.bytes().all(good) {
        return Err("a class code has 4 to 128 letters, digits, or any of !#$%&'*+-.^_`|~".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn check_token(text: &str) -> Result<String, String> {
    token(text)
}

fn message_size(text: &str) -> Result<usize, String> {
    // A datagram must fit (65,507), and libcurl.js' messages of 65,541.
    match text.parse() {
        Ok(octets @ 66_000..=67_108_864) => Ok(octets),
        _ => Err("a number of octets from 66000 to 67108864".to_owned()),
    }
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow: Vec::new(),
            demo_services: false,
            demo_port_base: 9000,
            config: None,
            token: Vec::new(),
            open: false,
            host: Vec::new(),
            allow_origin: Vec::new(),
            require_origin: false,
            trusted_proxy: Vec::new(),
            tls_cert: None,
            tls_key: None,
            tls_self_signed: false,
            publish: None,
            publish_address: None,
            publish_quota: 4,
            max_connections: 1024,
            max_connections_per_address: 256,
            max_streams: 256,
            max_opens: 200,
            max_rate: 0,
            max_message: MAX_MESSAGE,
            connect_timeout: 10,
            target_timeout: 60,
            idle_timeout: 90,
            lan: LanOptions::default(),
            stream_idle_timeout: 3600,
            header_timeout: 10,
            drain: 5,
            admin: None,
            motd: None,
            log_format: LogFormat::Text,
        }
    }
}

impl ServeOptions {
    pub(crate) fn has_tls(&self) -> bool {
        self.tls_self_signed || self.tls_cert.is_some()
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout)
    }
}

pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
