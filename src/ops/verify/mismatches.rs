//! The blocks that are wrong, however many they are.
//!
//! The first few are held in memory. Of a volume that is wholly wrong the rest would fill it: they are kept in a file
//! that has no name and goes with its last user, each at its index times [`RECORD`] bytes, so that they come in any
//! order and are read ascending. Which blocks they are is a set, 16 MiB at most.
//!
//! ```text
//! byte  0      class: 0 transport, 1 content, 2 misdirected, 3 stale, 4 zeros, 5 missing, 6 unexpected
//! byte  1      bit 0: a digest is expected; bit 1: there is one; bit 2: it was read again; bit 3: and wrong again;
//!              bit 4: explained
//! bytes 4-7    the block that a misdirected one's bytes belong to, little-endian
//! bytes 8-39   the digest expected, bytes 40-71 that found; zeros where there is none
//! ```

use crate::block::{BlockIndex, BlockSet, Digest};
use crate::disk::{Access, Disk, Handle, Machine, Opening, unique};
use crate::fault::Fault;
use crate::ops::verify::{Class, Mismatch};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Held in memory, less than 1 MiB: a job has a report for each of a thousand volumes.
const FEW: usize = 4096;
/// Bytes of one in the file.
const RECORD: usize = 8 + 2 * Digest::LEN;

/// Every block that is wrong, once each, ascending.
#[derive(Clone, Debug, Default)]
pub struct Mismatches {
    blocks: BlockSet,
    n_unexplained: u64,
    few: BTreeMap<BlockIndex, Mismatch>,
    rest: Rest,
}

/// Where those are that are too many for memory.
#[derive(Clone, Debug, Default)]
enum Rest {
    /// In memory all the same: whoever made them had them there.
    #[default]
    Nowhere,
    /// In a file, once there is need of it.
    Wanted(Arc<dyn Disk>, PathBuf),
    /// In this file, which was at this path.
    Kept(Arc<dyn Handle>, PathBuf),
}

impl Mismatches {
    /// None yet. What memory should not hold goes to a file in this machine's directory for state.
    pub(super) fn on(machine: &Machine) -> Self {
        let path = machine.state_dir.join(format!("wrong.{}", unique()));
        Self { rest: Rest::Wanted(machine.disk.clone(), path), ..Self::default() }
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.blocks.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Which blocks.
    pub fn blocks(&self) -> &BlockSet {
        &self.blocks
    }

    /// Whether a mount explains every one.
    pub fn are_explained(&self) -> bool {
        self.n_unexplained == 0
    }

    /// Each of them, ascending; those that are in a file are read as they are asked for.
    ///
    /// # Errors
    /// `Local` for one that cannot be read.
    pub fn iter(&self) -> impl Iterator<Item = Result<Mismatch, Fault>> {
        self.blocks.iter().map(|index| self.get(index))
    }

    /// One more; of a block that is known to be wrong the first word stands.
    pub(super) fn add(&mut self, mismatch: Mismatch) -> Result<(), Fault> {
        if self.blocks.contains(mismatch.index) {
            return Ok(());
        }
        self.put(&mismatch)?;
        self.n_unexplained += u64::from(!mismatch.is_explained);
        self.blocks.insert(mismatch.index);
        Ok(())
    }

    /// More is known of one of them.
    pub(super) fn replace(&mut self, known: Mismatch) -> Result<(), Fault> {
        let before = self.get(known.index)?;
        if before != known {
            self.put(&known)?;
            self.n_unexplained += u64::from(!known.is_explained);
            self.n_unexplained -= u64::from(!before.is_explained);
        }
        Ok(())
    }

    /// One of them.
    pub(super) fn get(&self, index: BlockIndex) -> Result<Mismatch, Fault> {
        let Rest::Kept(file, path) = &self.rest else { return Ok(self.few[&index].clone()) };
        if let Some(found) = self.few.get(&index) {
            return Ok(found.clone());
        }
        let mut record = [0; RECORD];
        file.read_at(&mut record, place(index))
            .map_err(|error| Fault::local(path, "read what was found wrong", error))?;
        Ok(decoded(index, &record))
    }

    fn put(&mut self, mismatch: &Mismatch) -> Result<(), Fault> {
        let is_few = self.few.len() < FEW && !self.blocks.contains(mismatch.index);
        if is_few || self.few.contains_key(&mismatch.index) || matches!(self.rest, Rest::Nowhere) {
            self.few.insert(mismatch.index, mismatch.clone());
            return Ok(());
        }
        if let Rest::Wanted(disk, path) = &self.rest {
            let file = nameless(&**disk, path)
                .map_err(|error| Fault::local(path, "make a file for what is wrong", error))?;
            self.rest = Rest::Kept(file.into(), path.clone());
        }
        let Rest::Kept(file, path) = &self.rest else { unreachable!("there is a file by now") };
        file.write_at(&encoded(mismatch), place(mismatch.index))
            .map_err(|error| Fault::local(path, "keep what was found wrong", error))
    }
}

impl FromIterator<Mismatch> for Mismatches {
    /// In memory, however many they are; of a block that is named twice the last word stands.
    fn from_iter<I: IntoIterator<Item = Mismatch>>(mismatches: I) -> Self {
        let few: BTreeMap<_, _> = mismatches.into_iter().map(|one| (one.index, one)).collect();
        let n_unexplained = few.values().filter(|one| !one.is_explained).count() as u64;
        Self { blocks: few.keys().copied().collect(), n_unexplained, few, rest: Rest::Nowhere }
    }
}

/// A file that nobody else can open, and that is gone when it is closed, even by a kill.
fn nameless(disk: &dyn Disk, path: &std::path::Path) -> io::Result<Box<dyn Handle>> {
    disk.make_dirs(crate::disk::directory(path), Access::Owner)?;
    let file = disk.open(path, Opening::New(Access::Owner))?;
    disk.remove(path)?;
    Ok(file)
}

fn place(index: BlockIndex) -> u64 {
    u64::from(index.get()) * RECORD as u64
}

fn encoded(mismatch: &Mismatch) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[0] = match mismatch.class {
        Class::Transport => 0,
        Class::Content => 1,
        Class::Misdirected(home) => {
            record[4..8].copy_from_slice(&home.get().to_le_bytes());
            2
        }
        Class::Stale => 3,
        Class::Zeros => 4,
        Class::Missing => 5,
        Class::Unexpected => 6,
    };
    let facts = [
        mismatch.expected.is_some(),
        mismatch.actual.is_some(),
        mismatch.is_persistent.is_some(),
        mismatch.is_persistent == Some(true),
        mismatch.is_explained,
    ];
    record[1] = facts.iter().rev().fold(0, |bits, fact| bits << 1 | u8::from(*fact));
    for (digest, at) in [(mismatch.expected, 8), (mismatch.actual, 8 + Digest::LEN)] {
        if let Some(digest) = digest {
            record[at..at + Digest::LEN].copy_from_slice(digest.as_bytes());
        }
    }
    record
}

