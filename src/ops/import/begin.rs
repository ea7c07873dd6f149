//! Before the first block: the volume's size, the price, what an earlier run left, and the pending snapshot.

use crate::block::{BlockSet, Digest, Geometry, GiB};
use crate::cost::Estimate;
use crate::device::Image;
use crate::fault::Kind;
use crate::fault::{Fault, Place};
use crate::ops::import::Options;
use crate::ops::preflight::{announce, is_billed, suspended};
use crate::ops::{Engine, Services, random};
use crate::pipeline::{Action, Ask, Basis, Checkpoint, Earlier, Slot, Tries, block_map};
use crate::snapshot::{NewSnapshot, SnapshotId};
use crate::source::BlockSource;
use std::collections::BTreeMap;

/// As asked, or the smallest that holds the image and the parent's volume.
pub(super) fn volume_size(
    options: &Options,
    image: &Image,
    parent: Option<&dyn BlockSource>,
) -> Result<GiB, Fault> {
    let refused = |what: String| Fault::new(Kind::Unsuitable, Place::File(options.image.clone()), what);
    let holding =
        GiB::holding(image.len()).map_err(|error| refused(format!("the image is too large: {error}")))?;
    let least = parent.map_or(holding, |parent| holding.max(parent.geometry().volume_size));
    match options.volume_size {
        Some(size) if size < least => Err(refused(format!("a volume of {size} does not hold it"))
            .hint(format!("give a volume size of at least {}", least.get()))),
        Some(size) => Ok(size),
        None => Ok(least),
    }
}

/// Says what it will cost, at most.
pub(super) async fn estimate(
    options: &Options,
    services: &Services,
    engine: &Engine,
    image: &Image,
    parent: Option<&dyn BlockSource>,
    geometry: Geometry,
) -> Result<(), Fault> {
    if !is_billed(services) {
        return Ok(());
    }
    let inherited = match parent {
        Some(parent) => block_map(engine, parent).await?.len(),
        None => 0,
    };
    let puts = if options.omit_zero_blocks {
        image.len().div_ceil(u64::from(geometry.block_size.bytes())).max(inherited)
    } else {
        u64::from(geometry.n_blocks())
    };
    let lists = 2 * inherited.div_ceil(Estimate::PAGE) + 2;
    let at = Place::File(options.image.clone());
    announce(services, engine, &at, &Estimate { lists, gets: inherited, puts })
}

/// What an earlier run of the same import left: blocks sent, blocks found the same as the parent's.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) sent: BlockSet,
    pub(super) same: BlockSet,
    /// Whether the service still has for certain what was sent.
    pub(super) is_kept: bool,
    /// Whether nothing proves that the image is unchanged since.
    pub(super) is_trusted: bool,
}

/// The tag that names the parent.
pub(super) const PARENT_TAG: &str = "icecore:parent";

/// Facts in the checkpoint: under which token the snapshot was started, and which it became.
const CLIENT_TOKEN: &str = "client_token";
const SNAPSHOT: &str = "snapshot";
/// During which run of this machine it began: a store of this machine may lose in a power cut what it was given and
/// did not complete. AWS does not.
const BOOT: &str = "boot";
/// What was sent in all. Written when nothing is left but to complete it: by then it may be completed already.
pub(super) const SENT: &str = "sent";

