//! The endpoint over a store on disk, through AWS's own client, across restarts.

use icecore::aws::{Deadlines, Local, Session};
use icecore::ebs::Ebs;
use icecore::endpoint::{Config, Running, Shelves, start};
use icecore::fault::Kind;
use icecore::snapshot::NewSnapshot;
use icecore::source::{BlockService, Cursor, SnapshotWriter, conformance};
use icecore::store::{Store, StoreWriter};
use std::path::Path;
use std::sync::Arc;

const KEY: &str = "AKLOCAL";

async fn serve(dir: &Path) -> (Running, Ebs) {
    let writer = StoreWriter::open_or_create(dir, "a test").unwrap();
    over(Shelves::kept_in(Arc::new(writer))).await
}

async fn over(shelves: Shelves) -> (Running, Ebs) {
    let config = Config { access_key: Some(KEY.into()), ..Config::default() };
    let running = start(config, shelves).await.unwrap();
    let local = Local {
        url: running.url(),
        access_key_id: KEY.into(),
        secret_access_key: "any".into(),
        region: "us-east-1".into(),
    };
    let ebs = Ebs::new(&Session::local(local, Deadlines::default()).unwrap()).with_pages_of(100);
    (running, ebs)
}

#[tokio::test]
async fn a_store_behind_the_endpoint_is_written_read_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (running, ebs) = serve(dir.path()).await;
    conformance::writing_and_reading(&ebs, &ebs).await;
    conformance::change_feeds(&ebs, &ebs).await;
    running.stop().await;
}

#[tokio::test]
async fn what_was_completed_is_there_after_a_restart_and_tokens_still_open_it() {
    let dir = tempfile::tempdir().unwrap();
    let (running, ebs) = serve(dir.path()).await;
    let blocks: Vec<_> = (0..120).map(|n| conformance::filled(n, 3)).collect();
    let id = conformance::written(&ebs, &ebs, None, &blocks).await;
    let source = ebs.open(&id).await.unwrap();
    let page = source.list(Cursor::start()).await.unwrap();
    running.stop().await;

    // Another port, another process as far as the endpoint can tell; the tokens are the first one's.
    let (running, again) = serve(dir.path()).await;
    let source = again.open(&id).await.unwrap();
    let fetched = source.fetch(&page.entries[7]).await.unwrap();
    assert_eq!(fetched.claimed, blocks[7].digest());
    let next = source.list(page.next.unwrap()).await.unwrap();
    assert_eq!((page.entries.len(), next.entries.len()), (100, 20));
    running.stop().await;
}

#[tokio::test]
async fn a_start_is_done_once_also_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let asked = NewSnapshot { client_token: Some("once".into()), ..conformance::request(None) };
    let (running, ebs) = serve(dir.path()).await;
    let first = ebs.start(&asked).await.unwrap();
    running.stop().await;
    let (running, ebs) = serve(dir.path()).await;
    assert_eq!(ebs.start(&asked).await.unwrap().id, first.id);
    let other = NewSnapshot { description: Some("another".into()), ..asked };
    assert_eq!(ebs.start(&other).await.unwrap_err().kind, Kind::Refused);
    assert_eq!(running.counts().of("StartSnapshot"), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_is_only_read_is_served_but_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let (running, ebs) = serve(dir.path()).await;
    let id = conformance::written(&ebs, &ebs, None, &[conformance::filled(1, 1)]).await;
    running.stop().await;
    let (running, reader) = over(Shelves::shown_from(Arc::new(Store::open(dir.path()).unwrap()))).await;
    reader.open(&id).await.unwrap();
    let denied = reader.start(&conformance::request(None)).await.unwrap_err();
    assert_eq!(denied.kind, Kind::Denied);
    running.stop().await;
}

/// Cuts every file below to half its size.
fn damage(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            damage(&entry.path());
        } else {
            let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_block_is_a_failure_of_the_service_and_never_wrong_data() {
    let dir = tempfile::tempdir().unwrap();
    let (running, ebs) = serve(dir.path()).await;
    let id = conformance::written(&ebs, &ebs, None, &[conformance::filled(1, 1)]).await;
    running.stop().await;
    damage(&dir.path().join("blocks"));
    let (running, ebs) = serve(dir.path()).await;
    let source = ebs.open(&id).await.unwrap();
    let page = source.list(Cursor::start()).await.unwrap();
    assert_eq!(source.fetch(&page.entries[0]).await.unwrap_err().kind, Kind::Damaged);
    assert_eq!(source.list(Cursor::start()).await.unwrap().entries.len(), 1, "the rest is served");
    running.stop().await;
}

/// Deletes a snapshot as EC2's clients do; returns the status and the body.
async fn delete(address: &str, id: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let body = format!("Action=DeleteSnapshot&SnapshotId={id}&Version=2016-11-15");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/ec2/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}\r\n\r\n{body}",
        body.len(),
        "0".repeat(64)
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_deletes_one_succeeds_and_the_others_find_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let (running, ebs) = serve(dir.path()).await;
    let address = running.url().strip_prefix("http://").unwrap().to_owned();
    for round in 0..4 {
        let mut ids = Vec::new();
        let mut parent = None;
        for block in 0..6 {
            let id =
                conformance::written(&ebs, &ebs, parent.as_ref(), &[conformance::filled(block, round)]).await;
            ids.push(id.to_string());
            parent = Some(id);
        }
        let racing = (0..36).map(|n| {
            let (address, id) = (address.clone(), ids[n % 6].clone());
            tokio::spawn(async move { (id.clone(), delete(&address, &id).await) })
        });
        let mut deleted = std::collections::BTreeMap::<String, u32>::new();
        for racer in racing.collect::<Vec<_>>() {
            let (id, (status, answer)) = racer.await.unwrap();
            match status {
                200 => *deleted.entry(id).or_default() += 1,
                _ => assert!(status == 400 && answer.contains("InvalidSnapshot.NotFound"), "{answer}"),
            }
        }
        assert_eq!(deleted.len(), 6);
        assert!(deleted.values().all(|times| *times == 1), "{deleted:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_damaged_layer_is_said_in_a_sentence_and_asking_again_is_not_advised() {
    let dir = tempfile::tempdir().unwrap();
    let (running, ebs) = serve(dir.path()).await;
    let id = conformance::written(&ebs, &ebs, None, &[conformance::filled(1, 1)]).await;
    running.stop().await;
    damage(&dir.path().join("layers"));
    let (running, ebs) = serve(dir.path()).await;
    let fault = ebs.open(&id).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Damaged, "{fault}");
    assert!(!fault.kind.is_retryable());
    assert!(fault.to_string().contains("is damaged"), "{fault}");
    assert_eq!(fault.advice(), Some("icecore store check DIR names everything that is damaged"));
    running.stop().await;
}
