//! Block maps made earlier: what `icecore blocks`, `diff` or `show` printed, in whatever format, or ranges by hand.
//!
//! A host that has no credentials is told in this way which blocks of a volume matter. Understood are, line by line,
//! `INDEX`, `FIRST-LAST`, and `INDEX OFFSET` with a blank or a comma between (the text and CSV of `icecore blocks`),
//! `#` before a remark; and the JSON of `blocks`, `diff` and `show`, the lines of `--format jsonl`, and `--format cbt`.

use crate::block::{BlockIndex, BlockRange, BlockSet, BlockSize, ByteSize};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::SnapshotId;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
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
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let unsuitable = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => unsuitable("there is no such file".to_owned()).hint("check the path"),
            _ => Fault::local(path, "open", error),
        })?;
        let mut file = BufReader::new(file);
        let start = file.fill_buf().map_err(|error| Fault::local(path, "read", error))?;
        let is_json = start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let read = if is_json { json(file) } else { lines(file) };
        read.map_err(|what| unsuitable(what).hint("icecore blocks SNAPSHOT makes one"))
    }
}

/// Ranges on their way into a collection. Most files name single blocks: neighbours are joined before they go in.
#[derive(Default)]
struct Gathering<C> {
    gathered: C,
    last: Option<BlockRange>,
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

    fn join(&mut self, next: C) {
        if let Some(last) = self.last.take() {
            self.gathered.gather(last);
        }
        self.gathered.join(next);
    }

    fn finish(mut self) -> C {
        self.join(C::default());
        self.gathered
    }

    /// Adds `len` blocks, where there can be such blocks.
    fn add(&mut self, start: u64, len: u64) -> Option<()> {
        let end = start.checked_add(len).filter(|end| *end <= 1 << 31)?;
        let first = BlockIndex::try_from(i64::try_from(start).ok()?).ok();
        // Nothing can begin after the last block.
        first.map(|first| self.push(first, u32::try_from(end - start).unwrap_or(u32::MAX)))
    }
}

fn lines<C: Gather>(file: impl BufRead) -> Result<BlockMap<C>, String> {
    let mut blocks = Gathering::<C>::default();
    for (number, line) in (1..).zip(file.lines()) {
        let refused = || format!("line {number} is no block: expected INDEX, FIRST-LAST or INDEX OFFSET");
        let line = line.map_err(|_| refused())?;
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line == "block_index,byte_offset" {
            continue;
        }
        parsed(line).and_then(|(start, len)| blocks.add(start, len)).ok_or_else(refused)?;
    }
    Ok(BlockMap { blocks: blocks.finish(), volume_size: None, snapshot_id: None })
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
struct Listed<R, C>(C, PhantomData<R>);

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
                Ok(Listed(blocks.finish(), PhantomData))
            }
        }
        deserializer.deserialize_seq(Add(PhantomData))
    }
}

fn json<C: Gather>(file: impl BufRead) -> Result<BlockMap<C>, String> {
    let (mut blocks, mut volume_size, mut snapshot_id) = (Gathering::<C>::default(), None, None);
    for report in serde_json::Deserializer::from_reader(file).into_iter::<Report<C>>() {
        let report = report.map_err(|error| format!("it is no block map: {error}"))?;
        let lists = [
            report.blocks.map(|list| list.0),
            report.block_metadata.map(|list| list.0),
            report.ranges.map(|list| list.0),
        ];
        let mut is_told = false;
        for list in lists.into_iter().flatten() {
            is_told = true;
            blocks.join(list);
        }
        if let Some(index) = report.block_index {
            blocks.add(index, 1).ok_or("there is no block of that number")?;
            is_told = true;
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
    Ok(BlockMap { blocks: blocks.finish(), volume_size, snapshot_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<C: Gather>(text: &str) -> Result<BlockMap<C>, Fault> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map");
        std::fs::write(&path, text).unwrap();
        BlockMap::read(&path)
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
            ("{\"block_metadata\":[{\"byte_offset\":1,\"size_bytes\":524288}]}", "no whole blocks"),
        ] {
            let fault = read::<BlockSet>(text).unwrap_err();
            assert_eq!(fault.kind, Kind::Unsuitable);
            assert!(fault.to_string().contains(said), "{fault}");
        }
    }
}
