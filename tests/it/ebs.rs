//! AWS's own client against the local endpoint: each judges the other, and both pass what any source passes.

use icecore::aws::{Deadlines, Local, Session};
use icecore::ebs::Ebs;
use icecore::endpoint::{Config, Running, Shelves, start};
use icecore::shelf::memory::MemoryShelf;
use icecore::source::conformance;
use std::sync::Arc;

/// An endpoint over an empty shelf in memory, and a session with it. The endpoint lives as long as the first.
pub(crate) async fn endpoint() -> (Running, Session) {
    let running = start(Config::default(), Shelves::writable(Arc::new(MemoryShelf::new()))).await.unwrap();
    let local = Local {
        url: running.url(),
        access_key_id: "AKIDLOCAL".into(),
        secret_access_key: "s3cret".into(),
        region: "us-east-1".into(),
    };
    let session = Session::local(local, Deadlines::default()).unwrap();
    (running, session)
}

#[tokio::test]
async fn what_is_written_through_the_endpoint_is_what_is_read() {
    let (_running, session) = endpoint().await;
    for ebs in [Ebs::new(&session), Ebs::new(&session).with_pages_of(100)] {
        conformance::writing_and_reading(&ebs, &ebs).await;
    }
}

#[tokio::test]
async fn changes_through_the_endpoint_are_what_was_written() {
    let (_running, session) = endpoint().await;
    for ebs in [Ebs::new(&session), Ebs::new(&session).with_pages_of(100)] {
        conformance::change_feeds(&ebs, &ebs).await;
    }
}

#[tokio::test]
async fn a_listing_of_many_pages_is_walked_whole_from_anywhere() {
    let (_running, session) = endpoint().await;
    let ebs = Ebs::new(&session).with_pages_of(100);
    let blocks: Vec<_> = (0..230).map(|n| conformance::filled(n * 3, 1)).collect();
    let id = conformance::written(&ebs, &ebs, None, &blocks).await;
    let source = icecore::source::BlockService::open(&ebs, &id).await.unwrap();
    conformance::listing_resumes_anywhere(source.as_ref()).await;
}
