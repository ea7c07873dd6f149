//! Claims what warming a cold volume takes, beside `dd` and the `fio` command that AWS's documentation gives, each on a
//! cold file of its own (`tests/cold`): 4 GiB, a quarter of it allocated, 20 ms for each first touch.
//!
//! Reading takes at most 1.15 times `blocks x latency / depth` at depth 64 and 1.6 times at 128; the whole command at most
//! a third of fio's time and a 35th of dd's; where a throughput limit of 250 MB/s counts free space too, at most 1/3.8 of
//! fio's; with everything allocated no longer than fio. Memory stays below 128 MiB, the page cache within 16 MiB, on a
//! volume of 64 TiB whose blocks are scattered as well. Beside the depths stands what a plain pool of threads takes: less
//! is not to be had of this file on this machine.
//!
//! ```text
//! cargo bench --no-default-features --bench warm [-- [once] [quarter] [dd] [depths] [limited] [all] [size]]
//! ```
//!
//! Needs root for the mount, and fio. `once` takes one turn of each and not five (of dd it is always one); other words
//! choose parts of the whole.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

#[path = "../tests/cold/mod.rs"]
mod cold;
mod measure;

use cold::{ColdFile, Spec, a_quarter, serve_if_asked};
use icecore::block::{BlockIndex, BlockRange, BlockSet, BlockSize, Buffer};
use icecore::device::Image;
use icecore::disk::Machine;
use measure::{ended, median, run, seconds};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const BLOCKS: u32 = 8_192;
const LATENCY: Duration = Duration::from_millis(20);
const LIMIT: u64 = 250_000_000;
/// In MiB, at the most.
const MEMORY: f64 = 128.0;

fn main() {
    if serve_if_asked() {
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let (once, parts): (Vec<_>, Vec<_>) = words.iter().partition(|word| *word == "once");
    let turns = if once.is_empty() { 5 } else { 1 };
    let is_asked = |part: &str| parts.is_empty() || parts.iter().any(|word| *word == part);
    let quarter = a_quarter(BLOCKS);
    let cold = Spec::new(BLOCKS, &quarter, LATENCY);
    // What is read of the program itself must not count as growth of the cache.
    std::fs::read(env!("CARGO_BIN_EXE_icecore")).unwrap();
    println!("4 GiB, a quarter allocated, 20 ms for each first touch; medians of {turns}");
    if is_asked("quarter") {
        compared(&cold, &quarter, turns);
    }
    if is_asked("dd") {
        let took = on_cold(&cold, |file| run(&mut dd(file)).seconds);
        println!("  {:34} {took:>8.2} s", "dd bs=1M, once");
    }
    if is_asked("depths") {
        depths(&cold, &quarter, turns);
    }
    if is_asked("limited") {
        let mut limited = cold;
        limited.model.throughput = Some(LIMIT);
        println!("\nthe same under 250 MB/s, free space counted");
        compared(&limited, &quarter, turns.min(3));
    }
    if is_asked("all") {
        let all = BlockSet::from(BlockRange::new(BlockIndex::ZERO, BLOCKS));
        println!("\n4 GiB, all of it allocated, 20 ms for each first touch");
        compared(&Spec::new(BLOCKS, &all, LATENCY), &all, turns);
    }
    if is_asked("size") {
        largest();
    }
}

/// What the whole command took.
struct Warmed {
    seconds: f64,
    reading: f64,
    peak: f64,
    /// Growth of the page cache in MiB.
    cache: f64,
}

/// Each in turn on a cold file of its own; medians.
fn compared(spec: &Spec, allocated: &BlockSet, turns: usize) {
    let (mut ours, mut fios) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        ours.push(warm(spec, allocated, None));
        fios.push(on_cold(spec, |file| run(&mut fio(file)).seconds));
    }
    let middle = |of: fn(&Warmed) -> f64| median(ours.iter().map(of).collect());
    let worst = |of: fn(&Warmed) -> f64| ours.iter().map(of).fold(f64::MIN, f64::max);
    let (seconds, fio) = (middle(|warmed| warmed.seconds), median(fios));
    let reading = middle(|warmed| warmed.reading);
    println!("  {:34} {seconds:>8.2} s, of that reading {reading:.2} s", "icecore warm");
    println!("  {:34} {fio:>8.2} s  {:>6.1} times as long", "fio, as AWS says", fio / seconds);
    let (peak, cache) = (worst(|warmed| warmed.peak), worst(|warmed| warmed.cache));
    println!("  at most {peak:.1} MiB of memory, page cache grown by {cache:.1} MiB");
}

