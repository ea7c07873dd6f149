//! What icecore does, one file per operation: options in, report out.
//!
//! An operation takes [`Services`] (what is asked), an [`Engine`] (how it is asked) and its own options; it
//! prints nothing and reads no environment. A report is a plain value; findings are part of it, a
//! [`crate::fault::Fault`] is what kept it from being made.

pub mod blocks;
pub mod demo;
pub mod diff;
pub mod export;
pub mod import;
pub mod list;
pub mod show;
pub mod store_check;

mod preflight;

pub use crate::pipeline::Engine;

use crate::control::Snapshots;
use crate::cost::Usd;
use crate::source::{BlockService, SnapshotWriter};
use std::sync::Arc;

/// The account that an operation works on.
#[derive(Clone, Debug)]
pub struct Services {
    /// Names the account in checkpoints: `local:/var/lib/ice`, `us-east-1`, `http://127.0.0.1:4599`. The same
    /// place has the same label in the next run.
    pub label: String,
    /// Reads blocks.
    pub blocks: Arc<dyn BlockService>,
    /// Writes snapshots.
    pub writer: Arc<dyn SnapshotWriter>,
    /// The control plane; `None` when built without the feature `ec2`.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// Most that the requests of this run may cost; `None` where requests are free: no AWS host is asked.
    pub max_usd: Option<Usd>,
}
