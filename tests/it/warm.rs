//! `icecore warm` against cold files: mounted ones where the machine allows it, and ones in this process.

#[path = "../cold/mod.rs"]
mod cold;
mod command;
mod evidence;
mod machine;
mod mounted;
mod process;

/// Not a test: the child that serves a cold file is this binary, started again.
#[test]
fn serves_a_cold_file_if_asked() {
    cold::serve_if_asked();
}
