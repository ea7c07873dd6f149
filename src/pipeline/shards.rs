//! Large listings in shards, side by side.
//!
//! One page is asked for after the other only because each tells where the next begins; but a listing can be begun
//! anywhere. So what remains of a large one after its first page is cut by index, and the pieces are walked at the
//! same time, as fast as the gate lets pages through. When a piece ends early, the longest of the others is cut.
//!
//! Pages of a piece come in order, pieces in between each other: whoever needs a set takes them as they come, each
//! index once. Pages in flight are bounded by the number of pieces. A cut costs at most one page more than the
//! walk from front to back, where the page before it reaches over it, so there is one for fifty pages at most.

use crate::block::{BlockIndex, Geometry, GiB};
use crate::fault::{Fault, Kind};
use crate::pipeline::walk::{Entry, Walk};
use crate::source::{Cursor, Page};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

/// When and how far a listing is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutting {
    /// Pieces walked at once: at 100 ms a page eight pass 50 pages a second, all that an account may list.
    most: usize,
    /// Entries of a page that make it worth going on in pieces. A page of few says that positions between its
    /// entries are not told (a change listing passes what is unchanged in silence): a piece could not see its end.
    full: usize,
    /// Pages for each cut, so that cuts cost two percent at most.
    pages_a_cut: u64,
}

impl Cutting {
    /// For pages of 10,000 entries.
    pub(crate) const USUAL: Self = Self { most: 8, full: 5_000, pages_a_cut: 50 };
}

/// What is left of a listing: pieces by where they begin and end, the last of them open at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left(pub(super) Vec<(BlockIndex, Option<u32>)>);

impl Left {
    /// All of it.
    pub fn all() -> Self {
        Self(vec![(BlockIndex::ZERO, None)])
    }

    /// Whether nothing is left.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the next walk begins.
    pub(crate) fn start(&self) -> BlockIndex {
        self.0.first().map_or(BlockIndex::ZERO, |(at, _)| *at)
    }
}

/// Walks a listing to its end and hands over its pages as they come. `n_blocks` is where it ends, as far as that
/// is known; what lies beyond is found all the same. Gives the volume's size, as far as the pages tell it.
pub(crate) async fn walk_in_shards<'s, T: Entry>(
    walk: Walk<'_>,
    n_blocks: Option<u32>,
    cutting: Cutting,
    list: impl Fn(Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>> + Sync,
    take: impl FnMut(Vec<T>),
) -> Result<Option<GiB>, Fault> {
    let mut left = Left(walk.position().map(|at| (at, None)).into_iter().collect());
    walk_what_is_left(walk, &mut left, n_blocks, cutting, list, take).await
}

/// The same for what is left of a listing, of which the walk is at the first piece. When this fails, or is dropped,
/// `left` is what has not been handed over.
pub(crate) async fn walk_what_is_left<'s, T: Entry>(
    mut walk: Walk<'_>,
    left: &mut Left,
    n_blocks: Option<u32>,
    cutting: Cutting,
    list: impl Fn(Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>> + Sync,
    mut take: impl FnMut(Vec<T>),
) -> Result<Option<GiB>, Fault> {
    let mut pieces = Pieces::of(left, cutting);
    let first = walk.page(&list).await?;
    take(pieces.passed(0, &walk, first));
    *left = pieces.left();
    let mut volume_size = walk.volume_size();
    let end = n_blocks.or_else(|| volume_size.map(|size| Geometry::ebs(size).n_blocks()));
    let engine = walk.engine();
    let place = walk.place().clone();
    let mut asking = FuturesUnordered::new();
    if pieces.all[0].at.is_some() {
        asking.push(step(0, walk, &list));
    }
    for (piece, from) in pieces.others() {
        asking.push(step(piece, Walk::seen(engine, place.clone(), from), &list));
    }
    let mut failed = None;
    loop {
        while asking.len() < cutting.most
            && failed.is_none()
            && let Some((piece, from)) = end.and_then(|end| pieces.cut(end))
        {
            asking.push(step(piece, Walk::seen(engine, place.clone(), from), &list));
        }
        let Some((at, walk, page)) = asking.next().await else { break };
        volume_size = walk.volume_size().or(volume_size);
        match page {
            Ok(page) => {
                take(pieces.passed(at, &walk, page));
                *left = pieces.left();
            }
            // Pages that were sent before it was stopped are paid for: they are waited for.
            Err(fault) if fault.kind == Kind::Suspended => failed = Some(fault),
            Err(fault) => return Err(fault),
        }
        if failed.is_none() && pieces.all[at].at.is_some() {
            asking.push(step(at, walk, &list));
        }
    }
    failed.map_or(Ok(volume_size), Err)
}

