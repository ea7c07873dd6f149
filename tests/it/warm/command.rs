//! The command line of `icecore warm`, and what it refuses.

use crate::cli::Here;

#[test]
fn what_cannot_be_warmed_is_refused_before_anything_is_read() {
    let here = Here::new();
    std::fs::write(here.path("map"), "0 0\n4095 2146959360\n").unwrap();
    std::fs::write(here.path("small"), vec![1; 1 << 20]).unwrap();
    std::fs::write(here.path("notes"), "hello\n").unwrap();
    here.run(&["warm", "missing", "--map", "map"]).refused(2, &["missing: there is no such file"]);
    here.run(&["warm", "small", "--map", "map"]).refused(2, &["it has 1 MiB, the volume 2 GiB"]);
    here.run(&["warm", "small", "--map", "notes"]).refused(2, &["line 1 is no block", "icecore blocks"]);
    here.run(&["warm", "small"]).refused(2, &["nothing tells which blocks are allocated"]);
    here.run(&["warm", ".", "--map", "map"]).refused(2, &["neither a file nor a block device"]);
    here.run(&["warm", "vol-0123456789abcdef0", "--map", "map"])
        .refused(2, &["no device of this machine is this volume", "lsblk"]);
    let bad = here.run(&["warm", "small", "--map", "map", "--rate", "fast"]);
    assert!(bad.code == 2 && bad.stderr.contains("200MiB/s"), "{bad:?}");
    assert!(!here.path("state/checkpoints").exists(), "nothing was begun");
}
