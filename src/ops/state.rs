//! Moving what a state directory keeps between machines.

use crate::disk::{Access, Node};
use crate::fault::{Fault, Kind, Place};
use crate::ledger::{Carried, carry};
use crate::ops::Engine;
use std::path::{Path, PathBuf};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From this machine's state directory.
    Push,
    /// Into it.
    Pull,
}

/// What was carried where.
#[derive(Clone, Debug)]
#[must_use]
pub struct Report {
    /// Which way.
    pub direction: Direction,
    /// This machine's state directory.
    pub state_dir: PathBuf,
    /// The other one.
    pub dir: PathBuf,
    /// What was carried.
    pub carried: Carried,
}

/// Carries manifests, the ledger and the memory of cycles. Checkpoints stay: they are of one machine.
///
/// # Errors
/// `Local` where a file cannot be read or written; what was carried until then stays, and doing it again goes on.
pub fn run(direction: Direction, dir: &Path, engine: &Engine) -> Result<Report, Fault> {
    let machine = engine.machine();
    let (from, to) = match direction {
        Direction::Push => (machine.state_dir.as_path(), dir),
        Direction::Pull => (dir, machine.state_dir.as_path()),
    };
    for (path, has_to_be) in [(from, true), (to, false)] {
        let what = match machine.disk.node(path).ok().flatten() {
            Some(Node::Dir) => continue,
            Some(_) => "it is no directory",
            None if has_to_be => "there is no such directory",
            None => continue,
        };
        let place = Place::File(path.to_owned());
        return Err(Fault::new(Kind::Unsuitable, place, what).hint("check the path"));
    }
    if direction == Direction::Push {
        machine.disk.refuse_untrusted(&from.join("ledger"))?;
    }
    // A state directory is its owner's; the other one may be a group's.
    let access = match direction {
        Direction::Push => Access::Group,
        Direction::Pull => Access::Owner,
    };
    let carried = carry(&machine.disk, from, to, access)?;
    Ok(Report { direction, state_dir: machine.state_dir.clone(), dir: dir.to_owned(), carried })
}
