//! What holds a snapshot, or makes it cost more: locks, shares, fast restores, tiers.

use crate::estate::word::words;
use crate::snapshot::{SnapshotId, StorageTier, UnixMillis};

words! {
    /// How a snapshot is locked (EC2 model, `LockState`).
    LockState {
        /// Who has the right may unlock it.
        Governance = "governance",
        /// Nobody may, until it expires.
        Compliance = "compliance",
        /// Nobody may soon: until the cool-off ends it can be unlocked.
        CoolOff = "compliance-cooloff",
        /// It was locked once.
        Expired = "expired",
    }
}

/// A lock on a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// How it is locked.
    pub state: LockState,
    /// When the lock ends, where told.
    pub expires: Option<UnixMillis>,
}

impl Lock {
    /// Whether the snapshot cannot be deleted (EBS user guide, "ebs-snapshot-lock"). A word that is not known counts
    /// as a lock.
    pub fn holds(&self) -> bool {
        self.state != LockState::Expired
    }
}

words! {
    /// Where a fast snapshot restore stands (EC2 model, `FastSnapshotRestoreStateCode`).
    FastRestoreState {
        /// Asked for.
        Enabling = "enabling",
        /// Being prepared: about an hour for a TiB.
        Optimizing = "optimizing",
        /// On.
        Enabled = "enabled",
        /// On its way off.
        Disabling = "disabling",
        /// Off.
        Disabled = "disabled",
    }
}

/// Fast restore of a snapshot in one Availability Zone; each is billed by the hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastRestore {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The Availability Zone.
    pub zone: String,
    /// Where it stands.
    pub state: FastRestoreState,
}

impl FastRestore {
    /// Whether it is billed, or about to be.
    pub fn is_on(&self) -> bool {
        self.state != FastRestoreState::Disabled
    }
}

/// Who else may make volumes of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Everybody.
    pub is_public: bool,
    /// Account numbers, sorted.
    pub accounts: Vec<String>,
}

impl Shares {
    /// Whether anybody else may.
    pub fn is_shared(&self) -> bool {
        self.is_public || !self.accounts.is_empty()
    }
}

words! {
    /// The last move of a snapshot between tiers (EC2 model, `TieringOperationStatus`).
    TieringState {
        /// On its way to the archive.
        Archiving = "archival-in-progress",
        /// In the archive.
        Archived = "archival-completed",
        /// Not archived.
        ArchivingFailed = "archival-failed",
        /// Coming back for some days.
        Lending = "temporary-restore-in-progress",
        /// Back for some days: both tiers are billed.
        Lent = "temporary-restore-completed",
        /// Not back.
        LendingFailed = "temporary-restore-failed",
        /// Coming back for good.
        Returning = "permanent-restore-in-progress",
        /// Back for good.
        Returned = "permanent-restore-completed",
        /// Not back.
        ReturningFailed = "permanent-restore-failed",
    }
}

/// On which tier a snapshot lies, and how it came there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiering {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Where its data lies.
    pub tier: StorageTier,
    /// Its last move; `None` where it was never moved.
    pub last: Option<TieringState>,
    /// Percent of the last move, where told.
    pub progress: Option<u8>,
    /// When the last move began.
    pub began: Option<UnixMillis>,
    /// When it was archived: 90 days are billed from here.
    pub archived: Option<UnixMillis>,
    /// When a temporary restore ends.
    pub lent_until: Option<UnixMillis>,
}