fn decoded(index: BlockIndex, record: &[u8; RECORD]) -> Mismatch {
    let is = |bit: u8| record[1] >> bit & 1 == 1;
    let digest = |at: usize| {
        let mut digest = [0; Digest::LEN];
        digest.copy_from_slice(&record[at..at + Digest::LEN]);
        Digest::from_bytes(digest)
    };
    let home = u32::from_le_bytes([record[4], record[5], record[6], record[7]]);
    Mismatch {
        index,
        expected: is(0).then(|| digest(8)),
        actual: is(1).then(|| digest(8 + Digest::LEN)),
        class: match record[0] {
            0 => Class::Transport,
            1 => Class::Content,
            2 => Class::Misdirected(BlockIndex::new(home)),
            3 => Class::Stale,
            4 => Class::Zeros,
            5 => Class::Missing,
            _ => Class::Unexpected,
        },
        is_persistent: is(2).then(|| is(3)),
        is_explained: is(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 7] = [
        Class::Transport,
        Class::Content,
        Class::Misdirected(BlockIndex::new(0x0102_0304)),
        Class::Stale,
        Class::Zeros,
        Class::Missing,
        Class::Unexpected,
    ];

    /// One that differs from its neighbours in everything.
    fn one(index: u32) -> Mismatch {
        let digest = |half: u8| Digest::of(&[&index.to_le_bytes()[..], &[half]].concat());
        Mismatch {
            index: BlockIndex::new(index),
            expected: (index.is_multiple_of(2)).then(|| digest(0)),
            actual: (index.is_multiple_of(3)).then(|| digest(1)),
            class: CLASSES[index as usize % CLASSES.len()].clone(),
            is_persistent: [None, Some(false), Some(true)][index as usize % 3],
            is_explained: index.is_multiple_of(5),
        }
    }

    #[test]
    fn memory_holds_a_few_and_all_are_there_once_ascending() {
        let dir = tempfile::tempdir().unwrap();
        let mut found = Mismatches::on(&Machine::real(dir.path().join("state")));
        let n = 3 * u32::try_from(FEW).unwrap();
        // 7 and n have no common factor: every index once, in no order; and then some of them again.
        for index in (0..n).map(|at| at * 7 % n).chain(0..n / 2) {
            found.add(one(index)).unwrap();
        }
        assert_eq!((found.len(), found.few.len()), (u64::from(n), FEW));
        assert!(found.iter().map(Result::unwrap).eq((0..n).map(one)));
        assert_eq!(dir.path().join("state").read_dir().unwrap().count(), 0, "the file has no name");
        assert!(!found.are_explained());
        for index in 0..n {
            found.replace(Mismatch { is_explained: true, class: Class::Stale, ..one(index) }).unwrap();
        }
        assert!(found.are_explained() && found.few.len() == FEW);
        assert!(found.iter().all(|one| one.unwrap().class == Class::Stale));
    }

    #[test]
    fn what_cannot_be_kept_is_a_fault_and_not_forgotten_silently() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("file/state");
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let machine = Machine::real(state.clone());
        let mut found = Mismatches::on(&machine);
        let few = u32::try_from(FEW).unwrap();
        (0..few).for_each(|index| found.add(one(index)).unwrap());
        assert!(found.add(one(few)).unwrap_err().to_string().contains(state.to_str().unwrap()));
        assert_eq!(found.len(), u64::from(few), "what was found before is");
        assert!(found.iter().all(|one| one.is_ok()));
    }
}
