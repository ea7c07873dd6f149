//! Since when volumes have been seen unattached.
//!
//! EC2 does not tell it. So every look is noted in the state directory, and the first of those that saw a volume
//! unattached counts, until one sees it attached. Between two looks it may have been: whoever looks seldom knows less.
//!
//! One file for each place, below `unattached`, named by a digest of the place: a line `VOLUME MILLISECONDS` each.
//! Nothing is synced, and a line that cannot be read is none: a volume then looks as if it were unattached since today.

use crate::block::Digest;
use crate::disk::{Access, Machine};
use crate::estate::{Volume, VolumeState};
use crate::fault::Fault;
use crate::snapshot::{UnixMillis, VolumeId};
use std::collections::BTreeMap;

/// Longest file that is read: a million volumes take 40 MB.
const LONGEST: usize = 256 << 20;

/// Notes what is seen of these volumes now; tells since when each of the unattached ones has been seen so.
pub(super) fn noted<'a>(
    machine: &Machine,
    place: &str,
    volumes: impl Iterator<Item = &'a Volume>,
    now: UnixMillis,
) -> Result<BTreeMap<VolumeId, UnixMillis>, Fault> {
    let dir = machine.state_dir.join("unattached");
    let path = dir.join(&Digest::of(place.as_bytes()).to_string()[..32]);
    let text = match machine.disk.read_found(&path, LONGEST) {
        Ok(bytes) if machine.disk.trusts(&dir) => String::from_utf8(bytes).unwrap_or_default(),
        _ => String::new(),
    };
    let before: BTreeMap<VolumeId, UnixMillis> = text.lines().filter_map(read).collect();
    let unattached = volumes.filter(|one| one.attachments.is_empty() && one.state == VolumeState::Available);
    let since = |id: &VolumeId| before.get(id).copied().filter(|since| *since <= now).unwrap_or(now);
    let seen: BTreeMap<_, _> = unattached.map(|one| (one.id.clone(), since(&one.id))).collect();
    if seen != before {
        let lines: String = seen.iter().map(|(id, since)| format!("{id} {}\n", since.0)).collect();
        let written = || -> std::io::Result<()> {
            machine.disk.make_dirs(&dir, Access::Owner)?;
            machine.disk.replace_lazily(&path, lines.as_bytes(), Access::Owner)
        };
        written().map_err(|error| Fault::local(&path, "note which volumes are unattached", error))?;
    }
    Ok(seen)
}

fn read(line: &str) -> Option<(VolumeId, UnixMillis)> {
    let (id, since) = line.split_once(' ')?;
    Some((id.parse().ok()?, UnixMillis(since.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::GiB;
    use crate::estate::{Attachment, AttachmentState, VolumeKind};
    use crate::snapshot::Tags;

    fn volume(is_attached: bool) -> Volume {
        let attachment =
            Attachment { instance: None, device: "/dev/sdf".into(), state: AttachmentState::Attached };
        Volume {
            id: "vol-0a".parse().unwrap(),
            state: if is_attached { VolumeState::InUse } else { VolumeState::Available },
            size: GiB::try_from(1).unwrap(),
            zone: "us-east-1a".into(),
            kind: VolumeKind::Gp3,
            iops: None,
            throughput: None,
            snapshot: None,
            encrypted: false,
            kms_key_id: None,
            created: None,
            attachments: Vec::from_iter(is_attached.then_some(attachment)),
            fast_restored: None,
            tags: Tags::new(),
        }
    }

    #[test]
    fn the_first_look_counts_until_the_volume_is_seen_attached() {
        let dir = tempfile::tempdir().unwrap();
        let look = |place: &str, is_attached, now| {
            let seen = noted(
                &Machine::real(dir.path().into()),
                place,
                [volume(is_attached)].iter(),
                UnixMillis(now),
            )
            .unwrap();
            seen.into_values().map(|since| since.0).next()
        };
        assert_eq!((look("here", false, 5), look("here", false, 9)), (Some(5), Some(5)));
        assert_eq!(look("elsewhere", false, 9), Some(9), "ids of other accounts and Regions say nothing");
        assert_eq!((look("here", true, 10), look("here", false, 11)), (None, Some(11)));
        assert_eq!(look("here", false, 3), Some(3), "a clock that was set back makes nothing older");
        for entry in std::fs::read_dir(dir.path().join("unattached")).unwrap() {
            std::fs::write(entry.unwrap().path(), "vol-0a many\nnonsense\n").unwrap();
        }
        assert_eq!(look("here", false, 12), Some(12));
    }
}
