//! The device: waited for, and kept from being written to.

use crate::device::{self, Protection, attached};
use crate::fault::{Fault, Kind, Place};
use crate::orchestrate::drill::report::Seen;
use crate::orchestrate::drill::{Shop, device_of, volume_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use tokio::time::Instant;

/// Waits for the device of the volume, and tells its path.
#[derive(Debug)]
pub(super) struct Find {
    shop: Arc<Shop>,
}

impl Find {
    pub(super) fn new(shop: &Arc<Shop>) -> Self {
        Self { shop: shop.clone() }
    }
}

impl Step for Find {
    fn name(&self) -> &'static str {
        "device"
    }

    fn line(&self) -> Line {
        Line::local(format!("find its device by its id in {}", self.shop.options.here.devices.display()))
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            let id = volume_of(known)?;
            let (dir, waits) = (&self.shop.options.here.devices, self.shop.desk.waits);
            let (start, mut wait) = (Instant::now(), waits.first);
            loop {
                let disk = self.shop.engine.machine().disk.clone();
                if let Some(path) = attached(disk.as_ref(), dir, &id)? {
                    return Ok(Facts::from([("device".to_owned(), path.display().to_string())]));
                }
                if start.elapsed() >= waits.device {
                    let seconds = waits.device.as_secs();
                    let what = format!("{id} is attached, but no device of it appeared within {seconds} seconds");
                    return Err(Fault::new(Kind::Timeout, Place::File(dir.join(id.device_name())), what)
                        .hint("check that this machine is the instance that --instance names, and that udev runs"));
                }
                self.shop.engine.pause(wait).await?;
                wait = (wait * 2).min(waits.longest);
            }
        }
        .boxed()
    }
}

/// Sets the device read-only: nothing on this machine can write to it from then on, not even a mount.
#[derive(Debug)]
pub(super) struct Protect {
    shop: Arc<Shop>,
    seen: Arc<Seen>,
}

impl Protect {
    pub(super) fn new(shop: &Arc<Shop>, seen: &Arc<Seen>) -> Self {
        Self { shop: shop.clone(), seen: seen.clone() }
    }
}

impl Step for Protect {
    fn name(&self) -> &'static str {
        "protect"
    }

    fn line(&self) -> Line {
        Line::local("set the device read-only")
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            let path = device_of(known)?;
            match device::protect(self.shop.engine.machine().disk.as_ref(), &path)? {
                Protection::ReadOnly => {}
                Protection::FileOnly => self.seen.note(
                    "A file stands for the device: it cannot be set read-only, and was opened for reading alone.",
                ),
            }
            Ok(Facts::new())
        }
        .boxed()
    }
}
