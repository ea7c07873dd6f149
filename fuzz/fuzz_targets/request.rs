//! Requests of the EBS direct APIs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[3].1(bytes));
