//! Does a target hold a snapshot? A look at a few blocks of both, chosen by chance.

use crate::block::{BlockIndex, BlockSet};
use crate::device::{InPlace, Part};
use crate::fault::{Fault, Kind, Place};
use crate::ops::Engine;
use crate::pipeline::{Walk, Which, read};
use crate::source::{Block, BlockSink, BlockSource, Listed};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Places of the volume that are looked at: each costs a page of the listing.
const PLACES: usize = 8;
/// Blocks of data compared at each place, and absent ones that must read as zeros.
const BLOCKS: usize = 4;

/// Compares some blocks of the target with the snapshot's, and gives their number. Those in `but` may differ: they
/// were written since.
///
/// # Errors
/// `Unsuitable` where one differs.
pub(super) async fn holds(
    engine: &Engine,
    target: &Arc<InPlace>,
    source: Arc<dyn BlockSource>,
    but: &BlockSet,
    path: &Path,
) -> Result<u64, Fault> {
    let mut chance = fastrand::Rng::new();
    let (mut present, mut absent) = (BlockSet::new(), BlockSet::new());
    let mut listed = Vec::new();
    for _ in 0..PLACES {
        let from = BlockIndex::new(chance.u32(..source.geometry().n_blocks()));
        let seen = around(engine, source.as_ref(), from).await?;
        let indexes: BlockSet = seen.page.iter().map(|block| block.index).collect();
        for _ in 0..BLOCKS {
            let index = BlockIndex::new(chance.u32(from.get()..seen.end.max(from.get() + 1)));
            if index.get() < seen.end && !indexes.contains(index) && !but.contains(index) {
                absent.insert(index);
            }
        }
        let mut page = seen.page;
        chance.shuffle(&mut page);
        let wanted = page.into_iter().filter(|block| !but.contains(block.index)).take(BLOCKS);
        listed.extend(wanted.filter(|block| present.insert(block.index)));
    }
    let place = source.place();
    let compared = Arc::new(Compared { target: Arc::clone(target), differs: Mutex::default() });
    let n_compared = listed.len() as u64 + absent.len();
    read(engine, source, Which::These(listed), compared.clone()).await?;
    let mut differs = compared.first();
    for index in absent.iter() {
        if differs.is_none() && target.part(index)? != Part::Zero {
            differs = Some(index);
        }
    }
    match differs {
        None => Ok(n_compared),
        Some(index) => Err(self::differs(path, &place, index)),
    }
}

/// Compares every block of the target with the snapshot's, absent ones with zeros, and returns their number. Those in
/// `but` may differ: they are written over.
///
/// # Errors
/// `Unsuitable` where one differs.
pub(super) async fn holds_wholly(
    engine: &Engine,
    target: &Arc<InPlace>,
    source: Arc<dyn BlockSource>,
    but: &BlockSet,
    path: &Path,
) -> Result<u64, Fault> {
    let (place, all) = (source.place(), &BlockSet::from(source.geometry().range()) - but);
    let compared = Arc::new(Compared { target: Arc::clone(target), differs: Mutex::default() });
    let read = read(engine, source, Which::AllBut(but.clone()), compared.clone()).await?;
    let absent = &all - &read.listed;
    let looked_at = Arc::clone(target);
    let found = tokio::task::spawn_blocking(move || looked_at.first_data(&absent)).await;
    let in_absent = found.map_err(|error| Fault::local(path, "read", error.into()))??;
    match compared.first().or(in_absent) {
        None => Ok(all.len()),
        Some(index) => Err(differs(path, &place, index)),
    }
}

fn differs(path: &Path, place: &Place, index: BlockIndex) -> Fault {
    let what = format!("it does not hold {place}: block {index} differs");
    Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what).hint("export it as a whole with --force")
}

/// Whether blocks that an earlier run has written still are what it wrote. Of those given, some are looked at.
pub(super) async fn still_holds(
    engine: &Engine,
    target: &Arc<InPlace>,
    source: Arc<dyn BlockSource>,
    written: &BlockSet,
) -> Result<bool, Fault> {
    let mut listed = Vec::new();
    for index in fastrand::Rng::new().choose_multiple(written.iter(), PLACES) {
        let page = around(engine, source.as_ref(), index).await?.page;
        listed.extend(page.into_iter().take_while(|block| block.index == index));
    }
    let compared = Arc::new(Compared { target: Arc::clone(target), differs: Mutex::default() });
    read(engine, source, Which::These(listed), compared.clone()).await?;
    Ok(compared.first().is_none())
}

/// A page of a listing, and up to where it tells which blocks are absent.
struct Seen {
    page: Vec<Listed>,
    end: u32,
}

async fn around(engine: &Engine, source: &dyn BlockSource, from: BlockIndex) -> Result<Seen, Fault> {
    let mut walk = Walk::over(engine, source, from);
    let page = walk.page(|cursor| source.list(cursor)).await?.unwrap_or_default();
    let end = match (walk.position(), page.last()) {
        (None, _) => source.geometry().n_blocks(),
        (Some(_), Some(last)) => last.index.get(),
        (Some(_), None) => from.get(),
    };
    Ok(Seen { page, end })
}

/// Keeps which blocks of a target are not what they should be.
#[derive(Debug)]
struct Compared {
    target: Arc<InPlace>,
    differs: Mutex<BlockSet>,
}

impl Compared {
    fn first(&self) -> Option<BlockIndex> {
        self.differs.lock().unwrap_or_else(PoisonError::into_inner).next_from(BlockIndex::ZERO)
    }
}

impl BlockSink for Compared {
    fn write(&self, block: &Block) -> Result<(), Fault> {
        let same = match self.target.part(block.index())? {
            Part::Zero => block.is_zero(),
            Part::Data(bytes) => bytes == block.bytes(),
        };
        if !same {
            self.differs.lock().unwrap_or_else(PoisonError::into_inner).insert(block.index());
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }
}
