//! Reads EBS snapshots block by block: what changed between them, what a restore holds, what they cost.
//!
//! The crate is built in floors. A module names only lower ones, and modules on one floor do not know each other;
//! `tests/it/floors.rs` keeps it so:
//!
//! ```text
//! 7  cli                                       arguments, progress, exit codes: the only one that prints
//! 6  render                                    reports as text, json, cbt, ..
//! 5  orchestrate                               plans of steps that can be undone, and their journal
//! 4  ops                                       one file per operation: options -> report
//! 3  pipeline store synthetic account endpoint  engine, local data, local server, AWS clients, devices
//!    ebs ec2 device manifest evidence ledger
//! 2  source shelf control aws disk             the traits, memory versions, conformance suites; reaching AWS
//! 1  delta cost sample estate iam fault monitor pure functions; what an account holds; what goes wrong; clock
//! 0  block snapshot                            the vocabulary: no I/O, no async, no serde
//! ```

pub mod account;
pub mod aws;
pub mod block;
pub mod cli;
pub mod control;
pub mod cost;
pub mod delta;
pub mod device;
pub mod disk;
pub mod ebs;
#[cfg(feature = "ec2")]
pub mod ec2;
pub mod endpoint;
pub mod estate;
pub mod evidence;
pub mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod iam;
pub mod ledger;
pub mod manifest;
pub mod monitor;
pub mod ops;
pub mod orchestrate;
pub mod pipeline;
pub mod render;
pub mod sample;
pub mod shelf;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod synthetic;
