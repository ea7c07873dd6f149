//! One verification of a report, begun or not, as formats for machines count them.

use crate::ops::verify::{Budget, Finding, Item, Outcome, Report, State};
use crate::render::verify::job::why;
use crate::snapshot::UnixMillis;

/// A verification by itself, or one of a job's.
pub(super) struct Run<'a> {
    /// What it is called, the same in every run of the same command.
    pub(super) name: String,
    pub(super) state: State,
    /// `None` where it could not be begun.
    pub(super) report: Option<&'a Report>,
    /// What ended it early, where that was meant.
    pub(super) stopped_by: Option<Budget>,
    /// Why something was not checked, in one line; empty where everything was, or a budget ended it.
    pub(super) trouble: String,
    /// What is wrong with the backup beside its blocks.
    pub(super) findings: &'a [Finding],
    /// When the snapshot was taken, where that is known.
    pub(super) taken: Option<UnixMillis>,
}

impl<'a> Run<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let target = report.target.as_ref().map(|target| format!(" {}", target.name)).unwrap_or_default();
        Self::named(format!("{}{target}", report.subject.name), report)
    }

    pub(super) fn of_item(item: &'a Item) -> Self {
        let run = match &item.outcome {
            Outcome::Done(report) => Self::named(item.name.clone(), report),
            Outcome::Failed(exception) => Self::without(item, None, exception.what.clone()),
            Outcome::Skipped(budget) => {
                Self::without(item, Some(*budget), why(&item.outcome).unwrap_or_default())
            }
        };
        Self { state: item.state(), findings: &item.findings, taken: item.taken.or(run.taken), ..run }
    }

    fn without(item: &'a Item, stopped_by: Option<Budget>, trouble: String) -> Self {
        let (name, state) = (item.name.clone(), item.state());
        Self { name, state, report: None, stopped_by, trouble, findings: &item.findings, taken: item.taken }
    }

    fn named(name: String, report: &'a Report) -> Self {
        let unreadable = report.unreadable.len();
        let trouble = match report.exceptions.first() {
            Some(exception) => exception.what.clone(),
            None if unreadable > 0 => format!("{unreadable} blocks could not be read"),
            None => report.void().or_else(|| report.unlooked()).unwrap_or_default(),
        };
        Self {
            name,
            state: report.verdict(),
            report: Some(report),
            stopped_by: report.stopped_by,
            trouble,
            findings: &report.findings,
            taken: report.subject.info.as_ref().map(|info| info.start_time),
        }
    }
}
