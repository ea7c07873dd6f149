//! What a run is about to do and what it has done, so that another process can end it.
//!
//! One file for each run, `runs/RUN.journal` in the state directory, appended to. Integers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `icejrnl` and the version, 1 |
//! | 4 | `n`, length of the record |
//! | 4 | CRC-32 of the checksum before it (0 for the first record) and the record |
//! | n | the record: JSON. The first is the order: what was asked for |
//!
//! Records are chained as those of checkpoints are, so that none of another file counts; they are no checkpoint's
//! records because those hold block indexes and nothing else, and no database because a dozen lines of one writer need
//! none. Every record is durable before what it announces is done. A torn tail is cut when the file is opened again:
//! what it announced had not begun.
//!
//! Whoever works on a run holds the lock beside its journal: one that nobody holds is of a run that has died.

use crate::disk::{Access, Disk, Handle, Lock, Machine, Opening, directory};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::orchestrate::{Facts, RunId};
use crate::snapshot::UnixMillis;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"icejrnl\x01";

/// Longest journal that is read: a thousand drills take a few MiB.
const LONGEST: usize = 64 << 20;

/// What is said of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sign", rename_all = "snake_case")]
pub(super) enum Sign {
    /// It is about to be done.
    Begun,
    /// It was done, and found this.
    Done { facts: Facts },
    /// It was not, or not wholly.
    Failed { why: String },
    /// It is about to be undone.
    Undoing,
    /// Nothing is left of it.
    Undone,
    /// Something is left of it.
    Left { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    at: i64,
    part: u32,
    step: String,
    #[serde(flatten)]
    sign: Sign,
}

/// The first record.
#[derive(Debug, Serialize, Deserialize)]
struct Head<O> {
    at: i64,
    run: String,
    order: O,
}

/// What a journal says of an earlier process.
#[derive(Debug, Default)]
pub struct Past {
    /// When the run was begun.
    pub(super) begun: Option<UnixMillis>,
    entries: Vec<Entry>,
}

impl Past {
    /// Everything that the steps of a part found.
    pub(super) fn facts(&self, part: u32) -> Facts {
        let found = self.of(part).filter_map(|entry| match &entry.sign {
            Sign::Done { facts } => Some(facts.clone()),
            _ => None,
        });
        found.flatten().collect()
    }

    pub(super) fn is_begun(&self, part: u32, step: &str) -> bool {
        self.of(part).any(|entry| entry.step == step)
    }

    pub(super) fn is_done(&self, part: u32, step: &str) -> bool {
        self.of(part).any(|entry| entry.step == step && matches!(entry.sign, Sign::Done { .. }))
    }

    /// Whether a part had come to its end: nothing of it is done any more, only undone.
    pub(super) fn is_undoing(&self, part: u32) -> bool {
        self.of(part).any(|entry| !matches!(entry.sign, Sign::Begun | Sign::Done { .. }))
    }

    pub(super) fn is_undone(&self, part: u32, step: &str) -> bool {
        let last = self.of(part).filter(|entry| entry.step == step).last();
        last.is_some_and(|entry| entry.sign == Sign::Undone)
    }

    /// When a step was last begun.
    pub(super) fn begun_at(&self, part: u32, step: &str) -> Option<UnixMillis> {
        let begun = self.of(part).filter(|entry| entry.step == step && entry.sign == Sign::Begun);
        begun.last().map(|entry| UnixMillis(entry.at))
    }

    /// The parts that anything was done for.
    pub(super) fn parts(&self) -> std::collections::BTreeSet<u32> {
        self.entries.iter().map(|entry| entry.part).collect()
    }

    fn of(&self, part: u32) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.part == part)
    }
}

/// The journal of a run that this process works on.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    open: Mutex<Open>,
    _lock: Lock,
}

#[derive(Debug)]
struct Open {
    file: Box<dyn Handle>,
    end: u64,
    seed: u32,
}

impl Journal {
    /// What is said of a run that another process works on.
    pub(super) const AT_WORK: &'static str = "a process is at work on this run";

    /// Begins the journal of a new run; durable when this returns.
    pub(super) fn begin(machine: &Machine, run: &RunId, order: &impl Serialize) -> Result<Self, Fault> {
        let path = path_of(machine, run);
        let failed = |error| Fault::local(&path, "write the journal", error);
        machine.disk.make_dirs(directory(&path), Access::Owner).map_err(failed)?;
        let lock = locked(machine.disk.as_ref(), &path)?;
        let head = Head { at: SystemClock.now().0, run: run.to_string(), order };
        let payload = serde_json::to_vec(&head).map_err(|error| failed(error.into()))?;
        let (record, seed) = chained(&payload, 0).map_err(failed)?;
        let bytes = [MAGIC.as_slice(), &record].concat();
        machine.disk.replace(&path, &bytes, Access::Owner).map_err(failed)?;
        let file = machine.disk.open(&path, Opening::Found).map_err(failed)?;
        let open = Mutex::new(Open { file, end: bytes.len() as u64, seed });
        Ok(Self { disk: machine.disk.clone(), path, open, _lock: lock })
    }

