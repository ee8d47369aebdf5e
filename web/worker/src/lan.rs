//! The shared LAN: the page's place in a room of the relay. The room's messages become news for the world and for the
//! page; frames go both ways. Knows no browser; time counts from any fixed point.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use socketlab_lab::RoomAddress;
use socketlab_lan::{
    Client, ClientEvent, HostReport, LimitKind, MemberId, MemberInfo, Outgoing, Phase, PortReport, Proto,
    Slice, StreamReport, ToRelay, Traffic, close, host_names, label,
};
use socketlab_protocol::{
    LanDeed, LanHost, LanJoin, LanMember, LanNotice, LanPhase, LanPort, LanStream, LanTraffic, LanView,
};
use socketlab_stack::{HostSnapshot, IpCidr, MacAddr, Pid, ProtocolKind, TcpState};

/// How often the others are told what changed on this lab's hosts. A choice: what a person can follow.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum LanJob {
    /// Open a WebSocket to this room, with this class code.
    Connect {
        /// The room.
        room: String,
        /// The class code.
        code: Option<String>,
    },
    /// Close it.
    Close,
    /// Send this.
    Send(Outgoing),
    /// The lab's hosts have these addresses now.
    Move(Option<Vec<RoomAddress>>),
    /// The room is there, or is not.
    Joined(bool),
    /// The others' hosts by name.
    Names(Vec<(String, Vec<IpAddr>)>),
    /// A frame for the world.
    Frame(Bytes),
    /// End a connection of a host.
    Reset {
        /// The host's name.
        host: String,
        /// Its end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
    /// Tell the page.
    Show(LanView),
    /// Tell the person.
    Say(LanNotice),
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Lan {
    joined: Option<Joined>,
    jobs: VecDeque<LanJob>,
}

#[derive(Debug)]
struct Joined {
    room: String,
    code: Option<String>,
    client: Client,
    traffic: BTreeMap<MemberId, Traffic>,
    next_report: Duration,
    shown: LanView,
}

impl Lan {
    /// The person wants to be in a room; another one is left.
    pub fn join(&mut self, now: Duration, join: LanJoin) {
        self.leave();
        let LanJoin { room, name, key, code, teacher } = join;
        let client = Client::new(name, key, teacher);
        let shown = LanView::default();
        self.joined = Some(Joined { room, code, client, traffic: BTreeMap::new(), next_report: now, shown });
        self.work_off(now);
    }

    /// The person wants to be alone.
    pub fn leave(&mut self) {
        if self.joined.take().is_some() {
            self.jobs.push_back(LanJob::Close);
            self.go();
        }
    }

    /// What is left to do when the room is gone for good.
    fn go(&mut self) {
        self.joined = None;
        self.jobs.push_back(LanJob::Joined(false));
        self.jobs.push_back(LanJob::Names(Vec::new()));
        self.jobs.push_back(LanJob::Move(None));
        self.jobs.push_back(LanJob::Show(LanView::default()));
    }

    /// In a room, or on the way to one.
    pub fn is_in(&self) -> bool {
        self.joined.is_some()
    }

    /// A teacher's wish.
    pub fn command(&mut self, now: Duration, deed: LanDeed) {
        let Some(joined) = &mut self.joined else { return };
        // An id that is none is nobody's: the page shows only what came from here.
        let command = match deed {
            LanDeed::Mute { member, on } => member.parse().map(|member| ToRelay::Mute { member, on }),
            LanDeed::Disconnect { member } => member.parse().map(|member| ToRelay::Disconnect { member }),
            LanDeed::Reset { member, host, local, remote } => {
                member.parse().map(|member| ToRelay::Reset { member, host, local, remote })
            }
        };
        if let Ok(command) = command {
            joined.client.command(&command);
        }
        self.work_off(now);
    }

    /// The WebSocket is open.
    pub fn handle_open(&mut self, now: Duration) {
        if let Some(joined) = &mut self.joined {
            joined.client.handle_open(now);
        }
        self.work_off(now);
    }

    /// The WebSocket was closed, with this code and reason, or could not be opened.
    pub fn handle_lost(&mut self, now: Duration, code: u16, reason: &str) {
        let Some(joined) = &mut self.joined else { return };
        if close::is_final(code) {
            let key = match code {
                close::THROWN_OUT => "lan-thrown-out",
                close::CODE_WANTED => "lan-code-wanted",
                close::WRONG_CODE => "lan-code-wrong",
                close::CODE_WITHDRAWN => "lan-code-withdrawn",
                _ => "lan-turned-away",
            };
            let args = [("room", joined.room.clone()), ("reason", reason.to_owned())];
            self.say(key, args);
            return self.go();
        }
        joined.client.handle_lost(now);
        if code == close::TRY_LATER {
            self.say("lan-refused", [("why", reason.to_owned())]);
        }
        self.work_off(now);
    }

    /// A text message came. One that is not understood is skipped: the relay may be newer than we are.
    pub fn handle_text(&mut self, now: Duration, text: &str) {
        if let Some(joined) = &mut self.joined {
            let _skipped = joined.client.handle_text(now, text);
        }
        self.work_off(now);
    }

    /// A frame came.
    pub fn handle_frame(&mut self, now: Duration, frame: Bytes) {
        if let Some(joined) = &mut self.joined {
            joined.client.handle_frame(frame);
        }
        self.work_off(now);
    }

    /// A frame of the world's.
    pub fn send_frame(&mut self, now: Duration, frame: Bytes) {
        if let Some(joined) = &mut self.joined {
            joined.client.send_frame(frame);
        }
        self.work_off(now);
    }

    /// Whether the others should hear of the hosts again.
    pub fn wants_report(&self, now: Duration) -> bool {
        let joined = self.joined.as_ref();
        joined.is_some_and(|joined| joined.client.phase() == Phase::Joined && joined.next_report <= now)
    }

    /// This lab's hosts as they are now.
    pub fn report(&mut self, now: Duration, hosts: Vec<HostReport>) {
        if let Some(joined) = &mut self.joined {
            joined.next_report = now + REPORT_EVERY;
            joined.client.report(hosts);
        }
        self.work_off(now);
    }

    /// When to call [`Lan::handle_timeout`], or to report.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let joined = self.joined.as_ref()?;
        let report = (joined.client.phase() == Phase::Joined).then_some(joined.next_report);
        [joined.client.poll_timeout(), report].into_iter().flatten().min()
    }

    /// Time has come to `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(joined) = &mut self.joined {
            joined.client.handle_timeout(now);
        }
        self.work_off(now);
    }

    /// The next thing for the shell to do.
    pub fn poll_job(&mut self) -> Option<LanJob> {
        self.jobs.pop_front()
    }

    fn say<const N: usize>(&mut self, key: &str, args: [(&str, String); N]) {
        let args = args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.jobs.push_back(LanJob::Say(LanNotice { key: key.to_owned(), args }));
    }

    fn work_off(&mut self, now: Duration) {
        while let Some(event) = self.joined.as_mut().and_then(|joined| joined.client.poll_event()) {
            self.handle_event(event);
        }
        let Some(joined) = &mut self.joined else { return };
        while let Some(message) = joined.client.poll_message() {
            self.jobs.push_back(LanJob::Send(message));
        }
        let view = joined.view(now);
        if view != joined.shown {
            joined.shown.clone_from(&view);
            self.jobs.push_back(LanJob::Show(view));
        }
    }

    fn handle_event(&mut self, event: ClientEvent) {
        let Some(joined) = &mut self.joined else { return };
        match event {
            ClientEvent::Connect => {
                let (room, code) = (joined.room.clone(), joined.code.clone());
                self.jobs.push_back(LanJob::Connect { room, code });
            }
            ClientEvent::Joined { slice, moved } => {
                if moved {
                    self.say("lan-moved", []);
                }
                self.jobs.push_back(LanJob::Move(slice.map(addresses)));
                self.jobs.push_back(LanJob::Joined(true));
            }
            ClientEvent::Roster => {
                let me = joined.client.me().map(|me| me.id);
                let others = joined.client.members().filter(|member| Some(member.id) != me);
                let names = host_names(others);
                self.jobs.push_back(LanJob::Names(names));
            }
            ClientEvent::Frame(frame) => self.jobs.push_back(LanJob::Frame(frame)),
            ClientEvent::Limit { what, dropped } => {
                let key = match what {
                    LimitKind::FrameLength => "lan-limit-length",
                    LimitKind::Rate => "lan-limit-rate",
                    LimitKind::Queue => "lan-limit-queue",
                    LimitKind::ForeignAddress => "lan-limit-address",
                    LimitKind::Muted => "lan-limit-muted",
                };
                self.say(key, [("dropped", dropped.to_string())]);
            }
            ClientEvent::Muted { on, by } => {
                self.say(if on { "lan-muted" } else { "lan-unmuted" }, [("by", by)]);
            }
            ClientEvent::Reset { host, local, remote, by } => {
                if let (Ok(local), Ok(end)) = (local.parse(), remote.parse()) {
                    self.jobs.push_back(LanJob::Reset { host: host.clone(), local, remote: end });
                    self.say("lan-reset", [("host", host), ("remote", remote), ("by", by)]);
                }
            }
            ClientEvent::Traffic(all) => joined.traffic = all.into_iter().collect(),
            ClientEvent::Refused { why } => self.say("lan-refused", [("why", why)]),
            // The world goes on without the room: its frames are lost, as with a cable pulled out.
            ClientEvent::Lost { .. } => {}
        }
    }
}

