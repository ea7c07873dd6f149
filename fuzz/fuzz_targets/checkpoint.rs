//! Checkpoints as they lie on disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[0].1(bytes));
