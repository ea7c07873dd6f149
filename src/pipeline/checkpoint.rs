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
//! source's path, size and modification time); a checkpoint of another identity is not used, and says so. The fact
//! `state` proves that what the run read is unchanged since ([`Basis`]); without it, records count by trust alone.

use crate::block::{BlockIndex, BlockSet};
use crate::disk::{Access, Disk, Handle, Lock, Opening, Reading, directory, unique};
use crate::fault::{Fault, Kind, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"icecore\x01";
const RECORD: usize = 9;

/// The files of one run, by their extension: its checkpoint, the digests it found, its lock.
const PARTS: [&str; 3] = ["ckpt", "digests", "lock"];

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

/// What an earlier run with the same identity left.
#[derive(Debug)]
pub struct Found {
    /// Blocks delivered.
    pub done: BlockSet,
    /// Blocks found the same.
    pub same: BlockSet,
    header: Header,
    seed: u32,
    /// Bytes of the file up to the last record that counts.
    whole: u64,
    /// Whether it counts by trust alone.
    is_trusted: bool,
}

impl Found {
    /// Whether nothing proves that what the earlier run read is unchanged since, and its work counts all the same.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// A fact that the header holds.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.header.facts.get(name).map(String::as_str)
    }
}

/// What the work of an earlier run is held against before it counts: the state of what this run reads, which is kept
/// in the checkpoint when it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The state as it is now; `None` where equal states would prove nothing.
    pub proof: Option<String>,
    /// Whether the work counts without proof (`--trust-resumed`).
    pub is_trusted: bool,
}

/// The fact that holds the proof.
const PROOF: &str = "state";

impl Basis {
    /// Returns the facts of a new checkpoint with the proof among them.
    pub fn among(&self, mut facts: BTreeMap<String, String>) -> BTreeMap<String, String> {
        facts.extend(self.proof.iter().map(|proof| (PROOF.to_owned(), proof.clone())));
        facts
    }
}

/// What there is to resume.
#[derive(Debug)]
pub enum Earlier {
    /// No run was interrupted here.
    None,
    /// A run with the same identity.
    Same(Found),
    /// A run with the same identity, and nothing proves that what it read is unchanged since: its facts.
    Unproven(BTreeMap<String, String>),
    /// A run with another identity, or a file that is none of ours: facts, as far as they could be read.
    Other(BTreeMap<String, String>),
}

/// The right to the checkpoint at a path: one run at a time has it, whatever ends that run.
///
/// The lock is on a file of its own, which is never replaced: checkpoints are.
#[derive(Debug)]
pub struct Slot {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Whether a later run looks there: not where something foreign has the usual name.
    is_found_again: bool,
    _lock: Lock,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_found_again {
            for extension in PARTS {
                // Best effort: no run takes it for its own.
                let _ = self.disk.remove(&self.path.with_extension(extension));
            }
        }
    }
}

impl Slot {
    /// Takes the right, or says that another run has it.
    pub fn take(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, Fault> {
        let fault = |error| Fault::local(path, "lock the checkpoint", error);
        disk.make_dirs(directory(path), Access::Owner).map_err(fault)?;
        let usual = path;
        let path = &usable(&**disk, usual).map_err(fault)?;
        let is_found_again = path == usual;
        match disk.lock(&path.with_extension("lock"), "", Access::Owner).map_err(fault)? {
            lock @ Lock::Held(_) => {
                Ok(Self { disk: Arc::clone(disk), path: path.clone(), is_found_again, _lock: lock })
            }
            Lock::By(_) => {
                let what = "another run of the same command is at work";
                Err(Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what)
                    .hint("wait for it to end, or stop it"))
            }
        }
    }

    /// Returns where its checkpoint is: where it was asked for, or beside that where something foreign is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what an earlier run left here, where it still holds: where the state that it began with is the one of now.
    pub fn earlier_upon(&self, identity: &str, basis: &Basis) -> Result<Earlier, Fault> {
        Ok(match self.earlier(identity)? {
            Earlier::Same(found) if basis.proof.is_some() && found.fact(PROOF) == basis.proof.as_deref() => {
                Earlier::Same(found)
            }
            Earlier::Same(found) if basis.is_trusted => Earlier::Same(Found { is_trusted: true, ..found }),
            Earlier::Same(found) => Earlier::Unproven(found.header.facts),
            earlier => earlier,
        })
    }

