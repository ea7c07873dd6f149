//! How fast reads may go out: a token bucket for all devices of a run.

use crate::block::BlockSize;
use std::time::Duration;

/// A pause is made up for by no more than this much time's worth of reads.
const BURST: Duration = Duration::from_millis(20);
/// What EBS counts as one I/O of an SSD volume at most, in bytes (EBS user guide, "ebs-io-characteristics").
const IO: f64 = 262_144.0;

/// The most that may be read in a second, by whoever asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Bytes a second.
    pub bytes: Option<u64>,
    /// I/O operations a second as EBS counts them: one for each 256 KiB.
    pub iops: Option<u32>,
}

impl Rate {
    /// In blocks a second; `None` where there is no limit.
    pub fn blocks(self) -> Option<f64> {
        let block = f64::from(BlockSize::EBS.bytes());
        let bytes = self.bytes.map(|bytes| bytes as f64 / block);
        let iops = self.iops.map(|iops| f64::from(iops) * IO / block);
        [bytes, iops].into_iter().flatten().reduce(f64::min)
    }
}

/// Gives each read its time. Times are spans since the run began.
#[derive(Debug)]
pub(super) struct Pace {
    asked: Option<f64>,
    /// What the guard of other people's latency allows.
    guarded: Option<f64>,
    next: Duration,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { asked: rate.blocks(), guarded: None, next: Duration::ZERO }
    }

    /// No faster than this many blocks a second, until told otherwise.
    pub(super) fn guard(&mut self, blocks_per_second: Option<f64>) {
        self.guarded = blocks_per_second;
    }

    /// Blocks a second; `None` is as fast as can be.
    pub(super) fn rate(&self) -> Option<f64> {
        [self.asked, self.guarded].into_iter().flatten().reduce(f64::min)
    }

    /// When the next read may go: now, or later. It is taken by [`Pace::take`].
    pub(super) fn slot(&self, now: Duration) -> Duration {
        match self.rate() {
            Some(_) => self.next.max(now.saturating_sub(BURST)),
            None => now,
        }
    }

    /// A read goes in the slot.
    pub(super) fn take(&mut self, now: Duration) {
        if let Some(rate) = self.rate() {
            self.next = self.slot(now) + Duration::from_secs_f64(1.0 / rate.clamp(1e-3, 1e9));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads taken within these seconds by somebody who asks every 3 ms, and not at all in `pause`.
    fn taken(rate: Rate, seconds: u64, pause: std::ops::Range<u64>) -> u64 {
        let mut pace = Pace::new(rate);
        let mut n = 0;
        for millis in (0..seconds * 1000).step_by(3).filter(|millis| !pause.contains(millis)) {
            let now = Duration::from_millis(millis);
            while pace.slot(now) <= now {
                pace.take(now);
                n += 1;
            }
        }
        n
    }

    #[test]
    fn a_rate_is_kept_within_a_twentieth_over_ten_seconds() {
        for (bytes, iops, blocks) in
            [(Some(200 << 20), None, 4_000), (None, Some(300), 1_500), (Some(1 << 20), Some(4_000), 20)]
        {
            let n = taken(Rate { bytes, iops }, 10, 0..0);
            assert!(n.abs_diff(blocks) * 20 <= blocks, "{n} of {blocks}");
        }
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let rate = Rate { bytes: Some(50 << 20), iops: None };
        assert!((500..=504).contains(&taken(rate, 10, 2_000..7_000)));
    }
}
