//! Block maps made earlier: what `icecore blocks`, `diff` or `show` printed, in whatever format, or ranges by hand.
//!
//! A host that has no credentials is told in this way which blocks of a volume matter. Understood are, line by line,
//! `INDEX`, `FIRST-LAST`, and `INDEX OFFSET` with a blank or a comma between (the text and CSV of `icecore blocks`),
//! `#` before a remark; and the JSON of `blocks`, `diff` and `show`, the lines of `--format jsonl`, and `--format cbt`.
//!
//! A map that lost lines would leave blocks cold without a word. The text of `icecore blocks` therefore begins and ends
//! with a line of its own, which are remarks to programs that do not know them:
//!
//! ```text
//! # icecore-map format=2 snapshot=snap-0a volume_bytes=1073741824
//! 7 3670016
//! 8 4194304
//! # icecore-map-end blocks=2 volume_bytes=1073741824
//! ```
//!
//! A map that has the first of these and not the last, or that lists other than so many blocks, was cut and is refused.
//! So is JSON that does not end, or disagrees with its own `allocated_blocks`. A text without both lines (of an earlier
//! version, or written by hand), CSV and JSON lines cannot show that they are whole: [`BlockMap::is_counted`] is false.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize, ByteSize};
use crate::device::bounded::Bounded;
use crate::disk::{self, BYTE_ORDER_MARK, Input, IsStopped};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::SnapshotId;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::marker::PhantomData;
use std::path::Path;

/// The blocks that were written down, and what else the file tells: as a [`BlockSet`], whose size is bounded, or where
/// their order matters as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockMap<C> {
    /// The blocks. Of ranges, neighbours that continue each other are one.
    pub blocks: C,
    /// Size of the volume.
    pub volume_size: Option<ByteSize>,
    /// The snapshot whose blocks they are.
    pub snapshot_id: Option<SnapshotId>,
    /// Whether the file states how many blocks it lists, and lists as many. One that does not may have been cut.
    pub is_counted: bool,
}

const FIRST_LINE: &str = "# icecore-map ";
const LAST_LINE: &str = "# icecore-map-end ";

/// Returns the line that a text of blocks begins with.
pub fn first_line(snapshot_id: &SnapshotId, volume_size: ByteSize) -> String {
    format!("{FIRST_LINE}format=2 snapshot={snapshot_id} volume_bytes={}", volume_size.bytes())
}

/// Returns the line that a text of so many blocks ends with: without it the text is not whole.
pub fn last_line(blocks: u64, volume_size: ByteSize) -> String {
    format!("{LAST_LINE}blocks={blocks} volume_bytes={}", volume_size.bytes())
}

/// The first or the last line of a map.
#[derive(Default)]
struct Marker {
    snapshot_id: Option<SnapshotId>,
    blocks: Option<u64>,
    volume_bytes: Option<u64>,
}

impl Marker {
    /// Reads `KEY=VALUE ..`; keys of later versions are passed over.
    fn parse(text: &str) -> Option<Self> {
        let mut marker = Self::default();
        for word in text.split_ascii_whitespace() {
            match word.split_once('=')? {
                ("snapshot", id) => marker.snapshot_id = Some(id.parse().ok()?),
                ("blocks", blocks) => marker.blocks = Some(blocks.parse().ok()?),
                ("volume_bytes", bytes) => marker.volume_bytes = Some(bytes.parse().ok()?),
                _ => {}
            }
        }
        marker.volume_bytes.is_some().then_some(marker)
    }
}

/// What ranges of blocks are gathered in.
pub trait Gather: Default {
    /// Takes the next range in the order in which they were written down.
    fn gather(&mut self, range: BlockRange);

    /// Takes what was gathered elsewhere, as the next.
    fn join(&mut self, next: Self);
}

impl Gather for BlockSet {
    fn gather(&mut self, range: BlockRange) {
        self.insert_range(range);
    }

    fn join(&mut self, next: Self) {
        *self = &*self | &next;
    }
}

impl Gather for Vec<BlockRange> {
    fn gather(&mut self, range: BlockRange) {
        self.push(range);
    }

    fn join(&mut self, next: Self) {
        self.extend(next);
    }
}

