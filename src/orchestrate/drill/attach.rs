//! The attachment: made when the volume is there, taken off in the end.

use crate::cost::Usd;
use crate::estate::AttachmentState;
use crate::fault::{Fault, Kind, Place};
use crate::orchestrate::desk::at_instance;
use crate::orchestrate::drill::{Shop, Subject, Way, volume_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use futures_util::future::{BoxFuture, FutureExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Names for devices that this process gave out. On Nitro the kernel gives others, but EC2 wants one for each
/// attachment.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeSet<String>>);

impl Names {
    /// One that is free, as EC2 recommends them for volumes: `/dev/sd[f-p]`, then `/dev/xvdb[a-z]` (EC2 user guide,
    /// "device_naming").
    fn take(&self, used: &[String]) -> Option<String> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let few = ('f'..='p').map(|letter| format!("/dev/sd{letter}"));
        let more = ('a'..='z').map(|letter| format!("/dev/xvdb{letter}"));
        let name = few.chain(more).find(|name| !used.contains(name) && !given.contains(name))?;
        given.insert(name.clone());
        Some(name)
    }

    fn give_back(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Names that are tried: somebody else may attach volumes here as well.
const TRIES: usize = 5;

#[derive(Debug)]
pub(super) struct Attach {
    shop: Arc<Shop>,
    /// The volume is somebody else's: where it is attached already it stays so.
    is_restored: bool,
}

impl Attach {
    pub(super) fn new(shop: &Arc<Shop>, subject: &Subject) -> Self {
        Self { shop: shop.clone(), is_restored: matches!(subject.way, Way::Restored { .. }) }
    }

    async fn attached(&self, known: &Facts) -> Result<Facts, Fault> {
        let (desk, id, instance) = (&self.shop.desk, volume_of(known)?, &self.shop.options.here.instance);
        let fact = |device: &str| Facts::from([("attached_as".to_owned(), device.to_owned())]);
        let before = desk.volume(&id).await?;
        if let Some(there) = before.as_ref().and_then(|volume| at_instance(volume, instance))
            && there.state == AttachmentState::Attached
        {
            return Ok(fact(&there.device));
        }
        if self.is_restored && before.as_ref().is_some_and(|volume| !volume.attachments.is_empty()) {
            let what = "it is attached to another instance, and is not taken from there";
            return Err(Fault::new(Kind::Refused, Place::Volume(id), what).hint("detach it, or run there"));
        }
        desk.available(&id).await?;
        let mut used = desk.instance(instance).await?.devices;
        let mut last = None;
        for _ in 0..TRIES {
            let Some(name) = self.shop.names.take(&used) else { break };
            match desk.attach(&id, instance, &name).await {
                Ok(()) => return Ok(fact(&name)),
                Err(fault) if fault.kind == Kind::Refused => {
                    // The name may have been taken meanwhile, and the view of it lags.
                    self.shop.names.give_back(&name);
                    used.push(name);
                    last = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        let what = "no device name is free on this instance";
        Err(last
            .unwrap_or_else(|| Fault::new(Kind::Quota, Place::Volume(id), what).hint("drill fewer at once")))
    }
}

impl Step for Attach {
    fn name(&self) -> &'static str {
        "attach"
    }

    fn line(&self) -> Line {
        Line {
            what: format!("attach it to {} when it is available", self.shop.options.here.instance),
            calls: &["ec2:AttachVolume"],
            permissions: &["ec2:AttachVolume", "ec2:DescribeVolumes", "ec2:DescribeInstances"],
            usd: Usd::ZERO,
            takes: Duration::from_secs(60),
        }
    }

    fn undo_line(&self) -> Option<Line> {
        Some(Line {
            what: "detach it".to_owned(),
            calls: &["ec2:DetachVolume"],
            permissions: &["ec2:DetachVolume", "ec2:DescribeVolumes"],
            usd: Usd::ZERO,
            takes: Duration::from_secs(60),
        })
    }

    fn lasts(&self) -> bool {
        true
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        self.attached(known).boxed()
    }

    fn undo<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let Ok(id) = volume_of(known) else { return Ok(()) };
            self.shop.undoing.detach(&id, &self.shop.options.here.instance).await?;
            if let Some(name) = known.get("attached_as") {
                self.shop.names.give_back(name);
            }
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attachment_gets_a_name_that_nobody_has() {
        let names = Names::default();
        assert_eq!(names.take(&[]).unwrap(), "/dev/sdf");
        assert_eq!(names.take(&["/dev/sdg".to_owned()]).unwrap(), "/dev/sdh");
        names.give_back("/dev/sdf");
        assert_eq!(names.take(&[]).unwrap(), "/dev/sdf");
        let all: BTreeSet<_> = std::iter::from_fn(|| names.take(&[])).collect();
        assert_eq!(all.len(), 11 + 26 - 2);
        assert!(names.take(&[]).is_none());
    }
}
