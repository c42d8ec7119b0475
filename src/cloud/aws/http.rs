//! HTTP clients for the SDK: one that is a function, and one with a fence before it.
//!
//! A simulated AWS is mounted through the function: no socket, no TLS, and no real time under a
//! paused clock.

use std::{error, fmt, future::Future, sync::Arc};

use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

/// Why a service did not answer: as when a connection breaks.
pub(super) type BoxError = Box<dyn error::Error + Send + Sync>;

/// Makes an HTTP client of a service.
pub(super) fn client_of<F, R>(service: F) -> SharedHttpClient
where
    F: Fn(http::Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<http::Response<Bytes>, BoxError>> + Send + 'static,
{
    SharedHttpClient::new(InMemory(Arc::new(service)))
}

/// Whether a request may still be sent.
pub(super) type Fence = Arc<dyn Fn() -> bool + Send + Sync>;

/// What the fence says of a request that it has kept back.
#[derive(Debug, thiserror::Error)]
#[error("the controller's lease might end before the request does")]
pub(super) struct Unfenced;

/// Puts a fence before an HTTP client: the last thing that is asked before a request goes out,
/// after it waited for its turn, for credentials and for its signature.
pub(super) fn fenced(client: SharedHttpClient, fence: Fence) -> SharedHttpClient {
    SharedHttpClient::new(FencedClient { client, fence })
}

#[derive(Clone)]
struct FencedClient<T> {
    client: T,
    fence: Fence,
}

impl<T> fmt::Debug for FencedClient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fenced")
    }
}

impl HttpClient for FencedClient<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(FencedClient {
            client: self.client.http_connector(settings, components),
            fence: Arc::clone(&self.fence),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

impl HttpConnector for FencedClient<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if (self.fence)() {
            self.client.call(request)
        } else {
            HttpConnectorFuture::ready(Err(ConnectorError::user(Unfenced.into())))
        }
    }
}

struct InMemory<F>(Arc<F>);

impl<F> Clone for InMemory<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> fmt::Debug for InMemory<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

impl<F, R> HttpClient for InMemory<F>
where
    F: Fn(http::Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<http::Response<Bytes>, BoxError>> + Send + 'static,
{
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl<F, R> HttpConnector for InMemory<F>
where
    F: Fn(http::Request<Bytes>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<http::Response<Bytes>, BoxError>> + Send + 'static,
{
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?
                // No request of ours streams its body.
                .map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            let response = service(request)
                .await
                .map_err(ConnectorError::io)?
                .map(SdkBody::from);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}
