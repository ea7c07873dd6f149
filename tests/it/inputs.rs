//! Files that are named on the command line: what never ends, what is too large, pipes, names that are no UTF-8, and the
//! limits that a shell sets.

use crate::cli::{Here, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The program in a shell that first sets this limit.
fn limited(here: &Here, limit: &str, words: &[&str]) -> Outcome {
    let program = here.command(&[]);
    let line = format!("ulimit {limit}; exec \"$@\"");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line, "sh"]).arg(program.get_program()).args(words).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(here.path(""));
    Outcome::of(&command.output().unwrap())
}

/// Every command that reads a file whole, with a place for it.
const READERS: [&[&str]; 6] = [
    &["warm", "a.img", "--map", "FILE"],
    &["warm", "a.img", "--map", "map", "--order", "ranges:FILE"],
    &["verify", "--plan", "FILE"],
    &["serve", "--local", "store", "--faults", "FILE"],
    &["cost", "reconcile", "FILE", "--local", "store"],
    &["cost", "compare", "FILE", "--local", "store"],
];

fn with(words: &[&str], file: &str) -> Vec<String> {
    words.iter().map(|word| word.replace("FILE", file)).collect()
}

fn prepared() -> Here {
    let here = Here::new();
    fs::write(here.path("a.img"), vec![7; 1 << 20]).unwrap();
    // Of the size of a volume; the rest is a hole.
    fs::OpenOptions::new().write(true).open(here.path("a.img")).unwrap().set_len(1 << 30).unwrap();
    fs::write(here.path("map"), "0-1\n").unwrap();
    here
}

