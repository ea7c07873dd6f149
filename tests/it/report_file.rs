//! `--report-file`: what it may name, and that it never keeps the verdict of an earlier run.

use crate::cli::{Here, Outcome, one_object};
use crate::verify::command::One;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A user that no machine has, for what only root can do to others.
pub(crate) const OTHER: u32 = 61_234;

/// A report of yesterday.
const PASS: &str = "yesterday: pass\nicecore_verify_last_success_timestamp_seconds{subject=\"a\"} 5.5\n";

/// The command as another user; `None` where this one may not become another, or that one not run the program.
pub(crate) fn as_other(here: &Here, words: &[&str]) -> Option<Command> {
    let program = env!("CARGO_BIN_EXE_icecore");
    let become_other = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={OTHER}"), format!("--regid={OTHER}"), "--clear-groups".to_owned()]);
        command.arg(program).current_dir(here.path("")).env_clear();
        command.env("ICECORE_STATE", here.path("state")).env("AWS_EC2_METADATA_DISABLED", "true");
        command
    };
    if !geteuid().is_root()
        || !become_other(program).arg("--version").output().is_ok_and(|out| out.status.success())
    {
        return None;
    }
    let mut command = become_other(program);
    command.args(words);
    Some(command)
}

fn read(here: &Here, name: &str) -> String {
    fs::read_to_string(here.path(name)).unwrap()
}

#[track_caller]
fn is_unfinished(text: &str) -> Value {
    let report = one_object(text);
    assert_eq!((&report["schema"], &report["state"]), (&"icecore/unfinished/1".into(), &"incomplete".into()));
    assert_eq!(report["errors"][0]["code"], "run-not-finished", "{text}");
    assert!(!report["run_id"].as_str().unwrap().is_empty() && report["started"].is_string(), "{text}");
    report
}

