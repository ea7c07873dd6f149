//! What AWS's text does not say, asked.

use crate::live::budget::Spends;
use crate::live::world::{World, raw};
use aws_sdk_ec2::types::{LockMode, ResourceType, SnapshotState};
use futures_util::future::{FutureExt, LocalBoxFuture, join_all};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// One question.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What is not known.
    pub(crate) asks: &'static str,
    pub(crate) spends: Spends,
    /// How long it has to wait.
    pub(crate) waits: Duration,
    /// Whether it reads a volume, for which it has to run on an instance.
    pub(crate) needs_host: bool,
    /// Given a snapshot of 1 GiB with blocks 0 to [`BLOCKS`].
    pub(crate) run: for<'a> fn(&'a World, &'a str) -> LocalBoxFuture<'a, ()>,
}

/// Blocks of the snapshot that most checks look at: more than the smallest page holds.
pub(crate) const BLOCKS: i32 = 120;

/// Making it.
pub(crate) const BASE: Spends =
    Spends { puts: BLOCKS as u64, gets: 0, lists: 200, snapshot_gib: 1, volume_gib: 0, key_requests: 0 };

const NOTHING: Spends =
    Spends { puts: 0, gets: 0, lists: 0, snapshot_gib: 0, volume_gib: 0, key_requests: 0 };
const MINUTE: Duration = Duration::from_secs(60);
const BURST: usize = 200;

pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "page",
        asks: "how many blocks a page of ListSnapshotBlocks has where MaxResults is left out",
        spends: Spends { lists: 1, ..NOTHING },
        waits: Duration::ZERO,
        needs_host: false,
        run: |world, base| page(world, base).boxed_local(),
    },
    Check {
        name: "growth",
        asks: "what ListChangedBlocks says of two snapshots between which the volume grew",
        spends: Spends { puts: 2, lists: 40, snapshot_gib: 2, ..NOTHING },
        waits: Duration::ZERO,
        needs_host: false,
        run: |world, base| growth(world, base).boxed_local(),
    },
    Check {
        name: "keys",
        asks: "whether ListChangedBlocks compares a snapshot with its copy under another key",
        spends: Spends { lists: 40, snapshot_gib: 1, key_requests: 1000, ..NOTHING },
        waits: Duration::ZERO,
        needs_host: false,
        run: |world, base| keys(world, base).boxed_local(),
    },
    Check {
        name: "lock",
        asks: "with which code DeleteSnapshot refuses a locked snapshot",
        spends: Spends { puts: 1, snapshot_gib: 1, ..NOTHING },
        waits: Duration::ZERO,
        needs_host: false,
        run: |world, _| lock(world).boxed_local(),
    },
    Check {
        name: "throttle",
        asks: "what a throttled request is answered with, and whether it says when to come back",
        spends: Spends { lists: BURST as u64, ..NOTHING },
        waits: Duration::ZERO,
        needs_host: false,
        run: |world, base| throttle(world, base).boxed_local(),
    },
    Check {
        name: "absent",
        asks: "what a volume restored encrypted holds where its snapshot has no block",
        spends: Spends { puts: 1, snapshot_gib: 1, volume_gib: 1, key_requests: 1000, ..NOTHING },
        waits: Duration::ZERO,
        needs_host: true,
        run: |world, _| absent(world).boxed_local(),
    },
    Check {
        name: "timeout",
        asks: "whether a pending snapshot's timeout begins anew with each block",
        spends: Spends { puts: 2, snapshot_gib: 1, ..NOTHING },
        waits: Duration::from_secs(40 * 60),
        needs_host: false,
        run: |world, _| timeout(world).boxed_local(),
    },
    Check {
        name: "page token",
        asks: "what a page token is answered with once it has expired",
        spends: Spends { lists: 2, ..NOTHING },
        waits: Duration::from_secs(65 * 60),
        needs_host: false,
        run: |world, base| page_token(world, base).boxed_local(),
    },
    Check {
        name: "block token",
        asks: "what a block token is answered with once it has expired",
        spends: Spends { gets: 2, lists: 1, ..NOTHING },
        waits: Duration::from_secs(9 * 24 * 60 * 60),
        needs_host: false,
        run: |world, base| block_token(world, base).boxed_local(),
    },
];

