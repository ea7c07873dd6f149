//! The account alone, over a shelf in memory.

use super::*;
use crate::block::GiB;
use crate::estate::{NewVolume, VolumeKind};
use crate::shelf::conformance::grant;
use crate::shelf::memory::MemoryShelf;
use crate::snapshot::Tags;

const HERE: &str = "us-east-1";
const NOW: UnixMillis = UnixMillis(1_790_068_104_246);

fn account() -> Account {
    Account::new(Settings::default(), Shelves::writable(Arc::new(MemoryShelf::new())), NOW)
}

fn start(account: &Account, token: Option<&str>) -> SnapshotId {
    let made = account.start_once::<Fault>(HERE, token, |writer| writer.start(&grant(None)));
    made.unwrap().info.id
}

fn state(account: &Account, id: &SnapshotId, now: UnixMillis) -> SnapshotState {
    account.find(HERE, id, now).unwrap().unwrap().info.state
}

#[test]
fn of_two_completes_the_first_counts() {
    let account = account();
    let id = start(&account, None);
    for blocks in [0, 7] {
        account.complete(&id, &Claimed { blocks, checksum: None }, NOW).unwrap();
    }
    let later = NOW.plus_millis(100);
    assert_eq!(state(&account, &id, NOW), SnapshotState::Pending);
    assert_eq!(state(&account, &id, later), SnapshotState::Completed);
    assert_eq!(
        account.list(HERE, NOW).unwrap()[0].info.full_size,
        None,
        "a list sees what a look at one sees"
    );
    assert_eq!(account.completed_at(&id), Some(NOW.plus_millis(50)));
}

#[test]
fn a_token_starts_anew_once_its_snapshot_is_deleted() {
    let account = account();
    let first = start(&account, Some("token-1"));
    assert_eq!(start(&account, Some("token-1")), first);
    account.delete(HERE, &first, NOW).unwrap();
    assert_ne!(start(&account, Some("token-1")), first);
}

#[test]
fn tokens_of_an_earlier_process_are_known() {
    let shelf = Arc::new(MemoryShelf::new());
    let made = shelf.start(&grant(None)).unwrap();
    let account = Account::new(Settings::default(), Shelves::writable(shelf), NOW);
    assert_eq!(start(&account, made.asked.client_token.as_deref()), made.info.id);
}

#[test]
fn a_completed_snapshot_never_times_out() {
    let account = account();
    let id = start(&account, None);
    account.complete(&id, &Claimed { blocks: 0, checksum: None }, NOW).unwrap();
    assert_eq!(state(&account, &id, NOW.plus_millis(1 << 40)), SnapshotState::Completed);
}

/// Requests that wait for each other do not come to their turn in the order of their clocks.
#[test]
fn a_volume_made_while_another_request_waited_is_not_taken_for_gone() {
    let account = account();
    let make = |token: &str, now: i64| {
        let asked = NewVolume {
            snapshot: None,
            zone: "us-east-1a".into(),
            kind: VolumeKind::Gp3,
            size: Some(GiB::try_from(1).unwrap()),
            iops: None,
            throughput: None,
            initialization_rate: None,
            encrypted: None,
            kms_key_id: None,
            client_token: token.into(),
            tags: Tags::new(),
        };
        account.create_volume("us-east-1", &asked, None, UnixMillis(now)).ok().unwrap().id
    };
    let (first, second) = (make("a", 1_000_002), make("b", 1_000_001));
    let held = account.held("us-east-1", UnixMillis(1_001_000)).unwrap();
    let ids: Vec<_> = held.volumes.into_iter().map(|volume| volume.id).collect();
    assert_eq!(ids, [first, second]);
}
