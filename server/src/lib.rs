//! The relay as a library: one axum server that hands out the page and carries its connections to real endpoints.
//!
//! ```text
//! TCP, TLS         descriptors, time-outs                     accept, tls
//! GET /            the page, embedded                         assets
//! GET /healthz     "ok"; /readyz: whether it takes clients    http
//! /wisp/           Wisp 1 and 2, and our extension            relay     guard: Origin, Host and class code first
//! /wsproxy/H:P     one WebSocket is one TCP connection        wsproxy   policy: before each connection
//! /lan/ROOM        Ethernet frames between pages              lan
//! /metrics         on a listener of its own                   admin     meter: limits
//! ```
//!
//! [`bind`] opens the sockets, so that a test knows the ports; [`Server::run`] serves until it is told to stop;
//! [`serve`] is both, with signals, for the command line. The server knows nothing of hosts, labs or simulated time.

mod accept;
mod admin;
mod assets;
mod demo;
pub mod dial;
pub mod echo;
mod farewell;
mod guard;
mod http;
mod lan;
mod ledger;
mod meter;
mod metrics;
mod options;
mod ports;
mod relay;
mod settings;
pub mod tcp_info;
mod teacher;
mod tls;
mod wsproxy;

use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use ring::rand::{SecureRandom, SystemRandom};
use socketlab_policy::Policy;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    dial::{Resolve, SystemResolver},
    ledger::Ledger,
    meter::{Addresses, Meter},
    metrics::Metrics,
    settings::Settings,
};
pub use demo::DemoServices;
pub use lan::{BusError, LanOptions};
pub use options::{LogFormat, Ports, ServeOptions};
pub use settings::SettingsError;
pub use tls::TlsError;

/// How long connections may take to say good-bye at shutdown.
const GRACE: Duration = Duration::from_secs(3);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The settings file, or what it says.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The bus cannot be used.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A port is taken, or the address is not this machine's.
    #[error(
        "cannot listen on {address} for {what}; end the program that holds the port (`ss -ltnp` names it), or choose \
         another with --listen, --admin or --demo-port-base"
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
    pub(crate) lan: Arc<lan::Lan>,
    /// Where the relay listens.
    pub(crate) address: SocketAddr,
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    pub(crate) tls: watch::Sender<Option<TlsAcceptor>>,
    /// The policy without the operator's rules: what the relay knows of its machine.
    base: Policy,
    made_up: Option<String>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) metrics: Metrics,
    /// What all clients use together.
    pub(crate) meter: Arc<Meter>,
    pub(crate) addresses: Addresses,
    /// The streams that are open.
    pub(crate) ledger: Arc<Ledger>,
    /// WebSockets so far.
    pub(crate) sessions: AtomicU64,
    /// Nothing new is taken in.
    pub(crate) drain: CancellationToken,
    /// Everything ends.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Places for browsers that are turned away.
    pub(crate) farewells: Arc<Semaphore>,
}

/// A relay that listens but does not serve yet.
pub struct Server {
    listener: TcpListener,
    admin: Option<TcpListener>,
    demo: Option<DemoServices>,
    shared: Arc<Shared>,
}

/// Opens the sockets.
///
/// # Errors
/// If the settings are wrong, a certificate cannot be used, or a port is taken.
pub async fn bind(options: ServeOptions) -> Result<Server, BindError> {
    bind_with(options, Arc::new(SystemResolver)).await
}

