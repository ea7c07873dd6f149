//! Claims what warming a cold volume takes, beside `dd` and the `fio` command that AWS's documentation gives, each on a
//! cold file of its own (`tests/cold`): 4 GiB, a quarter of it allocated, 20 ms for each first touch.
//!
//! Reading takes at most 1.15 times `blocks x latency / depth` at depth 64 and 1.6 times at 128; the whole command at most
//! a third of fio's time and a 35th of dd's; where a throughput limit of 250 MB/s counts free space too, at most 1/3.8 of
//! fio's; with everything allocated no longer than fio. Memory stays below 128 MiB, the page cache within 16 MiB.
//!
//! ```text
//! cargo bench --no-default-features --bench warm [-- once]
//! ```
//!
//! Needs root for the mount, and fio. `once` takes one turn of each and not three.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

#[path = "../tests/cold/mod.rs"]
mod cold;
mod measure;

use cold::{ColdFile, Spec, a_quarter, serve_if_asked};
use icecore::block::{BlockIndex, BlockRange, BlockSet};
use measure::{median, run};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BLOCKS: u32 = 8_192;
const LATENCY: Duration = Duration::from_millis(20);
const LIMIT: u64 = 250_000_000;

fn main() {
    if serve_if_asked() {
        return;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let turns = if words.iter().any(|word| word == "once") { 1 } else { 3 };
    let quarter = a_quarter(BLOCKS);
    let cold = Spec::new(BLOCKS, &quarter, LATENCY);
    println!("4 GiB, a quarter allocated, 20 ms for each first touch");
    let warm = compared(&cold, &quarter, turns, true);
    depths(&cold, &quarter, turns);

    let mut limited = cold.clone();
    limited.model.throughput = Some(LIMIT);
    println!("\nthe same under 250 MB/s, free space counted");
    compared(&limited, &quarter, 1, false);

    let all = BlockSet::from(BlockRange::new(BlockIndex::ZERO, BLOCKS));
    println!("\n4 GiB, all of it allocated, 20 ms for each first touch");
    compared(&Spec::new(BLOCKS, &all, LATENCY), &all, turns, false);
    println!("\npeak memory {:.1} MiB, page cache grown by {:.1} MiB", warm.peak, warm.cache);
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
fn compared(spec: &Spec, allocated: &BlockSet, turns: usize, with_dd: bool) -> Warmed {
    let (mut ours, mut fios, mut dds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        ours.push(warm(spec, allocated, None));
        fios.push(on_cold(spec, |file| run(&mut fio(file)).seconds));
        if with_dd {
            dds.push(on_cold(spec, |file| run(&mut dd(file)).seconds));
        }
    }
    let middle = |of: fn(&Warmed) -> f64| median(ours.iter().map(of).collect());
    let worst = |of: fn(&Warmed) -> f64| ours.iter().map(of).fold(f64::MIN, f64::max);
    let warmed = Warmed {
        seconds: middle(|warmed| warmed.seconds),
        reading: middle(|warmed| warmed.reading),
        peak: worst(|warmed| warmed.peak),
        cache: worst(|warmed| warmed.cache),
    };
    println!("  {:34} {:>8.2} s, of that reading {:.2} s", "icecore warm", warmed.seconds, warmed.reading);
    let fio = median(fios);
    println!("  {:34} {fio:>8.2} s  {:>6.1} times as long", "fio, as AWS says", fio / warmed.seconds);
    if with_dd {
        let dd = median(dds);
        println!("  {:34} {dd:>8.2} s  {:>6.1} times as long", "dd bs=1M", dd / warmed.seconds);
    }
    warmed
}

/// Reading alone, beside what it would take if nothing but the first touches took time.
fn depths(spec: &Spec, allocated: &BlockSet, turns: usize) {
    for depth in [32_u32, 64, 128] {
        let took: Vec<_> = (0..turns).map(|_| warm(spec, allocated, Some(depth)).reading).collect();
        let took = median(took);
        let ideal = allocated.len() as f64 * LATENCY.as_secs_f64() / f64::from(depth);
        println!(
            "  reading at depth {depth:<4} {:>21.2} s  {:>6.2} of the ideal {ideal:.2} s",
            took,
            took / ideal
        );
    }
}

fn warm(spec: &Spec, allocated: &BlockSet, depth: Option<u32>) -> Warmed {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let lines: Vec<_> = allocated.ranges().map(|range| format!("{range}\n")).collect();
    std::fs::write(path("map"), lines.concat()).unwrap();
    on_cold(spec, |file| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_icecore"));
        command.args(["--quiet", "--format", "json", "--state-dir", &path("state")]);
        command.args(["--report-file", &path("report"), "warm", "--map", &path("map")]).arg(file);
        command.args(depth.map(|depth| format!("--concurrency={depth}")));
        let cached = cached();
        let ran = run(&mut command);
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
