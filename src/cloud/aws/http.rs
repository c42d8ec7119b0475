//! An HTTP client for the SDK that is a function.
//!
//! A simulated AWS is mounted through this: no socket, no TLS, and no real time under a paused
//! clock.

use std::{error, fmt, future::Future, sync::Arc};

use aws_smithy_runtime_api::client::{
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
