//! One verification of a report, begun or not, as formats for machines count them.

use crate::ops::verify::{Budget, Item, Outcome, Report, State};
use crate::render::verify::job::why;

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
}

impl<'a> Run<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let target = report.target.as_ref().map(|target| format!(" {}", target.name)).unwrap_or_default();
        Self::named(format!("{}{target}", report.subject.name), report)
    }

    pub(super) fn of_item(item: &'a Item) -> Self {
        match &item.outcome {
            Outcome::Done(report) => Self::named(item.name.clone(), report),
            Outcome::Failed(exception) => Self {
                name: item.name.clone(),
                state: item.state(),
                report: None,
                stopped_by: None,
                trouble: exception.what.clone(),
            },
            Outcome::Skipped(budget) => Self {
                name: item.name.clone(),
                state: item.state(),
                report: None,
                stopped_by: Some(*budget),
                trouble: why(&item.outcome).unwrap_or_default(),
            },
        }
    }

    fn named(name: String, report: &'a Report) -> Self {
        let unreadable = report.unreadable.len();
        let trouble = match report.exceptions.first() {
            Some(exception) => exception.what.clone(),
            None if unreadable > 0 => format!("{unreadable} blocks could not be read"),
            None => report.void().unwrap_or_default(),
        };
        Self { name, state: report.state(), report: Some(report), stopped_by: report.stopped_by, trouble }
    }
}
