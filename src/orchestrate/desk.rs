//! How a plan asks for volumes: one way to send what has no client token, and one way to wait.
//!
//! EC2 takes an order and does it later, shows what it did later still, and refuses what comes too fast. All of that
//! is waited out here: requests go through the engine's one retry loop, what cannot be sent twice is looked for before
//! it is sent again, and states are asked for until they come or the time for them is over.

use crate::control::{InstanceQuery, Known, VolumeQuery};
use crate::estate::{
    Attachment, AttachmentState, BinnedVolume, Instance, NewVolume, Resource, Volume, VolumeState,
};
use crate::fault::{Fault, Kind, Place};
use crate::monitor::{Clock, SystemClock};
use crate::ops::{Control, Engine};
use crate::orchestrate::drill;
use crate::orchestrate::mark::{Mark, Purpose, RunId, Signed};
use crate::pipeline::{Action, Ask, Stop, Tries};
use crate::snapshot::{InstanceId, Tag, Tags, UnixMillis, VolumeId};
use std::time::Duration;
use tokio::time::Instant;

/// How long states are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// For a volume to be made, attached, detached or deleted. The SDKs' waiters give up after ten minutes, which is
    /// too early on a bad day.
    pub state: Duration,
    /// For the device of an attached volume to appear.
    pub device: Duration,
    /// Between the first two looks; it doubles with each.
    pub first: Duration,
    /// The longest between two looks.
    pub longest: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            state: Duration::from_secs(30 * 60),
            device: Duration::from_secs(3 * 60),
            first: Duration::from_millis(50),
            longest: Duration::from_secs(5),
        }
    }
}

/// The account, as plans ask it.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    control: Control,
    engine: Engine,
    pub(super) waits: Waits,
}

impl Desk {
    pub(super) fn new(control: Control, engine: Engine, waits: Waits) -> Self {
        Self { control, engine, waits }
    }

    /// The same, for undoing: a request to stop does not stop that.
    pub(super) fn undoing(&self) -> Self {
        Self { engine: self.engine.stopped_by(Stop::new()), ..self.clone() }
    }

