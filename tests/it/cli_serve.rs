//! `icecore serve` as another program meets it.

use crate::cli::{Here, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};

/// An endpoint in a process of its own.
struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

fn serve(here: &Here, words: &[&str]) -> Served {
    let words: Vec<_> = ["serve"].into_iter().chain(words.iter().copied()).collect();
    let mut child = here.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let url = line.trim_end().split(' ').find(|word| word.starts_with("http://")).unwrap().to_owned();
    Served { child, stdout, url }
}

impl Served {
    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Signals it, and gives its exit code and what else it wrote to standard output.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

#[test]
fn the_first_line_holds_the_url_and_either_signal_ends_it_cleanly() {
    let here = Here::new();
    for signal in [Signal::TERM, Signal::INT] {
        let served = serve(&here, &["--local", "store"]);
        // An idle connection must not keep it from ending.
        let mut idle = TcpStream::connect(served.address()).unwrap();
        idle.write_all(b"GET /snapshots/snap-01/blocks HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        idle.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403", "a request without authorisation");
        assert_eq!(served.end(signal), (Some(0), String::new()));
    }
}

#[test]
fn a_store_that_is_served_can_be_read_but_not_written_by_others() {
    let here = Here::new();
    std::fs::write(here.path("a.img"), "data").unwrap();
    let served = serve(&here, &["--local", "store"]);
    here.run(&["show", "snap-01", "--local", "store"]).refused(2, &["does not exist"]);
    here.run(&["import", "a.img", "--local", "store"]).refused(2, &["locked by icecore serve, pid"]);
    let remote = ["show", "snap-01", "--endpoint-url", &served.url, "--region", "us-east-1"];
    let output = here
        .command(&remote)
        .env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    Outcome::of(&output).refused(2, &["snap-01", "does not exist"]);
    served.end(Signal::TERM);
}

#[test]
fn only_loopback_is_served() {
    Here::new()
        .run(&["serve", "--local", "store", "--listen", "0.0.0.0:0"])
        .refused(2, &["0.0.0.0", "loopback"]);
}

#[test]
fn a_fault_plan_is_read_before_anything_is_made() {
    let here = Here::new();
    std::fs::write(here.path("plan"), "# tests\nGetSnapshotBlock blok=17 error=500\n").unwrap();
    let serve = |plan| here.run(&["serve", "--local", "store", "--faults", plan]);
    serve("plan").refused(2, &["plan: line 2, column 18: 'blok=17' is neither", "block=N"]);
    serve("no-plan").refused(2, &["no-plan: there is no such file"]);
    assert!(!here.path("store").exists());
}

#[test]
fn what_the_account_is_told_is_read_before_anything_is_made() {
    let here = Here::new();
    for (switch, bad) in
        [("--bin", "volume=0"), ("--bin", "disk=7"), ("--key", "mine=disabled"), ("--key", "arn:x=off")]
    {
        let outcome = here.run(&["serve", "--local", "store", switch, bad]);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.stderr.contains(bad) && outcome.stderr.contains("expected"), "{outcome:?}");
    }
    assert!(!here.path("store").exists());
}

#[test]
fn the_switches_are_heard() {
    let here = Here::new();
    std::fs::write(here.path("plan"), "ListSnapshotBlocks denied").unwrap();
    let switches = ["--faults", "plan", "--quotas", "aws", "--latency", "5", "--ready-after", "60"];
    let account =
        ["--bin", "snapshot=7", "--bin", "volume=1", "--key", "arn:aws:kms:us-east-1:1:key/1=disabled"];
    let served = serve(&here, &[["--local", "store"].as_slice(), &switches, &account].concat());
    let remote = ["show", "snap-01", "--endpoint-url", &served.url, "--region", "us-east-1"];
    let output = here
        .command(&remote)
        .env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    Outcome::of(&output).refused(4, &["not authorized to perform: ebs:ListSnapshotBlocks"]);
    served.end(Signal::TERM);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    Here::new().run(&["serve", "--local", "store", "--listen", &address]).refused(2, &[&address, "; "]);
}

#[test]
fn a_directory_with_something_else_in_it_is_not_made_a_store() {
    let here = Here::new();
    std::fs::create_dir(here.path("photos")).unwrap();
    std::fs::write(here.path("photos/cat.jpg"), "meow").unwrap();
    here.run(&["serve", "--local", "photos"]).refused(2, &["photos"]);
    assert_eq!(std::fs::read_dir(here.path("photos")).unwrap().count(), 1);
}

#[test]
fn serving_needs_a_store_to_serve() {
    Here::new().run(&["serve"]).refused(2, &["--local DIR"]);
}
