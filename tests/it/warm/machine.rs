//! What a machine says of its devices, and what the program makes of it: a system of plain files stands for it.

use crate::cli::{Here, Outcome, one_object};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;

const VOLUME: &str = "vol-0123456789abcdef0";

/// A machine with two disks of 8 MiB and a partition: `nvme1n1` is an EBS volume, `sda` is not.
struct Host {
    here: Here,
}

impl Host {
    fn new() -> Self {
        let host = Self { here: Here::new() };
        host.write("../map", "0-3\n8\n15\n");
        for disk in ["nvme1n1", "nvme1n1/nvme1n1p1", "sda"] {
            let name = disk.rsplit('/').next().unwrap();
            host.write(&format!("dev/{name}"), &"x".repeat(8 << 20));
            host.write(
                &format!("sys/block/{disk}/dev"),
                if name == "nvme1n1p1" { "259:2\n" } else { "259:1\n" },
            );
            fs::create_dir_all(host.here.path("host/sys/class/block")).unwrap();
            let link = host.here.path(&format!("host/sys/class/block/{name}"));
            symlink(format!("../../block/{disk}"), link).unwrap();
        }
        host.write("sys/block/sda/dev", "8:0\n");
        host.write("sys/block/nvme1n1/nvme1n1p1/partition", "1\n");
        host.write("sys/block/nvme1n1/device/serial", "vol0123456789abcdef0\n");
        host.timeout("4294967295");
        host
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.here.path("host").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn timeout(&self, seconds: &str) {
        self.write("sys/module/nvme_core/parameters/io_timeout", &format!("{seconds}\n"));
    }

    fn run(&self, words: &[&str]) -> Outcome {
        let rest = ["--map", "map", "--sysroot", "host", "--threshold", "20s", "--format", "json"];
        self.here.run(&["warm"].iter().chain(words).chain(&rest).copied().collect::<Vec<_>>())
    }

    /// Warms it; gives what was warned of, which standard error says as well.
    #[track_caller]
    fn warned(&self, device: &str) -> Vec<String> {
        let outcome = self.run(&[device]);
        let report = outcome.json();
        assert_eq!((report["state"].as_str(), report["blocks_read"].as_u64()), (Some("warm"), Some(6)));
        let warnings: Vec<_> = report["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect();
        warnings.iter().for_each(|one| assert!(outcome.stderr.contains(one), "{}", outcome.stderr));
        warnings
    }
}

#[test]
fn a_partition_is_refused() {
    Host::new()
        .run(&["host/dev/nvme1n1p1"])
        .refused(2, &["nvme1n1p1: it is a partition", "the device that it is"]);
}

#[test]
fn another_volume_is_refused_and_the_right_one_taken() {
    let host = Host::new();
    let other = ["host/dev/nvme1n1", "--volume-id", "vol-0aaa"];
    host.run(&other).refused(2, &["the device is vol-0123456789abcdef0, not vol-0aaa", "lsblk"]);
    let silent = ["host/dev/sda", "--volume-id", VOLUME];
    host.run(&silent).refused(2, &["the device does not tell which volume it is"]);
    host.run(&["vol-0aaa"]).refused(2, &["vol-0aaa: no device of this machine is this volume"]);
    for words in [vec!["host/dev/nvme1n1", "--volume-id", VOLUME], vec![VOLUME]] {
        let report = host.run(&words).json();
        assert_eq!((&report["device"], &report["volume_id"]), (&"host/dev/nvme1n1".into(), &VOLUME.into()));
    }
}

#[test]
fn a_place_that_shows_no_system_is_refused() {
    let host = Host::new();
    let words = ["warm", "host/dev/sda", "--map", "map", "--sysroot", "nowhere"];
    host.here.run(&words).refused(2, &["nowhere: there is no sys/block in it", "the host's root"]);
}

#[test]
fn a_device_smaller_than_the_volume_is_refused() {
    let host = Host::new();
    host.write("../map", "0-16\n");
    host.run(&["host/dev/nvme1n1"]).refused(2, &["nvme1n1: it has 8 MiB, the volume 8.5 MiB"]);
}

#[test]
fn a_device_mounted_for_writing_is_warned_of() {
    let host = Host::new();
    let mounted = |number: &str, mode: &str| {
        host.write("proc/1/mountinfo", &format!("36 35 {number} / /mnt {mode} - ext4 /dev/x rw\n"));
        host.warned("host/dev/nvme1n1")
    };
    for number in ["259:1", "259:2"] {
        let warnings = mounted(number, "rw,noatime");
        assert!(warnings.len() == 1 && warnings[0].contains("mounted for writing"), "{warnings:?}");
    }
    assert!(mounted("259:1", "ro,noatime").is_empty() && mounted("259:7", "rw").is_empty());
}

#[test]
fn a_kernel_that_gives_up_after_thirty_seconds_is_warned_of() {
    let host = Host::new();
    assert!(host.warned("host/dev/nvme1n1").is_empty());
    host.timeout("30");
    let warnings = host.warned("host/dev/nvme1n1");
    assert!(warnings.len() == 1 && warnings[0].contains("nvme_core.io_timeout is 30 s"), "{warnings:?}");
    assert!(host.warned("host/dev/sda").is_empty(), "that is no NVMe device");
}

#[test]
fn of_several_volumes_each_is_looked_at_by_itself() {
    let host = Host::new();
    host.timeout("30");
    let pairs = ["nvme1n1", "nvme1n1p1", "sda"].map(|name| format!("host/dev/{name}=map"));
    let mut words = vec!["warm", "--sysroot", "host", "--threshold", "20s", "--format", "json"];
    pairs.iter().for_each(|pair| words.extend(["--pair", pair]));
    let outcome = host.here.run(&words);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    let job = one_object(&outcome.stdout);
    let of = |at: usize, field: &str| job["items"][at][field].clone();
    assert_eq!([0, 1, 2].map(|at| of(at, "state")), ["warm", "incomplete", "warm"].map(Value::from));
    assert!(of(1, "error").as_str().unwrap().contains("it is a partition"));
    assert_eq!(of(0, "report")["warnings"].as_array().unwrap().len(), 1);
}
