//! Credentials that can be loaded again while clients hold them.
//!
//! The SDK reads a profile once per provider and caches what it found for as long as it says it is valid. When the
//! service calls credentials expired all the same (a rewritten file, a clock, a revoked session), both must go: a
//! [`Renewable`] replaces provider and cache together, beneath every client that shares them.

use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
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
        future::ProvideCredentials::new(async move { sendable(provider.provide_credentials().await?) })
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

/// Credentials with characters that no request can carry: the SDK panics when it signs with them.
#[derive(Debug)]
struct Unsendable;

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(UNSENDABLE)
    }
}

impl std::error::Error for Unsendable {}

const UNSENDABLE: &str =
    "the access key or session token holds a line break, a blank or another character that no key has";

/// Passes credentials on that can be put into a request's headers.
fn sendable(credentials: Credentials) -> Result<Credentials, CredentialsError> {
    let keys = [Some(credentials.access_key_id()), Some(credentials.secret_access_key())];
    let is_word = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic());
    let is_sendable = keys.into_iter().chain([credentials.session_token()]).flatten().all(is_word);
    match is_sendable {
        true => Ok(credentials),
        false => Err(CredentialsError::invalid_configuration(Unsendable)),
    }
}

/// Whether credentials were the reason, and if so what a person can be told of it.
pub(super) fn trouble(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found",
        CredentialsError::ProviderTimedOut(_) => "the credentials could not be loaded in time",
        error if std::error::Error::source(error).is_some_and(|source| source.is::<Unsendable>()) => {
            UNSENDABLE
        }
        CredentialsError::InvalidConfiguration(_) => "the configuration of the credentials is not valid",
        _ => "the credentials could not be loaded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_request_can_carry_are_named_and_never_signed_with() {
        let of = |id: &str, secret: &str, token: Option<&str>| {
            sendable(Credentials::new(id, secret, token.map(str::to_owned), None, "a test"))
        };
        assert!(of("AKIA", "a/b+c=", Some("dG9rZW4=")).is_ok());
        for (id, secret, token) in [
            ("AKIA\n", "s", None),
            ("AK IA", "s", None),
            ("A", "s\r\n", None),
            ("A", "s", Some("t\n")),
            ("\u{c4}", "s", None),
        ] {
            let error = of(id, secret, token).unwrap_err();
            assert_eq!(trouble(&error), UNSENDABLE, "{id:?} {secret:?} {token:?}");
        }
    }
}
