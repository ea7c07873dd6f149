//! What is done for a request: one file per action, and the tables that lead to them.
//!
//! An action reads a [`Call`] and answers a [`Reply`] or a [`Refusal`]; what it needs to know is its arguments:
//! the world, and the time. A new action is a file here and a line in its table.

mod attach_volume;
mod complete_snapshot;
mod copy_snapshot;
mod create_launch_template;
mod create_launch_template_version;
mod create_tags;
mod create_volume;
mod delete_launch_template;
mod delete_snapshot;
mod delete_tags;
mod delete_volume;
mod describe_fast_snapshot_restores;
mod describe_images;
mod describe_instances;
mod describe_launch_template_versions;
mod describe_locked_snapshots;
mod describe_snapshot_attribute;
mod describe_snapshot_tier_status;
mod describe_snapshots;
mod describe_volume_status;
mod describe_volumes;
mod detach_volume;
mod disable_ebs_encryption_by_default;
mod enable_ebs_encryption_by_default;
mod get_caller_identity;
mod get_ebs_default_kms_key_id;
mod get_ebs_encryption_by_default;
mod get_snapshot_block;
mod list_changed_blocks;
mod list_images_in_recycle_bin;
mod list_snapshot_blocks;
mod list_snapshots_in_recycle_bin;
mod list_volumes_in_recycle_bin;
mod lock_snapshot;
mod modify_ebs_default_kms_key_id;
mod page;
mod put_snapshot_block;
mod reset_ebs_default_kms_key_id;
mod restore_snapshot_from_recycle_bin;
mod restore_volume_from_recycle_bin;
mod start_snapshot;
mod tags;
mod template;
mod unlock_snapshot;
mod volume;

use crate::account::Account;
use crate::endpoint::token::Seal;
use crate::endpoint::wire::{self, Call, Refusal, Reply};
use crate::estate::Held;
use crate::shelf::Shelved;
use crate::snapshot::{SnapshotId, SnapshotState, UnixMillis};
use http::{Method, StatusCode};
use std::time::Duration;

pub(super) use get_snapshot_block::reply as block_reply;

/// What actions act on.
#[derive(Debug)]
pub(super) struct World {
    pub(super) account: Account,
    pub(super) seal: Seal,
    /// How long a completed snapshot cannot be read yet, although EC2 shows it as completed.
    pub(super) ready_after: Duration,
    /// Snapshots that may be pending at once.
    pub(super) pending_limit: Option<usize>,
}

impl World {
    /// A snapshot whose blocks can be read: completed, seen to be, and for long enough. AWS answers 404 for all
    /// others.
    fn readable(&self, call: &Call, id: &SnapshotId, now: UnixMillis) -> Result<Option<Shelved>, Refusal> {
        let found = self.account.find(&call.region, id, now)?;
        let wait = i64::try_from(self.ready_after.as_millis()).unwrap_or(i64::MAX);
        let is_ready = self.account.completed_at(id).is_none_or(|ended| now >= ended.plus_millis(wait));
        Ok(found.filter(|shelved| is_ready && shelved.info.state == SnapshotState::Completed))
    }

    /// A snapshot, whatever its state, or EC2's word for its not being there.
    fn snapshot(&self, call: &Call, id: &SnapshotId, now: UnixMillis) -> Result<Shelved, Refusal> {
        let found = self.account.find(&call.region, id, now).map_err(|fault| wire::ec2::refusal(&fault))?;
        found.ok_or_else(|| wire::ec2::no_snapshot(id))
    }

    /// What the account holds beside its snapshots in the Region asked, as it is seen now.
    fn held(&self, call: &Call, now: UnixMillis) -> Result<Held, Refusal> {
        self.account.held(&call.region, now).map_err(|fault| wire::ec2::refusal(&fault))
    }
}

type Act = fn(&World, UnixMillis, &Call) -> Result<Reply, Refusal>;

/// An action, by the name AWS gives it.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) act: Act,
    /// Whether it changes anything in the account.
    changes: bool,
}

