//! Restore drills: on an account in memory, where anything can be made to fail or die, and against the endpoint.

mod faults;
#[cfg(feature = "ec2")]
mod live;
#[cfg(feature = "ec2")]
mod mounted;
mod mounts;
#[cfg(feature = "ec2")]
mod rights;
mod runs;
#[cfg(feature = "ec2")]
mod whole;
mod world;
