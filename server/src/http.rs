//! Routes, and the headers that every answer carries.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, Path, Request, State, WebSocketUpgrade},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{REFERRER_POLICY, SEC_WEBSOCKET_PROTOCOL, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Shared, assets, guard, lan, relay, wsproxy};

/// Octets in a message at most. epoxy-tls sends 267 KB for one large POST; libcurl.js 65,541.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/wisp/", any(wisp))
        .route("/wsproxy/{target}", any(proxy))
        .route("/lan/{room}", any(shared_lan))
        .fallback(assets::serve)
        .layer(from_fn(headers))
        .with_state(shared)
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

async fn wisp(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match admit(&shared, peer, &headers, upgrade, "Wisp") {
        Ok((upgrade, permit)) => upgrade.on_upgrade(move |socket| async move {
            relay::run(Arc::clone(&shared), peer, socket).await;
            drop(permit);
        }),
        Err(response) => *response,
    }
}

async fn proxy(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(target): Path<String>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match admit(&shared, peer, &headers, upgrade, "wsproxy") {
        Ok((upgrade, permit)) => upgrade.on_upgrade(move |socket| async move {
            wsproxy::run(Arc::clone(&shared), peer, target, socket).await;
            drop(permit);
        }),
        Err(response) => *response,
    }
}

async fn shared_lan(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(room): Path<String>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    match admit(&shared, peer, &headers, upgrade, "lan") {
        Ok((upgrade, permit)) => upgrade.on_upgrade(move |socket| async move {
            lan::run(Arc::clone(&shared), peer, room, socket).await;
            drop(permit);
        }),
        Err(response) => *response,
    }
}

/// Origin, Host and the number of connections; then how the WebSocket is set up.
fn admit(
    shared: &Shared,
    peer: SocketAddr,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    what: &str,
) -> Result<(WebSocketUpgrade, OwnedSemaphorePermit), Box<Response>> {
    if let Err(refusal) = guard::check(headers, &shared.options) {
        tracing::warn!(%peer, what, %refusal, "turned away");
        return Err(Box::new((StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response()));
    }
    let upgrade = upgrade.map_err(|rejection| Box::new(rejection.into_response()))?;
    let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
        let most = shared.options.max_connections;
        tracing::warn!(%peer, what, most, "turned away: too many connections");
        let text = format!(
            "this relay has {most} connections open, which is as many as it may (--max-connections)\n"
        );
        return Err(Box::new((StatusCode::SERVICE_UNAVAILABLE, text).into_response()));
    };
    // A browser that offered a subprotocol fails the connection when none is chosen, or one that it did not offer.
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let first = offered.and_then(|list| list.split(',').map(str::trim).next()).map(str::to_owned);
    let upgrade = upgrade
        .protocols(first)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(64 * 1024)
        .write_buffer_size(64 * 1024);
    Ok((upgrade, permit))
}
