//! The `icecore` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    icecore::cli::main()
}