/// The same with another resolver.
///
/// # Errors
/// As [`bind`].
pub async fn bind_with(options: ServeOptions, resolver: Arc<dyn Resolve>) -> Result<Server, BindError> {
    let (listener, address) = listen(options.listen, "the page and the relay").await?;
    let mut base = Policy::default();
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => base.set_own_addresses(interfaces.iter().map(|interface| interface.ip()).collect()),
        Err(error) => {
            tracing::warn!(%error, "own addresses unknown: only loopback and private ones are refused")
        }
    }
    base.set_own_names(std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned()));
    base.add_listener(address);
    let admin = match options.admin {
        Some(wish) => {
            let (admin, address) = listen(wish, "the operator").await?;
            base.add_listener(address);
            Some(admin)
        }
        None => None,
    };
    let stop = CancellationToken::new();
    let demo = match options.demo_services {
        true => Some(demo::start(options.demo_port_base, stop.clone()).await?),
        false => None,
    };
    for rule in demo.iter().flat_map(DemoServices::rules) {
        base.allow(rule);
    }
    let is_public = !options::is_loopback(options.listen.ip());
    let made_up = (is_public && !options.open && options.token.is_empty()).then(make_up_code);
    let settings = Settings::load(&options, &base, made_up.as_deref())?;
    let tls = tls::acceptor(&options)?;
    let lan = Arc::new(lan::Lan::open(options.lan.clone()).await?);
    let shared = Arc::new(Shared {
        options,
        lan,
        address,
        settings: watch::Sender::new(Arc::new(settings)),
        tls: watch::Sender::new(tls),
        base,
        made_up,
        resolver,
        metrics: Metrics::new(),
        meter: Arc::default(),
        addresses: Addresses::default(),
        ledger: Arc::default(),
        sessions: AtomicU64::new(0),
        drain: CancellationToken::new(),
        stop,
        tasks: TaskTracker::new(),
        farewells: Arc::new(Semaphore::new(farewell::MOST)),
    });
    Ok(Server { listener, admin, demo, shared })
}

async fn listen(wish: SocketAddr, what: &'static str) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError::Listen { address: wish, what, source };
    let listener = TcpListener::bind(wish).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A class code that can be read aloud: ten letters and digits that are not taken for each other, 2^50 of them.
fn make_up_code() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = [0u8; 10];
    // Without random numbers there is no safe code; the system has them before any program runs.
    SystemRandom::new().fill(&mut octets).expect("the system has random numbers");
    let letters = octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 32)]));
    let mut code: String = letters.collect();
    code.insert(5, '-');
    code
}

/// Tells a running server what to do. Any number of copies may be made.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    /// Reads settings file and certificate again. On an error everything stays as it was.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn reload(&self) -> Result<(), BindError> {
        let shared = &self.shared;
        let settings = Settings::load(&shared.options, &shared.base, shared.made_up.as_deref())?;
        if !shared.options.tls_self_signed {
            shared.tls.send_replace(tls::acceptor(&shared.options)?);
        }
        shared.settings.send_replace(Arc::new(settings));
        shared.metrics.reloads.inc();
        Ok(())
    }

    /// Takes nothing new in; ends everything once the open streams have ended, at the latest after
    /// [`ServeOptions::drain`] seconds.
    pub fn drain(&self) {
        self.shared.drain.cancel();
    }

    /// Ends everything now.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// What Prometheus would read.
    pub fn metrics(&self) -> String {
        self.shared.metrics.text()
    }
}

