//! The simulated account behind an endpoint: who owns the snapshots, its defaults, and what takes time.
//!
//! A shelf knows neither clocks nor owners. The account stands before it and adds what AWS adds: a snapshot that
//! nobody writes to is given up, a Complete takes effect a moment after it was answered, and a start that is
//! repeated with its client token is the same start. All of it is looked at lazily, against the time the caller
//! names, so that a test moves a clock and no task runs in the background.
//!
//! Promise: what was answered is durable. The work of a Complete is done before its answer; only the view of it
//! lags. What is kept in memory alone is the time of the last write, which a restart counts anew.

mod bin;
mod copy;
mod device;
mod encryption;
mod holdings;
mod keys;
mod life;
mod region;
#[cfg(test)]
mod tests;
mod volumes;

pub use copy::NewCopy;
pub use encryption::{Encryption, EncryptionError};
pub use keys::{Defaults, KeyState};
pub use life::{Coming, Pace};
pub use volumes::{Spot, VolumeError};

use crate::account::region::Places;
use crate::estate::BinRule;
use crate::fault::{Fault, Kind, Place};
use crate::shelf::memory::MemoryVault;
use crate::shelf::{Shelf, ShelfWriter, Shelved, Vault, VaultWriter};
use crate::snapshot::{SnapshotId, SnapshotState, UnixMillis};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Minutes without a write after which a snapshot is given up, where its start named none (botocore's EBS model).
const DEFAULT_TIMEOUT_MINUTES: u32 = 60;

/// What an endpoint serves from: a collection to read, which may also be written.
#[derive(Clone, Debug)]
pub struct Shelves {
    shelf: Arc<dyn Shelf>,
    writer: Option<Arc<dyn ShelfWriter>>,
    vault: Arc<dyn Vault>,
    vault_writer: Option<Arc<dyn VaultWriter>>,
}

impl Shelves {
    /// A collection that is only looked at: every write is answered with a denial.
    pub fn read_only(shelf: Arc<dyn Shelf>) -> Self {
        Self { shelf, writer: None, vault: Arc::new(MemoryVault::default()), vault_writer: None }
    }

    /// A collection that snapshots are added to. What the account holds beside them goes with the process.
    pub fn writable(writer: Arc<dyn ShelfWriter>) -> Self {
        let shelf = Arc::clone(&writer) as Arc<dyn Shelf>;
        Self::read_only(shelf).written(writer).keeping(Arc::new(MemoryVault::default()))
    }

    /// Snapshots and everything beside them from one place, only looked at.
    pub fn shown_from<T: Shelf + Vault + 'static>(place: Arc<T>) -> Self {
        Self { vault: Arc::clone(&place) as Arc<dyn Vault>, ..Self::read_only(place) }
    }

    /// Snapshots and everything beside them in one place.
    pub fn kept_in<T: ShelfWriter + VaultWriter + 'static>(place: Arc<T>) -> Self {
        Self::writable(Arc::clone(&place) as Arc<dyn ShelfWriter>).keeping(place)
    }

    /// The same, with what the account holds beside snapshots kept there.
    #[must_use]
    pub fn keeping(self, vault: Arc<dyn VaultWriter>) -> Self {
        Self { vault: Arc::clone(&vault) as Arc<dyn Vault>, vault_writer: Some(vault), ..self }
    }

    /// The Region that all its snapshots are in, where it is one.
    pub fn region(&self) -> Option<String> {
        let regions = self.vault.load().ok()?;
        let mut used = regions.into_iter().filter(|(_, holdings)| !holdings.snapshots.is_empty());
        used.next().map(|(name, _)| name).filter(|_| used.next().is_none())
    }

    fn written(self, writer: Arc<dyn ShelfWriter>) -> Self {
        Self { writer: Some(writer), ..self }
    }
}

/// The account's standing facts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Account number, 12 digits.
    pub owner_id: String,
    /// Whether what is new is encrypted unless it says otherwise (EBS encryption by default), in Regions that were
    /// told nothing else.
    pub encrypts_by_default: bool,
    /// ARN of the key for what is encrypted without naming one; of another Region, the one of the same name there.
    pub default_key: String,
    /// How long after its answer a Complete shows: AWS took one to three seconds when recorded, here it is brief.
    pub complete_takes: Duration,
    /// How long volumes take for everything.
    pub pace: Pace,
    /// Keys that cannot be used, by ARN; every other one of the Region can.
    pub keys: BTreeMap<String, KeyState>,
    /// What goes to the Recycle Bin when it is deleted, in every Region, beside the Region's own rules.
    pub bin_rules: Vec<BinRule>,
    /// Whether a Region takes only so much storage in volumes of one kind.
    pub limits_storage: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            owner_id: "123456789012".into(),
            encrypts_by_default: false,
            default_key: "arn:aws:kms:us-east-1:123456789012:key/0badcafe-0000-4000-8000-000000000001".into(),
            complete_takes: Duration::from_millis(50),
            pace: Pace::default(),
            keys: BTreeMap::new(),
            bin_rules: Vec::new(),
            limits_storage: false,
        }
    }
}

/// What a Complete says was written. `None`: it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Blocks written, those inherited not counted.
    pub blocks: u32,
    /// Their LINEAR aggregate in base64, as it was sent: what is no digest matches none.
    pub checksum: Option<String>,
}

/// What is remembered while the process lives.
#[derive(Debug, Default)]
struct Memory {
    last_write: HashMap<SnapshotId, UnixMillis>,
    /// When a Complete shows, or showed; also for one that ended in `error`.
    ended: HashMap<SnapshotId, UnixMillis>,
}

