//! Walking listings, page by page.

use crate::block::{BlockIndex, BlockSize, GiB};
use crate::fault::{Fault, Kind, Place, TokenKind};
use crate::pipeline::attempt::{Ask, Tries};
use crate::pipeline::{Action, Engine};
use crate::source::{BlockSource, Change, Cursor, Listed, Page};
use futures_util::future::BoxFuture;

/// What a page holds: something at an index.
pub(crate) trait Entry {
    /// Where in the volume.
    fn index(&self) -> BlockIndex;
}

impl Entry for Listed {
    fn index(&self) -> BlockIndex {
        self.index
    }
}

impl Entry for Change {
    fn index(&self) -> BlockIndex {
        self.index
    }
}

/// A listing on its way through its pages. Yields each index once, ascending, also when a page token expires on
/// the way: the walk then starts again after the last index seen.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    engine: &'a Engine,
    place: Place,
    next: Option<Cursor>,
    /// It has been seen: if it is not found from now on, it has gone.
    is_seen: bool,
    empty_pages: u64,
    volume_size: Option<GiB>,
}

/// The smallest page that can be asked for (EBS direct APIs reference, `MaxResults`).
const MIN_ENTRIES: u32 = 100;

/// Number of empty pages in a row after which a listing is taken for one that does not end.
///
/// A page covers a window of as many blocks as entries were asked for, and is empty where none of them is listed (user
/// guide, "Read EBS snapshots"): a volume has so many windows and no more. The service may return less than it was
/// asked for, so windows of a tenth are allowed. Of two compared snapshots the larger is unknown: 64 TiB.
fn max_empty_pages(place: &Place, volume_size: Option<GiB>, max_entries: Option<u32>) -> u64 {
    let volume_size = volume_size.filter(|_| matches!(place, Place::Snapshot(_))).map_or(GiB::MAX, GiB::get);
    let blocks = (u64::from(volume_size) << 30) / u64::from(BlockSize::EBS.bytes());
    let window = max_entries.map_or(MIN_ENTRIES, |entries| (entries / 10).max(MIN_ENTRIES));
    blocks.div_ceil(u64::from(window)) + 1
}

impl<'a> Walk<'a> {
    /// A walk from this index on.
    pub(crate) fn new(engine: &'a Engine, place: Place, from: BlockIndex) -> Self {
        Self {
            engine,
            place,
            next: Some(Cursor::at(from)),
            is_seen: false,
            empty_pages: 0,
            volume_size: None,
        }
    }

    /// A walk over a source that was opened, and so has been seen.
    pub(crate) fn over(engine: &'a Engine, source: &dyn BlockSource, from: BlockIndex) -> Self {
        Self::seen(engine, source.place(), from)
    }

    /// A walk of a listing that another walk has seen a page of.
    pub(crate) fn seen(engine: &'a Engine, place: Place, from: BlockIndex) -> Self {
        Self { is_seen: true, ..Self::new(engine, place, from) }
    }

