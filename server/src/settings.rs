//! What may change while the relay runs: rules, class codes and limits. Made from the flags and the settings file, and
//! made again on SIGHUP; a connection looks at the newest each time it decides something.
//!
//! ```toml
//! # relay.toml. What stands here goes before the flags; lists are added to theirs.
//! allow = ["*.example.org:443", "192.0.2.7:8000-8099"]
//! token = ["kiva-2026"]
//! host = ["lab.school.example"]
//! motd = "Welcome to lab 4"
//!
//! [limits]                 # of one WebSocket
//! streams = 256
//! opens = 200              # new streams per second
//! rate = 2_000_000         # octets per second
//! [limits.address]         # of all WebSockets from one address
//! streams = 4096
//! [limits.server]          # of all of them
//! rate = 50_000_000
//!
//! [[client]]               # somebody with a code or a key of their own
//! name = "teacher"
//! token = "a-better-secret"
//! allow = ["*"]
//! ```

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use socketlab_policy::{Policy, Rule};
use tokio::sync::watch;

use crate::options::{Ports, ServeOptions, check_token};

/// Everything that is decided by configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// At least one: the first is that of the common code, or of everybody.
    pub(crate) profiles: Vec<Arc<Profile>>,
    /// A code, a password or a key is needed.
    pub(crate) closed: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) require_origin: bool,
    pub(crate) proxies: Vec<IpAddr>,
    pub(crate) motd: Option<String>,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    /// Of all streams from one address.
    pub(crate) per_address: Scope,
    /// Of all streams.
    pub(crate) server: Scope,
    pub(crate) message: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) target_timeout: Option<Duration>,
    pub(crate) idle_timeout: Duration,
    pub(crate) stream_idle: Option<Duration>,
}

/// One kind of client: what it may reach and use.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) tokens: Vec<String>,
    /// An Ed25519 public key.
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) scope: Scope,
    pub(crate) ports: Option<Ports>,
    pub(crate) port_address: IpAddr,
    pub(crate) port_quota: u16,
}

/// Limits of one connection, one address or the whole server; `None` is without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) streams: Option<usize>,
    pub(crate) opens_per_s: Option<u32>,
    pub(crate) octets_per_s: Option<u64>,
}

/// The settings file. Every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    token: Vec<String>,
    #[serde(default)]
    host: Vec<String>,
    #[serde(default)]
    allow_origin: Vec<String>,
    require_origin: Option<bool>,
    #[serde(default)]
    trusted_proxy: Vec<IpAddr>,
    motd: Option<String>,
    publish: Option<String>,
    publish_address: Option<IpAddr>,
    publish_quota: Option<u16>,
    #[serde(default)]
    limits: FileLimits,
    #[serde(default)]
    client: Vec<FileClient>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileLimits {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    streams: Option<usize>,
    opens: Option<u32>,
    rate: Option<u64>,
    connect_timeout: Option<u64>,
    target_timeout: Option<u64>,
    idle_timeout: Option<u64>,
    stream_idle_timeout: Option<u64>,
    #[serde(default)]
    address: FileScope,
    #[serde(default)]
    server: FileScope,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileScope {
    streams: Option<usize>,
    opens: Option<u32>,
    rate: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileClient {
    name: String,
    token: Option<String>,
    /// Ed25519, base64.
    public_key: Option<String>,
    /// Besides what everybody may reach.
    #[serde(default)]
    allow: Vec<String>,
    publish_quota: Option<u16>,
    #[serde(flatten)]
    scope: FileScopeFlat,
}

/// As [`FileScope`]; `deny_unknown_fields` and `flatten` do not go together.
#[derive(Debug, Default, Deserialize)]
struct FileScopeFlat {
    streams: Option<usize>,
    opens: Option<u32>,
    rate: Option<u64>,
}

/// Why there are no settings. `Display` names the file and the field.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct SettingsError {
    file: String,
    what: String,
}

impl Settings {
    /// From the flags, the settings file if there is one, and what the relay knows of its machine (`base`).
    pub(crate) fn load(
        options: &ServeOptions,
        base: &Policy,
        made_up: Option<&str>,
    ) -> Result<Settings, SettingsError> {
        let file = match &options.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let name = options.config.as_deref().map_or(String::new(), |path| path.display().to_string());
        build(options, base, made_up, file).map_err(|what| SettingsError { file: name, what })
    }

    /// The profile that a code opens.
    pub(crate) fn by_token(&self, code: &str) -> Option<Arc<Profile>> {
        // Every code is compared whole, so that the time tells nothing.
        let mut found = None;
        for profile in &self.profiles {
            for token in &profile.tokens {
                if same(token, code) {
                    found = Some(Arc::clone(profile));
                }
            }
        }
        found
    }

    /// The profile of this name as it is now, if it is still there.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Profile>> {
        self.profiles.iter().find(|profile| profile.name == name).cloned()
    }

    /// The profile of somebody who is in, as it is now. `None`: the code or the key that opened the door is gone. (With
    /// several codes for one name we do not remember which it was: all of them must still hold.)
    pub(crate) fn still(&self, old: &Profile) -> Option<Arc<Profile>> {
        let new = self.by_name(&old.name)?;
        let holds = !self.closed || (old.tokens.iter().all(|t| new.tokens.contains(t)) && old.key == new.key);
        holds.then_some(new)
    }

    /// What everybody gets who needs no code.
    pub(crate) fn common(&self) -> Option<Arc<Profile>> {
        self.profiles.first().filter(|_| !self.closed).cloned()
    }

    /// Some client may prove itself by a key.
    pub(crate) fn has_keys(&self) -> bool {
        self.profiles.iter().any(|profile| profile.key.is_some())
    }

    /// Often enough that a client which is alive is never taken for idle.
    pub(crate) fn ping_every(&self) -> Duration {
        PING.min(self.idle_timeout / 3)
    }
}

