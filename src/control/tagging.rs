//! Tags on anything that has them.

use crate::estate::Resource;
use crate::fault::Fault;
use crate::snapshot::Tags;
use futures_util::future::BoxFuture;
use std::fmt;

/// Adds and removes tags.
///
/// # Contract
/// All or nothing: where one of the resources does not exist none is changed. Doing it again changes nothing.
pub trait Tagging: fmt::Debug + Send + Sync {
    /// Adds tags, replacing those of the same key.
    fn add_tags<'a>(&'a self, to: &'a [Resource], tags: &'a Tags) -> BoxFuture<'a, Result<(), Fault>>;

    /// Removes tags by key, whatever their value; it is well if there are none.
    fn remove_tags<'a>(
        &'a self,
        from: &'a [Resource],
        keys: &'a [String],
    ) -> BoxFuture<'a, Result<(), Fault>>;
}
