//! From a TCP connection to a request: descriptors, TLS, time-outs. What comes after is HTTP's business.
//!
//! A client that says nothing costs a descriptor and a timer until [`ServeOptions::header_timeout`]. When descriptors
//! run out, one that was kept in reserve takes the next connection and tells it so.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower_service::Service;

use crate::Shared;

/// Plain HTTP connections at a time besides the WebSockets: those that load the page. A choice.
const MOST_PLAIN: usize = 512;

/// A wait after descriptors ran out, so that the loop does not spin. A choice.
const PAUSE: Duration = Duration::from_millis(50);

/// Octets that the kernel may hold for a client before they are sent (TCP_NOTSENT_LOWAT, tcp(7)). Without it a download
/// fills megabytes there, and a small answer of another stream waits behind them. What most web servers take.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Octets of a request's head at most. hyper's least is 8 KiB; a browser's head has less than 2.
const HEAD: usize = 16 * 1024;

/// Out of descriptors (accept(2), socket(2)): EMFILE and ENFILE.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23))
}

/// Accepts until `drain` or `stop`.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, router: Router) {
    let plain = Arc::new(Semaphore::new(MOST_PLAIN));
    let mut reserve = std::fs::File::open("/dev/null").ok();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.drain.cancelled() => return,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let Ok(permit) = Arc::clone(&plain).try_acquire_owned() else {
                    shared.metrics.refuse("plain_connections");
                    continue;
                };
                let (shared, router) = (Arc::clone(&shared), router.clone());
                tokio::spawn(async move {
                    let served = connection(tcp, peer, &shared, router, permit).await;
                    if let Err(error) = served {
                        tracing::debug!(%peer, %error, "http");
                    }
                });
            }
            Err(error) if is_out_of_descriptors(&error) => {
                shared.metrics.refuse("descriptors");
                tracing::error!(%error, "no descriptor left for a client: raise `ulimit -n`, or lower the limits");
                if reserve.take().is_some() {
                    turn_away(&listener).await;
                    reserve = std::fs::File::open("/dev/null").ok();
                }
                sleep(PAUSE).await;
                if reserve.is_none() {
                    reserve = std::fs::File::open("/dev/null").ok();
                }
            }
            Err(error) => {
                // A client that went away before we looked, for instance.
                tracing::debug!(%error, "accept");
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

/// The next client hears why it is not served.
async fn turn_away(listener: &TcpListener) {
    let Ok(Ok((mut tcp, _))) = timeout(PAUSE, listener.accept()).await else { return };
    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 1\r\n\
        connection: close\r\n\r\nthis relay has no descriptor left; its operator can raise `ulimit -n`\n";
    let farewell = async {
        tcp.write_all(answer).await?;
        tcp.shutdown().await?;
        // A request that was not read would make a reset of the close, and that could overtake the answer.
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await
    };
    drop(timeout(PAUSE, farewell).await);
}

async fn connection(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    router: Router,
    permit: tokio::sync::OwnedSemaphorePermit,
) -> io::Result<()> {
    // Small answers must not wait for acknowledgements of the ones before.
    tcp.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT)?;
    let acceptor = shared.tls.borrow().clone();
    match acceptor {
        None => http(tcp, peer, shared, router).await,
        Some(acceptor) => {
            let shaken = timeout(shared.options.header_timeout(), acceptor.accept(tcp)).await;
            let tls = shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
            http(tls.inspect_err(|_| shared.metrics.refuse("tls"))?, peer, shared, router).await
        }
    }?;
    drop(permit);
    Ok(())
}

async fn http<T>(io: T, peer: SocketAddr, shared: &Arc<Shared>, router: Router) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.options.header_timeout())
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    tokio::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => return served.map_err(io::Error::other),
        () = shared.drain.cancelled() => {}
        () = shared.stop.cancelled() => {}
    }
    // The answer that is on its way still goes out.
    serving.as_mut().graceful_shutdown();
    match timeout(crate::GRACE, serving).await {
        Ok(served) => served.map_err(io::Error::other),
        Err(_) => Ok(()),
    }
}

/// The client's address: the last that a trusted proxy wrote down, else the peer's own.
pub(crate) fn client(peer: IpAddr, forwarded: Option<&str>, proxies: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !proxies.contains(&peer) {
        return peer;
    }
    let last = forwarded.and_then(|list| list.rsplit(',').next()).map(str::trim);
    last.and_then(|text| text.parse().ok()).map_or(peer, |address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxys_word_is_taken() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxy = [ip("127.0.0.1")];
        assert_eq!(client(ip("127.0.0.1"), Some("10.0.0.1, 192.0.2.7"), &proxy), ip("192.0.2.7"));
        assert_eq!(client(ip("::ffff:127.0.0.1"), Some("192.0.2.7"), &proxy), ip("192.0.2.7"));
        assert_eq!(client(ip("192.0.2.9"), Some("192.0.2.7"), &proxy), ip("192.0.2.9"));
        assert_eq!(client(ip("127.0.0.1"), Some("nonsense"), &proxy), ip("127.0.0.1"));
        assert_eq!(client(ip("127.0.0.1"), None, &proxy), ip("127.0.0.1"));
        assert_eq!(client(ip("127.0.0.1"), Some("192.0.2.7"), &[]), ip("127.0.0.1"));
    }
}