/// How often a client is asked whether it is still there. Middleboxes drop what is silent for a minute.
const PING: Duration = Duration::from_secs(25);

/// What somebody hears whose code is gone.
pub(crate) const WITHDRAWN: &str = "the relay's operator has withdrawn the code that you came in with";

/// Returns when settings come by which somebody would not be let in any more.
pub(crate) async fn withdrawn(mut settings: watch::Receiver<Arc<Settings>>, profile: &Profile) {
    loop {
        if settings.borrow_and_update().still(profile).is_none() {
            return;
        }
        if settings.changed().await.is_err() {
            // The server has ended, and says so by other means.
            return std::future::pending().await;
        }
    }
}

/// Equal? In a time that depends on the lengths only.
fn same(a: &str, b: &str) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"socketlab");
    ring::hmac::verify(&key, a.as_bytes(), ring::hmac::sign(&key, b.as_bytes()).as_ref()).is_ok()
}

fn read(path: &Path) -> Result<File, SettingsError> {
    let failed = |what: String| SettingsError { file: path.display().to_string(), what };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        let line =
            error.span().map_or(0, |span| text.bytes().take(span.start).filter(|c| *c == b'\n').count());
        failed(format!("line {}: {}", line + 1, error.message()))
    })
}

fn limit<T: PartialEq + Default>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn rules(list: &[String]) -> Result<Vec<Rule>, String> {
    list.iter().map(|text| Rule::parse(text).map_err(|error| format!("allow: {error}"))).collect()
}

