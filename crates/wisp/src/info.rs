//! The version 2 handshake: what each side says in INFO, in the layouts that are found in the wild.
//!
//! No cryptography here: the server's shell judges [`Credentials`], the client's shell gives a [`Signer`].

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    ext::{self, ClientTerms, ServerTerms},
    packet::{Extension, Packet, StreamId},
};

const UDP: u8 = 0x01;
const PASSWORD: u8 = 0x02;
const KEY: u8 = 0x03;
const MOTD: u8 = 0x04;
const CONFIRM: u8 = 0x05;

/// Ed25519, the only algorithm there is.
const ED25519: u8 = 1;

/// What a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// UDP streams.
    pub udp: bool,
    /// Password authentication, and whether credentials of one kind are required.
    pub password: Option<bool>,
    /// Key authentication: required?, and the challenge that is to be signed.
    pub key: Option<(bool, Bytes)>,
    /// A welcome message.
    pub motd: Option<String>,
    /// CONTINUE says that a stream is open.
    pub confirm: bool,
    /// Our extension.
    pub ours: Option<ServerTerms>,
}

/// What a client says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Its major version; 1 has no extensions.
    pub major: u8,
    /// UDP streams.
    pub udp: bool,
    /// It knows what CONTINUE after CONNECT means.
    pub confirm: bool,
    /// Who it is.
    pub credentials: Credentials,
    /// Our extension.
    pub ours: Option<ClientTerms>,
}

/// Who a client says it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Every reading of the password extension: its two layouts can look alike. Empty: none was given.
    pub passwords: Vec<(String, String)>,
    /// The key extension.
    pub key: Option<Signature>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password has no place in a log.
        write!(f, "Credentials({} passwords, key: {})", self.passwords.len(), self.key.is_some())
    }
}

/// A signed challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What the client may have signed: the challenge, or (wisp-mux 5, which knows no "required" octet) the challenge
    /// with the octet before it.
    pub signed: [Bytes; 2],
    /// Each possible split: a SHA-256 (32 octets) or SHA-512 (64 octets) of the public key, and the signature.
    pub readings: Vec<(Bytes, Bytes)>,
}

/// Signs for a client that authenticates itself by a key.
pub trait Signer: fmt::Debug + Send {
    /// Ed25519 over the octets.
    fn sign(&self, challenge: &[u8]) -> Vec<u8>;
    /// Hash of the public key: SHA-256, or SHA-512 for a relay that speaks wisp-mux 5's layout.
    fn hash(&self, sha512: bool) -> Vec<u8>;
}

/// How a client writes its password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordLayout {
    /// `ulen:u8 plen:u16le user password`, which wisp-js 0.5 and wisp-mux 5 read.
    #[default]
    Deployed,
    /// `ulen:u8 user password`, as draft 6 says.
    Draft6,
}

/// What a client wants in the handshake.
#[derive(Debug)]
pub struct ClientOptions {
    /// Octets of a TCP stream that may wait to be consumed.
    pub window: u32,
    /// User name and password, sent when the relay asks for one.
    pub password: Option<(String, String)>,
    /// In which layout.
    pub layout: PasswordLayout,
    /// Sent when the relay asks for a key.
    pub key: Option<Box<dyn Signer>>,
    /// Use our extension when it is offered.
    pub extended: bool,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        // The window is a choice: what Linux gives a socket's receiver to begin with, doubled.
        ClientOptions {
            window: 256 * 1024,
            password: None,
            layout: PasswordLayout::Deployed,
            key: None,
            extended: true,
        }
    }
}

fn info(extensions: Vec<Extension>) -> Packet {
    Packet::Info { stream: StreamId::CONNECTION, major: 2, minor: 0, extensions }
}

fn plain(id: u8, metadata: impl Into<Bytes>) -> Extension {
    Extension { id, metadata: metadata.into() }
}

impl Offer {
    /// The server's INFO.
    pub fn emit(&self) -> Packet {
        let mut extensions = Vec::new();
        if self.udp {
            extensions.push(plain(UDP, Bytes::new()));
        }
        if let Some(required) = self.password {
            extensions.push(plain(PASSWORD, vec![u8::from(required)]));
        }
        if let Some((required, challenge)) = &self.key {
            let mut metadata = vec![u8::from(*required), ED25519];
            metadata.extend_from_slice(challenge);
            extensions.push(plain(KEY, metadata));
        }
        if let Some(motd) = &self.motd {
            extensions.push(plain(MOTD, motd.clone().into_bytes()));
        }
        if self.confirm {
            extensions.push(plain(CONFIRM, Bytes::new()));
        }
        extensions.extend(self.ours.map(|terms| terms.emit()));
        info(extensions)
    }

