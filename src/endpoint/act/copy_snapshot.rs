//! EC2 CopySnapshot: a copy, in the Region that is asked, of a snapshot of this Region or another.

use crate::account::NewCopy;
use crate::endpoint::act::World;
use crate::endpoint::wire::ec2::{bad, dry_run, new_tags, refusal, reply, required, says_yes, snapshot_id};
use crate::endpoint::wire::{Call, Refusal, Reply};
use crate::snapshot::UnixMillis;

pub(super) fn act(world: &World, now: UnixMillis, call: &Call) -> Result<Reply, Refusal> {
    let key = call.query("KmsKeyId").map(str::to_owned);
    let encrypted = says_yes(call, "Encrypted");
    if key.is_some() && !encrypted {
        let message = "The parameter KmsKeyId requires the parameter Encrypted to be set";
        return Err(bad("InvalidParameterCombination", message));
    }
    if let Some(text) = call.query("CompletionDurationMinutes") {
        let minutes: Option<u32> = text.parse().ok();
        if !minutes.is_some_and(|minutes| (15..=2880).contains(&minutes) && minutes % 15 == 0) {
            let message = format!("Value ({text}) for parameter CompletionDurationMinutes is invalid");
            return Err(bad("InvalidParameterValue", message));
        }
    }
    let new = NewCopy {
        from: required(call, "SourceRegion")?.to_owned(),
        source: snapshot_id(required(call, "SourceSnapshotId")?)?,
        description: call.query("Description").map(str::to_owned),
        encrypted,
        key,
        tags: new_tags(call, "snapshot")?,
    };
    dry_run(call)?;
    let copy = world.account.copy(&call.region, &new, now).map_err(|fault| refusal(&fault))?;
    Ok(reply(call, "CopySnapshot", |xml| {
        xml.text("snapshotId", copy.as_str());
        xml.tags(&new.tags);
    }))
}
