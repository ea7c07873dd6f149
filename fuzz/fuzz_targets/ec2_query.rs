//! Forms sent to EC2 and STS.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| icecore::fuzz::TARGETS[1].1(bytes));