    /// Reads what an earlier run left here. A file that another user could have written decides nothing.
    ///
    /// Where other users may write to the directory, an earlier run counts for nothing.
    pub fn earlier(&self, identity: &str) -> Result<Earlier, Fault> {
        if !self.disk.trusts(directory(&self.path)) {
            return Ok(Earlier::None);
        }
        let opened = self.disk.open(&self.path, Opening::FoundToRead);
        let found = match opened {
            Ok(file) => file.facts().and_then(|facts| match facts.is_ours_to_write() {
                true => Reading::of(file.as_ref()).and_then(|file| read(BufReader::new(file), identity)),
                false => {
                    let shown = self.path.display();
                    tracing::warn!("{shown}: other users may write to this checkpoint: it is not used");
                    Ok(Earlier::Other(BTreeMap::new()))
                }
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Earlier::None),
            Err(error) => Err(error),
        };
        found.map_err(|error| Fault::local(&self.path, "read the checkpoint", error))
    }

    /// Goes on with what was found. A torn tail is cut.
    pub fn resume(self, found: Found) -> Result<Checkpoint, Fault> {
        let opened = self.disk.open(&self.path, Opening::Found);
        let cut = opened.and_then(|file| file.set_len(found.whole).map(|()| file));
        let file = cut.map_err(|error| Fault::local(&self.path, "open the checkpoint", error))?;
        Ok(Checkpoint {
            file: Some(file),
            slot: self,
            header: found.header,
            seed: found.seed,
            end: found.whole,
        })
    }

    /// Makes a new checkpoint in place of whatever is there, durable when this returns.
    pub fn begin(self, identity: &str, facts: BTreeMap<String, String>) -> Result<Checkpoint, Fault> {
        let header = Header { identity: identity.to_owned(), facts };
        let (file, seed, end) =
            self.create(&header).map_err(|error| Fault::local(&self.path, "write the checkpoint", error))?;
        Ok(Checkpoint { file: Some(file), slot: self, header, seed, end })
    }

    /// The same, made with its first record: for work that need not wait for a disk before there is anything to lose.
    pub fn begin_later(self, identity: &str, facts: BTreeMap<String, String>) -> Checkpoint {
        let header = Header { identity: identity.to_owned(), facts };
        Checkpoint { file: None, slot: self, header, seed: 0, end: 0 }
    }

    fn create(&self, header: &Header) -> std::io::Result<(Box<dyn Handle>, u32, u64)> {
        let (bytes, seed) = encode(header)?;
        self.disk.replace(&self.path, &bytes, Access::Owner)?;
        Ok((self.disk.open(&self.path, Opening::Found)?, seed, bytes.len() as u64))
    }
}

/// A checkpoint being written.
#[derive(Debug)]
pub struct Checkpoint {
    /// `None` before the first record of one that is made with it.
    file: Option<Box<dyn Handle>>,
    slot: Slot,
    header: Header,
    seed: u32,
    /// Where the next record goes.
    end: u64,
}

impl Checkpoint {
    /// A fact that the header holds.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.header.facts.get(name).map(String::as_str)
    }

    /// Returns the checksum of the header, which no other run's checkpoint has, as far as headers differ.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// Adds a fact to the header, durably. Only before the first record: a new header makes a new file.
    pub fn set_fact(self, name: &str, value: &str) -> Result<Self, Fault> {
        let mut header = self.header;
        header.facts.insert(name.to_owned(), value.to_owned());
        self.slot.begin(&header.identity, header.facts)
    }

    /// Forgets every record, durably: nothing is done.
    pub fn cleared(self) -> Result<Self, Fault> {
        self.slot.begin(&self.header.identity, self.header.facts)
    }

    /// Appends records in one write. What they claim must be durable by then.
    pub fn append(&mut self, records: &[(Mark, BlockIndex)]) -> Result<(), Fault> {
        self.try_append(records).map_err(|error| Fault::local(&self.slot.path, "write the checkpoint", error))
    }

