//! Holding blocks against what they should be, as they come.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize, Buffers, Digest};
use crate::device::{Held, Image};
use crate::fault::{Fault, Kind};
use crate::manifest::{Draft, Manifest};
use crate::monitor::{Event, Monitor};
use crate::ops::progress::Progress;
use crate::ops::scan::{Listener, Scanned};
use crate::ops::verify::{Class, Exception, Mismatch, Mismatches, Taken};
use crate::source::{Block, BlockSink};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Blocks that may fail for reasons of the service before the service is taken to be down.
const MOST_FAILED: u64 = 16;

/// What blocks should hash to.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// Whatever the service says: their checksums were checked on the way.
    Claimed,
    /// What a manifest lists; with a set, for those blocks only.
    Listed(Arc<Manifest>, Option<BlockSet>),
    /// What another snapshot was read to hold, in these blocks.
    Drafted(Arc<Draft>, BlockSet),
}

impl Expected {
    /// Whether there is something that this block should be. The digest is `None` where no block should be.
    pub(super) fn of(&self, index: BlockIndex) -> Result<Option<Option<Digest>>, Fault> {
        Ok(match self {
            Self::Claimed => None,
            Self::Listed(_, Some(only)) if !only.contains(index) => None,
            Self::Listed(manifest, _) => Some(manifest.digest(index)?),
            Self::Drafted(draft, present) if present.contains(index) => Some(Some(draft.get(index)?)),
            Self::Drafted(..) => Some(None),
        })
    }

    /// Blocks outside of which nothing is expected to be; `None` where that is all of them.
    fn listed(&self) -> Option<&BlockSet> {
        match self {
            Self::Claimed => None,
            Self::Listed(manifest, _) => Some(manifest.present()),
            Self::Drafted(_, present) => Some(present),
        }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) right: BlockSet,
    /// What is wrong, with the class that a block by itself tells.
    pub(super) wrong: Mismatches,
    pub(super) unreadable: BlockSet,
    pub(super) exceptions: Vec<Exception>,
    failed: u64,
    progress: Option<Progress>,
}

/// Judges every block that it is given.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) expected: Expected,
    /// Whether a block that is not there is as good as one of zeros.
    pub(super) absent_is_zero: bool,
    /// Whether what lies beyond the image's end counts as zeros.
    pub(super) pads: bool,
    /// The restored volume, where blocks of a snapshot are held against one.
    pub(super) image: Option<Arc<Image>>,
    /// What was read of it before.
    pub(super) taken: Option<Taken>,
    /// Keeps the digests of the blocks that come.
    pub(super) draft: Option<Arc<Draft>>,
    pub(super) monitor: Arc<dyn Monitor>,
    /// Whether this is the second look at what was wrong.
    is_second: bool,
    buffers: Buffers,
    verdicts: Mutex<Verdicts>,
}

impl Judge {
    /// Puts what is wrong among these.
    pub(super) fn new(
        expected: Expected,
        monitor: Arc<dyn Monitor>,
        progress: Option<Progress>,
        wrong: Mismatches,
    ) -> Self {
        Self {
            expected,
            absent_is_zero: false,
            pads: false,
            image: None,
            taken: None,
            draft: None,
            monitor,
            is_second: false,
            buffers: Buffers::default(),
            verdicts: Mutex::new(Verdicts { progress, wrong, ..Verdicts::default() }),
        }
    }

    /// A judge of the same things, who has judged nothing yet and keeps no record.
    pub(super) fn again(&self) -> Self {
        Self {
            absent_is_zero: self.absent_is_zero,
            pads: self.pads,
            image: self.image.clone(),
            draft: self.draft.clone(),
            is_second: true,
            // What is wrong was told when it was found.
            ..Self::new(self.expected.clone(), Arc::new(crate::monitor::Silent), None, Mismatches::default())
        }
    }

    /// Ends the judging: all verdicts, and the record of those that are right.
    pub(super) fn into_verdicts(self) -> (Verdicts, Option<Progress>) {
        let mut verdicts = self.verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let progress = verdicts.progress.take();
        (verdicts, progress)
    }

    /// Says what a block is, where it needs not be read to know.
    pub(super) fn hold(&self, index: BlockIndex, actual: Option<Digest>) -> Result<(), Fault> {
        let expected = self.expected.of(index)?;
        self.verdict(index, expected.unwrap_or(actual), actual)
    }

    /// Judges the blocks of the image that were read before.
    pub(super) fn taken(&self, taken: &Taken, todo: &BlockSet) -> Result<(), Fault> {
        let mut digests = taken.digests.digests();
        (todo & &taken.blocks).iter().try_for_each(|index| {
            let digest = digests(index)?;
            Listener::read(self, &Scanned { index, digest })?;
            self.monitor.on(Event::Done { blocks: 1, size: BlockSize::EBS.of(1) });
            Ok(())
        })
    }

    fn verdict(
        &self,
        index: BlockIndex,
        expected: Option<Digest>,
        actual: Option<Digest>,
    ) -> Result<(), Fault> {
        let is_right = match (expected, actual) {
            (Some(one), None) | (None, Some(one)) => self.absent_is_zero && one == Digest::ZERO_BLOCK,
            (expected, actual) => expected == actual,
        };
        if is_right {
            return self.right(index);
        }
        let class = match (expected, actual) {
            (_, None) => Class::Missing,
            (_, Some(Digest::ZERO_BLOCK)) => Class::Zeros,
            (Some(_), _) => Class::Content,
            (None, _) => Class::Unexpected,
        };
        self.wrong(index, expected, actual, class)
    }

