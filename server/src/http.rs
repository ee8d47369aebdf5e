//! Routes, who is let in, and the headers that every answer carries.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{
        ConnectInfo, Path, RawQuery, Request, State, WebSocketUpgrade,
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use socketlab_lan::close;

use crate::{
    Shared, accept, assets, farewell,
    guard::{self, Code},
    lan,
    meter::ConnectionPermit,
    relay::{self, Visitor},
    settings::{Profile, Settings},
    teacher, wsproxy,
};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/wisp/", any(wisp))
        .route("/wsproxy/{target}", any(proxy))
        .route("/lan/{room}", any(shared_lan))
        .merge(teacher::guarded(&shared))
        .fallback(assets::serve)
        .layer(from_fn(headers))
        .with_state(shared)
}

/// Whether a load balancer should send anybody here.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.drain.is_cancelled() || shared.stop.is_cancelled() {
        false => "ready\n".into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "being stopped\n").into_response(),
    }
}

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn wisp(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let offered = guard::subprotocol(&headers);
    // Any subprotocol marks version 2; a client of version 2 can still say who it is after the upgrade.
    let admitted = admit(&shared, peer.ip(), &headers, upgrade, "Wisp", offered.is_some());
    match admitted {
        Ok(Admitted { upgrade, peer, profile, permit }) => {
            let visitor = Visitor { peer, profile, version2: offered.is_some(), permit };
            upgrade.on_upgrade(move |socket| relay::run(shared, visitor, socket))
        }
        Err(response) => *response,
    }
}

async fn proxy(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(target): Path<String>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    match admit(&shared, peer.ip(), &headers, upgrade, "wsproxy", false) {
        Ok(Admitted { upgrade, peer, profile: Some(profile), permit }) => {
            upgrade.on_upgrade(move |socket| wsproxy::run(shared, peer, profile, permit, target, socket))
        }
        Ok(_) => StatusCode::UNAUTHORIZED.into_response(),
        Err(response) => *response,
    }
}

async fn shared_lan(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(room): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    // A client that speaks Ethernet and nothing else, as v86 does, has no other place for its code.
    let code = match guard::code(&headers) {
        Code::None => guard::code_in_query(query.as_deref().unwrap_or_default()),
        given => given,
    };
    match admit_with(&shared, peer.ip(), &headers, code, upgrade, "lan", false) {
        Ok(Admitted { upgrade, peer, profile: Some(profile), permit }) => {
            upgrade.on_upgrade(move |socket| async move {
                lan::run(Arc::clone(&shared), peer, profile, room, socket).await;
                drop(permit);
            })
        }
        Ok(_) => StatusCode::UNAUTHORIZED.into_response(),
        Err(response) => *response,
    }
}

/// Somebody who may open a WebSocket.
struct Admitted {
    upgrade: WebSocketUpgrade,
    peer: IpAddr,
    profile: Option<Arc<Profile>>,
    permit: ConnectionPermit,
}

/// [`admit_with`] the class code that the headers say.
fn admit(
    shared: &Shared,
    peer: IpAddr,
    headers: &HeaderMap,
    upgrade: Upgrade,
    what: &str,
    can_say_later: bool,
) -> Result<Admitted, Box<Response>> {
    admit_with(shared, peer, headers, guard::code(headers), upgrade, what, can_say_later)
}