    /// Whom it asks through.
    pub(crate) fn engine(&self) -> &'a Engine {
        self.engine
    }

    /// What it walks.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Nothing at or after this index was seen; `None` at the end.
    pub(crate) fn position(&self) -> Option<BlockIndex> {
        self.next.as_ref().map(|next| next.from)
    }

    /// Size of the volume, as far as the pages seen tell it.
    pub(crate) fn volume_size(&self) -> Option<GiB> {
        self.volume_size
    }

    /// The next page's entries, possibly none; `None` after the last page.
    pub(crate) async fn page<'s, T: Entry>(
        &mut self,
        list: impl Fn(Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(cursor) = self.next.take() else { return Ok(None) };
        let page = match self.ask(&cursor, &list).await {
            Err(fault) if fault.kind == Kind::InvalidToken(TokenKind::Page) && cursor.token.is_some() => {
                self.ask(&cursor.without_token(), &list).await?
            }
            page => page?,
        };
        let mut from = cursor.from;
        for entry in &page.entries {
            if entry.index() < from {
                let what = format!("the listing went back to block {}", entry.index());
                return Err(Fault::new(Kind::Service, self.place.clone(), what));
            }
            // Past the last index there is nothing to list; the walk ends with its pages.
            from = entry.index().next().unwrap_or(entry.index());
        }
        self.is_seen = true;
        self.volume_size = page.volume_size.or(self.volume_size);
        self.empty_pages = if page.entries.is_empty() { self.empty_pages + 1 } else { 0 };
        let limit = max_empty_pages(&self.place, self.volume_size, page.max_entries);
        if self.empty_pages > limit && page.next.is_some() {
            let what = format!(
                "the listing does not end: {} pages in a row were empty, and the volume has room for {limit} at most",
                self.empty_pages
            );
            return Err(Fault::new(Kind::Service, self.place.clone(), what)
                .hint("report it to the operator of the endpoint"));
        }
        self.next = page.next.map(|next| Cursor { from: from.max(next.from), token: next.token });
        Ok(Some(page.entries))
    }

    async fn ask<'s, T>(
        &self,
        cursor: &Cursor,
        list: &impl Fn(Cursor) -> BoxFuture<'s, Result<Page<T>, Fault>>,
    ) -> Result<Page<T>, Fault> {
        let ask = Ask::new(Action::List, self.place.clone());
        let page = self.engine.ask(&mut Tries::none(), ask, || list(cursor.clone())).await;
        page.map_err(|fault| match fault.kind {
            Kind::NotFound if self.is_seen => fault.as_kind(Kind::Vanished),
            _ => fault,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::GiB;
    use crate::source::BlockService;
    use crate::source::conformance::filled;
    use crate::source::faulty::Faulty;
    use crate::source::memory::MemoryService;

    async fn walked(source: &dyn BlockSource, from: u32) -> Vec<u32> {
        let engine = Engine::for_tests();
        let mut walk = Walk::new(&engine, source.place(), BlockIndex::new(from));
        let mut seen = Vec::new();
        while let Some(page) = walk.page(|cursor| source.list(cursor)).await.unwrap() {
            seen.extend(page.iter().map(|listed| listed.index.get()));
        }
        seen
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_and_is_not_found_has_vanished() {
        let service = MemoryService::new(3);
        let id = service.add(GiB::try_from(1).unwrap(), None, (0..9).map(|index| filled(index, 1)));
        let faulty = Faulty::new(service.open(&id).await.unwrap()).listing([Kind::NotFound]);
        let engine = Engine::for_tests();
        let mut fresh = Walk::new(&engine, faulty.place(), BlockIndex::ZERO);
        assert_eq!(fresh.page(|cursor| faulty.list(cursor)).await.unwrap_err().kind, Kind::NotFound);
        let faulty = faulty.listing([Kind::NotFound]);
        let mut opened = Walk::over(&engine, &faulty, BlockIndex::ZERO);
        assert_eq!(opened.page(|cursor| faulty.list(cursor)).await.unwrap_err().kind, Kind::Vanished);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_page_token_loses_nothing_and_repeats_nothing() {
        let service = MemoryService::new(3);
        let blocks = (0..20).map(|index| filled(index * 3, 1));
        let id = service.add(GiB::try_from(1).unwrap(), None, blocks);
        let source = service.open(&id).await.unwrap();
        let whole = walked(source.as_ref(), 0).await;
        assert_eq!(whole, (0..20).map(|index| index * 3).collect::<Vec<_>>());
        let expired = Kind::InvalidToken(TokenKind::Page);
        // The first page has no token to lose; every later one loses it once.
        let faulty = Faulty::new(source).listing([Kind::Service, Kind::Service]);
        assert_eq!(walked(&faulty, 0).await, whole);
        let engine = Engine::for_tests();
        let mut walk = Walk::new(&engine, faulty.place(), BlockIndex::ZERO);
        let mut faulty = faulty;
        let mut seen = Vec::new();
        while let Some(page) = walk.page(|cursor| faulty.list(cursor)).await.unwrap() {
            seen.extend(page.iter().map(|listed| listed.index.get()));
            faulty = faulty.listing([expired]);
        }
        assert_eq!(seen, whole);
    }

    /// Counts the pages of a snapshot of 1 GiB whose listing has so many empty ones before its end.
    async fn walked_through_empty_pages(empty: u64, max_entries: u32) -> Result<u64, Fault> {
        let engine = Engine::for_tests();
        let place = Place::Snapshot("snap-0a".parse().unwrap());
        let mut walk = Walk::new(&engine, place, BlockIndex::ZERO);
        let mut pages = 0;
        loop {
            pages += 1;
            let is_last = pages > empty;
            let list = |cursor: Cursor| {
                let token = crate::snapshot::PageToken::new(pages.to_string());
                let next = (!is_last).then_some(Cursor { from: cursor.from, token: Some(token) });
                let volume_size = Some(GiB::try_from(1).unwrap());
                let page =
                    Page::<Listed> { entries: vec![], next, volume_size, max_entries: Some(max_entries) };
                Box::pin(std::future::ready(Ok(page))) as BoxFuture<'static, _>
            };
            if walk.page(list).await?.is_none() {
                return Ok(pages - 1);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn empty_pages_that_the_volume_has_room_for_do_not_end_a_run_and_endless_ones_do() {
        // 2,048 blocks in windows of 100.
        assert_eq!(walked_through_empty_pages(21, 100).await.unwrap(), 22);
        let fault = walked_through_empty_pages(u64::MAX, 100).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Service);
        assert!(
            fault.to_string().contains("the listing does not end: 23 pages in a row were empty"),
            "{fault}"
        );
        let fault = walked_through_empty_pages(u64::MAX, 10_000).await.unwrap_err();
        assert!(fault.to_string().contains("does not end: 5 pages"), "{fault}");
    }

    #[test]
    fn thousands_of_empty_pages_are_legal_where_the_volume_is_large_or_unknown() {
        let (one, pair) =
            ("snap-0a".parse().unwrap(), ("snap-0a".parse().unwrap(), "snap-0b".parse().unwrap()));
        let (one, pair) = (Place::Snapshot(one), Place::Pair(pair.0, pair.1));
        let size = |gib: i64| Some(GiB::try_from(gib).unwrap());
        assert_eq!(max_empty_pages(&one, size(65_536), Some(100)), 1_342_179);
        assert_eq!(max_empty_pages(&one, size(65_536), Some(10_000)), 134_219);
        assert_eq!(max_empty_pages(&one, None, None), 1_342_179);
        // In reverse the first is the larger one, and only the second tells its size.
        assert_eq!(max_empty_pages(&pair, size(1), Some(10_000)), 134_219);
    }
}
