//! One room: its members here and at other relays, their slots, which station is where, and the limits. A state
//! machine: time and messages in, [`Effect`]s out; the rooms around it do the input and output.
//!
//! Several relays share a room over a bus. Each announces its members every [`ANNOUNCE`]; a relay that is not heard
//! for [`FORGET`] takes its members with it. Two relays that could not hear each other may have given the same slot
//! away: the member that came later moves.

mod others;
mod roster;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use socketlab_lan::{
    LeftReason, LimitKind, Limits, MAX_FRAME, MIN_FRAME, MemberId, MemberInfo, Slice, ToMember, Traffic,
};

use others::Command;
pub(super) use others::Control;
pub(super) use roster::Greeting;

/// Nanoseconds in a second. All times here are nanoseconds of the room's clock, which never goes back.
pub(super) const SECOND: u64 = 1_000_000_000;

/// How often a relay tells the others who is with it. A choice: a class should not wait for a name.
pub(super) const ANNOUNCE: u64 = 2 * SECOND;

/// A relay that was silent for so long is gone. Three announcements may be lost.
const FORGET: u64 = 7 * SECOND;

/// How long a switch remembers a station that says nothing: Linux's and most switches' default (`bridge(8)`, ageing).
const AGEING: u64 = 300 * SECOND;

/// Stations remembered; frames to others go to everybody, as in a real switch.
const STATIONS: usize = 4096;

/// How long a slot is kept for a member that went away.
const KEEP_SLOT: u64 = 3600 * SECOND;

/// Seconds of its rate that a member may send at once.
const BURST: u64 = 2;

/// A relay process, by a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct RelayId(pub(super) u64);

/// What a member's key leaves behind: enough to know it again, not enough to use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Owner(pub(super) u64);

/// What the room wants done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// A frame for a member of this relay.
    Frame { to: MemberId, frame: Bytes },
    /// A text message for a member of this relay.
    Text { to: MemberId, message: ToMember },
    /// The connection of a member of this relay is to be closed.
    End { member: MemberId, code: u16, why: &'static str },
    /// A frame for the other relays.
    BusFrame { from: MemberId, frame: Bytes },
    /// A message for the other relays.
    Bus(Control),
}

/// A member whose WebSocket ends here.
#[derive(Clone, Debug)]
struct Local {
    /// `None`: has sent neither a frame nor hello, so nobody has been told of it.
    info: Option<MemberInfo>,
    /// It spoke: it is spoken to.
    speaks: bool,
    owner: Option<Owner>,
    since: u64,
    traffic: Traffic,
    /// Allowances for frames and octets, in billionths.
    allowance: Option<Allowance>,
    /// Frames that went nowhere and were not told yet.
    untold: BTreeMap<LimitKind, u64>,
    /// When a limit was told last.
    told: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Allowance {
    frames: u64,
    octets: u64,
    at: u64,
}

/// A station's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Here(MemberId),
    Elsewhere,
}

/// One room at one relay.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    relay: RelayId,
    relay_name: String,
    limits: Limits,
    has_bus: bool,
    locals: BTreeMap<MemberId, Local>,
    others: BTreeMap<RelayId, others::Other>,
    stations: BTreeMap<[u8; 6], (Place, u64)>,
    kept: BTreeMap<Owner, (Slice, u64)>,
    announced: u64,
    effects: VecDeque<Effect>,
}

impl Room {
    /// An empty room. `has_bus`: other relays may share it.
    pub(super) fn new(name: &str, relay: RelayId, relay_name: &str, limits: Limits, has_bus: bool) -> Room {
        Room {
            name: name.to_owned(),
            relay,
            relay_name: relay_name.to_owned(),
            limits,
            has_bus,
            locals: BTreeMap::new(),
            others: BTreeMap::new(),
            stations: BTreeMap::new(),
            kept: BTreeMap::new(),
            announced: 0,
            effects: VecDeque::new(),
        }
    }

