//! Files of a store.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[6].1(bytes));
