//! Snapshots: their names, their facts, and the tokens that open their blocks.
//!
//! What AWS calls a snapshot, in values that are valid by construction. No I/O, no async.

mod arn;
mod facts;
mod id;
mod lineage;
mod token;

pub use arn::Arn;
pub use facts::{NewSnapshot, SnapshotInfo, SnapshotState, StorageTier, Tag, Tags, UnixMillis, Written};
pub use id::{IdError, ImageId, InstanceId, SnapshotId, TemplateId, VolumeId};
pub use lineage::Lineage;
pub use token::{BlockToken, PageToken};
