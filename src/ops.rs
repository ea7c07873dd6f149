//! What icecore does, one file per operation: options in, report out.
//!
//! An operation takes [`Services`] (what is asked), an [`Engine`] (how it is asked) and its own options; it
//! prints nothing and reads no environment. A report is a plain value; findings are part of it, a
//! [`Fault`] is what kept it from being made.

pub mod blocks;
pub mod cost;
pub mod diff;
pub mod export;
pub mod import;
pub mod ledger;
pub mod list;
pub mod manifest;
pub mod show;
pub mod state;
pub mod store_check;
pub mod verify;
pub mod warm;

mod preflight;
mod progress;
mod scan;
pub mod subprocess;

pub use crate::pipeline::Engine;

use crate::aws::{Identity, Session};
use crate::control::{Holds, Images, Instances, Snapshots, Tagging, Volumes};
use crate::cost::Usd;
use crate::ebs::Ebs;
use crate::fault::Fault;
use crate::source::{BlockService, SnapshotWriter};
use std::sync::Arc;

/// The account that an operation works on.
#[derive(Clone, Debug)]
pub struct Services {
    /// Names the account in checkpoints: `local:/var/lib/ice`, `us-east-1`, `http://127.0.0.1:4599`. The same
    /// place has the same label in the next run.
    pub label: String,
    /// Names the snapshots themselves: what is kept of them is found again however they are reached.
    pub identity: Identity,
    /// Reads blocks.
    pub blocks: Arc<dyn BlockService>,
    /// Writes snapshots.
    pub writer: Arc<dyn SnapshotWriter>,
    /// The control plane of snapshots; `None` when built without the feature `ec2`.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// The control plane of what is beside them; `None` likewise.
    pub control: Option<Control>,
    /// Most that the requests of this run may cost; `None` where requests are free: no AWS host is asked.
    pub max_usd: Option<Usd>,
}

/// What is asked of an account beside its snapshots, in small parts: an operation takes those it uses.
#[derive(Clone, Debug)]
pub struct Control {
    /// Images.
    pub images: Arc<dyn Images>,
    /// Instances.
    pub instances: Arc<dyn Instances>,
    /// Volumes.
    pub volumes: Arc<dyn Volumes>,
    /// Locks, fast restores, shares, tiers, the Recycle Bin.
    pub holds: Arc<dyn Holds>,
    /// Tags on anything.
    pub tagging: Arc<dyn Tagging>,
}

impl Control {
    /// All of them by one.
    pub fn of<T: Images + Instances + Volumes + Holds + Tagging + 'static>(account: Arc<T>) -> Self {
        Self {
            images: account.clone(),
            instances: account.clone(),
            volumes: account.clone(),
            holds: account.clone(),
            tagging: account,
        }
    }
}

impl Services {
    /// An account reached through AWS's own clients. Requests are paid for where it is AWS that is asked.
    pub fn reached(session: &Session, label: String, max_usd: Usd) -> Self {
        let ebs = Arc::new(Ebs::new(session));
        let max_usd = session.is_aws().then_some(max_usd);
        let (snapshots, control) = control(session);
        let identity = session.identity().clone();
        Self { label, identity, blocks: ebs.clone(), writer: ebs, snapshots, control, max_usd }
    }
}

#[cfg(feature = "ec2")]
fn control(session: &Session) -> (Option<Arc<dyn Snapshots>>, Option<Control>) {
    let ec2 = Arc::new(crate::ec2::Ec2::new(session));
    (Some(ec2.clone()), Some(Control::of(ec2)))
}

#[cfg(not(feature = "ec2"))]
fn control(_: &Session) -> (Option<Arc<dyn Snapshots>>, Option<Control>) {
    (None, None)
}

/// A seed for what is drawn at random, below 2^53: programs that read JSON's numbers as floating point hand it back as it
/// was.
pub(crate) fn seed() -> Result<u64, Fault> {
    let seed = random()?.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    Ok(seed >> 11)
}

/// Bytes that nobody can foresee: names of runs, seeds, client tokens.
pub(crate) fn random() -> Result<[u8; 32], Fault> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::local("/dev/urandom", "read", std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_survive_floating_point() {
        let seeds: std::collections::BTreeSet<_> = (0..100).map(|_| seed().unwrap()).collect();
        assert_eq!(seeds.len(), 100);
        assert!(seeds.iter().all(|seed| *seed < 1 << 53), "{seeds:?}");
    }
}
