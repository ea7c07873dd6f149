//! What kind of wrong a wrong block is.

use crate::block::{BlockIndex, BlockSet, BlockSize, Digest};
use crate::device::FileSystem;
use crate::fault::Fault;
use crate::manifest::Manifest;
use crate::ops::verify::judge::{Expected, Finding};
use crate::ops::verify::{Class, Mismatch};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is known besides the findings.
pub(super) struct Known<'a> {
    /// What blocks should hash to.
    pub(super) reference: &'a Expected,
    /// The blocks of which it tells.
    pub(super) expected: &'a BlockSet,
    pub(super) older: &'a [Arc<Manifest>],
    /// What a second reading found wrong; `None` for a block that was not read again.
    pub(super) again: &'a BTreeMap<BlockIndex, Option<Finding>>,
    /// File systems on the target that were in use after the restore.
    pub(super) used: &'a [FileSystem],
}

/// Every finding with its class, ascending.
pub(super) fn classified(findings: &[Finding], known: &Known<'_>) -> Result<Vec<Mismatch>, Fault> {
    let homes = homes(findings, known)?;
    let mut mismatches = Vec::with_capacity(findings.len());
    for finding in findings {
        let class = class(finding, &homes, known)?;
        let is_persistent = known.again.get(&finding.index).map(Option::is_some);
        let len = u64::from(BlockSize::EBS.bytes());
        let start = finding.index.byte_offset(BlockSize::EBS);
        let is_in_use = known.used.iter().any(|fs| fs.holds(start, len));
        // What is not there at all, or reads differently each time, no mount explains.
        let can_be = !matches!(class, Class::Missing | Class::Transport) && is_persistent != Some(false);
        mismatches.push(Mismatch {
            index: finding.index,
            expected: finding.expected,
            actual: finding.actual,
            class,
            is_persistent,
            is_explained: is_in_use && can_be,
        });
    }
    mismatches.sort_by_key(|mismatch| mismatch.index);
    mismatches.dedup_by_key(|mismatch| mismatch.index);
    Ok(mismatches)
}

/// Where the contents that were found in wrong places belong: the first block that should have them.
fn homes(findings: &[Finding], known: &Known<'_>) -> Result<HashMap<Digest, BlockIndex>, Fault> {
    let strays: HashMap<Digest, ()> = findings
        .iter()
        .filter_map(|finding| finding.actual)
        .filter(|actual| *actual != Digest::ZERO_BLOCK)
        .map(|actual| (actual, ()))
        .collect();
    let mut homes = HashMap::new();
    if strays.is_empty() {
        return Ok(homes);
    }
    for index in known.expected.iter() {
        if let Some(digest) = known.reference.of(index)?.flatten()
            && strays.contains_key(&digest)
        {
            homes.entry(digest).or_insert(index);
        }
    }
    Ok(homes)
}

fn class(finding: &Finding, homes: &HashMap<Digest, BlockIndex>, known: &Known<'_>) -> Result<Class, Fault> {
    let Some(actual) = finding.actual else {
        return Ok(if finding.is_transport { Class::Transport } else { Class::Missing });
    };
    if actual == Digest::ZERO_BLOCK {
        return Ok(Class::Zeros);
    }
    for manifest in known.older {
        if manifest.digest(finding.index)? == Some(actual) {
            return Ok(Class::Stale);
        }
    }
    Ok(match homes.get(&actual) {
        Some(home) if *home != finding.index => Class::Misdirected(*home),
        _ if finding.expected.is_some() => Class::Content,
        _ => Class::Unexpected,
    })
}
