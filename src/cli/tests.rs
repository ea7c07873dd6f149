//! The command line as it is parsed; what it does is tested from outside.

use super::*;

/// Every global option, with a value that is not its default.
const GLOBALS: [&[&str]; 19] = [
    &["--region", "eu-west-1"],
    &["--profile", "audit"],
    &["--endpoint-url", "http://127.0.0.1:1"],
    &["--local", "/store"],
    &["--format", "json"],
    &["--report-file", "report.json"],
    &["--progress", "never"],
    &["-q"],
    &["--quiet"],
    &["-v"],
    &["--log-format", "json"],
    &["--state-dir", "/state"],
    &["--trust-state-dir"],
    &["--trust-resumed"],
    &["--concurrency", "7"],
    &["--rate-get", "70"],
    &["--rate-list", "none"],
    &["--quota-share", "0.25"],
    &["--max-usd", "2.50"],
];

/// What a command line means, as text that two of them can be compared by.
#[track_caller]
fn meaning(words: &[&[&str]]) -> String {
    let typed = Cli::try_parse_from(["icecore"].iter().chain(words.iter().copied().flatten()));
    format!("{:?}", typed.unwrap_or_else(|answer| panic!("{words:?}: {answer}")))
}

#[track_caller]
fn takes_globals_on_both_sides(command: &[&str]) {
    let bare = meaning(&[command]);
    for option in GLOBALS {
        let before = meaning(&[option, command]);
        assert_eq!(before, meaning(&[command, option]), "{option:?}");
        assert_ne!(before, bare, "{option:?} has no effect");
    }
}

macro_rules! takes_globals {
    ($($name:ident: $($word:literal)*;)*) => {$(
        #[test]
        fn $name() {
            takes_globals_on_both_sides(&[$($word),*]);
        }
    )*};
}

#[test]
fn every_command_says_what_it_needs_of_aws() {
    let known: Vec<_> = crate::iam::TASKS.iter().flat_map(crate::iam::Task::names).collect();
    for command in command().get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help") {
        let is_local = crate::iam::LOCAL.contains(&command);
        let is_task = known.iter().any(|name| name.split(' ').next() == Some(command));
        assert!(is_local != is_task, "{command}: put it into one of the two tables of iam");
    }
}

takes_globals! {
    demo_takes_global_options_before_and_after: "demo" "--keep" "dir";
    serve_takes_global_options_before_and_after: "serve" "--listen" "127.0.0.1:0";
    import_takes_global_options_before_and_after: "import" "disk.img" "--tag" "a=b";
    list_takes_global_options_before_and_after: "list" "--volume" "vol-01";
    show_takes_global_options_before_and_after: "show" "snap-01";
    blocks_takes_global_options_before_and_after: "blocks" "snap-01";
    diff_takes_global_options_before_and_after: "diff" "snap-01" "snap-02" "--content";
    cost_takes_global_options_before_and_after: "cost" "--volume" "vol-01";
    orphans_takes_global_options_before_and_after: "cost" "orphans";
    retention_takes_global_options_before_and_after: "cost" "retention" "last=3";
    export_takes_global_options_before_and_after: "export" "snap-01" "disk.img";
    manifest_takes_global_options_before_and_after: "manifest" "snap-01" "-o" "m";
    verify_takes_global_options_before_and_after: "verify" "snap-01" "/dev/sdz";
    ledger_takes_global_options_before_and_after: "ledger" "--account";
    state_takes_global_options_before_and_after: "state" "push" "dir";
    evidence_verify_takes_global_options_before_and_after: "evidence" "verify" "dir";
    warm_takes_global_options_before_and_after: "warm" "/dev/sdz" "--map" "m";
    drill_takes_global_options_before_and_after: "drill" "snap-01" "--dry-run";
    resume_takes_global_options_before_and_after: "resume" "run-0123456789abcdef";
    cleanup_takes_global_options_before_and_after: "cleanup" "--older-than" "2h";
    store_check_takes_global_options_before_and_after: "store" "check" "/store";
    iam_policy_takes_global_options_before_and_after: "iam-policy" "--for" "list";
    completions_takes_global_options_before_and_after: "completions" "bash";
    man_takes_global_options_before_and_after: "man" "diff";
}

#[test]
fn no_command_is_missing_from_the_tests_above() {
    let tested = include_str!("tests.rs");
    for command in command().get_subcommands() {
        assert!(tested.contains(&format!("after: \"{}\"", command.get_name())), "{}", command.get_name());
    }
}

#[test]
fn no_global_option_is_missing_from_the_tests_above() {
    for option in command().get_arguments().filter(|argument| argument.is_global_set()) {
        let long = format!("--{}", option.get_long().unwrap());
        let short = option.get_short().map(|short| format!("-{short}"));
        let tested = GLOBALS.iter().any(|words| words[0] == long || Some(words[0]) == short.as_deref());
        assert!(tested, "{long}");
    }
}

#[test]
fn a_panic_ends_as_a_fault_and_leaves_a_report_that_the_run_has_not_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report");
    std::fs::write(&path, "{\"state\":\"pass\"}").unwrap();
    let exit = caught(|| {
        let verdict = Verdict { command: "verify", run_id: "0123".to_owned() };
        let format = crate::render::Format::Json;
        let report = report_file::ReportFile::open(&path, format, Some(verdict), &Inputs::default());
        let _report = report.unwrap();
        panic!("on purpose");
    });
    assert_eq!(exit, Exit::Local);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"state\":\"incomplete\"") && text.contains("run-not-finished"), "{text}");
    assert_eq!(panic_message(&"text"), "text");
    assert_eq!(panic_message(&"owned".to_owned()), "owned");
}

#[test]
fn every_command_that_gives_a_verdict_is_known_where_the_rest_of_the_line_is_not() {
    for words in [
        &["verify", "snap-01"][..],
        &["ledger"],
        &["warm", "x", "--map", "m"],
        &["drill", "snap-01"],
        &["resume", "run-0123456789abcdef"],
        &["evidence", "verify", "d"],
        &["store", "check", "d"],
    ] {
        let typed = Cli::try_parse_from(["icecore"].iter().chain(words)).unwrap();
        assert!(unparsed::VERDICTS.contains(&typed.command.verdict().unwrap()), "{words:?}");
    }
    let rehearsal = Cli::try_parse_from(["icecore", "drill", "snap-01", "--dry-run"]).unwrap();
    assert_eq!(rehearsal.command.verdict(), None);
    let key = Cli::try_parse_from(["icecore", "evidence", "key", "f"]).unwrap();
    assert_eq!(key.command.verdict(), None);
}

#[test]
fn the_command_line_is_well_formed() {
    command().debug_assert();
}

#[test]
fn every_command_and_option_is_described_without_a_full_stop() {
    let mut waiting = vec![command()];
    while let Some(command) = waiting.pop() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about}", command.get_name());
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty() && !help.ends_with('.'),
                "{} {}: {help}",
                command.get_name(),
                argument.get_id()
            );
        }
        waiting.extend(command.get_subcommands().cloned());
    }
}
