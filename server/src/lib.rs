//! The relay as a library: one axum server that hands out the page and carries its connections to real endpoints.
//!
//! ```text
//! GET /            the page, embedded                         assets
//! GET /healthz     "ok"
//! /wisp/           Wisp: many TCP and UDP streams             relay     guard: Origin and Host before the upgrade
//! /wsproxy/H:P     one WebSocket is one TCP connection        wsproxy   policy: before each connection
//! /lan/ROOM        Ethernet frames between pages              lan
//! ```
//!
//! [`bind`] opens the sockets, so that a test knows the ports; [`Server::run`] serves until it is told to stop;
//! [`serve`] is both, with Ctrl-C, for the command line. The server knows nothing of hosts, labs or simulated time.
//!
//! Left out, and planned: Wisp version 2 with our extension, rooms for Ethernet frames, class codes, TLS, metrics.

mod assets;
mod demo;
pub mod dial;
mod guard;
mod http;
mod lan;
mod options;
mod relay;
pub mod tcp_info;
mod wsproxy;

use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::serve::ListenerExt;
use socketlab_policy::Policy;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use demo::DemoServices;
pub use lan::{BusError, LanOptions};
pub use options::{OptionsError, ServeOptions};

/// How long connections may take to say good-bye at shutdown.
const GRACE: Duration = Duration::from_secs(3);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The flags do not go together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The bus cannot be used.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A port is taken, or the address is not this machine's.
    #[error(
        "cannot listen on {address} for {what}; end the program that holds the port (`ss -ltnp` names it), or choose \
         another with --listen or --demo-port-base"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What for.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// What every connection shares.
pub(crate) struct Shared {
    pub(crate) options: ServeOptions,
    pub(crate) policy: Policy,
    pub(crate) lan: Arc<lan::Lan>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// One permit for each WebSocket.
    pub(crate) connections: Arc<Semaphore>,
}

/// A relay that listens but does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    demo: Option<DemoServices>,
    shared: Arc<Shared>,
}

/// Opens the sockets.
pub async fn bind(options: ServeOptions) -> Result<Server, BindError> {
    options.check()?;
    let listen =
        |source| BindError::Listen { address: options.listen, what: "the page and the relay", source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let mut policy = Policy::new(options.allow.clone());
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            policy.set_own_addresses(interfaces.iter().map(|interface| interface.ip()).collect())
        }
        Err(error) => {
            tracing::warn!(%error, "own addresses unknown: only loopback and private ones are refused")
        }
    }
    policy.set_own_names(std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned()));
    policy.add_listener(address);
    let stop = CancellationToken::new();
    let demo = match options.demo_services {
        true => Some(demo::start(options.demo_port_base, stop.clone()).await?),
        false => None,
    };
    for rule in demo.iter().flat_map(DemoServices::rules) {
        policy.allow(rule);
    }
    let connections = Arc::new(Semaphore::new(options.max_connections));
    let lan = Arc::new(lan::Lan::open(options.lan.clone()).await?);
    let shared = Arc::new(Shared { options, policy, lan, stop, tasks: TaskTracker::new(), connections });
    Ok(Server { listener, address, demo, shared })
}

impl Server {
    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The demo services, when they were asked for.
    pub fn demo(&self) -> Option<&DemoServices> {
        self.demo.as_ref()
    }

    /// Cancel it to stop the server.
    pub fn stop_token(&self) -> CancellationToken {
        self.shared.stop.clone()
    }

    /// What a person at the terminal needs to know: the address, what is allowed, how to allow more.
    pub fn banner(&self) -> String {
        let mut text = format!("Socketlab is at http://{}/\n", self.address);
        if self.shared.policy.rules().is_empty() {
            text.push_str("Programs in the page can reach no real server.\n");
            text.push_str("  To let them reach one: --allow example.org:80, or --demo-services for some on this machine.\n");
        } else {
            text.push_str("Programs in the page can reach:\n");
            for rule in self.shared.policy.rules() {
                let what = self.demo.as_ref().and_then(|demo| demo.describe(rule));
                text.push_str(&format!(
                    "  {rule}{}\n",
                    what.map_or(String::new(), |what| format!("   {what}"))
                ));
            }
            text.push_str("Nothing else. To allow more: --allow HOST:PORT\n");
        }
        if self.shared.options.open && !options::is_loopback(self.address.ip()) {
            text.push_str("Everybody who reaches this address can use the relay (--open).\n");
        }
        text.push_str("Ctrl-C stops it.\n");
        text
    }

    /// Serves until the stop token is cancelled, then lets connections end.
    pub async fn run(self) -> io::Result<()> {
        let Server { listener, shared, .. } = self;
        let app = http::router(Arc::clone(&shared)).into_make_service_with_connect_info::<SocketAddr>();
        // Small answers must not wait for acknowledgements of the ones before.
        let listener = listener.tap_io(|tcp| {
            if let Err(error) = tcp.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY on an accepted connection");
            }
        });
        let stop = shared.stop.clone();
        let served = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let grace = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let result = tokio::select! {
            result = served.into_future() => result,
            () = grace => Ok(()),
        };
        stop.cancel();
        shared.tasks.close();
        if tokio::time::timeout(GRACE, shared.tasks.wait()).await.is_err() {
            tracing::warn!(open = shared.tasks.len(), "connections cut off at shutdown");
        }
        result
    }
}

/// `socketlab serve`: says where it is, serves until Ctrl-C.
pub async fn serve(options: ServeOptions) -> anyhow::Result<()> {
    // A program that has its own log keeps it.
    let log = tracing_subscriber::fmt().with_target(false).with_writer(io::stderr);
    drop(log.with_ansi(io::stderr().is_terminal()).try_init());
    let server = bind(options).await?;
    io::stdout().write_all(server.banner().as_bytes())?;
    io::stdout().flush()?;
    let stop = server.stop_token();
    tokio::spawn(async move {
        match tokio::signal::ctrl_c().await {
            Ok(()) => tracing::info!("stopping"),
            Err(error) => tracing::error!(%error, "Ctrl-C cannot be heard"),
        }
        stop.cancel();
    });
    Ok(server.run().await?)
}
