//! The member's side: says hello, keeps the roster, follows the room's clock, comes back by itself.
//!
//! ```text
//! Client ▸ poll_message ▸ the WebSocket ▸ handle_text / handle_frame ▸ Client ▸ poll_event
//! handle_open, handle_lost: the WebSocket came or went. poll_timeout, handle_timeout: when to connect again.
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::message::{
    HostReport, LeftReason, LimitKind, Limits, MemberId, MemberInfo, ToMember, ToRelay, Traffic,
};
use crate::slice::Slice;
use crate::{MAX_FRAME, MIN_FRAME, VERSION};

/// The first wait before coming back; it doubles up to [`LONGEST_WAIT`]. A choice.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest wait before coming back. A choice: a class must not wait for a relay that is up again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often the room's clock is asked for. Quartz drifts by 50 parts in a million: 1.5 ms in this time.
const CLOCK_EVERY: Duration = Duration::from_secs(30);

/// What goes to the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message.
    Text(String),
    /// A frame.
    Frame(Bytes),
}

/// Where the member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The WebSocket is being opened; the shell does it.
    Connecting,
    /// Said hello, not welcomed yet.
    Greeting,
    /// In the room.
    Joined,
    /// Waits to connect again, until then.
    Waiting(Duration),
}

/// What happened in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// Open a WebSocket to the room now, then call [`Client::handle_open`] or [`Client::handle_lost`].
    Connect,
    /// In the room, with these addresses. Comes again after each time the member came back.
    Joined {
        /// Its addresses: none if the room has no slot left.
        slice: Option<Slice>,
        /// They are others than before: what runs has to be started anew.
        moved: bool,
    },
    /// The roster changed: see [`Client::members`].
    Roster,
    /// A frame for one of this member's hosts.
    Frame(Bytes),
    /// A limit bit.
    Limit {
        /// Which.
        what: LimitKind,
        /// Frames that went nowhere.
        dropped: u64,
    },
    /// A teacher took the member's voice, or gave it back.
    Muted {
        /// Muted now.
        on: bool,
        /// By whom.
        by: String,
    },
    /// A teacher wants this connection to be reset.
    Reset {
        /// On which host.
        host: String,
        /// `ADDRESS:PORT` of its end.
        local: String,
        /// `ADDRESS:PORT` of the other end.
        remote: String,
        /// By whom.
        by: String,
    },
    /// To a teacher: what everybody sent and was sent.
    Traffic(Vec<(MemberId, Traffic)>),
    /// Something asked for was not done.
    Refused {
        /// Why.
        why: String,
    },
    /// The room is gone; the member comes back by itself at that time.
    Lost {
        /// When.
        again: Duration,
    },
}

