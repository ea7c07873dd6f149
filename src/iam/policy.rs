//! A policy as IAM takes it: permissions with the same resources and the same condition in one statement.

use crate::iam::{On, Only, Task};
use std::collections::{BTreeMap, BTreeSet};

/// Where a policy is to hold. What is not said stays open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// One Region; `None` is all of the standard partition.
    pub region: Option<String>,
    /// One account, by its number.
    pub account: Option<String>,
    /// ARNs of the keys of what is encrypted. Empty: nothing is.
    pub keys: Vec<String>,
}

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What is allowed, in an order that does not change.
    pub statements: Vec<Statement>,
}

/// A statement that allows something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name, unique in the policy.
    pub sid: String,
    /// Actions, sorted.
    pub actions: Vec<&'static str>,
    /// ARNs, or `*`.
    pub resources: Vec<String>,
    /// A condition: operator, key, value.
    pub condition: Option<(&'static str, String, String)>,
}

/// The tag that every run writes on what it makes, and on what it touches before it does.
const RUN: &str = "icecore:run";

/// The least policy for these tasks.
pub fn policy<'a>(tasks: impl IntoIterator<Item = &'a Task>, reach: &Reach) -> Policy {
    let mut groups: BTreeMap<(Only, BTreeSet<On>), BTreeSet<&'static str>> = BTreeMap::new();
    for task in tasks {
        let of_keys = task.of_keys.iter().filter(|_| !reach.keys.is_empty());
        for need in task.needs().chain(of_keys) {
            let group = (need.only, need.on.iter().copied().collect());
            groups.entry(group).or_default().insert(need.action);
        }
    }
    let statements = groups.into_iter().map(|((only, on), actions)| Statement {
        sid: sid(only, &on),
        actions: actions.into_iter().collect(),
        resources: on.into_iter().flat_map(|on| reach.arns(on)).collect(),
        condition: only.condition(),
    });
    Policy { statements: statements.collect() }
}

impl Reach {
    fn arns(&self, on: On) -> Vec<String> {
        let region = self.region.as_deref().unwrap_or("*");
        let (partition, account) = (partition(region), self.account.as_deref().unwrap_or("*"));
        let ec2 =
            |account: &str, kind: &str| vec![format!("arn:{partition}:ec2:{region}:{account}:{kind}/*")];
        match on {
            On::Anything => vec!["*".to_owned()],
            On::Snapshots => ec2("", "snapshot"),
            On::Volumes => ec2(account, "volume"),
            On::Instances => ec2(account, "instance"),
            On::Keys => self.keys.clone(),
        }
    }
}

impl Only {
    fn condition(self) -> Option<(&'static str, String, String)> {
        let is = |operator, key: &str, value: &str| Some((operator, key.to_owned(), value.to_owned()));
        match self {
            Self::Always => None,
            Self::TaggedByUs => is("StringLike", &format!("aws:RequestTag/{RUN}"), "*"),
            Self::Ours => is("StringLike", &format!("aws:ResourceTag/{RUN}"), "*"),
            Self::Making(action) => is("StringEquals", "ec2:CreateAction", action),
            Self::ForAws => is("Bool", "kms:GrantIsForAWSResource", "true"),
        }
    }
}

fn sid(only: Only, on: &BTreeSet<On>) -> String {
    let condition = match only {
        Only::Always => "",
        Only::TaggedByUs => "TaggedByUs",
        Only::Ours => "Ours",
        Only::Making(action) => action,
        Only::ForAws => "ForAws",
    };
    let words = on.iter().map(|on| match on {
        On::Anything => "Look",
        On::Snapshots => "Snapshots",
        On::Volumes => "Volumes",
        On::Instances => "Instances",
        On::Keys => "Keys",
    });
    words.chain([condition]).collect()
}

/// The partition that a Region is in (botocore `partitions.json`).
fn partition(region: &str) -> &'static str {
    match region.split_once('-').map(|(first, _)| first) {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
