//! Wisp version 2: what this relay offers, and who is let in.

use std::sync::{Arc, atomic::Ordering};

use axum::extract::ws::close_code;
use bytes::Bytes;
use ring::{
    digest::{SHA256, SHA512, digest},
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, UnparsedPublicKey},
};
use socketlab_wisp::{Credentials, Hello, Offer, Reason, ServerTerms};

use super::{Connection, Ending};
use crate::settings::{Profile, Settings};

/// What INFO says. `known`: the client has already shown who it is.
pub(super) fn offer(settings: &Settings, known: Option<&Arc<Profile>>) -> Offer {
    let ask = known.is_none();
    let some = known.or(settings.profiles.first());
    let range = some.and_then(|profile| profile.ports);
    Offer {
        udp: true,
        password: ask.then_some(true),
        key: (ask && settings.has_keys()).then(challenge).flatten().map(|challenge| (true, challenge)),
        motd: settings.motd.clone(),
        confirm: true,
        ours: Some(ServerTerms {
            listen: range.is_some(),
            bind_udp: range.is_some(),
            lookup: true,
            tcp_info: cfg!(target_os = "linux"),
            ping: true,
            ports: range.and(some).map_or(0, |profile| profile.port_quota),
            port_range: range.map_or((0, 0), |ports| (ports.low, ports.high)),
        }),
    }
}

/// 512 random bits, as the draft advises.
fn challenge() -> Option<Bytes> {
    let mut octets = vec![0; 64];
    SystemRandom::new().fill(&mut octets).ok()?;
    Some(octets.into())
}

impl Connection {
    /// The client has said who it is: lets it in, or ends the connection.
    pub(super) async fn judge(&self, hello: Hello) -> Result<(), Ending> {
        let settings = Arc::clone(&self.shared.settings.borrow());
        if !self.is_let_in() {
            match identify(&settings, &hello.credentials) {
                Ok(profile) => {
                    tracing::info!(peer = %self.peer, who = profile.name, "wisp: let in");
                    self.set_rights(&settings, profile);
                }
                Err(reason) => {
                    tracing::warn!(peer = %self.peer, %reason, "wisp: not let in");
                    let label =
                        if reason == Reason::CREDENTIALS_REQUIRED { "no_token" } else { "wrong_token" };
                    if label == "wrong_token" {
                        self.shared.addresses.was_wrong(self.peer);
                    }
                    return Err(Ending::fault(reason, close_code::POLICY, reason.text(), label));
                }
            }
        }
        let greeting = {
            let mut table = self.lock();
            let greeting = table.book.admit();
            if let Some(window) = table.book.window() {
                // Said once.
                let _ = self.window.set(window);
            }
            greeting
        };
        self.is_greeted.store(true, Ordering::Relaxed);
        self.send(&greeting).await;
        Ok(())
    }
}

fn identify(settings: &Settings, credentials: &Credentials) -> Result<Arc<Profile>, Reason> {
    if let Some(profile) = settings.common() {
        return Ok(profile);
    }
    // The user's name is the client's own business: the code says who it is.
    if let Some(profile) = credentials.passwords.iter().find_map(|(_, code)| settings.by_token(code)) {
        return Ok(profile);
    }
    let Some(key) = &credentials.key else {
        return Err(match credentials.passwords.is_empty() {
            true => Reason::CREDENTIALS_REQUIRED,
            false => Reason::BAD_PASSWORD,
        });
    };
    let signed_by = |public: &[u8]| {
        key.readings.iter().any(|(hash, signature)| {
            let algorithm = if hash.len() == 64 { &SHA512 } else { &SHA256 };
            digest(algorithm, public).as_ref() == &hash[..]
                && key
                    .signed
                    .iter()
                    .any(|text| UnparsedPublicKey::new(&ED25519, public).verify(text, signature).is_ok())
        })
    };
    let of = |profile: &&Arc<Profile>| profile.key.as_deref().is_some_and(signed_by);
    settings.profiles.iter().find(of).cloned().ok_or(Reason::BAD_SIGNATURE)
}
