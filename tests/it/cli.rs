//! Running the program, and comparing what it says with what is kept in `fixtures/golden`.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A place to run the program in: an empty directory, a state directory, nothing else of this machine.
pub(crate) struct Here {
    dir: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Here {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, in this directory, with no environment but a state directory.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_icecore"));
        command.args(words).current_dir(self.dir.path()).env_clear();
        command.env("ICECORE_STATE", self.path("state")).env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        Outcome::of(&self.command(words).output().unwrap())
    }
}

impl Outcome {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// A refusal: this code, nothing on standard output, and one line on standard error that holds these words.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.starts_with("icecore: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "expected '{word}' in: {}", self.stderr);
        }
    }

    /// Words that the command line does not know: code 2 before anything is done, with usage and what is expected.
    #[track_caller]
    pub(crate) fn refused_by_clap(&self, said: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (2, ""), "{self:?}");
        assert!(self.stderr.contains(said), "expected '{said}' in: {}", self.stderr);
    }

    /// The one JSON object that standard output holds.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        one_object(&self.stdout)
    }
}

/// The JSON object that is all of the text, its schema checked.
#[track_caller]
pub(crate) fn one_object(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap();
    let schema = value["schema"].as_str().unwrap();
    let name = schema.strip_prefix("icecore/").and_then(|rest| rest.strip_suffix("/1"));
    assert!(name.is_some_and(|name| !name.is_empty()), "{schema}");
    let states = ["complete", "incomplete", "pass", "fail", "changed_since_restore", "warm", "partial"];
    assert!(states.contains(&value["state"].as_str().unwrap()), "{text}");
    value
}

/// Compares with the golden file, or with ICECORE_BLESS set writes it: then the difference is for review.
#[track_caller]
pub(crate) fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden").join(name);
    #[expect(clippy::disallowed_methods, reason = "how golden files are refreshed")]
    let bless = std::env::var_os("ICECORE_BLESS").is_some();
    if bless {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{name} differs; ICECORE_BLESS=1 renews it\n--- expected\n{expected}\n--- actual\n{actual}"
    );
}