pub(super) fn checkpoint(
    options: &Options,
    services: &Services,
    engine: &Engine,
    image: &Image,
    stamp: &str,
) -> Result<(Checkpoint, Before), Fault> {
    let path =
        std::path::absolute(image.path()).map_err(|error| Fault::local(image.path(), "find", error))?;
    // Everything that makes it another snapshot; the path itself is in the checkpoint's name.
    let identity = format!(
        "import {stamp} to {} parent {:?} omit {} size {:?} encrypted {} {:?} tags {:?} {:?} timeout {:?}",
        services.label,
        options.parent,
        options.omit_zero_blocks,
        options.volume_size,
        options.encrypted,
        options.kms_key_id,
        options.tags,
        options.description,
        options.timeout_minutes,
    );
    let target = format!("{} {:?} {}", services.label, options.parent, path.display());
    let file = Checkpoint::path(&engine.settings.state_dir, "import", &target);
    let slot = Slot::take(&engine.machine().disk, &file)?;
    let basis = Basis { proof: image.proof(), is_trusted: engine.settings.trusts_resumed };
    match slot.earlier_upon(&identity, &basis)? {
        Earlier::Same(found) => {
            let is_trusted = found.is_trusted();
            // A device that may have changed is compared with the parent again, which costs no request to send.
            let is_seen = !(image.is_device() && is_trusted);
            let same = if is_seen { found.same.clone() } else { BlockSet::new() };
            let boot = engine.machine().disk.boot();
            let is_kept = is_billed(services) || boot.as_deref() == found.fact(BOOT);
            let sent = if is_kept { found.done.clone() } else { BlockSet::new() };
            let before = Before { sent, same, is_kept, is_trusted };
            return Ok((slot.resume(found)?, before));
        }
        earlier @ (Earlier::Other(_) | Earlier::Unproven(_)) => {
            let (what, facts) = match earlier {
                Earlier::Unproven(facts) => (
                    "nothing proves that the image is unchanged since an interrupted import (see --trust-resumed)",
                    facts,
                ),
                Earlier::Other(facts) => {
                    ("the image or the options have changed since an interrupted import", facts)
                }
                Earlier::None | Earlier::Same(_) => ("", BTreeMap::new()),
            };
            let left = facts.get(SNAPSHOT).map(|id| format!(" ({id} stays pending until it times out)"));
            let left = left.unwrap_or_default();
            engine.note(format!("{what}: starting anew{left}"));
        }
        Earlier::None => {}
    }
    let token = Digest::of(&random()?).to_string()[..32].to_owned();
    let mut facts = BTreeMap::from([(CLIENT_TOKEN.to_owned(), token)]);
    facts.extend(engine.machine().disk.boot().map(|boot| (BOOT.to_owned(), boot)));
    Ok((slot.begin(&identity, basis.among(facts))?, Before::default()))
}

/// The pending snapshot.
pub(super) struct Started {
    pub(super) id: SnapshotId,
    pub(super) checkpoint: Checkpoint,
    /// By this run: it may not be visible everywhere yet.
    pub(super) is_new: bool,
}

/// The snapshot to write to: the one the checkpoint names, else a new one. The client token is on disk before the
/// request goes out, so a start whose answer was lost is the same start when repeated.
pub(super) async fn started(
    options: &Options,
    services: &Services,
    engine: &Engine,
    geometry: Geometry,
    checkpoint: Checkpoint,
) -> Result<Started, Fault> {
    if let Some(id) = checkpoint.fact(SNAPSHOT).and_then(|id| id.parse().ok()) {
        engine.note(format!("going on with the interrupted import of {id}"));
        return Ok(Started { id, checkpoint, is_new: false });
    }
    let mut tags = options.tags.clone();
    if let Some(parent) = &options.parent {
        // AWS shows no parent; the tag does.
        tags.insert(PARENT_TAG.to_owned(), parent.to_string());
    }
    let new = NewSnapshot {
        volume_size: geometry.volume_size,
        parent: options.parent.clone(),
        description: options.description.clone(),
        tags,
        client_token: checkpoint.fact(CLIENT_TOKEN).map(str::to_owned),
        encrypted: options.encrypted.then_some(true),
        kms_key_id: options.kms_key_id.clone(),
        timeout_minutes: options.timeout_minutes,
    };
    let ask = Ask::new(Action::Control, Place::Service);
    let started = engine.ask(&mut Tries::none(), ask, || services.writer.start(&new)).await;
    match started {
        Ok(info) => {
            let checkpoint = checkpoint.set_fact(SNAPSHOT, info.id.as_str())?;
            Ok(Started { id: info.id, checkpoint, is_new: true })
        }
        // Nothing was started, for certain. After anything else the token is kept: the start may have happened.
        Err(fault) if is_final(fault.kind) => {
            checkpoint.remove()?;
            Err(fault)
        }
        Err(fault) => Err(suspended(fault)),
    }
}

/// Whether the service has said no, rather than nothing.
fn is_final(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Refused
            | Kind::NotFound
            | Kind::Denied
            | Kind::NoCredentials
            | Kind::ExpiredCredentials
            | Kind::Quota
    )
}
