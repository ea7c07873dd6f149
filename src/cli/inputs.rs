//! The files that a command line names: none of them may be the one that its report replaces.

use crate::cli::complaint::Complaint;
use crate::cli::spelled::words;
use crate::disk::{Disk, OutputFile, RealDisk};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use std::any::TypeId;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Placeholders of values that may name a file without being a path alone.
const FILES: [&str; 11] = [
    "DEVICE",
    "DEVICE=SNAPSHOT",
    "KEY|FILE",
    "ORDER",
    "POLICY",
    "SNAPSHOT|FILE|DEVICE",
    "SNAPSHOT|MANIFEST",
    "TARGET",
    "FILE",
    "REPORT",
    "DIR",
];

/// Longest list of verifications that is looked through, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;

/// The files and directories that a command line names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    files: Vec<PathBuf>,
    /// Stores, all of whose files are read.
    stores: Vec<PathBuf>,
    /// Directories of evidence, whose bundles are read.
    chains: Vec<PathBuf>,
}

impl Inputs {
    /// Returns those of a command line, environment included.
    pub(crate) fn of(command: &clap::Command, matches: &ArgMatches) -> Self {
        let mut inputs = Self::default();
        inputs.collect(command, matches);
        inputs
    }

    fn collect(&mut self, command: &clap::Command, matches: &ArgMatches) {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let source = matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id));
            let is_given = matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
            if !is_given || id == "report_file" || !may_name_a_file(argument) {
                continue;
            }
            for value in matches.try_get_raw(id).ok().flatten().into_iter().flatten() {
                match (command.get_name(), id) {
                    (_, "local") | ("check", "dir") => self.stores.push(value.into()),
                    (_, "evidence") | ("verify", "dir") => self.chains.push(value.into()),
                    (_, "plan" | "jobs") => self.list(Path::new(value)),
                    _ => self.files.extend(candidates(value)),
                }
            }
        }
        if let Some((name, matches)) = matches.subcommand()
            && let Some(command) = command.find_subcommand(name)
        {
            self.collect(command, matches);
        }
    }

    /// A list of verifications, and what its lines name. One that can be read only once is left for the run.
    fn list(&mut self, path: &Path) {
        self.files.push(path.to_owned());
        if !path.is_file() {
            return;
        }
        let text = RealDisk::default().read(path, MAX_LIST_BYTES).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            self.files.extend(words(line).iter().flat_map(|word| candidates(word.as_ref())));
        }
    }

    /// Fails where the report would replace one of them.
    pub(crate) fn check(&self, output: &OutputFile) -> Result<(), Complaint> {
        let refused = |what: &str| {
            let path = output.path().display();
            Err(Complaint::Usage(format!("{path}: {what}; give --report-file another file")))
        };
        if self.files.iter().any(|file| output.is(file)) {
            return refused("is named by another argument of this command");
        }
        let Some(dir) = output.directory() else { return Ok(()) };
        let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
        if self.stores.iter().filter_map(real).any(|store| dir.starts_with(store)) {
            return refused("is in the store that this command reads");
        }
        if self.chains.iter().filter_map(real).any(|chain| dir.starts_with(&chain) && dir != chain) {
            return refused("is in a bundle of the evidence");
        }
        Ok(())
    }
}

/// Returns whether the values of an argument may name files.
fn may_name_a_file(argument: &Arg) -> bool {
    let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
    let names = argument.get_value_names().unwrap_or_default();
    is_path || names.iter().any(|name| FILES.contains(&name.as_str()))
}

/// Returns the files that a word may name: it as a whole, and what follows its signs (`DEVICE=FILE`, `ranges:FILE`).
pub(crate) fn candidates(word: &OsStr) -> Vec<PathBuf> {
    let bytes = word.as_bytes();
    let signs =
        bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'=' | b':')).map(|(at, _)| at + 1);
    let parts = std::iter::once(0).chain(signs).map(|at| PathBuf::from(OsStr::from_bytes(&bytes[at..])));
    parts.filter(|part| !part.as_os_str().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Placeholders of values that never name a file.
    const WORDS: [&str; 45] = [
        "ADDRESS:PORT",
        "ARN",
        "ARN=WHY",
        "COMMAND",
        "CONFIDENCE/DAMAGED",
        "DAYS",
        "F",
        "FORMAT",
        "GIB",
        "HASH",
        "I/N",
        "INSTANCE",
        "JOB",
        "K",
        "KEY",
        "KEY=VALUE",
        "KIND=DAYS",
        "LEVEL",
        "MINUTES",
        "MS",
        "N",
        "NAME",
        "NUMBER",
        "PARTITION",
        "RATE",
        "REGION",
        "RUN",
        "S",
        "SHELL",
        "SNAPSHOT",
        "SPAN",
        "STATE",
        "TEXT",
        "TIME",
        "TYPE",
        "URL",
        "USD",
        "VOLUME",
        "WHAT",
        "WHEN",
        "WHICH",
        "ZONE",
        "all|BLOCKS",
        "COMMANDS",
        "VERSION",
    ];

    #[test]
    fn of_every_argument_it_is_known_whether_it_may_name_a_file() {
        let mut waiting = vec![crate::cli::command()];
        while let Some(command) = waiting.pop() {
            for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
                let names = argument.get_value_names().unwrap_or_default();
                let is_word = names.iter().any(|name| WORDS.contains(&name.as_str()));
                assert!(
                    may_name_a_file(argument) != is_word,
                    "{} {}: put {names:?} into one of the two lists",
                    command.get_name(),
                    argument.get_id()
                );
            }
            waiting.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn a_word_names_files_as_a_whole_and_behind_its_signs() {
        let named = |word: &str| {
            let found = candidates(word.as_ref());
            found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(named("a.img"), ["a.img"]);
        assert_eq!(named("/dev/x=a=b"), ["/dev/x=a=b", "a=b", "b"]);
        assert_eq!(named("ranges:f"), ["ranges:f", "f"]);
        assert_eq!(named("--report="), ["--report="]);
    }
}
