//! Whether a volume is warm, shown by a sample.
//!
//! After the reading, blocks are drawn at random over all allocated ones, those that were not read included, and 4 KiB
//! of each are read, one at a time: that is what a database does to the volume next. A cold block answers late, as the
//! first touch of each did. The sample warms what it reads.

use crate::block::{BlockIndex, BlockSet, BlockSize, Buffer};
use crate::device::Image;
use crate::ops::warm::Latencies;
use crate::pipeline::Stop;
use crate::sample::{draw, upper_bound_95_found};
use std::time::Duration;
use tokio::time::Instant;

/// Blocks drawn: finding none cold among them means, with 95 % confidence, at most 1 % cold.
pub(super) const SAMPLE: u64 = 300;
/// Bytes read of each.
pub(super) const TOUCH: usize = 4096;
/// No sample slower than this is warm, however slow first touch was.
const SLOWEST: Duration = Duration::from_millis(10);
/// And none faster is cold: AWS promises single-digit milliseconds of a gp3 volume that is warm (EBS user guide,
/// "general-purpose"), and a busy host adds to that. First touch that was no slower was of blocks that were there.
const FASTEST: Duration = Duration::from_millis(4);

/// What reading a warm block of the sample takes at most, as a rule.
const WARM_TOUCH: Duration = Duration::from_millis(1);
/// What is kept of a deadline for the proof at most: a twentieth of it, and no more than this.
const LONGEST: Duration = Duration::from_secs(10);

/// When reading has to be over for the proof to end with the run: this part of the blocks is cold then, and the first
/// touch of one takes so long. Both `None` before anything was read.
pub(super) fn begins(end: Duration, known: Option<(f64, Duration)>) -> Duration {
    let most = (end / 20).min(LONGEST);
    let takes = known.map_or(most, |(cold, first_touch)| {
        (first_touch.mul_f64(cold.clamp(0.0, 1.0)) + WARM_TOUCH) * u32::try_from(SAMPLE).unwrap_or(u32::MAX)
    });
    end - takes.min(most)
}

/// What the sample showed.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Blocks drawn over.
    pub population: u64,
    /// Blocks read.
    pub sample: u64,
    /// What the draw follows from.
    pub seed: u64,
    /// How long the reads took.
    pub latencies: Latencies,
    /// What the slowest hundredth has to stay under.
    pub threshold: Duration,
    /// Blocks above it, or not readable.
    pub slow: u64,
    /// With 95 % confidence no more than this part of the allocated blocks was cold.
    pub upper_bound_95: f64,
    /// Whether no first touch was slow, so that there was nothing to be made warm.
    pub was_never_slow: bool,
}

impl Proof {
    /// The verdict.
    pub fn is_warm(&self) -> bool {
        let p99 = self.latencies.quantile(0.99);
        self.sample > 0
            && (self.was_never_slow || p99.is_some_and(|p99| p99 < self.threshold))
            && self.latencies.len() == self.sample
    }
}

/// What a sample is held against: what was asked for, or a quarter of the first touch's median within reason; and
/// whether first touch was never slow.
fn threshold(asked: Option<Duration>, first: &Latencies) -> (Duration, bool) {
    let was_never_slow = first.quantile(0.99).is_some_and(|p99| p99 <= FASTEST);
    let found = first.quantile(0.5).map_or(SLOWEST, |median| (median / 4).clamp(FASTEST, SLOWEST));
    (asked.unwrap_or(found), was_never_slow && asked.is_none())
}

/// Draws and reads a sample; `until` ends it early, and the bound is that of what was read.
pub(super) fn prove(
    image: &Image,
    allocated: &BlockSet,
    seed: u64,
    asked: Option<Duration>,
    first: &Latencies,
    until: Option<Instant>,
    stop: &Stop,
) -> Proof {
    let (threshold, was_never_slow) = threshold(asked, first);
    let mut latencies = Latencies::default();
    let (mut sample, mut failed) = (0, 0);
    let mut buffer = Buffer::for_blocks(1);
    for (index, within) in drawn(allocated, seed) {
        if stop.is_requested() || until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let start = Instant::now();
        let offset = index.byte_offset(BlockSize::EBS) + within;
        sample += 1;
        match image.read_at(offset, &mut buffer.as_mut_slice()[..TOUCH]) {
            Ok(()) => latencies.record(start.elapsed()),
            Err(_) => failed += 1,
        }
    }
    let slow = failed + if was_never_slow { 0 } else { latencies.above(threshold) };
    let population = allocated.len();
    let upper_bound_95 = upper_bound_95_found(population, sample, slow);
    Proof { population, sample, seed, latencies, threshold, slow, upper_bound_95, was_never_slow }
}