impl Server {
    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Where the operator's listener is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.local_addr().ok())
    }

    /// The demo services, when they were asked for.
    pub fn demo(&self) -> Option<&DemoServices> {
        self.demo.as_ref()
    }

    /// Cancel it to stop the server.
    pub fn stop_token(&self) -> CancellationToken {
        self.shared.stop.clone()
    }

    /// Tells the server what to do while it runs.
    pub fn control(&self) -> Control {
        Control { shared: Arc::clone(&self.shared) }
    }

    /// The page's address; with the class code behind `#`, which no browser sends to anybody.
    pub fn join_link(&self) -> String {
        let scheme = if self.shared.options.has_tls() { "https" } else { "http" };
        let settings = self.shared.settings.borrow();
        let code = settings.profiles.first().and_then(|profile| profile.tokens.first());
        let code = code.filter(|_| settings.closed).map_or(String::new(), |code| format!("#token={code}"));
        let address = self.shared.address;
        let place = match settings.hosts.first() {
            Some(host) => format!("{host}:{}", address.port()),
            None if address.ip().is_unspecified() => format!("{}:{}", own_address(), address.port()),
            None => address.to_string(),
        };
        format!("{scheme}://{place}/{code}")
    }

    /// What a person at the terminal needs to know: the address, what is allowed, how to allow more.
    pub fn banner(&self) -> String {
        let shared = &self.shared;
        let settings = shared.settings.borrow();
        let mut text = format!("Socketlab is at {}\n", self.join_link());
        if settings.closed {
            text.push_str("Give this whole link to your class: what stands behind # is the class code.\n");
        }
        let Some(profile) = settings.profiles.first() else { return text };
        if profile.policy.rules().is_empty() {
            text.push_str("Programs in the page can reach no real server.\n");
            text.push_str("  To let them reach one: --allow example.org:80, or --demo-services for some on this machine.\n");
        } else {
            text.push_str("Programs in the page can reach:\n");
            for rule in profile.policy.rules() {
                let what = self.demo.as_ref().and_then(|demo| demo.describe(rule));
                text.push_str(&format!(
                    "  {rule}{}\n",
                    what.map_or(String::new(), |what| format!("   {what}"))
                ));
            }
            text.push_str("Nothing else. To allow more: --allow HOST:PORT\n");
        }
        if let Some(ports) = profile.ports {
            let which = match ports.low {
                0 => "any free port".to_owned(),
                low => format!("ports {low} to {}", ports.high),
            };
            text.push_str(&format!(
                "Programs in the page can listen on {which} of {}.\n",
                profile.port_address
            ));
        }
        if !settings.closed && !options::is_loopback(shared.address.ip()) {
            text.push_str("Everybody who reaches this address can use the relay (--open).\n");
        }
        if let Some(admin) = self.admin_address() {
            text.push_str(&format!("Metrics are at http://{admin}/metrics\n"));
        }
        text.push_str("Ctrl-C stops it.\n");
        text
    }

    /// Serves until it is stopped, then lets connections end.
    ///
    /// # Errors
    /// None at present; what goes wrong with one client concerns that client.
    pub async fn run(self) -> io::Result<()> {
        let Server { listener, admin, shared, .. } = self;
        if let Some(admin) = admin {
            tokio::spawn(admin::run(admin, Arc::clone(&shared)));
        }
        let router = http::router(Arc::clone(&shared));
        accept::run(listener, Arc::clone(&shared), router).await;
        let patience = Instant::now() + Duration::from_secs(shared.options.drain);
        while !shared.stop.is_cancelled()
            && Instant::now() < patience
            && shared.metrics.streams_open.get() > 0
        {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        shared.stop.cancel();
        shared.tasks.close();
        if tokio::time::timeout(GRACE, shared.tasks.wait()).await.is_err() {
            tracing::warn!(open = shared.tasks.len(), "connections cut off at shutdown");
        }
        Ok(())
    }
}

/// An address by which others may reach this machine, for the join link.
fn own_address() -> std::net::IpAddr {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let mut others =
        found.iter().map(|interface| interface.ip()).filter(|ip| !ip.is_loopback() && ip.is_ipv4());
    others.next().unwrap_or(std::net::IpAddr::from([127, 0, 0, 1]))
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(io::stderr);
    // A program that has its own log keeps it.
    drop(match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    });
}

/// `socketlab serve`: says where it is, serves until Ctrl-C or SIGTERM; SIGHUP reads the settings again.
///
/// # Errors
/// As [`bind`].
pub async fn serve(options: ServeOptions) -> anyhow::Result<()> {
    start_log(options.log_format);
    let server = bind(options).await?;
    io::stdout().write_all(server.banner().as_bytes())?;
    io::stdout().flush()?;
    tokio::spawn(hear_signals(server.control()));
    Ok(server.run().await?)
}

/// The first asks for an end, the second demands it.
async fn hear_signals(control: Control) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return tracing::error!(%error, "signals cannot be heard"),
    };
    let mut asked = false;
    loop {
        match signals.next().await {
            Signal::Reload => match control.reload() {
                Ok(()) => tracing::info!("settings read again"),
                Err(error) => tracing::error!(%error, "settings not read: the old ones stay"),
            },
            Signal::End if asked => return control.stop(),
            Signal::End => {
                tracing::info!("stopping; once more ends it at once");
                asked = true;
                control.drain();
            }
        }
    }
}

enum Signal {
    End,
    #[cfg_attr(not(unix), expect(dead_code, reason = "other systems have no SIGHUP"))]
    Reload,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End,
            _ = self.terminate.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::End,
            // Never again: then the process is ended by other means.
            Err(_) => std::future::pending().await,
        }
    }
}
