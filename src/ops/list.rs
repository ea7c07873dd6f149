//! Our snapshots, and which of them belong together.

use crate::control::SnapshotQuery;
use crate::fault::{Fault, Kind, Place};
use crate::ops::{Engine, Services};
use crate::pipeline::{Action, Ask, Requests, Tries};
use crate::snapshot::{SnapshotId, SnapshotInfo, VolumeId};
use std::collections::HashMap;

/// One snapshot of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its facts.
    pub info: SnapshotInfo,
    /// The snapshot it was made upon, where our own tag tells: AWS does not.
    pub parent: Option<SnapshotId>,
    /// Numbers the related groups of this list from 1, in order of their first snapshot.
    pub lineage: u32,
}

/// What `icecore list` found, in order of start time.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// The snapshots.
    pub snapshots: Vec<Row>,
    /// What was asked.
    pub requests: Requests,
}

/// Asks for our own snapshots that the query means.
pub async fn run(query: &SnapshotQuery, services: &Services, engine: &Engine) -> Result<Report, Fault> {
    let Some(snapshots) = &services.snapshots else {
        return Err(Fault::new(Kind::Refused, Place::Program, "this build cannot ask EC2 for snapshots")
            .hint("build icecore with its feature ec2, which is on by default"));
    };
    let ask = Ask::new(Action::Control, Place::Service);
    let found = engine.ask(&mut Tries::none(), ask, || snapshots.describe(query)).await?;
    Ok(Report { snapshots: related(found), requests: engine.requests() })
}

/// Groups snapshots that belong together as far as is known here: by parent, and by a volume that is one. AWS may
/// know of more.
fn related(found: Vec<SnapshotInfo>) -> Vec<Row> {
    let mut group_of_snapshot: HashMap<SnapshotId, usize> = HashMap::new();
    let mut group_of_volume: HashMap<VolumeId, usize> = HashMap::new();
    let mut groups: Vec<usize> = Vec::new();
    for info in &found {
        let parent = info.parent.as_ref().and_then(|id| group_of_snapshot.get(id)).copied();
        let volume = info.volume_id.as_ref().filter(|id| id.is_real());
        let sibling = volume.and_then(|id| group_of_volume.get(id)).copied();
        let group = match (parent, sibling) {
            (Some(parent), Some(sibling)) => {
                // A volume restored from one group goes on in another: the two are one.
                let (kept, merged) = (parent.min(sibling), parent.max(sibling));
                groups.iter_mut().filter(|group| **group == merged).for_each(|group| *group = kept);
                group_of_snapshot
                    .values_mut()
                    .filter(|group| **group == merged)
                    .for_each(|group| *group = kept);
                group_of_volume
                    .values_mut()
                    .filter(|group| **group == merged)
                    .for_each(|group| *group = kept);
                kept
            }
            (Some(group), None) | (None, Some(group)) => group,
            (None, None) => groups.len(),
        };
        groups.push(group);
        group_of_snapshot.insert(info.id.clone(), group);
        // A parent that is not listed, or deleted, still tells that its children belong together.
        group_of_snapshot.extend(info.parent.iter().map(|id| (id.clone(), group)));
        group_of_volume.extend(volume.map(|id| (id.clone(), group)));
    }
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    let rows = found.into_iter().zip(groups).map(|(info, group)| {
        let next = u32::try_from(numbers.len() + 1).unwrap_or(u32::MAX);
        let lineage = *numbers.entry(group).or_insert(next);
        Row { parent: info.parent.clone(), info, lineage }
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::conformance::sample;

    #[test]
    fn lineages_follow_parents_and_real_volumes_only() {
        let mut found: Vec<_> = (1..=7).map(sample).collect();
        let volume = |id: &str| Some(id.parse().unwrap());
        found[1].parent = Some(found[0].id.clone());
        found[2].volume_id = volume("vol-ffffffff");
        found[3].volume_id = volume("vol-ffffffff");
        found[4].volume_id = volume("vol-0a");
        found[5].volume_id = volume("vol-0a");
        // Made upon the first group, of the volume of another: both are one.
        found[6].volume_id = volume("vol-0a");
        found[6].parent = Some(found[1].id.clone());
        let numbers = |found: &[SnapshotInfo]| -> Vec<_> {
            related(found.to_vec()).iter().map(|row| row.lineage).collect()
        };
        assert_eq!(numbers(&found[..6]), [1, 1, 2, 3, 4, 4]);
        assert_eq!(numbers(&found), [1, 1, 2, 3, 1, 1, 1]);
        let mut orphans: Vec<_> = (1..=3).map(sample).collect();
        orphans[0].parent = Some("snap-0de1e7ed".parse().unwrap());
        orphans[2].parent = orphans[0].parent.clone();
        assert_eq!(numbers(&orphans), [1, 2, 1], "children of one parent that is gone");
    }
}