/// Runs a command that takes long, kills it once its report file is another one, and returns what stands there then.
#[expect(clippy::disallowed_methods, reason = "another process is waited for, in real time")]
fn killed(here: &Here, mut command: Command) -> String {
    let report = here.path("report");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while fs::read_to_string(&report).is_ok_and(|text| text == PASS) {
        if let Some(status) = child.try_wait().unwrap() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("it ended before it was killed: {status}, {said}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "SIGKILL ends it without a code");
    fs::read_to_string(report).unwrap()
}

#[test]
fn a_run_that_is_killed_leaves_a_whole_report_that_says_so_in_every_format() {
    let one = One::new();
    let slow = ["verify", one.id.as_str(), "--rate-get", "1", "--local", "store", "--report-file", "report"];
    for (format, expected) in [
        ("text", "INCOMPLETE  icecore verify, run "),
        ("csv", "\nincomplete,run-not-finished,verify,"),
        ("junit", "errors=\"1\""),
        ("metrics", "\nicecore_run_unfinished 1\n"),
        ("json", "run-not-finished"),
    ] {
        fs::write(one.here.path("report"), PASS).unwrap();
        let words = [&slow[..], &["--format", format]].concat();
        let text = killed(&one.here, one.here.command(&words));
        assert!(text.contains(expected) && !text.contains("yesterday"), "{format}: {text}");
        let keeps_success = text.contains("last_success_timestamp_seconds{subject=\"a\"} 5.5\n");
        assert_eq!(keeps_success, format == "metrics", "{text}");
        if format == "json" {
            assert_eq!(is_unfinished(&text)["command"], "verify");
        }
    }
    let names: Vec<_> =
        fs::read_dir(one.here.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("icecore-output")), "{names:?}");
}

#[test]
fn a_run_of_another_user_that_is_killed_leaves_a_report_with_owner_and_mode_as_they_were() {
    let here = Here::new();
    if chown(here.path(""), Some(OTHER), Some(OTHER)).is_err() {
        return;
    }
    fs::set_permissions(here.path(""), Permissions::from_mode(0o755)).unwrap();
    let image = File::create(here.path("a.img")).unwrap();
    image.set_len(1 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&image, &[1; 4 << 20], 0).unwrap();
    let import = ["import", "a.img", "--omit-zero-blocks", "--local", "store", "--format", "json"];
    let Some(mut import) = as_other(&here, &import) else { return };
    let id = Outcome::of(&import.output().unwrap()).json()["snapshot_id"].as_str().unwrap().to_owned();
    fs::write(here.path("report"), PASS).unwrap();
    chown(here.path("report"), Some(OTHER), Some(OTHER)).unwrap();
    fs::set_permissions(here.path("report"), Permissions::from_mode(0o640)).unwrap();
    let slow =
        ["verify", &id, "--rate-get", "1", "--local", "store", "--report-file", "report", "--format", "json"];
    is_unfinished(&killed(&here, as_other(&here, &slow).unwrap()));
    let meta = fs::metadata(here.path("report")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (OTHER, OTHER, 0o640));

    // An owner that this user cannot keep is another one then, and a group that it is not in gains no rights by that.
    chown(here.path("report"), Some(0), Some(0)).unwrap();
    fs::write(here.path("report"), PASS).unwrap();
    is_unfinished(&killed(&here, as_other(&here, &slow).unwrap()));
    let meta = fs::metadata(here.path("report")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (OTHER, OTHER, 0o600));
}

#[test]
fn a_run_that_is_refused_leaves_a_report_that_says_so() {
    let one = One::new();
    let gone = "snap-0123456789abcdef0";
    for (words, code, command, kind) in [
        // Words that the command line does not know.
        (&["verify", &one.id, "--bogus"][..], 2, "verify", "unsuitable"),
        (&["verify", &one.id, "--sample", "often"], 2, "verify", "unsuitable"),
        (&["warm", "--bogus"], 2, "warm", "unsuitable"),
        (&["store", "check"], 2, "store check", "unsuitable"),
        (&["evidence", "verify", "--anchor", "x", "d"], 2, "evidence verify", "unsuitable"),
        (&["resume", "run-x"], 2, "resume", "unsuitable"),
        // Words that do not fit together, and what is not there.
        (&["verify", &one.id, "--format", "cbt"], 2, "verify", "unsuitable"),
        (&["drill"], 2, "drill", "unsuitable"),
        (&["warm", "no-such-device", "--map", "no-such-map"], 2, "warm", "unsuitable"),
        (&["ledger", gone, "--account", "--format", "junit"], 2, "ledger", "unsuitable"),
        (&["store", "check", "no-such-store"], 2, "store check", "not_found"),
        (&["evidence", "verify", "no-such-evidence"], 2, "evidence verify", "not_found"),
        (&["resume", "run-0123456789abcdef"], 2, "resume", "not_found"),
    ] {
        fs::write(one.here.path("report"), PASS).unwrap();
        let has_format = words.contains(&"--format");
        let format = if has_format { &[][..] } else { &["--format", "json"] };
        let words = [words, format, &["--report-file", "report"]].concat();
        let outcome = one.here.run(&words);
        assert_eq!(outcome.code, code, "{words:?}: {outcome:?}");
        let text = read(&one.here, "report");
        assert!(!text.contains("yesterday"), "{words:?}: {text}");
        if words.contains(&"junit") {
            assert!(text.contains("errors=\"1\"") && text.contains("icecore ledger"), "{text}");
            continue;
        }
        let report = is_unfinished(&text);
        assert_eq!(report["command"], command, "{words:?}");
        let errors = report["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 2, "{words:?}: {text}");
        let codes = ["unsuitable", "not_found", "refused"];
        assert!(codes.contains(&errors[1]["code"].as_str().unwrap()), "{words:?} {kind}: {text}");
    }
}

#[test]
fn help_and_rehearsals_leave_a_report_file_alone() {
    let one = One::new();
    for words in [
        &["verify", "--help"][..],
        &["verify", &one.id, "--bogus", "-h"],
        &["--version"],
        &["list", "--bogus"],
        &["show", "snap-0123456789abcdef0", "--local", "store"],
        &["man"],
    ] {
        fs::write(one.here.path("report"), PASS).unwrap();
        one.here.run(&[words, &["--report-file", "report"]].concat());
        assert_eq!(read(&one.here, "report"), PASS, "{words:?}");
    }
    assert_eq!(one.run(&["show", &one.id, "--report-file", "report"]).code, 0);
    assert_ne!(read(&one.here, "report"), PASS, "what is no verdict is put there at the end");
}

#[test]
fn no_input_of_a_run_is_taken_for_its_report_file() {
    let one = One::new();
    fs::write(one.here.path("plan"), format!("{} --sample 99%/1%\na.manifest a.img\n", one.id)).unwrap();
    symlink("a.img", one.here.path("link")).unwrap();
    fs::hard_link(one.here.path("a.manifest"), one.here.path("hard")).unwrap();
    let keep = ["verify", one.id.as_str(), "--evidence", "evidence"];
    assert_eq!(one.run(&keep).code, 0);
    let named = "is named by another argument";
    for (words, report, said) in [
        (&["verify", &one.id, "a.img"][..], "a.img", named),
        (&["verify", &one.id, "a.img"], "link", named),
        (&["verify", &one.id, "link"], "a.img", named),
        (&["verify", &one.id, "--manifest", "a.manifest"], "hard", named),
        (&["verify", "--plan", "plan"], "plan", named),
        (&["verify", "--plan", "plan"], "a.manifest", named),
        (&["warm", "--pair", "a.img=a.manifest"], "a.manifest", named),
        (&["manifest", "a.img", "-o", "new"], "new", named),
        (&["import", "a.img"], "a.img", named),
        (&["verify", &one.id], "store/format", "is in the store"),
        (&["evidence", "verify", "evidence"], "evidence/000001/report.json", "is in a bundle"),
        (&keep, "evidence/000001/statement.json", "is in a bundle"),
    ] {
        let before = fs::read(one.here.path(report)).ok();
        let refused = one.run(&[words, &["--report-file", report]].concat());
        refused.refused(2, &[report, said, "give --report-file another file"]);
        assert!(fs::read(one.here.path(report)).ok() == before, "{words:?} --report-file {report}");
        // The same where the command line cannot be read.
        one.run(&[words, &["--bogus", "--report-file", report]].concat());
        let is_inside = said != named || words.contains(&"--plan");
        assert!(
            is_inside || fs::read(one.here.path(report)).ok() == before,
            "{words:?} --report-file {report}"
        );
        if is_inside && let Some(before) = before {
            fs::write(one.here.path(report), before).unwrap();
        }
    }
}

#[test]
fn a_disk_that_takes_no_report_takes_the_old_one_away() {
    let one = One::new();
    fs::write(one.here.path("report"), PASS).unwrap();
    let program = env!("CARGO_BIN_EXE_icecore");
    let line = format!(
        "trap '' XFSZ; ulimit -f 0; exec '{program}' verify {} --local store --report-file report",
        one.id
    );
    let mut shell = one.here.command(&[]);
    let env: Vec<_> =
        shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    shell = Command::new("sh");
    let output =
        shell.args(["-c", &line]).current_dir(one.here.path("")).env_clear().envs(env).output().unwrap();
    Outcome::of(&output).refused(7, &["report: cannot write"]);
    assert!(!one.here.path("report").exists());
}

/// Runs a line in bash, with `icecore` for the program.
fn bash(here: &Here, line: &str) -> Outcome {
    let mut command = Command::new("bash");
    let line = format!("icecore() {{ '{}' \"$@\"; }}\n{line}", env!("CARGO_BIN_EXE_icecore"));
    command.args(["-c", &line]).current_dir(here.path("")).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("ICECORE_STATE", here.path("state")).env("AWS_EC2_METADATA_DISABLED", "true");
    Outcome::of(&command.output().unwrap())
}

#[test]
fn pipes_and_descriptors_of_a_shell_are_written_into() {
    let one = One::new();
    let verify = format!("icecore verify {} --local store --format json -q", one.id);
    let pass = |text: &str| assert_eq!(one_object(text)["state"], "pass", "{text}");

    let substituted =
        bash(&one.here, &format!("{verify} --report-file >(cat >got) >/dev/null; echo $?; wait; sleep 1"));
    assert_eq!(substituted.stdout, "0\n", "{substituted:?}");
    pass(&read(&one.here, "got"));

    // The report to the file comes first; both go to one place, one behind the other.
    let twice = bash(&one.here, &format!("echo begin; {verify} --report-file /dev/stdout; echo end"));
    let lines: Vec<_> = twice.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[3]), (4, "begin", "end"), "{twice:?}");
    lines[1..3].iter().for_each(|line| pass(line));
    bash(&one.here, &format!("{{ echo begin; {verify} --report-file /dev/stdout; echo end; }} >all"));
    assert_eq!(read(&one.here, "all").lines().count(), 4);
    assert!(fs::symlink_metadata("/dev/stdout").is_ok_and(|meta| meta.is_symlink()));

    let third = bash(
        &one.here,
        &format!("exec 3>third; echo begin >&3; {verify} --report-file /dev/fd/3 >/dev/null; echo end >&3"),
    );
    assert_eq!((third.code, read(&one.here, "third").lines().count()), (0, 3), "{third:?}");
    bash(&one.here, &format!("{verify} --report-file /dev/fd/7"))
        .refused(2, &["/dev/fd/7: no such descriptor is open"]);
    bash(&one.here, &format!("{verify} --report-file /dev/stdin </dev/null"))
        .refused(2, &["for reading only"]);
}