/// Origin, Host, the class code and the number of connections; then how the WebSocket is set up.
fn admit_with(
    shared: &Shared,
    peer: IpAddr,
    headers: &HeaderMap,
    code: Code,
    upgrade: Upgrade,
    what: &str,
    can_say_later: bool,
) -> Result<Admitted, Box<Response>> {
    let settings = Arc::clone(&shared.settings.borrow());
    let forwarded = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let peer = accept::client(peer, forwarded, &settings.proxies);
    let refuse = |status: StatusCode, label: &'static str, text: &str| {
        tracing::warn!(%peer, what, why = text, "turned away");
        shared.metrics.refuse(label);
        (status, format!("{text}\n")).into_response()
    };
    if let Err(refusal) = guard::check(headers, &settings, shared.address.ip()) {
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, refusal.label(), &refusal.to_string())));
    }
    let upgrade = upgrade.map_err(|rejection| Box::new(rejection.into_response()))?;
    let upgrade = upgrade.protocols(guard::subprotocol(headers));
    let (profile, permit) = match enter(shared, &settings, peer, code, can_say_later) {
        Ok(entered) => entered,
        Err(TurnedAway { status, label, text, close }) => {
            let mut response = refuse(status, label, &text);
            let why = farewell::frame(close, &text);
            if guard::is_browser(headers)
                && let Some(told) = farewell::turn_away(upgrade, &shared.farewells, why)
            {
                return Err(Box::new(told));
            }
            if status == StatusCode::TOO_MANY_REQUESTS {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("100"));
            } else if status == StatusCode::UNAUTHORIZED {
                let realm = HeaderValue::from_static("Bearer realm=\"socketlab\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, realm);
            }
            return Err(Box::new(response));
        }
    };
    let upgrade = upgrade
        .max_message_size(settings.message)
        .max_frame_size(settings.message)
        .read_buffer_size(64 * 1024)
        .write_buffer_size(64 * 1024);
    Ok(Admitted { upgrade, peer, profile, permit })
}

/// A visitor who does not get in.
struct TurnedAway {
    status: StatusCode,
    /// For the metrics.
    label: &'static str,
    text: String,
    /// The code of the close frame that a browser gets.
    close: u16,
}

/// Who this is, as [`identify`] has it, and a place.
fn enter(
    shared: &Shared,
    settings: &Settings,
    peer: IpAddr,
    code: Code,
    can_say_later: bool,
) -> Result<(Option<Arc<Profile>>, ConnectionPermit), TurnedAway> {
    let profile = identify(shared, settings, peer, code, can_say_later)?;
    let status = StatusCode::SERVICE_UNAVAILABLE;
    if shared.drain.is_cancelled() {
        let text = "this relay is being stopped".to_owned();
        return Err(TurnedAway { status, label: "draining", text, close: close::TRY_LATER });
    }
    let (most, each) = (settings.connections, settings.connections_per_address);
    let permit =
        shared.addresses.connect(peer, &shared.meter, most, each).map_err(|(most, by_address)| {
            let (whose, flag, label) = match by_address {
                true => ("your address has", "--max-connections-per-address", "connections_per_address"),
                false => ("this relay has", "--max-connections", "connections"),
            };
            let text = format!("{whose} {most} connections open, which is as many as it may ({flag})");
            TurnedAway { status, label, text, close: close::TRY_LATER }
        })?;
    Ok((profile, permit))
}

/// Who this is; `None`: will say it in the handshake.
fn identify(
    shared: &Shared,
    settings: &Settings,
    peer: IpAddr,
    code: Code,
    can_say_later: bool,
) -> Result<Option<Arc<Profile>>, TurnedAway> {
    let too_many = || TurnedAway {
        status: StatusCode::TOO_MANY_REQUESTS,
        label: "too_many_wrong_tokens",
        text: "too many wrong class codes from your address: wait two minutes".to_owned(),
        close: close::TRY_LATER,
    };
    if let Code::Given(code) = &code {
        if !shared.addresses.may_try(peer) {
            return Err(too_many());
        }
        if let Some(profile) = settings.by_token(code) {
            return Ok(Some(profile));
        }
    }
    // Where none is needed, a wrong one does no harm.
    if let Some(profile) = settings.common() {
        return Ok(Some(profile));
    }
    let (label, text, close) = match code {
        Code::None if can_say_later => {
            return if shared.addresses.may_try(peer) { Ok(None) } else { Err(too_many()) };
        }
        Code::None => {
            let text = "this relay wants a class code: open the join link, or ask who runs it";
            ("no_token", text, close::CODE_WANTED)
        }
        Code::Given(_) => {
            shared.addresses.was_wrong(peer);
            ("wrong_token", "this is not the class code of this relay", close::WRONG_CODE)
        }
    };
    Err(TurnedAway { status: StatusCode::UNAUTHORIZED, label, text: text.to_owned(), close })
}
