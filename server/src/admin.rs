//! The operator's own listener: metrics, health and readiness. Not for the world: it asks for no code.

use std::sync::Arc;

use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

use crate::{Shared, http, teacher};

/// Serves until the relay has stopped.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(http::ready))
        .merge(teacher::routes())
        .with_state(shared);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!(%error, "the admin listener has ended");
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    // https://prometheus.io/docs/specs/om/open_metrics_spec/
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], shared.metrics.text())
}
