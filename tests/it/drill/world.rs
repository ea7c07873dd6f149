//! An account in memory whose volumes have devices on a disk in memory, and that watches what is asked of it.

use super::mounts::{Table, superblock};
use futures_util::future::BoxFuture;
use icecore::block::{BlockIndex, GiB};
use icecore::control::memory::{MemoryAccount, MemorySnapshots};
use icecore::control::{
    InstanceQuery, Instances, SnapshotQuery, Snapshots, Tagging, VolumeQuery, Volumes, conformance,
};
use icecore::disk::memory::MemoryDisk;
use icecore::disk::{Access, Disk, Opening};
use icecore::estate::{
    Attachment, AttachmentState, Held, Initialization, Instance, InstanceState, NewVolume, Resource, Volume,
    VolumeKind, VolumeState,
};
use icecore::fault::{Fault, Kind, Place};
use icecore::monitor::Silent;
use icecore::ops::{Control, Engine, Services};
use icecore::orchestrate::Waits;
use icecore::orchestrate::drill::{Choice, Here, Options, What};
use icecore::pipeline::{Patience, Settings, Stop};
use icecore::snapshot::{
    InstanceId, SnapshotId, SnapshotInfo, SnapshotState, StorageTier, Tags, UnixMillis, VolumeId,
};
use icecore::source::Block;
use icecore::source::memory::MemoryService;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

const HOME: &str = "/d";
const DEVICES: &str = "/d/by-id";
const HERE: &str = "i-0000000000000001";

/// Blocks of each snapshot, each full of one byte; the first begins an ext4 file system.
pub(super) const BLOCKS: [(u32, u8); 4] = [(0, 1), (1, 2), (700, 3), (2047, 4)];

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is refused with a fault of this kind, and nothing is done.
    Fails(Kind),
    /// It is done, and the answer is a fault of this kind.
    DoneAndFails(Kind),
    /// The process dies before it is done.
    Kills,
    /// The process dies after it was done, before it hears of it.
    DoneAndKills,
    /// The process dies, and an order to make a volume takes effect when volumes have been looked for this many times
    /// since; any other order never does.
    KillsAndIsDoneLater(u8),
}

/// The account.
#[derive(Debug)]
pub(super) struct World {
    pub(super) account: Arc<MemoryAccount>,
    pub(super) blocks: Arc<MemoryService>,
    pub(super) snapshots: Vec<SnapshotId>,
    /// The disk of the machine, as it is now.
    pub(super) disk: Mutex<MemoryDisk>,
    /// Calls so far, by name.
    calls: Mutex<Vec<&'static str>>,
    /// What happens at which call; from the call on where it stays.
    trouble: Mutex<Option<(usize, bool, Trouble)>>,
    /// The order that takes effect later, and after how many looks.
    late: Mutex<Option<(NewVolume, u8)>>,
    died: Notify,
    /// What the machine has mounted.
    pub(super) mounts: Arc<Table>,
    /// What was done that must not be.
    pub(super) sins: Mutex<Vec<String>>,
    /// Volumes that were made.
    pub(super) made: Mutex<BTreeSet<VolumeId>>,
    /// Snapshots of which no volume may be made.
    pub(super) denied: Mutex<Vec<SnapshotId>>,
    /// Byte and block that each new device gets wrong.
    pub(super) damage: Mutex<Option<BlockIndex>>,
    /// What the first block of every snapshot holds.
    first: Vec<u8>,
}

impl World {
    /// With so many snapshots of one GiB, and things of others around.
    pub(super) fn new(n: usize) -> Arc<Self> {
        let mut first = vec![1; 524_288];
        first[1024..2048].copy_from_slice(&superblock([7; 16]));
        Self::beginning(n, first)
    }

