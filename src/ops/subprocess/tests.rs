use super::*;
use std::path::Path;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

fn never() -> bool {
    false
}

fn ran(line: &str, timeout: Duration) -> Ended {
    run(shell(line, false), true, timeout, &never).unwrap()
}

fn text(ended: &Ended) -> String {
    String::from_utf8(ended.output.clone()).unwrap()
}

/// Whether a process that wrote its id into a file is there no more.
fn is_gone(file: &Path) -> bool {
    let pid = fs::read_to_string(file).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.ok().and_then(|stat| Process::parse(&stat)).is_none_or(|process| process.is_zombie)
}

#[test]
fn output_and_exit_code_are_those_of_the_command() {
    let ended = ran("echo fine; echo really >&2; exit 7", LONG);
    assert_eq!((ended.code, text(&ended).as_str()), (Some(7), "fine\nreally\n"));
    assert!(!ended.is_cut && ended.left_processes == 0);
    let quiet = run(shell("echo fine; echo really >&2", false), false, LONG, &never).unwrap();
    assert_eq!(text(&quiet), "fine\n");
}

#[test]
fn the_last_64_kib_of_the_output_are_kept_and_the_cut_is_told() {
    let ended = ran("head -c 300000 /dev/zero | tr '\\0' x; echo end", LONG);
    assert_eq!((ended.output.len(), ended.is_cut), (KEPT_BYTES, true));
    assert!(ended.output.ends_with(b"xend\n"));
    let ended = ran("head -c 65536 /dev/zero", LONG);
    assert_eq!((ended.output.len(), ended.is_cut), (KEPT_BYTES, false));
}

#[test]
fn the_timeout_ends_children_in_groups_and_sessions_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    for (name, line) in [
        ("session", "setsid sh -c 'echo $$ > FILE; exec sleep 1000' & wait"),
        ("orphan", "(setsid sh -c 'echo $$ > FILE; exec sleep 1000' &) ; sleep 1000"),
    ] {
        let file = dir.path().join(name);
        let ended = ran(&line.replace("FILE", &file.display().to_string()), SHORT);
        assert_eq!((ended.code, ended.left_processes), (None, 0), "{name}");
        assert!(is_gone(&file), "{name}");
    }
}

#[test]
fn a_child_that_holds_the_output_open_ends_with_its_command() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let line = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 1000' & while ! [ -s {0} ]; do :; done; echo done",
        file.display()
    );
    let ended = ran(&line, LONG);
    assert_eq!((ended.code, text(&ended).as_str()), (Some(0), "done\n"));
    assert!(is_gone(&file));
}

#[test]
fn a_stop_ends_a_command_as_its_timeout_does() {
    let ended = run(shell("sleep 1000", false), true, LONG, &|| true).unwrap();
    assert_eq!(ended.code, None);
}

#[test]
fn credentials_are_given_only_where_they_are_asked_for() {
    let removed: Vec<_> =
        shell("env", false).get_envs().map(|(name, value)| (name.to_owned(), value.is_none())).collect();
    assert_eq!(removed.len(), CREDENTIALS.len());
    assert!(removed.iter().all(|(_, is_removed)| *is_removed));
    assert_eq!(shell("env", true).get_envs().count(), 0);
}

#[test]
fn a_process_is_read_off_its_line_in_proc() {
    let line = "42 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
    let process = Process::parse(line).unwrap();
    assert_eq!((process.pid, process.parent, process.group), (42, 1, 7));
    assert_eq!((process.started, process.is_zombie), (123_456, false));
    assert!(Process::parse("42 (a").is_none());
}
