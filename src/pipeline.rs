//! Blocks in motion: list, fetch, check, deliver, all at once and within bounds.
//!
//! ```text
//! list pages -> bounded channel -> gate -> N fetches -> batches -> owned threads: hash, deliver
//! ```
//!
//! Every request of the program passes the [`Engine`]: one gate, one retry loop around sending and body, one
//! tally. Memory in flight follows a byte budget, whatever the volume's size. Nothing here knows AWS.

mod engine;
mod settings;
mod stop;
mod tally;

pub use engine::Engine;
pub use settings::Settings;
pub use stop::Stop;
pub use tally::{Action, Requests, Tally};
