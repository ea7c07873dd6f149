//! `icecore cost` under a budget or a deadline: it ends with 3, says so, and the same command goes on.

use crate::cli::{Here, Outcome, one_object};
use crate::cost::written;
use icecore::endpoint::{Config, Running, Shelves, start};
use icecore::shelf::memory::MemoryShelf;
use icecore::snapshot::SnapshotId;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// So many snapshots of one chain, a page each: of the first its blocks, of the others what they wrote.
const CHAIN: u32 = 200;

async fn chain(latency: Duration) -> Running {
    let shelf = Arc::new(MemoryShelf::new());
    let mut last: Option<SnapshotId> = None;
    for n in 0..CHAIN {
        last = Some(written(shelf.as_ref(), 1, last.as_ref(), n % 7..n % 7 + 3));
    }
    start(Config { latency, ..Config::default() }, Shelves::writable(shelf)).await.unwrap()
}

async fn cost(here: &Here, endpoint: &Running, words: &[&str]) -> Outcome {
    let mut command = here.command(&[&["cost", "--format", "json"], words].concat());
    command.args(["--endpoint-url", &endpoint.url(), "--region", "us-east-1"]);
    command.env("AWS_ACCESS_KEY_ID", "AK").env("AWS_SECRET_ACCESS_KEY", "secret");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Outcome::of(&output)
}

fn number(report: &Value, of: &str, name: &str) -> u64 {
    report[of][name].as_u64().unwrap()
}

/// Runs the same command until it has everything. Every run but the last ends with 3, knows less than all, and says
/// so; gives the reports.
async fn to_the_end(here: &Here, endpoint: &Running, words: &[&str]) -> Vec<Value> {
    let mut reports: Vec<Value> = Vec::new();
    loop {
        let outcome = cost(here, endpoint, words).await;
        let report = one_object(&outcome.stdout);
        let is_whole = report["state"] == "complete";
        assert_eq!(outcome.code, if is_whole { 0 } else { 3 }, "{outcome:?}");
        assert_eq!(number(&report, "totals", "unknown_snapshots") == 0, is_whole, "{report}");
        let says = outcome.stderr.contains("the same command goes on from there");
        assert_eq!(says, !is_whole, "{}", outcome.stderr);
        reports.push(report);
        if is_whole {
            return reports;
        }
        assert!(reports.len() < 40, "it gets on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_with_3_and_the_same_command_goes_on() {
    // 32 listings side by side: what the deadline leaves time for is far from all.
    let endpoint = chain(Duration::from_millis(400)).await;
    let (here, elsewhere) = (Here::new(), Here::new());
    let reports = to_the_end(&here, &endpoint, &["--deadline", "2s"]).await;
    assert!(reports.len() > 1, "there was not time for all");
    for pair in reports.windows(2) {
        let kept = pair.iter().map(|report| number(report, "inspection", "listings_kept"));
        assert!(kept.is_sorted(), "{pair:?}");
    }
    assert!(number(reports.last().unwrap(), "inspection", "listings_kept") > 0);
    let whole = cost(&elsewhere, &endpoint, &[]).await.json();
    let last = reports.last().unwrap();
    assert_eq!((&last["totals"], &last["snapshots"]), (&whole["totals"], &whole["snapshots"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_sends_more_requests_than_it_may() {
    let endpoint = chain(Duration::ZERO).await;
    let here = Here::new();
    let sent = || {
        let counts = endpoint.counts();
        counts.of("ListSnapshotBlocks") + counts.of("ListChangedBlocks")
    };
    let mut before = 0;
    let mut runs = 0;
    loop {
        let outcome = cost(&here, &endpoint, &["--max-requests", "60"]).await;
        let asked = sent() - before;
        assert_eq!(number(&one_object(&outcome.stdout), "requests", "list"), asked, "it tells what it sent");
        assert!(asked <= 60, "{asked}");
        (before, runs) = (before + asked, runs + 1);
        match outcome.code {
            3 => assert!(runs < 10, "it gets on"),
            code => break assert_eq!(code, 0, "{outcome:?}"),
        }
    }
    assert_eq!((before, runs), (CHAIN.into(), 4), "a page for each, none of them twice");
}
