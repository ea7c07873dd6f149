//! What the runs of a snapshot prove.
//!
//! | the snapshot is | when |
//! |---|---|
//! | failed | a failure is not cleared |
//! | verified | every block was read and right, by one run or by runs of parts of one content, after the last failure and not too long ago |
//! | sampled | some blocks were read and right, not too long ago |
//! | outdated | that was too long ago |
//! | never | nothing was read and right |
//!
//! A pass clears a failure when it is known to have read later ([`Order`]), at the same level or deeper, the same kinds
//! of things against the same content, and either everything or at least the blocks that failed. A pass dated ahead of
//! the clock proves and clears nothing; a failure counts whatever its date.

use crate::block::BlockIndex;
use crate::ledger::order::Order;
use crate::ledger::unions::{Union, unions};
use crate::ledger::{Details, Entry, Record, ReferenceKind};
use crate::sample::Partition;
use crate::snapshot::UnixMillis;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// How far two clocks may be apart.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// Where a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Something was wrong, and nothing has cleared it since.
    Failed,
    /// Nothing was ever proved.
    Never,
    /// What was proved is too long ago.
    Outdated,
    /// Some of its blocks were read and right, not all.
    Sampled,
    /// All of its blocks were read and right, and that counts.
    Verified,
}

impl Standing {
    /// Every one, worst first.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Never, Self::Outdated, Self::Sampled, Self::Verified];

    /// As it stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Never => "never",
            Self::Outdated => "outdated",
            Self::Sampled => "sampled",
            Self::Verified => "verified",
        }
    }
}

/// By what runs are judged.
#[derive(Clone, Copy, Debug)]
pub struct Judging<'a> {
    /// The time.
    pub now: UnixMillis,
    /// A proof older than this is outdated.
    pub outdated_after: Duration,
    /// Public keys, in hexadecimal, of which one has to have signed what proves or clears something; with none, nothing
    /// has to be signed.
    pub public_keys: &'a [String],
}

/// What was shown to be right, by one run or several.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// The newest of its entries.
    pub entry: Entry,
    /// How deep all of them went.
    pub level: u8,
    /// How many runs it takes together.
    pub runs: usize,
    /// Blocks that they read.
    pub blocks_read: u64,
    /// Blocks that the level speaks of.
    pub blocks_total: u64,
    /// When the oldest of them ended, in milliseconds since 1970.
    pub since_ms: i64,
    /// The largest share of the blocks that may be damaged all the same.
    pub upper_bound_95: f64,
    /// Whether every block was read.
    pub is_complete: bool,
}

impl Proof {
    /// The share of the blocks that was read.
    pub fn coverage(&self) -> f64 {
        if self.blocks_total == 0 { 0.0 } else { self.blocks_read as f64 / self.blocks_total as f64 }
    }

    /// How much was read, in millionths.
    fn share(&self) -> u64 {
        let millionths = u128::from(self.blocks_read) * 1_000_000 / u128::from(self.blocks_total.max(1));
        u64::try_from(millionths).unwrap_or(u64::MAX)
    }
}

/// What the runs of one snapshot come to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Where it stands.
    pub standing: Standing,
    /// The strongest proof that counts, or the newest of those that do not.
    pub proof: Option<Proof>,
    /// The newest failure that is not cleared.
    pub failure: Option<Entry>,
    /// What was done last, to whatever end.
    pub last: Option<Entry>,
    /// Runs dated ahead of the clock, by their place.
    pub dated_ahead: Vec<usize>,
    /// Passes against a manifest that is not that of the snapshot, by their place: its content root is another than the
    /// one read from the snapshot itself.
    pub contradicted: Vec<usize>,
}

/// A proof, and the runs that it stands on.
struct Candidate {
    proof: Proof,
    runs: Vec<usize>,
    /// When the cycle began that is trusted to have read the rest.
    cycle_began_ms: Option<i64>,
}

