//! Who is in the room: names, slots, reports, and what a teacher may do.

use socketlab_lan::{
    HostReport, LeftReason, MAX_NAME, MemberId, MemberInfo, Slice, ToMember, ToRelay, Traffic, VERSION,
    close, tidy_name,
};

use super::{Command, Owner, Room};

/// Hosts, ports and connections that a member may report. More than any lab has.
const MAX_HOSTS: usize = 64;
const MAX_PORTS: usize = 64;
const MAX_STREAMS: usize = 256;
/// Characters of any text in a report.
const MAX_WORD: usize = 64;

/// What the front room found out about a hello.
pub(in crate::lan) struct Greeting {
    /// The member's key, digested.
    pub(in crate::lan) owner: Owner,
    /// `None`: it does not say to be a teacher. `Some(false)`: the word was wrong, or there is none.
    pub(in crate::lan) teacher: Option<bool>,
}

impl Room {
    /// A text message of a member. `greeting` comes with a hello.
    pub(in crate::lan) fn handle_text(
        &mut self,
        now: u64,
        from: MemberId,
        message: ToRelay,
        greeting: Option<Greeting>,
    ) {
        let Some(local) = self.locals.get_mut(&from) else { return };
        let greeted = local.owner.is_some();
        local.speaks = true;
        match message {
            ToRelay::Hello { .. } if greeted => {
                self.refuse(from, "hello was said before: leave the room and come again to change your name");
            }
            ToRelay::Hello { version: 0, .. } => {
                self.refuse(from, format!("there is no version 0; this relay speaks version {VERSION}"));
            }
            ToRelay::Hello { name, slot, .. } => {
                if let Some(greeting) = greeting {
                    self.greet(now, from, &name, slot, greeting);
                }
            }
            ToRelay::Clock { id } => self.tell(from, ToMember::Clock { id, clock_ns: now }),
            _ if !greeted => self.refuse(from, "say hello first"),
            ToRelay::Report { hosts } => self.report(now, from, hosts),
            ToRelay::Mute { member, on } => self.command(now, from, member, Command::Mute { on }),
            ToRelay::Disconnect { member } => self.command(now, from, member, Command::Disconnect),
            ToRelay::Reset { member, host, local, remote } => {
                self.command(now, from, member, Command::Reset { host, local, remote });
            }
        }
    }

    fn greet(&mut self, now: u64, id: MemberId, name: &str, wanted: Option<Slice>, greeting: Greeting) {
        // Who comes back before its old connection was missed takes its place.
        let ghosts: Vec<MemberId> =
            self.locals.iter().filter(|(_, l)| l.owner == Some(greeting.owner)).map(|(id, _)| *id).collect();
        for ghost in ghosts {
            self.leave(now, ghost, LeftReason::Lost);
            self.effects.push_back(super::Effect::End {
                member: ghost,
                code: close::REFUSED,
                why: "the same member came again",
            });
        }
        self.drop_claims_of(greeting.owner);
        let slot = self.free_slot(greeting.owner, wanted);
        let name = self.free_name(tidy_name(name).as_deref().unwrap_or("guest"));
        let Some(local) = self.locals.get_mut(&id) else { return };
        let known = local.info.is_some();
        let info = MemberInfo {
            id,
            name,
            slot,
            teacher: greeting.teacher == Some(true),
            muted: local.info.as_ref().is_some_and(|info| info.muted),
            relay: self.relay_name.clone(),
            hosts: Vec::new(),
        };
        local.owner = Some(greeting.owner);
        local.info = Some(info.clone());
        let welcome = ToMember::Welcome {
            version: VERSION,
            room: self.name.clone(),
            you: info.clone(),
            clock_ns: now,
            limits: self.limits,
            members: self.roster().filter(|member| member.id != id).cloned().collect(),
        };
        self.tell(id, welcome);
        if greeting.teacher == Some(false) {
            self.refuse(
                id,
                "that is not this relay's teacher's word (--teacher-word): you are in as a student",
            );
        }
        if slot.is_none() {
            self.refuse(
                id,
                "every slot of this room is taken: you can watch, but your hosts get no addresses",
            );
        }
        let told = if known { ToMember::Changed { member: info } } else { ToMember::Joined { member: info } };
        self.tell_all_but(Some(id), &told);
        self.announce(now);
    }

    /// Somebody sent a frame without a word.
    pub(super) fn introduce_guest(&mut self, now: u64, id: MemberId) {
        let name = self.free_name("guest");
        let relay = self.relay_name.clone();
        let Some(local) = self.locals.get_mut(&id) else { return };
        let info =
            MemberInfo { id, name, slot: None, teacher: false, muted: false, relay, hosts: Vec::new() };
        local.info = Some(info.clone());
        self.tell_all_but(Some(id), &ToMember::Joined { member: info });
        self.announce(now);
    }

