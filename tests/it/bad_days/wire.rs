//! The endpoint's switches over a socket, and whole operations against them.

use crate::lab::{Lab, options};
use icecore::account::Settings as Account;
use icecore::aws::Deadlines;
use icecore::endpoint::{Config, Quotas};
use icecore::ops::import;
use icecore::snapshot::SnapshotId;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const KEY: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AKTEST/20260101/us-east-1/ebs/aws4_request, \
                   SignedHeaders=host;x-amz-date, \
                   Signature=0000000000000000000000000000000000000000000000000000000000000000\r\n";

fn planned(plan: &str) -> Config {
    Config { faults: plan.parse().unwrap(), ..Config::default() }
}

/// A connection on which one listing has been asked for.
async fn asked(url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let request = format!("GET /snapshots/snap-0abc/blocks HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_an_end() {
    for plan in ["* reset", "* lost"] {
        let lab = Lab::with(planned(plan)).await;
        let error = asked(&lab.endpoint.url()).await.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{plan}");
        assert_eq!(lab.endpoint.counts().of("ListSnapshotBlocks"), 1);
    }
}

#[tokio::test]
async fn a_stall_lasts_until_the_endpoint_ends_and_does_not_hold_it_up() {
    let lab = Lab::with(planned("* stall")).await;
    let mut stream = asked(&lab.endpoint.url()).await;
    let silent = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(silent.is_err(), "no answer, no end");
    let Lab { endpoint, .. } = lab;
    endpoint.stop().await;
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn latency_is_what_an_answer_takes_at_least() {
    let latency = Duration::from_millis(60);
    let lab = Lab::with(Config { latency, ..Config::default() }).await;
    let began = Instant::now();
    asked(&lab.endpoint.url()).await.read_u8().await.unwrap();
    assert!(began.elapsed() >= latency);
}

/// An image of a GiB with so many blocks of data at its start.
fn image(lab: &Lab, blocks: u64) -> std::path::PathBuf {
    let path = lab.path("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    for index in 0..blocks {
        file.write_all_at(&index.to_be_bytes(), index * 524_288 + 8).unwrap();
        file.write_all_at(&[1], index * 524_288).unwrap();
    }
    path
}

async fn imported(lab: &Lab, blocks: u64) -> SnapshotId {
    let options = import::Options { omit_zero_blocks: true, ..options(&image(lab, blocks), None) };
    let report = import::run(&options, &lab.services, &lab.engine()).await.unwrap();
    assert_eq!(report.blocks_written, blocks);
    report.snapshot_id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_waits_until_its_snapshot_can_be_read() {
    let ready_after = Duration::from_millis(400);
    let lab = Lab::with(Config { ready_after, ..Config::default() }).await;
    let began = Instant::now();
    let id = imported(&lab, 3).await;
    assert!(began.elapsed() >= ready_after);
    let _ = lab.export(&id, "out").await;
    let counts = lab.endpoint.counts();
    assert!(counts.of("ListSnapshotBlocks") > 2, "it was refused at first");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_good_day_the_service_is_asked_for_each_thing_once() {
    let account = Account { complete_takes: Duration::ZERO, ..Account::default() };
    let lab = Lab::with(Config { account, ..Config::default() }).await;
    let id = imported(&lab, 40).await;
    let counts = lab.endpoint.counts();
    let of = ["StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot", "ListSnapshotBlocks"];
    assert_eq!(of.map(|operation| counts.of(operation)), [1, 40, 1, 1]);
    let _ = lab.export(&id, "out").await;
    let counts = lab.endpoint.counts();
    assert_eq!((counts.of("ListSnapshotBlocks"), counts.of("GetSnapshotBlock")), (2, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_are_renewed_and_the_work_goes_on() {
    let lab = Lab::with(planned("* nth=1 expired=credentials")).await;
    let renewals = Arc::new(AtomicU64::new(0));
    let count = renewals.clone();
    let engine = lab.engine().renewing(Arc::new(move || {
        let count = count.clone();
        Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {})
        })
    }));
    let options = import::Options { omit_zero_blocks: true, ..options(&image(&lab, 5), None) };
    let report = import::run(&options, &lab.services, &engine).await.unwrap();
    assert_eq!((report.blocks_written, report.requests.put), (5, 10));
    assert!(renewals.load(Ordering::Relaxed) >= 8, "one for each thing that was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_slow_an_export_down_and_do_not_end_it() {
    let lab = Lab::new().await;
    let id = imported(&lab, 1_300).await;
    let config = Config { quotas: Quotas::Aws, ..Config::default() };
    let (running, services) = lab.beside(config, Deadlines::default()).await;
    let options = icecore::ops::export::Options { snapshot_id: id, dest: None, force: false, sync: false };
    let report = icecore::ops::export::run(&options, &services, &lab.engine()).await.unwrap();
    assert_eq!(report.requests.get, running.counts().of("GetSnapshotBlock"));
    assert_eq!(report.requests.get, 1_300 + report.requests.throttled);
    assert!(report.requests.throttled < 130, "{:?}", report.requests);
}
