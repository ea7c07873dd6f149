//! How AWS is reached: region, credentials, connections, deadlines, and what its errors mean.
//!
//! One [`Session`] per account and Region, shared by the service clients. It loads the same configuration as the
//! AWS CLI (`AWS_*` variables, profiles, SSO, instance roles; endpoints for all services or one), or speaks to a
//! local endpoint with a key pair and nothing else.
//!
//! Promises: the SDK never retries and never waits beyond the session's deadlines, so that the one retry layer
//! above sees every failure; every failure becomes a [`Fault`] here, by [`classify`]; neither
//! credentials nor tokens reach a fault.

mod credentials;
mod endpoint;
mod failure;
mod identity;
mod instance;
mod principal;
pub mod quota;
mod refusal;

pub use credentials::Generation;
pub use failure::{broken_body, classify};
pub use identity::{FAULT, FAULT_DAMAGED, FAULT_LOCAL, Identity, STORE};
pub use instance::{ThisInstance, this_instance};

use crate::fault::{Fault, Kind, Place};
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::sdk_config::StalledStreamProtectionConfig;
use aws_types::sdk_ua_metadata::FrameworkMetadata;
use credentials::{Current, Loader, Renewable};
use endpoint::Override;
use futures_util::future::{FutureExt, ready};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Connections idle for longer are closed: the service closes its own after some 20 s, and a request sent on one
/// just then is lost.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// What of the configuration is said here; the rest comes from the environment and the profile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Region; else `AWS_REGION`, the profile, the instance.
    pub region: Option<String>,
    /// Profile; else `AWS_PROFILE`, then `default`.
    pub profile: Option<String>,
    /// Endpoint for all services; else `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, the profile, AWS.
    pub endpoint_url: Option<String>,
    /// How long to wait.
    pub deadlines: Deadlines,
}

/// How long one request may take. Without them a request whose answer never comes holds its worker for ever
/// (awslabs/coldsnap#437).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the first byte sent until the last of the body is here.
    pub attempt: Duration,
}

impl Default for Deadlines {
    /// 3.1 s to connect, as the AWS SDKs do (one lost SYN is sent again after 3 s); a minute in all, in which even
    /// a line of 70 kbit/s moves a block.
    fn default() -> Self {
        Self { connect: Duration::from_millis(3100), attempt: Duration::from_secs(60) }
    }
}

/// A local endpoint and the key pair it accepts.
#[derive(Clone)]
pub struct Local {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// The Region it plays.
    pub region: String,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("url", &self.url).field("region", &self.region).finish_non_exhaustive()
    }
}

/// One account in one Region. Cheap to clone: clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: SdkConfig,
    region: String,
    endpoint: Override,
    identity: Identity,
    deadlines: Deadlines,
    credentials: Arc<Renewable>,
}

