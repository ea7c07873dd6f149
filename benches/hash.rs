//! Claims that hashing blocks side by side passes the ceiling of one stream: at least 1.8 times `openssl speed`
//! with as many threads, from sixteen blocks on, where the processor has AVX-512.
//!
//! ```text
//! cargo bench --no-default-features --bench hash
//! ```
//!
//! The kernel crate lets safe code choose three ways: what it picks for this processor, eight portable lanes, and
//! one portable stream. The reference is sha2.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;

use icecore::block::Digest;
use measure::{gb_per_second, openssl, typical};
use std::time::Duration;
use tape_sha256::{Message, backends};

const BLOCK: usize = 524_288;
const SIZES: [usize; 8] = [1, 2, 4, 8, 12, 16, 32, 64];

type Hash = fn(&[&[u8]]);

fn main() {
    let ways: [(String, Hash, &[usize]); 4] = [
        (format!("Digest::of_each ({})", tape_sha256::backend()), side_by_side, &SIZES),
        ("sha2, one stream".into(), one_by_one, &[1, 16]),
        ("portable, 8 lanes".into(), |blocks| portable(blocks, backends::portable8), &[8]),
        ("portable, 1 stream".into(), |blocks| portable(blocks, backends::serial), &[1]),
    ];
    let openssl = [1, 2].map(openssl);
    println!("{:32} {:>7} {:>9} {:>9}", "GB/s", "blocks", "1 thread", "2 threads");
    if let [Some(one), Some(two)] = openssl {
        println!("{:32} {:>7} {one:>9.2} {two:>9.2}", "openssl speed -evp sha256", 1);
    }
    for (name, hash, sizes) in ways {
        for blocks in sizes {
            let [one, two] = [1, 2].map(|threads| speed(hash, *blocks, threads));
            print!("{name:32} {blocks:>7} {one:>9.2} {two:>9.2}");
            if let [Some(one_ssl), Some(two_ssl)] = openssl {
                print!("   x openssl {:.2} {:.2}", one / one_ssl, two / two_ssl);
            }
            println!();
        }
    }
}

/// GB/s of all threads together, each with its own blocks.
fn speed(hash: Hash, blocks: usize, threads: usize) -> f64 {
    let took: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let fill = |block: usize| (block + thread * 64).to_le_bytes()[0];
                    let contents: Vec<Vec<u8>> = (0..blocks).map(|block| vec![fill(block); BLOCK]).collect();
                    let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
                    typical(Duration::from_millis(400), || hash(&contents))
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    took.into_iter().map(|seconds| gb_per_second(blocks * BLOCK, seconds)).sum()
}

fn side_by_side(blocks: &[&[u8]]) {
    std::hint::black_box(Digest::of_each(blocks));
}

fn one_by_one(blocks: &[&[u8]]) {
    blocks.iter().for_each(|block| {
        std::hint::black_box(Digest::of(block));
    });
}

fn portable(blocks: &[&[u8]], kernel: fn(&[Message<'_>], &mut [[u8; 32]])) {
    let messages: Vec<_> = blocks.iter().map(|block| Message::new(block)).collect();
    let mut digests = vec![[0; 32]; blocks.len()];
    kernel(&messages, &mut digests);
    std::hint::black_box(digests);
}
