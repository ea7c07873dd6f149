//! Volumes, their attachments, and how far their data has come from the snapshot.

use crate::block::GiB;
use crate::estate::word::words;
use crate::snapshot::{InstanceId, SnapshotId, Tags, UnixMillis, VolumeId};

words! {
    /// Where a volume stands (EC2 model, `VolumeState`).
    VolumeState {
        /// Being made.
        Creating = "creating",
        /// There, and not attached.
        Available = "available",
        /// Attached, or about to be.
        InUse = "in-use",
        /// On its way out.
        Deleting = "deleting",
        /// Gone; seen for a moment only.
        Deleted = "deleted",
        /// Its data is lost.
        Error = "error",
    }
}

words! {
    /// Where an attachment stands (EC2 model, `VolumeAttachmentState`).
    AttachmentState {
        /// On its way to the instance.
        Attaching = "attaching",
        /// The instance has it.
        Attached = "attached",
        /// On its way out.
        Detaching = "detaching",
        /// Gone.
        Detached = "detached",
        /// The instance does not let go: it is mounted, most likely.
        Busy = "busy",
    }
}

words! {
    /// What a volume is made of (EC2 model, `VolumeType`).
    VolumeKind {
        /// General purpose SSD.
        Gp2 = "gp2",
        /// General purpose SSD with its own IOPS and throughput.
        Gp3 = "gp3",
        /// Provisioned IOPS SSD.
        Io1 = "io1",
        /// Provisioned IOPS SSD.
        Io2 = "io2",
        /// Throughput optimised HDD.
        St1 = "st1",
        /// Cold HDD.
        Sc1 = "sc1",
        /// Magnetic.
        Standard = "standard",
    }
}

/// A volume of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub id: VolumeId,
    /// Where it stands.
    pub state: VolumeState,
    /// Its size.
    pub size: GiB,
    /// Its Availability Zone.
    pub zone: String,
    /// What it is made of.
    pub kind: VolumeKind,
    /// I/O operations a second, where they are set.
    pub iops: Option<u32>,
    /// MiB a second, where they are set.
    pub throughput: Option<u32>,
    /// The snapshot it was made from.
    pub snapshot: Option<SnapshotId>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The key, where encrypted and told.
    pub kms_key_id: Option<String>,
    /// When it was made.
    pub created: Option<UnixMillis>,
    /// Where it is attached.
    pub attachments: Vec<Attachment>,
    /// Whether it came whole from a fast restore; `None` where nobody says.
    pub fast_restored: Option<bool>,
    /// Its tags.
    pub tags: Tags,
}

/// A volume at an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The instance; `None` where a service of AWS's own has the volume.
    pub instance: Option<InstanceId>,
    /// The device name that was asked for; on Nitro the kernel gives another.
    pub device: String,
    /// Where it stands.
    pub state: AttachmentState,
}

/// What a volume is made with (EC2 API reference, CreateVolume).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolume {
    /// The snapshot whose blocks it gets; without one it is empty, and needs a size.
    pub snapshot: Option<SnapshotId>,
    /// The Availability Zone: that of the instance it is for.
    pub zone: String,
    /// What it is made of.
    pub kind: VolumeKind,
    /// Its size; `None` is the snapshot's.
    pub size: Option<GiB>,
    /// I/O operations a second; `None` is the kind's own.
    pub iops: Option<u32>,
    /// MiB a second, gp3 only; `None` is the kind's own.
    pub throughput: Option<u32>,
    /// MiB a second at which the snapshot's data is fetched, 100 to 300; `None` is as AWS likes. Paid for, also when
    /// the volume is deleted before it has come.
    pub initialization_rate: Option<u32>,
    /// Whether to encrypt; `None` follows the snapshot and the account's default.
    pub encrypted: Option<bool>,
    /// The key; only with `encrypted`.
    pub kms_key_id: Option<String>,
    /// Makes a repeated request the same request; at most 64 characters. Empty, it does nothing.
    pub client_token: String,
    /// Tags from the first moment on.
    pub tags: Tags,
}

/// How far a volume's data has come from its snapshot. Up to five minutes old (EBS user guide,
/// "ebs-initialize-monitor").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialization {
    /// The volume.
    pub volume: VolumeId,
    /// Whether all of it is there; `None` where AWS does not say, as for volumes that never had a snapshot.
    pub is_complete: Option<bool>,
    /// Percent, where told.
    pub progress: Option<u8>,
    /// Seconds still to come; told for a provisioned rate only.
    pub seconds_left: Option<u64>,
    /// What AWS thinks of the volume: `ok`, `impaired`, `warning`, `insufficient-data`.
    pub health: String,
}