/// Judges the runs of one snapshot.
pub fn judge(runs: &[Record], by: &Judging<'_>) -> Verdict {
    let is = |at: &usize, state: &str| runs[*at].entry.state == state;
    let ahead_ms = by.now.0.saturating_add(i64::try_from(CLOCK_TOLERANCE.as_millis()).unwrap_or(i64::MAX));
    let is_ahead = |at: &usize| {
        let entry = &runs[*at].entry;
        entry.ended_ms > ahead_ms || entry.started_ms > ahead_ms
    };
    let all = || 0..runs.len();
    let failures: Vec<usize> = all().filter(|at| is(at, "fail")).collect();
    let may_prove = |at: &usize| {
        let entry = &runs[*at].entry;
        is(at, "pass") && entry.blocks_read > 0 && !is_ahead(at) && is_signed(entry, by.public_keys)
    };
    let (contradicted, passes): (Vec<usize>, Vec<usize>) = {
        let roots = roots_read(runs, all().filter(may_prove));
        all().filter(may_prove).partition(|at| contradicts(&runs[*at].entry, &roots))
    };
    let order = Order::of(runs, &failures, by.now.0);
    let is_open = |failure: &&usize| !is_cleared(runs, &passes, **failure, &order, by);
    let failure = failures.iter().filter(is_open).max_by_key(|at| (runs[**at].entry.ended_ms, **at));

    let outdated_ms = i64::try_from(by.outdated_after.as_millis()).unwrap_or(i64::MAX);
    let since = by.now.0.saturating_sub(outdated_ms);
    let is_current = |candidate: &&Candidate| candidate.proof.since_ms >= since;
    let is_later = |candidate: &&Candidate| {
        failures.iter().all(|failure| match candidate.cycle_began_ms {
            Some(began_ms) => {
                candidate.runs.iter().all(|run| order.is_later_by_clock(*run, began_ms, *failure))
            }
            None => candidate.runs.iter().all(|run| order.is_later(*run, *failure)),
        })
    };
    let candidates = candidates(runs, &passes, by);
    let whole = candidates
        .iter()
        .filter(|candidate| candidate.proof.is_complete)
        .filter(is_current)
        .filter(is_later)
        .max_by_key(|candidate| (candidate.proof.level, candidate.proof.since_ms));
    // What was read before the last failure is shown only where there is nothing else.
    let strongest = candidates.iter().filter(is_current).max_by_key(|candidate| {
        let proof = &candidate.proof;
        (failure.is_some() || is_later(candidate), proof.level, proof.share(), proof.since_ms)
    });
    let newest = candidates
        .iter()
        .max_by_key(|candidate| (candidate.proof.entry.ended_ms, Reverse(candidate.runs.len())));
    let (standing, proof) = match (failure, whole, strongest, newest) {
        (Some(_), _, strongest, newest) => (Standing::Failed, strongest.or(newest)),
        (None, Some(whole), ..) => (Standing::Verified, Some(whole)),
        (None, None, Some(strongest), _) => (Standing::Sampled, Some(strongest)),
        (None, None, None, Some(newest)) => (Standing::Outdated, Some(newest)),
        (None, None, None, None) => (Standing::Never, None),
    };
    let last = all().max_by_key(|at| {
        let entry = &runs[*at].entry;
        (!is_ahead(at), order.is_newest(*at), entry.ended_ms, entry.run_id.clone())
    });
    Verdict {
        standing,
        proof: proof.map(|candidate| candidate.proof.clone()),
        failure: failure.map(|at| runs[*at].entry.clone()),
        last: last.map(|at| runs[at].entry.clone()),
        dated_ahead: all().filter(is_ahead).collect(),
        contradicted,
    }
}

/// Whether one of these keys has signed it, where there are keys.
fn is_signed(entry: &Entry, public_keys: &[String]) -> bool {
    let key = entry.details.as_ref().and_then(|details| details.public_key.as_ref());
    public_keys.is_empty() || (entry.signature.is_some() && key.is_some_and(|key| public_keys.contains(key)))
}

/// Content roots that were read from the snapshot itself.
fn roots_read(runs: &[Record], passes: impl Iterator<Item = usize>) -> BTreeSet<&str> {
    let details = passes.filter_map(|at| runs[at].entry.details.as_ref());
    let read = details.filter(|of| of.reads_snapshot && of.reference.kind == ReferenceKind::Snapshot);
    read.filter_map(|details| details.reference.content_root.as_deref()).collect()
}

/// Whether the entry stands on a manifest that is not that of the snapshot.
fn contradicts(entry: &Entry, roots: &BTreeSet<&str>) -> bool {
    let Some(details) = entry.details.as_ref().filter(|details| !details.reads_snapshot) else {
        return false;
    };
    let root = details.reference.content_root.as_deref();
    !roots.is_empty() && root.is_none_or(|root| !roots.contains(root))
}

