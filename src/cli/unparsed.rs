//! A command line that cannot be read may name a report file all the same: what an earlier run of the command found
//! must not stand there as the result of this one.

use crate::cli::complaint::Complaint;
use crate::cli::inputs::candidates;
use crate::cli::report_file::{self, Verdict};
use crate::ops::verify::run_id;
use crate::render::Format;
use clap::Command;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The commands that give a verdict, as they are typed.
pub(crate) const VERDICTS: [&str; 7] =
    ["verify", "ledger", "warm", "drill", "resume", "evidence verify", "store check"];

/// What can be known of a command line that clap refuses.
#[derive(Debug, Default)]
struct Guess<'a> {
    /// The words that name a command, and a command below it.
    command: Vec<&'a str>,
    format: Format,
    /// Each with the position of the word that names it.
    report_files: Vec<(usize, PathBuf)>,
    /// Help or a version is asked for, or a rehearsal.
    is_harmless: bool,
}

/// Puts the refusal into the report files that these words name, where reports of a verdict stand there, and no other
/// word may mean the same file. `words` begin behind the program's name.
pub(crate) fn refuse(command: &Command, words: &[OsString], why: &str) {
    let guess = guess(command, words);
    let typed = guess.command.join(" ");
    let Some(verdict) = VERDICTS.into_iter().find(|verdict| *verdict == typed) else { return };
    if guess.is_harmless {
        return;
    }
    let complaint = Complaint::Usage(why.to_owned());
    for (at, path) in guess.report_files {
        let others = words.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, word)| word);
        let run = Verdict { command: verdict, run_id: run_id().unwrap_or_default() };
        report_file::refuse(&path, guess.format, run, &complaint, |file| {
            others.flat_map(|word| candidates(word)).any(|other| file.is(&other))
        });
    }
}

fn guess<'a>(root: &'a Command, words: &'a [OsString]) -> Guess<'a> {
    let mut guess = Guess::default();
    let mut command = root;
    let mut is_value_of: Option<&OsStr> = None;
    for (at, word) in words.iter().enumerate() {
        let option = is_value_of.take();
        let is_option = word.as_bytes().starts_with(b"-");
        if let Some(option) = option.filter(|_| !is_option) {
            guess.option(option, word, at);
        } else if word == "--" {
            break;
        } else if is_option {
            guess.is_harmless |=
                ["--help", "-h", "--version", "-V", "--dry-run"].iter().any(|help| word == *help);
            match split(word) {
                Some((option, value)) => guess.option(option, value, at),
                None if takes_value(root, word) || takes_value(command, word) => is_value_of = Some(word),
                None => {}
            }
        } else if let Some(below) = word.to_str().and_then(|word| command.find_subcommand(word)) {
            guess.command.push(below.get_name());
            command = below;
        }
    }
    guess
}

impl Guess<'_> {
    fn option(&mut self, option: &OsStr, value: &OsStr, at: usize) {
        if option == "--report-file" && !value.is_empty() {
            self.report_files.push((at, value.into()));
        } else if option == "--format" {
            self.format = value.to_str().and_then(|value| value.parse().ok()).unwrap_or_default();
        }
    }
}

/// `--option=value`.
fn split(word: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = word.as_bytes();
    let sign = bytes.iter().position(|byte| *byte == b'=').filter(|_| bytes.starts_with(b"--"))?;
    Some((OsStr::from_bytes(&bytes[..sign]), OsStr::from_bytes(&bytes[sign + 1..])))
}

fn takes_value(command: &Command, word: &OsStr) -> bool {
    let Some(word) = word.to_str() else { return false };
    command.get_arguments().filter(|argument| argument.get_action().takes_values()).any(|argument| {
        let is_long = argument.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
        is_long || argument.get_short().is_some_and(|short| word == format!("-{short}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, command: &str, format: Format, files: &[&str], is_harmless: bool) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let root = crate::cli::command();
        let guess = guess(&root, &words);
        assert_eq!((guess.command.join(" "), guess.format), (command.to_owned(), format), "{line}");
        assert_eq!(guess.is_harmless, is_harmless, "{line}");
        let found: Vec<_> = guess.report_files.iter().map(|(_, path)| path.display().to_string()).collect();
        assert_eq!(found, files, "{line}");
    }

    #[test]
    fn command_format_and_report_files_are_found_in_words_that_do_not_fit() {
        check("verify s --bogus --report-file r --format json", "verify", Format::Json, &["r"], false);
        check("--report-file=r --format=junit verify", "verify", Format::Junit, &["r"], false);
        check(
            "--profile list evidence verify d --x --report-file r",
            "evidence verify",
            Format::Text,
            &["r"],
            false,
        );
        check("list --profile verify --report-file r", "list", Format::Text, &["r"], false);
        check("verify --report-file --format json", "verify", Format::Json, &[], false);
        check("verify --report-file r --report-file q", "verify", Format::Text, &["r", "q"], false);
        check("verify --bogus -h --report-file r", "verify", Format::Text, &["r"], true);
        check("drill --dry-run --bogus --report-file r", "drill", Format::Text, &["r"], true);
        check("verify --format odd -- --report-file r", "verify", Format::Text, &[], false);
    }
}