    fn report(&mut self, now: u64, id: MemberId, mut hosts: Vec<HostReport>) {
        let mut cut = hosts.len() > MAX_HOSTS;
        hosts.truncate(MAX_HOSTS);
        for host in &mut hosts {
            cut |= host.ports.len() > MAX_PORTS
                || host.streams.len() > MAX_STREAMS
                || host.addresses.len() > MAX_PORTS;
            host.ports.truncate(MAX_PORTS);
            host.streams.truncate(MAX_STREAMS);
            host.addresses.truncate(MAX_PORTS);
            let ports = host.ports.iter_mut().map(|p| &mut p.program);
            let streams = host.streams.iter_mut().flat_map(|s| [&mut s.local, &mut s.remote, &mut s.state]);
            for word in host.addresses.iter_mut().chain([&mut host.name]).chain(ports).chain(streams) {
                cut |= shorten(word);
            }
        }
        let Some(info) = self.locals.get_mut(&id).and_then(|local| local.info.as_mut()) else { return };
        if info.hosts != hosts {
            info.hosts = hosts;
            let member = info.clone();
            self.tell_all_but(Some(id), &ToMember::Changed { member });
            self.announce(now);
        }
        if cut {
            let most = format!(
                "your report was cut: {MAX_HOSTS} hosts, {MAX_PORTS} ports and {MAX_STREAMS} connections each, words of {MAX_WORD} \
                 characters"
            );
            self.refuse(id, most);
        }
    }

    fn command(&mut self, now: u64, from: MemberId, to: MemberId, command: Command) {
        let Some(info) = self.locals.get(&from).and_then(|local| local.info.as_ref()) else { return };
        if !info.teacher {
            return self.refuse(from, "only a teacher may do that: join with the teacher's word");
        }
        let by = info.name.clone();
        if self.locals.contains_key(&to) {
            self.obey(now, to, command, &by);
        } else if !self.send_command(to, command, by) {
            self.refuse(from, format!("nobody here is {to}"));
        }
    }

    /// Does to a member of this relay what a teacher wants.
    pub(super) fn obey(&mut self, now: u64, to: MemberId, command: Command, by: &str) {
        let Some(local) = self.locals.get_mut(&to) else { return };
        match command {
            Command::Mute { on } => {
                let Some(info) = local.info.as_mut() else { return };
                info.muted = on;
                let member = info.clone();
                self.tell(to, ToMember::Muted { on, by: by.to_owned() });
                self.tell_all(&ToMember::Changed { member });
                self.announce(now);
            }
            Command::Disconnect => {
                // Its slot is not kept for it, and it has to come by itself.
                local.owner = None;
                self.leave(now, to, LeftReason::Disconnected);
                self.effects.push_back(super::Effect::End {
                    member: to,
                    code: close::THROWN_OUT,
                    why: "a teacher closed the connection",
                });
            }
            Command::Reset { host, local, remote } => {
                self.tell(to, ToMember::Reset { host, local, remote, by: by.to_owned() });
            }
        }
    }

    /// Everybody that has been told of.
    pub(super) fn roster(&self) -> impl Iterator<Item = &MemberInfo> {
        let here = self.locals.values().filter_map(|local| local.info.as_ref());
        here.chain(self.others.values().flat_map(|other| other.members.values().map(|claim| &claim.info)))
    }

    /// What everybody of this relay sent and was sent.
    pub(super) fn traffic(&self) -> Vec<(MemberId, Traffic)> {
        let here =
            self.locals.iter().filter(|(_, local)| local.info.is_some()).map(|(id, l)| (*id, l.traffic));
        here.chain(self.others.values().flat_map(|other| other.traffic.iter().copied())).collect()
    }

    pub(super) fn refuse(&mut self, to: MemberId, why: impl Into<String>) {
        self.tell(to, ToMember::Refused { why: why.into() });
    }

    /// The slot that was asked for, the one that the owner had, or the lowest that nobody has or had of late.
    pub(super) fn free_slot(&self, owner: Owner, wanted: Option<Slice>) -> Option<Slice> {
        let taken = |slice: &Slice| self.roster().any(|member| member.slot == Some(*slice));
        let kept_for_others =
            |slice: &Slice| self.kept.iter().any(|(of, (kept, _))| kept == slice && *of != owner);
        let own = self.kept.get(&owner).map(|(slice, _)| *slice);
        own.into_iter()
            .chain(wanted)
            .find(|slice| !taken(slice))
            .or_else(|| Slice::all().find(|slice| !taken(slice) && !kept_for_others(slice)))
            .or_else(|| Slice::all().find(|slice| !taken(slice)))
    }

    /// `name`, or `name-2` and so on if somebody is called so.
    fn free_name(&self, name: &str) -> String {
        let taken = |name: &str| self.roster().any(|m| m.name.to_lowercase() == name.to_lowercase());
        let short: String = name.chars().take(MAX_NAME - 4).collect();
        core::iter::once(name.to_owned())
            .chain((2..).map(|n: u32| format!("{short}-{n}")))
            .find(|name| !taken(name))
            .unwrap_or_default()
    }
}

/// Cuts a word of a report; `true` if there was something to cut.
fn shorten(word: &mut String) -> bool {
    let end = word.char_indices().nth(MAX_WORD).map(|(at, _)| at);
    end.map(|at| word.truncate(at)).is_some()
}
