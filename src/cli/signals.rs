//! SIGINT and SIGTERM: the first asks the work to end cleanly, the second ends the program. SIGXFSZ is caught, so that
//! a write past `ulimit -f` fails with an error instead of killing the process.

use crate::cli::exit::{Exit, Signal};
use crate::cli::log::NOTE;
use crate::pipeline::Stop;
use std::sync::{Arc, OnceLock};
use tokio::signal::unix::{SignalKind, signal};

/// The signals that came.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    stop: Stop,
    leave: Stop,
    first: Arc<OnceLock<Signal>>,
}

impl Signals {
    /// Listens from now on. Where the system does not let us, signals keep their own meaning.
    pub(crate) fn listen() -> Self {
        let signals = Self { stop: Stop::new(), leave: Stop::new(), first: Arc::default() };
        // Listening keeps the handler for good, also when the stream is dropped.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
        let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        if let (Ok(mut interrupt), Ok(mut terminate)) = streams {
            let heard = signals.clone();
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        Some(()) = interrupt.recv() => heard.hear(Signal::Interrupt),
                        Some(()) = terminate.recv() => heard.hear(Signal::Terminate),
                        else => return,
                    }
                }
            });
        }
        signals
    }

    /// Requested by the first signal.
    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The first signal, if one came.
    pub(crate) fn first(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    /// Returns at the second signal, with the code of the first.
    pub(crate) async fn second(&self) -> Exit {
        self.leave.requested().await;
        self.first().map_or(Exit::Interrupted, Exit::by)
    }

    fn hear(&self, signal: Signal) {
        if self.first.set(signal).is_ok() {
            tracing::info!(target: NOTE, "stopping; a second signal ends at once");
            self.stop.request();
        } else {
            self.leave.request();
        }
    }
}
