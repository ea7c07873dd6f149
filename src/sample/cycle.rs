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

    /// Returns the cycle that a run belongs to, and the parts that the run does: the next cycle when this one has no part
    /// left that has blocks. `has_blocks` says of each part, from the first on, whether it has any.
    ///
    /// All parts are done that are due by the day. A part without blocks is done at once and costs no run: the run goes on
    /// to the next part that has some, and what is left without blocks at the end of the cycle is done with it. So a run
    /// reads nothing only where no part has a block.
    #[must_use]
    pub fn run(self, now_ms: i64, has_blocks: &[bool]) -> (Self, Vec<Partition>) {
        let has = |part: &Partition| has_blocks.get(part.part() as usize - 1).copied().unwrap_or(false);
        let next = || Self { started_ms: now_ms, done: vec![false; self.done.len()] };
        let is_over = self.done.iter().all(|done| *done);
        let cycle = if is_over { next() } else { self.clone() };
        let due = cycle.due(now_ms, &has);
        if due.iter().any(has) || !has_blocks.contains(&true) {
            return (cycle, due);
        }
        let cycle = next();
        let due = cycle.due(now_ms, &has);
        (cycle, due)
    }

    fn due(&self, now_ms: i64, has: &impl Fn(&Partition) -> bool) -> Vec<Partition> {
        let day = now_ms.saturating_sub(self.started_ms).max(0) / DAY_MS;
        let owed = usize::try_from(day).unwrap_or(usize::MAX).saturating_add(1).min(self.done.len());
        let behind = self.done.iter().take(owed).filter(|done| !**done).count().max(1);
        let open = (1..).zip(&self.done).filter(|(_, done)| !**done);
        let open: Vec<_> = open.filter_map(|(part, _)| Partition::new(part, self.days())).collect();
        let first = open.iter().position(has).map_or(0, |at| at + 1);
        let n_due = behind.max(first).min(open.len());
        match open[n_due..].iter().any(has) {
            true => open[..n_due].to_vec(),
            false => open,
        }
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
mod tests;