/// A member of one room.
#[derive(Clone, Debug)]
pub struct Client {
    name: String,
    key: String,
    teacher: Option<String>,
    phase: Phase,
    wait: Duration,
    slice: Option<Slice>,
    id: Option<MemberId>,
    limits: Option<Limits>,
    members: BTreeMap<MemberId, MemberInfo>,
    hosts: Vec<HostReport>,
    /// Room time less our time, in nanoseconds, and how long the answer that told it took.
    offset: Option<(i128, Duration)>,
    asked: Option<(u32, Duration)>,
    next_ask: Option<Duration>,
    asks: u32,
    messages: VecDeque<Outgoing>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A member that wants to join. `key`: a random secret of at least 16 characters, kept for as long as the member
    /// wants its slot back. `teacher`: the teacher's word.
    pub fn new(name: impl Into<String>, key: impl Into<String>, teacher: Option<String>) -> Client {
        Client {
            name: name.into(),
            key: key.into(),
            teacher,
            phase: Phase::Connecting,
            wait: FIRST_WAIT,
            slice: None,
            id: None,
            limits: None,
            members: BTreeMap::new(),
            hosts: Vec::new(),
            offset: None,
            asked: None,
            next_ask: None,
            asks: 0,
            messages: VecDeque::new(),
            events: VecDeque::from([ClientEvent::Connect]),
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its addresses, also while it is away: they are asked for again.
    pub fn slice(&self) -> Option<Slice> {
        self.slice
    }

    /// Asks for a slot that the member had in an earlier life.
    pub fn want(&mut self, slice: Slice) {
        self.slice.get_or_insert(slice);
    }

    /// Itself, as the others see it.
    pub fn me(&self) -> Option<&MemberInfo> {
        self.members.get(&self.id?)
    }

    /// Everybody in the room with the member itself, oldest id first.
    pub fn members(&self) -> impl Iterator<Item = &MemberInfo> {
        self.members.values()
    }

    /// What it may do; known after the welcome.
    pub fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// The room's time at `now`, in nanoseconds; `None` before the first welcome.
    pub fn room_time(&self, now: Duration) -> Option<u64> {
        let (offset, _) = self.offset?;
        let now = i128::try_from(now.as_nanos()).ok()?;
        u64::try_from(now + offset).ok()
    }

    /// Addresses of a host by its name: `host` of one's own or of a single member, else `host.member`.
    pub fn resolve(&self, name: &str) -> Vec<String> {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let of = |host: &HostReport| host.addresses.clone();
        if let Some((host, member)) = name.split_once('.') {
            let members = self.members.values().filter(|m| same(&m.name, member));
            return members.flat_map(|m| &m.hosts).filter(|h| same(&h.name, host)).flat_map(of).collect();
        }
        let mut found = self.members.values().flat_map(|m| &m.hosts).filter(|h| same(&h.name, name));
        match (found.next(), found.next()) {
            (Some(host), None) => of(host),
            _ => Vec::new(),
        }
    }

    /// The WebSocket is open.
    pub fn handle_open(&mut self, _now: Duration) {
        self.phase = Phase::Greeting;
        self.tell(&ToRelay::Hello {
            version: VERSION,
            name: self.name.clone(),
            key: self.key.clone(),
            slot: self.slice,
            teacher: self.teacher.clone(),
        });
    }

    /// The WebSocket was closed or could not be opened.
    pub fn handle_lost(&mut self, now: Duration) {
        let again = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.phase = Phase::Waiting(again);
        self.messages.clear();
        self.members.clear();
        (self.asked, self.next_ask) = (None, None);
        self.events.push_back(ClientEvent::Lost { again });
        self.events.push_back(ClientEvent::Roster);
    }

    /// A text message came. An error is one of the relay's: the message is passed over.
    pub fn handle_text(&mut self, now: Duration, text: &str) -> Result<(), serde_json::Error> {
        match serde_json::from_str(text)? {
            ToMember::Welcome { you, clock_ns, limits, members, .. } => {
                self.phase = Phase::Joined;
                self.wait = FIRST_WAIT;
                self.limits = Some(limits);
                self.set_clock(now, clock_ns, Duration::MAX);
                self.next_ask = Some(now);
                let moved = self.slice.is_some() && self.slice != you.slot;
                self.slice = you.slot;
                self.id = Some(you.id);
                self.members = members.into_iter().chain([you]).map(|m| (m.id, m)).collect();
                self.events.push_back(ClientEvent::Joined { slice: self.slice, moved });
                self.events.push_back(ClientEvent::Roster);
                if !self.hosts.is_empty() {
                    self.tell_hosts();
                }
                self.handle_timeout(now);
            }
            ToMember::Joined { member } | ToMember::Changed { member } => {
                self.members.insert(member.id, member);
                self.events.push_back(ClientEvent::Roster);
            }
            ToMember::Left { member, why } => {
                // One's own leaving is told by the WebSocket; a relay that was lost may come back with the same member.
                if why == LeftReason::RelayLost && Some(member) == self.id {
                    return Ok(());
                }
                self.members.remove(&member);
                self.events.push_back(ClientEvent::Roster);
            }
            ToMember::Moved { slot } => {
                self.slice = Some(slot);
                self.events.push_back(ClientEvent::Joined { slice: self.slice, moved: true });
            }
            ToMember::Clock { id, clock_ns } => {
                if let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == id) {
                    let took = now.saturating_sub(asked);
                    // The best answer is the fastest one; an old one is worth less each time.
                    if self.offset.is_none_or(|(_, best)| took <= best.saturating_mul(2)) {
                        // It was true half-way (RFC 5905 §8).
                        self.set_clock(now.saturating_sub(took / 2), clock_ns, took);
                    }
                }
            }
            ToMember::Limit { what, dropped } => self.events.push_back(ClientEvent::Limit { what, dropped }),
            ToMember::Muted { on, by } => self.events.push_back(ClientEvent::Muted { on, by }),
            ToMember::Reset { host, local, remote, by } => {
                self.events.push_back(ClientEvent::Reset { host, local, remote, by });
            }
            ToMember::Traffic { members } => self.events.push_back(ClientEvent::Traffic(members)),
            ToMember::Refused { why } => self.events.push_back(ClientEvent::Refused { why }),
        }
        Ok(())
    }

    /// A frame came.
    pub fn handle_frame(&mut self, frame: Bytes) {
        if (MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            self.events.push_back(ClientEvent::Frame(frame));
        }
    }

    /// A frame for the room. Lost while the member is away, as on a cable that is not plugged in.
    pub fn send_frame(&mut self, frame: Bytes) {
        if self.phase == Phase::Joined {
            self.messages.push_back(Outgoing::Frame(frame));
        }
    }

    /// Tells the others what hosts there are, if it is not what was told last.
    pub fn report(&mut self, hosts: Vec<HostReport>) {
        if hosts != self.hosts {
            self.hosts = hosts;
            if self.phase == Phase::Joined {
                self.tell_hosts();
            }
        }
    }

    /// To the relay, which tells the others only: the member's own line of the roster is kept here.
    fn tell_hosts(&mut self) {
        self.tell(&ToRelay::Report { hosts: self.hosts.clone() });
        if let Some(me) = self.id.and_then(|id| self.members.get_mut(&id)) {
            me.hosts.clone_from(&self.hosts);
            self.events.push_back(ClientEvent::Roster);
        }
    }

    /// A teacher's wish: [`ToRelay::Mute`], [`ToRelay::Disconnect`] or [`ToRelay::Reset`].
    pub fn command(&mut self, command: &ToRelay) {
        if self.phase == Phase::Joined {
            self.tell(command);
        }
    }

    /// When [`Client::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting(again) => Some(again),
            Phase::Joined => self.next_ask,
            Phase::Connecting | Phase::Greeting => None,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.phase {
            Phase::Waiting(again) if again <= now => {
                self.phase = Phase::Connecting;
                self.events.push_back(ClientEvent::Connect);
            }
            Phase::Joined if self.next_ask.is_some_and(|at| at <= now) => {
                self.asks = self.asks.wrapping_add(1);
                self.asked = Some((self.asks, now));
                self.next_ask = Some(now + CLOCK_EVERY);
                self.tell(&ToRelay::Clock { id: self.asks });
            }
            _ => {}
        }
    }

    /// What to send next.
    pub fn poll_message(&mut self) -> Option<Outgoing> {
        self.messages.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    fn set_clock(&mut self, at: Duration, clock_ns: u64, took: Duration) {
        let at = i128::try_from(at.as_nanos()).unwrap_or(i128::MAX);
        self.offset = Some((i128::from(clock_ns) - at, took));
    }

    fn tell(&mut self, message: &ToRelay) {
        // These types have string keys only: they always become JSON.
        if let Ok(text) = serde_json::to_string(message) {
            self.messages.push_back(Outgoing::Text(text));
        }
    }
}
