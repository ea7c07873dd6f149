//! The ledger: what was verified, when and how deep, in files that move between machines without conflict.
//!
//! A state directory keeps three kinds of files that outlive a runner:
//!
//! | file | what |
//! |---|---|
//! | `ledger/<sha256>.json` | an [`Entry`]: one verification of one snapshot |
//! | `cycles/<sha256>.json` | a [`CycleEntry`]: parts of a cycle that one run has read |
//! | `manifests/<subject>.<sha256>.manifest` | a manifest |
//!
//! Each is written once and named after its own SHA-256, so two of one name are the same, a damaged one shows, and
//! carrying them from one directory to another is a union ([`carry`]). Whatever is asked of the ledger is computed from
//! the entries themselves: ten thousand are read in less than a second, and there is no index that could be wrong.

mod carry;
mod contents;
mod entry;

pub use carry::{Carried, carry};
pub use contents::{Contents, Damaged, Found, Kind};
pub use entry::{CycleEntry, Entry};

#[cfg(test)]
mod tests;
