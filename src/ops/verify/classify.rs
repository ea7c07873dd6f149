//! What kind of wrong a wrong block is.

use crate::block::{BlockIndex, BlockSet, BlockSize, Digest};
use crate::device::FileSystem;
use crate::fault::Fault;
use crate::manifest::Manifest;
use crate::ops::verify::judge::Expected;
use crate::ops::verify::{Class, Mismatch, Mismatches};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is known besides them.
pub(super) struct Known<'a> {
    /// What blocks should hash to.
    pub(super) reference: &'a Expected,
    /// The blocks of which it tells.
    pub(super) expected: &'a BlockSet,
    pub(super) older: &'a [Arc<Manifest>],
    /// Whether a second reading found them wrong as well; a block that was not read again is not there.
    pub(super) again: &'a BTreeMap<BlockIndex, bool>,
    /// File systems on the target that were in use after the restore.
    pub(super) used: &'a [FileSystem],
}

/// Contents that are looked for at a time, in about 40 MiB. Every pass over the reference costs little beside having
/// read half a terabyte of blocks that are wrong and not zeros.
const STRAYS: usize = 7 << 17;

/// Where contents that were found in wrong places belong: the first block that should have them.
type Homes = HashMap<Digest, Option<BlockIndex>>;

/// Says of each of them what the others, older snapshots and file systems tell.
pub(super) fn classify(wrong: &mut Mismatches, known: &Known<'_>) -> Result<(), Fault> {
    in_passes(wrong, known, STRAYS)
}

fn in_passes(wrong: &mut Mismatches, known: &Known<'_>, strays: usize) -> Result<(), Fault> {
    let mut from = Some(BlockIndex::ZERO);
    while let Some(start) = from {
        let (homes, end) = homes(wrong, start, known, strays)?;
        let mut next = wrong.blocks().next_from(start);
        while let Some(index) = next.filter(|index| end.is_none_or(|end| *index < end)) {
            let found = judged(wrong.get(index)?, &homes, known)?;
            wrong.replace(found)?;
            next = index.next().and_then(|next| wrong.blocks().next_from(next));
        }
        from = end;
    }
    Ok(())
}

/// Homes for the blocks from the first on that are wrong, and the first of them that had no room.
fn homes(
    wrong: &Mismatches,
    start: BlockIndex,
    known: &Known<'_>,
    most: usize,
) -> Result<(Homes, Option<BlockIndex>), Fault> {
    // Room once for all: a map that grows is there twice.
    let room = usize::try_from(wrong.len()).unwrap_or(most).min(most);
    let (mut homes, mut end) = (Homes::with_capacity(room), None);
    let mut next = wrong.blocks().next_from(start);
    while let Some(index) = next {
        if homes.len() == most {
            end = Some(index);
            break;
        }
        if let Some(actual) = wrong.get(index)?.actual.filter(|actual| *actual != Digest::ZERO_BLOCK) {
            homes.insert(actual, None);
        }
        next = index.next().and_then(|next| wrong.blocks().next_from(next));
    }
    if homes.is_empty() {
        return Ok((homes, end));
    }
    for index in known.expected.iter() {
        if let Some(digest) = known.reference.of(index)?.flatten()
            && let Some(home) = homes.get_mut(&digest)
        {
            home.get_or_insert(index);
        }
    }
    Ok((homes, end))
}

fn judged(found: Mismatch, homes: &Homes, known: &Known<'_>) -> Result<Mismatch, Fault> {
    let class = class(&found, homes, known)?;
    let is_persistent = known.again.get(&found.index).copied();
    let len = u64::from(BlockSize::EBS.bytes());
    let start = found.index.byte_offset(BlockSize::EBS);
    let is_in_use = known.used.iter().any(|fs| fs.holds(start, len));
    // What is not there at all, or reads differently each time, no mount explains.
    let can_be = !matches!(class, Class::Missing | Class::Transport) && is_persistent != Some(false);
    Ok(Mismatch { class, is_persistent, is_explained: is_in_use && can_be, ..found })
}

fn class(found: &Mismatch, homes: &Homes, known: &Known<'_>) -> Result<Class, Fault> {
    let (Class::Content | Class::Unexpected, Some(actual)) = (&found.class, found.actual) else {
        return Ok(found.class.clone());
    };
    for manifest in known.older {
        if manifest.digest(found.index)? == Some(actual) {
            return Ok(Class::Stale);
        }
    }
    Ok(match homes.get(&actual) {
        Some(Some(home)) if *home != found.index => Class::Misdirected(*home),
        _ => found.class.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Geometry, GiB};
    use crate::disk::Machine;
    use crate::manifest::Draft;

    /// A volume in which every block has the bytes of the block behind it, the last one nobody's, and some zeros.
    #[test]
    fn contents_out_of_place_are_found_in_however_many_passes_they_are_looked_for() {
        const N: u32 = 40;
        let dir = tempfile::tempdir().unwrap();
        let disk = Machine::real(dir.path().to_owned()).disk;
        let geometry = Geometry::ebs(GiB::try_from(1).unwrap());
        let draft = Arc::new(Draft::open(&disk, &dir.path().join("draft"), geometry, 0).unwrap());
        let digest = |index: u32| Digest::of(&index.to_le_bytes());
        let all: BlockSet = (0..N).map(BlockIndex::new).collect();
        all.iter().for_each(|index| draft.put(index, &digest(index.get())).unwrap());
        let reference = Expected::Drafted(draft, all.clone());
        let known = Known {
            reference: &reference,
            expected: &all,
            older: &[],
            again: &BTreeMap::from([(BlockIndex::new(3), false)]),
            used: &[],
        };
        let found = |index: u32| Mismatch {
            index: BlockIndex::new(index),
            expected: Some(digest(index)),
            actual: Some(if index % 7 == 6 { Digest::ZERO_BLOCK } else { digest(index + 1) }),
            class: if index % 7 == 6 { Class::Zeros } else { Class::Content },
            is_persistent: None,
            is_explained: false,
        };
        for strays in [1, 2, 7, 33, 34, 35, STRAYS] {
            let mut wrong: Mismatches = (0..N).map(found).collect();
            in_passes(&mut wrong, &known, strays).unwrap();
            for (index, classed) in (0..N).zip(wrong.iter()) {
                let class = match index {
                    39 => Class::Content,
                    index if index % 7 == 6 => Class::Zeros,
                    index => Class::Misdirected(BlockIndex::new(index + 1)),
                };
                let is_persistent = (index == 3).then_some(false);
                assert_eq!(classed.unwrap(), Mismatch { class, is_persistent, ..found(index) }, "{strays}");
            }
        }
    }
}
