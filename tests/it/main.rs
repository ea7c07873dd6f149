//! The one integration binary: a file per subject, so that linking happens once.
#![allow(clippy::unwrap_used)]

mod aws;
mod ebs;
#[cfg(feature = "ec2")]
mod ec2;
mod endpoint;
mod formats;
mod store;
