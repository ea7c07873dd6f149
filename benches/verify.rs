//! Claims what a verification costs: a cached file is hashed on two threads at least 1.8 times as fast as `openssl
//! speed` does with two (where the processor has AVX-512), holding a file against a snapshot takes at most a tenth
//! longer than exporting it, memory stays below 256 MiB, also where each of eight million blocks is wrong and that is
//! kept as evidence, a device is read at 95 % of what `fio` reads of it, and a hole costs nothing: three blocks of data in
//! 64 GiB take less than a second and in 15 TiB less than two, 64 MiB of memory, and no page of the cache but theirs.
//!
//! ```text
//! cargo bench --no-default-features --bench verify [-- DIR [DEVICE]] [--wrong=TIB] [--holes]
//! ```
//!
//! Files of 4 GiB go to DIR, by default the system's for temporary files. DEVICE is only read; it needs fio. With
//! `--wrong=TIB` only what is wholly wrong is measured, of so many TiB: each takes a gigabyte of DIR, where it is kept as
//! evidence, up to 4 TiB. With `--holes` only sparse files are measured.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;
#[path = "measure/server.rs"]
mod server;

use icecore::block::{BlockIndex, BlockRange, BlockSet, ByteSize, Digest, Geometry, GiB};
use icecore::disk::Machine;
use icecore::manifest::{self, About};
use measure::{Run, ended, median, openssl, run};
use server::{Server, Volume, serve_if_asked};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BYTES: f64 = 4.294_967_296;
const TURNS: usize = 5;

fn main() {
    serve_if_asked();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let dir = words.first().map_or(std::env::temp_dir(), PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    let wrong = std::env::args().find_map(|word| word.strip_prefix("--wrong=").map(str::to_owned));
    if let Some(tib) = wrong {
        return against_nothing(dir.path(), tib.parse().unwrap());
    }
    if std::env::args().any(|word| word == "--holes") {
        return against_holes(dir.path());
    }
    println!("{:40} {:>7} {:>10} {:>9}", "4 GiB", "GB/s", "cpu-s/GB", "peak MiB");
    let image = against_a_snapshot(dir.path());
    against_openssl(dir.path(), &image);
    against_nothing(dir.path(), 4);
    against_holes(dir.path());
    if let Some(device) = words.get(1) {
        against_fio(dir.path(), device);
    }
}

/// Exports, and holds what was exported against the snapshot; gives that file.
fn against_a_snapshot(dir: &Path) -> String {
    let server = Server::start(0);
    let id = Volume::Image.id(0);
    let name = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let (image, other) = (name("restored.img"), name("other.img"));
    run(server.icecore(dir).args(["export", &id, &image, "--no-sync"]));
    let mut exports = Vec::new();
    let mut verifies = Vec::new();
    for _ in 0..TURNS {
        exports.push(run(server.icecore(dir).args(["export", &id, &other, "--force", "--no-sync"])));
        verifies.push(run(server.icecore(dir).args(["verify", &id, &image, "--unencrypted"])));
    }
    std::fs::remove_file(&other).unwrap();
    let export = line("export --no-sync", &exports);
    let verify = line("verify SNAPSHOT FILE", &verifies);
    println!("{:40} {:>7.2}", "  verify by export", verify / export);
    image
}

/// Hashes a file that is in the cache since it was written.
fn against_openssl(dir: &Path, exported: &str) {
    let image = &dir.join("cached.img").to_string_lossy().into_owned();
    written_anew(exported, image);
    std::fs::remove_file(exported).unwrap();
    let manifest = dir.join("m").to_string_lossy().into_owned();
    let make = || run(icecore(dir).args(["manifest", image, "-o", &manifest, "--force"]));
    let hold = || run(icecore(dir).args(["verify", &manifest, image]));
    make();
    let (mut made, mut held, mut of_openssl) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        made.push(make());
        held.push(hold());
        of_openssl.extend(openssl(2));
    }
    let made = line("manifest FILE", &made);
    let held = line("verify MANIFEST FILE", &held);
    if of_openssl.is_empty() {
        println!("no openssl here to compare with");
        return;
    }
    let openssl = median(of_openssl);
    println!("{:40} {openssl:>7.2}", "openssl speed -evp sha256 -multi 2");
    println!("{:40} {:>7.2} {:>10.2}", "  manifest, verify by openssl", made / openssl, held / openssl);
}

/// Writes the file once more, through the cache as programs do: where the file system has large folios, it is in them.
/// An export goes past the cache, and what is read ahead of a reader comes in single pages.
fn written_anew(from: &str, to: &str) {
    let (mut from, mut to) = (File::open(from).unwrap(), File::create(to).unwrap());
    let mut piece = vec![0; 1 << 20];
    while let n @ 1.. = from.read(&mut piece).unwrap() {
        to.write_all(&piece[..n]).unwrap();
    }
    // What is still to be written would be, while something else is measured.
    to.sync_all().unwrap();
}

