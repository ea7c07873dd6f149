//! Claims what a download costs: 4 GiB from an endpoint in another process, checked block by block.
//!
//! Without a sink at least 2 GB/s and at most 0.6 CPU seconds a GB on two cores; at 50 ms a request and 64 in
//! flight at least 90 % of what Little's law allows, 671 MB/s; memory of at most 100 MiB at 32 in flight and
//! 160 MiB at 64; 1 TiB of which a 64th is written under 128 MiB. Files go to the directory named last, by default the system's for temporary files.
//!
//! ```text
//! cargo bench --no-default-features --bench download [-- DIR]
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;
#[path = "measure/server.rs"]
mod server;

use measure::{Run, median, run};
use server::{Server, Volume, serve_if_asked};
use std::path::PathBuf;

const BYTES: f64 = 4.294_967_296;
const TURNS: usize = 3;

fn main() {
    serve_if_asked();
    let dir = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'))
        .map_or(std::env::temp_dir(), PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    let image = dir.path().join("out.img").to_string_lossy().into_owned();
    let id = Volume::Image.id(0);
    let file = ["export", &id, &image, "--force"];
    let to_null = ["export", &id, "--to-null"];
    let with = |words: &[&str], more: &[&str]| -> Vec<String> {
        words.iter().chain(more).map(|word| (*word).to_owned()).collect()
    };
    let server = Server::start(0);
    println!("{:44} {:>7} {:>10} {:>9}", "4 GiB", "GB/s", "cpu-s/GB", "peak MiB");
    let cases = [
        ("--to-null", with(&to_null, &[])),
        ("--to-null --concurrency 4", with(&to_null, &["--concurrency", "4"])),
        ("--to-null --concurrency 32", with(&to_null, &["--concurrency", "32"])),
        ("--to-null --concurrency 64", with(&to_null, &["--concurrency", "64"])),
        ("--no-sync", with(&file, &["--no-sync"])),
        ("--no-sync --concurrency 32", with(&file, &["--no-sync", "--concurrency", "32"])),
        ("durable", with(&file, &[])),
    ];
    in_turns(&server, dir.path(), &cases);
    let sparse = Volume::Sparse.id(0);
    let sparse = run(server.icecore(dir.path()).args(["export", &sparse, "--to-null"]));
    println!(
        "{:44} {:>7.2} {:>10.3} {:>9.1}",
        "--to-null, 16 GiB of 1 TiB",
        4.0 * BYTES / sparse.seconds,
        sparse.cpu_seconds / BYTES / 4.0,
        sparse.peak
    );
    drop(server);
    println!("at 50 ms a request");
    let server = Server::start(50);
    let cases = [
        ("--to-null --concurrency 64", with(&to_null, &["--concurrency", "64"])),
        ("--to-null, adapting", with(&to_null, &[])),
    ];
    in_turns(&server, dir.path(), &cases);
}

fn in_turns(server: &Server, state: &std::path::Path, cases: &[(&str, Vec<String>)]) {
    let mut runs = vec![Vec::new(); cases.len()];
    for _ in 0..TURNS {
        for ((_, words), runs) in cases.iter().zip(&mut runs) {
            runs.push(run(server.icecore(state).args(words)));
        }
    }
    for ((name, _), runs) in cases.iter().zip(runs) {
        let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
        let (speed, cpu) = (BYTES / middle(|run| run.seconds), middle(|run| run.cpu_seconds) / BYTES);
        println!("{name:44} {speed:>7.2} {cpu:>10.3} {:>9.1}", middle(|run| run.peak));
    }
}
