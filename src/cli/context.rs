//! What every command works with: what was typed beside it, whom to tell, how to stop.

use crate::aws::Session;
use crate::cli::args::Global;
use crate::cli::complaint::Complaint;
use crate::cli::exit::Signal;
use crate::cli::inputs::Inputs;
use crate::cli::log;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::cli::report_file::{ReportFile, Verdict};
use crate::cli::signals::Signals;
use crate::disk::{self, Limit};
use crate::fault::Fault;
use crate::monitor::{Event, Monitor};
use crate::pipeline::Stop;
use crate::render::{Format, Render};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
    progress: Arc<Progress>,
    signals: Signals,
    stop: Stop,
    account: OnceLock<Session>,
    run_id: Option<String>,
    report_file: Option<Arc<ReportFile>>,
}

impl Context {
    /// Sets up standard error as asked for.
    pub(crate) fn new(global: Global, endpoint: log::Endpoint, signals: Signals) -> Self {
        let progress = Arc::new(Progress::new(&global));
        log::start(&global, endpoint, progress.bar());
        let stop = signals.stop();
        let account = OnceLock::new();
        Self { global, progress, signals, stop, account, run_id: None, report_file: None }
    }

    /// Begins the run: looks at its report file and, of a command that gives a verdict, puts there that it has none yet.
    pub(crate) fn begin(
        &mut self,
        run_id: String,
        verdict: Option<Verdict>,
        inputs: &Inputs,
    ) -> Result<(), Complaint> {
        self.run_id = Some(run_id);
        if let Some(path) = &self.global.report_file {
            let report_file = ReportFile::open(path, self.global.format, verdict, inputs)?;
            self.report_file = Some(Arc::new(report_file));
        }
        Ok(())
    }

    /// The id of the run, for its report.
    pub(crate) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// Puts into the report file that the run ended without a result, where it gives a verdict.
    pub(crate) fn close_report(&self, complaint: &Complaint) {
        if let Some(report_file) = &self.report_file
            && let Err(fault) = report_file.close(complaint)
        {
            Complaint::from(fault).say();
        }
    }

    /// The options of every command.
    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    /// Whom the work reports to.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Requested by the first signal.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Reads a text file that was named, up to a limit; a signal ends the waiting for a pipe.
    pub(crate) fn read_text(&self, path: &Path, limit: Limit) -> Result<String, Fault> {
        disk::read_text(path, limit, &|| self.stop.is_requested())
    }

    /// The first signal, if one came.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signals.first()
    }

    /// Remembers whose account the command works on: the one that it opened first.
    pub(crate) fn works_on(&self, account: Session) {
        let _ = self.account.set(account);
    }

    /// The ARN of the principal that asks that account; `None` where there is no account, or it does not tell.
    pub(crate) async fn principal(&self) -> Option<String> {
        self.account.get()?.principal().await
    }

    /// Tells a person something, in one sentence.
    pub(crate) fn note(&self, sentence: String) {
        self.progress.on(Event::Note(sentence));
    }

    /// For commands whose result is text by nature and no report.
    pub(crate) fn text_only(&self) -> Result<(), Complaint> {
        if self.global.report_file.is_some() {
            return Err(Complaint::Usage(
                "--report-file does not fit this command: it makes no report".to_owned(),
            ));
        }
        match self.global.format {
            Format::Text => Ok(()),
            other => {
                Err(Complaint::Usage(format!("--format {other} does not fit this command; it knows text")))
            }
        }
    }

    /// Where the report will go. Refused before any work where it cannot be shown so, or not be written there.
    pub(crate) fn output<R: Render>(&self) -> Result<Output<R>, Complaint> {
        Output::open(self.global.format, self.report_file.clone(), Arc::clone(&self.progress))
    }
}
