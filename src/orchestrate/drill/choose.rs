//! Which snapshots are drilled.

use crate::control::SnapshotQuery;
use crate::fault::{Fault, Kind, Place};
use crate::ops::verify::{Exception, newest, readable};
use crate::ops::{Engine, Services, list};
use crate::orchestrate::drill::Subject;
use crate::snapshot::{SnapshotId, SnapshotInfo, Tag, VolumeId};

/// Which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// These.
    Named(Vec<SnapshotId>),
    /// The newest that can be read of this volume.
    Latest(VolumeId),
    /// All with these tags.
    Tagged {
        /// The tags, all of them.
        tags: Vec<Tag>,
        /// Of each volume only the newest that can be read.
        latest_per_volume: bool,
    },
    /// One, drawn among those with these tags that can be read; the same for the same seed and snapshots.
    Random {
        /// What the draw follows from.
        seed: u64,
        /// The tags, all of them; none means all snapshots of our own.
        tags: Vec<Tag>,
    },
}

/// The snapshots that are meant. One that cannot be drilled is among them, and says why: it is not passed over.
pub(super) async fn chosen(
    choice: &Choice,
    services: &Services,
    engine: &Engine,
) -> Result<Vec<Subject>, Fault> {
    let all = async |query: SnapshotQuery| {
        let found = list::run(&query, services, engine).await?;
        Ok::<Vec<SnapshotInfo>, Fault>(found.snapshots.into_iter().map(|row| row.info).collect())
    };
    let tagged = |tags: &[Tag]| SnapshotQuery { tags: tags.to_vec(), ..SnapshotQuery::default() };
    let infos = match choice {
        Choice::Named(ids) => {
            let mut subjects = Vec::new();
            for id in ids {
                subjects.push(match all(SnapshotQuery::one(id)).await {
                    Ok(found) => match found.into_iter().next() {
                        Some(info) => Subject::of(info),
                        None => Subject::unfit(id.clone(), Exception::from(&missing(id))),
                    },
                    // One that is not there fails alone; what keeps us from asking fails them all.
                    Err(fault)
                        if matches!(fault.kind, Kind::NotFound | Kind::NotReadable) && ids.len() > 1 =>
                    {
                        Subject::unfit(id.clone(), Exception::from(&fault))
                    }
                    Err(fault) => return Err(fault),
                });
            }
            return Ok(subjects);
        }
        Choice::Latest(volume) => {
            let query = SnapshotQuery { volumes: vec![volume.clone()], ..SnapshotQuery::default() };
            newest(all(query).await?)
        }
        Choice::Tagged { tags, latest_per_volume } => {
            let found = all(tagged(tags)).await?;
            if *latest_per_volume { newest(found) } else { found }
        }
        Choice::Random { seed, tags } => {
            let mut found = all(tagged(tags)).await?;
            found.retain(|info| readable(info).is_ok());
            found.sort_by(|a, b| a.id.cmp(&b.id));
            let drawn = fastrand::Rng::with_seed(*seed).choice(&found).cloned();
            drawn.into_iter().collect()
        }
    };
    Ok(infos.into_iter().map(Subject::of).collect())
}

fn missing(id: &SnapshotId) -> Fault {
    Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "there is no such snapshot of our own")
        .hint("check the id with icecore list, and the Region")
}
