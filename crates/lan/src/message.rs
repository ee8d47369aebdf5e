//! The text messages, as JSON objects with a `type`. Fields that a reader does not know are passed over, so that newer
//! relays and pages can say more.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::slice::Slice;

/// A member of a room, unique over all relays that share it. In JSON: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for MemberId {
    type Err = core::num::ParseIntError;
    fn from_str(text: &str) -> Result<MemberId, Self::Err> {
        u64::from_str_radix(text, 16).map(MemberId)
    }
}

impl Serialize for MemberId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemberId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MemberId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proto {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// A port that a member's program has open for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortReport {
    /// TCP: it listens. UDP: it is bound.
    pub proto: Proto,
    /// Its number.
    pub port: u16,
    /// The program's file.
    #[serde(default)]
    pub program: String,
}

/// A connection of one of a member's hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReport {
    /// Which protocol.
    pub proto: Proto,
    /// `ADDRESS:PORT` of the member's host.
    pub local: String,
    /// `ADDRESS:PORT` of the other end.
    pub remote: String,
    /// As `ss` spells it: ESTAB, CLOSE-WAIT, ...
    pub state: String,
    /// Octets that the program has sent.
    #[serde(default)]
    pub sent: u64,
    /// Octets that came for the program.
    #[serde(default)]
    pub received: u64,
}

/// One simulated host of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its name in the member's lab.
    pub name: String,
    /// Its addresses in the room.
    pub addresses: Vec<String>,
    /// Its open ports.
    #[serde(default)]
    pub ports: Vec<PortReport>,
    /// Its connections to other members' hosts.
    #[serde(default)]
    pub streams: Vec<StreamReport>,
}

/// A member as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Who.
    pub id: MemberId,
    /// Unique in the room.
    pub name: String,
    /// Its addresses; none for a guest that sends frames only.
    pub slot: Option<Slice>,
    /// Sees all and may mute and disconnect.
    #[serde(default)]
    pub teacher: bool,
    /// Its frames go nowhere.
    #[serde(default)]
    pub muted: bool,
    /// Which relay it is at, when several share the room.
    #[serde(default)]
    pub relay: String,
    /// What it last told of its hosts.
    #[serde(default)]
    pub hosts: Vec<HostReport>,
}

/// What a member sent and was sent since it joined, counted by its relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames from it.
    pub frames_up: u64,
    /// Their octets.
    pub octets_up: u64,
    /// Frames to it.
    pub frames_down: u64,
    /// Their octets.
    pub octets_down: u64,
    /// Frames from it or to it that went nowhere, by a limit.
    pub dropped: u64,
}

/// What one member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Octets in a frame.
    pub frame_octets: u32,
    /// Frames per second, over some seconds.
    pub frames_per_second: u32,
    /// Octets of frames per second, over some seconds.
    pub octets_per_second: u32,
    /// Members in the room.
    pub members: u32,
}

/// Which limit bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// A frame was shorter or longer than Ethernet's.
    FrameLength,
    /// More frames or octets per second than one member may send.
    Rate,
    /// The member took its frames too slowly, and the relay's queue for it was full.
    Queue,
    /// A frame from a MAC address that belongs to another member.
    ForeignAddress,
    /// A teacher has muted the member.
    Muted,
}

/// Why a member is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftReason {
    /// It said good-bye.
    Closed,
    /// Its connection broke.
    Lost,
    /// A teacher closed its connection.
    Disconnected,
    /// Its relay is not heard any more.
    RelayLost,
}

/// From a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToRelay {
    /// The first message of a member that wants more than frames.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
        /// How it wants to be called.
        name: String,
        /// A secret of its own choice, at least 16 characters: who comes back with the same gets the same slot.
        key: String,
        /// The slot it had before.
        #[serde(default)]
        slot: Option<Slice>,
        /// The teacher's word, if it is one.
        #[serde(default)]
        teacher: Option<String>,
    },
    /// Its hosts, whenever they have changed.
    Report {
        /// All of them.
        hosts: Vec<HostReport>,
    },
    /// Asks what time it is in the room.
    Clock {
        /// Stands again in the answer.
        id: u32,
    },
    /// A teacher: takes a member's voice, or gives it back.
    Mute {
        /// Whose.
        member: MemberId,
        /// Take it.
        on: bool,
    },
    /// A teacher: closes a member's connection.
    Disconnect {
        /// Whose.
        member: MemberId,
    },
    /// A teacher: ends one connection of a member's host, as by a reset.
    Reset {
        /// Whose.
        member: MemberId,
        /// The host's name.
        host: String,
        /// As in [`StreamReport::local`].
        local: String,
        /// As in [`StreamReport::remote`].
        remote: String,
    },
}

/// To a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToMember {
    /// The answer to [`ToRelay::Hello`].
    Welcome {
        /// The relay's version: both speak the lower of the two.
        version: u16,
        /// The room's name.
        room: String,
        /// The member itself.
        you: MemberInfo,
        /// The room's clock, in nanoseconds.
        clock_ns: u64,
        /// What it may do.
        limits: Limits,
        /// The others.
        members: Vec<MemberInfo>,
    },
    /// Somebody came.
    Joined {
        /// Who.
        member: MemberInfo,
    },
    /// Somebody's entry changed.
    Changed {
        /// How it is now.
        member: MemberInfo,
    },
    /// Somebody went.
    Left {
        /// Who.
        member: MemberId,
        /// Why.
        why: LeftReason,
    },
    /// Two relays that could not hear each other gave the same slot away: this member has another one now.
    Moved {
        /// The new one.
        slot: Slice,
    },
    /// The answer to [`ToRelay::Clock`].
    Clock {
        /// As in the question.
        id: u32,
        /// The room's clock, in nanoseconds.
        clock_ns: u64,
    },
    /// A limit bit; told once a second at most.
    Limit {
        /// Which.
        what: LimitKind,
        /// Frames that went nowhere since it was told last.
        dropped: u64,
    },
    /// A teacher muted this member, or took it back.
    Muted {
        /// Muted now.
        on: bool,
        /// The teacher's name.
        by: String,
    },
    /// A teacher wants this connection to end.
    Reset {
        /// The host's name.
        host: String,
        /// As in [`StreamReport::local`].
        local: String,
        /// As in [`StreamReport::remote`].
        remote: String,
        /// The teacher's name.
        by: String,
    },
    /// To a teacher, once a second: what everybody sent and was sent.
    Traffic {
        /// For each member.
        members: Vec<(MemberId, Traffic)>,
    },
    /// What the member asked for was not done.
    Refused {
        /// Why, and the way out.
        why: String,
    },
}