/// Not asked, and why.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("whether blocks are compressed where they are stored", "only the bill tells, a day later"),
    ("how long the first read of a block takes", "icecore warm measures it on every volume"),
    ("what provisioned initialization costs", "the bill tells"),
    ("prices of opt-in Regions", "AWS's price list tells"),
    (
        "whether a snapshot's quota or the account's is looked at first",
        "it takes more than 5,000 requests a second to exceed both",
    ),
    ("which links udev makes of a namespace", "ls -l /dev/disk/by-id tells, on the instance"),
    ("FIPS endpoints beyond those that are listed", "a name server tells"),
];

async fn page(world: &World, base: &str) {
    world.budget.list();
    let page = world.ebs.list_snapshot_blocks().snapshot_id(base).send().await.expect("ListSnapshotBlocks");
    let more = if page.next_token.is_some() { "and more to come" } else { "and no more" };
    world.say(format!("{} of {BLOCKS} blocks, {more}", page.blocks().len()));
}

async fn growth(world: &World, base: &str) {
    let grown = world.start(2, Some(base), false, 60).await;
    world.put(&grown, 0, 7).await;
    world.put(&grown, 3000, 7).await;
    world.complete(&grown, 2).await;
    for (first, second) in [(base, grown.as_str()), (&grown, base)] {
        let compared = changes(world, first, second).await;
        world.say(format!("from {first} to {second}: {compared}"));
    }
}

async fn keys(world: &World, base: &str) {
    let request = world.ec2.copy_snapshot().source_region(&world.region).source_snapshot_id(base);
    let request = request.encrypted(true).tag_specifications(world.tags(ResourceType::Snapshot));
    let copy = request.send().await.expect("CopySnapshot").snapshot_id.unwrap();
    world.completed(&copy).await;
    let told = world.describe(&copy).await;
    world.say(format!("the copy {copy} is encrypted with {}", told.kms_key_id.unwrap_or_default()));
    let lineage = told.data_encryption_key_id.map_or("no", |_| "a");
    world.say(format!("DescribeSnapshots shows {lineage} DataEncryptionKeyId"));
    let compared = changes(world, base, &copy).await;
    world.say(format!("from {base} to {copy}: {compared}"));
}

async fn lock(world: &World) {
    let id = world.start(1, None, false, 60).await;
    world.put(&id, 0, 1).await;
    world.complete(&id, 1).await;
    let request = world.ec2.lock_snapshot().snapshot_id(&id).lock_mode(LockMode::Governance).lock_duration(1);
    request.send().await.expect("LockSnapshot");
    match world.ec2.delete_snapshot().snapshot_id(&id).send().await {
        Ok(_) => world.say("it was deleted"),
        Err(error) => world.say(raw(&error)),
    }
    world.ec2.unlock_snapshot().snapshot_id(&id).send().await.expect("UnlockSnapshot");
}

async fn throttle(world: &World, base: &str) {
    let ask = || async {
        world.budget.list();
        let answer = world.ebs.list_snapshot_blocks().snapshot_id(base).max_results(100).send().await;
        answer.err().map(|error| raw(&error))
    };
    let answers = join_all((0..BURST).map(|_| ask())).await;
    let refused: Vec<_> = answers.into_iter().flatten().collect();
    let mut kinds = refused.clone();
    kinds.sort();
    kinds.dedup();
    world.say(format!("of {BURST} lists at once {} were refused", refused.len()));
    kinds.iter().take(3).for_each(|kind| world.say(kind));
}

