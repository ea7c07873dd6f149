//! Volumes made from a few numbers, of any size, that take no room.
//!
//! A [`Recipe`] says what every block of every generation holds; [`SyntheticShelf`] shows generations as snapshots.
//! Everything is computed when it is asked for, so a volume of 64 TiB costs no more than one of 1 GiB. The same
//! numbers give the same bytes in every build: recorded figures may depend on them.

mod recipe;
mod shelf;

pub use recipe::{Recipe, Write};
pub use shelf::SyntheticShelf;
