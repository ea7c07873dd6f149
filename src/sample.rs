//! Which blocks to read when not all are read, and what reading them proves.
//!
//! Three ways, which may be combined: a random [`draw`] large enough for a stated confidence, a [`Partition`] that
//! covers everything over so many runs, and a [`Cycle`] that remembers which partitions its days still owe. Sampling
//! gives a probability, a partition a guarantee; neither is the other. Everything replays: the same seed, population
//! and number draw the same blocks, in every version of this program.

mod confidence;
mod cycle;
mod draw;
mod partition;

pub use confidence::{
    Aim, AimError, damaged, detection, needed, needed_of, upper_bound_95, upper_bound_95_found,
};
pub use cycle::Cycle;
pub use draw::draw;
pub use partition::{Partition, PartitionError};