/// Holds a file of one block against terabytes that are not there: all of it is wrong, and next to nothing is read.
fn against_nothing(dir: &Path, tib: u32) {
    let (path, target, evidence) = (dir.join("large"), dir.join("short.img"), dir.join("evidence"));
    let geometry = Geometry::ebs(GiB::try_from(i64::from(tib) << 10).unwrap());
    let size = ByteSize::from_bytes(u64::from(tib) << 40);
    let mut present = BlockSet::new();
    present.insert_range(BlockRange::new(BlockIndex::ZERO, geometry.n_blocks()));
    let disk = Machine::real(dir.to_owned()).disk;
    manifest::write(
        &*disk,
        &path,
        &About { snapshot_id: None, geometry, size, is_encrypted: None },
        &present,
        |index| Ok(Digest::of(&index.get().to_le_bytes())),
    )
    .unwrap();
    std::fs::write(&target, vec![1; 512 << 10]).unwrap();
    let [path, target, evidence] = [&path, &target, &evidence].map(|path| path.to_str().unwrap());
    let verify = ["--format", "json", "verify", path, target];
    wrong(dir, &format!("verify of {tib} TiB, all of it wrong"), &verify, 1);
    if tib > 4 {
        return;
    }
    wrong(dir, "  and kept as evidence", &[&verify[..], &["--evidence", evidence]].concat(), 1);
    wrong(dir, "evidence verify of that", &["evidence", "verify", evidence], 0);
}

/// What a run takes that ends with this code.
fn wrong(dir: &Path, name: &str, words: &[&str], code: i32) {
    let (taken, status) = ended(icecore(dir).args(words).stdout(Stdio::null()));
    assert_eq!(status.code(), Some(code), "{name}");
    println!("{name:40} {:>7.2} s {:>18.1}", taken.seconds, taken.peak);
    assert!(taken.peak < 256.0, "memory follows what is wrong");
}

/// Imports, hashes and verifies sparse files with three blocks of data.
fn against_holes(dir: &Path) {
    println!("{:40} {:>7} {:>18} {:>9}", "three blocks of data in", "s", "peak MiB", "cache MiB");
    for (name, gib, limit) in [("64 GiB", 64_u64, 1.0), ("15 TiB", 15 << 10, 2.0)] {
        let image = dir.join("sparse.img");
        let file = File::create(&image).unwrap();
        file.set_len(gib << 30).unwrap();
        for at in [0, gib << 29, (gib << 30) - (512 << 10)] {
            file.write_all_at(&vec![7; 512 << 10], at).unwrap();
        }
        file.sync_all().unwrap();
        let word = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let (image, manifest, store) = (word("sparse.img"), word("sparse.m"), word("sparse.store"));
        for words in [
            &["manifest", &image, "-o", &manifest, "--force"][..],
            &["verify", &manifest, &image],
            &["import", &image, "--omit-zero-blocks", "--local", &store],
        ] {
            let ran = run(icecore(dir).args(words));
            // To look at every page that 15 TiB could have takes that program minutes.
            let cached = (gib == 64).then(|| cached(&image)).flatten();
            let cached = cached.map_or_else(|| "-".to_owned(), |mib| format!("{mib:.1}"));
            println!(
                "  {:38} {:>7.2} {:>18.1} {cached:>9}",
                format!("{name}: {}", words[0]),
                ran.seconds,
                ran.peak
            );
            assert!(ran.peak < 64.0, "memory follows the holes");
            assert!(ran.seconds < limit, "time follows the holes");
        }
    }
}

/// Of a file in the cache, in MiB; `None` where no program says so.
fn cached(path: &str) -> Option<f64> {
    let output =
        Command::new("fincore").args(["--bytes", "--noheadings", "--output", "RES", path]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().ok()? / f64::from(1 << 20))
}

/// Reads the device as a whole, past the cache, block by block as we do.
fn against_fio(dir: &Path, device: &str) {
    let manifest = dir.join("device.manifest").to_string_lossy().into_owned();
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let hash = run(icecore(dir).args(["manifest", device, "-o", &manifest, "--force"]));
        let words =
            ["--name=read", "--rw=read", "--bs=512k", "--direct=1", "--ioengine=psync", "--numjobs=1"];
        let mut fio = Command::new("fio");
        let read = run(fio.args(words).arg(format!("--filename={device}")).arg("--readonly"));
        println!("{device}: {:.2} s, fio {:.2} s", hash.seconds, read.seconds);
        ratios.push(read.seconds / hash.seconds);
    }
    println!("{:40} {:>7.2}", "  manifest DEVICE by fio", median(ratios));
}

fn icecore(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_icecore"));
    command.args(["--quiet", "--state-dir"]).arg(state);
    command
}

/// Prints the medians; gives the speed in GB/s.
fn line(name: &str, runs: &[Run]) -> f64 {
    let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
    let speed = BYTES / middle(|run| run.seconds);
    let cpu = middle(|run| run.cpu_seconds) / BYTES;
    println!("{name:40} {speed:>7.2} {cpu:>10.3} {:>9.1}", middle(|run| run.peak));
    speed
}
