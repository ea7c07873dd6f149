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
    assert_eq!(source.fetch(&page.entries[0]).await.unwrap_err().kind, Kind::Service);
    assert_eq!(source.list(Cursor::start()).await.unwrap().entries.len(), 1, "the rest is served");
    running.stop().await;
}
