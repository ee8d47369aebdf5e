//! The flags of `socketlab serve`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
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

    /// Start real echo, daytime and web servers on this machine, and allow exactly these
    #[arg(long)]
    pub demo_services: bool,

    /// The services' ports are this + 7 (echo), + 13 (daytime) and + 80 (web); 0 takes any free ones
    #[arg(long, value_name = "PORT", default_value_t = 9000, value_parser = clap::value_parser!(u16).range(0..=65_000))]
    pub demo_port_base: u16,

    /// Listen on an address that other machines reach: everybody who reaches it may use the relay
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

    /// How many WebSockets may be open at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 1024)]
    pub max_connections: usize,

    /// How many streams one WebSocket may have open at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub max_streams: usize,

    /// Seconds to wait for a target to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub connect_timeout: u64,

    /// Seconds after which a WebSocket that says nothing, not even to a ping, is closed
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle_timeout: u64,

    /// Shared LANs
    #[command(flatten)]
    pub lan: LanOptions,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow: Vec::new(),
            demo_services: false,
            demo_port_base: 9000,
            open: false,
            host: Vec::new(),
            allow_origin: Vec::new(),
            require_origin: false,
            max_connections: 1024,
            max_streams: 256,
            connect_timeout: 10,
            idle_timeout: 90,
            lan: LanOptions::default(),
        }
    }
}

impl ServeOptions {
    /// What cannot be served, as a sentence with the way out.
    pub fn check(&self) -> Result<(), OptionsError> {
        if !self.open && !is_loopback(self.listen.ip()) {
            return Err(OptionsError::Open(self.listen));
        }
        Ok(())
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout)
    }

    /// Often enough that a client which is alive is never taken for idle.
    pub(crate) fn ping_every(&self) -> Duration {
        PING.min(self.idle_timeout() / 3)
    }
}

/// How often a client is asked whether it is still there. Middleboxes drop what is silent for a minute.
const PING: Duration = Duration::from_secs(25);

/// Flags that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A relay for everybody, which nobody asked for.
    #[error(
        "{0} can be reached from other machines, and everybody who reaches it could use this relay. \
         Add --open if that is what you want, or listen on 127.0.0.1:{port}",
        port = .0.port()
    )]
    Open(SocketAddr),
}

pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
