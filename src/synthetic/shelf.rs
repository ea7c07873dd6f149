//! Generations of synthetic volumes as snapshots to be served.

use crate::block::{BlockIndex, BlockSize, Digest};
use crate::fault::{Fault, Kind, Place};
use crate::shelf::{Content, Entry, Shelf, Shelved, Version};
use crate::snapshot::{
    Lineage, NewSnapshot, SnapshotId, SnapshotInfo, SnapshotState, StorageTier, Tags, UnixMillis,
};
use crate::synthetic::Recipe;

/// A read-only shelf: of each recipe the first so many generations, each upon the one before.
#[derive(Clone, Debug)]
pub struct SyntheticShelf {
    volumes: Vec<(Recipe, u32)>,
}

impl SyntheticShelf {
    /// Shows the first `generations` of each recipe.
    pub fn new(volumes: Vec<(Recipe, u32)>) -> Self {
        Self { volumes }
    }

    /// The id of a generation of the volume at this place in the list: both as 8 hexadecimal digits.
    pub fn id(volume: u32, generation: u32) -> SnapshotId {
        format!("snap-0{volume:08x}{generation:08x}")
            .parse()
            .unwrap_or_else(|_| unreachable!("hexadecimal digits"))
    }

    fn locate(&self, id: &SnapshotId) -> Option<(u32, Recipe, u32)> {
        let digits = id.as_str().strip_prefix("snap-0")?;
        let (volume, generation) = digits.split_at_checked(8)?;
        let (volume, generation) =
            (u32::from_str_radix(volume, 16).ok()?, u32::from_str_radix(generation, 16).ok()?);
        let (recipe, generations) = *self.volumes.get(usize::try_from(volume).ok()?)?;
        (generation < generations && Self::id(volume, generation) == *id)
            .then_some((volume, recipe, generation))
    }

    /// When a generation was started: a second after the one before it in the list.
    fn start_time(&self, volume: u32, generation: u32) -> UnixMillis {
        let before = (0..volume).zip(&self.volumes).map(|(_, (_, generations))| i64::from(*generations));
        UnixMillis(1_700_000_000_000).plus_millis((before.sum::<i64>() + i64::from(generation)) * 1000)
    }

    fn found(&self, id: &SnapshotId) -> Result<(u32, Recipe, u32), Fault> {
        self.locate(id).ok_or_else(|| {
            Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "there is no such snapshot")
        })
    }
}

/// How many blocks a generation has, where that is known without walking through it.
fn count(recipe: &Recipe, generation: u32) -> Option<u32> {
    let first = recipe.geometry().n_blocks().div_ceil(recipe.first.get());
    (generation == 0 || recipe.first.get() == 1).then_some(first)
}

fn shelved(volume: u32, recipe: &Recipe, generation: u32, start_time: UnixMillis) -> Shelved {
    let parent = generation.checked_sub(1).map(|before| SyntheticShelf::id(volume, before));
    let description = format!("generation {generation} of volume {volume}");
    let asked = NewSnapshot {
        volume_size: recipe.size,
        parent: parent.clone(),
        description: Some(description.clone()),
        tags: Tags::new(),
        client_token: None,
        encrypted: None,
        kms_key_id: None,
        timeout_minutes: None,
    };
    let info = SnapshotInfo {
        id: SyntheticShelf::id(volume, generation),
        volume_id: None,
        owner_id: "123456789012".into(),
        state: SnapshotState::Completed,
        state_message: None,
        start_time,
        volume_size: recipe.size,
        encrypted: false,
        kms_key_id: None,
        description,
        tags: Tags::new(),
        tier: StorageTier::Standard,
        full_size: count(recipe, generation).map(|blocks| BlockSize::EBS.of(u64::from(blocks))),
        parent,
        lineage: Some(Lineage::new(u64::from(volume) + 1)),
    };
    Shelved { info, asked }
}

impl Shelf for SyntheticShelf {
    /// Known to everyone: these volumes hold no secrets.
    fn secret(&self) -> [u8; 32] {
        *Digest::of(b"synthetic").as_bytes()
    }

    fn list(&self) -> Result<Vec<Shelved>, Fault> {
        let mut all = Vec::new();
        for (volume, (recipe, generations)) in (0..).zip(&self.volumes) {
            all.extend((0..*generations).map(|at| shelved(volume, recipe, at, self.start_time(volume, at))));
        }
        Ok(all)
    }

