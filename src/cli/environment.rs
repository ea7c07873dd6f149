//! The environment as the program reads it: a variable that is empty is not set.
//!
//! The AWS CLI and the other SDKs treat empty variables so, and compose files and CI systems set many. The Rust SDK, clap
//! and this program's own code each read the environment by themselves, and not all alike: an empty
//! `AWS_ENDPOINT_URL_EC2` is an endpoint to one and no path to another. Instead of teaching each of them, the program
//! starts anew without the empty variables, before it has a thread or has read anything.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes sure that no variable of AWS's or of this program is empty: where one is, the program replaces itself by one
/// that has the same arguments and process id, and does not return.
///
/// # Errors
/// The variables that could not be taken away, and why.
pub(super) fn without_empty_variables() -> Result<(), (Vec<OsString>, io::Error)> {
    let empty: Vec<OsString> = std::env::vars_os()
        .filter(|(name, value)| value.is_empty() && is_read(name))
        .map(|(name, _)| name)
        .collect();
    if empty.is_empty() {
        return Ok(());
    }
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Err((empty, error)),
    };
    let mut words = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    again.args(words);
    for name in &empty {
        again.env_remove(name);
    }
    let error = again.exec();
    Err((empty, error))
}

/// Whether a variable is one that the SDK or this program looks at.
fn is_read(name: &OsStr) -> bool {
    [&b"AWS_"[..], b"ICECORE_"].iter().any(|prefix| name.as_bytes().starts_with(prefix))
}
