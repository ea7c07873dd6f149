//! On a mounted cold file: the program itself, and every read counted by the file system.

use crate::cli::{Here, Outcome, one_object};
use crate::warm::cold::{ColdFile, Spec, a_quarter};
use icecore::block::{BlockIndex, BlockRange, BlockSet};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const CHILD: [&str; 4] = ["warm::serves_a_cold_file_if_asked", "--exact", "--nocapture", "--test-threads=1"];
const BLOCKS: u32 = 2_048;
const LATENCY: Duration = Duration::from_millis(20);

/// A file of 1 GiB, a quarter of it allocated; or a line that says what was not tested, and why.
#[expect(clippy::print_stdout, reason = "a part that is left out is said to be")]
fn served(spec: &Spec, untested: &str) -> Option<ColdFile> {
    match ColdFile::serve(spec, &CHILD) {
        Ok(file) => Some(file),
        Err(why) => {
            println!("NOT TESTED: {untested}: {why}");
            None
        }
    }
}

#[expect(clippy::print_stdout, reason = "a part that is left out is said to be")]
fn looped(file: &mut ColdFile) -> Option<PathBuf> {
    file.looped().inspect_err(|why| println!("NOT TESTED: a cold block device: {why}")).ok()
}

fn spec() -> Spec {
    Spec::new(BLOCKS, &a_quarter(BLOCKS), LATENCY)
}

