//! Claims that listing is light and as fast as the quota lets: 64 TiB fully written at most 0.25 us of client CPU
//! a block and 64 MiB of memory; 2 TiB at 100 ms a page in under 10 s with 50 pages a second; comparing two
//! snapshots of 64 TiB under 256 MiB.
//!
//! ```text
//! cargo bench --no-default-features --bench listing [-- quick]
//! ```
//!
//! `quick` leaves out the volumes of 64 TiB, for which the server needs some minutes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;
#[path = "measure/server.rs"]
mod server;

use measure::{Run, run};
use server::{Server, Volume, serve_if_asked};

fn main() {
    serve_if_asked();
    let quick = std::env::args().any(|word| word == "quick");
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(0);
    println!("{:44} {:>8} {:>12} {:>9}", "icecore", "seconds", "us CPU/block", "peak MiB");
    let show = |name: &str, blocks: u64, took: Run| {
        let per_block = took.cpu_seconds * 1e6 / blocks as f64;
        println!("{name:44} {:>8.2} {per_block:>12.3} {:>9.1}", took.seconds, took.peak);
    };
    let large = Volume::Large.id(0);
    show("show: 2 TiB, full", 1 << 22, run(server.icecore(state.path()).args(["show", &large])));
    if !quick {
        let huge = [Volume::Huge.id(0), Volume::Huge.id(1)];
        show("show: 64 TiB, full", 1 << 27, run(server.icecore(state.path()).args(["show", &huge[0]])));
        let compare = ["diff", &huge[0], &huge[1]];
        show(
            "diff: 64 TiB, every fourth block rewritten",
            1 << 25,
            run(server.icecore(state.path()).args(compare)),
        );
    }
    drop(server);
    let server = Server::start(100);
    let limited = ["show", &large, "--rate-list", "50"];
    show("show: 2 TiB, 100 ms a page, 50 pages/s", 1 << 22, run(server.icecore(state.path()).args(limited)));
}