    fn try_append(&mut self, records: &[(Mark, BlockIndex)]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let (file, seed, end) = self.slot.create(&self.header)?;
                (self.seed, self.end) = (seed, end);
                none.insert(file)
            }
        };
        let mut bytes = Vec::with_capacity(records.len() * RECORD);
        for (mark, index) in records {
            bytes.extend(record(*mark, *index, self.seed));
        }
        file.write_at(&bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Ends the writing; the checkpoint stays, and so does the right to it.
    pub fn into_slot(self) -> Slot {
        self.slot
    }

    /// The work is finished: there is nothing to resume any more.
    pub fn remove(self) -> Result<(), Fault> {
        if self.file.is_none() {
            return Ok(());
        }
        let removed = self.slot.disk.remove_durably(&self.slot.path);
        removed.map_err(|error| Fault::local(&self.slot.path, "remove the checkpoint", error))
    }

    /// Where checkpoints of this kind for this target are kept: the name holds no secret and no separator.
    pub fn path(state_dir: &Path, command: &str, target: &str) -> PathBuf {
        let digest = crate::block::Digest::of(target.as_bytes()).to_string();
        state_dir.join("checkpoints").join(format!("{command}-{}.ckpt", &digest[..20]))
    }
}

/// Returns the path, or another where anything of a run under this one is foreign: its checkpoint, its digests, its lock.
fn usable(disk: &dyn Disk, path: &Path) -> std::io::Result<PathBuf> {
    for extension in PARTS {
        let part = path.with_extension(extension);
        let usable = disk.own_name(&part)?;
        if usable != part {
            return Ok(path.with_extension(format!("{}.ckpt", unique())));
        }
    }
    Ok(path.to_owned())
}

/// The header as bytes, up to and including its CRC; and that CRC.
fn encode(header: &Header) -> std::io::Result<(Vec<u8>, u32)> {
    let json = serde_json::to_vec(header)?;
    let length = u32::try_from(json.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(json);
    let seed = crc32fast::hash(&bytes);
    bytes.extend(seed.to_le_bytes());
    Ok((bytes, seed))
}

/// Longest header that is read: paths and tags, with room to spare.
const LONGEST_HEADER: u32 = 1 << 20;

/// Reads a file record by record: of 64 TiB there may be a gigabyte of them.
fn read(mut file: impl Read, identity: &str) -> std::io::Result<Earlier> {
    let Some((header, seed, length)) = read_header(&mut file)? else {
        return Ok(Earlier::Other(BTreeMap::new()));
    };
    if header.identity != identity {
        return Ok(Earlier::Other(header.facts));
    }
    let mut found = Found {
        done: BlockSet::new(),
        same: BlockSet::new(),
        header,
        seed,
        whole: length,
        is_trusted: false,
    };
    let mut bytes = [0; RECORD];
    while is_filled(&mut file, &mut bytes)? {
        let Some((mark, index)) = parse_record(&bytes, seed) else { break };
        match mark {
            Mark::Done => found.done.insert(index),
            Mark::Same => found.same.insert(index),
        };
        found.whole += RECORD as u64;
    }
    Ok(Earlier::Same(found))
}

/// The header, its CRC and its length in the file; `None` where it is no header of ours.
fn read_header(file: &mut impl Read) -> std::io::Result<Option<(Header, u32, u64)>> {
    let mut start = [0; 12];
    if !is_filled(file, &mut start)? {
        return Ok(None);
    }
    let [magic @ .., a, b, c, d] = &start;
    let length = u32::from_le_bytes([*a, *b, *c, *d]);
    if magic != MAGIC || length > LONGEST_HEADER {
        return Ok(None);
    }
    let mut rest = Vec::new();
    file.take(u64::from(length) + 4).read_to_end(&mut rest)?;
    let Some((json, seed)) = rest.split_last_chunk::<4>().filter(|(json, _)| json.len() == length as usize)
    else {
        return Ok(None);
    };
    let seed = u32::from_le_bytes(*seed);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&start);
    crc.update(json);
    let header = serde_json::from_slice(json).ok().filter(|_| crc.finalize() == seed);
    Ok(header.map(|header| (header, seed, 12 + u64::from(length) + 4)))
}