#[test]
fn a_file_that_never_ends_is_refused_and_takes_no_memory() {
    let here = prepared();
    File::create(here.path("huge")).unwrap().set_len(64 << 30).unwrap();
    for words in READERS {
        for file in ["/dev/zero", "huge"] {
            let words = with(words, file);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            // Address space, not memory: threads and the program's own file take part of it.
            let outcome = limited(&here, "-v 1500000", &words);
            assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{words:?}: {outcome:?}");
            assert!(outcome.stderr.lines().last().unwrap().contains(file), "{outcome:?}");
        }
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_does_not_outlive_sigterm() {
    let here = prepared();
    assert!(Command::new("mkfifo").arg(here.path("fifo")).status().unwrap().success());
    for words in READERS {
        let words = with(words, "fifo");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let child = here.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It waits for the pipe once it has a thread for it.
        let tasks = format!("/proc/{}/task", child.id());
        let is_input =
            |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "input");
        while !fs::read_dir(&tasks).unwrap().flatten().any(|task| is_input(&task.path())) {
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(143), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_map_may_come_out_of_another_command() {
    let here = prepared();
    let import = ["import", "a.img", "--omit-zero-blocks", "--local", "store", "--format", "json"];
    let id = here.run(&import).json()["snapshot_id"].as_str().unwrap().to_owned();
    let program = here.command(&[]);
    let mut command = Command::new("bash");
    let line = format!("\"$0\" warm a.img --format json --map <(\"$0\" blocks {id} --local store)");
    command.arg("-c").arg(line).arg(program.get_program()).current_dir(here.path("")).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let outcome = Outcome { code: 0, ..Outcome::of(&output) };
    assert_eq!(outcome.json()["blocks_planned"], 2);
}

#[test]
fn a_plan_with_a_byte_order_mark_is_a_plan() {
    let here = Here::new();
    fs::write(here.path("plan"), "\u{feff}# nothing yet\n").unwrap();
    here.run(&["verify", "--plan", "plan"]).refused(2, &["has no line to verify"]);
}

#[test]
fn a_path_that_is_no_utf_8_is_used_as_it_is() {
    let here = prepared();
    let name = |bytes: &[u8]| -> OsString { OsStr::from_bytes(bytes).to_owned() };
    let (image, manifest) = (name(b"a\xff.img"), name(b"m\xfe"));
    fs::rename(here.path("a.img"), here.path("").join(&image)).unwrap();
    let run = |words: &[&OsStr]| {
        let mut command = here.command(&[]);
        Outcome::of(&command.args(words).output().unwrap())
    };
    let word = OsStr::new;
    let made = run(&[word("manifest"), &image, word("-o"), &manifest]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(here.path("").join(&manifest).exists());
    let verified = run(&[word("verify"), &manifest, &image]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let pair = [image.as_bytes(), b"=map"].concat();
    for words in [
        &[word("warm"), &image, word("--map"), word("map")][..],
        &[word("warm"), word("--pair"), OsStr::from_bytes(&pair)],
        &[word("import"), &image, word("--local"), word("store")],
    ] {
        let outcome = run(words);
        assert_ne!(outcome.code, 2, "{outcome:?}");
        assert!(!outcome.stderr.contains("UTF-8"), "{outcome:?}");
    }
}

#[test]
fn the_limits_of_a_shell_are_local_faults() {
    let here = prepared();
    let import = ["import", "a.img", "--omit-zero-blocks", "--local", "store", "--format", "json"];
    let id = here.run(&import).json()["snapshot_id"].as_str().unwrap().to_owned();
    // A volume of 1 GiB as a file is larger than this, in blocks of 512 or 1,024 bytes.
    limited(&here, "-f 1000", &["export", &id, "out.img", "--local", "store"])
        .refused(7, &["file too large"]);
    // The store cannot be written, which is not the fault of a service.
    fs::write(
        here.path("b.img"),
        (0..4 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    )
    .unwrap();
    let stopped = limited(&here, "-f 100", &["import", "b.img", "--local", "store"]);
    assert_eq!(stopped.code, 7, "{stopped:?}");
    assert!(stopped.stderr.contains("file too large"), "{stopped:?}");
}

#[test]
fn escape_codes_in_paths_do_not_reach_the_terminal() {
    let here = Here::new();
    fs::create_dir_all(here.path("state")).unwrap();
    let outcome = here.run(&["state", "push", "a\u{1b}[31mb"]);
    assert!(!outcome.stdout.contains('\u{1b}') && !outcome.stderr.contains('\u{1b}'), "{outcome:?}");
}

#[test]
fn what_a_slo_command_leaves_behind_is_ended_with_it() {
    let here = prepared();
    File::create(here.path("disk")).unwrap().set_len(8 * 524_288).unwrap();
    fs::write(here.path("map"), "0-7\n").unwrap();
    // Its own session, its parent gone, its environment emptied.
    let slo = "(env -i setsid sh -c 'echo $$ >>pids; exec sleep 1000' &)";
    let outcome = here.run(&["warm", "disk", "--map", "map", "--rate", "2MiB/s", "--slo-cmd", slo]);
    assert!([0, 1, 3].contains(&outcome.code), "{outcome:?}");
    let pids = fs::read_to_string(here.path("pids")).expect("the command was run");
    for pid in pids.lines() {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!command.starts_with(b"sleep"), "{pid} is still there");
    }
}

#[test]
fn a_slo_command_gets_credentials_only_where_asked_for() {
    for (words, expected) in [(&[][..], "profile= key="), (&["--hook-credentials"], "profile= key=AKIA")] {
        let here = prepared();
        File::create(here.path("disk")).unwrap().set_len(4 * 524_288).unwrap();
        fs::write(here.path("map"), "0-3\n").unwrap();
        let slo = "echo profile=$AWS_PROFILE key=$AWS_ACCESS_KEY_ID >>seen";
        let warm = ["warm", "disk", "--map", "map", "--rate", "2MiB/s", "--slo-cmd", slo];
        let mut command = here.command(&[&warm[..], words].concat());
        let outcome = Outcome::of(&command.env("AWS_ACCESS_KEY_ID", "AKIA").output().unwrap());
        assert!([0, 1, 3].contains(&outcome.code), "{outcome:?}");
        let seen = fs::read_to_string(here.path("seen")).expect("the command was run");
        assert_eq!(seen.lines().next(), Some(expected));
    }
}
