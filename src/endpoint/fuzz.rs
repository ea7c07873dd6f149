//! The endpoint's readers, for fuzzers: what came over the wire, and fault plans.

use crate::account::Shelves;
use crate::endpoint::service::Service;
use crate::endpoint::{Config, Plan};
use crate::shelf::conformance::{filled, grant};
use crate::shelf::memory::MemoryShelf;
use crate::shelf::{Content, ShelfWriter};
use crate::snapshot::SnapshotId;
use bytes::Bytes;
use http::Request;
use std::sync::{Arc, LazyLock};

const KEY: &str = "AWS4-HMAC-SHA256 Credential=AKTEST/20260101/us-east-1/ebs/aws4_request, SignedHeaders=host, \
                   Signature=00";

/// A service with one completed snapshot. New every time: what one input starts must not wait for the next.
fn service() -> Option<(Service, SnapshotId)> {
    static BLOCK: LazyLock<Content> = LazyLock::new(|| filled(7));
    let shelf = MemoryShelf::new();
    let id = shelf.start(&grant(None)).ok()?.info.id;
    shelf.put(&id, crate::block::BlockIndex::ZERO, &BLOCK).ok()?;
    shelf.complete(&id).ok()?;
    Some((Service::new(Config::default(), Shelves::writable(Arc::new(shelf))), id))
}

/// One request: `GET /snapshots/SNAP/blocks?maxResults=100`, header lines, an empty line, the body. SNAP is the id of
/// a snapshot that is there.
pub(crate) fn request(bytes: &[u8]) {
    let Some((service, id)) = service() else { return };
    let text = String::from_utf8_lossy(bytes).replace("SNAP", id.as_str());
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", &text));
    let mut request = Request::builder().method(method).uri(target).header("authorization", KEY);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        request = request.header(name, value.trim());
    }
    let Ok(request) = request.body(()) else { return };
    let answered = service.answer(&request.into_parts().0, Ok(Bytes::from(body.to_owned())));
    assert!(answered.response.status().as_u16() < 500, "the service failed");
}

/// A form sent to EC2, or to STS if the first byte is odd.
pub(crate) fn query(bytes: &[u8]) {
    let Some((service, id)) = service() else { return };
    let form = String::from_utf8_lossy(bytes).replace("SNAP", id.as_str());
    let to = if bytes.first().is_some_and(|byte| byte % 2 == 1) { "/sts/" } else { "/ec2/" };
    let request = Request::post("/").header("authorization", KEY.replace("/ebs/", to));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(());
    let Ok(request) = request else { return };
    let answered = service.answer(&request.into_parts().0, Ok(Bytes::from(form)));
    assert!(answered.response.status().as_u16() < 500, "the service failed");
}

/// A fault plan.
pub(crate) fn plan(bytes: &[u8]) {
    let plan: Result<Plan, _> = String::from_utf8_lossy(bytes).parse();
    if let Err(error) = plan {
        // It says what is wrong with it, whatever it is.
        assert!(!error.to_string().is_empty());
    }
}
