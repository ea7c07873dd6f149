//! What things cost. Money is an integer; a float never holds it.

mod requests;
mod usd;

pub use requests::{Estimate, RequestPrices};
pub use usd::{Usd, UsdError};
