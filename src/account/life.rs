//! What is seen of a volume at a time: it takes a while to be made, attached, detached and deleted.

use crate::estate::{AttachmentState, Volume, VolumeState};
use crate::shelf::{Fate, Life};
use crate::snapshot::UnixMillis;
use std::time::Duration;

/// How long volumes take for everything. AWS takes seconds to minutes; here it is brief.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the answer to `available`.
    pub create: Duration,
    /// From the answer to `attached`.
    pub attach: Duration,
    /// From the answer to `available` again.
    pub detach: Duration,
    /// From the answer until nobody sees it.
    pub delete: Duration,
    /// How long a new volume is not seen at all by whoever looks for it.
    pub unseen: Duration,
    /// MiB of the snapshot's data that come in a second, where no rate was asked for.
    pub initialization: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            create: Duration::from_millis(50),
            attach: Duration::from_millis(50),
            detach: Duration::from_millis(50),
            delete: Duration::from_millis(50),
            unseen: Duration::ZERO,
            initialization: 1000,
        }
    }
}

/// How far a volume's data has come at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    /// How much of it is there.
    pub percent: u8,
    /// How long until all of it is.
    pub seconds_left: u64,
    /// Whether it comes at a rate that was asked for.
    pub is_provisioned: bool,
}

/// A volume as it is seen; `None` where it is not, or no longer.
pub(super) fn seen(volume: &Volume, life: &Life, pace: &Pace, now: UnixMillis) -> Option<Volume> {
    let sticks = life.fate == Some(Fate::Sticks);
    let is_over = |since: UnixMillis, takes: Duration| !sticks && now >= after(since, takes);
    let mut seen = volume.clone();
    if let Some(deleted) = life.deleted {
        seen.state = VolumeState::Deleting;
        return (!is_over(deleted, pace.delete)).then_some(seen);
    }
    if let Some(made) = life.made {
        if now < after(made, pace.unseen) {
            return None;
        }
        if now < after(made, pace.create) {
            seen.state = VolumeState::Creating;
            return Some(seen);
        }
        match life.fate {
            Some(Fate::Vanishes) => return None,
            Some(Fate::Fails) => seen.state = VolumeState::Error,
            // Stuck before it was ever attached: it is still being made.
            Some(Fate::Sticks) if life.attached.is_none() => seen.state = VolumeState::Creating,
            Some(Fate::Sticks) | None => {}
        }
    }
    if let Some(since) = life.detached {
        if is_over(since, pace.detach) {
            seen.state = VolumeState::Available;
            seen.attachments.clear();
        } else {
            let state = if sticks { AttachmentState::Busy } else { AttachmentState::Detaching };
            seen.attachments.iter_mut().for_each(|one| one.state = state.clone());
        }
    } else if life.attached.is_some_and(|since| !is_over(since, pace.attach)) {
        seen.attachments.iter_mut().for_each(|one| one.state = AttachmentState::Attaching);
    }
    Some(seen)
}

/// How far the data of a volume has come; `None` where none has to come.
pub(super) fn coming(volume: &Volume, life: &Life, pace: &Pace, now: UnixMillis) -> Option<Coming> {
    let made = life.made.filter(|_| volume.snapshot.is_some())?;
    let rate = life.asked.as_ref().and_then(|asked| asked.initialization_rate);
    // Two blocks are a MiB.
    let takes = life.blocks.saturating_mul(500) / u64::from(rate.unwrap_or(pace.initialization).max(1));
    let since = u64::try_from(now.0.saturating_sub(made.0)).unwrap_or_default();
    let left = takes.saturating_sub(since);
    let percent = if left == 0 { 100 } else { since.saturating_mul(100) / takes.max(1) };
    Some(Coming {
        percent: u8::try_from(percent).unwrap_or(100),
        seconds_left: left.div_ceil(1000),
        is_provisioned: rate.is_some(),
    })
}

fn after(since: UnixMillis, takes: Duration) -> UnixMillis {
    since.plus_millis(i64::try_from(takes.as_millis()).unwrap_or(i64::MAX))
}
