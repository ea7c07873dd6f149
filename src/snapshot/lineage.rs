//! Which snapshots share blocks.

use std::fmt;
use std::str::FromStr;

/// Names a tree of snapshots that share blocks. It outlives every one of them: deleting a parent leaves its
/// children related.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(u64);

/// A text that names no lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a lineage: expected 16 hexadecimal digits")]
pub struct LineageError;

impl Lineage {
    /// A lineage by its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl FromStr for Lineage {
    type Err = LineageError;

    fn from_str(text: &str) -> Result<Self, LineageError> {
        if text.len() != 16 {
            return Err(LineageError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| LineageError)
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lineage({self})")
    }
}
