//! Where snapshots belong: each to the Region it was started in.
//!
//! A shelf has no Regions. The account notes where a snapshot was started, in its vault; one that nothing is noted of,
//! because it came to the shelf another way, is seen in every Region.

use crate::account::{Account, tokens_of};
use crate::fault::{Fault, Kind};
use crate::shelf::{Regions, ShelfWriter, Shelved};
use crate::snapshot::{SnapshotId, UnixMillis};
use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

/// The Regions of snapshots, as far as noted, and which of them nobody sees.
#[derive(Debug, Default)]
pub(super) struct Places {
    homes: HashMap<SnapshotId, String>,
    /// Those that lie in a Recycle Bin.
    binned: HashSet<SnapshotId>,
}

impl Places {
    pub(super) fn of(regions: &Regions) -> Self {
        let homes = regions.iter().flat_map(|(region, holdings)| {
            holdings.snapshots.iter().map(move |id| (id.clone(), region.clone()))
        });
        let bins = regions.values().flat_map(|holdings| &holdings.held.binned_snapshots);
        Self { homes: homes.collect(), binned: bins.map(|binned| binned.id.clone()).collect() }
    }

    /// Whether somebody who asks in this Region sees it.
    fn shows(&self, region: &str, id: &SnapshotId) -> bool {
        self.homes.get(id).is_none_or(|home| home == region) && !self.binned.contains(id)
    }
}

impl Account {
    /// One snapshot of this Region as it is seen at this time.
    pub fn find(&self, region: &str, id: &SnapshotId, now: UnixMillis) -> Result<Option<Shelved>, Fault> {
        if !self.shows(region, id)? {
            return Ok(None);
        }
        self.shelf().find(id)?.map(|shelved| self.seen(shelved, now)).transpose()
    }

    /// Every snapshot of this Region as it is seen at this time, in order of start times.
    pub fn list(&self, region: &str, now: UnixMillis) -> Result<Vec<Shelved>, Fault> {
        let mut here = Vec::new();
        for shelved in self.shelf().list()? {
            if self.shows(region, &shelved.info.id)? {
                here.push(self.seen(shelved, now)?);
            }
        }
        Ok(here)
    }

    /// Starts a snapshot in this Region with `make`, unless this client token has started one there that is still
    /// there: then it is that one.
    pub fn start_once<E: From<Fault>>(
        &self,
        region: &str,
        token: Option<&str>,
        make: impl FnOnce(&dyn ShelfWriter) -> Result<Shelved, E>,
    ) -> Result<Shelved, E> {
        let writer = self.writer()?;
        let Some(token) = token else { return self.settled(region, make(writer)?) };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = match &mut *tokens {
            Some(known) => known,
            unknown => unknown.insert(tokens_of(self.shelf())?),
        };
        for id in tokens.get(token).into_iter().flatten() {
            if self.shows(region, id)?
                && let Some(first) = self.shelf().find(id)?
            {
                return Ok(first);
            }
        }
        let made = self.settled(region, make(writer)?)?;
        tokens.entry(token.to_owned()).or_default().push(made.info.id.clone());
        Ok(made)
    }

    /// Notes where a new snapshot belongs.
    fn settled<E: From<Fault>>(&self, region: &str, made: Shelved) -> Result<Shelved, E> {
        self.edit::<_, Fault>(region, |holdings| {
            holdings.snapshots.insert(made.info.id.clone());
            Ok(())
        })?;
        Ok(made)
    }

    fn shows(&self, region: &str, id: &SnapshotId) -> Result<bool, Fault> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*places {
            return Ok(known.shows(region, id));
        }
        let found = match self.shelves.vault.load() {
            Ok(regions) => Places::of(&regions),
            // Snapshots can be read although what is held beside them is lost.
            Err(fault) if fault.kind == Kind::Corrupt => Places::default(),
            Err(fault) => return Err(fault),
        };
        Ok(places.insert(found).shows(region, id))
    }
}
