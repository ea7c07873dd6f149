//! A local server that speaks the EBS direct APIs, and the part of EC2 and STS that their clients call.
//!
//! One loopback port for all three: `/snapshots..` is EBS (REST, JSON), `/` is EC2 and STS (form parameters, XML).
//! A request passes, in this order: parse, authorisation, quota, fault, act, fault, write (`service.rs` holds that
//! order in one function). An action is one file under `act` and one line of its table. Quotas, latency, the delay
//! of readiness and faults are for those who test clients: none of them unless [`Config`] says so, and what
//! they do follows from the requests, the plan and the clock alone.
//!
//! Promises: it binds loopback and nothing else, and serves no web page; requests, headers and idle connections are
//! bounded, and idle clients keep nobody out; whatever comes in, the answer is a reply of the protocol in question and
//! the server lives. Signatures are parsed, not
//! verified: there is no secret to verify with, and what keeps others out is the access key of
//! [`Config::access_key`].

mod act;
mod auth;
mod body;
mod connection;
mod counts;
mod fault;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod listen;
mod quota;
mod service;
mod stall;
#[cfg(test)]
mod tests;
mod token;
mod web_page;
mod wire;

pub use crate::account::{KeyState, Pace, Settings, Shelves};
pub use counts::Counts;
pub use fault::{Plan, PlanError};
pub use listen::{Running, start};
pub use quota::Quotas;

use crate::monitor::{Clock, SystemClock};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How an endpoint listens, and whom it lets in.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any free one. Anything but loopback is refused.
    pub listen: SocketAddr,
    /// The one access key that is let in; `None` lets in every key, but nobody without one.
    pub access_key: Option<String>,
    /// What the time is. A clock that stands still lets no Complete take effect until it is moved.
    pub clock: Arc<dyn Clock>,
    /// The simulated account.
    pub account: Settings,
    /// How long a connection may stand idle, dawdle over a body, or not take its answer. The head of a request has five
    /// seconds at the most.
    pub idle: Duration,
    /// Which quotas to keep.
    pub quotas: Quotas,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// How long a snapshot cannot be listed or read after EC2 shows it as completed. Recorded live: 0 to 63 s.
    pub ready_after: Duration,
    /// What goes wrong, and when.
    pub faults: Plan,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            access_key: None,
            clock: Arc::new(SystemClock),
            account: Settings::default(),
            // Longer than the 15 s after which our own clients drop an idle connection: the side that sends
            // should be the one that closes, or a request meets a closing connection.
            idle: Duration::from_secs(60),
            quotas: Quotas::None,
            latency: Duration::ZERO,
            ready_after: Duration::ZERO,
            faults: Plan::default(),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("keyed", &self.access_key.is_some())
            .field("account", &self.account)
            .field("idle", &self.idle)
            .field("quotas", &self.quotas)
            .field("latency", &self.latency)
            .field("ready_after", &self.ready_after)
            .finish_non_exhaustive()
    }
}

/// An access key that nobody can guess, for [`Config::access_key`]. Secret: it is all that keeps other users of
/// the machine out.
pub fn random_access_key() -> Result<String, crate::fault::Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        use crate::fault::{Fault, Kind, Place};
        let what = format!("cannot get random bytes from the operating system: {error}");
        Fault::new(Kind::Local, Place::Service, what)
    })?;
    Ok(format!("AKLOCAL{:032X}", u128::from_be_bytes(bytes)))
}
