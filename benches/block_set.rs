//! Claims that sets of blocks cost nothing beside what fills them: a few nanoseconds a block, and 16 MiB at worst
//! for 64 TiB.
//!
//! ```text
//! cargo bench --no-default-features --bench block_set
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;

use icecore::block::{BlockIndex, BlockSet};
use measure::{memory, typical};
use std::time::Duration;

/// Blocks of 64 TiB.
const ALL: u32 = 1 << 27;

fn main() {
    let every = |step: usize| move || (0..ALL).step_by(step).map(BlockIndex::new).collect::<BlockSet>();
    println!("{:34} {:>12} {:>10} {:>8}", "64 TiB", "blocks", "ns/block", "MiB");
    for (name, step) in [("every block", 1), ("every second, the worst", 2), ("one of a hundred", 100)] {
        let before = memory("self", "VmRSS");
        let set = every(step)();
        let size = memory("self", "VmRSS") - before;
        let per_block = |seconds: f64| seconds * 1e9 / set.len() as f64;
        let short = Duration::from_millis(200);
        let inserted = per_block(typical(short, || drop(std::hint::black_box(every(step)()))));
        println!("{:34} {:>12} {inserted:>10.2} {size:>8.1}", format!("insert {name}"), set.len());
        let iterated = per_block(typical(short, || {
            std::hint::black_box(set.iter().map(|index| u64::from(index.get())).sum::<u64>());
        }));
        println!("{:34} {:>12} {iterated:>10.2}", format!("iterate {name}"), set.len());
        let other: BlockSet = (0..ALL).step_by(3).map(BlockIndex::new).collect();
        let united = per_block(typical(short, || drop(std::hint::black_box(&set | &other))));
        println!("{:34} {:>12} {united:>10.2}", format!("unite {name} with every third"), set.len());
    }
}