/// Fills the buffer; false at the end of the file, a torn piece before it included.
fn is_filled(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
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

/// Reads a checkpoint as it lies on disk, for fuzzers. With a right header and with whatever header there is.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_checkpoint(bytes: &[u8]) {
    let read_as = |bytes: &[u8]| {
        if let Ok(Earlier::Same(found)) = read(bytes, "one") {
            assert!(found.whole <= bytes.len() as u64, "no more counts than is there");
        }
    };
    read_as(bytes);
    let header = Header { identity: "one".to_owned(), facts: BTreeMap::new() };
    if let Ok((mut whole, _)) = encode(&header) {
        whole.extend(bytes);
        read_as(&whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk::default())
    }

    fn facts() -> BTreeMap<String, String> {
        BTreeMap::from([("snapshot".into(), "snap-0a".into())])
    }

    fn written(path: &Path, n: u32) {
        let mut checkpoint = Slot::take(&disk(), path).unwrap().begin("one", facts()).unwrap();
        for index in 0..n {
            let mark = if index % 3 == 0 { Mark::Same } else { Mark::Done };
            checkpoint.append(&[(mark, BlockIndex::new(index))]).unwrap();
        }
    }

    fn found(slot: &Slot) -> Found {
        match slot.earlier("one").unwrap() {
            Earlier::Same(found) => found,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_that_begins_later_is_there_from_its_first_record_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 3);
        let mut checkpoint = Slot::take(&disk(), &path).unwrap().begin_later("two", BTreeMap::new());
        let slot = || Slot {
            disk: disk(),
            path: path.clone(),
            is_found_again: true,
            _lock: Lock::By(String::new()),
        };
        assert_eq!(found(&slot()).done.len(), 2, "it is as it was");
        checkpoint.append(&[(Mark::Done, BlockIndex::new(9))]).unwrap();
        checkpoint.append(&[(Mark::Done, BlockIndex::new(7))]).unwrap();
        assert!(matches!(slot().earlier("one").unwrap(), Earlier::Other(_)));
        assert!(matches!(slot().earlier("two").unwrap(), Earlier::Same(found) if found.done.len() == 2));
        checkpoint.remove().unwrap();
        assert!(!path.exists());
        let unused = Slot::take(&disk(), &path).unwrap().begin_later("two", BTreeMap::new());
        unused.remove().unwrap();
    }

    #[test]
    fn what_was_recorded_is_resumed_and_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/x.ckpt");
        written(&path, 30);
        let slot = Slot::take(&disk(), &path).unwrap();
        let earlier = found(&slot);
        assert_eq!((earlier.done.len(), earlier.same.len()), (20, 10));
        let mut checkpoint = slot.resume(earlier).unwrap();
        assert_eq!(checkpoint.fact("snapshot"), Some("snap-0a"));
        checkpoint.append(&[(Mark::Done, BlockIndex::new(99))]).unwrap();
        drop(checkpoint);
        let slot = Slot::take(&disk(), &path).unwrap();
        let earlier = found(&slot);
        assert_eq!(earlier.done.len(), 21);
        slot.resume(earlier).unwrap().remove().unwrap();
        assert!(matches!(Slot::take(&disk(), &path).unwrap().earlier("one").unwrap(), Earlier::None));
    }

    #[test]
    fn a_file_torn_or_bent_anywhere_never_claims_a_block_it_should_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 12);
        let whole = std::fs::read(&path).unwrap();
        let header = whole.len() - 12 * RECORD;
        let records_of = |bytes: &[u8]| match read(bytes, "one").unwrap() {
            Earlier::Same(found) => Some((found.done.len() + found.same.len(), found.whole)),
            _ => None,
        };
        for length in 0..whole.len() {
            let records = length.checked_sub(header).map(|rest| rest / RECORD);
            let expected = records.map(|n| (n as u64, (header + n * RECORD) as u64));
            assert_eq!(records_of(&whole[..length]), expected, "torn at {length}");
        }
        for position in 0..whole.len() {
            let mut bent = whole.clone();
            bent[position] ^= 0x04;
            let before = position.checked_sub(header).map(|rest| (rest / RECORD) as u64);
            assert_eq!(records_of(&bent).map(|(records, _)| records), before, "byte {position}");
        }
    }

    #[test]
    fn a_torn_tail_is_cut_before_more_is_appended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 3);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 2);
        std::fs::write(&path, bytes).unwrap();
        let slot = Slot::take(&disk(), &path).unwrap();
        let earlier = found(&slot);
        let mut checkpoint = slot.resume(earlier).unwrap();
        checkpoint.append(&[(Mark::Done, BlockIndex::new(7))]).unwrap();
        drop(checkpoint);
        let earlier = found(&Slot::take(&disk(), &path).unwrap());
        assert!(earlier.done.contains(BlockIndex::new(7)));
        assert_eq!(earlier.done.len() + earlier.same.len(), 3);
    }

    #[test]
    fn two_runs_never_share_a_checkpoint_not_even_while_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let first = Slot::take(&disk(), &path).unwrap();
        assert_eq!(Slot::take(&disk(), &path).unwrap_err().kind, Kind::Unsuitable);
        let begun = first.begin("one", facts()).unwrap();
        assert_eq!(Slot::take(&disk(), &path).unwrap_err().kind, Kind::Unsuitable);
        let replaced = begun.set_fact("more", "1").unwrap();
        assert_eq!(Slot::take(&disk(), &path).unwrap_err().kind, Kind::Unsuitable);
        assert_eq!((replaced.fact("more"), replaced.fact("snapshot")), (Some("1"), Some("snap-0a")));
        drop(replaced);
        assert!(matches!(Slot::take(&disk(), &path).unwrap().earlier("one").unwrap(), Earlier::Same(_)));
    }

    #[test]
    fn work_counts_where_its_state_is_the_one_of_now_or_by_trust() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        let upon = |proof: Option<&str>, is_trusted| Basis { proof: proof.map(str::to_owned), is_trusted };
        let slot = || Slot::take(&disk(), &path).unwrap();
        let begun = |basis: &Basis| drop(slot().begin("one", basis.among(facts())).unwrap());
        let earlier = |basis: &Basis| slot().earlier_upon("one", basis).unwrap();
        begun(&upon(Some("a"), false));
        for is_trusted in [false, true] {
            assert!(
                matches!(earlier(&upon(Some("a"), is_trusted)), Earlier::Same(found) if !found.is_trusted())
            );
        }
        for proof in [Some("b"), None] {
            assert!(
                matches!(earlier(&upon(proof, false)), Earlier::Unproven(left) if left["snapshot"] == "snap-0a")
            );
            assert!(matches!(earlier(&upon(proof, true)), Earlier::Same(found) if found.is_trusted()));
        }
        // Of two states that prove nothing none is the other; a checkpoint of an earlier version has none.
        begun(&upon(None, false));
        assert!(matches!(earlier(&upon(None, false)), Earlier::Unproven(_)));
        assert!(matches!(earlier(&upon(Some("a"), false)), Earlier::Unproven(_)));
    }

    #[test]
    fn a_checkpoint_that_another_user_could_write_decides_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 3);
        let earlier = || Slot::take(&disk(), &path).unwrap().earlier("one").unwrap();
        for mode in [0o620, 0o602, 0o666] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert!(matches!(earlier(), Earlier::Other(_)), "{mode:o}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(earlier(), Earlier::Same(_)));
        // Only root can give a file away.
        if std::os::unix::fs::chown(&path, Some(4711), None).is_ok() {
            let found = Slot::take(&disk(), &path).unwrap().earlier("one");
            assert!(!matches!(found, Ok(Earlier::Same(_))));
        }
    }

    #[test]
    fn another_runs_checkpoint_is_not_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ckpt");
        written(&path, 3);
        let other = Slot::take(&disk(), &path).unwrap().earlier("two").unwrap();
        assert!(matches!(other, Earlier::Other(found) if found == facts()));
    }

    #[test]
    fn records_of_another_file_do_not_count() {
        let (mut one, seed) = encode(&Header { identity: "one".into(), facts: facts() }).unwrap();
        let foreign = record(Mark::Done, BlockIndex::new(1), seed ^ 1);
        one.extend(foreign);
        let Earlier::Same(found) = read(one.as_slice(), "one").unwrap() else { panic!("ours") };
        assert!(found.done.is_empty());
    }
}