/// A simulated account over a collection of snapshots.
#[derive(Debug)]
pub struct Account {
    settings: Settings,
    shelves: Shelves,
    opened: UnixMillis,
    memory: Mutex<Memory>,
    /// Which snapshots a client token started, one in each Region; read from the shelf when first asked for. The lock is held across
    /// a start: of two with one token, the second finds the first.
    tokens: Mutex<Option<Tokens>>,
    /// What is held beside snapshots is changed by one at a time.
    edits: Mutex<()>,
    /// Which Region snapshots belong to; read from the vault when first asked for, and again after each change.
    places: Mutex<Option<Places>>,
}

type Tokens = HashMap<String, Vec<SnapshotId>>;

impl Account {
    /// An account that opens at this time.
    pub fn new(settings: Settings, shelves: Shelves, now: UnixMillis) -> Self {
        Self {
            settings,
            shelves,
            opened: now,
            memory: Mutex::default(),
            tokens: Mutex::new(None),
            edits: Mutex::default(),
            places: Mutex::default(),
        }
    }

    /// Its standing facts.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The collection, for blocks. Facts of snapshots come from [`Account::find`].
    pub fn shelf(&self) -> &dyn Shelf {
        &*self.shelves.shelf
    }

    /// The collection, for writing.
    ///
    /// # Errors
    /// `Denied` where the collection is only looked at.
    pub fn writer(&self) -> Result<&dyn ShelfWriter, Fault> {
        self.shelves.writer.as_deref().ok_or_else(|| {
            Fault::new(Kind::Denied, Place::Service, "this endpoint serves a collection that is only read")
        })
    }

    /// When a snapshot was completed, where this process saw it happen.
    pub fn completed_at(&self, id: &SnapshotId) -> Option<UnixMillis> {
        self.memory().ended.get(id).copied()
    }

    /// Remembers that a block was written: the snapshot's timeout counts from here.
    pub fn wrote(&self, id: &SnapshotId, now: UnixMillis) {
        self.memory().last_write.insert(id.clone(), now);
    }

    /// Ends a pending snapshot: completed if what was written is what is claimed, `error` otherwise. Durable when
    /// this returns; seen once the moment that a Complete takes has passed. Of several at once the first counts.
    pub fn complete(&self, id: &SnapshotId, claimed: &Claimed, now: UnixMillis) -> Result<(), Fault> {
        let writer = self.writer()?;
        let takes = i64::try_from(self.settings.complete_takes.as_millis()).unwrap_or(i64::MAX);
        // Remembered first: whoever looks meanwhile must not see the end before its time.
        match self.memory().ended.entry(id.clone()) {
            Entry::Occupied(_) => return Ok(()),
            Entry::Vacant(place) => place.insert(now.plus_millis(takes)),
        };
        let ended = end(writer, id, claimed);
        let mut memory = self.memory();
        memory.last_write.remove(id);
        if ended.is_err() {
            memory.ended.remove(id);
        }
        ended
    }

    /// Remembers nothing of a snapshot that is gone.
    fn forget(&self, id: &SnapshotId) {
        let mut memory = self.memory();
        memory.last_write.remove(id);
        memory.ended.remove(id);
    }

    fn seen(&self, mut shelved: Shelved, now: UnixMillis) -> Result<Shelved, Fault> {
        let info = &mut shelved.info;
        if info.state == SnapshotState::Pending {
            return if self.is_overdue(&shelved, now) { self.give_up(shelved) } else { Ok(shelved) };
        }
        if self.memory().ended.get(&info.id).is_some_and(|ended| now < *ended) {
            info.state = SnapshotState::Pending;
            info.state_message = None;
            info.full_size = None;
        }
        Ok(shelved)
    }

    fn is_overdue(&self, shelved: &Shelved, now: UnixMillis) -> bool {
        let minutes = shelved.asked.timeout_minutes.unwrap_or(DEFAULT_TIMEOUT_MINUTES);
        let last = self.memory().last_write.get(&shelved.info.id).copied();
        let since = last.unwrap_or_else(|| shelved.info.start_time.max(self.opened));
        now >= since.plus_millis(i64::from(minutes) * 60_000)
    }

    fn give_up(&self, shelved: Shelved) -> Result<Shelved, Fault> {
        let Ok(writer) = self.writer() else { return Ok(shelved) };
        match writer.fail(&shelved.info.id, "Snapshot timed out") {
            // Somebody was quicker: it ended between the two looks, one way or the other.
            Err(fault) if fault.kind != Kind::Refused => return Err(fault),
            Err(_) | Ok(()) => {}
        }
        self.memory().last_write.remove(&shelved.info.id);
        Ok(self.shelf().find(&shelved.info.id)?.unwrap_or(shelved))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes what is as claimed, and fails what is not, in the words AWS was recorded using.
fn end(writer: &dyn ShelfWriter, id: &SnapshotId, claimed: &Claimed) -> Result<(), Fault> {
    let written = writer.written(id)?;
    if written.blocks != claimed.blocks {
        return writer.fail(id, "Changed blocks count mismatch for snapshot");
    }
    let linear = written.checksum.to_base64();
    if claimed.checksum.as_ref().is_some_and(|checksum| *checksum != linear) {
        return writer.fail(id, "Checksum mismatch for snapshot");
    }
    writer.complete(id).map(|_| ())
}

fn tokens_of(shelf: &dyn Shelf) -> Result<Tokens, Fault> {
    let mut tokens = Tokens::new();
    for shelved in shelf.list()? {
        if let Some(token) = shelved.asked.client_token {
            tokens.entry(token).or_default().push(shelved.info.id);
        }
    }
    Ok(tokens)
}
