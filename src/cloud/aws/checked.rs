//! An HTTP client that hands on whole answers only.

use std::mem;

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
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::answer::{Fault, LONGEST_ANSWER, Protocol, TARGET, Unusable};

/// Puts a check of every answer behind an HTTP client. The providers of credentials, whose answers
/// have other forms, use the client without it.
pub(super) fn checked(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Checked(client))
}

#[derive(Debug, Clone)]
struct Checked<T>(T);

impl HttpClient for Checked<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Checked(self.0.http_connector(settings, components)))
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

impl HttpConnector for Checked<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // No request of ours streams its body.
        let body = request.body().bytes().unwrap_or_default();
        let protocol = Protocol::of(request.headers().get(TARGET), body);
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let status = answer.status().as_u16();
            whole(&protocol, &mut answer)
                .await
                .map_err(|fault| ConnectorError::io(Unusable { status, fault }.into()))?;
            Ok(answer)
        })
    }
}

/// Reads the whole body, checks it, and puts it back.
async fn whole(protocol: &Protocol, answer: &mut HttpResponse) -> Result<(), Fault> {
    let body = mem::replace(answer.body_mut(), SdkBody::taken());
    let body = Limited::new(body, LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Fault::TooLong
        } else {
            Fault::BrokenOff
        }
    })?;
    let body = body.to_bytes();
    protocol.check(answer.status().as_u16(), &body)?;
    *answer.body_mut() = SdkBody::from(body);
    Ok(())
}