    /// The same, of snapshots that begin with this block.
    pub(super) fn beginning(n: usize, first: Vec<u8>) -> Arc<Self> {
        let blocks = Arc::new(MemoryService::new(100));
        let gib = GiB::try_from(1).unwrap();
        let block = |(index, byte)| Block::hashed(BlockIndex::new(index), bytes(&first, index, byte).into());
        let snapshots: Vec<_> = (0..n).map(|_| blocks.add(gib, None, BLOCKS.map(block))).collect();
        let infos = snapshots.iter().zip(1..).map(|(id, number)| SnapshotInfo {
            id: id.clone(),
            volume_id: Some(format!("vol-0{number:016x}").parse().unwrap()),
            state: SnapshotState::Completed,
            tier: StorageTier::Standard,
            volume_size: gib,
            encrypted: false,
            kms_key_id: None,
            full_size: None,
            start_time: UnixMillis(1_700_000_000_000),
            ..conformance::sample(number)
        });
        let disk = MemoryDisk::with_dir(Path::new(HOME));
        (&disk as &dyn Disk).make_dirs(Path::new(DEVICES), Access::Owner).unwrap();
        Arc::new(Self {
            account: Arc::new(MemoryAccount::new(MemorySnapshots::new(infos), others())),
            blocks,
            snapshots,
            disk: Mutex::new(disk),
            calls: Mutex::default(),
            trouble: Mutex::default(),
            late: Mutex::default(),
            died: Notify::new(),
            mounts: Arc::default(),
            sins: Mutex::default(),
            made: Mutex::default(),
            denied: Mutex::default(),
            damage: Mutex::default(),
            first,
        })
    }

    pub(super) fn services(self: &Arc<Self>) -> Services {
        Services {
            label: "memory".into(),
            identity: icecore::aws::Identity::named("memory"),
            blocks: self.blocks.clone(),
            writer: self.blocks.clone(),
            snapshots: Some(self.clone()),
            control: Some(Control {
                images: self.account.clone(),
                instances: self.clone(),
                volumes: self.clone(),
                holds: self.account.clone(),
                tagging: self.clone(),
            }),
            max_usd: None,
        }
    }

    pub(super) fn engine(&self) -> Engine {
        let patience = Patience {
            failures: 3,
            throttled: Duration::from_millis(50),
            invisible: Duration::from_millis(30),
            first_backoff: Duration::from_millis(1),
            longest_backoff: Duration::from_millis(2),
            ..Patience::default()
        };
        let settings = Settings { patience, ..Settings::open(Path::new(HOME).join("state")) };
        let disk = self.disk.lock().unwrap().clone();
        Engine::new(settings, Arc::new(Silent), Stop::new())
            .on_disk(Arc::new(disk))
            .with_mounts(self.mounts.clone())
    }

    pub(super) fn options(&self) -> Options {
        let here = Here { zone: None, devices: PathBuf::from(DEVICES), ..Here::is(here()) };
        Options {
            owner: "tester@here".into(),
            waits: waits(),
            // Over at once: whoever finds its tags may take it away.
            lifetime: Duration::ZERO,
            at_once: 1,
            ..Options::of(What::Snapshots(Choice::Named(self.snapshots.clone())), here)
        }
    }

    /// Lets this happen at the `nth` call from now, from 0; to every one from then on where it `stays`.
    pub(super) fn trouble(&self, nth: usize, stays: bool, trouble: Trouble) {
        *self.trouble.lock().unwrap() = Some((self.calls.lock().unwrap().len() + nth, stays, trouble));
    }

    pub(super) fn heal(&self) {
        *self.trouble.lock().unwrap() = None;
    }

    /// Returns when the process dies.
    pub(super) async fn died(&self) {
        self.died.notified().await;
        let mut disk = self.disk.lock().unwrap();
        disk.fail();
        *disk = disk.killed();
    }

