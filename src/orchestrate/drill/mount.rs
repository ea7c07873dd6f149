//! Mounting: the file systems of a volume whose blocks were proved, read-only and without replaying a journal.
//!
//! A file system on the whole device is mounted at `mounts/RUN/PART` in the state directory, those in partitions at
//! `p1`, `p2`, .. in it. Nothing is mounted of a device on which anything bears a name that something in use on this
//! machine bears: whoever looks by such a name must not find the copy.
//!
//! What is mounted outlives the process. It is found again by the run's name in its path, whatever became of the
//! journal and of the state directory.

use crate::device::{
    Condition, Content, DiskPartition, FileSystem, FileSystemKind, Image, Layout, PartitionName,
};
use crate::disk::{Access, InUse, Machine, Mounting, Node, Opening, Use};
use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::State;
use crate::orchestrate::drill::report::{Mounted, Seen};
use crate::orchestrate::drill::{Shop, device_of};
use crate::orchestrate::mark::RunId;
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use futures_util::future::{BoxFuture, FutureExt};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Mount {
    shop: Arc<Shop>,
    part: u32,
    seen: Arc<Seen>,
}

impl Mount {
    pub(super) fn new(shop: &Arc<Shop>, part: u32, seen: &Arc<Seen>) -> Self {
        Self { shop: shop.clone(), part, seen: seen.clone() }
    }

    /// Absolute, for whoever works in another directory.
    fn point(&self) -> PathBuf {
        let run = self.shop.mark.run.as_str();
        let dir = &self.shop.engine.machine().state_dir;
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        dir.join("mounts").join(run).join(self.part.to_string())
    }
}

impl Step for Mount {
    fn name(&self) -> &'static str {
        "mount"
    }

    fn line(&self) -> Line {
        Line::local("mount its file systems read-only, without replaying journals")
    }

    fn undo_line(&self) -> Option<Line> {
        Some(Line::local("unmount them"))
    }

    fn pins(&self) -> bool {
        true
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            if self.seen.state() != Some(State::Pass) {
                self.seen.note("Nothing was mounted: the verification is no pass.");
                return Ok(Facts::new());
            }
            let (device, point) = (device_of(known)?, self.point());
            let machine = self.shop.engine.machine().clone();
            let fact = Facts::from([("mount".to_owned(), point.display().to_string())]);
            let (mounted, notes) = blocking(move || mounted(&machine, &device, &point)).await?;
            self.seen.mounted(mounted);
            notes.iter().for_each(|note| self.seen.note(note));
            Ok(fact)
        }
        .boxed()
    }

    fn undo<'a>(&'a self, _: &'a Facts) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let (machine, point) = (self.shop.engine.machine().clone(), self.point());
            blocking(move || {
                unmounted(&machine, |at| {
                    tail(at).is_some_and(|at| tail(&point).is_some_and(|own| at.starts_with(own)))
                })?;
                removed(&machine, &point);
                Ok(())
            })
            .await
        }
        .boxed()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Fault::new(Kind::Local, Place::Program, "a worker of this program failed").because(error)
    })?
}

/// Returns options under which nothing on the device changes: no journal is replayed, and it may bear a UUID that another
/// file system bears (ext4(5), xfs(5)). And nobody gets rights by what is on it. `None` of what is not mounted.
const fn options(kind: FileSystemKind) -> Option<&'static str> {
    match kind {
        FileSystemKind::Ext => Some("ro,noload,nodev,nosuid,noexec"),
        FileSystemKind::Xfs => Some("ro,norecovery,nouuid,nodev,nosuid,noexec"),
        FileSystemKind::Vfat | FileSystemKind::Exfat | FileSystemKind::Ntfs | FileSystemKind::Btrfs => None,
    }
}

