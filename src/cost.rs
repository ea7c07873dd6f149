//! What things cost. Pure: no I/O, and money is an integer; a float never holds it.
//!
//! ```text
//! Kinship: which earlier snapshots could share blocks with each
//!    -> Layer: what a snapshot has that they have not   (one or more comparisons)
//!    -> Versions: blocks by who holds them              (one pass over all changes)
//!    -> every figure, for every set of snapshots
//! ```

mod amount;
pub mod archive;
mod copy;
mod descent;
mod doubt;
pub mod keep;
mod kinship;
mod layer;
pub mod orphan;
mod prices;
pub mod protection;
mod requests;
pub mod retention;
mod survey;
mod usd;
mod versions;

pub use amount::Amount;
pub use copy::CopyTime;
pub use descent::{Compared, Descended, Descent};
pub use doubt::{Doubt, Quality};
pub use kinship::{Against, Kin, Kinship, Origin, Sight, families};
pub use layer::Layer;
pub use prices::{PriceError, PriceTable, Prices};
pub use requests::{Estimate, RequestPrices};
pub use survey::{Holdings, Lineage, Standing, Survey};
pub use usd::{Usd, UsdError};
pub use versions::Versions;

#[cfg(test)]
mod tests;
