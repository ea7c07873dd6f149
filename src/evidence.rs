//! Evidence: reports kept so that it shows when one of them is changed or taken away.
//!
//! A directory holds numbered bundles, each a directory of its own:
//!
//! | file | what |
//! |---|---|
//! | `000007/report.json` | the report |
//! | `000007/..` | whatever else the run kept |
//! | `000007/statement.json` | the [`Statement`]: SHA-256 of each file and of statement 6; who, when, with what |
//! | `000007/statement.sig` | Ed25519 signature of the statement's bytes, 64 of them; absent where there is no key |
//!
//! A bundle appears whole or not at all, and its number decides between two runs that keep one at once: the second
//! follows the first. What a killed run left of one is a `.draft-..`, counts for nothing and goes with the next run. A
//! report may be longer than memory: it is written as it is made, and read in pieces. Nothing here is secret but the
//! key, and nothing needs this program: `sha256sum` and `openssl pkeyutl -verify -rawin` check the same.
//!
//! What a chain cannot show by itself is that its newest bundles were cut off, or that somebody with the key made all
//! of it anew. Both show against an anchor: the hash of a statement, kept where the directory's owner cannot write.

mod chain;
mod draft;
mod entry;
mod examine;
mod key;
mod statement;
#[cfg(test)]
mod tests;
mod told;

pub use chain::{Attachment, Chain, Content, Kept};
pub use examine::{Bundle, Examined, Finding, Trust, Wrong, examine};
pub use key::{Key, PublicKey, PublicKeyError};
pub use statement::{About, Listed, Statement};

use std::path::{Path, PathBuf};

/// The report of a bundle.
pub const REPORT: &str = "report.json";
const STATEMENT: &str = "statement.json";
const SIGNATURE: &str = "statement.sig";

/// The directory of a bundle. Numbers begin at 1.
fn bundle(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}"))
}

/// Whether a name looks like the number of a bundle.
fn is_numeric(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number that a name stands for, written as [`bundle`] does.
fn number(name: &str) -> Option<u64> {
    let number = name.parse().ok().filter(|number| *number > 0)?;
    (format!("{number:06}") == name).then_some(number)
}