    fn find(&self, id: &SnapshotId) -> Result<Option<Shelved>, Fault> {
        let found = self.locate(id);
        Ok(found.map(|(volume, recipe, at)| shelved(volume, &recipe, at, self.start_time(volume, at))))
    }

    fn window(&self, id: &SnapshotId, from: BlockIndex, limit: usize) -> Result<Vec<Entry>, Fault> {
        let (volume, recipe, generation) = self.found(id)?;
        let version = |generation| Version(u64::from(volume) << 32 | u64::from(generation));
        let writes = recipe.blocks(generation, from).take(limit);
        Ok(writes.map(|write| Entry { index: write.index, version: version(write.generation) }).collect())
    }

    fn read(&self, id: &SnapshotId, index: BlockIndex) -> Result<Option<Content>, Fault> {
        let (_, recipe, generation) = self.found(id)?;
        if !recipe.geometry().contains(index) {
            return Ok(None);
        }
        let content = recipe.content(generation, index);
        Ok(content.map(|bytes| Content { digest: Digest::of(&bytes), bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::GiB;
    use std::num::NonZeroU32;

    fn shelf() -> SyntheticShelf {
        let every = |every| NonZeroU32::new(every).unwrap();
        let small = Recipe { seed: 1, size: GiB::try_from(1).unwrap(), first: every(100), edits: every(300) };
        let huge =
            Recipe { seed: 2, size: GiB::try_from(65_536).unwrap(), first: every(1), edits: every(1000) };
        SyntheticShelf::new(vec![(small, 3), (huge, 2)])
    }

    #[test]
    fn windows_of_any_size_show_the_same_blocks_and_each_is_readable() {
        let id = SyntheticShelf::id(0, 2);
        let whole = shelf().window(&id, BlockIndex::ZERO, usize::MAX).unwrap();
        assert!(whole.len() > 21 && whole.iter().any(|entry| entry.version == Version(2)));
        for limit in [1, 7] {
            let (mut found, mut from) = (Vec::new(), Some(BlockIndex::ZERO));
            while let Some(at) = from {
                let window = shelf().window(&id, at, limit).unwrap();
                from = window.last().and_then(|last| last.index.next());
                found.extend(window);
            }
            assert_eq!(found, whole);
        }
        for entry in &whole {
            let content = shelf().read(&id, entry.index).unwrap().expect("allocated");
            assert_eq!(content.digest, Digest::of(&content.bytes));
        }
        let absent =
            (0..2048).map(BlockIndex::new).filter(|index| whole.iter().all(|entry| entry.index != *index));
        assert!(absent.take(50).all(|index| shelf().read(&id, index).unwrap().is_none()));
    }

    #[test]
    fn generations_are_a_lineage_in_order_of_time() {
        let all = shelf().list().unwrap();
        assert_eq!(all.len(), 5);
        assert!(all.is_sorted_by(|a, b| a.info.start_time < b.info.start_time));
        for shelved in &all {
            assert_eq!(shelf().find(&shelved.info.id).unwrap().as_ref(), Some(shelved));
        }
        assert_eq!(all[1].info.parent.as_ref(), Some(&all[0].info.id));
        assert_eq!(all[0].info.lineage, all[2].info.lineage);
        assert_ne!(all[0].info.lineage, all[3].info.lineage);
    }

    #[test]
    fn a_full_volume_of_64_tib_has_every_block() {
        let id = SyntheticShelf::id(1, 1);
        let info = shelf().find(&id).unwrap().unwrap().info;
        assert_eq!(info.full_size, Some(info.volume_size.size()));
        let last = BlockIndex::new((1 << 27) - 1);
        assert_eq!(shelf().window(&id, last, 10).unwrap().len(), 1);
        assert!(shelf().read(&id, last).unwrap().is_some());
        assert!(shelf().read(&id, BlockIndex::new(1 << 27)).unwrap().is_none(), "beyond the volume");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for text in
            ["snap-0abc", "snap-00000000000000003", "snap-00000000200000000", "snap-000000000000000000"]
        {
            let id: SnapshotId = text.parse().unwrap();
            assert_eq!(shelf().find(&id).unwrap(), None);
            assert_eq!(shelf().window(&id, BlockIndex::ZERO, 1).unwrap_err().kind, Kind::NotFound);
            assert_eq!(shelf().read(&id, BlockIndex::ZERO).unwrap_err().kind, Kind::NotFound);
        }
    }
}