    /// What the client's INFO says, as far as this was offered.
    pub fn read(&self, major: u8, extensions: &[Extension]) -> Hello {
        let mut hello = Hello { major, ..Hello::default() };
        if major < 2 {
            return hello;
        }
        for Extension { id, metadata } in extensions {
            match *id {
                UDP => hello.udp = self.udp,
                PASSWORD if self.password.is_some() => hello.credentials.passwords = passwords(metadata),
                KEY => {
                    if let Some((_, challenge)) = &self.key {
                        hello.credentials.key = signature(metadata, challenge);
                    }
                }
                CONFIRM => hello.confirm = self.confirm,
                ext::ID if self.ours.is_some() => hello.ours = ClientTerms::parse(metadata),
                _ => {}
            }
        }
        hello
    }
}

fn passwords(metadata: &Bytes) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
    let deployed = || {
        let (head, rest) = metadata.split_first_chunk::<3>()?;
        let [user, low, high] = *head;
        let (user, password) = rest.split_at_checked(usize::from(user))?;
        let whole = password.len() == usize::from(u16::from_le_bytes([low, high]));
        whole.then(|| Some((text(user)?, text(password)?)))?
    };
    let draft = || {
        let (user, rest) = metadata.split_first()?;
        let (user, password) = rest.split_at_checked(usize::from(*user))?;
        Some((text(user)?, text(password)?))
    };
    [deployed(), draft()].into_iter().flatten().collect()
}

fn signature(metadata: &Bytes, challenge: &Bytes) -> Option<Signature> {
    let (&algorithm, rest) = metadata.split_first()?;
    // An Ed25519 signature has 64 octets (RFC 8032 5.1.6).
    let hash = rest.len().checked_sub(64).filter(|hash| algorithm == ED25519 && matches!(hash, 32 | 64))?;
    let mut longer = vec![ED25519];
    longer.extend_from_slice(challenge);
    let readings = vec![(metadata.slice(1..=hash), metadata.slice(1 + hash..))];
    Some(Signature { signed: [challenge.clone(), longer.into()], readings })
}

/// What a client understood of the server's INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) udp: bool,
    pub(crate) confirm: bool,
    pub(crate) motd: Option<String>,
    pub(crate) ours: Option<ServerTerms>,
}

/// The client's INFO, and what it may count on.
pub(crate) fn answer(options: &ClientOptions, extensions: &[Extension]) -> (Packet, Offered) {
    let mut offered = Offered::default();
    let mut ours = Vec::new();
    for Extension { id, metadata } in extensions {
        match *id {
            UDP => {
                offered.udp = true;
                ours.push(plain(UDP, Bytes::new()));
            }
            PASSWORD => {
                if let Some((user, password)) = &options.password {
                    ours.push(plain(PASSWORD, emit_password(user, password, options.layout)));
                }
            }
            KEY => {
                if let Some(signer) = &options.key {
                    // wisp-mux 5: one octet of algorithms, then a challenge of 64; draft 6 has one octet more.
                    let old = metadata.len() == 65;
                    let challenge = metadata.get(if old { 1.. } else { 2.. }).unwrap_or_default();
                    let mut out = vec![ED25519];
                    out.extend(signer.hash(old));
                    out.extend(signer.sign(challenge));
                    ours.push(plain(KEY, out));
                }
            }
            MOTD => {
                offered.motd = Some(String::from_utf8_lossy(metadata).into_owned());
                ours.push(plain(MOTD, Bytes::new()));
            }
            CONFIRM => {
                offered.confirm = true;
                ours.push(plain(CONFIRM, Bytes::new()));
            }
            ext::ID if options.extended => {
                offered.ours = ServerTerms::parse(metadata);
                if offered.ours.is_some() {
                    ours.push(ClientTerms { window: options.window }.emit());
                }
            }
            _ => {}
        }
    }
    (info(ours), offered)
}

fn emit_password(user: &str, password: &str, layout: PasswordLayout) -> Bytes {
    let user = user.as_bytes().get(..usize::from(u8::MAX)).unwrap_or(user.as_bytes());
    let mut out = BytesMut::new();
    out.put_u8(u8::try_from(user.len()).unwrap_or(u8::MAX));
    if layout == PasswordLayout::Deployed {
        out.put_u16_le(u16::try_from(password.len()).unwrap_or(u16::MAX));
    }
    out.put_slice(user);
    out.put_slice(password.as_bytes());
    out.freeze()
}
