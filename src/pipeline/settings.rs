//! How hard to work, as decided before the work begins.

use crate::aws::quota;
use crate::block::ByteSize;
use std::path::PathBuf;
use std::time::Duration;

/// Bounds of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Blocks in flight at once; `None` follows what brings blocks in fastest.
    pub concurrency: Option<usize>,
    /// Blocks read or written a second, all snapshots together; `None` starts open, and only throttles close it.
    pub blocks_per_second: Option<u32>,
    /// Blocks read or written a second for one snapshot.
    pub blocks_per_second_per_snapshot: Option<u32>,
    /// Pages listed a second.
    pub lists_per_second: Option<u32>,
    /// How long one request may take, body included.
    pub deadline: Duration,
    /// Bytes of blocks held at once, fetched and not yet delivered.
    pub memory: ByteSize,
    /// What is put up with before a run gives up.
    pub patience: Patience,
    /// How often what was written locally is made durable and recorded: as much work as a crash may cost.
    pub checkpoint_every: Duration,
    /// Where checkpoints are kept; made when needed.
    pub state_dir: PathBuf,
    /// Whether what is found there counts even where other users may write to it.
    pub trusts_state_dir: bool,
    /// Whether the work of an interrupted run counts without proof that what it read is unchanged since.
    pub trusts_resumed: bool,
}

/// How long trouble is put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Times that one request may fail.
    pub failures: u32,
    /// How long one request may be refused for being one too many.
    pub throttled: Duration,
    /// How long a new snapshot may stay invisible after its start or completion.
    pub invisible: Duration,
    /// How long a completed snapshot may take to become readable.
    pub unreadable: Duration,
    /// The longest first wait before another try; it doubles with each.
    pub first_backoff: Duration,
    /// The longest wait there is.
    pub longest_backoff: Duration,
}

impl Default for Patience {
    /// Ten failures span about a minute. EBS's own advice for a snapshot that is not visible yet is two minutes;
    /// completed ones were recorded live to become readable within 63 s, and half an hour leaves room for a bad
    /// day.
    fn default() -> Self {
        Self {
            failures: 10,
            throttled: Duration::from_secs(15 * 60),
            invisible: Duration::from_secs(120),
            unreadable: Duration::from_secs(30 * 60),
            first_backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(20),
        }
    }
}

impl Settings {
    /// No rate limit: for endpoints that are no AWS host.
    pub fn open(state_dir: PathBuf) -> Self {
        Self {
            concurrency: None,
            blocks_per_second: None,
            blocks_per_second_per_snapshot: None,
            lists_per_second: None,
            deadline: Duration::from_secs(60),
            // What 128 in flight may hold, half as many again waiting for the sink.
            memory: ByteSize::from_mib(96),
            patience: Patience::default(),
            checkpoint_every: Duration::from_secs(2),
            state_dir,
            trusts_state_dir: false,
            trusts_resumed: false,
        }
    }

    /// AWS's default quotas in this Region, less what is left to others: half of the account's, four fifths of a
    /// snapshot's.
    pub fn within_aws_quotas(state_dir: PathBuf, region: &str) -> Self {
        Self {
            blocks_per_second: Some(quota::blocks_per_second(region) / 2),
            blocks_per_second_per_snapshot: Some(quota::BLOCKS_PER_SECOND_PER_SNAPSHOT * 4 / 5),
            lists_per_second: Some(quota::LISTS_PER_SECOND / 2),
            ..Self::open(state_dir)
        }
    }
}