impl<C: Gather> BlockMap<C> {
    /// Reads a file.
    ///
    /// # Errors
    /// `Unsuitable` where it is no block map; the line is named where it has lines.
    pub fn read(path: &Path, is_stopped: IsStopped<'_>) -> Result<Self, Fault> {
        let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let failure = RefCell::new(None);
        let mut file = BufReader::new(Bounded::new(Input::open(path, is_stopped)?, &failure));
        let start = file.fill_buf().unwrap_or_default();
        let is_utf16 = disk::is_utf16(start);
        let mark = if start.starts_with(BYTE_ORDER_MARK.as_bytes()) { BYTE_ORDER_MARK.len() } else { 0 };
        let is_json = start[mark..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        file.consume(mark);
        if is_utf16 {
            return Err(unsuitable("it is UTF-16".to_owned()).hint("convert it: iconv -f UTF-16 -t UTF-8"));
        }
        let read = if is_json { json(file) } else { lines(file) };
        if let Some(error) = failure.into_inner() {
            return Err(Input::fault(path, error));
        }
        read.map_err(|what| unsuitable(what).hint("icecore blocks SNAPSHOT makes one"))
    }
}

/// Ranges on their way into a collection. Most files name single blocks: neighbours are joined before they go in.
#[derive(Default)]
struct Gathering<C> {
    gathered: C,
    last: Option<BlockRange>,
    /// Number of blocks gathered, those named twice counted twice.
    count: u64,
    /// Number of the block after the highest.
    end: u64,
}

impl<C: Gather> Gathering<C> {
    fn push(&mut self, start: BlockIndex, len: u32) {
        match &mut self.last {
            Some(last) if last.end() == start.get() => {
                *last = BlockRange::new(last.start(), last.len() + len);
            }
            last => {
                if let Some(before) = last.replace(BlockRange::new(start, len)) {
                    self.gathered.gather(before);
                }
            }
        }
    }

    fn join(&mut self, next: Self) {
        self.flush();
        (self.count, self.end) = (self.count + next.count, self.end.max(next.end));
        self.gathered.join(next.finish());
    }

    fn flush(&mut self) {
        if let Some(last) = self.last.take() {
            self.gathered.gather(last);
        }
    }

    fn finish(mut self) -> C {
        self.flush();
        self.gathered
    }

    /// Refuses blocks that lie beyond the volume.
    fn fits(&self, volume_bytes: u64) -> Result<(), String> {
        let size = self.end * u64::from(BlockSize::EBS.bytes());
        match size <= volume_bytes {
            true => Ok(()),
            false => Err(format!("it names block {}, and its volume has {volume_bytes} bytes", self.end - 1)),
        }
    }

