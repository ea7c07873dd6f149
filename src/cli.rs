//! The command line: arguments, progress, exit codes. The only part that prints or reads the environment.
//!
//! One file per command, each its arguments, one call into [`crate::ops`], one rendering. [`main`] is the whole
//! program: it parses, runs the command while listening for signals, and turns the outcome into an [`Exit`].
//! Results go to standard output; everything else (notes, progress, errors) goes to standard error, one line each.

mod args;
mod blocks;
mod cleanup;
mod complaint;
mod completions;
mod context;
mod cost;
mod demo;
mod diff;
mod drill;
mod evidence;
mod exit;
mod export;
mod iam_policy;
mod import;
mod ledger;
mod list;
mod log;
mod man;
mod manifest;
mod open;
mod output;
mod paint;
mod progress;
mod resume;
mod serve;
mod settings;
mod show;
mod signals;
mod spelled;
mod state;
mod store;
mod verify;
mod warm;

pub use exit::Exit;

use args::Global;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use complaint::Complaint;
use context::Context;
use signals::Signals;
use std::process::ExitCode;

/// Inspect EBS snapshots block by block: what changed, what they hold, what a restore would read
///
/// Works on an AWS account through the EBS direct APIs, or with --local on a store in a directory, without any
/// account. Results go to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "icecore", version, propagate_version = true, max_term_width = 100)]
#[command(subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Import(import::Args),
    List(list::Args),
    Show(show::Args),
    Blocks(blocks::Args),
    Diff(diff::Args),
    Cost(cost::Args),
    Export(export::Args),
    Manifest(manifest::Args),
    Verify(Box<verify::Args>),
    Ledger(ledger::Args),
    Warm(Box<warm::Args>),
    Drill(Box<drill::Args>),
    Resume(resume::Args),
    Cleanup(cleanup::Args),
    Evidence(evidence::Args),
    State(state::Args),
    Store(store::Args),
    IamPolicy(iam_policy::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Whose log the endpoint's is.
    fn endpoint(&self) -> log::Endpoint {
        match self {
            Self::Serve(_) => log::Endpoint::Itself,
            _ => log::Endpoint::Beside,
        }
    }

    async fn run(self, cx: &Context) -> Result<Exit, Complaint> {
        match self {
            Self::Demo(args) => demo::run(args, cx).await,
            Self::Serve(args) => serve::run(args, cx).await,
            Self::Import(args) => import::run(args, cx).await,
            Self::List(args) => list::run(args, cx).await,
            Self::Show(args) => show::run(args, cx).await,
            Self::Blocks(args) => blocks::run(args, cx).await,
            Self::Diff(args) => diff::run(args, cx).await,
            Self::Cost(args) => cost::run(args, cx).await,
            Self::Export(args) => export::run(args, cx).await,
            Self::Manifest(args) => manifest::run(args, cx).await,
            Self::Verify(args) => verify::run(*args, cx).await,
            Self::Ledger(args) => ledger::run(args, cx).await,
            Self::State(args) => state::run(args, cx).await,
            Self::Evidence(args) => evidence::run(args, cx).await,
            Self::Warm(args) => warm::run(*args, cx).await,
            Self::Drill(args) => drill::run(*args, cx).await,
            Self::Resume(args) => resume::run(args, cx).await,
            Self::Cleanup(args) => cleanup::run(args, cx).await,
            Self::Store(args) => store::run(args, cx).await,
            Self::IamPolicy(args) => iam_policy::run(args, cx),
            Self::Completions(args) => completions::run(args, cx),
            Self::Man(args) => man::run(args, cx),
        }
    }
}

/// The program: what was typed in, an exit code out.
pub fn main() -> ExitCode {
    let typed = match Cli::try_parse() {
        Ok(typed) => typed,
        Err(answer) => return answered_by_clap(&answer).into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::last_words(&format!("cannot start: {error}"));
            return Exit::Local.into();
        }
    };
    let exit = runtime.block_on(run(typed));
    // Whatever still runs is not waited for: after a second signal that is the point, and otherwise nothing does.
    runtime.shutdown_background();
    exit.into()
}

async fn run(typed: Cli) -> Exit {
    let signals = Signals::listen();
    let cx = Context::new(typed.global, typed.command.endpoint(), signals.clone());
    let outcome = tokio::select! {
        outcome = typed.command.run(&cx) => outcome,
        exit = signals.second() => return exit,
    };
    cx.progress().finish();
    outcome.unwrap_or_else(|complaint| {
        complaint.say();
        complaint.exit(signals.first())
    })
}

/// Help and version are results; anything else that clap says is a usage error.
fn answered_by_clap(answer: &clap::Error) -> Exit {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away has seen what it wanted.
            let _ = answer.print();
            Exit::Clean
        }
        ErrorKind::MissingSubcommand if std::env::args_os().len() == 1 => {
            log::last_words(&format!("no command is given\n\n{}", command().render_help()));
            Exit::Usage
        }
        _ => {
            let _ = answer.print();
            Exit::Usage
        }
    }
}

/// The whole command line as clap knows it, for what is generated from it.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