async fn absent(world: &World) {
    let id = world.start(1, None, true, 60).await;
    world.put(&id, 0, 7).await;
    world.complete(&id, 1).await;
    let host = world.host.as_ref().expect("an instance");
    let (volume, device) = world.restored(&id, host).await;
    let device = std::fs::File::open(device).expect("the device");
    let mut block = vec![0; 524_288];
    for index in [0_u64, 1, 2047] {
        device.read_exact_at(&mut block, index * 524_288).expect("a block");
        let what = match block.iter().collect::<std::collections::BTreeSet<_>>().len() {
            1 => format!("full of {}", block[0]),
            2..=250 => "something".to_owned(),
            _ => "noise".to_owned(),
        };
        world.say(format!("block {index} of {volume}: {what}"));
    }
}

async fn timeout(world: &World) {
    let id = world.start(1, None, false, 10).await;
    let state = async || world.describe(&id).await.state.map_or_else(String::new, |state| state.to_string());
    world.put(&id, 0, 1).await;
    world.wait(8 * MINUTE).await;
    world.put(&id, 1, 1).await;
    world.wait(8 * MINUTE).await;
    world.say(format!("started with 10 minutes, written to after 0 and 8: {} after 16", state().await));
    let over = async || (world.describe(&id).await.state != Some(SnapshotState::Pending)).then_some(());
    let ((), seconds) = world.until("given up", over).await;
    let told = world.describe(&id).await.state_message.unwrap_or_default();
    world.say(format!("{} after 16 minutes and {seconds} seconds: {told}", state().await));
}

async fn page_token(world: &World, base: &str) {
    world.budget.list();
    let request = world.ebs.list_snapshot_blocks().snapshot_id(base).max_results(100);
    let token = request.send().await.expect("ListSnapshotBlocks").next_token.expect("a second page");
    world.hide(&token);
    world.wait(61 * MINUTE).await;
    world.budget.list();
    let request = world.ebs.list_snapshot_blocks().snapshot_id(base).max_results(100).next_token(&token);
    let answer = request.send().await;
    world.say(
        answer.map_or_else(|error| raw(&error), |_| "it still opens its page after 61 minutes".to_owned()),
    );
}

async fn block_token(world: &World, base: &str) {
    world.budget.list();
    let listed = world.ebs.list_snapshot_blocks().snapshot_id(base).send().await.expect("ListSnapshotBlocks");
    let token = listed.blocks()[0].block_token.clone().unwrap();
    world.hide(&token);
    let ask = async || {
        world.budget.get();
        let request = world.ebs.get_snapshot_block().snapshot_id(base).block_index(0).block_token(&token);
        request.send().await.map_or_else(|error| raw(&error), |_| "it opens its block".to_owned())
    };
    world.say(format!("at once: {}", ask().await));
    world.wait(9 * 24 * 60 * MINUTE).await;
    world.say(format!("after nine days: {}", ask().await));
}

/// All pages of ListChangedBlocks, in a line.
async fn changes(world: &World, first: &str, second: &str) -> String {
    // EC2 shows a snapshot as completed for up to a minute before it can be listed (recorded live).
    let ask = async |token: Option<String>| {
        let request = world.ebs.list_changed_blocks().first_snapshot_id(first).second_snapshot_id(second);
        let sent = request.set_next_token(token);
        let answer = async || {
            world.budget.list();
            match sent.clone().send().await {
                Err(error) if raw(&error).starts_with("404 ") => None,
                answer => Some(answer.map_err(|error| raw(&error))),
            }
        };
        world.until("ListChangedBlocks", answer).await.0
    };
    let (mut found, mut token, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let page = match ask(token).await {
            Ok(page) => page,
            Err(refused) => return refused,
        };
        sizes.extend(page.volume_size);
        for block in page.changed_blocks() {
            let (index, first, second) =
                (block.block_index.unwrap_or(-1), &block.first_block_token, &block.second_block_token);
            let sides = match (first, second) {
                (Some(_), Some(_)) => "both",
                (Some(_), None) => "first",
                (None, Some(_)) => "second",
                (None, None) => "neither",
            };
            found.push(format!("{index} ({sides})"));
        }
        token = page.next_token;
        if token.is_none() {
            sizes.dedup();
            return format!("VolumeSize {sizes:?}; changed {}", found.join(", "));
        }
    }
}
