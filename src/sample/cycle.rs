//! Which parts a cycle still owes.

use crate::sample::Partition;

const DAY_MS: i64 = 86_400_000;

/// A cycle of so many days in which every block is read at least once: as many parts as days, one a day. A day
/// without a run is made up for by the next run; a run more than one a day reads ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    started_ms: i64,
    /// Whether each part was read in this cycle.
    done: Vec<bool>,
}

impl Cycle {
    /// A cycle that begins now. `days` is at least 1 and at most [`Partition::MOST`].
    pub fn beginning(days: u32, now_ms: i64) -> Option<Self> {
        (1..=Partition::MOST)
            .contains(&days)
            .then(|| Self { started_ms: now_ms, done: vec![false; days as usize] })
    }

    /// A cycle as it was remembered.
    pub fn remembered(days: u32, started_ms: i64, done: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut cycle = Self::beginning(days, started_ms)?;
        for part in done {
            *cycle.done.get_mut(part.checked_sub(1)? as usize)? = true;
        }
        Some(cycle)
    }

    /// Its length in days, which is the number of its parts.
    pub fn days(&self) -> u32 {
        u32::try_from(self.done.len()).unwrap_or(Partition::MOST)
    }

    /// When it began, in milliseconds since 1970.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// The parts read so far.
    pub fn done(&self) -> impl Iterator<Item = u32> {
        (1..).zip(&self.done).filter(|(_, done)| **done).map(|(part, _)| part)
    }

    /// The cycle that this run belongs to: the next one when this one has read all its parts.
    #[must_use]
    pub fn at(self, now_ms: i64) -> Self {
        let days = self.days();
        if self.done.iter().all(|done| *done) {
            return Self { started_ms: now_ms, done: vec![false; days as usize] };
        }
        self
    }

    /// The parts to read now: all that are due by the day, and at least one.
    pub fn due(&self, now_ms: i64) -> Vec<Partition> {
        let day = now_ms.saturating_sub(self.started_ms).max(0) / DAY_MS;
        let owed = usize::try_from(day).unwrap_or(usize::MAX).saturating_add(1).min(self.done.len());
        let behind = self.done.iter().take(owed).filter(|done| !**done).count().max(1);
        let open = (1..).zip(&self.done).filter(|(_, done)| !**done);
        open.take(behind).filter_map(|(part, _)| Partition::new(part, self.days())).collect()
    }

    /// Remembers that these parts were read to the end.
    pub fn read(&mut self, parts: &[Partition]) {
        for part in parts {
            if let Some(done) = self.done.get_mut(part.part() as usize - 1) {
                *done = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BlockIndex, BlockRange, BlockSet};

    fn parts(due: &[Partition]) -> Vec<u32> {
        due.iter().map(|part| part.part()).collect()
    }

    #[test]
    fn after_as_many_daily_runs_as_days_every_block_was_read_also_with_churn() {
        let mut cycle = Cycle::beginning(7, 0).unwrap();
        let always = BlockSet::from(BlockRange::new(BlockIndex::ZERO, 3_000));
        let mut read = BlockSet::new();
        for day in 0..7 {
            let now = day * DAY_MS;
            cycle = cycle.at(now);
            let come_and_gone =
                BlockSet::from(BlockRange::new(BlockIndex::new(3_000), 100 * u32::try_from(day).unwrap()));
            let due = cycle.due(now);
            for part in &due {
                read = &read | &part.within(&(&always | &come_and_gone));
            }
            cycle.read(&due);
        }
        assert!((&always - &read).is_empty());
        assert_eq!(cycle.at(7 * DAY_MS).done().count(), 0, "the next one begins");
    }

    #[test]
    fn a_day_without_a_run_is_made_up_for() {
        let mut cycle = Cycle::beginning(5, 0).unwrap();
        let mut runs = Vec::new();
        for day in [0, 1, 3, 4] {
            let due = cycle.due(day * DAY_MS + 5_000);
            runs.push(parts(&due));
            cycle.read(&due);
        }
        assert_eq!(runs, [vec![1], vec![2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_run_that_failed_owes_its_part_to_the_next_one() {
        let mut cycle = Cycle::beginning(3, 0).unwrap();
        assert_eq!(parts(&cycle.due(0)), [1]);
        assert_eq!(parts(&cycle.due(DAY_MS)), [1, 2]);
        cycle.read(&cycle.due(DAY_MS));
        assert_eq!(parts(&cycle.due(DAY_MS)), [3], "more runs than days read ahead");
    }

    #[test]
    fn a_cycle_is_remembered_as_it_was() {
        let mut cycle = Cycle::beginning(4, 99).unwrap();
        cycle.read(&[Partition::new(2, 4).unwrap()]);
        let remembered = Cycle::remembered(cycle.days(), cycle.started_ms(), cycle.done()).unwrap();
        assert_eq!(remembered, cycle);
        assert!(Cycle::remembered(4, 0, [5]).is_none() && Cycle::remembered(4, 0, [0]).is_none());
        assert!(Cycle::beginning(0, 0).is_none());
    }
}
