//! What an account holds, on a disk that stops at every operation.

use super::*;
use crate::account::{Account, Settings, Shelves, Spot};
use crate::block::ByteSize;
use crate::estate::{NewVolume, VolumeKind};
use crate::shelf::{Regions, Vault, VaultWriter};
use crate::snapshot::{InstanceId, Tags, UnixMillis, VolumeId};
use crate::store::holdings::tests::full;
use bytes::Bytes;
use std::path::PathBuf;

const REGION: &str = "us-east-1";

fn host() -> InstanceId {
    "i-00000000000000001".parse().unwrap()
}

/// A store whose devices are so small that a disk in memory holds thousands of them.
#[derive(Debug)]
struct Small(Arc<StoreWriter>);

impl Vault for Small {
    fn load(&self) -> Result<Regions, Fault> {
        self.0.load()
    }
}

impl VaultWriter for Small {
    fn save(&self, regions: &Regions) -> Result<(), Fault> {
        VaultWriter::save(&*self.0, regions)
    }

    fn make_device(
        &self,
        id: &VolumeId,
        _: ByteSize,
        blocks: &mut dyn Iterator<Item = Result<(BlockIndex, Bytes), Fault>>,
    ) -> Result<(), Fault> {
        self.0.make_device(id, ByteSize::from_bytes(7), blocks)
    }

    fn remove_device(&self, id: &VolumeId) -> Result<(), Fault> {
        self.0.remove_device(id)
    }

    fn plug(&self, id: &VolumeId, to: &InstanceId) -> Result<(), Fault> {
        self.0.plug(id, to)
    }

    fn unplug(&self, id: &VolumeId, from: &InstanceId) -> Result<(), Fault> {
        self.0.unplug(id, from)
    }
}

fn account(writer: &Arc<StoreWriter>) -> Account {
    let shelves = Shelves::writable(Arc::clone(writer) as Arc<dyn crate::shelf::ShelfWriter>);
    let shelves = shelves.keeping(Arc::new(Small(Arc::clone(writer))));
    Account::new(Settings::default(), shelves, UnixMillis(0))
}

fn new(token: &str) -> NewVolume {
    NewVolume {
        snapshot: None,
        zone: "us-east-1a".into(),
        kind: VolumeKind::Gp3,
        size: crate::block::GiB::try_from(1).ok(),
        iops: None,
        throughput: None,
        initialization_rate: None,
        encrypted: None,
        kms_key_id: None,
        client_token: token.into(),
        tags: Tags::new(),
    }
}

/// Makes two volumes, attaches one, detaches it and deletes it, a second apart; gives up where the disk stops.
fn live(writer: &Arc<StoreWriter>) -> Option<()> {
    let account = account(writer);
    let at = |second: i64| UnixMillis(second * 1000);
    let id = account.create_volume(REGION, &new("a"), None, at(1)).ok()?.id;
    account.create_volume(REGION, &new("b"), None, at(2)).ok()?;
    account.attach_volume(REGION, &id, (&host(), "/dev/sdf"), None, at(3)).ok()?;
    account.detach_volume(REGION, &id, &Spot::default(), None, at(5)).ok()?;
    account.attach_volume(REGION, &id, (&host(), "/dev/sdg"), None, at(7)).ok()?;
    account.detach_volume(REGION, &id, &Spot::default(), None, at(9)).ok()?;
    account.delete_volume(REGION, &id, None, at(11)).ok()
}

/// The devices on the disk: the volume, and where it is attached.
fn devices(disk: &MemoryDisk) -> Vec<(VolumeId, Option<InstanceId>)> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let files = disk.files();
    let all = files.iter().filter_map(|path| {
        if path.starts_with("/store/volumes") {
            return Some((name(path).parse().unwrap(), None));
        }
        let rest = path.strip_prefix("/store/devices").ok()?;
        let instance = rest.iter().next().unwrap().to_str().unwrap().parse().unwrap();
        Some((VolumeId::of_device(&name(path)).unwrap(), Some(instance)))
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

#[test]
fn what_is_saved_is_loaded_and_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let writer = StoreWriter::open_or_create(dir.path(), "a test").unwrap();
    assert_eq!(writer.load().unwrap(), Regions::new());
    VaultWriter::save(&writer, &full()).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().load().unwrap(), full());
    std::fs::write(dir.path().join("account"), "{}").unwrap();
    assert_eq!(writer.load().unwrap_err().kind, Kind::Corrupt);
    drop(writer);
    let _ = StoreWriter::open(dir.path(), "a test").expect("snapshots need nothing of it");
}

#[test]
fn a_volume_has_its_device_where_it_is_whatever_stops_the_writer() {
    let disk = memory_disk();
    live(&Arc::new(StoreWriter::on(files_on(&disk), "a test").unwrap())).unwrap();
    let operations = disk.done();
    assert_eq!(devices(&disk).len(), 1, "one was deleted");
    let mut seen = std::collections::BTreeSet::new();
    for stop in 0..operations {
        let disk = memory_disk();
        disk.fail_after(stop);
        if let Ok(writer) = StoreWriter::on(files_on(&disk), "a test") {
            assert!(live(&Arc::new(writer)).is_none(), "it stops");
        }
        for disk in [disk.cut(stop), disk.killed()] {
            let writer = StoreWriter::on(files_on(&disk), "the next").expect("it opens again");
            let holdings = writer.load().unwrap().remove(REGION).unwrap_or_default();
            let mut expected: Vec<_> = holdings
                .held
                .volumes
                .iter()
                .filter(|volume| !holdings.is_deleted(&volume.id))
                .map(|volume| (volume.id.clone(), holdings.plugged(&volume.id).cloned()))
                .collect();
            expected.sort();
            assert_eq!(devices(&disk), expected, "stopped after {stop} operations");
            seen.insert((expected.len(), expected.iter().any(|(_, instance)| instance.is_some())));
            assert_eq!(disk.names(Path::new("/store/tmp")).unwrap(), [""; 0]);
        }
    }
    assert_eq!(seen, [(0, false), (1, false), (2, false), (2, true)].into(), "every state was met");
}
