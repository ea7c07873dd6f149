//! The model against a naive one, on random worlds; and every worked example that AWS gives.

mod examples;
mod keep;
mod random;
pub(super) mod world;
