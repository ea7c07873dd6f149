//! Names of image files that are no good, seen before anything is sent: files that hold a disk in another form, targets
//! that cannot be made, targets that another name leads to.

use crate::cli::Here;
use crate::lab;
use crate::verify::World;
use icecore::fault::{Fault, Kind};
use icecore::ops::export::{self, Since};
use icecore::ops::verify::{self, Against, Options, State, What};
use icecore::ops::{Engine, import, manifest};
use icecore::snapshot::SnapshotId;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The header of an image of qemu-img, and what follows it.
fn qcow2(path: &Path) {
    let header = include_bytes!("../../fixtures/containers/disk.qcow2");
    let file = File::create(path).unwrap();
    file.write_all_at(header, 0).unwrap();
    file.set_len(1 << 20).unwrap();
}

fn nothing_was_sent(engine: &Engine) {
    let asked = engine.requests();
    assert_eq!((asked.list, asked.get, asked.put, asked.control), (0, 0, 0, 0));
}

#[track_caller]
fn is_qcow2(fault: &Fault) {
    assert_eq!(fault.kind, Kind::Unsuitable, "{fault}");
    assert!(fault.what().contains("it is a qcow2 image"), "{fault}");
    assert!(fault.advice().unwrap().contains("`qemu-img convert -f qcow2 -O raw"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qcow2_image_is_no_disk_to_import_manifest_and_verify_unless_its_bytes_are_meant() {
    let world = World::new();
    let path = world.path("disk.qcow2");
    qcow2(&path);
    let id = world.snapshot(None, &[(0, 1)]);

    let engine = world.engine();
    let plain = lab::options(&path, None);
    is_qcow2(&import::run(&plain, &world.services, &engine).await.unwrap_err());
    let held = Options { against: Against::Image(path.clone()), ..Options::of(What::Snapshot(id)) };
    is_qcow2(&verify::run(&held, Some(&world.services), &engine).await.unwrap_err());
    let output = world.path("m");
    let options = manifest::Options { base: None, output: output.clone(), force: false };
    is_qcow2(&manifest::of_image(&path, &options, &engine).await.unwrap_err());
    nothing_was_sent(&engine);
    assert!(!output.exists());

    let raw = import::Options { is_raw: true, ..plain };
    let made = import::run(&raw, &world.services, &engine).await.unwrap();
    let of_raw = manifest::of_raw_image(&path, &options, &engine).await.unwrap();
    assert_eq!((of_raw.blocks, of_raw.size.bytes()), (1, 1 << 20));
    for what in [What::Snapshot(made.snapshot_id), What::Manifest(output)] {
        let held = Options { is_raw: true, pads: true, is_unencrypted: true, what, ..held.clone() };
        let report = verify::run(&held, Some(&world.services), &engine).await.unwrap();
        assert_eq!(report.state(), State::Pass);
    }
}

#[test]
fn the_commands_say_which_command_converts_and_end_with_2() {
    let here = Here::new();
    qcow2(&here.path("disk.qcow2"));
    for words in [&["import", "disk.qcow2", "--local", "store"][..], &["manifest", "disk.qcow2", "-o", "m"]] {
        let outcome = here.run(words);
        assert_eq!(outcome.code, 2, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains(
                "disk.qcow2: it is a qcow2 image, which holds a disk in another form; make the disk of it with `qemu-img \
                 convert -f qcow2 -O raw disk.qcow2 disk.qcow2.raw`, or take its bytes as they are with --raw"
            ),
            "{}",
            outcome.stderr
        );
        assert_eq!(here.run(&[words, &["--raw"]].concat()).code, 0);
    }
    let refused = here.run(&["verify", "m", "disk.qcow2"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_eq!(here.run(&["verify", "m", "disk.qcow2", "--raw"]).code, 0);
    let idle = here.run(&["verify", "snap-0123456789abcdef0", "--raw", "--local", "store"]);
    assert!(
        idle.code == 2 && idle.stderr.contains("--raw is about a restored volume or image"),
        "{}",
        idle.stderr
    );
}

/// Exports to this place; the fault, and what was asked.
async fn refused(world: &World, id: &SnapshotId, dest: &Path, force: bool) -> Fault {
    let engine = world.engine();
    let options = export::Options { snapshot_id: id.clone(), dest: Some(dest.to_owned()), force, sync: true };
    let fault = export::run(&options, &world.services, &engine).await.unwrap_err();
    nothing_was_sent(&engine);
    fault
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_made_is_refused_before_the_first_request() {
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1)]);
    let link = world.path("dangling.img");
    std::os::unix::fs::symlink(world.path("unmounted/disk.img"), &link).unwrap();
    std::fs::write(world.path("file"), "x").unwrap();
    let said = "it is a link to something that is not there";
    for (dest, force, kind, what) in [
        (link.clone(), false, Kind::Unsuitable, said),
        (link.clone(), true, Kind::Unsuitable, said),
        (
            world.path("missing/disk.img"),
            false,
            Kind::Unsuitable,
            "the directory it should be in does not exist",
        ),
        (world.path("file/disk.img"), true, Kind::Unsuitable, "what should be its directory is none"),
        (world.path("file"), false, Kind::Unsuitable, "the file exists already"),
        (world.path(""), true, Kind::Unsuitable, "it is a directory"),
    ] {
        let fault = refused(&world, &id, &dest, force).await;
        assert_eq!((fault.kind, fault.what()), (kind, what), "{}", dest.display());
    }
    let names = std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != "state");
    names.sort();
    assert_eq!(names, ["dangling.img", "file"], "nothing was made");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_another_user_owns_is_refused_before_the_first_request() {
    if rustix::process::geteuid().is_root() {
        // To root no permission bit is a bar.
        return;
    }
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1)]);
    let fault = refused(&world, &id, Path::new("/icecore-test.img"), false).await;
    assert_eq!(fault.kind, Kind::Local, "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_made_where_a_device_is_missing() {
    // A name that no device has. Where nothing is mounted there, it is a directory as any other.
    let dest = Path::new(icecore::disk::NODES).join("icecore-test-of-a-device-that-does-not-exist");
    let disk = icecore::disk::RealDisk::default();
    let disk: &dyn icecore::disk::Disk = &disk;
    if !disk.is_made_on(&dest, Path::new(icecore::disk::NODES)) {
        return;
    }
    let world = World::new();
    let id = world.snapshot(None, &[(0, 1)]);
    for force in [false, true] {
        let fault = refused(&world, &id, &dest, force).await;
        assert_eq!((fault.kind, fault.what()), (Kind::Unsuitable, "there is no such device"));
    }
    let options = manifest::Options { base: None, output: dest.clone(), force: false };
    let engine = world.engine();
    let fault = manifest::of_snapshot(&id, &options, &world.services, &engine).await.unwrap_err();
    assert_eq!(fault.what(), "there is no such device");
    nothing_was_sent(&engine);
    assert!(!dest.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_is_not_put_into_a_file_that_another_name_leads_to() {
    let world = World::new();
    let before = world.snapshot(None, &[(0, 1), (3, 1)]);
    let after = world.snapshot(Some(&before), &[(3, 2)]);
    let (dest, golden) = (world.path("vm.img"), world.path("golden.img"));
    let options =
        export::Options { snapshot_id: before.clone(), dest: Some(dest.clone()), force: false, sync: true };
    let _ = export::run(&options, &world.services, &world.engine()).await.unwrap();
    std::fs::hard_link(&dest, &golden).unwrap();
    let held = std::fs::read(&golden).unwrap();
    for assume_base in [false, true] {
        let since =
            Since { snapshot_id: after.clone(), base: before.clone(), dest: dest.clone(), assume_base };
        let engine = world.engine();
        let fault = export::since(&since, &world.services, &engine).await.unwrap_err();
        nothing_was_sent(&engine);
        assert_eq!(fault.kind, Kind::Unsuitable);
        let text = fault.to_string();
        assert!(text.contains("vm.img") && text.contains("golden.img"), "{text}");
        assert!(fault.advice().unwrap().contains("give a copy"), "{:?}", fault.advice());
    }
    assert!(std::fs::read(&golden).unwrap() == held, "the other name's file is as it was");
    // A whole export makes a new file, and leaves the other alone.
    let replacing = export::Options { snapshot_id: after, force: true, ..options };
    let _ = export::run(&replacing, &world.services, &world.engine()).await.unwrap();
    assert!(std::fs::read(&golden).unwrap() == held && std::fs::read(&dest).unwrap() != held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_is_not_put_into_a_qcow2_image_that_somebody_vouches_for() {
    let world = World::new();
    let before = world.snapshot(None, &[(0, 1)]);
    let after = world.snapshot(Some(&before), &[(0, 2)]);
    let dest: PathBuf = world.path("vm.qcow2");
    qcow2(&dest);
    let held = std::fs::read(&dest).unwrap();
    let since = Since { snapshot_id: after, base: before, dest: dest.clone(), assume_base: true };
    let engine = world.engine();
    is_qcow2(&export::since(&since, &world.services, &engine).await.unwrap_err());
    nothing_was_sent(&engine);
    assert!(std::fs::read(&dest).unwrap() == held);
}