    /// Takes over the journal of a run whose process has died; gives its order and what was done.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Unsuitable` while a process works on it or when it is no journal.
    pub(super) fn take<O: DeserializeOwned>(
        machine: &Machine,
        run: &RunId,
    ) -> Result<(Self, O, Past), Fault> {
        let path = path_of(machine, run);
        if !matches!(machine.disk.node(&path), Ok(Some(_))) {
            let what = format!("there is no journal of {run}");
            return Err(Fault::new(Kind::NotFound, Place::File(path), what)
                .hint("it has ended, or ran with another --state-dir; icecore cleanup finds what is left by its tags"));
        }
        machine.disk.refuse_untrusted(directory(&path))?;
        let lock = locked(machine.disk.as_ref(), &path)?;
        let failed = |error| Fault::local(&path, "read the journal", error);
        let bytes = machine.disk.read_found(&path, LONGEST).map_err(failed)?;
        let Some((head, entries, end, seed)) = read(&bytes) else {
            let what = "it is no journal, or damaged from its first byte on";
            return Err(Fault::new(Kind::Unsuitable, Place::File(path), what)
                .hint("icecore cleanup finds what is left by its tags; remove the file then"));
        };
        let head: Head<O> = serde_json::from_slice(head).map_err(|error| {
            Fault::new(
                Kind::Unsuitable,
                Place::File(path.clone()),
                format!("its order cannot be read: {error}"),
            )
            .hint("it is of another version; icecore cleanup ends it by its tags")
        })?;
        let past = Past { begun: Some(UnixMillis(head.at)), entries };
        let file = machine.disk.open(&path, Opening::Found).map_err(failed)?;
        file.set_len(end).map_err(failed)?;
        let open = Mutex::new(Open { file, end, seed });
        Ok((Self { disk: machine.disk.clone(), path, open, _lock: lock }, head.order, past))
    }

    /// Says something of a step, durably.
    pub(super) fn note(&self, part: u32, step: &str, sign: &Sign) -> Result<(), Fault> {
        let entry = Entry { at: SystemClock.now().0, part, step: step.to_owned(), sign: sign.clone() };
        let failed = |error| Fault::local(&self.path, "write the journal", error);
        let payload = serde_json::to_vec(&entry).map_err(|error| failed(error.into()))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (record, seed) = chained(&payload, open.seed).map_err(failed)?;
        open.file.write_at(&record, open.end).and_then(|()| open.file.sync()).map_err(failed)?;
        (open.end, open.seed) = (open.end + record.len() as u64, seed);
        Ok(())
    }

    /// The run has ended and left nothing: its journal goes.
    pub(super) fn remove(self) -> Result<(), Fault> {
        self.disk
            .remove_durably(&self.path)
            .and_then(|()| self.disk.remove_durably(&self.path.with_extension("lock")))
            .map_err(|error| Fault::local(&self.path, "remove the journal", error))
    }

    /// Returns every run that has a journal here; none where other users may write to the directory.
    pub(super) fn runs(machine: &Machine) -> Result<Vec<RunId>, Fault> {
        let dir = machine.state_dir.join(DIR);
        let names = match machine.disk.names(&dir) {
            Ok(_) if !machine.disk.trusts(&dir) => return Ok(Vec::new()),
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Fault::local(&dir, "look into", error)),
        };
        let mut runs: Vec<RunId> =
            names.iter().filter_map(|name| name.strip_suffix(".journal")?.parse().ok()).collect();
        runs.sort();
        Ok(runs)
    }
}

const DIR: &str = "runs";

fn path_of(machine: &Machine, run: &RunId) -> PathBuf {
    machine.state_dir.join(DIR).join(format!("{run}.journal"))
}

fn locked(disk: &dyn Disk, path: &Path) -> Result<Lock, Fault> {
    let who = format!("pid {}", std::process::id());
    match disk.lock(&path.with_extension("lock"), &who, Access::Owner) {
        Ok(lock @ Lock::Held(_)) => Ok(lock),
        Ok(Lock::By(who)) => {
            let what = format!("{} ({who})", Journal::AT_WORK);
            Err(Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what)
                .hint("wait for it to end, or stop it"))
        }
        Err(error) => Err(Fault::local(path, "lock the journal", error)),
    }
}

