//! The ledger: what was verified, when and how deep, in files that move between machines without conflict.
//!
//! A state directory keeps three kinds of files that outlive a runner:
//!
//! | file | what |
//! |---|---|
//! | `ledger/<snapshot>.<sha256>.json` | an [`Entry`]: one verification of one snapshot |
//! | `cycles/<sha256>.json` | a [`CycleEntry`]: parts of a cycle that one run has read |
//! | `manifests/<subject>.<sha256>.manifest` | a manifest |
//!
//! Each is written once and named after its own SHA-256, so two of one name are the same, a damaged one shows, and
//! carrying them from one directory to another is a union ([`carry`]). Whatever is asked of the ledger is computed from
//! the entries themselves: ten thousand are read in less than a second, and there is no index that could be wrong.
//! Files that are not regular (a directory, a link, a pipe), too long, damaged or impossible are named and count for
//! nothing, and the rest is read: no link is followed to one, and no pipe is waited for.
//!
//! [`judge`] is the one place that says what the runs of a snapshot prove: every caller goes by it.
//!
//! The digest in a name shows damage, not forgery: without signatures anyone who can write to the state directory can
//! write an entry. A signed entry ([`encode`]) holds the public key, and ends with the signature of all its other bytes.

mod carry;
mod check;
mod contents;
mod entry;
mod order;
mod records;
mod signed;
mod standing;
mod unions;

pub use carry::{Carried, carry};
pub use contents::{Contents, Damaged, Found, Kind};
pub use entry::{
    Bundle, Counterpart, CounterpartKind, CycleEntry, Details, Entry, FORMAT, MAX_KNOWN, MAX_RANGES,
    Reference, ReferenceKind, ReferenceOrigin, ranges,
};
pub use records::{Record, Records};
pub use signed::{SignedBytes, Signer, encode};
pub use standing::{CLOCK_TOLERANCE, Judging, Proof, Standing, Verdict, judge};

#[cfg(test)]
mod tests;
