//! Blocks in motion: list, fetch, check, deliver, all at once and within bounds.
//!
//! ```text
//! list pages -> bounded channel -> gate -> N fetches -> batches -> owned threads: hash, deliver
//! ```
//!
//! Every request of the program passes the [`Engine`]: one gate, one retry loop around sending and body, one
//! tally. Memory in flight follows a byte budget, whatever the volume's size. Nothing here knows AWS.

mod attempt;
mod block_map;
mod changes;
mod check;
mod checkpoint;
mod engine;
mod flow;
mod gate;
mod journaled;
mod kept;
mod read;
mod settings;
mod shards;
mod stop;
mod tally;
mod walk;
mod write;

pub(crate) use attempt::{Ask, Tries, interrupted};
pub use block_map::{block_map, blocks_left};
pub use changes::{changes, changes_left};
#[cfg(any(test, fuzzing))]
pub(crate) use checkpoint::fuzz_checkpoint;
pub use checkpoint::{Basis, Checkpoint, Earlier, Found, Mark, Slot};
pub use engine::{Engine, Renew, Renewal};
pub use journaled::Journaled;
pub use kept::{Kept, Listing, Part};
pub use read::{Read, Which, read};
pub use settings::{Patience, Settings};
pub use shards::Left;
pub use stop::Stop;
pub use tally::{Action, Requests, Tally};
pub(crate) use walk::Walk;
pub use write::{Outgoing, write};
