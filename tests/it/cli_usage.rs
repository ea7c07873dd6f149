//! What the command line answers before any work: help, versions, and refusals.

use crate::cli::{Here, golden};

const COMMANDS: &[&str] = &[
    "demo",
    "serve",
    "import",
    "list",
    "show",
    "blocks",
    "diff",
    "cost",
    "cost orphans",
    "cost retention",
    "cost archive-advice",
    "cost compare",
    "cost reconcile",
    "export",
    "manifest",
    "verify",
    "ledger",
    "evidence verify",
    "evidence key",
    "state push",
    "warm",
    "drill",
    "resume",
    "cleanup",
    "store check",
    "iam-policy",
    "completions",
    "man",
];

#[test]
fn help_is_a_result_and_is_as_reviewed() {
    let here = Here::new();
    for command in COMMANDS {
        let words: Vec<_> = command.split(' ').chain(["-h"]).collect();
        let outcome = here.run(&words);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command}");
        golden(&format!("help-{}.text", command.replace(' ', "-")), &outcome.stdout);
    }
    let outcome = here.run(&["--help"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    golden("help.text", &outcome.stdout);
}

#[test]
fn help_names_no_value_of_the_environment() {
    let here = Here::new();
    let output = here.command(&["list", "--help"]).env("ICECORE_LOCAL", "/some/where").output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("/some/where"));
}

#[test]
fn the_version_is_a_result() {
    let outcome = Here::new().run(&["--version"]);
    assert_eq!((outcome.code, outcome.stdout), (0, format!("icecore {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn no_command_at_all_shows_the_help_and_is_a_usage_error() {
    let outcome = Here::new().run(&[]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    assert!(outcome.stderr.contains("Commands:"), "{}", outcome.stderr);
    misused(&["store"], "requires a subcommand");
}

#[track_caller]
fn misused(words: &[&str], said: &str) {
    Here::new().run(words).refused_by_clap(said);
}

#[test]
fn a_mistyped_command_is_met_with_the_right_one() {
    misused(&["lsit"], "'list'");
}

#[test]
fn a_wrong_id_is_shown_with_what_is_expected() {
    for command in ["show", "blocks", "export"] {
        misused(
            &[command, "snap-XYZ", "out.img"][..if command == "export" { 3 } else { 2 }],
            "expected snap-",
        );
    }
    misused(&["diff", "snap-01", "vol-01"], "expected snap-");
    misused(&["import", "x.img", "--parent", "01"], "expected snap-");
    misused(&["list", "--volume", "01"], "expected vol-");
}

#[test]
fn values_out_of_range_are_refused() {
    misused(&["list", "--tag", "novalue"], "expected Key=Value");
    misused(&["list", "--state", "done"], "unknown snapshot state 'done'");
    misused(&["list", "--format", "yaml"], "expected text, json, jsonl, csv, cbt, junit or metrics");
    misused(&["list", "--concurrency", "0"], "from 1 to 1024");
    misused(&["list", "--rate-get", "fast"], "or none");
    misused(&["list", "--quota-share", "2"], "at most 1");
    misused(&["list", "--max-usd=-1"], "not an amount in USD");
    misused(&["import", "x.img", "--volume-size", "0"], "1 to 65536 GiB");
    misused(&["import", "x.img", "--timeout", "5"], "10..=4320");
    misused(&["serve", "--listen", "4599"], "as in 127.0.0.1:4599");
    misused(&["serve", "--quotas", "gcp"], "possible values: aws, none");
    misused(&["serve", "--latency", "slow"], "--latency <MS>");
    misused(&["serve", "--ready-after", "1000000"], "is not in");
}

#[test]
fn what_does_not_go_together_is_refused() {
    misused(&["list", "-q", "-v"], "cannot be used with");
    misused(&["import", "x.img", "--kms-key-id", "k"], "--encrypted");
    misused(&["export", "snap-01"], "<DEST>");
    misused(&["export", "snap-01", "x.img", "--to-null"], "cannot be used with");
    misused(&["diff", "snap-01"], "2 values required");
}

#[test]
fn a_format_that_does_not_fit_is_met_with_those_that_do() {
    let here = Here::new();
    for (words, known) in [
        (&["show", "snap-01"][..], "text, json"),
        (&["export", "snap-01", "x.img"], "text, json"),
        (&["import", "x.img"], "text, json"),
        (&["completions", "bash"], "text"),
        (&["man"], "text"),
    ] {
        let words: Vec<_> = words.iter().copied().chain(["--format", "cbt"]).collect();
        here.run(&words).refused(2, &["--format cbt does not fit", &format!("it knows {known}")]);
    }
    here.run(&["list", "--format", "cbt"]).refused(2, &["it knows text, json, jsonl, csv"]);
    here.run(&["diff", "snap-01", "snap-02", "--format", "jsonl"])
        .refused(2, &["it knows text, json, csv, cbt"]);
    here.run(&["diff", "snap-01", "snap-02", "snap-03", "--format", "cbt"]).refused(2, &["two snapshots"]);
}

#[test]
fn a_report_file_that_cannot_be_made_shows_before_any_work() {
    let here = Here::new();
    here.run(&["list", "--report-file", "no/such/dir/r.json"])
        .refused(7, &["no/such/dir/r.json", "no such file or directory"]);
    here.run(&["list", "--report-file", "."]).refused(2, &["is a directory"]);
    here.run(&["man", "--report-file", "x"]).refused(2, &["--report-file does not fit"]);
}

#[test]
fn errors_are_json_lines_where_logs_are() {
    let outcome = Here::new().run(&["show", "snap-01", "--format", "csv", "--log-format", "json"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    let line: serde_json::Value = serde_json::from_str(outcome.stderr.trim_end()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(line["message"].as_str().unwrap().contains("--format csv"));
}

#[test]
fn completions_and_manual_pages_are_results() {
    let here = Here::new();
    for shell in ["bash", "zsh", "fish"] {
        let outcome = here.run(&["completions", shell]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        assert!(
            outcome.stdout.contains("--report-file") || outcome.stdout.contains("report-file"),
            "{shell}"
        );
    }
    for page in [&["man"][..], &["man", "diff"]] {
        let outcome = here.run(page);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
        assert!(outcome.stdout.contains(".SH NAME"));
    }
    here.run(&["man", "lsit"]).refused(2, &["'lsit' is no command"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let here = Here::new();
    let mut child = here
        .command(&["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything was read; the script is larger than a pipe's buffer.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_full_standard_output_is_a_local_error() {
    let here = Here::new();
    // A node of the test's own; other users than root may make none.
    let node = here.path("full");
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &node,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        rustix::fs::makedev(1, 7),
    );
    let opened = std::fs::File::options().write(true).open(&node);
    let (Ok(()), Ok(full)) = (made, opened) else { return };
    let output = here.command(&["man"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(stderr.contains("standard output: cannot write the result: no space left on device"), "{stderr}");
}

#[test]
fn the_readme_shows_every_exit_code_as_its_doc_comment_has_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (code, readme) = (read("src/cli/exit.rs"), read("README.md"));
    let variants = code.split("pub enum Exit {").nth(1).unwrap().split('}').next().unwrap();
    let lines: Vec<_> = variants.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 2 * 11);
    for pair in lines.chunks(2) {
        let meaning = pair[0].strip_prefix("/// ").unwrap();
        let number = pair[1].split(" = ").nth(1).unwrap().trim_end_matches(',');
        assert!(readme.contains(&format!("| {number} | {meaning} |")), "{number}: {meaning}");
    }
}
