//! Each target, without a fuzzer: its seeds, what once broke it (`regressions/TARGET/`), and seeds changed by the dice.
//! The same inputs every time. `cargo xtask fuzz` goes on where this ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use socketlab_fuzz::{Random, Target, target};

/// Runs one input; a broken promise shows the input, to be kept in `regressions/`.
fn try_input(target: &Target, what: &str, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let hex: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
        panic!("{} breaks with {what}: {hex}", target.name);
    }
}

/// A seed with some octets changed, cut, doubled, or joined with another one.
fn changed(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len().max(1));
        match random.below(8) {
            0 => input.truncate(at),
            1 => {
                let len = random.below(16);
                let octets = random.octets(len);
                input.splice(at.min(input.len())..at.min(input.len()), octets);
            }
            2 => {
                let end = (at + random.below(64)).min(input.len());
                let piece = input[at.min(end)..end].to_vec();
                input.extend(piece);
            }
            3 => {
                let other = &seeds[random.below(seeds.len())];
                input.truncate(at);
                input.extend(&other[random.below(other.len().max(1)).min(other.len())..]);
            }
            4 if !input.is_empty() => {
                let n = at.min(input.len() - 1);
                input[n] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)];
            }
            _ if !input.is_empty() => {
                let n = at.min(input.len() - 1);
                input[n] = random.number() as u8;
            }
            _ => {}
        }
    }
    input.truncate(8192);
    input
}

fn run(name: &str, rounds: usize) {
    let target = target(name).expect("a target of this name");
    let seeds = (target.seeds)();
    for (n, seed) in seeds.iter().enumerate() {
        try_input(target, &format!("seed {n}"), seed);
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(name);
    let mut files: Vec<_> =
        kept.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        let input = std::fs::read(&file).expect("a regression can be read");
        try_input(target, &format!("{}", file.display()), &input);
    }
    let mut random = Random(1);
    for round in 0..rounds {
        let input = changed(&mut random, &seeds);
        try_input(target, &format!("round {round}"), &input);
    }
}

macro_rules! targets {
    ($($name:ident $rounds:literal;)*) => {
        $(#[test] fn $name() { run(stringify!($name), $rounds); })*

        #[test]
        fn every_target_has_a_test_and_a_file_for_the_fuzzer() {
            let mut tested = [$(stringify!($name)),*];
            let mut all: Vec<&str> = socketlab_fuzz::TARGETS.iter().map(|target| target.name).collect();
            tested.sort_unstable();
            all.sort_unstable();
            assert_eq!(tested[..], all[..]);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
            for name in all {
                assert!(folder.join(format!("{name}.rs")).is_file(), "fuzz/fuzz_targets/{name}.rs is missing");
            }
        }
    };
}

targets! {
    frame_input 300;
    tcp_options 300;
    syscalls 300;
    wisp_codec 3000;
    wisp_session 200;
    lan_message 500;
    lab_file 300;
    dissect 300;
}
