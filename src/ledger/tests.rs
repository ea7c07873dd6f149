//! Entries that are carried, damaged, written by several at once, or cut off.

mod histories;
mod odd;
mod standing;

use super::*;
use crate::disk::faulty::{Act, Faulty};
use crate::disk::memory::MemoryDisk;
use crate::disk::{Access, Disk, RealDisk};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

fn entry(run: u64) -> Entry {
    Entry {
        format: 1,
        run_id: run.to_string(),
        snapshot_id: "snap-0a".to_owned(),
        volume_id: None,
        target: None,
        level: 2,
        mode: "full".to_owned(),
        state: "pass".to_owned(),
        blocks_total: 1,
        blocks_read: 1,
        mismatches: 0,
        started_ms: 0,
        ended_ms: 1,
        details: None,
        signature: None,
    }
}

fn here(disk: &MemoryDisk) -> (Arc<dyn Disk>, MemoryDisk) {
    (Arc::new(disk.clone()), disk.clone())
}

fn entries(disk: &Arc<dyn Disk>, dir: &str) -> Contents {
    Contents::below(disk, Path::new(dir), Kind::Entries)
}

fn runs(disk: &Arc<dyn Disk>, dir: &str) -> BTreeSet<String> {
    let found = entries(disk, dir).read::<Entry>().unwrap();
    assert_eq!(found.damaged, []);
    found.entries.into_iter().map(|entry| entry.run_id).collect()
}

fn names(runs: std::ops::Range<u64>) -> BTreeSet<String> {
    runs.map(|run| run.to_string()).collect()
}

#[test]
fn two_directories_become_one_whichever_way_and_however_often() {
    let (disk, _) = here(&MemoryDisk::with_dir(Path::new("/")));
    (0..3).for_each(|run| entries(&disk, "/a").put(&entry(run)).unwrap());
    (2..5).for_each(|run| entries(&disk, "/b").put(&entry(run)).unwrap());
    let (a, b) = (Path::new("/a"), Path::new("/b"));
    let there = carry(&disk, a, b, Access::Owner).unwrap();
    assert_eq!((there.copied, there.already, there.mended), (2, 1, 0));
    let back = carry(&disk, b, a, Access::Owner).unwrap();
    assert_eq!((back.copied, back.already), (2, 3));
    assert_eq!((runs(&disk, "/a"), runs(&disk, "/b")), (names(0..5), names(0..5)));
    assert_eq!(carry(&disk, a, b, Access::Owner).unwrap(), Carried { already: 5, ..Carried::default() });
}

#[test]
fn a_damaged_file_is_named_never_carried_and_mended_from_a_whole_one() {
    let (disk, memory) = here(&MemoryDisk::with_dir(Path::new("/")));
    (0..3).for_each(|run| entries(&disk, "/a").put(&entry(run)).unwrap());
    let (a, b) = (Path::new("/a"), Path::new("/b"));
    let _ = carry(&disk, a, b, Access::Owner).unwrap();
    let of = |dir: &str| -> Vec<PathBuf> {
        memory.files().into_iter().filter(|path| path.starts_with(dir)).collect()
    };
    let (ours, theirs) = (of("/a"), of("/b"));
    memory.damage(&ours[0], 100);
    memory.damage(&theirs[1], 100);
    let carried = carry(&disk, a, b, Access::Owner).unwrap();
    assert_eq!((carried.copied, carried.already, carried.mended), (0, 2, 1));
    assert_eq!(carried.damaged.iter().map(|damaged| &damaged.path).collect::<Vec<_>>(), [&ours[0]]);
    assert_eq!(runs(&disk, "/b"), names(0..3), "whole, also where ours is damaged");
    assert_eq!(entries(&disk, "/a").read::<Entry>().unwrap().damaged.len(), 1, "left for whoever looks");
    assert_eq!(carry(&disk, b, a, Access::Owner).unwrap().mended, 1);
    assert_eq!(runs(&disk, "/a"), names(0..3));
    // One that only the other side has is named as well.
    entries(&disk, "/b").put(&entry(9)).unwrap();
    let nine = of("/b").into_iter().find(|path| !theirs.contains(path)).unwrap();
    memory.damage(&nine, 5);
    assert_eq!(carry(&disk, a, b, Access::Owner).unwrap().damaged.len(), 1);
    assert_eq!(carry(&disk, b, a, Access::Owner).unwrap().damaged.len(), 1);
    assert_eq!(runs(&disk, "/a"), names(0..3));
}

