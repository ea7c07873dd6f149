//! The account alone, over a shelf in memory.

use super::*;
use crate::shelf::conformance::grant;
use crate::shelf::memory::MemoryShelf;

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
