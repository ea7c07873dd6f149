//! Mounting what was restored: when, how, and when not.

use super::faults::{End, ended};
use super::runs::{drilled, hook};
use super::world::{BLOCKS, World};
use icecore::block::BlockIndex;
use icecore::disk::{Access, Disk, InUse, Mounting, Mounts, Use};
use icecore::fault::Kind;
use icecore::ops::verify::State;
use icecore::orchestrate::Undoing;
use icecore::orchestrate::drill::{Drill, Options};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A machine's mounts, in memory.
#[derive(Debug, Default)]
pub(super) struct Table {
    mounted: Mutex<Vec<(PathBuf, PathBuf)>>,
    /// Every mount so far: kind, options, first byte, and the end of the mount point's path.
    log: Mutex<Vec<String>>,
    /// What others use.
    others: Mutex<Vec<InUse>>,
    /// Whether somebody has a file open on all that is mounted.
    is_busy: Mutex<bool>,
    /// How many mounts succeed before one fails.
    succeed: Mutex<Option<usize>>,
}

impl Table {
    pub(super) fn has(&self, device: &Path) -> bool {
        self.mounted.lock().unwrap().iter().any(|(mounted, _)| mounted == device)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.mounted.lock().unwrap().is_empty()
    }

    pub(super) fn be_busy(&self, is_busy: bool) {
        *self.is_busy.lock().unwrap() = is_busy;
    }

    /// Lets the mount after so many fail.
    pub(super) fn fail_after(&self, mounts: Option<usize>) {
        *self.succeed.lock().unwrap() = mounts;
    }

    /// The machine starts anew, or is another one.
    pub(super) fn restart(&self) {
        self.mounted.lock().unwrap().clear();
        self.be_busy(false);
        self.fail_after(None);
    }
}

impl Mounts for Table {
    fn in_use(&self) -> io::Result<Vec<InUse>> {
        let mounted = self.mounted.lock().unwrap();
        let ours = mounted.iter().map(|(device, at)| InUse { device: device.clone(), by: at_point(at) });
        Ok(ours.chain(self.others.lock().unwrap().clone()).collect())
    }

    fn mount(&self, what: &Mounting<'_>, at: &Path) -> io::Result<()> {
        let mut succeed = self.succeed.lock().unwrap();
        match &mut *succeed {
            Some(0) => return Err(io::ErrorKind::PermissionDenied.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        let end: PathBuf =
            at.iter().skip_while(|part| !part.to_string_lossy().starts_with("run-")).skip(1).collect();
        let line = format!("{} {} {} {}", what.kind, what.options, what.offset, end.display());
        self.log.lock().unwrap().push(line);
        self.mounted.lock().unwrap().push((what.device.to_owned(), at.to_owned()));
        Ok(())
    }

    fn unmount(&self, at: &Path) -> io::Result<()> {
        if *self.is_busy.lock().unwrap() {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "target is busy"));
        }
        self.mounted.lock().unwrap().retain(|(_, there)| there != at);
        Ok(())
    }
}

/// Mounted there, an ext4.
fn at_point(at: impl Into<PathBuf>) -> Use {
    Use::Mounted { at: at.into(), kind: "ext4".into(), fold: None }
}

