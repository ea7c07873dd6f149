//! The one integration binary: a file per subject, so that linking happens once.
#![allow(clippy::unwrap_used)]

mod aws;
mod bad_days;
mod cli;
mod cli_local;
mod cli_serve;
mod cli_signals;
mod cli_usage;
mod cost;
#[cfg(feature = "ec2")]
mod cost_cli;
mod cost_holds;
mod cost_orphans;
#[cfg(feature = "ec2")]
mod cost_stops;
mod drill;
mod ebs;
#[cfg(feature = "ec2")]
mod ec2;
mod endpoint;
mod endpoint_store;
mod environment;
mod evidence;
mod floors;
mod formats;
mod golden;
mod iam;
mod image_files;
mod inputs;
mod lab;
#[cfg(feature = "ec2")]
#[path = "../live/live.rs"]
mod live;
mod main_job;
#[cfg(feature = "ec2")]
mod moto;
mod own_files;
mod read_verbs;
mod report_file;
mod store;
mod together;
mod verify;
mod warm;
