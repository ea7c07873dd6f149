//! What requests are counted by.

use super::*;
use http::HeaderMap;

fn call(path: &[&str], query: &[(&str, &str)]) -> Call {
    Call {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        region: "us-east-1".to_owned(),
        fate: None,
        request_id: String::new(),
    }
}

#[test]
fn requests_are_counted_by_what_they_ask_for() {
    let faults = Faults::new("* nth=2 reset".parse().unwrap());
    let get = |id, index| faults.meet("GetSnapshotBlock", &call(&[id, index], &[]));
    assert_eq!(get("snap-0a", "1"), None);
    assert_eq!(get("snap-0a", "2"), None);
    assert_eq!(get("snap-0b", "1"), None);
    assert_eq!(faults.meet("PutSnapshotBlock", &call(&["snap-0a", "1"], &[])), None);
    assert_eq!(get("snap-0a", "1"), Some(Effect::Reset));
    assert_eq!(get("snap-0a", "1"), None, "the third is not the second");
    let list = |query: &[(&str, &str)]| faults.meet("ListSnapshotBlocks", &call(&["snap-0a"], query));
    assert_eq!(list(&[]), None);
    assert_eq!(list(&[("startingBlockIndex", "9")]), None, "another page");
    assert_eq!(list(&[("startingBlockIndex", "0")]), Some(Effect::Reset), "the same page as the first");
    let describe = |id| faults.meet("DescribeSnapshots", &call(&[], &[("SnapshotId.1", id)]));
    assert_eq!((describe("snap-0a"), describe("snap-0b")), (None, None));
    assert_eq!(describe("snap-0a"), Some(Effect::Reset));
}