/// Mounts what can be mounted; all of it or an error. Also returns what is to be said of the rest.
fn mounted(machine: &Machine, device: &Path, point: &Path) -> Result<(Vec<Mounted>, Vec<String>), Fault> {
    let image = Image::open(device, machine)?;
    let mut layout = Layout::read(&image);
    if let Some(why) = layout.fault() {
        let what = format!("its partitions cannot be read: {why}");
        return Err(Fault::new(Kind::Local, Place::File(device.to_owned()), what));
    }
    let in_use = in_use(machine)?;
    strange(machine, device, &layout, &in_use)?;
    let systems: Vec<_> = mountable(&layout).collect();
    if systems.is_empty() {
        let what = match layout.partitions.iter().find(|one| !one.content.identities().is_empty()) {
            Some(other) => format!("there is no file system to mount, but {}", one_of(&other.content)),
            None => "there is no ext2 to ext4 or XFS to mount".to_owned(),
        };
        return Err(Fault::new(Kind::Unsuitable, Place::File(device.to_owned()), what)
            .hint("leave --mount out and let the hook see to the device"));
    }
    shut(machine, point)?;
    let mut mounted = Vec::new();
    for (name, system, options) in systems {
        let partition = match name {
            PartitionName::Disk => None,
            PartitionName::Number(number) => Some(number),
        };
        let at = partition.map_or_else(|| point.to_owned(), |number| point.join(format!("p{number}")));
        // An earlier process of this run may have done it.
        if !in_use.iter().filter_map(|one| one.by.point()).any(|there| tail(there) == tail(&at)) {
            machine.disk.make_dirs(&at, Access::Owner).map_err(|error| Fault::local(&at, "make", error))?;
            let what = Mounting {
                device,
                offset: system.offset,
                len: system.size.bytes(),
                kind: system.kind.as_str(),
                options,
            };
            machine.mounts.mount(&what, &at).map_err(|error| {
                removed(machine, &at);
                Fault::local(device, &format!("mount its {}", what.kind), error).or_hint("run as root")
            })?;
        }
        mounted.push(Mounted {
            at,
            kind: system.kind,
            partition,
            uuid: system.id(),
            is_clean: system.is_clean(),
        });
    }
    let is_mounted = |one: &DiskPartition| mountable(&layout).any(|(name, ..)| name == one.name);
    let rest: Vec<_> = layout.partitions.iter().filter(|one| !is_mounted(one)).map(|one| one.name).collect();
    layout.look_for_zeros(&image);
    let rest = layout.partitions.iter().filter(|one| rest.contains(&one.name));
    let notes = rest.filter(|one| one.condition != Condition::NothingToCheck).map(not_mounted);
    Ok((mounted, notes.chain(layout.remarks.iter().cloned()).collect()))
}

/// Makes sure that the directory of all mounts is one that only this user can enter: what a volume holds may not be for
/// every user of this machine. Nor may another directory stand in its place.
fn shut(machine: &Machine, point: &Path) -> Result<(), Fault> {
    let Some(mounts) = point.parent().and_then(Path::parent) else { return Ok(()) };
    let failed = |error| Fault::local(mounts, "close to other users", error);
    machine.disk.make_dirs(mounts, Access::Owner).map_err(failed)?;
    machine.disk.refuse_untrusted(mounts)?;
    match machine.disk.entry(mounts).map_err(failed)? {
        Some(facts) if facts.node != Node::Dir => {
            let what = "it is not a directory";
            Err(Fault::new(Kind::Unsuitable, Place::File(mounts.to_owned()), what).hint("move it away"))
        }
        Some(facts) if !facts.is_private() => {
            machine.disk.open(mounts, Opening::Read).and_then(|dir| dir.set_mode(0o700)).map_err(failed)
        }
        _ => Ok(()),
    }
}

/// Returns what can be mounted, and with which options. Of a disk that is itself a part of something, nothing is: its
/// partitions are that one's.
fn mountable(layout: &Layout) -> impl Iterator<Item = (PartitionName, &FileSystem, &'static str)> {
    let disk = layout.partition(PartitionName::Disk).map(|disk| &disk.content);
    let is_part = matches!(disk, Some(Content::ArrayMember { .. })) && layout.partitions.len() > 1;
    let systems = layout.partitions.iter().filter(move |_| !is_part);
    systems.filter_map(|one| {
        let system = one.file_system()?;
        Some((one.name, system, options(system.kind)?))
    })
}

/// Says that a partition was left out, and what is known of it.
fn not_mounted(partition: &DiskPartition) -> String {
    let why = partition.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match partition.condition {
        Condition::NotLookedAt => format!("Not mounted and not looked at: {partition}{why}."),
        condition => format!("Not mounted: {partition}, {}{why}.", condition.in_words()),
    }
}

fn one_of(content: &Content) -> String {
    let identities = || content.identities().join(" in ");
    match content {
        Content::PhysicalVolume { .. } => format!("LVM: {}", identities()),
        Content::ArrayMember { .. } => format!("a member of {}", identities()),
        _ => identities(),
    }
}

fn in_use(machine: &Machine) -> Result<Vec<InUse>, Fault> {
    machine.mounts.in_use().map_err(|error| Fault::local("/proc", "tell what is mounted", error))
}

