//! What a device says that it is for.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[5].1(bytes));
