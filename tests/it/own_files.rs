//! Files under names of the program's own: what anybody puts there is neither followed, cut nor removed, and what the
//! program makes there is for those who may use it, whatever the umask.

use crate::cli::{Here, Outcome, one_object};
use crate::lab::{compare, generation};
use rustix::fs::{CWD, FileType, Mode};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

const PRECIOUS: &[u8] = b"precious";

/// A place with an imported snapshot: its id.
fn imported(here: &Here) -> String {
    let image = generation(0);
    let outcome = here.run(&["import", image.to_str().unwrap(), "--local", "store", "--format", "json"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    one_object(&outcome.stdout)["snapshot_id"].as_str().unwrap().to_owned()
}

fn export(here: &Here, id: &str, to: &str, more: &[&str]) -> Outcome {
    here.run(&[&["export", id, to, "--local", "store"], more].concat())
}

fn verify(here: &Here, id: &str, image: &str, more: &[&str]) -> Outcome {
    here.run(&[&["verify", id, image, "--local", "store"], more].concat())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn precious(here: &Here) {
    fs::write(here.path("precious"), PRECIOUS).unwrap();
}

fn is_untouched(here: &Here) -> bool {
    fs::read(here.path("precious")).unwrap() == PRECIOUS
}

/// The ways in which something foreign has a name.
const TRAPS: [&str; 4] = ["link", "dangling", "pipe", "second name"];

fn set_trap(trap: &str, here: &Here, at: &Path) {
    let _ = fs::remove_file(at);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    match trap {
        "link" => symlink(here.path("precious"), at).unwrap(),
        "dangling" => symlink(here.path("nowhere"), at).unwrap(),
        "pipe" => rustix::fs::mknodat(CWD, at, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
        _ => fs::hard_link(here.path("precious"), at).unwrap(),
    }
}

/// Whether the trap is as it was set.
fn is_set(trap: &str, here: &Here, at: &Path) -> bool {
    let meta = fs::symlink_metadata(at).unwrap();
    is_untouched(here)
        && !here.path("nowhere").exists()
        && match trap {
            "link" | "dangling" => meta.is_symlink(),
            "pipe" => FileType::from_raw_mode(meta.mode()) == FileType::Fifo,
            _ => meta.nlink() == 2,
        }
}

#[test]
fn an_export_beside_a_foreign_part_file_leaves_that_alone_and_is_whole() {
    let here = Here::new();
    let id = imported(&here);
    let of_note = ["link", "pipe"].map(|trap| (trap, "out.img.icecore"));
    for (trap, name) in TRAPS.map(|trap| (trap, "out.img.icecore-part")).into_iter().chain(of_note) {
        precious(&here);
        let at = here.path(name);
        set_trap(trap, &here, &at);
        let outcome = export(&here, &id, "out.img", &["--no-sync"]);
        assert_eq!(outcome.code, 0, "{trap} {name}: {outcome:?}");
        assert!(is_set(trap, &here, &at), "{trap} {name}");
        if name.ends_with("-part") {
            assert!(outcome.stderr.contains(name), "{trap}: {}", outcome.stderr);
        }
        if trap == "link" {
            assert!(compare(&generation(0), &here.path("out.img")).0.is_empty(), "{trap} {name}");
        }
        fs::remove_file(&at).unwrap();
        fs::remove_file(here.path("out.img")).unwrap();
        let left = fs::read_dir(here.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("out")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_note_under_a_foreign_name_is_named_and_the_image_is_there() {
    let here = Here::new();
    let id = imported(&here);
    precious(&here);
    symlink("precious", here.path("out.img.icecore")).unwrap();
    let outcome = export(&here, &id, "out.img", &[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("out.img.icecore: ") && outcome.stderr.contains("symbolic link"));
    assert!(is_untouched(&here) && here.path("out.img.icecore").is_symlink());
    assert_eq!(verify(&here, &id, "out.img", &[]).code, 0);
}

#[test]
fn locks_and_checkpoints_of_a_verification_under_foreign_names_are_left_alone() {
    let here = Here::new();
    let id = imported(&here);
    assert_eq!(export(&here, &id, "out.img", &[]).code, 0);
    precious(&here);
    assert_eq!(verify(&here, &id, "out.img", &[]).code, 0);
    let checkpoints = here.path("state/checkpoints");
    let mut names = fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().path());
    let is_lock = |path: &Path| {
        path.to_string_lossy().contains("/verify-") && path.extension().is_some_and(|e| e == "lock")
    };
    let lock = names.find(|path| is_lock(path)).unwrap();
    for (trap, extension) in [
        ("link", "lock"),
        ("pipe", "lock"),
        ("dangling", "ckpt"),
        ("pipe", "ckpt"),
        ("second name", "digests"),
        ("link", "digests"),
    ] {
        let at = lock.with_extension(extension);
        set_trap(trap, &here, &at);
        let before = fs::read_dir(&checkpoints).unwrap().count();
        let outcome = verify(&here, &id, "out.img", &[]);
        assert_eq!(outcome.code, 0, "{trap} {extension}: {outcome:?}");
        assert!(outcome.stderr.contains(&*at.to_string_lossy()), "{}", outcome.stderr);
        assert!(is_set(trap, &here, &at), "{trap} {extension}");
        assert_eq!(fs::read_dir(&checkpoints).unwrap().count(), before, "{trap} {extension}");
        fs::remove_file(&at).unwrap();
    }
}

#[test]
fn the_lock_of_a_store_is_not_followed_and_no_pipe_hangs_it() {
    let here = Here::new();
    imported(&here);
    let image = generation(0);
    for trap in TRAPS {
        precious(&here);
        let at = here.path("store/lock");
        set_trap(trap, &here, &at);
        let outcome = here.run(&["import", image.to_str().unwrap(), "--local", "store"]);
        assert_eq!(outcome.code, 7, "{trap}: {outcome:?}");
        assert!(
            outcome.stderr.contains("store/lock") && outcome.stderr.contains("move it away"),
            "{}",
            outcome.stderr
        );
        assert!(is_set(trap, &here, &at), "{trap}");
        fs::remove_file(&at).unwrap();
    }
}

#[test]
fn nothing_that_is_not_a_draft_is_swept_from_evidence() {
    let here = Here::new();
    let id = imported(&here);
    assert_eq!(export(&here, &id, "out.img", &[]).code, 0);
    let evidence = here.path("ev");
    assert_eq!(verify(&here, &id, "out.img", &["--evidence", "ev"]).code, 0);
    let valuable = here.path("valuable");
    let number = "0123456789abcdef";
    for dir in [&valuable, &evidence.join(".draft-novel"), &evidence.join(format!(".draft-{number}"))] {
        fs::create_dir_all(dir).unwrap();
        for name in ["report.json", "novel.txt"] {
            fs::write(dir.join(name), PRECIOUS).unwrap();
        }
    }
    symlink("../valuable", evidence.join(".draft-0")).unwrap();
    symlink("../valuable", evidence.join(".draft-fedcba9876543210")).unwrap();
    let killed = evidence.join(".draft-00000000000000ff");
    fs::create_dir(&killed).unwrap();
    fs::write(killed.join("report.json"), "{").unwrap();

    let outcome = verify(&here, &id, "out.img", &["--evidence", "ev"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for dir in [&valuable, &evidence.join(".draft-novel"), &evidence.join(format!(".draft-{number}"))] {
        for name in ["report.json", "novel.txt"] {
            assert_eq!(fs::read(dir.join(name)).unwrap(), PRECIOUS, "{}", dir.display());
        }
        assert_eq!(fs::read_dir(dir).unwrap().count(), 2, "{}", dir.display());
    }
    assert!(evidence.join(".draft-0").is_symlink());
    assert!(!killed.exists(), "what a killed run left goes");
    for named in [number, "fedcba9876543210"] {
        assert!(outcome.stderr.contains(named), "{named}: {}", outcome.stderr);
    }
}

#[test]
fn nothing_that_is_not_of_a_store_is_swept_from_it() {
    let here = Here::new();
    let id = imported(&here);
    let valuable = here.path("valuable");
    let gone = "snap-00000000000000aa";
    for dir in [&valuable, &here.path("store/pending/notes"), &here.path(&format!("store/pending/{gone}"))] {
        fs::create_dir_all(dir).unwrap();
        for name in ["journal", "novel.txt"] {
            fs::write(dir.join(name), PRECIOUS).unwrap();
        }
    }
    symlink("../../valuable", here.path("store/pending/snap-00000000000000bb")).unwrap();
    symlink("../valuable/journal", here.path("store/tmp/secret")).unwrap();
    fs::write(here.path("store/tmp/novel.txt"), PRECIOUS).unwrap();
    fs::write(here.path(&format!("store/tmp/{id}")), "left by a killed run").unwrap();
    let left = here.path("store/pending/snap-00000000000000cc");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("journal"), "left by a killed run").unwrap();

    let image = generation(1);
    let outcome = here.run(&["import", image.to_str().unwrap(), "--local", "store"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for dir in [&valuable, &here.path("store/pending/notes"), &here.path(&format!("store/pending/{gone}"))] {
        assert_eq!(fs::read_dir(dir).unwrap().count(), 2, "{}", dir.display());
    }
    assert!(here.path("store/pending/snap-00000000000000bb").is_symlink());
    assert!(here.path("store/tmp/secret").is_symlink());
    assert_eq!(fs::read(here.path("store/tmp/novel.txt")).unwrap(), PRECIOUS);
    assert!(!left.exists() && !here.path(&format!("store/tmp/{id}")).exists());
    for named in ["notes", gone, "snap-00000000000000bb", "novel.txt"] {
        assert!(outcome.stderr.contains(named), "{named}: {}", outcome.stderr);
    }
}

/// Runs the program under a umask.
fn under(here: &Here, umask: &str, words: &[&str]) -> Outcome {
    let program = here.command(words);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(program.get_program());
    command.args(program.get_args()).current_dir(program.get_current_dir().unwrap()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Outcome::of(&command.output().unwrap())
}

/// Every directory and file below a directory, and itself.
fn below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        if path.is_dir() {
            found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    found
}

#[test]
fn state_stores_and_part_files_are_their_owners_alone_whatever_the_umask() {
    for (umask, of_image) in [("000", 0o640), ("022", 0o640), ("077", 0o600)] {
        let here = Here::new();
        let image = generation(0);
        let words = ["import", image.to_str().unwrap(), "--local", "store", "--format", "json"];
        let outcome = under(&here, umask, &words);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let id = one_object(&outcome.stdout)["snapshot_id"].as_str().unwrap().to_owned();
        let exported = under(&here, umask, &["export", &id, "out.img", "--local", "store"]);
        assert_eq!(exported.code, 0, "{exported:?}");
        let words = ["verify", &id, "out.img", "--local", "store", "--evidence", "ev"];
        let verified = under(&here, umask, &words);
        assert_eq!(verified.code, 0, "{verified:?}");
        assert_eq!(mode(&here.path("out.img")), of_image, "{umask}");
        assert_eq!(mode(&here.path("out.img.icecore")), of_image, "{umask}: the note is as the image");
        for path in ["state", "store"].iter().flat_map(|dir| below(&here.path(dir))) {
            let own = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), own, "{umask}: {}", path.display());
        }
        for path in below(&here.path("ev")) {
            assert_eq!(mode(&path) & 0o007, 0, "{umask}: {}", path.display());
        }
    }
}

#[test]
fn what_goes_into_a_directory_of_a_group_is_for_that_group_and_not_for_others() {
    for umask in ["000", "077"] {
        let here = Here::new();
        for dir in ["store", "ev", "shared"] {
            fs::create_dir(here.path(dir)).unwrap();
            set_mode(&here.path(dir), 0o2770);
        }
        let image = generation(0);
        let words = ["import", image.to_str().unwrap(), "--local", "store", "--format", "json"];
        let outcome = under(&here, umask, &words);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let id = one_object(&outcome.stdout)["snapshot_id"].as_str().unwrap().to_owned();
        assert_eq!(under(&here, umask, &["export", &id, "out.img", "--local", "store"]).code, 0);
        let words = ["verify", &id, "out.img", "--local", "store", "--evidence", "ev"];
        assert_eq!(under(&here, umask, &words).code, 0);
        let pushed = under(&here, umask, &["state", "push", "shared"]);
        assert_eq!(pushed.code, 0, "{pushed:?}");
        for path in ["store", "ev", "shared"].iter().flat_map(|dir| below(&here.path(dir))) {
            let of_group = if path.is_dir() { 0o2770 } else { 0o660 };
            assert_eq!(mode(&path), of_group, "{umask}: {}", path.display());
        }
    }
}

#[test]
fn an_image_that_replaces_a_file_keeps_its_owner_group_and_mode_without_set_id_bits() {
    let here = Here::new();
    let id = imported(&here);
    let out = here.path("out.img");
    fs::write(&out, "old").unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&out, Some(12_345), Some(12_346)).unwrap();
    } else {
        eprintln!("skipped in part: only root gives files away");
    }
    set_mode(&out, 0o6664);
    let before = fs::metadata(&out).unwrap();
    let outcome = export(&here, &id, "out.img", &["--force"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let after = fs::metadata(&out).unwrap();
    assert_eq!((after.uid(), after.gid(), mode(&out)), (before.uid(), before.gid(), 0o664));

    let image = generation(1);
    let words = ["import", image.to_str().unwrap(), "--parent", &id, "--local", "store", "--format", "json"];
    let next = one_object(&here.run(&words).stdout)["snapshot_id"].as_str().unwrap().to_owned();
    set_mode(&out, 0o4640);
    let outcome = export(&here, &next, "out.img", &["--since", &id, "--assume-base"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let after = fs::metadata(&out).unwrap();
    assert_eq!((after.uid(), after.gid(), mode(&out)), (before.uid(), before.gid(), 0o640));
    assert!(compare(&image, &out).0.is_empty());
}

#[test]
fn in_a_state_directory_that_others_may_write_to_nothing_counts_unless_it_is_trusted() {
    let here = Here::new();
    let id = imported(&here);
    assert_eq!(export(&here, &id, "out.img", &[]).code, 0);
    let verified = verify(&here, &id, "out.img", &[]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let ledger = |more: &[&str]| here.run(&[&["ledger", &id, "--format", "json"], more].concat());
    assert_eq!(ledger(&[]).code, 0);
    for open in [0o777, 0o775] {
        set_mode(&here.path("state"), open);
        let outcome = ledger(&[]);
        assert_eq!(outcome.code, 1, "nothing was verified: {outcome:?}");
        assert_eq!(outcome.stderr.matches("other users may write to it").count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("--trust-state-dir"), "{}", outcome.stderr);
        assert_eq!(ledger(&["--trust-state-dir"]).code, 0);
        here.run(&["state", "push", "elsewhere"]).refused(2, &["other users may write", "--trust-state-dir"]);
    }
    set_mode(&here.path("state"), 0o755);
    assert_eq!(ledger(&[]).code, 0);
}