/// The superblock of an ext4 file system of 1 GiB that was not unmounted.
pub(super) fn superblock(uuid: [u8; 16]) -> [u8; 1024] {
    let mut sb = [0; 1024];
    sb[4..8].copy_from_slice(&262_144_u32.to_le_bytes());
    sb[0x18] = 2;
    sb[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
    sb[0x3a] = 1;
    sb[0x60] = 4;
    sb[0x68..0x78].copy_from_slice(&uuid);
    sb
}

fn mounting(world: &World) -> Options {
    Options { mount: true, ..world.options() }
}

fn exception(drill: &Drill) -> (Kind, &str) {
    (drill.exceptions[0].kind, &drill.exceptions[0].what)
}

#[tokio::test]
async fn a_verified_volume_is_mounted_for_the_hook_and_unmounted_before_it_is_detached() {
    let world = World::new(2);
    let says = "echo $ICECORE_MOUNT; exit 3";
    let report = drilled(&world, Options { hook: hook(says), at_once: 2, ..mounting(&world) }).await;
    for (part, drill) in report.drills.iter().enumerate() {
        let [mounted] = &drill.mounted[..] else { panic!("{drill:?}") };
        assert_eq!((mounted.partition, mounted.is_clean), (None, Some(false)));
        assert_eq!(mounted.uuid, "07070707-0707-0707-0707-070707070707");
        let end = format!("/d/state/mounts/{}/{part}", report.run);
        assert_eq!(mounted.at, Path::new(&end));
        assert!(format!("{:?}", drill.missed).contains(&end), "the hook is told: {:?}", drill.missed);
        let step = drill.steps.iter().find(|step| step.name == "mount").unwrap();
        assert_eq!(step.undoing, Undoing::Undone);
    }
    let mut log = world.mounts.log.lock().unwrap().clone();
    log.sort();
    // Two generations of one volume bear the same names, and do not stand in each other's way.
    assert_eq!(log, ["ext4 ro,noload,nodev,nosuid,noexec 0 0", "ext4 ro,noload,nodev,nosuid,noexec 0 1"]);
    assert!(world.mounts.is_empty() && world.leftovers().is_empty());
    world.is_as_it_was();
    assert_eq!(world.disk.lock().unwrap().node(Path::new("/d/state/mounts/run-0")).unwrap(), None);
}

#[tokio::test]
async fn nothing_is_mounted_of_a_volume_whose_blocks_are_wrong() {
    let world = World::new(1);
    *world.damage.lock().unwrap() = Some(BlockIndex::new(BLOCKS[2].0));
    let report = drilled(&world, Options { hook: hook("exit 3"), ..mounting(&world) }).await;
    assert_eq!((report.state(), report.drills[0].mounted.len()), (State::Fail, 0));
    assert!(world.mounts.log.lock().unwrap().is_empty());
    assert!(report.drills[0].notes.iter().any(|note| note.starts_with("Nothing was mounted")));
    world.is_as_it_was();
}

/// Each of these is on the volume and in use here, so nothing is mounted, the hook is not run, and all of it is undone.
#[tokio::test]
async fn a_volume_that_bears_a_name_in_use_here_is_not_mounted() {
    let world = World::new(1);
    let put = |path: &str, offset: usize, bytes: &[u8]| {
        let all = [vec![0; offset], bytes.to_vec(), vec![0; 8192]].concat();
        world.disk.lock().unwrap().write(Path::new(path), &all, Access::Usual).unwrap();
    };
    put("/d/nvme0n1p1", 1024, &superblock([7; 16]));
    put("/d/nvme9n1", 1024, &superblock([8; 16]));
    let uses = |device: &str, by: Use| {
        *world.mounts.others.lock().unwrap() = vec![
            InUse { device: "/d/nvme9n1".into(), by: at_point("/") },
            InUse { device: device.into(), by },
        ];
    };
    uses("/d/nvme0n1p1", at_point("/srv/data"));
    let report = drilled(&world, Options { hook: hook("exit 3"), ..mounting(&world) }).await;
    let drill = &report.drills[0];
    assert_eq!((drill.state(), drill.verdict, drill.missed.len()), (State::Incomplete, Some(State::Pass), 0));
    let (kind, what) = exception(drill);
    assert_eq!(kind, Kind::Refused);
    let said = "file system 07070707-0707-0707-0707-070707070707 is in use here, /d/nvme0n1p1 is mounted at /srv/data";
    assert!(what.contains(said), "{what}");
    assert!(world.mounts.log.lock().unwrap().is_empty() && world.leftovers().is_empty());

    uses("/d/nvme0n1p1", Use::Held("/dev/md0".into()));
    let report = drilled(&world, mounting(&world)).await;
    assert!(exception(&report.drills[0]).1.contains("is a part of /dev/md0"), "{report:?}");
    // What cannot be looked at may be it, unless the kernel tells.
    uses("/d/nowhere", at_point("/"));
    let report = drilled(&world, mounting(&world)).await;
    let (kind, what) = exception(&report.drills[0]);
    assert!(
        kind == Kind::Refused && what.contains("cannot be told, since /d/nowhere is mounted at /"),
        "{what}"
    );
    let told = |kind: &str, uuid: [u8; 16]| {
        let fold = u64::from_le_bytes(uuid[..8].try_into().unwrap())
            ^ u64::from_le_bytes(uuid[8..].try_into().unwrap());
        uses("/d/nowhere", Use::Mounted { at: "/".into(), kind: kind.into(), fold: Some(fold) });
    };
    told("ext4", [7; 16]);
    let report = drilled(&world, mounting(&world)).await;
    assert!(
        exception(&report.drills[0]).1.contains("is in use here, /d/nowhere is mounted at /"),
        "{report:?}"
    );
    let mut other = [7; 16];
    other[3] = 1;
    told("ext4", other);
    assert_eq!(drilled(&world, mounting(&world)).await.state(), State::Pass);
    uses("/d/nowhere", Use::Mounted { at: "/snap".into(), kind: "squashfs".into(), fold: None });
    assert_eq!(
        drilled(&world, mounting(&world)).await.state(),
        State::Pass,
        "it has no name that we could bear"
    );

    *world.mounts.others.lock().unwrap() = vec![InUse { device: "/d/nvme9n1".into(), by: at_point("/") }];
    assert_eq!(drilled(&world, mounting(&world)).await.state(), State::Pass, "another name is no matter");
    world.is_as_it_was();
}

#[tokio::test]
async fn a_mount_that_fails_is_incomplete_and_leaves_nothing() {
    let world = World::new(1);
    world.mounts.fail_after(Some(0));
    let report = drilled(&world, Options { hook: hook("exit 3"), ..mounting(&world) }).await;
    assert_eq!((report.state(), exception(&report.drills[0]).0), (State::Incomplete, Kind::Local));
    assert_eq!(report.drills[0].missed, [], "the hook was not run");
    assert!(world.leftovers().is_empty());
    world.is_as_it_was();
}

/// A device is not taken away from under a mount: the volume stays, billed and said, until the mount is off.
#[tokio::test]
async fn what_cannot_be_unmounted_keeps_its_volume_until_somebody_can() {
    for end in [End::Resume, End::Cleanup, End::Elsewhere] {
        let world = World::new(1);
        world.mounts.be_busy(true);
        let report = drilled(&world, mounting(&world)).await;
        let drill = &report.drills[0];
        assert_eq!((report.state(), drill.verdict), (State::Incomplete, Some(State::Pass)));
        let left: Vec<_> = drill.left().map(|(step, why)| format!("{step}: {}", why.what)).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(
            left[0].contains("target is busy") && left[2].starts_with("create: not before mount"),
            "{left:?}"
        );
        let volumes = world.leftovers();
        assert_eq!((volumes.len(), volumes[0].attachments.len()), (1, 1), "{volumes:?}");
        // Cleaning up does not tear it off either.
        let options = icecore::orchestrate::cleanup::Options {
            older_than: None,
            dry_run: false,
            waits: super::world::waits(),
        };
        let (services, engine) = (world.services(), world.engine());
        let cleaned = icecore::orchestrate::cleanup::run(&options, &services, &engine).await.unwrap();
        assert!(!cleaned.is_clean() && cleaned.ended.is_empty(), "{cleaned:?}");
        assert_eq!(world.leftovers().len(), 1);
        assert_eq!(*world.sins.lock().unwrap(), [] as [String; 0]);
        world.mounts.be_busy(false);
        ended(&world, end).await;
        assert!(world.mounts.is_empty());
    }
}

#[tokio::test]
async fn partitions_are_mounted_by_their_numbers_xfs_in_its_own_way() {
    let mut first = vec![0; 524_288];
    first[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (n, start) in [(0, 64_u32), (2, 640)] {
        first[446 + 16 * n + 4] = 0x83;
        first[446 + 16 * n + 8..][..4].copy_from_slice(&start.to_le_bytes());
        first[446 + 16 * n + 12..][..4].copy_from_slice(&256_u32.to_le_bytes());
    }
    first[64 * 512 + 1024..][..1024].copy_from_slice(&superblock([9; 16]));
    let xfs = &mut first[640 * 512..];
    xfs[..4].copy_from_slice(b"XFSB");
    xfs[4..8].copy_from_slice(&4096_u32.to_be_bytes());
    xfs[8..16].copy_from_slice(&32_u64.to_be_bytes());
    let world = World::beginning(1, first);
    let report = drilled(&world, Options { hook: hook("true"), ..mounting(&world) }).await;
    assert_eq!(report.state(), State::Pass, "{report:?}");
    let numbers: Vec<_> = report.drills[0].mounted.iter().map(|one| one.partition).collect();
    assert_eq!(numbers, [Some(1), Some(3)]);
    let expected = [
        format!("ext4 ro,noload,nodev,nosuid,noexec {} 0/p1", 64 * 512),
        format!("xfs ro,norecovery,nouuid,nodev,nosuid,noexec {} 0/p3", 640 * 512),
    ];
    assert_eq!(*world.mounts.log.lock().unwrap(), expected);
    assert!(world.mounts.is_empty());
}

#[tokio::test]
async fn a_volume_without_a_file_system_says_what_it_has_instead() {
    let mut first = vec![0; 524_288];
    first[512..520].copy_from_slice(b"LABELONE");
    first[532..536].copy_from_slice(&32_u32.to_le_bytes());
    first[536..544].copy_from_slice(b"LVM2 001");
    first[544..576].copy_from_slice(b"JtFhjPUmz51kzuaWUlTXW7qV1uRpg2ZK");
    let world = World::beginning(1, first);
    let report = drilled(&world, Options { hook: hook("exit 3"), ..mounting(&world) }).await;
    let (kind, what) = exception(&report.drills[0]);
    assert_eq!((report.state(), kind), (State::Incomplete, Kind::Unsuitable));
    assert!(what.contains("LVM: physical volume JtFhjP-Umz5"), "{what}");
    assert!(world.leftovers().is_empty());
}
