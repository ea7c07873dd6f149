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
mod cross_check;
mod demo;
mod diff;
mod drill;
mod environment;
mod evidence;
mod exit;
mod export;
mod iam_policy;
mod import;
mod inputs;
mod ledger;
mod list;
mod log;
mod man;
mod manifest;
mod open;
mod output;
mod paint;
mod progress;
mod report_file;
mod resume;
mod serve;
mod settings;
mod show;
mod signals;
mod spelled;
mod state;
mod store;
mod unparsed;
mod verify;
mod warm;

pub use exit::Exit;

use crate::orchestrate::RunId;
use crate::{ops, render};
use args::Global;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use complaint::Complaint;
use context::Context;
use inputs::Inputs;
use report_file::Verdict;
use signals::Signals;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
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

    /// The command as it is typed, where it gives a verdict: its report file never holds the verdict of an earlier run.
    fn verdict(&self) -> Option<&'static str> {
        match self {
            Self::Verify(_) => Some("verify"),
            Self::Ledger(_) => Some("ledger"),
            Self::Warm(_) => Some("warm"),
            Self::Drill(args) => (!args.is_rehearsal()).then_some("drill"),
            Self::Resume(_) => Some("resume"),
            Self::Evidence(args) => args.is_verdict().then_some("evidence verify"),
            Self::Store(_) => Some("store check"),
            Self::Demo(_) | Self::Serve(_) | Self::Import(_) | Self::List(_) | Self::Show(_) => None,
            Self::Blocks(_) | Self::Diff(_) | Self::Cost(_) | Self::Export(_) | Self::Manifest(_) => None,
            Self::Cleanup(_) | Self::State(_) | Self::IamPolicy(_) | Self::Completions(_) | Self::Man(_) => {
                None
            }
        }
    }

    /// Chooses the id of the run.
    fn run_id(&self) -> Result<String, Complaint> {
        match self {
            Self::Drill(_) => Ok(RunId::random()?.to_string()),
            Self::Resume(args) => Ok(args.run().to_string()),
            _ => Ok(ops::verify::run_id()?),
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
    if let Err((names, error)) = environment::without_empty_variables() {
        let names = names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ");
        log::last_words(&format!("{names}: set, but empty; unset it (starting without it failed: {error})"));
        return Exit::Usage.into();
    }
    set_hook(Box::new(say_panic));
    let words: Vec<OsString> = std::env::args_os().collect();
    let parsed = match parsed(&words) {
        Ok(parsed) => parsed,
        Err(answer) => return answered_by_clap(&answer, &words).into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::last_words(&format!("cannot start: {error}"));
            return Exit::Local.into();
        }
    };
    let exit = caught(|| runtime.block_on(run(parsed)));
    // Whatever still runs is not waited for: after a second signal that is the point, and otherwise nothing does.
    runtime.shutdown_background();
    exit.into()
}

/// A command line that clap takes.
struct Parsed {
    typed: Cli,
    /// The files that it names.
    inputs: Inputs,
    /// Whether its values fit together.
    checked: Result<(), Complaint>,
}

/// Reads what was typed, and which files it names.
fn parsed(words: &[OsString]) -> Result<Parsed, clap::Error> {
    let mut command = command();
    command.build();
    let matches = command.clone().try_get_matches_from(words)?;
    let inputs = Inputs::of(&command, &matches);
    let mut typed = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let checked = cross_check::check(&command, &matches).map(|region| {
        typed.global.region = typed.global.region.take().or(region);
    });
    Ok(Parsed { typed, inputs, checked })
}

async fn run(parsed: Parsed) -> Exit {
    let Parsed { typed, inputs, checked } = parsed;
    let signals = Signals::listen();
    let Cli { global, command } = typed;
    let mut cx = Context::new(global, command.endpoint(), signals.clone());
    let begun = command.run_id().and_then(|run_id| {
        let verdict = command.verdict().map(|command| Verdict { command, run_id: run_id.clone() });
        cx.begin(run_id, verdict, &inputs)
    });
    let work = async {
        begun?;
        checked?;
        command.run(&cx).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        exit = signals.second() => return exit,
    };
    cx.progress().finish();
    outcome.unwrap_or_else(|complaint| {
        complaint.say();
        cx.close_report(&complaint);
        complaint.exit(signals.first())
    })
}

/// Runs it; a panic ends it as a fault of this machine would, and leaves what it has written.
fn caught(work: impl FnOnce() -> Exit) -> Exit {
    // What a panic may have left half done is not looked at any more.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Exit::Local)
}

/// Says a panic in one line.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    let what = panic_message(panic.payload());
    log::last_words(&format!(
        "internal error{at}: {}; this is a bug, please report it",
        render::escaped(what)
    ));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        log::last_words(&format!("backtrace:\n{backtrace}"));
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Help and version are results; anything else that clap says is a usage error.
fn answered_by_clap(answer: &clap::Error, words: &[OsString]) -> Exit {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away has seen what it wanted.
            let _ = answer.print();
            Exit::Clean
        }
        ErrorKind::MissingSubcommand if words.len() == 1 => {
            log::last_words(&format!("no command is given\n\n{}", command().render_help()));
            Exit::Usage
        }
        _ => {
            let _ = answer.print();
            let text = answer.to_string();
            let why = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let mut command = command();
            command.build();
            unparsed::refuse(&command, words.get(1..).unwrap_or_default(), why);
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
