//! The part of EC2's control plane that snapshots need: themselves, what holds them, and the volumes made of them.
//!
//! [`Ec2`] is all the traits of [`crate::control`] through AWS's own client, a file each; what comes back passes
//! `convert`, once. Requests ask for what is our own and for pages of a fixed size: EC2 grants such requests five
//! times the rate of unbounded ones, and without an owner it would answer with every public snapshot and image of the
//! Region (EC2 API reference, DescribeSnapshots; EC2 developer guide, "ec2-api-throttling").

mod convert;
mod holds;
mod images;
mod instances;
mod snapshots;
mod tagging;
mod volumes;

use crate::aws::{Session, classify};
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::Tag as OurTag;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::Filter;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

/// Results per page, the most EC2 gives of nearly everything.
const PAGE: i32 = 1000;

/// Things named in one request, and values of one filter: EC2's limit for filters, and for names well below
/// its thousand, so that a request stays a few kilobytes.
const NAMES: usize = 200;

/// The control plane of one account and Region. Cheap to clone.
#[derive(Clone)]
pub struct Ec2 {
    client: Client,
    session: Session,
}

impl Ec2 {
    /// With the session's Region, credentials and connections.
    pub fn new(session: &Session) -> Self {
        let config = Builder::from(session.config());
        // Whose snapshots they are is told here first: nothing is listed before it is known what there is.
        let config = match session.is_aws() {
            true => config,
            false => config.interceptor(session.identity().clone()),
        };
        Self { client: Client::from_conf(config.build()), session: session.clone() }
    }

    /// The answer to one request, within the session's deadline.
    async fn answered<T, E>(
        &self,
        at: &Place,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let answer = async { request.await.map_err(|error| classify(&error, None, at.clone())) };
        self.session.within(|| at.clone(), answer).await
    }
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Everything on all pages, whose tokens `ask` is called with.
async fn walked<T, F>(mut ask: impl FnMut(Option<String>) -> F) -> Result<Vec<T>, Fault>
where
    F: Future<Output = Result<(Option<Vec<T>>, Option<String>), Fault>>,
{
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let (items, next) = ask(token.clone()).await?;
        found.extend(items.unwrap_or_default());
        let next = next.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(found);
        }
        if next == token {
            let what = "the list does not advance: the same page token came back";
            return Err(Fault::new(Kind::Corrupt, Place::Service, what));
        }
        token = next;
    }
}

/// Says which of the names the answer left out: EC2 passes over what we may not see without a word.
fn all_told<'a, I: fmt::Display>(
    asked: &[I],
    told: impl Iterator<Item = Option<&'a str>>,
    at: impl Fn(&I) -> Place,
) -> Result<(), Fault> {
    let told: BTreeSet<_> = told.flatten().collect();
    match asked.iter().find(|id| !told.contains(id.to_string().as_str())) {
        None => Ok(()),
        Some(id) => {
            let what = match at(id) {
                Place::Snapshot(_) => "the account has no such snapshot in this Region".to_owned(),
                Place::Volume(_) => "the account has no such volume in this Region".to_owned(),
                _ => format!("the account has no {id} in this Region"),
            };
            Err(Fault::new(Kind::NotFound, at(id), what))
        }
    }
}

/// A filter with any of these values.
fn filter<T: ToString>(name: impl Into<String>, values: impl IntoIterator<Item = T>) -> Filter {
    let values = values.into_iter().map(|value| literal(&value.to_string())).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// Filters that every one of these tags passes.
fn tagged(tags: &[OurTag]) -> impl Iterator<Item = Filter> {
    tags.iter().map(|tag| filter(format!("tag:{}", tag.key), [&tag.value]))
}

/// EC2 takes no empty list of filters or names.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// A filter's value without wildcards: EC2 takes `*` and `?` for any characters unless a backslash is before them.
fn literal(value: &str) -> String {
    value.chars().fold(String::with_capacity(value.len()), |mut text, c| {
        if matches!(c, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

#[cfg(test)]
mod tests;