impl Joined {
    fn view(&self, now: Duration) -> LanView {
        let phase = match self.client.phase() {
            Phase::Connecting | Phase::Greeting => LanPhase::Joining,
            Phase::Joined => LanPhase::In,
            // Told once when it begins, not each time anew.
            Phase::Waiting(again) => match self.shown.phase {
                phase @ LanPhase::Waiting { .. } => phase,
                _ => {
                    let wait = again.saturating_sub(now).as_millis();
                    LanPhase::Waiting { retry_ms: u32::try_from(wait).unwrap_or(u32::MAX) }
                }
            },
        };
        let me = self.client.me().map(|me| me.id);
        let mut members: Vec<LanMember> =
            self.client.members().map(|member| self.member(member, Some(member.id) == me)).collect();
        members.sort_by_key(|member| (!member.me, member.name.to_lowercase(), member.id.clone()));
        LanView { phase, room: self.room.clone(), members }
    }

    fn member(&self, member: &MemberInfo, me: bool) -> LanMember {
        let label = label(&member.name);
        let traffic = self.traffic.get(&member.id).map(|traffic| LanTraffic {
            frames_up: traffic.frames_up,
            octets_up: traffic.octets_up,
            frames_down: traffic.frames_down,
            octets_down: traffic.octets_down,
            dropped: traffic.dropped,
        });
        let hosts = member.hosts.iter().map(|host| LanHost {
            name: host.name.clone(),
            full_name: format!("{}.{label}", host.name),
            addresses: host.addresses.clone(),
            ports: host.ports.iter().map(port).collect(),
            streams: host.streams.iter().map(stream).collect(),
        });
        LanMember {
            id: member.id.to_string(),
            name: member.name.clone(),
            me,
            teacher: member.teacher,
            muted: member.muted,
            relay: member.relay.clone(),
            hosts: hosts.collect(),
            traffic,
        }
    }
}