/// Everything that these passes show, one by one and together.
fn candidates(runs: &[Record], passes: &[usize], by: &Judging<'_>) -> Vec<Candidate> {
    let single = |at: &usize| {
        let entry = &runs[*at].entry;
        // What the other runs of a cycle have read is not signed.
        let cycle = entry.details.as_ref().filter(|_| by.public_keys.is_empty()).and_then(completed_cycle);
        let is_whole = entry.reads_everything();
        let cycle_began_ms = cycle.filter(|_| !is_whole);
        let is_complete = is_whole || cycle_began_ms.is_some();
        Candidate {
            proof: Proof {
                entry: entry.clone(),
                level: entry.level,
                runs: 1,
                blocks_read: if is_complete { entry.blocks_total } else { entry.blocks_read },
                blocks_total: entry.blocks_total,
                since_ms: cycle_began_ms.unwrap_or(entry.ended_ms),
                upper_bound_95: if is_complete { 0.0 } else { entry.bound() },
                is_complete,
            },
            runs: vec![*at],
            cycle_began_ms,
        }
    };
    let several = |union: Union| {
        let newest = union.runs.last().map(|at| runs[*at].entry.clone())?;
        let unread = 1.0 - union.blocks_read as f64 / union.blocks_total.max(1) as f64;
        let proof = Proof {
            entry: newest,
            level: union.level,
            runs: union.runs.len(),
            blocks_read: union.blocks_read,
            blocks_total: union.blocks_total,
            since_ms: union.since_ms,
            upper_bound_95: unread,
            is_complete: union.is_complete(),
        };
        Some(Candidate { proof, runs: union.runs, cycle_began_ms: None })
    };
    passes.iter().map(single).chain(unions(runs, passes).into_iter().filter_map(several)).collect()
}

/// When the cycle began that the run completes, all of one content.
fn completed_cycle(details: &Details) -> Option<i64> {
    details.cycle_began_ms.filter(|_| details.extent == "completed_cycle" && !details.resumed_on_trust)
}

/// Whether a later pass of the same shows that what failed is right now.
fn is_cleared(
    runs: &[Record],
    passes: &[usize],
    failure: usize,
    order: &Order<'_>,
    by: &Judging<'_>,
) -> bool {
    let failed = &runs[failure].entry;
    let of_same = |at: &&usize| {
        let entry = &runs[**at].entry;
        entry.level >= failed.level && reads_same(entry, failed)
    };
    let same: Vec<usize> = passes.iter().filter(of_same).copied().collect();
    let later: Vec<usize> = same.iter().copied().filter(|at| order.is_later(*at, failure)).collect();
    let has_reread = |at: &usize| runs[*at].entry.reads_everything() || has_read(&runs[*at].entry, failed);
    let by_cycle = |at: &usize| {
        let began =
            runs[*at].entry.details.as_ref().filter(|_| by.public_keys.is_empty()).and_then(completed_cycle);
        began.is_some_and(|began| order.is_later_by_clock(*at, began, failure))
    };
    later.iter().any(has_reread)
        || same.iter().any(by_cycle)
        || unions(runs, &later).iter().any(Union::is_complete)
}

/// Whether the pass read the kinds of things that the failure did, against the same content.
fn reads_same(pass: &Entry, failed: &Entry) -> bool {
    let is_same_target = failed.counterpart().is_none_or(|kind| pass.counterpart() == Some(kind));
    let (Some(one), Some(other)) = (&pass.details, &failed.details) else {
        // Entries of version 1 do not say more.
        return is_same_target && (pass.target.is_some() || failed.target.is_none());
    };
    let roots = (&one.reference.content_root, &other.reference.content_root);
    let is_same_content = match roots {
        (Some(one), Some(other)) if one == other => true,
        // What a snapshot holds is one content for good.
        _ => one.reference.kind == ReferenceKind::Snapshot && other.reference.kind == ReferenceKind::Snapshot,
    };
    is_same_target && is_same_content && (one.reads_snapshot || !other.reads_snapshot)
}

/// Whether the pass read every block that failed.
fn has_read(pass: &Entry, failed: &Entry) -> bool {
    let (Some(one), Some(other)) = (&pass.details, &failed.details) else { return false };
    let listed = other.failed.as_deref().unwrap_or_default();
    let is_all_listed = failed.mismatches > 0
        && listed.iter().map(|(_, len)| u64::from(*len)).sum::<u64>() == failed.mismatches;
    if !is_all_listed || one.resumed_on_trust {
        return false;
    }
    let is_in_parts = |index: u32| {
        let part = one.parts_of.and_then(|of| Partition::holding(BlockIndex::new(index), of));
        part.is_some_and(|part| one.parts.binary_search(&part.part()).is_ok())
    };
    let read = one.read.as_deref().unwrap_or_default();
    listed.iter().all(|(start, len)| {
        let end = u64::from(*start) + u64::from(*len);
        let next = read.partition_point(|(from, _)| from <= start);
        let is_listed = next.checked_sub(1).is_some_and(|at| {
            let (from, len) = read[at];
            u64::from(from) + u64::from(len) >= end
        });
        is_listed || Partition::stripes(*start, *len).all(is_in_parts)
    })
}
