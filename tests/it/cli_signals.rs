//! Being interrupted: what is kept, and with which code it ends.

use crate::cli::Here;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

#[test]
fn an_interrupted_import_is_resumed_by_the_same_command() {
    let here = Here::new();
    File::create(here.path("a.img")).unwrap().write_all(&vec![7; 40 << 20]).unwrap();
    let import = ["import", "a.img", "--omit-zero-blocks", "--local", "store", "--format", "json"];
    // At this rate the 80 blocks would take most of a minute, so the signal finds it at work.
    let slow: Vec<_> = import.into_iter().chain(["--rate-get", "2"]).collect();
    let mut child = here.command(&slow).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("started snap-") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before it was interrupted");
    }
    let id = line.trim_end().rsplit(' ').next().unwrap().to_owned();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(75), &b""[..]), "{said}");
    let report = here.run(&import).json();
    assert_eq!(report["snapshot_id"].as_str(), Some(id.as_str()));
}

#[test]
fn a_signal_without_a_checkpoint_ends_with_its_own_code() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let here = Here::new();
        // A service that takes the request and never answers it.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let mut command = here.command(&["show", "snap-01", "--endpoint-url", &url, "--region", "us-east-1"]);
        command.env("AWS_ACCESS_KEY_ID", "AK").env("AWS_SECRET_ACCESS_KEY", "secret");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut request, _) = silent.accept().unwrap();
        request.read_exact(&mut [0; 16]).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{stderr}");
        assert!(stderr.lines().last().unwrap().starts_with("icecore: "), "{stderr}");
    }
}
