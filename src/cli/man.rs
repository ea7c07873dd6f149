//! `icecore man`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::to_stdout;

/// Print the manual page, or that of one command
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command to describe
    #[arg(value_name = "COMMAND")]
    of: Option<String>,
}

pub(crate) fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    cx.text_only()?;
    let mut all = crate::cli::command();
    all.build();
    let described = match &args.of {
        None => all,
        Some(name) => match all.find_subcommand(name) {
            Some(command) => command.clone().name(format!("icecore-{name}")),
            None => {
                return Err(Complaint::Usage(format!("'{name}' is no command; icecore --help lists them")));
            }
        },
    };
    to_stdout(|out| clap_mangen::Man::new(described).render(&mut WriteAll(out)))?;
    Ok(Exit::Clean)
}

/// A writer of known size around one that is not.
struct WriteAll<'a>(&'a mut dyn std::io::Write);

impl std::io::Write for WriteAll<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
