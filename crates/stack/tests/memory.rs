//! What a connection that rests takes of the heap. The allocator counts, so a busy machine changes nothing.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::alloc::System;

use bytes::Bytes;
use socketlab_stack::{
    Call, CallId, Fd, Host, HostConfig, IfaceId, Instant, IpCidr, MacAddr, Outcome, Pid, Ret, SockAddr,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 1_000;
const PORT: u16 = 7_000;

/// Two hosts on one cable; frames need no time.
struct Pair {
    hosts: [Host; 2],
    calls: u64,
    now: u64,
}

impl Pair {
    fn new() -> Pair {
        let hosts = [1, 2].map(|n| {
            let mut host = Host::new(HostConfig { seed: n, ..HostConfig::default() });
            let own = IpCidr { address: address(n as u8), prefix_len: 24 };
            host.add_interface("eth0", MacAddr([2, 0, 0, 0, 0, n as u8]), &[own], 1500);
            host
        });
        Pair { hosts, calls: 0, now: 0 }
    }

    fn call(&mut self, host: usize, call: Call) -> Ret {
        self.calls += 1;
        let now = Instant::from_nanos(self.now);
        // A process has 1,024 descriptors at most.
        match self.hosts[host].call(now, Pid(1), CallId(self.calls), call) {
            Outcome::Done(Ok(ret)) => ret,
            Outcome::Done(Err(_)) | Outcome::Blocked => Ret::Unit,
        }
    }

    fn exchange(&mut self) {
        let now = Instant::from_nanos(self.now);
        loop {
            let mut any = false;
            for from in 0..2 {
                while let Some((_, frame)) = self.hosts[from].poll_transmit(now) {
                    any = true;
                    self.hosts[1 - from].handle_frame(now, IfaceId(1), frame);
                }
            }
            if !any {
                break;
            }
        }
        for host in &mut self.hosts {
            while host.poll_event().is_some() {}
            while host.poll_completion().is_some() {}
        }
    }

    /// Lets a second pass: delayed acknowledgments leave.
    fn rest(&mut self) {
        let until = self.now + 1_000_000_000;
        while let Some(at) = self.hosts.iter().filter_map(Host::poll_timeout).min() {
            if at.as_nanos() > until {
                break;
            }
            self.now = at.as_nanos();
            self.hosts.iter_mut().for_each(|host| host.handle_timeout(at));
            self.exchange();
        }
        self.now = until;
    }

    fn socket(&mut self, host: usize) -> Fd {
        match self.call(host, Call::Socket { family: 2, kind: 1, protocol: 0 }) {
            Ret::Fd(fd) => fd,
            other => panic!("{other:?}"),
        }
    }

    /// Connections from the first host to the second, as both programs hold them.
    fn connect(&mut self) -> Vec<[Fd; 2]> {
        let listener = self.socket(1);
        let any = SockAddr::Ip(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
        self.call(1, Call::Bind { fd: listener, addr: any });
        self.call(1, Call::Listen { fd: listener, backlog: 16 });
        let timeout = Some(core::time::Duration::ZERO);
        let mut ends = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let fd = self.socket(0);
            let addr = SockAddr::Ip(SocketAddr::from((address(2), PORT)));
            self.call(0, Call::Connect { fd, addr, timeout });
            self.exchange();
            match self.call(1, Call::Accept { fd: listener, timeout }) {
                Ret::Accepted(accepted, _) => ends.push([fd, accepted]),
                other => panic!("{other:?}"),
            }
            self.exchange();
        }
        self.rest();
        ends
    }
}

fn address(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

fn held() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// One test only, as the allocator counts for the whole process.
#[test]
fn a_connection_that_rests_takes_less_than_1_kb() {
    let mut pair = Pair::new();
    pair.rest();
    let empty = held();
    let ends = pair.connect();
    // The list of descriptors is the test's own.
    let own = CONNECTIONS * size_of::<[Fd; 2]>();
    let each = (held() - empty - own) / (2 * CONNECTIONS);
    println!("an end of a connection: {each} octets");
    assert!(each < 1_000, "{each}");

    // Each says something and is answered; then all is as quiet as before.
    let timeout = Some(core::time::Duration::ZERO);
    for [client, server] in &ends {
        for (host, from, to) in [(0, client, server), (1, server, client)] {
            let data = Bytes::from(vec![7; 3_000]);
            assert_eq!(pair.call(host, Call::Send { fd: *from, data, flags: 0, timeout }), Ret::Len(3_000));
            pair.exchange();
            let got = pair.call(1 - host, Call::Recv { fd: *to, len: 4_096, flags: 0, timeout });
            assert!(matches!(got, Ret::Data(data, ..) if data.len() == 3_000));
            pair.exchange();
        }
    }
    pair.rest();
    let each = (held() - empty - own) / (2 * CONNECTIONS);
    println!("after a question and an answer: {each} octets");
    assert!(each < 1_000, "{each}");
}