    /// A volume as it is seen now; `None` where nobody sees it.
    pub(super) async fn volume(&self, id: &VolumeId) -> Result<Option<Volume>, Fault> {
        let query = VolumeQuery::one(id);
        let asked = self.ask(Place::Volume(id.clone()), || self.control.volumes.volumes(&query)).await;
        match asked {
            Ok(found) => Ok(found.into_iter().find(|volume| volume.id == *id && !is_gone(volume))),
            Err(fault) if fault.kind == Kind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The volumes with all of these tags.
    pub(super) async fn tagged(&self, tags: Vec<Tag>) -> Result<Vec<Volume>, Fault> {
        let query = VolumeQuery { tags, ..VolumeQuery::default() };
        let found = self.ask(Place::Service, || self.control.volumes.volumes(&query)).await?;
        Ok(found.into_iter().filter(|volume| !is_gone(volume)).collect())
    }

    /// Every volume that some run made or attached.
    pub(super) async fn signed(&self, purpose: Purpose) -> Result<Vec<Volume>, Fault> {
        self.tagged(vec![purpose.tag()]).await
    }

    /// Those of these volumes that the Recycle Bin keeps, and bills as before. Also what keeps us from asking is a
    /// reason not to know: nothing depends on it.
    pub(super) async fn binned(&self, ids: &[VolumeId]) -> Known<Vec<BinnedVolume>> {
        match self.ask(Place::Service, || self.control.holds.binned_volumes()).await {
            Ok(found) => Known::Known(found.into_iter().filter(|volume| ids.contains(&volume.id)).collect()),
            Err(fault) => Known::Unknown(fault.what().to_owned()),
        }
    }

    /// An instance of ours.
    pub(super) async fn instance(&self, id: &InstanceId) -> Result<Instance, Fault> {
        let query = InstanceQuery::one(id);
        let found = self.ask(Place::Service, || self.control.instances.instances(&query)).await?;
        found
            .into_iter()
            .find(|instance| instance.id == *id)
            .ok_or_else(|| Fault::new(Kind::NotFound, Place::Service, format!("there is no instance {id}")))
    }

    /// Makes a volume. Its client token makes sending it again safe.
    pub(super) async fn create(&self, new: &NewVolume) -> Result<Volume, Fault> {
        let at = new.snapshot.clone().map_or(Place::Service, Place::Snapshot);
        self.ask(at, || self.control.volumes.create_volume(new)).await
    }

    /// Tags a volume. Doing it twice changes nothing.
    pub(super) async fn tag(&self, id: &VolumeId, tags: &Tags) -> Result<(), Fault> {
        let resources = [Resource::from(id)];
        self.ask(Place::Volume(id.clone()), || self.control.tagging.add_tags(&resources, tags)).await
    }

    /// Takes tags off a volume; it is well if it has gone.
    pub(super) async fn untag(&self, id: &VolumeId, keys: &[String]) -> Result<(), Fault> {
        let resources = [Resource::from(id)];
        let asked =
            self.ask(Place::Volume(id.clone()), || self.control.tagging.remove_tags(&resources, keys)).await;
        match asked {
            Err(fault) if fault.kind == Kind::NotFound => Ok(()),
            asked => asked,
        }
    }

    /// Attaches a volume under a device name, and waits until it is.
    ///
    /// # Errors
    /// `Refused` where the service does not want it so; under another name it may.
    pub(super) async fn attach(&self, id: &VolumeId, to: &InstanceId, device: &str) -> Result<(), Fault> {
        self.once(id, Once::Attach(to, device)).await?;
        self.until(id, "attached", |volume| {
            let Some(volume) = volume else { return Err(self.vanished(id)) };
            Ok(at_instance(volume, to)
                .is_some_and(|one| one.state == AttachmentState::Attached)
                .then_some(()))
        })
        .await
    }

    /// Detaches a volume from this instance, and waits until it is. It is well if it is not there, or not any more.
    pub(super) async fn detach(&self, id: &VolumeId, from: &InstanceId) -> Result<(), Fault> {
        let Some(volume) = self.volume(id).await? else { return Ok(()) };
        match at_instance(&volume, from) {
            None => return Ok(()),
            Some(attachment) if is_leaving(attachment) => {}
            Some(_) => match self.once(id, Once::Detach(from)).await {
                // Somebody was quicker.
                Err(fault) if fault.kind == Kind::NotFound => return Ok(()),
                Err(fault) if fault.kind == Kind::Refused && self.is_done(id, Once::Detach(from)).await? => {}
                sent => sent?,
            },
        }
        let left = self.until(id, "detached", |volume| {
            Ok(volume.is_none_or(|volume| at_instance(volume, from).is_none()).then_some(()))
        });
        left.await.map_err(|fault| fault.or_hint("unmount what is on it; icecore cleanup ends it then"))
    }

    /// Deletes a volume that the run made, wherever it is attached by now, and waits until it is on its way out. One
    /// that was `made` a moment ago may not be seen yet: it counts as gone when nobody has seen it for a while, and the
    /// order to delete it finds nothing either.
    pub(super) async fn delete(&self, id: &VolumeId, made: Option<UnixMillis>) -> Result<(), Fault> {
        let (start, mut wait) = (Instant::now(), self.waits.first);
        loop {
            let volume = self.volume(id).await?;
            for attachment in volume.iter().flat_map(|volume| &volume.attachments) {
                if let Some(instance) = &attachment.instance {
                    self.detach(id, instance).await?;
                }
            }
            match self.once(id, Once::Delete).await {
                Ok(()) => break,
                Err(fault) if fault.kind == Kind::NotFound && volume.is_none() && !self.is_new(made) => {
                    return Ok(());
                }
                // An attachment that was still on its way when it was looked for, or a view that lags.
                Err(fault)
                    if matches!(fault.kind, Kind::Refused | Kind::NotFound)
                        && start.elapsed() < self.waits.state =>
                {
                    tracing::debug!("not deleted yet: {fault}");
                }
                Err(fault) => return Err(fault),
            }
            self.engine.pause(wait).await?;
            wait = (wait * 2).min(self.waits.longest);
        }
        self.until(id, "deleted", |volume| Ok(volume.is_none().then_some(()))).await
    }

    /// The volumes that a part of a run made, as far as they are seen. One that was `asked` for a moment ago may not be
    /// seen yet, or the order for it may still be on its way: that is waited for.
    pub(super) async fn made(
        &self,
        run: &RunId,
        part: u32,
        asked: Option<UnixMillis>,
    ) -> Result<Vec<Volume>, Fault> {
        let mut wait = self.waits.first;
        loop {
            // Before looking: what comes into sight between the look and the question must not be missed.
            let may_come = self.is_new(asked);
            let mut found = self.tagged(Mark::finds(run, part)).await?;
            found.retain(|volume| Signed::on(volume).is_some());
            if !found.is_empty() || !may_come {
                return Ok(found);
            }
            self.engine.pause(wait).await?;
            wait = (wait * 2).min(self.waits.longest);
        }
    }

    /// Whether something made at this time may still not be seen.
    pub(super) fn is_new(&self, made: Option<UnixMillis>) -> bool {
        let invisible = self.engine.settings.patience.invisible;
        made.is_some_and(|made| drill::age(made, SystemClock.now()) < invisible)
    }

    /// Waits until a volume can be attached.
    pub(super) async fn available(&self, id: &VolumeId) -> Result<Volume, Fault> {
        self.until(id, "available", |volume| match volume {
            None => Err(self.vanished(id)),
            Some(volume) if volume.state == VolumeState::Error => {
                let what = "EC2 could not make the volume: it is in state error";
                Err(Fault::new(Kind::Service, Place::Volume(id.clone()), what)
                    .hint("where the snapshot is encrypted, check that its key can be used"))
            }
            Some(volume) => Ok((volume.state == VolumeState::Available).then(|| volume.clone())),
        })
        .await
    }

    /// Looks at a volume until the answer is there. What is `Vanished` may only not be seen yet: it is believed after
    /// a while.
    async fn until<T>(
        &self,
        id: &VolumeId,
        wanted: &str,
        look: impl Fn(Option<&Volume>) -> Result<Option<T>, Fault>,
    ) -> Result<T, Fault> {
        let (start, mut wait) = (Instant::now(), self.waits.first);
        let invisible = self.engine.settings.patience.invisible;
        loop {
            let volume = self.volume(id).await?;
            match look(volume.as_ref()) {
                Ok(Some(there)) => return Ok(there),
                Ok(None) => {}
                Err(fault) if fault.kind == Kind::Vanished && start.elapsed() < invisible => {}
                Err(fault) => return Err(fault),
            }
            if start.elapsed() >= self.waits.state {
                let state = volume.map_or("not seen".to_owned(), |volume| volume.state.to_string());
                let minutes = self.waits.state.as_secs().div_ceil(60);
                let what = format!("it is not {wanted} after {minutes} minutes, but {state}");
                return Err(Fault::new(Kind::Timeout, Place::Volume(id.clone()), what));
            }
            self.engine.pause(wait).await?;
            wait = (wait * 2).min(self.waits.longest);
        }
    }

    fn vanished(&self, id: &VolumeId) -> Fault {
        Fault::new(Kind::Vanished, Place::Volume(id.clone()), "the volume is gone, or was never made")
            .hint("EC2 takes a new volume away again where its key cannot be used; check the key if it is encrypted")
    }

    async fn ask<T, F>(&self, at: Place, send: impl FnMut() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.engine.ask(&mut Tries::none(), Ask::new(Action::Control, at), send).await
    }

    /// Sends what has no client token: whether it was done is looked for before it is sent again.
    async fn once(&self, id: &VolumeId, order: Once<'_>) -> Result<(), Fault> {
        let mut was_sent = false;
        let ask = Ask {
            // A new volume may not be seen everywhere yet.
            is_new: matches!(order, Once::Attach(..)),
            ..Ask::new(Action::Control, Place::Volume(id.clone()))
        };
        let send = || {
            let again = std::mem::replace(&mut was_sent, true);
            async move {
                if again && self.is_done(id, order).await? { Ok(()) } else { self.send(id, order).await }
            }
        };
        self.engine.ask(&mut Tries::none(), ask, send).await
    }

    async fn send(&self, id: &VolumeId, order: Once<'_>) -> Result<(), Fault> {
        let volumes = &self.control.volumes;
        match order {
            Once::Attach(to, device) => volumes.attach_volume(id, to, device).await.map(|_| ()),
            Once::Detach(from) => volumes.detach_volume(id, from).await.map(|_| ()),
            Once::Delete => volumes.delete_volume(id).await,
        }
    }

    async fn is_done(&self, id: &VolumeId, order: Once<'_>) -> Result<bool, Fault> {
        let volume = self.volume(id).await?;
        let at = |instance| volume.as_ref().and_then(|volume| at_instance(volume, instance));
        Ok(match order {
            Once::Attach(to, _) => at(to).is_some(),
            Once::Detach(from) => at(from).is_none_or(is_leaving),
            // Not seen is not gone: the order itself tells.
            Once::Delete => false,
        })
    }
}

/// An order that has no client token.
#[derive(Clone, Copy, Debug)]
enum Once<'a> {
    Attach(&'a InstanceId, &'a str),
    Detach(&'a InstanceId),
    Delete,
}

fn is_leaving(one: &Attachment) -> bool {
    matches!(one.state, AttachmentState::Detaching | AttachmentState::Detached | AttachmentState::Busy)
}

/// On its way out: nobody can do anything with it.
fn is_gone(volume: &Volume) -> bool {
    matches!(volume.state, VolumeState::Deleting | VolumeState::Deleted)
}

/// How a volume is attached to this instance, where it is.
pub(super) fn at_instance<'a>(volume: &'a Volume, instance: &InstanceId) -> Option<&'a Attachment> {
    let there = |one: &&Attachment| one.instance.as_ref() == Some(instance);
    volume.attachments.iter().filter(there).find(|one| one.state != AttachmentState::Detached)
}
