//! Which snapshots are drilled.

use crate::control::SnapshotQuery;
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::verify::{Exception, age, in_words, newest, readable};
use crate::ops::{Engine, Services, list};
use crate::orchestrate::drill::Subject;
use crate::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, Tag, VolumeId};

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
            return Ok(latest(all(query).await?));
        }
        Choice::Tagged { tags, latest_per_volume } => {
            let found = all(tagged(tags)).await?;
            if *latest_per_volume {
                return Ok(latest(found));
            }
            found
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

/// The newest of each volume. One that failed is a drill of its own, which fails; newer ones that cannot be read yet or
/// any more are named with that which is drilled.
fn latest(found: Vec<SnapshotInfo>) -> Vec<Subject> {
    let now = SystemClock.now();
    let newest = newest(found);
    let real = |info: &SnapshotInfo| info.volume_id.clone().filter(|id| id.is_real());
    let chosen = newest.chosen.into_iter().map(|info| {
        let others = newest.newer.iter().filter(|newer| real(newer).is_some() && real(newer) == real(&info));
        let notes = others.map(|newer| {
            let state = match newer.state {
                SnapshotState::Completed => "archived",
                state => state.as_str(),
            };
            let age = in_words(age(newer.start_time, now));
            format!("{} is newer and {state}, taken {age} before the run; it was not drilled.", newer.id)
        });
        let notes = notes.collect();
        Subject { notes, ..Subject::of(info) }
    });
    let in_error = newest.in_error.iter().cloned();
    let in_error = in_error.map(|info| Subject { is_newest_in_error: true, ..Subject::of(info) });
    chosen.collect::<Vec<_>>().into_iter().chain(in_error).collect()
}

fn missing(id: &SnapshotId) -> Fault {
    Fault::new(Kind::NotFound, Place::Snapshot(id.clone()), "there is no such snapshot of our own")
        .hint("check the id with icecore list, and the Region")
}
