//! The connection to the collector, and what the log says of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use http::StatusCode;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, hyper::HyperClient};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::{DELIVERY_TIMEOUT, Endpoint};
use crate::causes;

/// A collector.
///
/// The library's thread asks it to send; the connection itself is made on the runtime, since that
/// thread has none.
#[derive(Debug)]
pub(super) struct Collector {
    client: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
    outage: Arc<Outage>,
}

impl Collector {
    /// A collector, to which nobody has connected yet.
    pub(super) fn new(endpoint: &Endpoint, runtime: Handle) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(endpoint)?)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: HyperClient::new(connector, DELIVERY_TIMEOUT, None),
            runtime,
            outage: Arc::new(Outage {
                endpoint: endpoint.clone(),
                said: AtomicBool::new(false),
            }),
        })
    }
}

/// Who is believed to be the collector: for https, whoever an authority says it is.
fn tls(endpoint: &Endpoint) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder();
    let builder = if endpoint.is_https() {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, outage) = (self.client.clone(), Arc::clone(&self.outage));
        let sending = async move {
            let answer = client.send_bytes(request).await;
            match &answer {
                Ok(answer) if answer.status().is_success() => outage.is_over(),
                Ok(answer) => outage.goes_on(&refused(answer.status())),
                Err(error) => outage.goes_on(&causes::told(error.as_ref())),
            }
            answer
        };
        // Where the runtime ends first, so does the process, and there is nobody left to tell.
        self.runtime.spawn(sending).await?
    }
}

/// A collector's refusal, in words.
fn refused(status: StatusCode) -> String {
    let token = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            " (is its token in OTEL_EXPORTER_OTLP_HEADERS, written as NAME=VALUE?)"
        }
        _ => "",
    };
    format!("it answers {status}{token}")
}

/// Whether the collector is away, for the log.
#[derive(Debug)]
struct Outage {
    endpoint: Endpoint,
    said: AtomicBool,
}

impl Outage {
    fn goes_on(&self, cause: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            warn!(
                "traces cannot be delivered to {}: {cause}; they are lost until they can be, and \
                 releases go on; check that this URL is that of an OTLP/HTTP receiver (its port is \
                 often 4318; 4317 is gRPC's) and that it can be reached from here",
                self.endpoint
            );
        }
    }

    fn is_over(&self) {
        if self.said.swap(false, Ordering::Relaxed) {
            info!("traces are delivered to {} again", self.endpoint);
        }
    }
}