#[test]
fn what_is_no_entry_is_left_alone() {
    let (disk, _) = here(&MemoryDisk::with_dir(Path::new("/")));
    entries(&disk, "/a").put(&entry(1)).unwrap();
    for name in ["README", ".draft-1", "00.json", "x.json"] {
        disk.write(&Path::new("/a/ledger").join(name), b"{}", Access::Usual).unwrap();
    }
    assert_eq!(carry(&disk, Path::new("/a"), Path::new("/b"), Access::Owner).unwrap().copied, 1);
    assert_eq!(runs(&disk, "/a"), names(1..2));
}

#[test]
fn a_power_cut_leaves_whole_entries_and_all_that_were_reported() {
    let put = |disk: &MemoryDisk| {
        let (disk, _) = here(disk);
        (0..3).take_while(|run| entries(&disk, "/a").put(&entry(*run)).is_ok()).count() as u64
    };
    let all = MemoryDisk::with_dir(Path::new("/"));
    assert_eq!(put(&all), 3);
    for operations in 0..all.done() {
        for seed in 0..8 {
            let disk = MemoryDisk::with_dir(Path::new("/"));
            disk.fail_after(operations);
            let told = put(&disk);
            let (after, memory) = here(&disk.cut(seed));
            let there = runs(&after, "/a");
            assert!(names(0..told).is_subset(&there), "operation {operations}, seed {seed}");
            assert_eq!(put(&memory), 3, "and it goes on from there");
        }
    }
}

#[test]
fn every_act_of_the_disk_that_fails_on_the_way_leaves_both_sides_whole() {
    let (disk, memory) = here(&MemoryDisk::with_dir(Path::new("/")));
    (0..2).for_each(|run| entries(&disk, "/a").put(&entry(run)).unwrap());
    for nth in 0.. {
        let (disk, _) = here(&memory.killed());
        let left = Arc::new(AtomicI64::new(nth));
        let rule = {
            let left = Arc::clone(&left);
            move |_: Act, _: &Path| match left.fetch_sub(1, Ordering::SeqCst) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            }
        };
        let faulty: Arc<dyn Disk> = Arc::new(Faulty::new(Arc::clone(&disk), rule));
        let carried = carry(&faulty, Path::new("/a"), Path::new("/b"), Access::Owner);
        assert_eq!(runs(&disk, "/a"), names(0..2));
        assert!(runs(&disk, "/b").is_subset(&names(0..2)), "act {nth}");
        let again = carry(&disk, Path::new("/a"), Path::new("/b"), Access::Owner).unwrap();
        assert_eq!((runs(&disk, "/b"), again.damaged), (names(0..2), vec![]), "act {nth}");
        if left.load(Ordering::SeqCst) > 0 {
            assert!(nth > 10 && carried.is_ok(), "it takes more than {nth} acts");
            return;
        }
    }
}

#[test]
fn machines_that_push_and_pull_at_once_lose_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let shared = temporary.path().join("shared");
    std::thread::scope(|scope| {
        for machine in 0..6_u64 {
            let (shared, own) = (&shared, temporary.path().join(machine.to_string()));
            scope.spawn(move || {
                let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
                for run in 0..5 {
                    Contents::below(&disk, &own, Kind::Entries).put(&entry(10 * machine + run)).unwrap();
                    // The first entry is everybody's.
                    Contents::below(&disk, &own, Kind::Entries).put(&entry(1000)).unwrap();
                    let _ = carry(&disk, &own, shared, Access::Owner).unwrap();
                    let _ = carry(&disk, shared, &own, Access::Owner).unwrap();
                }
            });
        }
    });
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    let found = Contents::below(&disk, &shared, Kind::Entries).read::<Entry>().unwrap();
    assert_eq!((found.entries.len(), found.damaged.len()), (31, 0));
    let left = disk.names(&shared.join("ledger")).unwrap();
    assert_eq!(left.len(), 31, "no draft stays: {left:?}");
}