    /// Adds `len` blocks, where there can be such blocks.
    fn add(&mut self, start: u64, len: u64) -> Option<()> {
        let end = start.checked_add(len).filter(|end| *end <= 1 << 31)?;
        let first = BlockIndex::try_from(i64::try_from(start).ok()?).ok();
        // Nothing can begin after the last block.
        first.map(|first| self.push(first, u32::try_from(end - start).unwrap_or(u32::MAX)))?;
        (self.count, self.end) = (self.count + len, self.end.max(end));
        Some(())
    }
}

fn lines<C: Gather>(file: impl BufRead) -> Result<BlockMap<C>, String> {
    let mut blocks = Gathering::<C>::default();
    let (mut first, mut last) = (None::<Marker>, None::<Marker>);
    for (number, line) in (1..).zip(file.lines()) {
        let refused = || format!("line {number} is no block: expected INDEX, FIRST-LAST or INDEX OFFSET");
        let damaged = || format!("line {number} is damaged");
        let line = line.map_err(|_| refused())?;
        if let Some(text) = line.strip_prefix(FIRST_LINE) {
            if first.is_some() || last.is_some() || blocks.count > 0 {
                return Err(format!("line {number} begins a second map"));
            }
            first = Some(Marker::parse(text).ok_or_else(damaged)?);
            continue;
        }
        if let Some(text) = line.strip_prefix(LAST_LINE) {
            if last.is_some() {
                return Err(format!("line {number} ends it a second time"));
            }
            last = Some(Marker::parse(text).filter(|last| last.blocks.is_some()).ok_or_else(damaged)?);
            continue;
        }
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line == "block_index,byte_offset" {
            continue;
        }
        if last.is_some() {
            return Err(format!("line {number} names blocks after the line that ends the map"));
        }
        parsed(line).and_then(|(start, len)| blocks.add(start, len)).ok_or_else(refused)?;
    }
    let told = match (&first, &last) {
        (Some(_), None) => {
            return Err(
                "it was cut: its last line, which says how many blocks there are, is missing".to_owned()
            );
        }
        (Some(first), Some(last)) if first.volume_bytes != last.volume_bytes => {
            return Err("its first and its last line disagree on the volume's size".to_owned());
        }
        (_, told) => told.as_ref().and_then(|last| last.blocks.zip(last.volume_bytes)),
    };
    if let Some((count, volume_bytes)) = told {
        if count != blocks.count {
            return Err(format!("it lists {} blocks, and its last line says {count}", blocks.count));
        }
        blocks.fits(volume_bytes)?;
    }
    Ok(BlockMap {
        blocks: blocks.finish(),
        volume_size: told.map(|(_, bytes)| ByteSize::from_bytes(bytes)),
        snapshot_id: first.and_then(|first| first.snapshot_id),
        is_counted: told.is_some(),
    })
}

fn parsed(line: &str) -> Option<(u64, u64)> {
    if let Some((first, last)) = line.split_once('-') {
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        return Some((first, last.checked_sub(first)? + 1));
    }
    let mut words = line.split([' ', ',', '\t']).filter(|word| !word.is_empty());
    let index: u64 = words.next()?.parse().ok()?;
    // The second tells nothing new, but that the line is what it seems.
    let is_offset = |word: &str| word.parse().ok() == index.checked_mul(u64::from(BlockSize::EBS.bytes()));
    (words.next().is_none_or(is_offset) && words.next().is_none()).then_some((index, 1))
}

/// The reports, and the parts of them that matter here.
#[derive(Deserialize)]
#[serde(bound = "C: Gather")]
struct Report<C> {
    snapshot_id: Option<String>,
    second: Option<String>,
    volume_size_gib: Option<u32>,
    volume_capacity_bytes: Option<u64>,
    allocated_blocks: Option<u64>,
    state: Option<String>,
    block_index: Option<u64>,
    blocks: Option<Listed<Entry, C>>,
    block_metadata: Option<Listed<Bytes, C>>,
    ranges: Option<Listed<(u64, u64), C>>,
}

#[derive(Deserialize)]
struct Entry {
    block_index: u64,
}

#[derive(Deserialize)]
struct Bytes {
    byte_offset: u64,
    size_bytes: u64,
}

/// Something that stands for adjacent blocks.
trait Run {
    /// The first of them, and how many; `None` where it cuts through a block.
    fn run(&self) -> Option<(u64, u64)>;
}

impl Run for Entry {
    fn run(&self) -> Option<(u64, u64)> {
        Some((self.block_index, 1))
    }
}

impl Run for Bytes {
    fn run(&self) -> Option<(u64, u64)> {
        let block = u64::from(BlockSize::EBS.bytes());
        let is_whole = self.byte_offset.is_multiple_of(block) && self.size_bytes.is_multiple_of(block);
        is_whole.then_some((self.byte_offset / block, self.size_bytes / block))
    }
}

impl Run for (u64, u64) {
    fn run(&self) -> Option<(u64, u64)> {
        Some(*self)
    }
}

/// A list that is added up while it is read: there may be millions.
struct Listed<R, C>(Gathering<C>, PhantomData<R>);

impl<'de, R: Run + Deserialize<'de>, C: Gather> Deserialize<'de> for Listed<R, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Add<R, C>(PhantomData<(R, C)>);
        impl<'de, R: Run + Deserialize<'de>, C: Gather> Visitor<'de> for Add<R, C> {
            type Value = Listed<R, C>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of blocks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut blocks = Gathering::<C>::default();
                while let Some(entry) = list.next_element::<R>()? {
                    let added = entry.run().and_then(|(start, len)| blocks.add(start, len));
                    added.ok_or_else(|| serde::de::Error::custom("no whole blocks of 524288 bytes"))?;
                }
                Ok(Listed(blocks, PhantomData))
            }
        }
        deserializer.deserialize_seq(Add(PhantomData))
    }
}

