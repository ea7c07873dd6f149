//! `icecore resume`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::drill::{exit_of, kept};
use crate::cli::evidence::KeepArgs;
use crate::cli::exit::Exit;
use crate::cli::open::{self, Access};
use crate::orchestrate::{RunId, Waits, resume};

/// Go on with a run whose process died, and end it
///
/// What was done is looked up, what was not is done, and all of it taken away again. At the place where it was begun.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN")]
    run: RunId,

    #[command(flatten)]
    evidence: KeepArgs,
}

impl Args {
    /// The run that goes on.
    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output()?;
    let keeper = args.evidence.open("resume")?;
    let place = open::open(cx, Access::Write).await?;
    let mut report = resume::run(&args.run, &place.services, &place.engine, Waits::default()).await?;
    kept(keeper.as_ref(), &mut report, cx).await;
    let exit = exit_of(&report, cx);
    output.show(&report)?;
    Ok(exit)
}
