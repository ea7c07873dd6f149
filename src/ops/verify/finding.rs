//! Findings beside wrong blocks: a backup that failed, is empty or is too old is no good backup, whatever its blocks hold.

use crate::snapshot::{SnapshotInfo, UnixMillis};
use std::fmt;
use std::time::Duration;

/// The rules by which findings are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The newest snapshot of a volume failed.
    NewestInError,
    /// The newest readable snapshot of a volume, or the snapshot verified, is older than allowed.
    RpoExceeded,
    /// The snapshot has no blocks.
    EmptySnapshot,
}

impl Rule {
    /// As it stands in reports: `newest-in-error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewestInError => "newest-in-error",
            Self::RpoExceeded => "rpo-exceeded",
            Self::EmptySnapshot => "empty-snapshot",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One finding. Each makes the run end with findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that was broken.
    pub rule: Rule,
    /// The snapshot, or the volume, by its id.
    pub resource: String,
    /// What was found, in one clause.
    pub what: String,
    /// What to do about it, in one clause.
    pub fix: &'static str,
}

impl Finding {
    /// How bad it is: every rule is about a backup that is not there as it should be.
    pub const SEVERITY: &'static str = "error";

    /// The newest snapshot of its volume failed.
    pub(crate) fn newest_in_error(info: &SnapshotInfo, now: UnixMillis) -> Self {
        let why = info.state_message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        Self {
            rule: Rule::NewestInError,
            resource: info.id.to_string(),
            what: format!(
                "the newest snapshot{} is in state error, taken {} ago{why}",
                of_volume(info),
                in_words(age(info.start_time, now))
            ),
            fix: "take a new snapshot, and find out why this one failed",
        }
    }

    /// A snapshot that is older than allowed; `None` where it is not.
    pub(crate) fn rpo(info: &SnapshotInfo, allowed: Duration, now: UnixMillis) -> Option<Self> {
        let age = age(info.start_time, now);
        (age > allowed).then(|| Self {
            rule: Rule::RpoExceeded,
            resource: info.id.to_string(),
            what: format!(
                "the newest readable snapshot{} is {} old, and {} are allowed",
                of_volume(info),
                in_words(age),
                in_words(allowed)
            ),
            fix: "take a snapshot now, and see why none was taken or finished in time",
        })
    }

    /// A volume without any snapshot that can be read, where one of some age is asked for.
    pub(crate) fn none_readable(info: &SnapshotInfo) -> Self {
        Self {
            rule: Rule::RpoExceeded,
            resource: info.volume_id.as_ref().map_or_else(|| info.id.to_string(), ToString::to_string),
            what: "no snapshot of it can be read".to_owned(),
            fix: "take a snapshot now, and see why none was taken or finished in time",
        }
    }

    /// A snapshot without blocks.
    pub(crate) fn empty(snapshot: &str) -> Self {
        Self {
            rule: Rule::EmptySnapshot,
            resource: snapshot.to_owned(),
            what: "the snapshot has no blocks: the backup is empty".to_owned(),
            fix: "see that the right volume is backed up, or give --allow-empty",
        }
    }
}

fn of_volume(info: &SnapshotInfo) -> String {
    let volume = info.volume_id.as_ref().filter(|id| id.is_real());
    volume.map(|id| format!(" of {id}")).unwrap_or_default()
}

/// How old something is; nothing where its time is ahead of this clock.
pub(crate) fn age(taken: UnixMillis, now: UnixMillis) -> Duration {
    Duration::from_millis(u64::try_from(now.0.saturating_sub(taken.0)).unwrap_or(0))
}

/// `3d04h`, `26h10m`, `5m`.
pub(crate) fn in_words(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    match minutes {
        0..60 => format!("{minutes}m"),
        60..2_880 => format!("{}h{:02}m", minutes / 60, minutes % 60),
        _ => format!("{}d{:02}h", minutes / 1_440, minutes % 1_440 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::conformance::sample;

    #[test]
    fn an_age_is_judged_to_the_millisecond_and_shown_in_two_units() {
        let info = sample(1);
        let at = |millis: i64| info.start_time.plus_millis(millis);
        let hour = Duration::from_secs(3_600);
        assert_eq!(Finding::rpo(&info, hour, at(3_600_000)), None);
        assert_eq!(Finding::rpo(&info, hour, at(-5)), None, "taken ahead of this clock");
        let found = Finding::rpo(&info, hour, at(3_600_001)).unwrap();
        assert_eq!((found.rule.as_str(), found.resource), ("rpo-exceeded", info.id.to_string()));
        for (seconds, words) in [(59, "0m"), (3_600, "1h00m"), (172_799, "47h59m"), (273_600, "3d04h")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
