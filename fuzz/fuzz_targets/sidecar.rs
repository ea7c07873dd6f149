//! What is known of a target, as it lies beside it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[4].1(bytes));
