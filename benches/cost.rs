//! Claims that the model is small and fast: all figures of 1,000 snapshots of 1 TiB, each with 1 % churn, in under 2 s
//! and 1 GiB on two cores, growing with the number of snapshots; and 100 snapshots of a fully written 64 TiB volume
//! within 2 GiB.
//!
//! ```text
//! cargo bench --no-default-features --bench cost [-- quick]
//! ```
//!
//! `quick` takes a tenth of the snapshots, and leaves out the volume of 64 TiB.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;

use icecore::block::{BlockIndex, BlockRange, BlockSet};
use icecore::cost::{Layer, Versions};
use measure::{forget_peak, memory, seconds};

/// Blocks of a TiB.
const TIB: u32 = 1 << 21;

/// A full volume, then snapshots that each rewrite a hundredth of it here and there.
fn chain(snapshots: usize, n_blocks: u32) -> Vec<Layer> {
    let mut random = fastrand::Rng::with_seed(7);
    let full = BlockSet::from(BlockRange::new(BlockIndex::ZERO, n_blocks));
    let mut layers = vec![Layer::first(full)];
    for at in 1..snapshots {
        let written: BlockSet =
            (0..n_blocks / 100).map(|_| BlockIndex::new(random.u32(0..n_blocks))).collect();
        layers.push(Layer::upon(at - 1, written, BlockSet::new()));
    }
    layers
}

fn figures(name: &str, snapshots: usize, n_blocks: u32) {
    forget_peak();
    let layers = chain(snapshots, n_blocks);
    let sets = memory("self", "VmRSS");
    let mut total = 0;
    let took = seconds(|| {
        let versions = Versions::of(&layers);
        let attributed: u64 = versions.attributed().into_iter().sum();
        assert!(attributed == versions.total() && versions.unique().len() == snapshots);
        total = versions.total();
    });
    let each = took * 1e3 / snapshots as f64;
    println!("{name:44} {took:>8.2} {each:>12.3} {sets:>9.1} {:>9.1} {total:>14}", memory("self", "VmHWM"));
}

fn main() {
    let quick = std::env::args().any(|word| word == "quick");
    println!(
        "{:44} {:>8} {:>12} {:>9} {:>9} {:>14}",
        "", "seconds", "ms/snapshot", "sets MiB", "peak MiB", "versions"
    );
    let n = if quick { 100 } else { 1_000 };
    figures(&format!("{} snapshots of 1 TiB, 1 % churn", n / 4), n / 4, TIB);
    figures(&format!("{} snapshots of 1 TiB, 1 % churn", n / 2), n / 2, TIB);
    figures(&format!("{n} snapshots of 1 TiB, 1 % churn"), n, TIB);
    if !quick {
        figures("100 snapshots of 64 TiB, 1 % churn", 100, 64 * TIB);
    }
}
