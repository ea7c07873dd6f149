//! Checkpoints: what an interrupted run has done, so that the same command goes on from there.
//!
//! A checkpoint is one file, appended to. Its layout, all integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `icecore` and the version, 1 |
//! | 4 | `n`, length of the header |
//! | n | the header: JSON, `{"identity": "..", "facts": {..}}` |
//! | 4 | CRC-32 of all of the above |
//! | 9 each | records: 1 byte mark, 4 bytes block index, 4 bytes CRC-32 of header CRC, mark and index |
//!
//! The header is written whole, through a temporary name. A record counts when its checksum is right and so are
//! those before it: a torn tail is cut when the file is opened again. The header's CRC is part of every record's,
//! so records of another file never count here. The **identity** says which run this is (command, snapshots, the
//! source's path, size and modification time); a checkpoint of another identity is not used, and says so.

use crate::block::{BlockIndex, BlockSet};
use crate::fault::{Fault, Kind, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"icecore\x01";
const RECORD: usize = 9;

/// What a record says of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// It was delivered: written to the file, accepted by the service.
    Done = 1,
    /// It needs nothing: it is the same on both sides.
    Same = 2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    identity: String,
    facts: BTreeMap<String, String>,
}

/// What an earlier run left.
#[derive(Debug)]
pub struct Resumed {
    /// The file, to go on with.
    pub checkpoint: Checkpoint,
    /// Blocks delivered.
    pub done: BlockSet,
    /// Blocks found the same.
    pub same: BlockSet,
}

/// What there is to resume.
#[derive(Debug)]
pub enum Earlier {
    /// No run was interrupted here.
    None,
    /// A run with the same identity.
    Same(Resumed),
    /// A run with another identity, or a file that is none of ours: facts, as far as they could be read.
    Other(BTreeMap<String, String>),
}

/// A checkpoint being written.
#[derive(Debug)]
pub struct Checkpoint {
    file: File,
    path: PathBuf,
    header: Header,
    seed: u32,
}

impl Checkpoint {
    /// Makes a new one in place of whatever is there, durable when this returns.
    pub fn create(path: &Path, identity: &str, facts: BTreeMap<String, String>) -> Result<Self, Fault> {
        let header = Header { identity: identity.to_owned(), facts };
        let fault = |error| Fault::local(path, "write the checkpoint", error);
        let json = serde_json::to_vec(&header).map_err(|error| fault(error.into()))?;
        let length = u32::try_from(json.len()).map_err(|_| fault(ErrorKind::InvalidInput.into()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(json);
        let seed = crc32fast::hash(&bytes);
        bytes.extend(seed.to_le_bytes());

        let directory = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(fault)?;
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary).map_err(fault)?;
        lock(&file, path)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(fault)?;
        std::fs::rename(&temporary, path).map_err(fault)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(fault)?;
        Ok(Self { file, path: path.to_owned(), header, seed })
    }

    /// Opens what an earlier run left at this path. A torn tail is cut.
    pub fn open(path: &Path, identity: &str) -> Result<Earlier, Fault> {
        let fault = |error| Fault::local(path, "read the checkpoint", error);
        let mut file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Earlier::None),
            Err(error) => return Err(fault(error)),
        };
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fault)?;
        let Some((header, seed, records)) = parse_header(&bytes) else {
            return Ok(Earlier::Other(BTreeMap::new()));
        };
        if header.identity != identity {
            return Ok(Earlier::Other(header.facts));
        }
        let (mut done, mut same, mut whole) = (BlockSet::new(), BlockSet::new(), 0);
        for (mark, index) in records.chunks_exact(RECORD).map_while(|record| parse_record(record, seed)) {
            match mark {
                Mark::Done => done.insert(index),
                Mark::Same => same.insert(index),
            };
            whole += RECORD;
        }
        let length = bytes.len() - records.len() + whole;
        file.set_len(length as u64).map_err(fault)?;
        let checkpoint = Self { file, path: path.to_owned(), header, seed };
        Ok(Earlier::Same(Resumed { checkpoint, done, same }))
    }

    /// Where it lies.
    pub fn place(&self) -> &Path {
        &self.path
    }

    /// A fact that the header holds.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.header.facts.get(name).map(String::as_str)
    }

    /// Adds a fact to the header, durably. Only before the first record: a new header makes a new file.
    pub fn set_fact(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let mut facts = self.header.facts.clone();
        facts.insert(name.to_owned(), value.to_owned());
        *self = Self::create(&self.path, &self.header.identity, facts)?;
        Ok(())
    }

    /// Appends records in one write. What they claim must be durable by then.
    pub fn append(&mut self, records: &[(Mark, BlockIndex)]) -> Result<(), Fault> {
        let mut bytes = Vec::with_capacity(records.len() * RECORD);
        for (mark, index) in records {
            bytes.extend(record(*mark, *index, self.seed));
        }
        self.file.write_all(&bytes).map_err(|error| Fault::local(&self.path, "write the checkpoint", error))
    }

    /// The work is finished: there is nothing to resume any more.
    pub fn remove(self) -> Result<(), Fault> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Fault::local(&self.path, "remove the checkpoint", error))
            }
            _ => Ok(()),
        }
    }

    /// Where checkpoints of this kind for this target are kept: the name holds no secret and no separator.
    pub fn path(state_dir: &Path, command: &str, target: &str) -> PathBuf {
        let digest = crate::block::Digest::of(target.as_bytes()).to_string();
        state_dir.join("checkpoints").join(format!("{command}-{}.ckpt", &digest[..20]))
    }
}

