//! Several runs of the program at once, and runs that are killed.

use crate::cli::{Here, Outcome, one_object};
use crate::lab::{compare, generation};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// `icecore serve`, killed with the test if the test does not stop it.
pub(crate) struct Serve {
    child: Child,
    pub(crate) url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Serve {
    pub(crate) fn start(here: &Here) -> Self {
        Self::with(here, &[])
    }

    /// One that was told more.
    pub(crate) fn with(here: &Here, words: &[&str]) -> Self {
        let mut command = here.command(&["serve", "--local", "store", "--listen", "127.0.0.1:0"]);
        command.args(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { child, url, _stdout: stdout }
    }

    /// The program, aimed at this endpoint.
    fn command(&self, here: &Here, words: &[&str]) -> Command {
        aimed(here, &self.url, words)
    }

    fn run(&self, here: &Here, words: &[&str]) -> Outcome {
        Outcome::of(&self.command(here, words).output().unwrap())
    }

    fn terminate(mut self) -> i32 {
        let pid = i32::try_from(self.child.id()).unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, aimed at an endpoint.
pub(crate) fn aimed(here: &Here, url: &str, words: &[&str]) -> Command {
    let mut command = here.command(words);
    command.args(["--endpoint-url", url, "--region", "us-east-1", "--progress", "never"]);
    command.env("AWS_ACCESS_KEY_ID", "AKTEST").env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn imported(outcome: &Outcome) -> String {
    assert_eq!(outcome.code, 0, "{outcome:?}");
    one_object(&outcome.stdout)["snapshot_id"].as_str().unwrap().to_owned()
}

/// Kills a day: two by default, all of the full count where the environment asks for it.
fn kills(full: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how a full run is asked for")]
    let seeds = std::env::var("ICECORE_SEEDS").ok().and_then(|count| count.parse::<u64>().ok());
    seeds.map_or(2, |seeds| seeds.min(full))
}

/// SIGKILL after some time that differs from round to round. Whether it was still running then.
fn killed_after(mut child: Child, wait: Duration) -> bool {
    #[expect(clippy::disallowed_methods, reason = "another process is given time to do some of its work")]
    std::thread::sleep(wait);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    running
}

#[test]
fn a_server_an_import_and_two_readers_share_one_store() {
    let here = Here::new();
    let serve = Serve::start(&here);
    let first = imported(&serve.run(&here, &["import", text(&generation(0)), "--format", "json"]));
    let mut importing =
        serve.command(&here, &["import", text(&generation(1)), "--parent", &first, "--format", "json"]);
    let importing = importing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut readers: Vec<Child> = Vec::new();
    for name in ["a.img", "b.img"] {
        let words = ["export", &first, name, "--no-sync", "--local", "store", "--progress", "never"];
        readers.push(here.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    }
    for reader in readers {
        let outcome = Outcome::of(&reader.wait_with_output().unwrap());
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
    imported(&Outcome::of(&importing.wait_with_output().unwrap()));
    for name in ["a.img", "b.img"] {
        assert!(compare(&generation(0), &here.path(name)).0.is_empty(), "{name}");
    }
    // The store has one writer, and that is the server.
    here.run(&["import", text(&generation(1)), "--local", "store"])
        .refused(2, &["locked by", "icecore serve"]);
    assert_eq!(serve.terminate(), 0, "SIGTERM ends the server cleanly");
}

#[test]
fn a_killed_import_goes_on_into_the_same_snapshot() {
    let here = Here::new();
    let serve = Serve::start(&here);
    let image = generation(2);
    for round in 0..kills(20) {
        let words = ["import", text(&image), "--format", "json"];
        let mut child =
            serve.command(&here, &words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let was_running = killed_after(child, Duration::from_millis(150 + 97 * (round % 7)));
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        let begun = said.split_whitespace().find(|word| word.starts_with("snap-")).map(str::to_owned);
        let outcome = serve.run(&here, &words);
        let id = imported(&outcome);
        if let Some(begun) = begun.filter(|_| was_running) {
            let begun = begun.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            assert_eq!(id, begun, "the same snapshot as the killed run: {said}");
        }
        let name = format!("out{round}.img");
        let exported = serve.run(&here, &["export", &id, &name, "--no-sync"]);
        assert_eq!(exported.code, 0, "{exported:?}");
        assert!(compare(&image, &here.path(&name)).0.is_empty(), "round {round}");
        std::fs::remove_file(here.path(&name)).unwrap();
    }
}

#[test]
fn a_killed_manifest_or_verification_goes_on_and_ends_as_if_it_had_not_been() {
    let here = Here::new();
    let serve = Serve::start(&here);
    let image = generation(2);
    let id = imported(&serve.run(&here, &["import", text(&image), "--format", "json"]));
    assert_eq!(serve.run(&here, &["manifest", &id, "-o", "whole"]).code, 0);
    let whole = std::fs::read(here.path("whole")).unwrap();
    let verify = ["verify", &id, text(&image), "--unencrypted", "--format", "json"];
    let report = |outcome: &Outcome| {
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let report = one_object(&outcome.stdout);
        assert_eq!(report["state"], "pass");
        report
    };
    let expected = report(&serve.run(&here, &verify))["content_root"].clone();
    let (mut running, mut resumed) = (0, [0, 0]);
    let rounds = kills(200);
    for round in 0..rounds {
        let name = format!("m{round}");
        let manifest = ["manifest", &id, "-o", &name, "--format", "json"];
        // Slowed down to five seconds, with a checkpoint every two; what goes on from there may be fast.
        let begun = [manifest.as_slice(), verify.as_slice()].map(|words| {
            let mut command = serve.command(&here, words);
            command.args(["--rate-get", "400"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let waits = [20 + (round * 2_737) % 4_500, 0].map(Duration::from_millis);
        for (child, wait) in begun.into_iter().zip(waits) {
            running += u64::from(killed_after(child, wait));
        }
        if !here.path(&name).exists() {
            let made = serve.run(&here, &manifest);
            assert_eq!(made.code, 0, "round {round}: {made:?}");
            resumed[0] += u64::from(one_object(&made.stdout)["blocks_resumed"] != 0);
        }
        assert!(std::fs::read(here.path(&name)).unwrap() == whole, "round {round}");
        std::fs::remove_file(here.path(&name)).unwrap();
        let verified = report(&serve.run(&here, &verify));
        assert_eq!(verified["content_root"], expected, "round {round}");
        resumed[1] += u64::from(verified["blocks_resumed"] != 0);
    }
    println!("{rounds} rounds, {running} killed on their way; went on: {resumed:?} manifests, verifications");
    assert!(running > 0, "some of them were killed on their way");
    assert!(rounds < 20 || !resumed.contains(&0), "and some of those had something to go on from");
    let left = std::fs::read_dir(here.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("icecore-")).collect();
    assert!(left.is_empty(), "nothing half-done is left: {left:?}");
}

#[test]
fn a_killed_export_goes_on_and_is_byte_identical() {
    let here = Here::new();
    let serve = Serve::start(&here);
    let image = generation(3);
    let id = imported(&serve.run(&here, &["import", text(&image), "--format", "json"]));
    for round in 0..kills(20) {
        let name = format!("out{round}.img");
        let words = ["export", &id, &name];
        let child = serve.command(&here, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        killed_after(child, Duration::from_millis(60 + 83 * (round % 7)));
        if !here.path(&name).exists() {
            let outcome = serve.run(&here, &words);
            assert_eq!(outcome.code, 0, "{outcome:?}");
        }
        assert!(compare(&image, &here.path(&name)).0.is_empty(), "round {round}");
        let parts = std::fs::read_dir(here.path("."))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with("icecore-part"));
        assert_eq!(parts.count(), 0, "nothing half-done is left");
        std::fs::remove_file(here.path(&name)).unwrap();
    }
}

#[test]
fn evidence_names_who_asked_and_nobody_where_that_is_not_told() {
    let here = Here::new();
    std::fs::write(here.path("plan"), "GetCallerIdentity denied\n").unwrap();
    let mut ids = Vec::new();
    for (words, is_told) in [(&[][..], true), (&["--faults", "plan"], false)] {
        let serve = Serve::with(&here, words);
        if ids.is_empty() {
            ids.push(imported(&serve.run(&here, &["import", text(&generation(0)), "--format", "json"])));
        }
        let dir = format!("told-{is_told}");
        let passed = serve.run(&here, &["verify", &ids[0], "--evidence", &dir, "--format", "json"]);
        assert_eq!((passed.code, &one_object(&passed.stdout)["state"]), (0, &"pass".into()), "{passed:?}");
        let statement = std::fs::read(here.path(&dir).join("000001/statement.json")).unwrap();
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        let principal = statement.get("principal_arn").expect("the field is there, told or not");
        assert_eq!(principal.is_null(), !is_told, "{principal}");
        assert!(principal.as_str().is_none_or(|arn| arn.starts_with("arn:aws:")), "{principal}");
        assert_eq!(here.run(&["evidence", "verify", &dir]).code, 0);
        serve.terminate();
    }
}

#[test]
fn evidence_is_whole_or_not_there_when_the_run_that_keeps_it_is_killed() {
    let here = Here::new();
    let serve = Serve::start(&here);
    let id = imported(&serve.run(&here, &["import", text(&generation(0)), "--format", "json"]));
    assert_eq!(here.run(&["evidence", "key", "key"]).code, 0);
    let words = ["verify", &id, "--evidence", "ev", "--sign-key", "key"];
    let bundles =
        || here.run(&["evidence", "verify", "ev", "--public-key", "key.pub", "--format", "json"]).json();
    assert_eq!(serve.run(&here, &words).code, 0);
    let (mut kept, mut running, mut left) = (1, 0, 0);
    let is_half_done = || {
        let entries = std::fs::read_dir(here.path("ev")).unwrap().map(|entry| entry.unwrap().path());
        let mut drafts = entries.filter(|path| text(path).contains(".draft-"));
        drafts.any(|draft| std::fs::metadata(draft.join("report.json")).is_ok_and(|report| report.len() > 0))
    };
    let rounds = kills(200).max(3);
    for round in 0..rounds {
        let mut child =
            serve.command(&here, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From the moment that its report is written, it is killed a little later in each round.
        while !is_half_done() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        running += u64::from(killed_after(child, Duration::from_micros(round * 1_733 % 25_000)));
        let found = bundles();
        assert_eq!(found["state"], "pass", "round {round}: {found}");
        let after = found["bundles_total"].as_u64().unwrap();
        assert!(after == kept || after == kept + 1, "round {round}: {after} after {kept}");
        left += found["drafts"].as_u64().unwrap();
        let next = serve.run(&here, &words);
        assert_eq!(next.code, 0, "round {round}: {next:?}");
        kept = after + 1;
        let found = bundles();
        let there = (&found["bundles_total"], &found["drafts"]);
        assert_eq!(there, (&kept.into(), &0.into()), "round {round}: what was left is removed");
    }
    println!("{rounds} rounds, {running} killed on their way, {left} with half a bundle");
    assert!(running > 0, "some of them were killed on their way");
}
