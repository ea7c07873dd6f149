//! The entries of a ledger as they stand in its files.

use crate::block::Digest;
use crate::fault::Fault;
use crate::ledger::contents::Raw;
use crate::ledger::signed::split;
use crate::ledger::{Contents, Damaged, Entry, SignedBytes};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An entry, and the file that it is in.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its file.
    pub path: PathBuf,
    /// The names that other entries know it by: SHA-256 of its file, and of the one that it was entered in first.
    pub digests: Vec<Digest>,
    /// The entry. Its signature, where it has one, is that of its public key.
    pub entry: Entry,
}

/// What the files of a ledger hold.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Entries that a run can have written.
    pub records: Vec<Record>,
    /// Files that cannot be read as an entry.
    pub damaged: Vec<Damaged>,
    /// Files that hold what no run can have written.
    pub refused: Vec<Damaged>,
}

impl Contents {
    /// Returns all entries, or those of one snapshot: then files that are named after others are not opened. `holds` says
    /// whether a signature is that of a public key.
    ///
    /// # Errors
    /// `Local` where the directory cannot be read. A file that cannot be is among those damaged.
    pub fn records(
        &self,
        snapshot_id: Option<&str>,
        holds: &dyn Fn(&str, &SignedBytes) -> bool,
    ) -> Result<Records, Fault> {
        let found = self.raw(snapshot_id)?;
        let mut records = Records { damaged: found.damaged, ..Records::default() };
        for Raw { path, digest, bytes } in found.entries {
            let entry: Entry = match serde_json::from_slice(&bytes) {
                Ok(entry) => entry,
                Err(error) => {
                    records.damaged.push(Damaged { path, what: format!("it cannot be read: {error}") });
                    continue;
                }
            };
            if snapshot_id.is_some_and(|id| id != entry.snapshot_id) {
                continue;
            }
            let signed = entry.signature.as_ref().and_then(|_| split(&bytes));
            let key = entry.details.as_ref().and_then(|details| details.public_key.as_deref());
            let is_signed = match (key, &entry.signature, &signed) {
                (Some(key), Some(_), Some(signed)) => holds(key, signed),
                (None, None, _) => true,
                _ => false,
            };
            let forged = || (!is_signed).then(|| "its signature is not that of its bytes".to_owned());
            match entry.flaw().or_else(forged) {
                Some(what) => records.refused.push(Damaged { path, what }),
                None => records.records.push(Record { path, digests: vec![digest], entry }),
            }
        }
        records.join();
        Ok(records)
    }
}

impl Records {
    /// Makes one of two entries of one run of which the second adds the bundle that was kept of it.
    fn join(&mut self) {
        let mut first: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut joined: Vec<Record> = Vec::with_capacity(self.records.len());
        for record in std::mem::take(&mut self.records) {
            let key = (record.entry.run_id.clone(), record.entry.snapshot_id.clone());
            match first.get(&key) {
                Some(at) if bare(&joined[*at].entry) == bare(&record.entry) => {
                    let one = &mut joined[*at];
                    let digests = [one.digests.clone(), record.digests.clone()].concat();
                    let has_bundle =
                        |of: &Record| of.entry.details.as_ref().is_some_and(|of| of.bundle.is_some());
                    if has_bundle(&record) && !has_bundle(one) {
                        *one = record;
                    }
                    one.digests = digests;
                }
                Some(_) => joined.push(record),
                None => {
                    first.insert(key, joined.len());
                    joined.push(record);
                }
            }
        }
        self.records = joined;
    }
}

/// The entry without what is known only once its evidence is kept.
fn bare(entry: &Entry) -> Entry {
    let mut bare = Entry { signature: None, ..entry.clone() };
    if let Some(details) = &mut bare.details {
        details.bundle = None;
    }
    bare
}
