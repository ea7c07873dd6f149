//! The account's Recycle Bin: what its rules keep of what is deleted, how that comes back, and when it is gone.
//!
//! A snapshot that lies in it stays on the shelf, and a volume keeps its device: only nobody sees them. What has left
//! is cleared away when something else changes; until then it is hidden all the same.

use crate::account::{Account, VolumeError};
use crate::estate::{BinKind, BinnedSnapshot, BinnedVolume, Volume, VolumeState, kept_for};
use crate::fault::{Fault, Kind};
use crate::shelf::{Holdings, Life, Shelved};
use crate::snapshot::{SnapshotId, Tags, UnixMillis, VolumeId};

const DAY: i64 = 24 * 60 * 60 * 1000;

impl Account {
    /// Deletes a snapshot: off the shelf and forgotten, or into the Recycle Bin where a rule of the Region keeps it.
    pub fn delete(&self, region: &str, id: &SnapshotId, now: UnixMillis) -> Result<(), Fault> {
        let writer = self.writer()?;
        let info = self.shelf().find(id)?.map(|shelved| shelved.info);
        let is_kept = self.edit::<_, Fault>(region, |holdings| {
            self.empty_bin(holdings, now)?;
            let Some(info) = info else { return Ok(false) };
            let days = self.kept_for(holdings, &BinKind::Snapshot, &info.tags);
            holdings.held.binned_snapshots.extend(days.map(|days| BinnedSnapshot {
                id: info.id,
                volume_id: info.volume_id,
                description: info.description,
                entered: Some(now),
                leaves: Some(after(now, days)),
            }));
            Ok(days.is_some())
        })?;
        if is_kept {
            return Ok(());
        }
        writer.delete(id)?;
        self.forget(id);
        self.edit(region, |holdings| {
            holdings.snapshots.remove(id);
            Ok(())
        })
    }

    /// Takes a snapshot out of the Recycle Bin; `None` where it does not lie there.
    pub fn restore(&self, region: &str, id: &SnapshotId, now: UnixMillis) -> Result<Option<Shelved>, Fault> {
        let was_there = self.edit::<_, Fault>(region, |holdings| {
            self.empty_bin(holdings, now)?;
            let bin = &mut holdings.held.binned_snapshots;
            let before = bin.len();
            bin.retain(|binned| binned.id != *id);
            Ok(bin.len() < before)
        })?;
        if was_there { self.find(region, id, now) } else { Ok(None) }
    }

    /// Takes a volume out of the Recycle Bin, attached nowhere.
    pub fn restore_volume(&self, region: &str, id: &VolumeId, now: UnixMillis) -> Result<(), VolumeError> {
        self.edit(region, |holdings| {
            self.empty_bin(holdings, now)?;
            let at = holdings.kept.iter().position(|volume| volume.id == *id);
            let volume = holdings.kept.swap_remove(at.ok_or(VolumeError::NoVolume)?);
            holdings.held.binned_volumes.retain(|binned| binned.id != *id);
            holdings.held.volumes.retain(|volume| volume.id != *id);
            holdings.held.volumes.push(volume);
            holdings.lives.insert(id.clone(), Life::default());
            Ok(())
        })
    }

    /// Puts a volume that is deleted into the Recycle Bin, where a rule keeps it.
    pub(super) fn keep(&self, holdings: &mut Holdings, volume: &Volume, now: UnixMillis) -> bool {
        let days = self.kept_for(holdings, &BinKind::Volume, &volume.tags);
        let Some(days) = days.filter(|_| volume.state == VolumeState::Available) else { return false };
        holdings.held.binned_volumes.push(BinnedVolume {
            id: volume.id.clone(),
            kind: volume.kind.clone(),
            size: volume.size,
            zone: volume.zone.clone(),
            snapshot: volume.snapshot.clone(),
            entered: Some(now),
            leaves: Some(after(now, days)),
        });
        holdings.kept.push(volume.clone());
        true
    }

    fn kept_for(&self, holdings: &Holdings, of: &BinKind, tags: &Tags) -> Option<u32> {
        let rules = [&self.settings().bin_rules, &holdings.held.bin_rules];
        rules.into_iter().filter_map(|rules| kept_for(rules, of, tags)).max()
    }

    /// Clears away what has left the Recycle Bin.
    pub(super) fn empty_bin(&self, holdings: &mut Holdings, now: UnixMillis) -> Result<(), Fault> {
        let has_left = |leaves: Option<UnixMillis>| leaves.is_some_and(|leaves| leaves <= now);
        let held = &mut holdings.held;
        for binned in held.binned_snapshots.extract_if(.., |binned| has_left(binned.leaves)) {
            match self.writer()?.delete(&binned.id) {
                // It was never on this shelf.
                Err(fault) if fault.kind != Kind::NotFound => return Err(fault),
                Err(_) | Ok(()) => {}
            }
            self.forget(&binned.id);
            holdings.snapshots.remove(&binned.id);
        }
        for binned in held.binned_volumes.extract_if(.., |binned| has_left(binned.leaves)) {
            holdings.kept.retain(|volume| volume.id != binned.id);
            self.vault()?.remove_device(&binned.id)?;
        }
        held.binned_images.retain(|binned| !has_left(binned.leaves));
        Ok(())
    }
}

fn after(now: UnixMillis, days: u32) -> UnixMillis {
    now.plus_millis(i64::from(days) * DAY)
}
