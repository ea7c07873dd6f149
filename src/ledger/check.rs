//! Entries that no run can have written.

use crate::block::Digest;
use crate::ledger::{CounterpartKind, Details, Entry, FORMAT, MAX_KNOWN, MAX_RANGES, ReferenceKind};
use crate::sample::Partition;
use crate::snapshot::SnapshotId;

/// The deepest level there is.
const DEEPEST: u8 = 6;
/// The last millisecond of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;
/// Bytes of a name at most: a path.
const MAX_NAME_BYTES: usize = 8192;
const STATES: [&str; 4] = ["pass", "fail", "incomplete", "changed_since_restore"];

impl Entry {
    /// Returns why no run of this program can have written the entry, in one clause; `None` where one can.
    pub(super) fn flaw(&self) -> Option<String> {
        let says = |what: &str| Some(what.to_owned());
        let names = [Some(&self.run_id), Some(&self.mode), self.volume_id.as_ref(), self.target.as_ref()];
        if self.format == 0 || self.format > FORMAT {
            return Some(format!("it is of format {}, and this program knows up to {FORMAT}", self.format));
        }
        if (self.format == 1) != self.details.is_none() {
            return Some(format!("its fields are not those of format {}", self.format));
        }
        if self.level > DEEPEST {
            return Some(format!("it claims level {}, and {DEEPEST} is the deepest", self.level));
        }
        if !STATES.contains(&self.state.as_str()) {
            return says("it ends in a state that there is not");
        }
        if self.snapshot_id.parse::<SnapshotId>().is_err() {
            return says("it is of no snapshot");
        }
        if self.run_id.is_empty() || names.into_iter().flatten().any(|name| name.len() > MAX_NAME_BYTES) {
            return says("a name in it is empty or too long");
        }
        if self.blocks_read > self.blocks_total {
            return Some(format!("it claims {} of {} blocks", self.blocks_read, self.blocks_total));
        }
        if self.mismatches > self.blocks_read {
            return says("it claims more wrong blocks than it read");
        }
        if self.state == "pass" && self.mismatches > 0 {
            return says("it passes with wrong blocks");
        }
        if [self.started_ms, self.ended_ms].iter().any(|time| !(0..=LAST_MS).contains(time)) {
            return says("it is dated outside the years 1970 to 9999");
        }
        if self.ended_ms < self.started_ms {
            return says("it ends before it begins");
        }
        self.details.as_ref().and_then(|details| self.flaw_of(details)).map(str::to_owned)
    }

    fn flaw_of(&self, details: &Details) -> Option<&'static str> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        let is_hex = |text: &String| text.parse::<Digest>().is_ok();
        let roots = [&details.reference.map_root, &details.reference.content_root];
        let digests = roots.into_iter().flatten().chain(&details.known).chain(&details.public_key);
        let bundle = details.bundle.as_ref();
        let counterpart = details.counterpart.as_ref().map(|of| of.kind);
        let is_volume = matches!(counterpart, Some(CounterpartKind::Device | CounterpartKind::File));
        let is_manifest = details.reference.kind == ReferenceKind::Manifest;
        // The total of a run that read nothing may be 0, and all of nothing 1.
        let coverage = if self.blocks_total == 0 { details.coverage } else { self.coverage() };
        if !is_share(details.coverage) || (details.coverage - coverage).abs() > 1e-6 {
            return Some("its coverage is not that of its blocks");
        }
        if details.upper_bound_95.is_some_and(|bound| !is_share(bound)) {
            return Some("its bound is no share");
        }
        if details.blocks_planned > self.blocks_total
            || details.blocks_resumed > self.blocks_read
            || (details.extent == "all" && self.blocks_read < self.blocks_total)
            || (self.state == "pass" && self.blocks_read < details.blocks_planned)
        {
            return Some("its numbers of blocks contradict each other");
        }
        if details.began_ms > self.started_ms || details.began_ms < 0 {
            return Some("its first block is read after it begins");
        }
        if (self.level >= 4) != is_volume || (self.level == 2 && (counterpart.is_some() || is_manifest)) {
            return Some("its level is not that of what it was held against");
        }
        if self.level == 3 && counterpart.is_none() && !is_manifest {
            return Some("it claims level 3, and names nothing that it was held against");
        }
        if !digests.into_iter().all(is_hex) || bundle.is_some_and(|bundle| !is_hex(&bundle.sha256)) {
            return Some("a digest or key in it is none");
        }
        if details.known.len() > MAX_KNOWN || bundle.is_some_and(|bundle| bundle.number == 0) {
            return Some("it names what there is not");
        }
        let of = details.parts_of.unwrap_or_default();
        if details.parts.iter().any(|part| Partition::new(*part, of).is_none())
            || !details.parts.is_sorted_by(|one, next| one < next)
        {
            return Some("it names parts that there are not");
        }
        let failed = sum(details.failed.as_deref());
        let read = sum(details.read.as_deref());
        if failed.is_none_or(|blocks| blocks > self.mismatches)
            || read.is_none_or(|blocks| blocks > self.blocks_read)
        {
            return Some("the blocks that it lists are not those that it counts");
        }
        if details.public_key.is_some() != self.signature.is_some() {
            return Some("it has half of a signature");
        }
        None
    }
}

/// The number of blocks in ranges that ascend and do not touch; `None` where they are others.
fn sum(ranges: Option<&[(u32, u32)]>) -> Option<u64> {
    let ranges = ranges.unwrap_or_default();
    let mut end = 0;
    let mut blocks = 0;
    for (at, (start, len)) in ranges.iter().enumerate() {
        let (start, len) = (u64::from(*start), u64::from(*len));
        if len == 0 || (at > 0 && start <= end) || start + len > 1 << 32 {
            return None;
        }
        end = start + len;
        blocks += len;
    }
    (ranges.len() <= MAX_RANGES).then_some(blocks)
}