/// A record as it lies in the file, and the checksum that the next one is chained to.
fn chained(payload: &[u8], seed: u32) -> std::io::Result<(Vec<u8>, u32)> {
    let length = u32::try_from(payload.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let crc = checksum(payload, seed);
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(crc.to_le_bytes());
    bytes.extend(payload);
    Ok((bytes, crc))
}

fn checksum(payload: &[u8], seed: u32) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seed.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

/// The order, the entries that count, where they end, and the checksum there; `None` where there is no order.
fn read(bytes: &[u8]) -> Option<(&[u8], Vec<Entry>, u64, u32)> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let (mut head, mut entries, mut seed) = (None, Vec::new(), 0);
    while let Some((payload, crc, after)) = first(rest, seed) {
        match head {
            None => head = Some(payload),
            // A checksum that is right over bytes that say nothing: another version wrote them.
            Some(_) => entries.push(serde_json::from_slice(payload).ok()?),
        }
        (seed, rest) = (crc, after);
    }
    Some((head?, entries, (bytes.len() - rest.len()) as u64, seed))
}

fn first(bytes: &[u8], seed: u32) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let (payload, after) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let crc = u32::from_le_bytes(*crc);
    (checksum(payload, seed) == crc).then_some((payload, crc, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::real(dir.path().join("state"));
        (dir, machine)
    }

    fn run() -> RunId {
        "run-00000000000000a1".parse().unwrap()
    }

    fn written(machine: &Machine) -> Journal {
        let journal = Journal::begin(machine, &run(), &"the order").unwrap();
        journal.note(0, "create", &Sign::Begun).unwrap();
        let facts = Facts::from([("volume".to_owned(), "vol-0a".to_owned())]);
        journal.note(0, "create", &Sign::Done { facts }).unwrap();
        journal.note(1, "create", &Sign::Begun).unwrap();
        journal.note(0, "create", &Sign::Undoing).unwrap();
        journal
    }

    #[test]
    fn what_was_written_is_read_by_the_next_process() {
        let (_dir, machine) = machine();
        drop(written(&machine));
        assert_eq!(Journal::runs(&machine).unwrap(), [run()]);
        let (journal, order, past) = Journal::take::<String>(&machine, &run()).unwrap();
        assert_eq!((order.as_str(), past.parts().len()), ("the order", 2));
        assert!(past.is_done(0, "create") && !past.is_done(1, "create") && past.is_begun(1, "create"));
        assert!(past.is_undoing(0) && !past.is_undoing(1) && !past.is_undone(0, "create"));
        assert_eq!(past.facts(0).get("volume").map(String::as_str), Some("vol-0a"));
        journal.note(0, "create", &Sign::Undone).unwrap();
        drop(journal);
        let (journal, _, past) = Journal::take::<String>(&machine, &run()).unwrap();
        assert!(past.is_undone(0, "create"));
        journal.remove().unwrap();
        assert_eq!(Journal::runs(&machine).unwrap(), []);
        assert_eq!(Journal::take::<String>(&machine, &run()).unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn a_run_that_is_at_work_is_nobody_elses() {
        let (_dir, machine) = machine();
        let _working = written(&machine);
        let fault = Journal::take::<String>(&machine, &run()).unwrap_err();
        assert_eq!(fault.kind, Kind::Unsuitable);
        assert!(fault.to_string().contains("at work on this run"), "{fault}");
    }

    #[test]
    fn a_journal_torn_or_bent_anywhere_says_nothing_that_was_not_written() {
        let (_dir, machine) = machine();
        drop(written(&machine));
        let whole = std::fs::read(path_of(&machine, &run())).unwrap();
        let (_, all, end, _) = read(&whole).unwrap();
        assert_eq!((all.len(), end), (4, whole.len() as u64));
        for length in 0..whole.len() {
            if let Some((_, entries, end, _)) = read(&whole[..length]) {
                assert_eq!(entries, all[..entries.len()], "torn at {length}");
                assert!(end <= length as u64);
            }
            let mut bent = whole.clone();
            bent[length] ^= 0x04;
            if let Some((_, entries, ..)) = read(&bent) {
                assert!(entries.len() < all.len() && entries == all[..entries.len()], "bent at {length}");
            }
        }
    }

    #[test]
    fn a_torn_tail_is_cut_before_more_is_written() {
        let (_dir, machine) = machine();
        drop(written(&machine));
        let path = path_of(&machine, &run());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, bytes).unwrap();
        let (journal, _, past) = Journal::take::<String>(&machine, &run()).unwrap();
        assert!(!past.is_undoing(0));
        journal.note(1, "attach", &Sign::Begun).unwrap();
        drop(journal);
        let (_, _, past) = Journal::take::<String>(&machine, &run()).unwrap();
        assert!(past.is_begun(1, "attach") && past.is_done(0, "create"));
    }
}
