//! `icecore completions`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::to_stdout;
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    cx.text_only()?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::command(), "icecore", &mut script);
    to_stdout(|out| out.write_all(&script))?;
    Ok(Exit::Clean)
}
