//! The host on its test bench: a clock, one cable to a gateway that is us, and what came out of it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use smoltcp::wire::EthernetAddress;
use socketlab_stack::{
    Call, CallId, Failure, Fd, Host, HostConfig, HostSnapshot, IfaceId, Instant, IpCidr, MacAddr, Outcome,
    Pid, Ret,
};

use crate::wire::{self, Datagram, Frame};

/// The addresses the original tool uses.
const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 2);
/// The far side; RFC 5737 documentation addresses.
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PREFIX: u8 = 24;
const LOCAL_V6: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0x0a0b, 0x17d6, 0, 0, 0, 0, 1);
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0x0a0b, 0x17d6, 0x8888, 0, 0, 0, 1);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1);
const PREFIX_V6: u8 = 48;

const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The one process that makes all calls.
const PROGRAM: Pid = Pid(1);
/// Script time 0 is this late in the host's life, so that nothing depends on a clock near zero.
const START: Instant = Instant::from_nanos(1_000_000_000);
/// More timers than this at one instant: the host's clock has run fast.
const TIMERS_AT_ONCE: u32 = 10_000;

/// A packet that came out of the host.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Script time.
    pub(crate) at: Duration,
    pub(crate) datagram: Datagram,
}

pub(crate) struct Bench {
    host: Host,
    /// Which version of IP the script is about.
    pub(crate) v6: bool,
    iface: IfaceId,
    now: Instant,
    calls: u64,
    /// Packets not yet matched with the script.
    pub(crate) seen: VecDeque<Seen>,
    /// Answers of calls that had blocked.
    pub(crate) completions: VecDeque<(CallId, Result<Ret, Failure>)>,
    /// A frame the host should never have sent.
    pub(crate) malformed: Option<String>,
}

impl Bench {
    pub(crate) fn new(mtu: usize, v6: bool) -> Bench {
        let mut host = Host::new(HostConfig { name: "host".to_owned(), seed: 1, ..HostConfig::default() });
        let address = IpCidr { address: IpAddr::V4(LOCAL), prefix_len: PREFIX };
        let address_v6 = IpCidr { address: IpAddr::V6(LOCAL_V6), prefix_len: PREFIX_V6 };
        let iface = host.add_interface("eth0", MacAddr(HOST_MAC), &[address, address_v6], mtu);
        let everywhere = IpCidr { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix_len: 0 };
        host.add_route(everywhere, Some(IpAddr::V6(GATEWAY_V6)), iface);
        let everywhere = IpCidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix_len: 0 };
        host.add_route(everywhere, Some(IpAddr::V4(GATEWAY)), iface);
        let mut bench = Bench {
            host,
            v6,
            iface,
            now: Instant::ZERO,
            calls: 0,
            seen: VecDeque::new(),
            completions: VecDeque::new(),
            malformed: None,
        };
        bench.drain();
        // What an interface does when it comes up is over when the script begins.
        while let Some(due) = bench.host.poll_timeout().filter(|due| *due < START) {
            bench.now = bench.now.max(due);
            bench.host.handle_timeout(bench.now);
            bench.drain();
        }
        bench.now = START;
        bench.seen.clear();
        bench
    }

    /// The host's address, and the far side's.
    pub(crate) fn ends(&self) -> (IpAddr, IpAddr) {
        if self.v6 { (LOCAL_V6.into(), REMOTE_V6.into()) } else { (LOCAL.into(), REMOTE.into()) }
    }

    /// Script time.
    pub(crate) fn now(&self) -> Duration {
        self.now.saturating_since(START)
    }

    /// Goes on to the host's next timer, or to `limit` if that comes first. False once `limit` is reached.
    pub(crate) fn step(&mut self, limit: Duration) -> bool {
        let limit = START + limit;
        let due = self.host.poll_timeout().filter(|due| *due <= limit);
        let Some(due) = due else {
            self.now = self.now.max(limit);
            return false;
        };
        self.now = self.now.max(due);
        let mut turns = 0;
        while self.host.poll_timeout().is_some_and(|due| due <= self.now) {
            self.host.handle_timeout(self.now);
            self.drain();
            turns += 1;
            if turns > TIMERS_AT_ONCE {
                self.malformed = Some("a timer that is due again and again without time passing".to_owned());
                return false;
            }
        }
        true
    }

    pub(crate) fn call(&mut self, call: Call) -> (CallId, Outcome) {
        self.calls += 1;
        let id = CallId(self.calls);
        let outcome = self.host.call(self.now, PROGRAM, id, call);
        self.drain();
        (id, outcome)
    }

    /// A packet arrives at the host.
    pub(crate) fn inject(&mut self, datagram: &Datagram) {
        let frame = wire::emit(EthernetAddress(GATEWAY_MAC), EthernetAddress(HOST_MAC), datagram);
        self.host.handle_frame(self.now, self.iface, frame);
        self.drain();
    }

    /// `getsockopt(TCP_INFO)` of the program's descriptor.
    pub(crate) fn tcp_info(&mut self, fd: Fd) -> Option<Bytes> {
        let call = Call::GetSockOpt { fd, level: 6, name: 11, len: 512 };
        match self.call(call).1 {
            Outcome::Done(Ok(Ret::Opt(info))) => Some(info),
            _ => None,
        }
    }

    /// `sysctl -w`. False: there is no such setting.
    pub(crate) fn set_sysctl(&mut self, name: &str, value: &str) -> bool {
        self.host.set_sysctl(name, value)
    }

    pub(crate) fn set_hystart(&mut self, on: bool) {
        self.host.set_sysctl("hystart", if on { "1" } else { "0" });
    }

    pub(crate) fn snapshot(&self) -> HostSnapshot {
        self.host.snapshot()
    }

    fn drain(&mut self) {
        while let Some((iface, frame)) = self.host.poll_transmit(self.now) {
            if iface == self.iface {
                self.handle_frame(&frame);
            }
        }
        while let Some(completion) = self.host.poll_completion() {
            self.completions.push_back(completion);
        }
        while self.host.poll_event().is_some() {}
    }

    fn handle_frame(&mut self, frame: &Bytes) {
        match wire::parse(frame) {
            Ok(Frame::ArpRequest { asker, from, wanted }) if wanted == GATEWAY => {
                let reply = wire::arp_reply(EthernetAddress(GATEWAY_MAC), GATEWAY, asker, from);
                self.host.handle_frame(self.now, self.iface, reply);
            }
            Ok(Frame::Solicitation { asker, from, wanted }) if wanted == GATEWAY_V6 => {
                let reply = wire::advertisement(EthernetAddress(GATEWAY_MAC), GATEWAY_V6, asker, from);
                self.host.handle_frame(self.now, self.iface, reply);
            }
            Ok(Frame::ArpRequest { .. } | Frame::Solicitation { .. } | Frame::Other) => {}
            Ok(Frame::Ip(datagram)) => self.seen.push_back(Seen { at: self.now(), datagram }),
            Err(what) => self.malformed = Some(what),
        }
    }
}
