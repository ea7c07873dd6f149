//! `icecore iam-policy`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::log::NOTE;
use crate::iam::{LOCAL, Reach, Report, TASKS, Task, report};

/// Print the least IAM policy that a command needs
///
/// Ready for aws iam create-policy --policy-document file://FILE. With --region and --account it holds there and
/// nowhere else. What a command needs of KMS is in it with --kms-key, which only encrypted snapshots and volumes need.
/// --format json also tells which permissions never show as calls, and why they are needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command, with the option that makes it ask for more, as in "diff --content"; repeat for several
    #[arg(long = "for", value_name = "COMMAND", required = true, value_parser = task)]
    tasks: Vec<&'static Task>,

    /// Only in this account
    #[arg(long, value_name = "NUMBER", value_parser = account)]
    account: Option<String>,

    /// Also for what is encrypted with this key; repeat for several
    #[arg(long = "kms-key", value_name = "ARN", value_parser = key)]
    keys: Vec<String>,
}

fn task(words: &str) -> Result<&'static Task, String> {
    if let Some(task) = Task::named(words) {
        return Ok(task);
    }
    if LOCAL.contains(&words.split_whitespace().next().unwrap_or_default()) {
        return Err("it asks AWS for nothing, and needs no policy".to_owned());
    }
    let names: Vec<_> = TASKS.iter().flat_map(Task::names).collect();
    Err(format!("expected one of: {}", names.join(", ")))
}

fn account(text: &str) -> Result<String, &'static str> {
    let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(text.to_owned()) } else { Err("expected 12 digits") }
}

fn key(text: &str) -> Result<String, &'static str> {
    let is_arn = text.starts_with("arn:aws") && text.contains(":kms:") && text.contains(":key/");
    if is_arn {
        Ok(text.to_owned())
    } else {
        Err("expected a key's ARN, as in arn:aws:kms:REGION:ACCOUNT:key/ID")
    }
}

pub(crate) fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    let output = cx.output::<Report>()?;
    let reach = Reach { region: cx.global().region.clone(), account: args.account, keys: args.keys };
    let report = report(&args.tasks, &reach);
    if report.lacks_keys {
        tracing::info!(target: NOTE, "what is encrypted needs permissions of its key as well: give --kms-key ARN");
    }
    output.show(&report)?;
    Ok(Exit::Clean)
}
