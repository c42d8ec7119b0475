//! The spans within a pass. They are for traces: no log shows them, and where no traces are sent
//! they do not come to be.

use std::net::SocketAddr;

use opentelemetry::{Value, trace::Status};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans that are in traces and in no log.
pub(super) const TRACE_ONLY: &str = "bluegreen::trace_only";

/// The target of spans that are in the log and in no trace.
pub(crate) const LOG_ONLY: &str = "bluegreen::log_only";

/// A request to AWS.
pub(crate) fn aws(service: &'static str, operation: &'static str, thing: &str) -> Span {
    info_span!(
        target: TRACE_ONLY,
        "aws",
        otel.name = format!("{service}:{operation}"),
        otel.kind = "client",
        rpc.system = "aws-api",
        rpc.service = service,
        rpc.method = operation,
        thing,
    )
}

/// A request to the API server.
pub(crate) fn kubernetes(verb: &'static str) -> Span {
    info_span!(target: TRACE_ONLY, "kubernetes", otel.name = verb, otel.kind = "client")
}

/// A question to an application.
pub(crate) fn probe(address: SocketAddr) -> Span {
    info_span!(
        target: TRACE_ONLY,
        "probe",
        otel.name = "asking what is in flight",
        otel.kind = "client",
        server.address = %address.ip(),
        server.port = address.port(),
    )
}

/// Says in a span how it ended.
pub(crate) fn noted(span: &Span, key: &'static str, value: impl Into<Value>) {
    span.set_attribute(key, value);
}

/// Says in a span that what it is about failed.
pub(crate) fn failed(span: &Span, why: String) {
    span.set_status(Status::error(why));
}