/// One page of the piece at this place.
async fn step<'a, 's, T: Entry>(
    at: usize,
    mut walk: Walk<'a>,
    list: &impl Fn(Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>>,
) -> (usize, Walk<'a>, Result<Option<Vec<T>>, Fault>) {
    let page = walk.page(list).await;
    (at, walk, page)
}

/// A part of the listing.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Nothing at or after this was seen; `None` once it has ended.
    at: Option<BlockIndex>,
    /// One past its last index. The last piece has none: it goes on until the listing says it is over.
    end: Option<u32>,
    /// Indexes that its last page reached over, and how many of them it had.
    reach: u32,
    entries: usize,
}

impl Piece {
    /// Indexes left, if it ends no later than `volume`.
    fn left(&self, volume: u32) -> u32 {
        let end = self.end.unwrap_or(volume).min(volume);
        self.at.map_or(0, |at| end.saturating_sub(at.get()))
    }
}

#[derive(Debug)]
struct Pieces {
    cutting: Cutting,
    all: Vec<Piece>,
    pages: u64,
    cuts: u64,
}

impl Pieces {
    fn of(left: &Left, cutting: Cutting) -> Self {
        let piece = |(at, end): &(BlockIndex, _)| Piece { at: Some(*at), end: *end, reach: 0, entries: 0 };
        let mut all: Vec<Piece> = left.0.iter().map(piece).collect();
        if all.is_empty() {
            all.push(Piece { at: None, end: None, reach: 0, entries: 0 });
        }
        Self { cutting, all, pages: 0, cuts: 0 }
    }

    fn left(&self) -> Left {
        let mut left: Vec<_> = self.all.iter().filter_map(|piece| Some((piece.at?, piece.end))).collect();
        left.sort_unstable();
        Left(left)
    }

    /// Pieces but the first, and where they begin.
    fn others(&self) -> Vec<(usize, BlockIndex)> {
        self.all.iter().enumerate().skip(1).filter_map(|(at, piece)| Some((at, piece.at?))).collect()
    }

    /// Notes a page of a piece; gives the entries that are the piece's own.
    fn passed<T: Entry>(&mut self, piece: usize, walk: &Walk<'_>, page: Option<Vec<T>>) -> Vec<T> {
        self.pages += 1;
        let piece = &mut self.all[piece];
        let from = piece.at.take();
        let Some(mut entries) = page else { return Vec::new() };
        let is_beyond = |index: BlockIndex| piece.end.is_some_and(|end| index.get() >= end);
        piece.at = walk.position().filter(|at| !is_beyond(*at));
        piece.entries = entries.len();
        piece.reach = match (from, entries.last().and_then(|last| last.index().next())) {
            (Some(from), Some(to)) => to.get() - from.get(),
            _ => 0,
        };
        let own = entries.partition_point(|entry| !is_beyond(entry.index()));
        if own < entries.len() {
            piece.at = None;
        }
        entries.truncate(own);
        entries
    }

    /// Cuts the piece with the most pages left in two: the new piece, and where it begins.
    fn cut(&mut self, volume: u32) -> Option<(usize, BlockIndex)> {
        let least = u32::try_from(self.cutting.pages_a_cut).unwrap_or(u32::MAX);
        let pages_left = |piece: &Piece| piece.left(volume).checked_div(piece.reach).unwrap_or(0);
        let (longest, left) = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, piece)| piece.entries >= self.cutting.full)
            .map(|(at, piece)| (at, pages_left(piece)))
            .max_by_key(|(_, left)| *left)?;
        let expected: u64 = self.all.iter().map(|piece| u64::from(pages_left(piece))).sum();
        let affordable = (self.pages + expected) / self.cutting.pages_a_cut;
        if left < 2.max(least / 8) || self.cuts >= affordable {
            return None;
        }
        let piece = &mut self.all[longest];
        // Whole pages to the cut: where the volume is full, no page reaches over it.
        let from = piece.at?.get() + left.div_ceil(2) * piece.reach;
        let from = BlockIndex::try_from(i64::from(from)).ok()?;
        let new = Piece { at: Some(from), end: piece.end, reach: piece.reach, entries: piece.entries };
        piece.end = Some(from.get());
        self.cuts += 1;
        // A place that has ended is used again, so that places follow the pieces at work and not the cuts.
        let place = self.all.iter().position(|piece| piece.at.is_none()).unwrap_or(self.all.len());
        match self.all.get_mut(place) {
            Some(ended) => *ended = new,
            None => self.all.push(new),
        }
        Some((place, from))
    }
}

#[cfg(test)]
mod tests;
