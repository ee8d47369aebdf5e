//! The members that are at other relays, as these announce them over the bus.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use socketlab_lan::{LeftReason, MemberId, MemberInfo, Slice, ToMember, Traffic};

use super::{Effect, FORGET, Owner, RelayId, Room};

/// A member and its right to its slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::lan) struct Claim {
    pub(super) info: MemberInfo,
    pub(super) owner: Option<Owner>,
    /// When it came, in nanoseconds of its relay's clock.
    pub(super) since: u64,
}

/// What a teacher wants done at another relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::lan) enum Command {
    Mute { on: bool },
    Disconnect,
    Reset { host: String, local: String, remote: String },
}

/// What relays tell each other of a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::lan) enum Control {
    /// All that are here: who is missing has left.
    Announce { relay: RelayId, members: Vec<Claim>, traffic: Vec<(MemberId, Traffic)> },
    /// A relay has just opened the room and wants to know who is there.
    Who { relay: RelayId },
    /// A teacher's wish about a member of another relay.
    Command { relay: RelayId, to: MemberId, command: Command, by: String },
}

/// Another relay.
#[derive(Clone, Debug, Default)]
pub(super) struct Other {
    pub(super) members: BTreeMap<MemberId, Claim>,
    pub(super) traffic: Vec<(MemberId, Traffic)>,
    heard: u64,
}

impl Room {
    /// Asks who else is there.
    pub(in crate::lan) fn ask_who(&mut self) {
        self.effects.push_back(Effect::Bus(Control::Who { relay: self.relay }));
    }

    /// Tells the other relays who is here.
    pub(in crate::lan) fn announce(&mut self, now: u64) {
        if !self.has_bus {
            return;
        }
        self.announced = now;
        let members = self.locals.values().filter_map(|local| {
            Some(Claim { info: local.info.clone()?, owner: local.owner, since: local.since })
        });
        let here = |id: &MemberId| self.locals.contains_key(id);
        let traffic = self.traffic().into_iter().filter(|(id, _)| here(id)).collect();
        let announce = Control::Announce { relay: self.relay, members: members.collect(), traffic };
        self.effects.push_back(Effect::Bus(announce));
    }

    /// A message from the bus; one's own come back and are passed over.
    pub(in crate::lan) fn handle_control(&mut self, now: u64, control: Control) {
        match control {
            Control::Who { relay } if relay != self.relay => self.announce(now),
            Control::Command { relay, to, command, by } if relay != self.relay => {
                self.obey(now, to, command, &by);
            }
            Control::Announce { relay, members, traffic } if relay != self.relay => {
                self.hear(now, relay, members, traffic);
            }
            _ => {}
        }
    }

    fn hear(&mut self, now: u64, relay: RelayId, members: Vec<Claim>, traffic: Vec<(MemberId, Traffic)>) {
        let other = self.others.entry(relay).or_default();
        other.heard = now;
        other.traffic = traffic;
        let before = std::mem::take(&mut other.members);
        // A member that has come to this relay is no longer at the other, whatever that one still thinks.
        let owners: Vec<Owner> = self.locals.values().filter_map(|local| local.owner).collect();
        let members = members.into_iter().filter(|claim| claim.owner.is_none_or(|o| !owners.contains(&o)));
        other.members = members.map(|claim| (claim.info.id, claim)).collect();
        let mut told = Vec::new();
        for (id, claim) in &other.members {
            match before.get(id) {
                None => told.push(ToMember::Joined { member: claim.info.clone() }),
                Some(old) if old.info != claim.info => {
                    told.push(ToMember::Changed { member: claim.info.clone() })
                }
                Some(_) => {}
            }
        }
        let gone = before.keys().filter(|id| !other.members.contains_key(id));
        told.extend(gone.map(|id| ToMember::Left { member: *id, why: LeftReason::Closed }));
        for message in told {
            self.tell_all(&message);
        }
        self.settle_conflicts(now);
    }

    /// Two members with one slot: the one that came later, here or there, gets another.
    fn settle_conflicts(&mut self, now: u64) {
        let theirs: BTreeMap<Slice, (u64, MemberId)> = self
            .others
            .values()
            .flat_map(|other| other.members.values())
            .filter_map(|claim| Some((claim.info.slot?, (claim.since, claim.info.id))))
            .collect();
        let losers: Vec<(MemberId, Owner)> = self
            .locals
            .iter()
            .filter(|(id, local)| {
                let slot = local.info.as_ref().and_then(|info| info.slot);
                let rival = slot.and_then(|slot| theirs.get(&slot));
                rival.is_some_and(|rival| *rival < (local.since, **id))
            })
            .filter_map(|(id, local)| Some((*id, local.owner?)))
            .collect();
        for (id, owner) in losers {
            self.kept.remove(&owner);
            let slot = self.free_slot(owner, None);
            let Some(info) = self.locals.get_mut(&id).and_then(|local| local.info.as_mut()) else { continue };
            info.slot = slot;
            let member = info.clone();
            match slot {
                Some(slot) => self.tell(id, ToMember::Moved { slot }),
                None => {
                    self.refuse(id, "every slot of this room is taken: your hosts have no addresses any more")
                }
            }
            self.tell_all_but(Some(id), &ToMember::Changed { member });
            self.announce(now);
        }
    }

    /// A member that is greeted here is no longer at another relay.
    pub(super) fn drop_claims_of(&mut self, owner: Owner) {
        let mut gone = Vec::new();
        for other in self.others.values_mut() {
            other.members.retain(|id, claim| {
                let same = claim.owner == Some(owner);
                if same {
                    gone.push(*id);
                }
                !same
            });
        }
        for member in gone {
            self.tell_all(&ToMember::Left { member, why: LeftReason::Lost });
        }
    }

    pub(super) fn forget_silent_relays(&mut self, now: u64) {
        let silent: Vec<RelayId> = self
            .others
            .iter()
            .filter(|(_, other)| now.saturating_sub(other.heard) >= FORGET)
            .map(|(id, _)| *id)
            .collect();
        for relay in silent {
            for member in self.others.remove(&relay).into_iter().flat_map(|other| other.members.into_keys()) {
                self.tell_all(&ToMember::Left { member, why: LeftReason::RelayLost });
            }
        }
    }

    /// Sends a teacher's wish to where the member is; `false` if it is nowhere.
    pub(super) fn send_command(&mut self, to: MemberId, command: Command, by: String) -> bool {
        let known = self.others.values().any(|other| other.members.contains_key(&to));
        if known {
            self.effects.push_back(Effect::Bus(Control::Command { relay: self.relay, to, command, by }));
        }
        known
    }
}
