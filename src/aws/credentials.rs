//! Credentials that can be loaded again while clients hold them.
//!
//! The SDK reads a profile once per provider and caches what it found for as long as it says it is valid. When the
//! service calls credentials expired all the same (a rewritten file, a clock, a revoked session), both must go: a
//! [`Renewable`] replaces provider and cache together, beneath every client that shares them.

use aws_config::identity::IdentityCache;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Which load of the credentials it was, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// Makes a provider that knows nothing of earlier ones.
pub(super) type Loader = Box<dyn Fn() -> BoxFuture<'static, Option<SharedCredentialsProvider>> + Send + Sync>;

/// The provider in use, and how to replace it.
pub(super) struct Renewable {
    load: Loader,
    held: RwLock<Held>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    generation: Generation,
    provider: SharedCredentialsProvider,
    cache: SharedIdentityCache,
}

impl Renewable {
    pub(super) fn new(provider: SharedCredentialsProvider, load: Loader) -> Self {
        let held = Held { generation: Generation(0), provider, cache: IdentityCache::lazy().build() };
        Self { load, held: RwLock::new(held), turn: tokio::sync::Mutex::default() }
    }

    pub(super) fn generation(&self) -> Generation {
        self.held().generation
    }

    /// Replaces the provider, unless somebody else did since `seen`.
    // Cancel-safe: a dropped call leaves the old provider, and the next one in turn loads.
    pub(super) async fn refresh(&self, seen: Generation) {
        let _turn = self.turn.lock().await;
        if self.generation() != seen {
            return;
        }
        // Without a provider the old one stays: its error says more than its absence would.
        let provider = (self.load)().await.unwrap_or_else(|| self.held().provider);
        let generation = Generation(seen.0 + 1);
        let held = Held { generation, provider, cache: IdentityCache::lazy().build() };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Renewable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewable").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// What clients are given: always the provider and the cache in use.
#[derive(Clone, Debug)]
pub(super) struct Current(pub(super) Arc<Renewable>);

impl ProvideCredentials for Current {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let provider = self.0.held().provider;
        future::ProvideCredentials::new(async move { provider.provide_credentials().await })
    }
}

impl ResolveCachedIdentity for Current {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        config: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let cache = self.0.held().cache;
        IdentityFuture::new(async move { cache.resolve_cached_identity(resolver, components, config).await })
    }
}

/// Whether credentials were the reason, and if so what a person can be told of it.
pub(super) fn trouble(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found",
        CredentialsError::ProviderTimedOut(_) => "the credentials could not be loaded in time",
        CredentialsError::InvalidConfiguration(_) => "the configuration of the credentials is not valid",
        _ => "the credentials could not be loaded",
    }
}