fn port(port: &PortReport) -> LanPort {
    let proto = match port.proto {
        Proto::Tcp => "tcp",
        Proto::Udp => "udp",
    };
    LanPort { proto: proto.to_owned(), port: port.port, program: port.program.clone() }
}

fn stream(stream: &StreamReport) -> LanStream {
    LanStream {
        local: stream.local.clone(),
        remote: stream.remote.clone(),
        state: stream.state.clone(),
        sent: stream.sent,
        received: stream.received,
    }
}

/// The addresses of a slice, for the lab's hosts in their order.
fn addresses(slice: Slice) -> Vec<RoomAddress> {
    let host = |n: u8| {
        let (v4, v4_prefix) = slice.ipv4(n);
        let (v6, v6_prefix) = slice.ipv6(n);
        RoomAddress {
            mac: MacAddr(slice.mac(n)),
            addresses: vec![
                IpCidr { address: v4.into(), prefix_len: v4_prefix },
                IpCidr { address: v6.into(), prefix_len: v6_prefix },
            ],
        }
    };
    (1..=254).map(host).collect()
}

/// A host's open ports and connections, for the others. `shared`: its addresses in the room; `file`: a program's.
pub(crate) fn sockets(
    state: &HostSnapshot,
    shared: &[IpAddr],
    file: impl Fn(Pid) -> Option<String>,
) -> (Vec<PortReport>, Vec<StreamReport>) {
    let (mut ports, mut streams) = (Vec::new(), Vec::new());
    for socket in &state.sockets {
        let proto = match socket.protocol {
            ProtocolKind::Tcp => Proto::Tcp,
            ProtocolKind::Udp => Proto::Udp,
            _ => continue,
        };
        let Some(local) = socket.local else { continue };
        let here = shared.contains(&local.ip());
        let open = match proto {
            Proto::Tcp => socket.state == Some(TcpState::Listen),
            Proto::Udp => socket.peer.is_none(),
        };
        if open && (here || local.ip().is_unspecified()) {
            let program = socket.owners.iter().find_map(|(pid, _)| file(*pid)).unwrap_or_default();
            ports.push(PortReport { proto, port: local.port(), program });
        }
        let (Some(remote), Some(tcb), Some(tcp)) = (socket.peer, &socket.tcb, socket.state) else { continue };
        if here && !shared.contains(&remote.ip()) && tcp != TcpState::TimeWait && tcp != TcpState::Closed {
            // Octets are counted by sequence numbers, which begin again after 4 GiB.
            let since = |now: u32, first: u32| u64::from(now.wrapping_sub(first).saturating_sub(1));
            streams.push(StreamReport {
                proto,
                local: local.to_string(),
                remote: remote.to_string(),
                state: tcp.ss_name().to_owned(),
                sent: since(tcb.snd_una, tcb.iss),
                received: since(tcb.rcv_nxt, tcb.irs),
            });
        }
    }
    ports.dedup();
    (ports, streams)
}
