//! What the account holds beside its snapshots, as it is seen at a time.

use crate::account::region::Places;
use crate::account::{Account, life};
use crate::estate::{Held, Instance, InstanceState, LockState};
use crate::fault::{Fault, Kind, Place};
use crate::shelf::{Holdings, VaultWriter};
use crate::snapshot::{Tags, UnixMillis};
use std::sync::PoisonError;

impl Account {
    /// What there is in a Region, as it is seen at this time.
    pub fn held(&self, region: &str, now: UnixMillis) -> Result<Held, Fault> {
        let Holdings { mut held, lives, .. } = self.holdings(region)?;
        held.volumes = held
            .volumes
            .iter()
            .filter_map(|volume| match lives.get(&volume.id) {
                Some(life) => life::seen(volume, life, &self.settings().pace, now),
                None => Some(volume.clone()),
            })
            .collect();
        let lies_there = |leaves: Option<UnixMillis>| leaves.is_none_or(|leaves| now < leaves);
        held.binned_snapshots.retain(|binned| lies_there(binned.leaves));
        held.binned_volumes.retain(|binned| lies_there(binned.leaves));
        held.binned_images.retain(|binned| lies_there(binned.leaves));
        for lock in held.locks.iter_mut().filter(|lock| !lies_there(lock.expires)) {
            lock.state = LockState::Expired;
        }
        for attachment in held.volumes.iter().flat_map(|volume| &volume.attachments) {
            let at = held.instances.iter_mut().find(|one| Some(&one.id) == attachment.instance.as_ref());
            at.into_iter().for_each(|instance| instance.devices.push(attachment.device.clone()));
        }
        Ok(held)
    }

    /// What is kept of a Region, whatever the time. One that nothing was ever done in has two running instances,
    /// in two Availability Zones.
    pub(super) fn holdings(&self, region: &str) -> Result<Holdings, Fault> {
        Ok(self.shelves.vault.load()?.remove(region).unwrap_or_else(|| fresh(region)))
    }

    /// Changes what is held in a Region. Durable when this returns; nothing has changed where `act` fails.
    ///
    /// # Errors
    /// `Denied` where the collection is only looked at.
    pub fn edit<T, E: From<Fault>>(
        &self,
        region: &str,
        act: impl FnOnce(&mut Holdings) -> Result<T, E>,
    ) -> Result<T, E> {
        let vault = self.vault()?;
        let _alone = self.edits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut regions = vault.load()?;
        let holdings = regions.entry(region.to_owned()).or_insert_with(|| fresh(region));
        let done = act(holdings)?;
        vault.save(&regions)?;
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = Some(Places::of(&regions));
        Ok(done)
    }

    pub(super) fn vault(&self) -> Result<&dyn VaultWriter, Fault> {
        self.shelves.vault_writer.as_deref().ok_or_else(|| {
            Fault::new(Kind::Denied, Place::Service, "this endpoint serves a collection that is only read")
        })
    }
}

fn fresh(region: &str) -> Holdings {
    let instances = ["a", "b"].into_iter().zip(1..).map(|(letter, number)| Instance {
        id: format!("i-0{number:016x}").parse().unwrap_or_else(|_| unreachable!("hexadecimal digits")),
        state: InstanceState::Running,
        zone: format!("{region}{letter}"),
        kind: "m6i.large".to_owned(),
        devices: Vec::new(),
        tags: Tags::new(),
    });
    Holdings { held: Held { instances: instances.collect(), ..Held::default() }, ..Holdings::default() }
}