fn build(
    options: &ServeOptions,
    base: &Policy,
    made_up: Option<&str>,
    file: File,
) -> Result<Settings, String> {
    let mut policy = base.clone();
    options.allow.iter().cloned().chain(rules(&file.allow)?).for_each(|rule| policy.allow(rule));
    let FileLimits { address, server, .. } = file.limits;
    let scope = Scope {
        streams: Some(file.limits.streams.unwrap_or(options.max_streams)),
        opens_per_s: limit(file.limits.opens.unwrap_or(options.max_opens)),
        octets_per_s: limit(file.limits.rate.unwrap_or(options.max_rate)),
    };
    let publish =
        file.publish.map(|text| text.parse().map_err(|error| format!("publish: {error}"))).transpose()?;
    let demo = options.demo_services.then(|| match options.demo_port_base {
        0 => Ports { low: 0, high: 0 },
        base => Ports { low: base.saturating_add(100), high: base.saturating_add(199) },
    });
    let mut tokens = options.token.clone();
    for token in file.token {
        tokens.push(check_token(&token).map_err(|error| format!("token: {error}"))?);
    }
    let clients = file.client;
    if tokens.is_empty()
        && !clients.iter().any(|client| client.token.is_some() || client.public_key.is_some())
    {
        tokens.extend(made_up.map(str::to_owned));
    }
    let everybody = Profile {
        name: "everybody".to_owned(),
        tokens,
        key: None,
        policy: Arc::new(policy.clone()),
        scope,
        ports: publish.or(options.publish).or(demo),
        port_address: file
            .publish_address
            .or(options.publish_address)
            .unwrap_or(IpAddr::from([127, 0, 0, 1])),
        port_quota: file.publish_quota.unwrap_or(options.publish_quota),
    };
    let mut profiles = vec![Arc::new(everybody.clone())];
    for client in clients {
        profiles.push(Arc::new(profile(client, &everybody, policy.clone())?));
    }
    let closed = profiles.iter().any(|profile| !profile.tokens.is_empty() || profile.key.is_some());
    let seconds = |file: Option<u64>, flag: u64| Duration::from_secs(file.unwrap_or(flag));
    let whole = |scope: FileScope| Scope {
        streams: scope.streams,
        opens_per_s: scope.opens.and_then(limit),
        octets_per_s: scope.rate.and_then(limit),
    };
    let joined = |flags: &[String], file: Vec<String>| flags.iter().cloned().chain(file).collect();
    Ok(Settings {
        profiles,
        closed: closed && !options.open,
        hosts: joined(&options.host, file.host),
        origins: joined(&options.allow_origin, file.allow_origin),
        require_origin: file.require_origin.unwrap_or(options.require_origin),
        proxies: options.trusted_proxy.iter().copied().chain(file.trusted_proxy).collect(),
        motd: file.motd.or_else(|| options.motd.clone()),
        connections: file.limits.connections.unwrap_or(options.max_connections),
        connections_per_address: file
            .limits
            .connections_per_address
            .unwrap_or(options.max_connections_per_address),
        per_address: whole(address),
        server: whole(server),
        message: options.max_message,
        connect_timeout: seconds(file.limits.connect_timeout, options.connect_timeout),
        target_timeout: limit(seconds(file.limits.target_timeout, options.target_timeout)),
        idle_timeout: seconds(file.limits.idle_timeout, options.idle_timeout),
        stream_idle: limit(seconds(file.limits.stream_idle_timeout, options.stream_idle_timeout)),
    })
}

fn profile(client: FileClient, common: &Profile, mut policy: Policy) -> Result<Profile, String> {
    let name = client.name;
    let wrong = |what: &str, error: &dyn std::fmt::Display| format!("client {name:?}: {what}: {error}");
    for rule in rules(&client.allow).map_err(|error| wrong("rules", &error))? {
        policy.allow(rule);
    }
    let token = client.token.map(|token| check_token(&token).map_err(|error| wrong("token", &error)));
    let key = client.public_key.map(|key| match BASE64.decode(key.trim()) {
        // RFC 8032 5.1.5.
        Ok(octets) if octets.len() == 32 => Ok(octets),
        _ => Err(wrong("public-key", &"not the 32 octets of an Ed25519 key in base64")),
    });
    let scope = client.scope;
    Ok(Profile {
        tokens: token.transpose()?.into_iter().collect(),
        key: key.transpose()?,
        policy: Arc::new(policy),
        scope: Scope {
            streams: scope.streams.or(common.scope.streams),
            opens_per_s: scope.opens.map_or(common.scope.opens_per_s, limit),
            octets_per_s: scope.rate.map_or(common.scope.octets_per_s, limit),
        },
        port_quota: client.publish_quota.unwrap_or(common.port_quota),
        name,
        ..common.clone()
    })
}
