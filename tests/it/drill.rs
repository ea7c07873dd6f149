//! Restore drills: on an account in memory, where anything can be made to fail or die, and against the endpoint.

mod faults;
mod runs;
mod world;