    pub(super) fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }

    /// What is there that no drill should leave.
    pub(super) fn leftovers(&self) -> Vec<Volume> {
        let theirs: Vec<VolumeId> = others().volumes.into_iter().map(|volume| volume.id).collect();
        self.account
            .edit(|held| held.volumes.iter().filter(|one| !theirs.contains(&one.id)).cloned().collect())
    }

    /// Fails where anything of others was touched, a snapshot is gone, or something was done that must not be.
    #[track_caller]
    pub(super) fn is_as_it_was(&self) {
        let sins = self.sins.lock().unwrap();
        assert!(sins.is_empty(), "{sins:?}");
        let ours = others();
        self.account.edit(|held| {
            for theirs in &ours.volumes {
                assert!(held.volumes.contains(theirs), "{theirs:?} is not as it was: {:?}", held.volumes);
            }
            assert_eq!(held.instances, ours.instances);
        });
        assert!(self.snapshots.iter().all(|id| self.account.snapshots.has(id)));
    }

    /// Counts the call and does what is to happen then. What is to be done is done when it is awaited.
    async fn call<T>(
        &self,
        name: &'static str,
        act: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let n = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(name);
            calls.len() - 1
        };
        let met = self.trouble.lock().unwrap().filter(|(at, stays, _)| n == *at || (*stays && n > *at));
        let fault = |kind| Fault::new(kind, Place::Service, "trouble");
        match met.map(|(.., trouble)| trouble) {
            None => act.await,
            Some(Trouble::Fails(kind)) => Err(fault(kind)),
            Some(Trouble::DoneAndFails(kind)) => {
                let _ = act.await;
                Err(fault(kind))
            }
            Some(Trouble::Kills | Trouble::KillsAndIsDoneLater(_)) => self.die().await,
            Some(Trouble::DoneAndKills) => {
                let _ = act.await;
                self.die().await
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.disk.lock().unwrap().fail();
        self.died.notify_one();
        std::future::pending().await
    }

    /// What is still on its way arrives.
    pub(super) async fn settle(&self) {
        let late = self.late.lock().unwrap().take();
        if let Some((new, _)) = late {
            // Where somebody sent it again meanwhile, its client token makes it that one.
            let _ = self.account.create_volume(&new).await;
        }
    }

    /// Counts a look for volumes towards what is on its way; true where it has come.
    fn is_time(&self) -> bool {
        match self.late.lock().unwrap().as_mut() {
            Some((_, 0)) => true,
            Some((_, looks)) => {
                *looks -= 1;
                false
            }
            None => false,
        }
    }

    /// Whether the process dies at this order, and the order comes later.
    fn delay(&self, new: &NewVolume) {
        let next = self.calls.lock().unwrap().len();
        if let Some((at, stays, Trouble::KillsAndIsDoneLater(looks))) = *self.trouble.lock().unwrap()
            && (next == at || (stays && next > at))
        {
            *self.late.lock().unwrap() = Some((new.clone(), looks));
        }
    }

    fn sin(&self, what: String) {
        self.sins.lock().unwrap().push(what);
    }

    fn device(id: &VolumeId) -> PathBuf {
        Path::new(DEVICES).join(id.device_name())
    }

    /// The device of a volume appears.
    fn plug(&self, id: &VolumeId) {
        let disk = self.disk.lock().unwrap();
        let file = disk.open(&Self::device(id), Opening::New(Access::Owner)).unwrap();
        file.set_len(1 << 30).unwrap();
        let wrong = *self.damage.lock().unwrap();
        for (index, byte) in BLOCKS {
            let mut bytes = bytes(&self.first, index, byte);
            bytes[4096] ^= u8::from(wrong == Some(BlockIndex::new(index)));
            file.write_at(&bytes, u64::from(index) * 524_288).unwrap();
        }
    }

    fn unplug(&self, id: &VolumeId) {
        if self.mounts.has(&Self::device(id)) {
            self.sin(format!("{id} was detached while it was mounted"));
        }
        let _ = self.disk.lock().unwrap().remove(&Self::device(id));
    }
}

fn bytes(first: &[u8], index: u32, byte: u8) -> Vec<u8> {
    if index == 0 { first.to_vec() } else { vec![byte; 524_288] }
}

pub(super) fn waits() -> Waits {
    Waits {
        state: Duration::from_millis(100),
        device: Duration::from_millis(30),
        first: Duration::from_micros(200),
        longest: Duration::from_millis(2),
    }
}

pub(super) fn here() -> InstanceId {
    HERE.parse().unwrap()
}

/// What others have: a volume that looks like nothing, one that is attached here, and one that AWS restored from a
/// backup of a drill's volume, with its tags.
fn others() -> Held {
    let volume = |id: &str, snapshot: Option<&str>, tags: &[(&str, &str)]| Volume {
        id: id.parse().unwrap(),
        state: VolumeState::Available,
        size: GiB::try_from(1).unwrap(),
        zone: "us-east-1a".into(),
        kind: VolumeKind::Gp3,
        iops: None,
        throughput: None,
        snapshot: snapshot.map(|id| id.parse().unwrap()),
        encrypted: false,
        kms_key_id: None,
        created: Some(UnixMillis(0)),
        attachments: Vec::new(),
        fast_restored: Some(false),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Tags>(),
    };
    let mut attached = volume("vol-0aaa1", None, &[("Name", "root")]);
    attached.state = VolumeState::InUse;
    attached.attachments.push(Attachment {
        instance: Some(here()),
        device: "/dev/sdf".into(),
        state: AttachmentState::Attached,
    });
    let stale = [
        ("icecore:temporary", "volume"),
        ("icecore:run", "run-00000000000000ff"),
        ("icecore:expires", "2020-01-01T00:00:00Z"),
        ("icecore:snapshot", "snap-0dead"),
    ];
    let instance = Instance {
        id: here(),
        state: InstanceState::Running,
        zone: "us-east-1a".into(),
        kind: "m6i.large".into(),
        devices: vec!["/dev/sdf".into()],
        tags: Tags::new(),
    };
    Held {
        volumes: vec![
            volume("vol-0aaa0", Some("snap-00000000000000001"), &[]),
            attached,
            volume("vol-0aaa2", Some("snap-0beef"), &stale),
        ],
        instances: vec![instance],
        ..Held::default()
    }
}