    fn right(&self, index: BlockIndex) -> Result<(), Fault> {
        let mut verdicts = self.lock();
        verdicts.right.insert(index);
        match &mut verdicts.progress {
            Some(progress) => progress.done(index, self.draft.as_deref()),
            None => Ok(()),
        }
    }

    /// Judges zeros that stand where no block is expected. Those that are right are not recorded for a later run: it
    /// finds them as cheaply.
    fn unlisted_zeros(&self, blocks: BlockRange) -> Result<(), Fault> {
        let mut right = blocks;
        if !self.absent_is_zero {
            let image = self.image.as_ref();
            let is_within = |index: &BlockIndex| image.is_none_or(|image| !self.is_beyond(image, *index));
            let mut n_within = 0;
            for index in blocks.iter().take_while(is_within) {
                self.verdict(index, None, Some(Digest::ZERO_BLOCK))?;
                n_within += 1;
            }
            // Beyond the image's end there is no block on either side.
            right =
                BlockRange::new(BlockIndex::new(blocks.start().get() + n_within), blocks.len() - n_within);
        }
        self.lock().right.insert_range(right);
        Ok(())
    }

    fn wrong(
        &self,
        index: BlockIndex,
        expected: Option<Digest>,
        actual: Option<Digest>,
        class: Class,
    ) -> Result<(), Fault> {
        let found = Mismatch { index, expected, actual, class, is_persistent: None, is_explained: false };
        self.lock().wrong.add(found)?;
        self.monitor.on(Event::Mismatch(index));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Verdicts> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the image has at a block, where that is not these bytes.
    fn differing(&self, image: &Image, block: &Block) -> Result<Option<Option<Digest>>, Fault> {
        let index = block.index();
        if self.is_beyond(image, index) {
            return Ok(Some(None));
        }
        let mut buffer = self.buffers.take();
        let held = image.fill(index, buffer.as_mut_slice())?;
        let differing = match held {
            Held::Zeros => (!block.is_zero()).then_some(Digest::ZERO_BLOCK),
            Held::Bytes if *block.bytes() == *buffer.as_slice() => None,
            Held::Bytes => Some(Digest::of(buffer.as_slice())),
        };
        Ok(differing.map(Some))
    }

    /// Whether the image has no such block.
    fn is_beyond(&self, image: &Image, index: BlockIndex) -> bool {
        index.byte_offset(BlockSize::EBS) >= image.len() && !self.pads
    }

    fn unread(&self, index: BlockIndex, fault: &Fault) {
        let mut verdicts = self.lock();
        verdicts.unreadable.insert(index);
        // A device full of bad blocks is told once for each kind of trouble, with its first block.
        if verdicts.exceptions.iter().all(|exception| exception.kind != fault.kind) {
            verdicts.exceptions.push(Exception::from(fault));
        }
    }
}

impl BlockSink for Judge {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        let (index, digest) = (block.index(), block.digest());
        if let Some(draft) = &self.draft {
            draft.put(index, &digest)?;
        }
        if let Some(expected) = self.expected.of(index)?
            && expected != Some(digest)
        {
            return self.verdict(index, expected, Some(digest));
        }
        if let Some(taken) = &self.taken {
            return self.verdict(index, Some(digest), Some(taken.digests.get(index)?));
        }
        let Some(image) = &self.image else { return self.right(index) };
        match self.differing(image, block) {
            Ok(None) => self.right(index),
            Ok(Some(actual)) => self.verdict(index, Some(digest), actual),
            Err(fault) => self.unreadable(index, fault),
        }
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn lost(&self, index: BlockIndex, fault: Fault) -> Result<(), Fault> {
        match fault.kind {
            Kind::Corrupt => {
                let expected = self.expected.of(index)?.flatten();
                self.wrong(index, expected, None, Class::Transport)
            }
            Kind::Service | Kind::Damaged | Kind::Unreachable | Kind::Timeout => {
                self.unread(index, &fault);
                let mut verdicts = self.lock();
                verdicts.failed += 1;
                if verdicts.failed < MOST_FAILED { Ok(()) } else { Err(fault) }
            }
            _ => Err(fault),
        }
    }
}

impl Listener for Judge {
    fn read(&self, block: &Scanned) -> Result<(), Fault> {
        let expected = self.expected.of(block.index)?.flatten();
        let is_beyond = self.image.as_ref().is_some_and(|image| self.is_beyond(image, block.index));
        self.verdict(block.index, expected, (!is_beyond).then_some(block.digest))
    }

    fn zeros(&self, blocks: BlockRange) -> Result<(), Fault> {
        let between = |start: u32, end: u32| BlockRange::new(BlockIndex::new(start), end - start);
        let mut from = blocks.start().get();
        for listed in self.expected.listed().into_iter().flat_map(|listed| listed.ranges_in(blocks)) {
            self.unlisted_zeros(between(from, listed.start().get()))?;
            for index in listed.iter() {
                self.read(&Scanned { index, digest: Digest::ZERO_BLOCK })?;
            }
            from = listed.end();
        }
        self.unlisted_zeros(between(from, blocks.end()))
    }

    fn is_careful(&self) -> bool {
        self.is_second
    }

    fn unreadable(&self, index: BlockIndex, fault: Fault) -> Result<(), Fault> {
        if fault.kind == Kind::Vanished {
            return Err(fault);
        }
        self.unread(index, &fault);
        Ok(())
    }
}
