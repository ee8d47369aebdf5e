//! `cargo bench -p socketlab-stack` (or `cargo xtask bench`): our stack beside smoltcp's, the same work in the same run,
//! printed as times and ratios. Nothing here is a test: a busy machine only prints other numbers.
//!
//! Names after `--` choose cases: `memory`, `bulk`, `hosts`, `sockets`, `clone`. Each case runs several times, by turns; the best time counts, as the rest is the machine's.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod net;
mod ours;
mod theirs;
mod work;

use std::hint::black_box;
use std::time::{Duration, Instant};

use net::{Count, Link, Net, Station};
use ours::Ours;
use theirs::Theirs;
use work::Work;

const SECOND: u64 = 1_000_000_000;
/// 1 Gbit/s, 10 ms each way.
const LONG_FAT: Link = Link { delay: 10_000_000, bits_per_s: 1_000_000_000 };
const LAN: Link = Link { delay: 100_000, bits_per_s: 1_000_000_000 };
const ROUNDS: usize = 3;

fn main() {
    // `cargo test` builds and starts benchmarks as well, without `--bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let cases: [(&str, fn()); 5] = [
        ("memory", memory),
        ("bulk", bulk),
        ("hosts", many_hosts),
        ("sockets", many_sockets),
        ("clone", clones),
    ];
    println!("best of {ROUNDS}; ratio: ours / smoltcp's\n");
    for (name, run) in cases {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}

/// Runs both by turns; the best time of each, and what was done.
fn duel(ours: impl Fn() -> Count, theirs: impl Fn() -> Count) -> [(Duration, Count); 2] {
    let mut best = [(Duration::MAX, Count::default()); 2];
    for _ in 0..ROUNDS {
        for (slot, run) in best.iter_mut().zip([&ours as &dyn Fn() -> Count, &theirs]) {
            let begin = Instant::now();
            let count = run();
            let took = begin.elapsed();
            if took < slot.0 {
                *slot = (took, count);
            }
        }
    }
    best
}

fn line(what: &str, [(ours, count), (theirs, other)]: [(Duration, Count); 2]) {
    let rate = |took: Duration, count: Count| count.frames as f64 / took.as_secs_f64() / 1_000.0;
    println!("{what}");
    println!(
        "  ours    {:8.3} s  {:8} frames  {:6.0} k frames/s  {:6.2} virtual s",
        ours.as_secs_f64(),
        count.frames,
        rate(ours, count),
        count.virtual_time as f64 / SECOND as f64
    );
    println!(
        "  smoltcp {:8.3} s  {:8} frames  {:6.0} k frames/s  {:6.2} virtual s   ratio {:.2}\n",
        theirs.as_secs_f64(),
        other.frames,
        rate(theirs, other),
        other.virtual_time as f64 / SECOND as f64,
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

fn bulk() {
    let work = Work::Bulk { octets: 100_000_000 };
    let run = |trace: bool| {
        move || {
            let stations = Ours::pair(0, work, trace).into();
            let mut net = Net::new(stations, LONG_FAT, trace);
            let count = net.run(600 * SECOND);
            assert!(net.stations.iter().all(Station::is_done), "the octets have not arrived");
            black_box(&net.trace);
            count
        }
    };
    let smoltcp = |trace: bool| {
        move || {
            let stations = Theirs::pair(0, work, 8 << 20).into();
            let mut net = Net::new(stations, LONG_FAT, trace);
            let count = net.run(600 * SECOND);
            black_box(&net.trace);
            count
        }
    };
    line("100 MB over 1 Gbit/s, 10 ms each way, no trace", duel(run(false), smoltcp(false)));
    line("the same, every frame and event kept", duel(run(true), smoltcp(true)));
}

fn many_hosts() {
    let work = Work::Trickle { connections: 1, every: SECOND, octets: 100 };
    let ours = || {
        let stations = (0..500).flat_map(|n| Ours::pair(n, work, false)).collect();
        Net::new(stations, LAN, false).run(60 * SECOND)
    };
    let theirs = || {
        let stations = (0..500).flat_map(|n| Theirs::pair(n, work, 4_096)).collect();
        Net::new(stations, LAN, false).run(60 * SECOND)
    };
    line("1,000 hosts, 500 pairs that say 100 octets a second, 60 virtual s", duel(ours, theirs));
}

fn many_sockets() {
    let mut alone = 0.0;
    for connections in [1, 10, 100, 1_000] {
        let work = Work::Trickle { connections, every: 200_000, octets: 100 };
        let until = 4 * SECOND;
        let ours = || Net::new(Ours::pair(0, work, false).into(), LAN, false).run(until);
        let theirs = || Net::new(Theirs::pair(0, work, 4_096).into(), LAN, false).run(until);
        let best = duel(ours, theirs);
        let each = |(took, count): (Duration, Count)| took.as_secs_f64() * 1e6 / count.frames as f64;
        if connections == 1 {
            alone = each(best[0]);
        }
        println!(
            "{connections:5} connections on a host: {:7.2} us a frame ({:.2} times that of one), smoltcp {:7.2} us",
            each(best[0]),
            each(best[0]) / alone,
            each(best[1])
        );
    }
    println!();
}

fn filled(connections: usize, octets: usize) -> Vec<Ours> {
    let work = Work::Fill { connections, octets };
    let mut net = Net::new(Ours::pair(0, work, false).into(), LAN, false);
    net.run(5 * SECOND);
    net.stations
}

fn clones() {
    for octets in [0, 16_384, 65_536] {
        let stations = filled(1_000, octets.max(1));
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let begin = Instant::now();
            let copy: Vec<_> = stations.iter().map(|station| station.host.clone()).collect();
            best = best.min(begin.elapsed());
            black_box(copy);
        }
        println!(
            "clone of two hosts with 1,000 connections, {octets} octets in each: {:.2} ms (smoltcp has no clone)",
            best.as_secs_f64() * 1e3
        );
    }
    println!();
}

/// Resident memory, from the kernel: with the allocator's own needs, which the test `memory` does not see.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn memory() {
    const CONNECTIONS: usize = 1_000;
    const PAIRS: usize = 20;
    let before = resident();
    let kept: Vec<_> = (0..PAIRS)
        .map(|n| {
            let work = Work::Idle { connections: CONNECTIONS };
            let mut net = Net::new(Ours::pair(n, work, false).into(), LAN, false);
            net.run(2 * SECOND);
            net.stations.into_iter().map(|station| station.host).collect::<Vec<_>>()
        })
        .collect();
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / (2 * PAIRS * CONNECTIONS) as u64;
        println!("an idle connection's end: {each} octets with its socket, descriptor and table entries\n");
    }
    black_box(kept);
}