impl Snapshots for World {
    fn describe<'a>(&'a self, query: &'a SnapshotQuery) -> BoxFuture<'a, Result<Vec<SnapshotInfo>, Fault>> {
        Box::pin(self.call("DescribeSnapshots", async move { self.account.snapshots.describe(query).await }))
    }

    fn delete<'a>(&'a self, id: &'a SnapshotId) -> BoxFuture<'a, Result<(), Fault>> {
        self.sin(format!("{id} was to be deleted"));
        self.account.snapshots.delete(id)
    }

    fn tag<'a>(&'a self, id: &'a SnapshotId, tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.call("CreateTags", async move { self.account.snapshots.tag(id, tags).await }))
    }
}

impl Instances for World {
    fn instances<'a>(&'a self, query: &'a InstanceQuery) -> BoxFuture<'a, Result<Vec<Instance>, Fault>> {
        Box::pin(self.call("DescribeInstances", async move { self.account.instances(query).await }))
    }
}

impl Tagging for World {
    fn add_tags<'a>(&'a self, to: &'a [Resource], tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.call("CreateTags", async move { self.account.add_tags(to, tags).await }))
    }

    fn remove_tags<'a>(
        &'a self,
        from: &'a [Resource],
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.call("DeleteTags", async move { self.account.remove_tags(from, keys).await }))
    }
}

impl Volumes for World {
    fn volumes<'a>(&'a self, query: &'a VolumeQuery) -> BoxFuture<'a, Result<Vec<Volume>, Fault>> {
        Box::pin(self.call("DescribeVolumes", async move {
            if self.is_time() {
                self.settle().await;
            }
            self.account.volumes(query).await
        }))
    }

    fn initializations<'a>(
        &'a self,
        ids: &'a [VolumeId],
    ) -> BoxFuture<'a, Result<Vec<Initialization>, Fault>> {
        Box::pin(self.call("DescribeVolumeStatus", async move { self.account.initializations(ids).await }))
    }

    fn create_volume<'a>(&'a self, new: &'a NewVolume) -> BoxFuture<'a, Result<Volume, Fault>> {
        let keys = ["icecore:run", "icecore:owner", "icecore:expires", "icecore:temporary"];
        if !keys.iter().all(|key| new.tags.contains_key(*key)) || new.client_token.is_empty() {
            self.sin(format!("a volume without its marks: {new:?}"));
        }
        self.delay(new);
        let denied = self.denied.lock().unwrap();
        let is_denied = new.snapshot.as_ref().is_some_and(|id| denied.contains(id));
        Box::pin(self.call("CreateVolume", async move {
            if is_denied {
                return Err(Fault::new(Kind::Denied, Place::Service, "not of this snapshot"));
            }
            let volume = self.account.create_volume(new).await?;
            self.made.lock().unwrap().insert(volume.id.clone());
            Ok(volume)
        }))
    }

    fn attach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        to: &'a InstanceId,
        device: &'a str,
    ) -> BoxFuture<'a, Result<Attachment, Fault>> {
        let is_tagged = self.account.edit(|held| {
            let volume = held.volumes.iter().find(|volume| volume.id == *id);
            volume.is_none_or(|volume| volume.tags.contains_key("icecore:run"))
        });
        if !is_tagged {
            self.sin(format!("{id} was attached before it was tagged"));
        }
        Box::pin(self.call("AttachVolume", async move {
            let attached = self.account.attach_volume(id, to, device).await?;
            self.plug(id);
            Ok(attached)
        }))
    }

    fn detach_volume<'a>(
        &'a self,
        id: &'a VolumeId,
        from: &'a InstanceId,
    ) -> BoxFuture<'a, Result<Attachment, Fault>> {
        Box::pin(self.call("DetachVolume", async move {
            let detached = self.account.detach_volume(id, from).await?;
            self.unplug(id);
            Ok(detached)
        }))
    }

    fn delete_volume<'a>(&'a self, id: &'a VolumeId) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.call("DeleteVolume", async move { self.account.delete_volume(id).await }))
    }
}

/// Counts by name.
pub(super) fn counted(calls: &[&'static str]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    calls.iter().for_each(|name| *counts.entry(*name).or_default() += 1);
    counts
}
