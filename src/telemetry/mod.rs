//! Traces of the passes, sent to an OpenTelemetry collector where one is named.
//!
//! A pass must never wait for a collector. So a span that ends is put into a bounded queue, or
//! dropped where that is full; a thread of the library's own takes batches out of it; and a batch
//! that does not arrive within [`DELIVERY_TIMEOUT`] is lost. [`collector`] says so in the log, once
//! for each time that the collector is away.

mod collector;
mod endpoint;
mod lines;
mod spans;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Dispatch, Subscriber, level_filters::LevelFilter, warn};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, FilterFn, Targets},
    layer::{Filter, SubscriberExt},
    registry::LookupSpan,
};

use collector::Collector;

pub use endpoint::{Endpoint, EndpointError};
pub use lines::OneLine;
pub(crate) use spans::{LOG_ONLY, aws, failed, kubernetes, noted, probe};

/// How long a batch may take to be delivered, connecting included. The next one waits meanwhile,
/// and nobody else does.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of the process waits for the last batch. The lease has been given back by
/// then, and of the 30 s that Kubernetes gives a pod up to 26 may be over.
const LAST_DELIVERY: Duration = Duration::from_secs(2);

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// There is nothing to verify the collector's certificate with.
    #[error(
        "the certificates of authorities, with which the collector {endpoint} is verified, cannot be read: \
         {error}; name a file with them in SSL_CERT_FILE, or give --otlp-endpoint an http:// URL"
    )]
    Certificates {
        /// Where traces were to be sent.
        endpoint: Endpoint,
        /// What went wrong.
        error: std::io::Error,
    },

    /// The library does not take what it is given.
    #[error(
        "no traces can be sent to {endpoint}: {error}; leave --otlp-endpoint out to go without"
    )]
    Exporter {
        /// Where traces were to be sent.
        endpoint: Endpoint,
        /// What went wrong.
        error: opentelemetry_otlp::ExporterBuildError,
    },
}

/// The sending of traces, from its start to its end.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to send the spans of [`subscriber`], as the instance of this name. Connections are
    /// made on `runtime`, which must outlive this; nothing is connected yet.
    ///
    /// # Errors
    /// When it can be told already that nothing can ever be sent.
    pub fn start(
        endpoint: &Endpoint,
        instance: Option<&str>,
        runtime: Handle,
    ) -> Result<Self, TracesError> {
        let collector =
            Collector::new(endpoint, runtime).map_err(|error| TracesError::Certificates {
                endpoint: endpoint.clone(),
                error,
            })?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(endpoint.traces())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(DELIVERY_TIMEOUT)
            // The library would try again on the thread that the next batch and the end wait for.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| TracesError::Exporter {
                endpoint: endpoint.clone(),
                error,
            })?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(instance))
            .with_batch_exporter(exporter)
            .build();
        Ok(Self { provider })
    }

    /// What takes spans. Those of this library only: the connections to the collector are spans of
    /// other libraries, and sending them would make more of them.
    fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let traced = Targets::new()
            .with_target("bluegreen", LevelFilter::INFO)
            .with_target(LOG_ONLY, LevelFilter::OFF);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("bluegreen"))
            // The parent is the pass, also where another library's span is in between.
            .with_context_activation(false)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(traced)
    }

    /// Sends what is left, within [`LAST_DELIVERY`]. The runtime must be running.
    pub async fn end(self) {
        self.end_within(LAST_DELIVERY).await;
    }

    async fn end_within(self, time: Duration) {
        let flush = move || self.provider.shutdown_with_timeout(time);
        // It blocks, and the connection is made by the runtime that it would block.
        match tokio::task::spawn_blocking(flush).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                warn!("the last traces were not delivered within {time:?} and are lost");
            }
        }
    }
}

/// Who is told of spans and events: `lines`, which writes what `filter` lets through, and `traces`
/// where they are sent.
pub fn subscriber(
    lines: impl Layer<Registry> + Send + Sync,
    filter: EnvFilter,
    traces: Option<&Traces>,
) -> Dispatch {
    let log = tracing_subscriber::registry().with(lines.with_filter(log_filter(filter)));
    match traces {
        Some(traces) => log.with(traces.layer()).into(),
        // A layer that is not there would still let all spans come to be.
        None => log.into(),
    }
}

/// What a log may show: all that `filter` lets through, without the spans that are there for traces
/// only. In a log they would stand between a line and the release that it is about.
fn log_filter(filter: EnvFilter) -> impl Filter<Registry> {
    let not_for_traces = FilterFn::new(|metadata| metadata.target() != spans::TRACE_ONLY)
        // Without it, the level of the other filter would be forgotten.
        .with_max_level_hint(LevelFilter::TRACE);
    filter.and(not_for_traces)
}

/// Who sends. `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(instance: Option<&str>) -> Resource {
    let instance = instance.map(|name| KeyValue::new("service.instance.id", name.to_owned()));
    Resource::builder()
        .with_service_name("bluegreen-controller")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(instance)
        .build()
}
