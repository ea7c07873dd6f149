//! The one integration binary: a file per subject, so that linking happens once.
#![allow(clippy::unwrap_used)]

mod aws;
mod endpoint;