/// Refuses a device on which anything bears a name that something in use here bears.
fn strange(machine: &Machine, device: &Path, layout: &Layout, in_use: &[InUse]) -> Result<(), Fault> {
    let ours: BTreeSet<String> = layout.identities().into_iter().collect();
    let refused = |what| {
        Fault::new(Kind::Refused, Place::File(device.to_owned()), format!("it is not mounted: {what}"))
            .hint("drill on an instance that does not use the original")
    };
    for one in in_use {
        let (theirs, by) = (one.device.display(), &one.by);
        let names = names(machine, one, layout).map_err(|fault| {
            let what = "whether anything on it is in use here cannot be told";
            refused(format!("{what}, since {theirs} is {by} and cannot be read")).because(fault)
        })?;
        if let Some(name) = names.iter().find(|name| ours.contains(*name)) {
            return Err(refused(format!("{name} is in use here, {theirs} is {by}")));
        }
    }
    Ok(())
}

/// Returns the identities of what is in use. Where it cannot be read but the kernel says which it is, those of ours that
/// it may be.
fn names(machine: &Machine, one: &InUse, ours: &Layout) -> Result<Vec<String>, Fault> {
    let (kind, fold) = match &one.by {
        // What drills have mounted is read-only, and there only for them.
        Use::Mounted { at, .. } if tail(at).is_some() => return Ok(Vec::new()),
        Use::Mounted { kind, fold, .. } => match FileSystemKind::of_mount(kind) {
            Some(kind) => (Some(kind), *fold),
            // It has no identity that ours could have.
            None => return Ok(Vec::new()),
        },
        Use::Held(_) => (None, None),
    };
    let read = Image::open(&one.device, machine).map(|image| Layout::read(&image)).and_then(|layout| {
        match layout.fault() {
            Some(why) => Err(Fault::new(Kind::Local, Place::File(one.device.clone()), why.to_owned())),
            None => Ok(layout.identities()),
        }
    });
    let alike: Vec<_> = ours.file_systems().filter(|system| Some(system.kind) == kind).collect();
    match (read, fold) {
        (Ok(names), _) => Ok(names),
        (Err(_), Some(fold)) => {
            let same = alike.into_iter().filter(|system| folded(system) == fold);
            Ok(same.flat_map(|system| Content::FileSystem(system.clone()).identities()).collect())
        }
        // Nothing on ours can be taken for it.
        (Err(_), None) if kind.is_some() && alike.is_empty() => Ok(Vec::new()),
        (Err(fault), None) => Err(fault),
    }
}

/// Both halves of a UUID, one upon the other.
fn folded(system: &FileSystem) -> u64 {
    let (halves, _) = system.uuid.as_chunks::<8>();
    halves.iter().fold(0, |fold, half| fold ^ u64::from_le_bytes(*half))
}

/// The end of a mount point's path that is ours: the run, the part, the partition. The kernel may know the rest of it by
/// another name. `None` of mount points of others.
fn tail(at: &Path) -> Option<PathBuf> {
    let is_run = |part: &Component<'_>| matches!(part, Component::Normal(name) if name.to_str().is_some_and(|name| name.parse::<RunId>().is_ok()));
    let own: PathBuf = at.components().skip_while(|part| !is_run(part)).collect();
    (!own.as_os_str().is_empty()).then_some(own)
}

/// Unmounts whatever a run has mounted on this machine, in this or in an earlier process.
///
/// # Errors
/// `Local` where something is still in use.
pub(in crate::orchestrate) async fn all_unmounted(machine: &Machine, run: &RunId) -> Result<(), Fault> {
    let (machine, run) = (machine.clone(), run.clone());
    blocking(move || unmounted(&machine, |at| tail(at).is_some_and(|own| own.starts_with(run.as_str()))))
        .await
}

/// Unmounts, what is mounted in other mounts first, and removes the directories.
fn unmounted(machine: &Machine, is_meant: impl Fn(&Path) -> bool) -> Result<(), Fault> {
    let in_use = in_use(machine)?;
    let points: BTreeSet<&Path> =
        in_use.iter().filter_map(|one| one.by.point()).filter(|at| is_meant(at)).collect();
    for at in points.into_iter().rev() {
        machine
            .mounts
            .unmount(at)
            .map_err(|error| Fault::local(at, "unmount", error).or_hint("end what uses it"))?;
        removed(machine, at);
    }
    Ok(())
}

/// Removes a mount point and what is empty above it, as far as it is the run's. Only neatness: an empty directory hurts
/// nobody.
fn removed(machine: &Machine, at: &Path) {
    for dir in at.ancestors().take_while(|dir| tail(dir).is_some()) {
        let _ = machine.disk.remove_dir(dir);
    }
}