    /// What to do next.
    pub(super) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Nobody of this relay is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.locals.is_empty()
    }

    /// Somebody's WebSocket is open. An error says why there is no place.
    pub(super) fn enter(&mut self, now: u64, id: MemberId) -> Result<(), String> {
        if self.count() >= self.limits.members as usize {
            return Err(format!(
                "the room {} has {} members, which is as many as it may (--lan-members)",
                self.name, self.limits.members
            ));
        }
        let local = Local {
            info: None,
            speaks: false,
            owner: None,
            since: now,
            traffic: Traffic::default(),
            allowance: None,
            untold: BTreeMap::new(),
            told: None,
        };
        self.locals.insert(id, local);
        Ok(())
    }

    /// Its WebSocket is closed.
    pub(super) fn leave(&mut self, now: u64, id: MemberId, why: LeftReason) {
        let Some(local) = self.locals.remove(&id) else { return };
        self.stations.retain(|_, (place, _)| *place != Place::Here(id));
        if let Some(info) = local.info {
            if let (Some(owner), Some(slot)) = (local.owner, info.slot) {
                self.kept.insert(owner, (slot, now));
            }
            self.tell_all(&ToMember::Left { member: id, why });
            self.announce(now);
        }
    }

    /// A frame from a member's WebSocket.
    pub(super) fn handle_frame(&mut self, now: u64, from: MemberId, frame: Bytes) {
        let limits = self.limits;
        let Some(local) = self.locals.get_mut(&from) else { return };
        if local.info.is_none() {
            self.introduce_guest(now, from);
        }
        let Some(local) = self.locals.get_mut(&from) else { return };
        let (Some(destination), Some(source)) = (mac_at(&frame, 0), mac_at(&frame, 6)) else {
            return self.refuse_frame(now, from, LimitKind::FrameLength);
        };
        if !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) {
            return self.refuse_frame(now, from, LimitKind::FrameLength);
        }
        let info = local.info.as_ref();
        if info.is_some_and(|info| info.muted) {
            return self.refuse_frame(now, from, LimitKind::Muted);
        }
        if Slice::of_mac(source).is_some_and(|s| info.and_then(|info| info.slot) != Some(s)) {
            return self.refuse_frame(now, from, LimitKind::ForeignAddress);
        }
        if !Allowance::take(&mut local.allowance, now, frame.len() as u64, &limits) {
            return self.refuse_frame(now, from, LimitKind::Rate);
        }
        local.traffic.frames_up += 1;
        local.traffic.octets_up += frame.len() as u64;
        if source[0] & 1 == 0 {
            self.learn(now, source, Place::Here(from));
        }
        match self.place_of(now, destination) {
            Some(Place::Here(to)) if to == from => {}
            Some(Place::Here(to)) => self.effects.push_back(Effect::Frame { to, frame }),
            Some(Place::Elsewhere) => self.effects.push_back(Effect::BusFrame { from, frame }),
            None => {
                self.flood(Some(from), &frame);
                if self.has_bus {
                    self.effects.push_back(Effect::BusFrame { from, frame });
                }
            }
        }
    }

    /// A frame from another relay, which has checked it.
    pub(super) fn handle_bus_frame(&mut self, now: u64, frame: Bytes) {
        let (Some(destination), Some(source)) = (mac_at(&frame, 0), mac_at(&frame, 6)) else { return };
        if source[0] & 1 == 0 {
            self.learn(now, source, Place::Elsewhere);
        }
        match self.place_of(now, destination) {
            Some(Place::Here(to)) => self.effects.push_back(Effect::Frame { to, frame }),
            Some(Place::Elsewhere) => {}
            None => self.flood(None, &frame),
        }
    }

    /// A frame was put into a member's queue, or (`false`) found it full.
    pub(super) fn delivered(&mut self, now: u64, to: MemberId, octets: usize, taken: bool) {
        let Some(local) = self.locals.get_mut(&to) else { return };
        if taken {
            local.traffic.frames_down += 1;
            local.traffic.octets_down += octets as u64;
        } else {
            self.refuse_frame(now, to, LimitKind::Queue);
        }
    }

    /// Once a second or so: what is to be told again, and what is too old.
    pub(super) fn tick(&mut self, now: u64) {
        self.stations.retain(|_, (_, seen)| now.saturating_sub(*seen) < AGEING);
        self.kept.retain(|_, (_, since)| now.saturating_sub(*since) < KEEP_SLOT);
        self.forget_silent_relays(now);
        let members: Vec<MemberId> = self.locals.keys().copied().collect();
        for id in members {
            self.tell_limits(now, id);
        }
        let traffic: Vec<(MemberId, Traffic)> = self.traffic();
        let teachers = self.locals.iter().filter(|(_, l)| l.info.as_ref().is_some_and(|i| i.teacher));
        let told = teachers
            .map(|(&to, _)| Effect::Text { to, message: ToMember::Traffic { members: traffic.clone() } });
        self.effects.extend(told.collect::<Vec<_>>());
        if now.saturating_sub(self.announced) >= ANNOUNCE {
            self.announce(now);
        }
    }

    fn count(&self) -> usize {
        self.locals.len() + self.others.values().map(|other| other.members.len()).sum::<usize>()
    }

    fn learn(&mut self, now: u64, mac: [u8; 6], place: Place) {
        if self.stations.len() < STATIONS || self.stations.contains_key(&mac) {
            self.stations.insert(mac, (place, now));
        }
    }

    /// Where a frame goes; `None`: to everybody.
    fn place_of(&self, now: u64, mac: [u8; 6]) -> Option<Place> {
        let (place, seen) = self.stations.get(&mac)?;
        (now.saturating_sub(*seen) < AGEING).then_some(*place)
    }

    fn flood(&mut self, except: Option<MemberId>, frame: &Bytes) {
        let all = self.locals.keys().filter(|id| Some(**id) != except);
        self.effects.extend(all.map(|&to| Effect::Frame { to, frame: frame.clone() }).collect::<Vec<_>>());
    }

    fn refuse_frame(&mut self, now: u64, member: MemberId, what: LimitKind) {
        if let Some(local) = self.locals.get_mut(&member) {
            local.traffic.dropped += 1;
            *local.untold.entry(what).or_default() += 1;
            self.tell_limits(now, member);
        }
    }

    /// Tells which limits bit, once a second at most.
    fn tell_limits(&mut self, now: u64, id: MemberId) {
        let Some(local) = self.locals.get_mut(&id) else { return };
        if local.untold.is_empty() || local.told.is_some_and(|told| now.saturating_sub(told) < SECOND) {
            return;
        }
        local.told = Some(now);
        let untold = std::mem::take(&mut local.untold);
        if local.speaks {
            let told = untold.into_iter().map(|(what, dropped)| ToMember::Limit { what, dropped });
            self.effects.extend(told.map(|message| Effect::Text { to: id, message }));
        }
    }

    fn tell(&mut self, to: MemberId, message: ToMember) {
        if self.locals.get(&to).is_some_and(|local| local.speaks) {
            self.effects.push_back(Effect::Text { to, message });
        }
    }

    fn tell_all(&mut self, message: &ToMember) {
        self.tell_all_but(None, message);
    }

    fn tell_all_but(&mut self, except: Option<MemberId>, message: &ToMember) {
        let all = self.locals.iter().filter(|(id, local)| local.speaks && Some(**id) != except);
        let told = all.map(|(&to, _)| Effect::Text { to, message: message.clone() });
        self.effects.extend(told.collect::<Vec<_>>());
    }
}

impl Allowance {
    /// A token bucket (RFC 2697 §2 with one colour): `false` if this frame is too much.
    fn take(allowance: &mut Option<Allowance>, now: u64, octets: u64, limits: &Limits) -> bool {
        let (frame_rate, octet_rate) =
            (u64::from(limits.frames_per_second), u64::from(limits.octets_per_second));
        let full =
            Allowance { frames: frame_rate * BURST * SECOND, octets: octet_rate * BURST * SECOND, at: now };
        let a = allowance.get_or_insert(full);
        let passed = now.saturating_sub(a.at).min(BURST * SECOND);
        a.frames = (a.frames + passed * frame_rate).min(full.frames);
        a.octets = (a.octets + passed * octet_rate).min(full.octets);
        a.at = now;
        let enough = a.frames >= SECOND && a.octets >= octets * SECOND;
        if enough {
            a.frames -= SECOND;
            a.octets -= octets * SECOND;
        }
        enough
    }
}

/// The MAC address that begins at an octet of a frame.
fn mac_at(frame: &[u8], at: usize) -> Option<[u8; 6]> {
    frame.get(at..at + 6)?.try_into().ok()
}