/// An operation of the EBS direct APIs: its method, the shape of its path, its action.
type Route = (Method, &'static str, Action);

const EBS: &[Route] = &[
    (Method::GET, "/snapshots/{}/blocks", action("ListSnapshotBlocks", list_snapshot_blocks::act)),
    (Method::GET, "/snapshots/{}/changedblocks", action("ListChangedBlocks", list_changed_blocks::act)),
    (Method::GET, "/snapshots/{}/blocks/{}", action("GetSnapshotBlock", get_snapshot_block::act)),
    (Method::PUT, "/snapshots/{}/blocks/{}", change("PutSnapshotBlock", put_snapshot_block::act)),
    (Method::POST, "/snapshots", change("StartSnapshot", start_snapshot::act)),
    (Method::POST, "/snapshots/completion/{}", change("CompleteSnapshot", complete_snapshot::act)),
];

/// Actions of EC2.
pub(super) const EC2: &[Action] = &[
    change("AttachVolume", attach_volume::act),
    change("CopySnapshot", copy_snapshot::act),
    change("CreateLaunchTemplate", create_launch_template::act),
    change("CreateLaunchTemplateVersion", create_launch_template_version::act),
    change("CreateTags", create_tags::act),
    change("CreateVolume", create_volume::act),
    change("DeleteLaunchTemplate", delete_launch_template::act),
    change("DeleteSnapshot", delete_snapshot::act),
    change("DeleteTags", delete_tags::act),
    change("DeleteVolume", delete_volume::act),
    action("DescribeFastSnapshotRestores", describe_fast_snapshot_restores::act),
    action("DescribeImages", describe_images::act),
    action("DescribeInstances", describe_instances::act),
    action("DescribeLaunchTemplateVersions", describe_launch_template_versions::act),
    action("DescribeLockedSnapshots", describe_locked_snapshots::act),
    action("DescribeSnapshotAttribute", describe_snapshot_attribute::act),
    action("DescribeSnapshotTierStatus", describe_snapshot_tier_status::act),
    action("DescribeSnapshots", describe_snapshots::act),
    action("DescribeVolumeStatus", describe_volume_status::act),
    action("DescribeVolumes", describe_volumes::act),
    change("DetachVolume", detach_volume::act),
    change("DisableEbsEncryptionByDefault", disable_ebs_encryption_by_default::act),
    change("EnableEbsEncryptionByDefault", enable_ebs_encryption_by_default::act),
    action("GetEbsDefaultKmsKeyId", get_ebs_default_kms_key_id::act),
    action("GetEbsEncryptionByDefault", get_ebs_encryption_by_default::act),
    action("ListImagesInRecycleBin", list_images_in_recycle_bin::act),
    action("ListSnapshotsInRecycleBin", list_snapshots_in_recycle_bin::act),
    action("ListVolumesInRecycleBin", list_volumes_in_recycle_bin::act),
    change("LockSnapshot", lock_snapshot::act),
    change("ModifyEbsDefaultKmsKeyId", modify_ebs_default_kms_key_id::act),
    change("ResetEbsDefaultKmsKeyId", reset_ebs_default_kms_key_id::act),
    change("RestoreSnapshotFromRecycleBin", restore_snapshot_from_recycle_bin::act),
    change("RestoreVolumeFromRecycleBin", restore_volume_from_recycle_bin::act),
    change("UnlockSnapshot", unlock_snapshot::act),
];

/// Actions of STS.
pub(super) const STS: &[Action] = &[action("GetCallerIdentity", get_caller_identity::act)];

/// An action that only looks.
const fn action(name: &'static str, act: Act) -> Action {
    Action { name, act, changes: false }
}

/// An action that changes something.
const fn change(name: &'static str, act: Act) -> Action {
    Action { name, act, changes: true }
}

fn all() -> impl Iterator<Item = &'static Action> {
    EBS.iter().map(|(.., action)| action).chain(EC2).chain(STS)
}

/// Every operation there is, by name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|action| action.name)
}

/// Whether an operation changes anything in the account.
pub(super) fn changes(operation: &str) -> bool {
    all().any(|action| action.name == operation && action.changes)
}

/// Whether an operation is one of the EBS direct APIs.
pub(super) fn is_ebs(operation: &str) -> bool {
    EBS.iter().any(|(.., action)| action.name == operation)
}

/// Finds an operation of EBS, and puts the variable parts of its path into the call.
pub(super) fn ebs(method: &Method, path: &str, mut call: Call) -> Result<(&'static Action, Call), Refusal> {
    let routes = EBS.iter().filter(|(allowed, ..)| allowed == method);
    let found = routes.filter_map(|(_, shape, action)| Some((action, wire::matched(shape, path)?))).next();
    let Some((action, variables)) = found else {
        let message = format!("There is no operation {method} {path}.");
        return Err(Refusal::common_with(StatusCode::NOT_FOUND, "UnknownOperationException", message));
    };
    call.path = variables;
    Ok((action, call))
}

/// Finds an action by the parameter that names it. `unknown` is what is said of a name that is not in the table,
/// with `{}` where the name goes.
pub(super) fn query(
    table: &'static [Action],
    call: Call,
    unknown: &str,
) -> Result<(&'static Action, Call), Refusal> {
    let Some(name) = call.query("Action") else {
        let message = "The request must contain the parameter Action";
        return Err(wire::ec2::bad("MissingAction", message));
    };
    match table.iter().find(|action| action.name == name) {
        Some(action) => Ok((action, call)),
        None => Err(wire::ec2::bad("InvalidAction", unknown.replace("{}", name))),
    }
}
