//! Mounting: the file systems of a volume whose blocks were proved, read-only and without replaying a journal.
//!
//! A file system on the whole device is mounted at `mounts/RUN/PART` in the state directory, those in partitions at
//! `p1`, `p2`, .. in it. Nothing is mounted of a device on which anything bears a name that something in use on this
//! machine bears: whoever looks by such a name must not find the copy.
//!
//! What is mounted outlives the process. It is found again by the run's name in its path, whatever became of the
//! journal and of the state directory.

use crate::device::{FileSystem, FileSystemKind, Image, Signature, Signed, hyphened, signatures};
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
            self.seen.mounted(blocking(move || mounted(&machine, &device, &point)).await?);
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

/// Options under which nothing on the device changes: no journal is replayed, and it may bear a UUID that another file
/// system bears (ext4(5), xfs(5)). And nobody gets rights by what is on it.
const fn options(kind: FileSystemKind) -> &'static str {
    match kind {
        FileSystemKind::Ext => "ro,noload,nodev,nosuid,noexec",
        FileSystemKind::Xfs => "ro,norecovery,nouuid,nodev,nosuid,noexec",
    }
}

/// Mounts what can be mounted; all of it or an error.
fn mounted(machine: &Machine, device: &Path, point: &Path) -> Result<Vec<Mounted>, Fault> {
    let found = signed(machine, device)?;
    let in_use = in_use(machine)?;
    strange(machine, device, &found, &in_use)?;
    let systems: Vec<(Option<u32>, &FileSystem)> = found
        .iter()
        .filter_map(|one| match &one.signature {
            Signature::FileSystem(system) => Some((one.partition, system)),
            Signature::PhysicalVolume { .. } | Signature::ArrayMember { .. } => None,
        })
        .collect();
    if systems.is_empty() {
        let what = match found.first() {
            Some(other) => format!("there is no file system to mount, but {}", one_of(&other.signature)),
            None => "there is no ext2 to ext4 or XFS to mount".to_owned(),
        };
        return Err(Fault::new(Kind::Unsuitable, Place::File(device.to_owned()), what)
            .hint("leave --mount out and let the hook see to the device"));
    }
    shut(machine, point)?;
    let mut mounted = Vec::new();
    for (partition, system) in systems {
        let at = partition.map_or_else(|| point.to_owned(), |number| point.join(format!("p{number}")));
        // An earlier process of this run may have done it.
        if !in_use.iter().filter_map(|one| one.by.point()).any(|there| tail(there) == tail(&at)) {
            machine.disk.make_dirs(&at, Access::Owner).map_err(|error| Fault::local(&at, "make", error))?;
            let what = Mounting {
                device,
                offset: system.offset,
                len: system.size.bytes(),
                kind: system.kind.as_str(),
                options: options(system.kind),
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
            uuid: hyphened(&system.uuid),
            is_clean: system.is_clean,
        });
    }
    Ok(mounted)
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

fn one_of(signature: &Signature) -> String {
    match signature {
        Signature::FileSystem(system) => system.kind.as_str().to_owned(),
        Signature::PhysicalVolume { .. } => format!("LVM: {}", signature.identities().join(" in ")),
        Signature::ArrayMember { .. } => format!("a member of {}", signature.identities().join(" ")),
    }
}

fn signed(machine: &Machine, device: &Path) -> Result<Vec<Signed>, Fault> {
    let image = Image::open(device, machine)?;
    signatures(&mut |offset, len| image.bytes(offset, len), image.len())
}

fn in_use(machine: &Machine) -> Result<Vec<InUse>, Fault> {
    machine.mounts.in_use().map_err(|error| Fault::local("/proc", "tell what is mounted", error))
}

/// Refuses a device on which anything bears a name that something in use here bears.
fn strange(machine: &Machine, device: &Path, found: &[Signed], in_use: &[InUse]) -> Result<(), Fault> {
    let ours: BTreeSet<String> = found.iter().flat_map(|one| one.signature.identities()).collect();
    let refused = |what| {
        Fault::new(Kind::Refused, Place::File(device.to_owned()), format!("it is not mounted: {what}"))
            .hint("drill on an instance that does not use the original")
    };
    for one in in_use {
        let (theirs, by) = (one.device.display(), &one.by);
        let names = names(machine, one, found).map_err(|fault| {
            let what = "whether anything on it is in use here cannot be told";
            refused(format!("{what}, since {theirs} is {by} and cannot be read")).because(fault)
        })?;
        if let Some(name) = names.iter().find(|name| ours.contains(*name)) {
            return Err(refused(format!("{name} is in use here, {theirs} is {by}")));
        }
    }
    Ok(())
}

/// The names of what is in use. Where it cannot be read but the kernel tells which it is, those of ours that it may be.
fn names(machine: &Machine, one: &InUse, found: &[Signed]) -> Result<Vec<String>, Fault> {
    let names = |signed: &[Signed]| signed.iter().flat_map(|one| one.signature.identities()).collect();
    let fold = match &one.by {
        // What drills have mounted is read-only, and there only for them.
        Use::Mounted { at, .. } if tail(at).is_some() => return Ok(Vec::new()),
        // It has no signature that ours could have.
        Use::Mounted { kind, .. } if kind != "xfs" && !kind.starts_with("ext") => return Ok(Vec::new()),
        Use::Mounted { fold, .. } => *fold,
        Use::Held(_) => None,
    };
    match (signed(machine, &one.device), fold) {
        (Ok(signed), _) => Ok(names(&signed)),
        (Err(_), Some(fold)) => {
            let is_it = |one: &Signed| matches!(&one.signature, Signature::FileSystem(system) if folded(system) == fold);
            Ok(names(&found.iter().filter(|one| is_it(one)).cloned().collect::<Vec<_>>()))
        }
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
