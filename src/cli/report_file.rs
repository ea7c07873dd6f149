//! The file of `--report-file`, from the beginning of a run to its end.
//!
//! A command that gives a verdict puts a report of state `incomplete` there before its work, and its result at the end;
//! what ends it in between, a kill included, leaves a report that says so. Other commands put theirs there at the end
//! alone.

use crate::cli::complaint::Complaint;
use crate::cli::inputs::Inputs;
use crate::disk::{OutputFile, Writing};
use crate::fault::Fault;
use crate::monitor::{Clock, SystemClock};
use crate::render::{EscapeWriter, Format, Render, Unfinished};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest page of metrics whose times of success are kept, in bytes.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// A command that gives a verdict, about to run.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The command, as it is typed.
    pub(crate) command: &'static str,
    /// The id of the run.
    pub(crate) run_id: String,
}

/// The file of `--report-file`.
#[derive(Debug)]
pub(crate) struct ReportFile {
    file: OutputFile,
    format: Format,
    /// The report of a verdict that is not given yet; `None` of other commands.
    unfinished: Option<Unfinished>,
    has_result: AtomicBool,
}

impl ReportFile {
    /// Looks whether a report can be put there and is nothing that the run reads; of a verdict, the report that it is not
    /// given yet is there afterwards.
    pub(crate) fn open(
        path: &Path,
        format: Format,
        verdict: Option<Verdict>,
        inputs: &Inputs,
    ) -> Result<Self, Complaint> {
        let file = OutputFile::open(path)?;
        inputs.check(&file)?;
        let unfinished = verdict.map(|verdict| unfinished(&file, format, verdict));
        let report = Self { file, format, unfinished, has_result: AtomicBool::new(false) };
        if report.file.is_kept()
            && let Some(unfinished) = &report.unfinished
        {
            report.put(unfinished).inspect_err(|_| {
                // No report is better than an old one that looks like this run's.
                let _ = report.file.remove_old();
            })?;
        }
        Ok(report)
    }

    /// Puts the result there.
    pub(crate) fn write(&self, content: Writing<'_>) -> Result<(), Fault> {
        self.file.write(content)?;
        self.has_result.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Puts there that the run ended without a result, where it gives a verdict and has put none there.
    pub(crate) fn close(&self, complaint: &Complaint) -> Result<(), Fault> {
        match &self.unfinished {
            Some(unfinished) if !self.has_result.load(Ordering::Relaxed) => {
                self.put(&Unfinished { ended_by: Some(complaint.to_exception()), ..unfinished.clone() })
            }
            _ => Ok(()),
        }
    }

    fn put(&self, unfinished: &Unfinished) -> Result<(), Fault> {
        let Some(print) = Unfinished::printer(self.format) else { return Ok(()) };
        self.file.write(&mut |out| {
            let mut out = EscapeWriter::new(out, self.format);
            print(unfinished, &mut out)?;
            out.flush()
        })
    }
}

/// Puts into a report file that its run was refused, where an earlier report stands there.
pub(crate) fn refuse(
    path: &Path,
    format: Format,
    verdict: Verdict,
    complaint: &Complaint,
    is_input: impl FnOnce(&OutputFile) -> bool,
) {
    let Ok(file) = OutputFile::open(path) else { return };
    if !file.replaces() || is_input(&file) {
        return;
    }
    let unfinished = Some(unfinished(&file, format, verdict));
    let report = ReportFile { file, format, unfinished, has_result: AtomicBool::new(false) };
    // The refusal is said in any case.
    let _ = report.close(complaint);
}

fn unfinished(file: &OutputFile, format: Format, verdict: Verdict) -> Unfinished {
    let earlier_metrics = match format {
        Format::Metrics => file.read_old(MAX_PAGE_BYTES).unwrap_or_default(),
        _ => Vec::new(),
    };
    let Verdict { command, run_id } = verdict;
    Unfinished { command, run_id, started: SystemClock.now(), ended_by: None, earlier_metrics }
}
