//! `--demo-services`: real servers on this machine's loopback, so that "talk to a real server" works without a network.
//! Echo (RFC 862) and daytime (RFC 867) over TCP and UDP, and a small web server.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use axum::{Router, response::Html, routing::get};
use socketlab_policy::{Rule, Transport};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::BindError;

/// A client that neither sends nor takes anything for so long is let go.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the services are.
#[derive(Clone, Copy, Debug)]
pub struct DemoServices {
    /// Sends back what it gets, TCP and UDP.
    pub echo: SocketAddr,
    /// One line with date and time, TCP and UDP.
    pub daytime: SocketAddr,
    /// A small web server.
    pub http: SocketAddr,
}

impl DemoServices {
    /// Exactly what the policy has to allow for them.
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |address: SocketAddr, transport| Rule::address(address.ip(), address.port(), transport);
        vec![
            rule(self.echo, Transport::Tcp),
            rule(self.echo, Transport::Udp),
            rule(self.daytime, Transport::Tcp),
            rule(self.daytime, Transport::Udp),
            rule(self.http, Transport::Tcp),
        ]
    }

    /// What a rule is for.
    pub(crate) fn describe(&self, rule: &Rule) -> Option<&'static str> {
        let names = ["echo", "echo", "date and time", "date and time", "web server"];
        self.rules().iter().position(|own| own == rule).and_then(|at| names.get(at).copied())
    }
}

/// Opens the sockets and serves until `stop`.
pub(crate) async fn start(base: u16, stop: CancellationToken) -> Result<DemoServices, BindError> {
    let port = |offset: u16| if base == 0 { 0 } else { base.saturating_add(offset) };
    let (echo_tcp, echo_udp) = pair(port(7), "the demo echo service").await?;
    let (daytime_tcp, daytime_udp) = pair(port(13), "the demo daytime service").await?;
    let http = local(port(80));
    let what = "the demo web server";
    let listen = |source| BindError::Listen { address: http, what, source };
    let web = TcpListener::bind(http).await.map_err(listen)?;
    let address = |what, result: io::Result<SocketAddr>| {
        result.map_err(|source| BindError::Listen { address: local(base), what, source })
    };
    let services = DemoServices {
        echo: address("the demo echo service", echo_tcp.local_addr())?,
        daytime: address("the demo daytime service", daytime_tcp.local_addr())?,
        http: address(what, web.local_addr())?,
    };

    tokio::spawn(until(stop.clone(), accept(echo_tcp, echo)));
    tokio::spawn(until(stop.clone(), accept(daytime_tcp, daytime)));
    tokio::spawn(until(stop.clone(), answer(echo_udp, |question| question.to_vec())));
    tokio::spawn(until(stop.clone(), answer(daytime_udp, |_| now().into_bytes())));
    tokio::spawn(async move {
        let site = Router::new()
            .route("/", get(|| async { Html(PAGE) }))
            .route("/hello.txt", get(|| async { HELLO }));
        if let Err(error) = axum::serve(web, site).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "demo web server");
        }
    });
    Ok(services)
}

const HELLO: &str = "Hello from a real web server.\n";

const PAGE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Socketlab demo</title></head>
<body><h1>Hello from a real web server</h1><p>See also <a href=\"/hello.txt\">hello.txt</a>.</p></body>
</html>
";

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// TCP and UDP on one port number. With port 0 the number that TCP got may be taken for UDP: then the next one.
async fn pair(port: u16, what: &'static str) -> Result<(TcpListener, UdpSocket), BindError> {
    let failed = |source| BindError::Listen { address: local(port), what, source };
    let mut tries = if port == 0 { 16 } else { 1 };
    loop {
        let tcp = TcpListener::bind(local(port)).await.map_err(failed)?;
        let both = tcp.local_addr().map_err(failed)?;
        match UdpSocket::bind(both).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(source) => {
                tries -= 1;
                if tries == 0 {
                    return Err(failed(source));
                }
            }
        }
    }
}

async fn until(stop: CancellationToken, service: impl Future<Output = ()>) {
    stop.run_until_cancelled(service).await;
}

async fn accept<F>(listener: TcpListener, serve: fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                tokio::spawn(async move {
                    if let Ok(Err(error)) = timeout(PATIENCE, serve(client)).await {
                        tracing::debug!(%peer, %error, "demo service");
                    }
                });
            }
            Err(error) => {
                // Too many open files, for instance: others may close theirs.
                tracing::warn!(%error, "demo service cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn echo(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (mut reading, mut writing) = client.split();
    tokio::io::copy(&mut reading, &mut writing).await?;
    writing.shutdown().await
}

async fn daytime(mut client: TcpStream) -> io::Result<()> {
    client.write_all(now().as_bytes()).await?;
    client.shutdown().await
}

async fn answer(socket: UdpSocket, reply: fn(&[u8]) -> Vec<u8>) {
    let mut question = vec![0; 64 * 1024];
    loop {
        let answered = async {
            let (octets, peer) = socket.recv_from(&mut question).await?;
            socket.send_to(&reply(&question[..octets]), peer).await
        };
        if let Err(error) = answered.await {
            // An earlier answer that nobody took comes back as an error.
            tracing::debug!(%error, "demo service");
        }
    }
}

/// RFC 867 leaves the form open; this is RFC 9110's.
fn now() -> String {
    format!("{}\r\n", httpdate::fmt_http_date(SystemTime::now()))
}
