//! A block map drawn in characters: where the allocated blocks lie in the volume.
//!
//! Each cell stands for equally many blocks. The edges are honest: a cell with a single allocated block is never
//! drawn empty, and only one whose blocks are all allocated is drawn full.

use crate::block::{BlockIndex, BlockRange, BlockSet, Geometry};
use crate::render::numbers::blocks;
use std::io::{self, Write};

const COLUMNS: u32 = 64;
const ROWS: u32 = 16;

const NONE: char = '·';
const FULL: char = '█';
/// Up to a third, up to two thirds, more.
const SHADES: [char; 3] = ['░', '▒', '▓'];

/// Writes the map and its legend.
pub(super) fn draw(out: &mut dyn Write, geometry: Geometry, allocated: &BlockSet) -> io::Result<()> {
    let n_blocks = geometry.n_blocks();
    let per_cell = n_blocks.div_ceil(COLUMNS * ROWS);
    let per_row = per_cell * COLUMNS;
    for first in (0..n_blocks).step_by(per_row as usize) {
        let offset = geometry.block_size.of(u64::from(first)).to_string();
        let row: String = (first..n_blocks.min(first + per_row))
            .step_by(per_cell as usize)
            .map(|start| {
                let len = per_cell.min(n_blocks - start);
                shade(allocated.count_in(BlockRange::new(BlockIndex::new(start), len)), len)
            })
            .collect();
        writeln!(out, "  {offset:>10}  {row}")?;
    }
    let cell = geometry.block_size.of(u64::from(per_cell));
    let [low, middle, high] = SHADES;
    writeln!(out)?;
    writeln!(out, "  {:>10}  one cell is {cell} ({})", "", blocks(u64::from(per_cell)))?;
    writeln!(
        out,
        "  {:>10}  {NONE} none  {low} up to 1/3  {middle} up to 2/3  {high} more  {FULL} all allocated",
        ""
    )
}

fn shade(allocated: u64, of: u32) -> char {
    match allocated {
        0 => NONE,
        n if n == u64::from(of) => FULL,
        n if n * 3 <= u64::from(of) => SHADES[0],
        n if n * 3 <= u64::from(of) * 2 => SHADES[1],
        _ => SHADES[2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::GiB;

    fn drawn(gib: i64, allocated: &BlockSet) -> Vec<String> {
        let mut out = Vec::new();
        draw(&mut out, Geometry::ebs(GiB::try_from(gib).unwrap()), allocated).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn one_block_is_seen_in_the_largest_volume() {
        for gib in [1, 3, 65_536] {
            let last = u32::try_from(gib * 2048 - 1).unwrap();
            let lines = drawn(gib, &[BlockIndex::new(last)].into_iter().collect());
            assert_eq!(lines.len(), 16 + 3);
            assert!(lines[15].ends_with(if gib == 1 { "·▒" } else { "·░" }), "{}", lines[15]);
            assert_eq!(lines[..16].concat().matches(['░', '▒']).count(), 1);
        }
    }

    #[test]
    fn a_cell_is_full_only_when_every_block_is() {
        let mut all = BlockSet::from(Geometry::ebs(GiB::try_from(65_536).unwrap()).range());
        assert!(drawn(65_536, &all)[..16].iter().all(|line| line.ends_with(&"█".repeat(64))));
        all.remove(BlockIndex::new(0));
        assert!(drawn(65_536, &all)[0].contains("▓█"));
    }

    #[test]
    fn shades_follow_thirds() {
        let row: String = (0..=6).map(|n| shade(n, 6)).collect();
        assert_eq!(row, "·░░▒▒▓█");
    }
}
