//! Fault plans.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[2].1(bytes));