impl Session {
    /// Loads the configuration, once. Asks AWS nothing: wrong or missing credentials show at the first request.
    ///
    /// # Errors
    /// `Refused` when no Region is configured or an endpoint is no URL.
    pub async fn load(options: Options) -> Result<Self, Fault> {
        if let Some(url) = &options.endpoint_url {
            endpoint::check(url)?;
        }
        let config = loader(&options).load().await;
        endpoint::check_all(&config)?;
        let Some(region) = config.region().map(ToString::to_string) else {
            let what = "no Region is configured";
            return Err(Fault::new(Kind::Refused, Place::Service, what)
                .hint("give --region, or set AWS_REGION or the profile's region"));
        };
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let what = format!("'{}' is no name of a Region", region.escape_debug());
            return Err(Fault::new(Kind::Refused, Place::Service, what)
                .hint("correct --region, AWS_REGION or the profile's region, as in us-east-1"));
        }
        let provider = config.credentials_provider().ok_or_else(no_provider)?;
        let again = Options { region: Some(region.clone()), ..options.clone() };
        let reload: Loader = Box::new(move || {
            let loading = loader(&again).load();
            async move { loading.await.credentials_provider() }.boxed()
        });
        Self::build(config, region, options.deadlines, Renewable::new(provider, reload))
    }

    /// A session with a local endpoint: no profile, no environment, no proxy.
    pub fn local(local: Local, deadlines: Deadlines) -> Result<Self, Fault> {
        let keys =
            Credentials::new(local.access_key_id, local.secret_access_key, None, None, "local endpoint");
        let provider = SharedCredentialsProvider::new(keys);
        let same = provider.clone();
        let reload: Loader = Box::new(move || ready(Some(same.clone())).boxed());
        Self::fixed(local.url, local.region, deadlines, Renewable::new(provider, reload))
    }

    fn fixed(
        url: String,
        region: String,
        deadlines: Deadlines,
        credentials: Renewable,
    ) -> Result<Self, Fault> {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.clone()))
            .endpoint_url(url)
            .framework_metadata(this_program())
            .build();
        Self::build(config, region, deadlines, credentials)
    }

    /// What both ways have in common: one attempt, our deadlines, our connections, renewable credentials.
    fn build(
        config: SdkConfig,
        region: String,
        deadlines: Deadlines,
        credentials: Renewable,
    ) -> Result<Self, Fault> {
        let endpoint = Override::of(&config)?;
        let credentials = Arc::new(credentials);
        let current = Current(Arc::clone(&credentials));
        let config = config
            .into_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(deadlines.connect).build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(http_client(endpoint.is_loopback()))
            .credentials_provider(SharedCredentialsProvider::new(current.clone()))
            .identity_cache(current)
            .build();
        let identity = endpoint.url().map_or_else(|| Identity::aws(&region), Identity::named);
        Ok(Self(Arc::new(Inner { config, region, endpoint, identity, deadlines, credentials })))
    }

    /// The Region requests go to.
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// Whether EBS requests go to AWS itself. Its quotas and prices apply only there.
    pub fn is_aws(&self) -> bool {
        self.0.endpoint.is_aws()
    }

    /// Whose answers this session gets.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// How long one request may take.
    pub fn deadlines(&self) -> Deadlines {
        self.0.deadlines
    }

    /// Which load of the credentials requests are signed with now.
    pub fn generation(&self) -> Generation {
        self.0.credentials.generation()
    }

    /// Loads the credentials again, from files and services as they are now; the next request uses them.
    ///
    /// Take [`generation`](Self::generation) before a request. When it fails with `ExpiredCredentials`, call this
    /// with it and try once more: of many requests that failed together, one reloads and the others wait for it.
    pub async fn refresh(&self, seen: Generation) {
        self.0.credentials.refresh(seen).await;
    }

    /// For the service clients, and for whoever asks AWS something that these do not.
    pub fn config(&self) -> &SdkConfig {
        &self.0.config
    }

    /// Ends the request when its deadline passes, send and body together.
    pub(crate) async fn within<T>(
        &self,
        at: impl FnOnce() -> Place,
        request: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let limit = self.0.deadlines.attempt;
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::new(Kind::Timeout, at(), format!("no complete answer within {limit:?}"))),
        }
    }
}

/// The loader keeps the SDK's own retries for what credentials need (STS, SSO, instance metadata): those calls are
/// not seen by our retry layer. They are set here, and not read from the configuration, since the SDK panics over an
/// `AWS_RETRY_MODE` or `max_attempts` that it does not know.
fn loader(options: &Options) -> ConfigLoader {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client(false))
        .retry_config(RetryConfig::standard())
        .framework_metadata(this_program());
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader
}

/// rustls with ring; proxies as the environment says, but never to this machine.
fn http_client(loopback: bool) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, _| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .pool_idle_timeout(POOL_IDLE)
            .proxy_config(if loopback { ProxyConfig::disabled() } else { ProxyConfig::from_env() });
        connector.set_connector_settings(settings.cloned());
        connector.build()
    })
}

/// `lib/icecore/VERSION` in the user agent, so that an account's owner finds us in CloudTrail.
fn this_program() -> FrameworkMetadata {
    FrameworkMetadata::new(env!("CARGO_PKG_NAME"), Some(env!("CARGO_PKG_VERSION")))
        .unwrap_or_else(|_| unreachable!("a crate's name and version are plain words"))
}

fn no_provider() -> Fault {
    Fault::new(Kind::NoCredentials, Place::Service, "no credentials are configured").hint(CREDENTIALS_HINT)
}

/// What to do when there are none.
const CREDENTIALS_HINT: &str =
    "set AWS_PROFILE or give --profile, sign in with aws sso login, or use --local DIR";

#[cfg(test)]
pub(crate) mod responder;
