//! See `crates/fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| socketlab_fuzz::run("syscalls", data));