/// One run at a time works from a checkpoint; the lock goes with the file, whatever ends the run.
fn lock(file: &File, path: &Path) -> Result<(), Fault> {
    file.try_lock().map_err(|_| {
        Fault::new(
            Kind::Unsuitable,
            Place::File(path.to_owned()),
            "another run of the same command is at work",
        )
        .hint("wait for it to end, or stop it")
    })
}

fn parse_header(bytes: &[u8]) -> Option<(Header, u32, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (json, rest) = rest.split_at_checked(length)?;
    let (seed, records) = rest.split_first_chunk::<4>()?;
    let seed = u32::from_le_bytes(*seed);
    if crc32fast::hash(&bytes[..MAGIC.len() + 4 + length]) != seed {
        return None;
    }
    Some((serde_json::from_slice(json).ok()?, seed, records))
}

fn record(mark: Mark, index: BlockIndex, seed: u32) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[0] = mark as u8;
    bytes[1..5].copy_from_slice(&index.get().to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seed.to_le_bytes());
    crc.update(&bytes[..5]);
    bytes[5..].copy_from_slice(&crc.finalize().to_le_bytes());
    bytes
}

fn parse_record(bytes: &[u8], seed: u32) -> Option<(Mark, BlockIndex)> {
    let mark = [Mark::Done, Mark::Same].into_iter().find(|mark| *mark as u8 == bytes[0])?;
    let (_, index) = bytes.split_at_checked(1)?;
    let index = BlockIndex::try_from(i64::from(u32::from_le_bytes(*index.first_chunk()?))).ok()?;
    (record(mark, index, seed) == bytes).then_some((mark, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> BTreeMap<String, String> {
        BTreeMap::from([("snapshot".into(), "snap-0a".into())])
    }

    fn written(path: &Path, n: u32) {
        let mut checkpoint = Checkpoint::create(path, "one", facts()).unwrap();
        for index in 0..n {
            let mark = if index % 3 == 0 { Mark::Same } else { Mark::Done };
            checkpoint.append(&[(mark, BlockIndex::new(index))]).unwrap();
        }
    }

    fn resumed(path: &Path) -> Resumed {
        match Checkpoint::open(path, "one").unwrap() {
            Earlier::Same(resumed) => resumed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_recorded_is_resumed_and_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/x.ckpt");
        written(&path, 30);
        let mut first = resumed(&path);
        assert_eq!((first.done.len(), first.same.len()), (20, 10));
        assert_eq!(first.checkpoint.fact("snapshot"), Some("snap-0a"));
        first.checkpoint.append(&[(Mark::Done, BlockIndex::new(99))]).unwrap();
        let second = resumed(&path);
        assert_eq!(second.done.len(), 21);
        second.checkpoint.remove().unwrap();
        assert!(matches!(Checkpoint::open(&path, "one").unwrap(), Earlier::None));
    }

    #[test]
    fn a_file_torn_or_bent_anywhere_never_claims_a_block_it_should_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 12);
        let whole = std::fs::read(&path).unwrap();
        let header = whole.len() - 12 * RECORD;
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            match Checkpoint::open(&path, "one").unwrap() {
                Earlier::Same(resumed) => {
                    let records = (length - header) / RECORD;
                    assert_eq!(resumed.done.len() + resumed.same.len(), records as u64);
                    assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, header + records * RECORD);
                }
                _ => assert!(length < header),
            }
        }
        for position in 0..whole.len() {
            let mut bent = whole.clone();
            bent[position] ^= 0x04;
            std::fs::write(&path, &bent).unwrap();
            match Checkpoint::open(&path, "one").unwrap() {
                Earlier::Same(resumed) => {
                    let before = (position - header) / RECORD;
                    assert_eq!(resumed.done.len() + resumed.same.len(), before as u64, "byte {position}");
                }
                _ => assert!(position < header),
            }
        }
    }

    #[test]
    fn two_runs_never_share_a_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let first = Checkpoint::create(&path, "one", facts()).unwrap();
        assert_eq!(Checkpoint::open(&path, "one").unwrap_err().kind, Kind::Unsuitable);
        drop(first);
        assert!(matches!(Checkpoint::open(&path, "one").unwrap(), Earlier::Same(_)));
    }

    #[test]
    fn another_runs_checkpoint_is_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 3);
        assert!(matches!(Checkpoint::open(&path, "two").unwrap(), Earlier::Other(found) if found == facts()));
    }

    #[test]
    fn records_of_another_file_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("1.ckpt"), dir.path().join("2.ckpt"));
        written(&one, 5);
        Checkpoint::create(&two, "one", BTreeMap::new()).unwrap();
        let mut mixed = std::fs::read(&two).unwrap();
        let records = std::fs::read(&one).unwrap();
        mixed.extend(&records[records.len() - 5 * RECORD..]);
        std::fs::write(&two, mixed).unwrap();
        assert_eq!(resumed(&two).done.len(), 0);
    }
}
