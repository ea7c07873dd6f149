//! Where results go: standard output, and a file where one is asked for.

use crate::cli::complaint::Complaint;
use crate::cli::paint::{self, Painted};
use crate::cli::progress::Progress;
use crate::cli::report_file::ReportFile;
use crate::fault::Fault;
use crate::render::{EscapeWriter, Format, Printer, Render};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::sync::Arc;

/// Shows one report, once.
#[derive(Debug)]
pub(crate) struct Output<R> {
    printer: Printer<R>,
    format: Format,
    file: Option<Arc<ReportFile>>,
    progress: Arc<Progress>,
}

impl<R: Render> Output<R> {
    /// Finds the printer: a format that does not fit shows before the work.
    pub(crate) fn open(
        format: Format,
        file: Option<Arc<ReportFile>>,
        progress: Arc<Progress>,
    ) -> Result<Self, Complaint> {
        let printer = R::printer(format).ok_or_else(|| unsuitable(format, &R::formats()))?;
        Ok(Self { printer, format, file, progress })
    }

    /// The same place for another report, in the same format; `None` where that does not suit it.
    pub(crate) fn instead<S: Render>(self) -> Option<Output<S>> {
        let printer = S::printer(self.format)?;
        Some(Output { printer, format: self.format, file: self.file, progress: self.progress })
    }

    /// Writes the report of a run that could not begin: to the file, where that of an earlier run would pass for this
    /// one's; to standard output only where whoever reads it waits for it.
    pub(crate) fn show_failure(mut self, report: &R) -> Result<(), Complaint> {
        match self.format.tells_of_failure() {
            true => self.show(report),
            false => self.keep(report),
        }
    }

    /// Writes the report.
    pub(crate) fn show(mut self, report: &R) -> Result<(), Complaint> {
        self.progress.finish();
        self.keep(report)?;
        to_stdout(|out| match self.format == Format::Text && has_colours() {
            false => self.print(report, out),
            true => {
                let mut painted = Painted::new(out);
                self.print(report, &mut painted)?;
                painted.flush()
            }
        })
    }

    /// Prints it in its format, foreign text escaped.
    fn print(&self, report: &R, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::new(EscapeWriter::new(out, self.format));
        (self.printer)(report, &mut out)?;
        out.flush()
    }

    /// Writes it to the file, where there is one.
    fn keep(&mut self, report: &R) -> Result<(), Complaint> {
        let Some(file) = self.file.take() else { return Ok(()) };
        Ok(file.write(&mut |out| self.print(report, out))?)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what every program that has colours asks, and clap does not read"
)]
fn has_colours() -> bool {
    let variable = |name| std::env::var(name).ok();
    paint::is_wanted(io::stdout().is_terminal(), variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
}

/// Writes to standard output. A reader that went away (`| head`) has seen what it wanted.
pub(crate) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Complaint> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::local("standard output", "write the result", error).into())
        }
        _ => {
            // What is left in the buffer belongs to a reader that is gone; dropping it would try to write it.
            let _ = out.into_parts();
            Ok(())
        }
    }
}

fn unsuitable(format: Format, suitable: &[Format]) -> Complaint {
    let names: Vec<&str> = suitable.iter().map(|format| format.as_str()).collect();
    Complaint::Usage(format!("--format {format} does not fit this command; it knows {}", names.join(", ")))
}
