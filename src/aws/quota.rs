//! What AWS lets an account ask of the EBS direct APIs, as long as nobody has had it raised.
//!
//! EBS user guide, "Quotas for Amazon EBS" (ebs-resource-quotas), as read in November 2026. Five Regions have more
//! than the rest; one that is not listed is taken for one of the rest, so that what is new is asked gently.

/// Regions with 5,000 blocks a second.
const LARGE: [&str; 5] = ["us-east-1", "us-east-2", "us-west-2", "ap-southeast-1", "eu-west-1"];

/// GetSnapshotBlock requests a second, and as many PutSnapshotBlock requests, for the account in this Region.
pub fn blocks_per_second(region: &str) -> u32 {
    if LARGE.contains(&region) { 5_000 } else { 1_000 }
}

/// The same for one snapshot, in every Region.
pub const BLOCKS_PER_SECOND_PER_SNAPSHOT: u32 = 1_000;

/// ListSnapshotBlocks requests a second, and as many ListChangedBlocks requests, for the account in any Region.
pub const LISTS_PER_SECOND: u32 = 50;
