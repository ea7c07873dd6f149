//! Real mounts of what was restored, where this user may make loop devices.

use super::live::{at, command, drill, journals, nothing_left, run, three};
use crate::cli::Here;
use crate::lab::{Lab, Loop, generation};
use icecore::snapshot::SnapshotId;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Held by whoever mounts: the fixtures are of one file system, which drills refuse to mount while it is mounted here.
static MOUNTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[expect(clippy::print_stdout, reason = "a part that is left out is said to be")]
fn can_mount(lab: &Lab) -> bool {
    let probe = lab.path("probe");
    std::fs::write(&probe, vec![0; 1 << 20]).unwrap();
    let can = Loop::over(&probe).is_some();
    if !can {
        println!("NOT TESTED: mounting what was restored: there is no loop device here for this user");
    }
    can
}

/// The fixture's own files, seen by a hook, on a mount that nothing can write to; and nothing of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_file_system_is_mounted_read_only_for_the_hook_and_unmounted() {
    let _alone = MOUNTING.lock().await;
    let (lab, ids) = three().await;
    if !can_mount(&lab) {
        return;
    }
    let here = Here::new();
    let hook = "findmnt -no OPTIONS $ICECORE_MOUNT; ls $ICECORE_MOUNT; touch $ICECORE_MOUNT/x 2>/dev/null && exit 9; exit 3";
    let names: Vec<&str> = ids.iter().map(SnapshotId::as_str).collect();
    let words = [&names[..], &["--mount", "--hook", hook, "--at-once", "3"]].concat();
    let outcome = drill(&here, &lab, &words).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    for said in ["it ended with 3:", "ro,nosuid,nodev", "lost+found", "ext4, read-only: "] {
        assert_eq!(outcome.stdout.matches(said).count(), 3, "{said} in {}", outcome.stdout);
    }
    nothing_left(&lab).await;
    assert!(!mounts().contains(here.path("").to_str().unwrap()), "{}", mounts());

    // Its original is mounted on this machine: then nothing is.
    let original = lab.path("original");
    std::fs::create_dir(&original).unwrap();
    let image = generation(0);
    let mounted =
        Command::new("mount").args(["-o", "ro,loop,noload"]).arg(&image).arg(&original).status().unwrap();
    assert!(mounted.success());
    let outcome = drill(&here, &lab, &[names[1], "--mount", "--hook", "exit 3"]).await;
    Command::new("umount").arg(&original).status().unwrap();
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(
        outcome.stdout.contains("is in use here") && outcome.stdout.contains("original"),
        "{}",
        outcome.stdout
    );
    nothing_left(&lab).await;
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// The process is killed while what it restored is mounted; cleanup unmounts, detaches, deletes.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_drill_has_mounted_is_unmounted_by_resume_and_by_cleanup() {
    let _alone = MOUNTING.lock().await;
    let lab = Lab::new().await;
    if !can_mount(&lab) {
        return;
    }
    let id = lab.import(&generation(0), None).await.snapshot_id;
    for ends_it in ["resume", "cleanup"] {
        let here = Here::new();
        let ready = here.path("ready");
        let hook = format!("test -e {0} && exit 0; touch {0}; sleep 5", ready.display());
        let at = at(&lab);
        let words = ["drill", id.as_str(), "--mount", "--hook", &hook];
        let words: Vec<&str> = words.into_iter().chain(at.iter().map(String::as_str)).collect();
        let mut child =
            command(&here, &lab, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !ready.exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before its hook ran");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let [run_id] = &journals(&here)[..] else { panic!("one journal") };
        assert!(mounts().contains(run_id.as_str()), "it is mounted");
        let words = if ends_it == "resume" { vec!["resume", run_id] } else { vec!["cleanup"] };
        let outcome = run(&here, &lab, &words).await;
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(!mounts().contains(run_id.as_str()), "{}", mounts());
        nothing_left(&lab).await;
        assert_eq!(journals(&here), [] as [String; 0]);
    }
}