/// Writes the map of a set of blocks; gives its path.
fn map(here: &Here, blocks: &BlockSet) -> String {
    let path = here.path("map");
    let lines: Vec<_> = blocks.ranges().map(|range| format!("{range}\n")).collect();
    std::fs::write(&path, lines.concat()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A threshold that no machine is too busy to stay under: what is tested with it is not how fast this one is.
const EASY: [&str; 2] = ["--threshold", "20s"];

fn warm(here: &Here, device: &Path, words: &[&str]) -> Outcome {
    let mut all = vec!["warm", device.to_str().unwrap(), "--format", "json"];
    all.extend(words);
    here.run(&all)
}

#[track_caller]
fn report(outcome: &Outcome, code: i32) -> Value {
    assert_eq!(outcome.code, code, "{outcome:?}");
    one_object(&outcome.stdout)
}

#[test]
fn what_is_allocated_is_read_once_and_nothing_else() {
    let Some(mut file) = served(&spec(), "reads of a cold volume, counted") else { return };
    let here = Here::new();
    let allocated = a_quarter(BLOCKS);
    let outcome = warm(&here, &file.path(), &["--map", &map(&here, &allocated), EASY[0], EASY[1]]);
    let report = report(&outcome, 0);
    assert_eq!(report["state"], "warm");
    assert_eq!((report["blocks_read"].as_u64(), report["blocks_planned"].as_u64()), (Some(512), Some(512)));
    let told = file.told();
    assert_eq!((told.whole, told.again, told.touched), (512, 0, 512));
    let (read, proof) = (512 * 524_288, 300 * 4096);
    assert_eq!((told.bytes, report["bytes_read"].as_u64()), (read + proof, Some(read + proof)));
    assert!(proof * 200 <= read, "the proof reads at most half a percent more");
    let p50 = |of: &Value| of["latency_ms"]["p50"].as_f64().unwrap();
    assert!(p50(&report) >= 20.0 && p50(&report["proof"]) < 20.0, "{report}");
    assert!(
        !here
            .path("state/checkpoints")
            .read_dir()
            .unwrap()
            .any(|entry| { entry.unwrap().path().extension().is_some_and(|extension| extension == "ckpt") })
    );
}

#[test]
fn a_loop_device_over_it_is_warmed_as_a_device() {
    let Some(mut file) = served(&spec(), "a cold block device") else { return };
    let Some(device) = looped(&mut file) else { return };
    let here = Here::new();
    let before = file.told();
    let report =
        report(&warm(&here, &device, &["--map", &map(&here, &a_quarter(BLOCKS)), EASY[0], EASY[1]]), 0);
    assert_eq!((report["state"].as_str(), report["is_block_device"].as_bool()), (Some("warm"), Some(true)));
    let told = file.told();
    assert_eq!(told.touched, 512);
    // The system looks for partitions of its own accord when the device appears.
    assert!(told.bytes - before.bytes < 512 * 524_288 + 300 * 4096 + (4 << 20), "{told:?} after {before:?}");
    // A partition table was not found, and the device is no volume of EBS.
    assert_eq!(report["volume_id"], Value::Null);
}

#[test]
fn a_probe_reads_a_sample_and_tells_cold_from_warm() {
    let Some(mut file) = served(&spec(), "a probe of a cold volume") else { return };
    let here = Here::new();
    let map = map(&here, &a_quarter(BLOCKS));
    let cold = report(&warm(&here, &file.path(), &["--map", &map, "--probe", "--seed", "1"]), 1);
    assert_eq!((cold["state"].as_str(), cold["probe"].as_bool()), (Some("partial"), Some(true)));
    assert_eq!(cold["proof"]["sample"], 300);
    assert!(cold["proof"]["cold_upper_bound_95"].as_f64().unwrap() > 0.99);
    assert_eq!((file.told().bytes, file.told().touched), (300 * 4096, 300));
    // The same sample again: the probe warmed it.
    let words = ["--map", &map, "--probe", "--seed", "1", EASY[0], EASY[1]];
    let again = report(&warm(&here, &file.path(), &words), 0);
    assert_eq!(again["state"], "warm");
    assert!(again["proof"]["latency_ms"]["p50"].as_f64().unwrap() < 20.0);
}

#[test]
fn half_a_volume_is_not_called_warm() {
    let Some(file) = served(&spec(), "a half-warm volume") else { return };
    let here = Here::new();
    let map = map(&here, &a_quarter(BLOCKS));
    let half = report(&warm(&here, &file.path(), &["--map", &map, "--hottest", "256"]), 3);
    assert_eq!((half["state"].as_str(), half["stopped_by"].as_str()), (Some("partial"), Some("limit")));
    assert_eq!((half["blocks_read"].as_u64(), half["cold_blocks"].as_u64()), (Some(256), Some(256)));
    assert_eq!(half["proof"]["warm"], false, "the sample is drawn over all allocated blocks");
    let slow = half["proof"]["slow"].as_u64().unwrap();
    assert!(slow >= 100, "{slow} of 300");
    // The rest, and that only.
    let rest = report(&warm(&here, &file.path(), &["--map", &map, EASY[0], EASY[1]]), 0);
    assert_eq!((rest["blocks_read"].as_u64(), rest["blocks_resumed"].as_u64()), (Some(512), Some(256)));
    assert_eq!(rest["state"], "warm");
}

#[test]
fn a_deadline_ends_the_run_and_the_same_command_goes_on() {
    let Some(mut file) = served(&spec(), "a deadline on a cold volume") else { return };
    let here = Here::new();
    let map = map(&here, &a_quarter(BLOCKS));
    // 100 blocks a second: 512 take five.
    let words = ["--map", &map, "--rate", "50MiB/s", "--deadline", "2s"];
    let stopped = report(&warm(&here, &file.path(), &words), 3);
    assert_eq!(
        (stopped["state"].as_str(), stopped["stopped_by"].as_str()),
        (Some("partial"), Some("deadline"))
    );
    let read = stopped["blocks_read"].as_u64().unwrap();
    // A busy machine may be slower than the rate; none is faster.
    assert!(read <= 210 && stopped["predicted"].as_f64().unwrap() < 0.45, "{stopped}");
    assert_eq!(stopped["cold_blocks"].as_u64(), Some(512 - read));
    let rest = report(&warm(&here, &file.path(), &["--map", &map, EASY[0], EASY[1]]), 0);
    assert_eq!(rest["blocks_resumed"].as_u64(), Some(read));
    let told = file.told();
    assert_eq!(told.whole, 512);
    // What was in flight when the time was up: at 100 blocks a second a third of one's, however busy the machine.
    assert!(told.again <= 33, "{told:?}");
}

#[test]
fn blocks_that_cannot_be_read_are_named_and_the_rest_is_warmed() {
    let mut spec = spec();
    spec.model.bad = BlockSet::from(BlockRange::new(BlockIndex::new(256), 3));
    let Some(mut file) = served(&spec, "a volume with bad blocks") else { return };
    let here = Here::new();
    let report = report(&warm(&here, &file.path(), &["--map", &map(&here, &a_quarter(BLOCKS))]), 7);
    assert_eq!(report["state"], "partial");
    assert_eq!(report["unreadable_ranges"].to_string(), "[[256,3]]");
    assert_eq!(report["cold_ranges"].to_string(), "[[256,3]]");
    assert_eq!(report["blocks_read"], 509);
    let exceptions = report["exceptions"].as_array().unwrap();
    assert_eq!((exceptions.len(), exceptions[0]["kind"].as_str()), (1, Some("local")));
    assert_eq!(file.told().touched, 512, "the rest is warm");
}

#[test]
fn several_volumes_are_warmed_together_and_a_bad_one_stops_none() {
    let Some(mut one) = served(&spec(), "several cold volumes") else { return };
    let Some(mut two) = served(&spec(), "several cold volumes") else { return };
    let here = Here::new();
    let map = map(&here, &a_quarter(BLOCKS));
    let pair = |device: &Path| format!("{}={map}", device.display());
    let missing = here.path("missing");
    let pairs = [pair(&one.path()), pair(&missing), pair(&two.path())];
    let mut words = vec!["warm", "--format", "json"];
    pairs.iter().for_each(|pair| words.extend(["--pair", pair]));
    words.extend(EASY);
    let outcome = here.run(&words);
    let job = report(&outcome, 2);
    let states: Vec<_> = job["items"].as_array().unwrap().iter().map(|item| item["state"].as_str()).collect();
    assert_eq!(states, [Some("warm"), Some("incomplete"), Some("warm")]);
    assert!(job["items"][1]["error"].as_str().unwrap().contains("there is no such file"));
    assert_eq!((one.told().touched, two.told().touched), (512, 512));
}

/// Kills in a full count are 100; one by default.
fn kills() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how a full count is asked for")]
    let is_full = std::env::var_os("ICECORE_SEEDS").is_some();
    if is_full { 100 } else { 1 }
}

#[test]
fn a_killed_run_goes_on_and_reads_hardly_anything_twice() {
    // A kill costs what is in flight, and what was not recorded in the ten milliseconds before it.
    let blocks = 16_384;
    let allocated = a_quarter(blocks);
    let spec = Spec::new(blocks, &allocated, Duration::from_millis(2));
    for kill in 0..kills() {
        let Some(mut file) = served(&spec, "a run that is killed") else { return };
        let here = Here::new();
        let (map, device) = (map(&here, &allocated), file.path());
        let rest = ["warm", device.to_str().unwrap(), "--map", &map, "--format", "json", EASY[0], EASY[1]];
        let slowly = [&rest[..], &["--rate", "256MiB/s", "--concurrency", "8"]].concat();
        let mut child = here.command(&slowly).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // So much is read when it is killed: anywhere.
        let enough = fastrand::Rng::with_seed(kill).u64(allocated.len() / 50..allocated.len() * 9 / 10);
        while file.told().whole < enough {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let report = report(&here.run(&rest), 0);
        let (told, resumed) = (file.told(), report["blocks_resumed"].as_u64().unwrap());
        assert_eq!((told.whole, report["state"].as_str()), (allocated.len(), Some("warm")));
        assert!(
            resumed > 0 && told.again * 100 < allocated.len(),
            "{told:?}, {resumed} resumed, kill {kill}"
        );
    }
}
