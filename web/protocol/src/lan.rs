//! What the page shows of a shared LAN and asks to be done in it.

use serde::{Deserialize, Serialize};

/// How to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanJoin {
    /// The room.
    pub room: String,
    /// How the person wants to be called.
    pub name: String,
    /// A secret of the page's own choice: who comes back with it gets the same addresses.
    pub key: String,
    /// The relay's class code, if it asks for one.
    pub code: Option<String>,
    /// The teacher's word.
    pub teacher: Option<String>,
}

/// What a teacher does to a member, named by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LanDeed {
    /// Takes its voice, or gives it back.
    Mute {
        /// Whose.
        member: String,
        /// Take it.
        on: bool,
    },
    /// Closes its connection to the room.
    Disconnect {
        /// Whose.
        member: String,
    },
    /// Ends one of its connections.
    Reset {
        /// Whose.
        member: String,
        /// On which host.
        host: String,
        /// `ADDRESS:PORT` of its end.
        local: String,
        /// `ADDRESS:PORT` of the other end.
        remote: String,
    },
}

/// Where the page stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LanPhase {
    /// In no room.
    #[default]
    Out,
    /// Being joined.
    Joining,
    /// In.
    In,
    /// The relay is gone; joined again by itself in so many milliseconds.
    Waiting {
        /// From when this was said.
        retry_ms: u32,
    },
}

/// The room, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanView {
    /// Where the page stands.
    pub phase: LanPhase,
    /// The room's name.
    pub room: String,
    /// Everybody, the page itself first, then by name.
    pub members: Vec<LanMember>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanMember {
    /// Its id, for [`LanDeed`].
    pub id: String,
    /// Its name.
    pub name: String,
    /// The page itself.
    pub me: bool,
    /// Sees all and may mute and disconnect.
    pub teacher: bool,
    /// Its frames go nowhere.
    pub muted: bool,
    /// Which relay it is at, when several share the room.
    pub relay: String,
    /// Its hosts.
    pub hosts: Vec<LanHost>,
    /// What it sent and was sent; told to teachers.
    pub traffic: Option<LanTraffic>,
}

/// What a member sent and was sent since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LanTraffic {
    pub frames_up: u64,
    pub octets_up: u64,
    pub frames_down: u64,
    pub octets_down: u64,
    pub dropped: u64,
}

/// A member's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanHost {
    /// Its name in its own lab.
    pub name: String,
    /// Its name for programs of other labs: `server.anna`.
    pub full_name: String,
    /// Its addresses in the room.
    pub addresses: Vec<String>,
    /// What is open on it.
    pub ports: Vec<LanPort>,
    /// Its connections.
    pub streams: Vec<LanStream>,
}

/// An open port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanPort {
    /// `tcp` or `udp`.
    pub proto: String,
    /// Its number.
    pub port: u16,
    /// The program's file.
    pub program: String,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanStream {
    /// `ADDRESS:PORT` of the host's end.
    pub local: String,
    /// `ADDRESS:PORT` of the other end.
    pub remote: String,
    /// As `ss` spells it.
    pub state: String,
    /// Octets sent.
    pub sent: u64,
    /// Octets received.
    pub received: u64,
}

/// Something that happened in the room and that the person should know: a message's key and parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanNotice {
    /// Key of the sentence.
    pub key: String,
    /// Its parameters.
    pub args: Vec<(String, String)>,
}