/// The blocks of the sample and where in them to read, in random order: one that is cut short is random as well.
fn drawn(allocated: &BlockSet, seed: u64) -> Vec<(BlockIndex, u64)> {
    let mut numbers = fastrand::Rng::with_seed(seed);
    let mut blocks: Vec<_> = draw(allocated, SAMPLE, seed).iter().collect();
    numbers.shuffle(&mut blocks);
    let places = u64::from(BlockSize::EBS.bytes()) / TOUCH as u64;
    blocks.into_iter().map(|index| (index, numbers.u64(..places) * TOUCH as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockRange;

    fn latencies(millis: &[u64]) -> Latencies {
        let mut latencies = Latencies::default();
        millis.iter().for_each(|millis| latencies.record(Duration::from_millis(*millis)));
        latencies
    }

    fn proof(sample: &[u64], first: &[u64], asked: Option<u64>) -> Proof {
        let (threshold, was_never_slow) = threshold(asked.map(Duration::from_millis), &latencies(first));
        let latencies = latencies(sample);
        let slow = latencies.above(threshold);
        let n = sample.len() as u64;
        let upper_bound_95 = upper_bound_95_found(100_000, n, slow);
        Proof {
            population: 100_000,
            sample: n,
            seed: 0,
            latencies,
            threshold,
            slow,
            upper_bound_95,
            was_never_slow,
        }
    }

    fn with_slow(slow: usize, millis: u64) -> Vec<u64> {
        let mut sample = vec![1; 300 - slow];
        sample.resize(300, millis);
        sample
    }

    #[test]
    fn the_threshold_is_a_quarter_of_first_touch_within_reason() {
        for (first, expected) in [(20, 5), (400, 10), (8, 4), (3, 4)] {
            let micros = threshold(None, &latencies(&[first; 50])).0.as_micros();
            assert!(micros.abs_diff(expected * 1000) < 20, "{first} ms: {micros} us");
        }
        assert_eq!(threshold(None, &Latencies::default()), (SLOWEST, false), "a probe knows no first touch");
        let asked = Duration::from_millis(3);
        assert_eq!(threshold(Some(asked), &latencies(&[1; 50])), (asked, false));
    }

    #[test]
    fn reading_goes_on_for_as_long_as_the_proof_leaves_time() {
        let begins = |end: u64, known: Option<(f64, u64)>| {
            let known = known.map(|(cold, millis)| (cold, Duration::from_millis(millis)));
            begins(Duration::from_secs(end), known).as_secs_f64()
        };
        assert_eq!((begins(60, None), begins(1_200, None)), (57.0, 1_190.0));
        // Of 300 reads a tenth takes 20 ms, and all of them one.
        assert!((begins(60, Some((0.1, 20))) - 59.1).abs() < 1e-9);
        assert_eq!(begins(60, Some((1.0, 400))), 57.0, "two minutes it cannot have");
        assert!(begins(60, Some((0.0, 20))) >= 60.0 * 0.99);
    }

    #[test]
    fn a_slow_hundredth_is_not_warm() {
        assert!(proof(&with_slow(2, 20), &[20; 100], None).is_warm());
        let cold = proof(&with_slow(4, 20), &[20; 100], None);
        assert!(!cold.is_warm());
        assert_eq!(cold.slow, 4);
        assert!(cold.upper_bound_95 > 4.0 / 300.0 && cold.upper_bound_95 < 0.04, "{}", cold.upper_bound_95);
        assert!(proof(&with_slow(4, 20), &[20; 100], Some(50)).is_warm(), "but was asked for");
    }

    #[test]
    fn where_first_touch_was_never_slow_there_was_nothing_to_warm() {
        let proof = proof(&with_slow(10, 3), &[2; 100], None);
        assert!(proof.was_never_slow && proof.is_warm());
    }

    #[test]
    fn a_sample_that_was_not_read_proves_nothing() {
        assert!(!proof(&[], &[20; 100], None).is_warm());
        let of_nothing = Proof { population: 0, ..proof(&[], &[2; 100], None) };
        assert!(!of_nothing.is_warm(), "a probe of nothing, first touch never slow or not");
        let mut unreadable = proof(&with_slow(0, 0), &[20; 100], None);
        unreadable.sample += 1;
        assert!(!unreadable.is_warm());
    }

    #[test]
    fn a_sample_is_drawn_over_all_and_within_each_block() {
        let all = BlockSet::from(BlockRange::new(BlockIndex::new(7), 6_000));
        let sample = drawn(&all, 9);
        assert_eq!((sample.len(), &sample), (300, &drawn(&all, 9)));
        let blocks: BlockSet = sample.iter().map(|(index, _)| *index).collect();
        assert!(blocks.len() == 300 && (&blocks - &all).is_empty());
        assert!(sample.iter().all(|(_, within)| within % 4096 == 0 && *within < 524_288));
        // A prefix has blocks of both halves.
        let early = sample[..60].iter().filter(|(index, _)| index.get() < 3_007).count();
        assert!((15..45).contains(&early), "{early}");
    }
}
