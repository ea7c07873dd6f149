//! `icecore iam-policy`: a policy document; for programs also what in it never shows as a call.

use crate::iam::{Policy, Report, Statement};
use crate::render::json::{self, Frame};
use crate::render::{Format, Printer, Render, text_or_json};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

impl Render for Report {
    fn printer(format: Format) -> Option<Printer<Self>> {
        text_or_json(format, text, as_json)
    }
}

#[derive(Serialize)]
struct View<'a> {
    #[serde(rename = "for")]
    tasks: &'a [&'static str],
    policy: PolicyView<'a>,
    /// Needed, although no call of this name is ever sent.
    unseen: Vec<UnseenView>,
}

/// As IAM's grammar has it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyView<'a> {
    version: &'static str,
    statement: Vec<StatementView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatementView<'a> {
    sid: &'a str,
    effect: &'static str,
    action: &'a [&'static str],
    resource: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<BTreeMap<&'static str, BTreeMap<&'a str, &'a str>>>,
}

#[derive(Serialize)]
struct UnseenView {
    action: &'static str,
    why: &'static str,
}

impl<'a> From<&'a Policy> for PolicyView<'a> {
    fn from(policy: &'a Policy) -> Self {
        let statement = policy.statements.iter().map(StatementView::from).collect();
        Self { version: "2012-10-17", statement }
    }
}

impl<'a> From<&'a Statement> for StatementView<'a> {
    fn from(statement: &'a Statement) -> Self {
        let condition = statement.condition.as_ref().map(|(operator, key, value)| {
            BTreeMap::from([(*operator, BTreeMap::from([(key.as_str(), value.as_str())]))])
        });
        Self {
            sid: &statement.sid,
            effect: "Allow",
            action: &statement.actions,
            resource: &statement.resources,
            condition,
        }
    }
}

/// The document and nothing else: `aws iam create-policy --policy-document file://..` takes it.
fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &PolicyView::from(&report.policy))?;
    out.write_all(b"\n")
}

fn as_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let unseen = report.unseen.iter().map(|(action, why)| UnseenView { action, why });
    let view = View { tasks: &report.tasks, policy: (&report.policy).into(), unseen: unseen.collect() };
    json::object(out, "iam-policy", Frame { complete: true, requests: None, elapsed: None }, &view)
}