/// Reading alone, beside what it would take if nothing but the first touches took time.
fn depths(spec: &Spec, allocated: &BlockSet, turns: usize) {
    for depth in [32_u32, 64, 128] {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            ours.push(warm(spec, allocated, Some(depth)).reading);
            plain.push(on_cold(spec, |file| pool(file, allocated, depth)));
        }
        let (ours, plain) = (median(ours), median(plain));
        let ideal = allocated.len() as f64 * LATENCY.as_secs_f64() / f64::from(depth);
        println!(
            "  reading at depth {depth:<4} {ours:>21.2} s  {:>6.2} of the ideal {ideal:.2} s; a plain pool {:.2}",
            ours / ideal,
            plain / ideal
        );
    }
}

/// As many threads as there are reads in flight, each with the next block in turn, and nothing else.
fn pool(file: &Path, allocated: &BlockSet, depth: u32) -> f64 {
    let image = Image::open_uncached(file, &Machine::real(PathBuf::new())).unwrap();
    let blocks: Vec<_> = allocated.iter().collect();
    let next = AtomicUsize::new(0);
    seconds(|| {
        thread::scope(|scope| {
            for _ in 0..depth {
                scope.spawn(|| {
                    let mut buffer = Buffer::for_blocks(1);
                    while let Some(index) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let offset = index.byte_offset(BlockSize::EBS);
                        image.read_at(offset, buffer.as_mut_slice()).unwrap();
                    }
                });
            }
        });
    })
}

/// The largest volume there is, every second run of eight blocks allocated: memory after some seconds of it.
fn largest() {
    let blocks = 1_u32 << 27;
    let spec = Spec::new(blocks, &BlockSet::new(), Duration::ZERO);
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("map");
    let mut lines = BufWriter::new(File::create(&map).unwrap());
    (0..blocks).step_by(16).for_each(|start| writeln!(lines, "{start}-{}", start + 7).unwrap());
    lines.into_inner().unwrap();
    on_cold(&spec, |file| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_icecore"));
        command.arg("--quiet").arg("--state-dir").arg(dir.path().join("state"));
        command.arg("warm").arg(file).arg("--map").arg(&map).args(["--deadline", "20s"]);
        let cached = cached();
        let (ran, status) = ended(command.stdout(Stdio::null()));
        assert_eq!(status.code(), Some(3), "there is more of it than can be read");
        assert!(ran.peak < MEMORY, "{:.1} MiB of memory", ran.peak);
        println!(
            "\n64 TiB, half of it allocated in 8,388,608 runs: {:.1} MiB of memory, page cache grown by {:.1} MiB",
            ran.peak,
            (self::cached() - cached).max(0.0)
        );
    });
}

fn warm(spec: &Spec, allocated: &BlockSet, depth: Option<u32>) -> Warmed {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let lines: Vec<_> = allocated.ranges().map(|range| format!("{range}\n")).collect();
    std::fs::write(path("map"), lines.concat()).unwrap();
    on_cold(spec, |file| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_icecore"));
        command.args(["--quiet", "--format", "json", "--state-dir", &path("state")]);
        // Not to --report-file: that is made durable, which is not what is measured here.
        command.stdout(File::create(path("report")).unwrap());
        command.args(["warm", "--map", &path("map")]).arg(file);
        command.args(depth.map(|depth| format!("--concurrency={depth}")));
        let cached = cached();
        let (ran, status) = ended(&mut command);
        assert!(status.success(), "{status}");
        assert!(ran.peak < MEMORY, "{:.1} MiB of memory", ran.peak);
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path("report")).unwrap()).unwrap();
        let (read, proof) =
            (report["bytes_read"].as_f64().unwrap(), report["bytes_of_proof"].as_f64().unwrap());
        assert_eq!(
            read - proof,
            allocated.len() as f64 * 524_288.0,
            "allocated blocks and the proof, no more"
        );
        assert!(proof <= 0.005 * read && report["state"] == "warm", "{report}");
        Warmed {
            seconds: ran.seconds,
            reading: report["seconds"].as_f64().unwrap(),
            peak: ran.peak,
            cache: (self::cached() - cached).max(0.0),
        }
    })
}

/// What the system has of files in memory, in MiB.
fn cached() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Cached:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn on_cold<T>(spec: &Spec, work: impl FnOnce(&Path) -> T) -> T {
    let file = ColdFile::serve(spec, &[]).unwrap_or_else(|why| panic!("{why}"));
    work(&file.path())
}

/// AWS's words (EBS user guide, "initialize volume"), on a file that is only read.
fn fio(file: &Path) -> Command {
    let mut fio = Command::new("fio");
    let words = ["--rw=read", "--bs=1M", "--iodepth=32", "--ioengine=libaio", "--direct=1"];
    fio.arg(format!("--filename={}", file.display()))
        .args(words)
        .args(["--name=volume-initialize", "--readonly"]);
    fio
}

fn dd(file: &Path) -> Command {
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", file.display())).args(["of=/dev/null", "bs=1M", "status=none"]);
    dd
}
