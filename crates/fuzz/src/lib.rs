//! What fuzzers do to each part that reads octets or calls of others. A target is a plain function of octets that
//! panics when a promise is broken; libFuzzer drives it from `fuzz/` (`cargo xtask fuzz`), and the tests of this crate
//! drive the same function with its seeds, changed at random, and with every input that once broke something.
//!
//! | target | what is thrown at it | what must hold |
//! |---|---|---|
//! | `frame_input` | octets, changed and forged frames at hosts with sockets of all kinds | no panic, no wrong octet on a stream, frames out are sound |
//! | `tcp_options` | SYNs and segments with any options | agreed is what Linux would agree on, options out are sound |
//! | `syscalls` | calls with any arguments on two hosts | no panic, only errors the man page has, descriptors balance, nothing leaks |
//! | `wisp_codec` | messages | no panic, errors lie inside, what is read is what is written |
//! | `wisp_session` | a client's wishes, a relay's whims, broken messages | octets arrive whole and in order, bounded queues |
//! | `lan_message` | text and frames, connections that come and go | no panic, what is read is what is written |
//! | `lab_file` | a lab's text | every problem names its line; a sound lab can be built |
//! | `dissect` | captures | fields lie inside the octets; list, tree, filters and tcpdump's line never fail |

#![expect(clippy::unwrap_used, reason = "a broken promise shall panic: that is how a fuzzer learns of it")]

mod codec;
mod dissect;
mod frames;
mod lab;
mod lan;
mod man;
mod net;
mod options;
mod seeds;
mod session;
mod syscalls;

pub use seeds::Random;

/// A target: its name, what it does with octets, and inputs to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its file in `fuzz/fuzz_targets` too.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs that reach deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frame_input", run: frames::frame_input, seeds: seeds::numbers },
    Target { name: "tcp_options", run: options::tcp_options, seeds: seeds::options },
    Target { name: "syscalls", run: syscalls::syscalls, seeds: seeds::numbers },
    Target { name: "wisp_codec", run: codec::wisp_codec, seeds: seeds::wisp },
    Target { name: "wisp_session", run: session::wisp_session, seeds: seeds::numbers },
    Target { name: "lan_message", run: lan::lan_message, seeds: seeds::lan },
    Target { name: "lab_file", run: lab::lab_file, seeds: seeds::labs },
    Target { name: "dissect", run: dissect::dissect, seeds: seeds::captures },
];

/// The target of a name; none if there is none.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs the target of a name on an input. For the files of `fuzz/fuzz_targets`.
///
/// # Panics
/// When the target breaks a promise, or there is none of that name.
pub fn run(name: &str, data: &[u8]) {
    (target(name).expect("a target of this name").run)(data);
}
