//! How the AWS SDK is set up: timeouts on everything, no retries, one TLS library.

use std::{future::Future, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, identity::IdentityCache, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::SharedHttpClient, identity::SharedIdentityCache};
use bytes::Bytes;

use super::{
    checked::checked,
    http::{self as in_memory, BoxError},
};
use crate::cloud::OPERATION_TIMEOUT;

/// Connecting takes two round trips, three with TLS; the endpoints are in the same region or one
/// ocean away. What takes longer is broken, and the time is better kept for the next look.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// One request, from the first byte sent to the last received: what is left of the operation
/// timeout when a request waited as long for its turn as it may.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// AWS closes idle connections after a minute or so. Without retries it is better to close first
/// than to write into a connection that is going away.
const IDLE_CONNECTIONS_KEPT: Duration = Duration::from_secs(20);

/// What a user says about AWS. Everything else comes from where the AWS tools look too:
/// environment, shared files, web identity, container and instance roles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AwsSettings {
    /// The region of releases that name none. Default: `AWS_REGION`, the profile, or the
    /// machine's own.
    pub region: Option<String>,
    /// A URL that is used in place of AWS's endpoints, for every service and region. Default:
    /// `AWS_ENDPOINT_URL`, or AWS.
    pub endpoint_url: Option<String>,
}

/// The configuration of a process that talks to AWS.
pub(super) async fn load(settings: &AwsSettings) -> SdkConfig {
    // The provider of credentials (STS, instance metadata) uses this client too.
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https_client())
        .timeout_config(timeouts())
        .identity_cache(identity_cache());
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    careful(&loader.load().await)
}

/// The configuration of a process that talks to a service in memory. It reads no environment and
/// no file.
pub(super) fn in_memory<F, R>(region: &str, service: F) -> SdkConfig
where
    F: Fn(http::Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<http::Response<Bytes>, BoxError>> + Send + 'static,
{
    let credentials = Credentials::from_keys("in-memory", "in-memory", None);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .identity_cache(identity_cache())
        .http_client(in_memory::client_of(service))
        .build();
    careful(&config)
}

/// The configuration of [`load`], without its search for region, credentials and endpoint.
#[cfg(test)]
pub(super) fn over_sockets(
    endpoint_url: &str,
    credentials: SharedCredentialsProvider,
) -> SdkConfig {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .identity_cache(identity_cache())
        .http_client(https_client())
        .endpoint_url(endpoint_url)
        .build();
    careful(&config)
}

/// What holds for every client of ours, however it was configured.
fn careful(config: &SdkConfig) -> SdkConfig {
    let mut builder = config.to_builder();
    builder.set_http_client(config.http_client().map(checked));
    builder
        .timeout_config(timeouts())
        // The loop is the retry: it looks at the world before it does anything again. A retry
        // below it would send a command twice after a lost answer, spend requests that the rate
        // budget does not see, and use up the time in which the loop could look.
        .retry_config(RetryConfig::disabled())
        // The attempt timeout bounds reading the answer too.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // No timeout for reading: with the one of the attempt it would be chance which of the two
        // ends an attempt, and so which words stand in status for one and the same cause.
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

fn identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(ATTEMPT_TIMEOUT).build()
}

fn https_client() -> SharedHttpClient {
    Builder::new()
        .pool_idle_timeout(IDLE_CONNECTIONS_KEPT)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}
