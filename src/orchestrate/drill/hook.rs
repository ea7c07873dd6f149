//! The user's own test: a command that is run while the verified volume is attached, read-only.

use crate::fault::Fault;
use crate::ops::subprocess::{self, Ended};
use crate::ops::verify::State;
use crate::orchestrate::drill::report::{Hooked, Seen};
use crate::orchestrate::drill::{Hook, Shop, device_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use crate::pipeline::{Stop, interrupted};
use futures_util::future::{BoxFuture, FutureExt};
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Run {
    shop: Arc<Shop>,
    hook: Hook,
    seen: Arc<Seen>,
}

impl Run {
    pub(super) fn new(shop: &Arc<Shop>, hook: &Hook, seen: &Arc<Seen>) -> Self {
        Self { shop: shop.clone(), hook: hook.clone(), seen: seen.clone() }
    }
}

impl Step for Run {
    fn name(&self) -> &'static str {
        "hook"
    }

    fn line(&self) -> Line {
        Line::local(format!("run {}", self.hook.command))
    }

    fn act<'a>(&'a self, known: &'a Facts) -> BoxFuture<'a, Result<Facts, Fault>> {
        async move {
            if self.seen.state() != Some(State::Pass) {
                self.seen.note("The hook was not run: the verification is no pass.");
                return Ok(Facts::new());
            }
            let fact = |key: &str| known.get(key).cloned().unwrap_or_default();
            let mut command = subprocess::shell(&self.hook.command, self.hook.gets_credentials);
            command
                .env("ICECORE_DEVICE", device_of(known)?)
                .env("ICECORE_VOLUME", fact("volume"))
                .env("ICECORE_SNAPSHOT", fact("snapshot"));
            if let Some(mount) = known.get("mount") {
                command.env("ICECORE_MOUNT", mount);
            }
            let (timeout, stop) = (self.hook.timeout, self.shop.engine.stop.clone());
            let ran = run(command, timeout, &stop).await;
            if stop.is_requested() {
                return Err(interrupted());
            }
            let ended = ran.map_err(|error| Fault::local("/bin/sh", "run the hook", error))?;
            if ended.left_processes > 0 {
                self.seen.note(&format!(
                    "Processes that the hook began and that could not be ended: {}.",
                    ended.left_processes
                ));
            }
            self.seen.hooked(Hooked {
                code: ended.code,
                said: String::from_utf8_lossy(&ended.output).trim().to_owned(),
                is_cut: ended.is_cut,
                got_credentials: self.hook.gets_credentials,
            });
            Ok(Facts::new())
        }
        .boxed()
    }
}

/// Runs a hook on a thread of its own, to its end or to that of its time.
async fn run(command: Command, timeout: Duration, stop: &Stop) -> io::Result<Ended> {
    let stop = stop.clone();
    let running = move || subprocess::run(command, true, timeout, &|| stop.is_requested());
    tokio::task::spawn_blocking(running).await.map_err(io::Error::other)?
}
