//! What a teacher sees and does beside a room of the shared LAN: the open streams to real servers, and a way to end one.
//!
//! ```text
//! GET    /teacher/streams       {"total": 1, "streams": [{"id": 7, "who": "anna", "target": "192.0.2.9:80", ..}]}
//! DELETE /teacher/streams/7     204, or 404 if it is over
//! ```
//!
//! On the page's listener with the teacher's word (`--teacher-word`) as `Authorization: Bearer WORD`, under the same
//! checks of Host and Origin as a WebSocket; on the operator's listener without.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get},
};

use crate::{
    Shared, accept,
    guard::{self, Code},
    http::FORWARDED_FOR,
};

/// The routes, for whoever may use them.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/teacher/streams", get(streams)).route("/teacher/streams/{id}", delete(cut))
}

/// The routes, for a teacher.
pub(crate) fn guarded(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    routes().route_layer(from_fn_with_state(Arc::clone(shared), check))
}

async fn streams(State(shared): State<Arc<Shared>>) -> Response {
    match serde_json::to_vec(&shared.ledger.streams()) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn cut(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Response {
    match shared.ledger.cut(id) {
        true => {
            tracing::info!(stream = id, "a teacher ended a stream");
            StatusCode::NO_CONTENT.into_response()
        }
        false => (StatusCode::NOT_FOUND, "no such stream is open\n").into_response(),
    }
}

async fn check(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let settings = Arc::clone(&shared.settings.borrow());
    let forwarded = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let peer = accept::client(peer.ip(), forwarded, &settings.proxies);
    if let Err(refusal) = guard::check(&headers, &settings, shared.address.ip()) {
        shared.metrics.refuse(refusal.label());
        return (StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response();
    }
    match may(&shared, peer, &headers) {
        Ok(()) => next.run(request).await,
        Err((status, label, text)) => {
            tracing::warn!(%peer, why = text, "no teacher");
            shared.metrics.refuse(label);
            (status, format!("{text}\n")).into_response()
        }
    }
}

fn may(
    shared: &Shared,
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<(), (StatusCode, &'static str, &'static str)> {
    let Code::Given(word) = guard::code(headers) else {
        return Err((StatusCode::UNAUTHORIZED, "no_teacher_word", "this wants the teacher's word"));
    };
    // Guessed as slowly as class codes.
    if !shared.addresses.may_try(peer) {
        let text = "too many wrong words from your address: wait two minutes";
        return Err((StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_tokens", text));
    }
    if !shared.lan.is_teachers_word(&word) {
        shared.addresses.was_wrong(peer);
        let text = "this is not the teacher's word of this relay (--teacher-word)";
        return Err((StatusCode::UNAUTHORIZED, "wrong_teacher_word", text));
    }
    Ok(())
}
