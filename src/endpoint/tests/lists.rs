//! ListSnapshotBlocks, ListChangedBlocks, GetSnapshotBlock.

use super::*;

fn blocks(id: &str, query: &str) -> String {
    format!("/snapshots/{id}/blocks?{query}")
}

fn changed(first: &str, second: &str, query: &str) -> String {
    format!("/snapshots/{second}/changedblocks?firstSnapshotId={first}&{query}")
}

#[test]
fn the_user_guides_change_at_the_end_arrives_on_the_tenth_page() {
    let bench = Bench::new();
    let first = bench.completed(None, 0..1000);
    let second = bench.completed(Some(&first), [999]);
    let pages = bench.pages(&changed(&first, &second, "startingBlockIndex=0&maxResults=100"));
    assert_eq!(shape(&pages), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(indexes(&pages[9]), [999]);
}

#[test]
fn the_user_guides_unwritten_blocks_make_no_empty_pages() {
    let bench = Bench::new();
    let size = json!({"VolumeSize": 2});
    let first = bench.start(&size).json()["SnapshotId"].as_str().unwrap().to_owned();
    let content = Content { bytes: Bytes::new(), digest: Digest::ZERO_BLOCK };
    for index in 2000..3000 {
        bench.shelf.put(&first.parse().unwrap(), BlockIndex::new(index), &content).unwrap();
    }
    bench.complete(&first, 1000, &[]);
    bench.advance(1);
    let child = bench.start(&json!({"VolumeSize": 2, "ParentSnapshotId": first}));
    let second = child.json()["SnapshotId"].as_str().unwrap().to_owned();
    bench.shelf.put(&second.parse().unwrap(), BlockIndex::new(2000), &content).unwrap();
    bench.complete(&second, 1, &[]);
    bench.advance(1);
    let page = bench.get(&changed(&first, &second, "startingBlockIndex=0&maxResults=100")).json();
    assert_eq!(indexes(&page), [2000]);
}

/// Recorded live: windows of the union of allocated blocks, for each of the two listings.
#[test]
fn pages_are_windows_of_allocated_blocks() {
    let bench = Bench::new();
    let parent = bench.completed(None, [2047]);
    let child = bench.completed(Some(&parent), (0..=100).chain([1000]));
    assert_eq!(shape(&bench.pages(&blocks(&child, "maxResults=100"))), [100, 3]);
    assert_eq!(shape(&bench.pages(&changed(&parent, &child, "maxResults=100"))), [100, 2]);
    assert_eq!(shape(&bench.pages(&changed(&child, &parent, "maxResults=100"))), [100, 2]);
    let same = bench.pages(&changed(&child, &child, "maxResults=100"));
    assert_eq!(shape(&same), [0, 0]);
    assert_eq!((&same[0]["BlockSize"], &same[0]["VolumeSize"]), (&json!(524_288), &json!(1)));
    for member in ["BlockSize", "ExpiryTime", "VolumeSize", "NextToken", "LastEvaluatedBlockIndex"] {
        assert_eq!(same[1].get(member), Some(&Value::Null), "an empty last page tells no {member}");
    }
}

#[test]
fn a_start_is_inclusive_or_the_next_and_a_token_wins_over_it() {
    let bench = Bench::new();
    let id = bench.completed(None, [3, 9, 2047].into_iter().chain(100..300));
    let from =
        |start: u32| indexes(&bench.get(&blocks(&id, &format!("startingBlockIndex={start}"))).json())[0];
    assert_eq!((from(1), from(3), from(4), from(2047)), (3, 3, 9, 2047));
    let beyond = bench.get(&blocks(&id, "startingBlockIndex=2048"));
    assert_eq!((beyond.status, indexes(&beyond.json())), (200, vec![]));
    assert_eq!(beyond.json()["ExpiryTime"].as_f64(), Some(bench.clock.now().0 as f64 / 1000.0), "now");
    let first = bench.get(&blocks(&id, "maxResults=100")).json();
    let token = first["NextToken"].as_str().unwrap();
    let next = bench.get(&blocks(&id, &format!("maxResults=100&startingBlockIndex=2047&pageToken={token}")));
    assert_eq!(indexes(&next.json())[0], 198);
}

#[test]
fn a_change_shows_the_token_of_each_side_that_has_the_block() {
    let bench = Bench::new();
    let root = bench.completed(None, [5]);
    let one = bench.completed(Some(&root), [1]);
    let two = bench.completed(Some(&root), [2, 5]);
    let page = bench.get(&changed(&one, &two, "maxResults=100")).json();
    let sides: Vec<_> = page["ChangedBlocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| {
            let has = |side: &str| block.get(side).is_some_and(Value::is_string);
            assert_eq!(block.as_object().unwrap().len(), 3, "an absent side is an explicit null");
            (block["BlockIndex"].as_u64().unwrap(), has("FirstBlockToken"), has("SecondBlockToken"))
        })
        .collect();
    assert_eq!(sides, [(1, true, false), (2, false, true), (5, true, true)]);
    // A token opens the snapshot it belongs to, and no other.
    let token = page["ChangedBlocks"][2]["FirstBlockToken"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/snapshots/{one}/blocks/5?blockToken={token}")).status, 200);
    let other = bench.get(&format!("/snapshots/{two}/blocks/5?blockToken={token}"));
    other.refused(400, "ValidationException", "INVALID_BLOCK_TOKEN");
}

#[test]
fn an_identical_rewrite_is_a_change_and_an_explicit_zero_block_is_listed() {
    let bench = Bench::new();
    let zero = Bytes::from(vec![0; 524_288]);
    let (first, second) = {
        let first = bench.started(None);
        bench.put(&first, 4, &zero);
        bench.complete(&first, 1, &[]);
        bench.advance(1);
        let second = bench.started(Some(&first));
        bench.put(&second, 4, &zero);
        bench.complete(&second, 1, &[]);
        bench.advance(1);
        (first, second)
    };
    assert_eq!(indexes(&bench.get(&blocks(&first, "")).json()), [4]);
    let page = bench.get(&changed(&first, &second, "")).json();
    assert_eq!(indexes(&page), [4]);
    let token = page["ChangedBlocks"][0]["SecondBlockToken"].as_str().unwrap();
    let block = bench.get(&format!("/snapshots/{second}/blocks/4?blockToken={token}"));
    assert_eq!(block.header("x-amz-checksum"), "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE=");
    assert_eq!(block.body, zero);
}

#[test]
fn deleting_a_parent_leaves_children_whole_and_comparable() {
    let bench = Bench::new();
    let root = bench.completed(None, [0, 1]);
    let one = bench.completed(Some(&root), [1]);
    let two = bench.completed(Some(&root), [7]);
    let token = bench.get(&blocks(&one, "")).json()["Blocks"][0]["BlockToken"].as_str().unwrap().to_owned();
    assert_eq!(bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={root}")).status, 200);
    assert_eq!(indexes(&bench.get(&blocks(&one, "")).json()), [0, 1]);
    assert_eq!(bench.get(&format!("/snapshots/{one}/blocks/0?blockToken={token}")).status, 200);
    assert_eq!(indexes(&bench.get(&changed(&one, &two, "")).json()), [1, 7]);
    bench.get(&blocks(&root, "")).refused(404, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND");
}