fn json<C: Gather>(file: impl BufRead) -> Result<BlockMap<C>, String> {
    let (mut blocks, mut volume_size, mut snapshot_id) = (Gathering::<C>::default(), None, None);
    let mut is_counted = true;
    for report in serde_json::Deserializer::from_reader(file).into_iter::<Report<C>>() {
        let report = report.map_err(|error| format!("it is no block map: {error}"))?;
        let lists = [
            report.blocks.map(|list| list.0),
            report.block_metadata.map(|list| list.0),
            report.ranges.map(|list| list.0),
        ];
        if report.state.is_some_and(|state| state == "incomplete") {
            return Err("it says of itself that it is incomplete".to_owned());
        }
        let mut is_told = false;
        let before = blocks.count;
        for list in lists.into_iter().flatten() {
            is_told = true;
            blocks.join(list);
        }
        if let Some(told) = report.allocated_blocks.filter(|told| *told != blocks.count - before) {
            return Err(format!("it lists {} blocks, and says that it has {told}", blocks.count - before));
        }
        if let Some(index) = report.block_index {
            blocks.add(index, 1).ok_or("there is no block of that number")?;
            is_told = true;
            // A line of many, of which the last may be missing.
            is_counted = false;
        }
        if !is_told {
            return Err("it is JSON that lists no blocks".to_owned());
        }
        let gib = report.volume_size_gib.map(|gib| u64::from(gib) << 30);
        let size = gib.or(report.volume_capacity_bytes).map(ByteSize::from_bytes);
        volume_size = volume_size.or(size);
        let id = report.snapshot_id.or(report.second).and_then(|id| id.parse().ok());
        snapshot_id = snapshot_id.or(id);
    }
    if let Some(size) = volume_size {
        blocks.fits(ByteSize::bytes(size))?;
    }
    Ok(BlockMap { blocks: blocks.finish(), volume_size, snapshot_id, is_counted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<C: Gather>(text: &str) -> Result<BlockMap<C>, Fault> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map");
        std::fs::write(&path, text).unwrap();
        BlockMap::read(&path, &|| false)
    }

    fn ranges(text: &str) -> Vec<(u32, u32)> {
        let ranges: Vec<BlockRange> = read(text).unwrap().blocks;
        ranges.iter().map(|range| (range.start().get(), range.len())).collect()
    }

    #[test]
    fn lines_are_read_in_their_order() {
        for text in [
            "7 3670016\n8 4194304\n2 1048576\n",
            "block_index,byte_offset\n7,3670016\n8,4194304\n2,1048576\n",
            "# the database\n7-8 # its log\n\n2\n",
            "{\"block_index\":7,\"byte_offset\":3670016}\n{\"block_index\":8}\n{\"block_index\":2}\n",
        ] {
            assert_eq!(ranges(text), [(7, 2), (2, 1)], "{text}");
        }
    }

    #[test]
    fn reports_tell_the_volume_and_the_snapshot_as_well() {
        let blocks = r#"{"schema":"icecore/blocks/1","snapshot_id":"snap-0a","volume_size_gib":2,
            "blocks":[{"block_index":7,"byte_offset":3670016},{"block_index":8,"byte_offset":4194304}]}"#;
        let show =
            r#"{"schema":"icecore/show/1","snapshot_id":"snap-0a","volume_size_gib":2,"ranges":[[7,2]]}"#;
        for text in [blocks, show] {
            let map = read::<BlockSet>(text).unwrap();
            assert_eq!((map.blocks.len(), map.volume_size), (2, Some(ByteSize::from_mib(2048))));
            assert_eq!(map.snapshot_id.unwrap().as_str(), "snap-0a");
        }
        let cbt = r#"{"block_metadata_type":"VARIABLE_LENGTH","volume_capacity_bytes":1073741824,
            "block_metadata":[{"byte_offset":3670016,"size_bytes":1048576}]}"#;
        let map = read::<BlockSet>(cbt).unwrap();
        assert_eq!((map.blocks.ranges().count(), map.volume_size), (1, Some(ByteSize::from_mib(1024))));
    }

    #[test]
    fn what_is_no_block_map_is_refused_and_the_line_named() {
        for (text, said) in [
            ("1 524288\n2 7\n", "line 2 is no block: expected INDEX, FIRST-LAST or INDEX OFFSET"),
            ("9-3\n", "line 1"),
            ("2147483648\n", "line 1"),
            ("{\"schema\":\"icecore/cost/1\"}", "it is JSON that lists no blocks"),
            ("{\"ranges\":[[1,4294967296]]}", "no whole blocks"),
            ("{\"allocated_blocks\":3,\"ranges\":[[1,2]]}", "it lists 2 blocks, and says that it has 3"),
            ("{\"state\":\"incomplete\",\"ranges\":[[1,2]]}", "incomplete"),
            ("{\"volume_size_gib\":1,\"ranges\":[[2047,2]]}", "it names block 2048"),
            ("{\"block_metadata\":[{\"byte_offset\":1,\"size_bytes\":524288}]}", "no whole blocks"),
        ] {
            let fault = read::<BlockSet>(text).unwrap_err();
            assert_eq!(fault.kind, Kind::Unsuitable);
            assert!(fault.to_string().contains(said), "{fault}");
        }
    }

    /// What `icecore blocks` prints of three blocks.
    fn printed() -> String {
        let (id, size) = ("snap-0a".parse().unwrap(), ByteSize::from_mib(1024));
        let lines = ["7 3670016", "8 4194304", "2 1048576"].join("\n");
        format!("{}\n{lines}\n{}\n", first_line(&id, size), last_line(3, size))
    }

    #[test]
    fn a_map_that_says_how_many_blocks_it_lists_is_known_to_be_whole() {
        let map = read::<BlockSet>(&printed()).unwrap();
        assert!(map.is_counted);
        assert_eq!((map.blocks.len(), map.volume_size), (3, Some(ByteSize::from_mib(1024))));
        assert_eq!(map.snapshot_id.unwrap().as_str(), "snap-0a");
        let json = read::<BlockSet>(r#"{"allocated_blocks":2,"ranges":[[7,2]]}"#).unwrap();
        assert!(json.is_counted, "JSON that ends is whole");
        for text in ["7 3670016\n", "block_index,byte_offset\n7,3670016\n", "{\"block_index\":7}\n", "7-9\n"]
        {
            assert!(!read::<BlockSet>(text).unwrap().is_counted, "{text}");
        }
    }

    #[test]
    fn a_map_cut_at_any_byte_is_refused_or_seen_to_be_cut() {
        let whole = printed();
        for len in 0..whole.len() - 1 {
            match read::<BlockSet>(&whole[..len]) {
                Err(fault) => assert_eq!(fault.kind, Kind::Unsuitable),
                Ok(map) => assert!(!map.is_counted && map.blocks.is_empty(), "{len}: cut in its first line"),
            }
        }
        let without_first: String = whole.lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert!(read::<BlockSet>(&without_first).unwrap().is_counted);
        for lost in 1..=3 {
            let lines = whole.lines().enumerate().filter(|(at, _)| *at != lost);
            let text: String = lines.map(|(_, line)| format!("{line}\n")).collect();
            let fault = read::<BlockSet>(&text).unwrap_err();
            assert!(fault.to_string().contains("it lists 2 blocks, and its last line says 3"), "{fault}");
        }
    }

    #[test]
    fn lines_that_contradict_the_map_are_refused() {
        let whole = printed();
        for (text, said) in [
            (whole.replace("blocks=3", "blocks=x"), "line 5 is damaged"),
            (whole.replace("blocks=3 volume_bytes=1073741824", "blocks=3 volume_bytes=1"), "disagree"),
            (format!("{whole}9 4718592\n"), "line 6 names blocks after the line that ends the map"),
            (format!("{whole}{whole}"), "line 6 begins a second map"),
            (whole.replace("1073741824", "1048576"), "it names block 8"),
        ] {
            let fault = read::<BlockSet>(&text).unwrap_err();
            assert!(fault.kind == Kind::Unsuitable && fault.to_string().contains(said), "{fault}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_map_and_endless_lines_are_refused() {
        for text in
            ["\u{feff}0 0\n1 524288\n", "\u{feff}{\"blocks\":[{\"block_index\":0},{\"block_index\":1}]}"]
        {
            assert_eq!(read::<BlockSet>(text).unwrap().blocks.len(), 2, "{text}");
        }
        for text in ["7".repeat(1 << 20), format!("{{\"snapshot_id\":\"{}\"}}", "x".repeat(1 << 20))] {
            let fault = read::<BlockSet>(&text).unwrap_err();
            assert_eq!(fault.kind, Kind::Unsuitable);
            assert!(fault.to_string().contains("longer than"), "{fault}");
        }
    }
}
