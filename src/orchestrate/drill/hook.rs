//! The user's own test: a command that is run while the verified volume is attached, read-only.

use crate::fault::Fault;
use crate::ops::verify::State;
use crate::orchestrate::drill::report::{Hooked, Seen};
use crate::orchestrate::drill::{Hook, Shop, device_of};
use crate::orchestrate::plan::Line;
use crate::orchestrate::step::{Facts, Step};
use crate::pipeline::{Stop, interrupted};
use futures_util::future::{BoxFuture, FutureExt};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The end of what a hook says that is kept.
const KEPT: usize = 2000;

/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

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
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", &self.hook.command])
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
            self.seen.hooked(ran.map_err(|error| Fault::local("/bin/sh", "run the hook", error))?);
            Ok(Facts::new())
        }
        .boxed()
    }
}

/// Runs it to its end, or ends it with everything that it began.
async fn run(mut command: Command, timeout: Duration, stop: &Stop) -> io::Result<Hooked> {
    let (mut said, writer) = io::pipe()?;
    // A group of its own, so that it can be ended with what it started.
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = command.spawn()?;
    // The command holds the writing end as well; without it the reader would never see the end.
    drop(command);
    let heard = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        said.read_to_end(&mut text).map(|_| text)
    });
    let code = ended(&mut child, timeout, stop).await?;
    let text = heard.await.map_err(io::Error::other)??;
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(KEPT)..]).trim().to_owned();
    Ok(Hooked { code, said: text })
}

async fn ended(child: &mut Child, timeout: Duration, stop: &Stop) -> io::Result<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if start.elapsed() >= timeout || stop.is_requested() {
            end_group(child)?;
            child.wait()?;
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Kills the group that a process leads.
fn end_group(child: &Child) -> io::Result<()> {
    match i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        Some(leader) => Ok(kill_process_group(leader, Signal::KILL)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hooked(script: &str, timeout: Duration) -> Hooked {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, timeout, &Stop::new()).await.unwrap()
    }

    #[tokio::test]
    async fn a_hook_is_heard_and_its_code_counts() {
        let long = Duration::from_secs(60);
        let heard = hooked("echo fine; echo really >&2", long).await;
        assert_eq!((heard.code, heard.said.as_str()), (Some(0), "fine\nreally"));
        assert_eq!(hooked("exit 7", long).await.code, Some(7));
    }

    #[tokio::test]
    async fn a_hook_that_does_not_end_is_ended_with_all_that_it_began() {
        let heard = hooked("echo begun; sleep 1000 & wait", Duration::from_millis(100)).await;
        assert_eq!((heard.code, heard.said.as_str()), (None, "begun"));
    }
}