#[test]
fn a_device_and_a_pipe_stay_what_they_are_whatever_command_writes_to_them() {
    let one = One::new();
    let at = |name: &str| one.here.path(name);
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    // Both ends, so that neither waits for the other.
    let mut pipe = File::options().read(true).write(true).open(at("pipe")).unwrap();
    let mut read = |len: usize| {
        let mut bytes = vec![0; len];
        pipe.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    for words in [
        &["verify", &one.id][..],
        &["show", &one.id],
        &["ledger"],
        &["manifest", "a.img", "-o", "a.manifest", "--force"],
    ] {
        let outcome = one.run(&[words, &["--format", "json", "--report-file", "pipe"]].concat());
        assert!(!outcome.stdout.is_empty(), "{words:?}: {outcome:?}");
        assert_eq!(read(outcome.stdout.len()), outcome.stdout, "{words:?}: {outcome:?}");
        assert!(fs::metadata(at("pipe")).unwrap().file_type().is_fifo());
    }
    // A run that fails says so there as well.
    let words = ["store", "check", "no-such", "--format", "json", "--report-file", "pipe"];
    assert_eq!(one.here.run(&words).code, 2);
    let begin = read(100);
    assert!(begin.starts_with("{\"schema\":\"icecore/unfinished/1\",\"state\":\"incomplete\""), "{begin}");

    let null = rustix::fs::makedev(1, 3);
    let made = mknodat(CWD, at("null"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), null);
    if made.is_err() || File::options().write(true).open(at("null")).is_err() {
        return;
    }
    for words in [&["verify", &one.id][..], &["show", &one.id]] {
        let outcome = one.run(&[words, &["--report-file", "null"]].concat());
        assert_eq!(outcome.code, 0, "{words:?}: {outcome:?}");
        assert!(fs::metadata(at("null")).unwrap().file_type().is_char_device(), "{words:?}");
    }
}

#[test]
fn a_manifest_follows_a_link_and_keeps_owner_and_mode_of_the_one_that_it_replaces() {
    let one = One::new();
    let at = |name: &str| one.here.path(name);
    let make = |output: &str| one.here.run(&["manifest", "a.img", "-o", output, "--force"]);
    fs::create_dir(at("kept")).unwrap();
    symlink("kept/m", at("link")).unwrap();
    assert_eq!(make("link").code, 0);
    assert_eq!(fs::metadata(at("kept/m")).unwrap().mode() & 0o7777, 0o600, "a new one is its owner's alone");
    fs::set_permissions(at("kept/m"), Permissions::from_mode(0o640)).unwrap();
    let owner = if geteuid().is_root() { OTHER } else { geteuid().as_raw() };
    chown(at("kept/m"), Some(owner), None).unwrap();
    assert_eq!(make("link").code, 0);
    let meta = fs::metadata(at("kept/m")).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (owner, 0o640));
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    assert_eq!(fs::read_dir(at("kept")).unwrap().count(), 1);
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    make("pipe").refused(2, &["it is no regular file"]);
    make("/dev/stdout").refused(2, &["/dev/stdout: it is no regular file"]);
    one.here.run(&["evidence", "key", "pipe"]).refused(2, &["there is a file of this name"]);
    if fs::metadata("/dev").unwrap().dev() != fs::metadata("/").unwrap().dev() {
        make("/dev/icecore-no-such").refused(2, &["among the devices below /dev"]);
        one.here
            .run(&["evidence", "key", "/dev/icecore-no-such"])
            .refused(2, &["among the devices below /dev"]);
    }
}

#[test]
fn a_name_that_takes_no_report_is_refused_before_the_work() {
    let one = One::new();
    let _socket = std::os::unix::net::UnixListener::bind(one.here.path("socket")).unwrap();
    for (name, said) in [
        ("state", "is a directory"),
        (".", "is a directory"),
        ("new/", "is a directory"),
        ("socket", "is a socket"),
        ("/dev/icecore-no-such-device", "among the devices below /dev"),
    ] {
        if name.starts_with("/dev") && fs::metadata("/dev").unwrap().dev() == fs::metadata("/").unwrap().dev()
        {
            continue;
        }
        for command in [&["verify", &one.id][..], &["list"]] {
            one.run(&[command, &["--report-file", name]].concat()).refused(2, &[name, said]);
        }
    }
    assert!(!Path::new("/dev/icecore-no-such-device").exists());
}
