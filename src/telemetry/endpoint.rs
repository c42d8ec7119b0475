//! Where traces are sent.

use std::{fmt, str::FromStr};

use http::Uri;

/// What OTLP over HTTP adds to a collector's URL.
const TRACES: &str = "/v1/traces";

/// The URL of a collector that speaks OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text is not an [`Endpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It does not say how and where.
    #[error("give the URL of an OTLP/HTTP receiver, as in http://collector.monitoring:4318")]
    NotAUrl,

    /// It has a user or a password in it, which would be in every log.
    #[error("leave user and password out of the URL; OTEL_EXPORTER_OTLP_HEADERS can have a token")]
    Credentials,

    /// It has a query.
    #[error("leave the part from ? out of the URL; {TRACES} is added at its end")]
    Query,

    /// It has what is added.
    #[error("leave {TRACES} out of the URL; it is added")]
    Path,
}

impl Endpoint {
    /// The URL that traces are posted to.
    pub(super) fn traces(&self) -> String {
        format!("{}{TRACES}", self.to_string().trim_end_matches('/'))
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == Some(&http::uri::Scheme::HTTPS)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotAUrl)?;
        let host = uri.host().unwrap_or_default();
        if !matches!(uri.scheme_str(), Some("http" | "https")) || host.is_empty() {
            return Err(EndpointError::NotAUrl);
        }
        // The port of a URL is optional; one that is no port number is none at all.
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        if authority != host && uri.port_u16().is_none() {
            return Err(EndpointError::NotAUrl);
        }
        if uri.query().is_some() {
            return Err(EndpointError::Query);
        }
        if uri.path().trim_end_matches('/').ends_with(TRACES) {
            return Err(EndpointError::Path);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_added() {
        let urls = [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("https://collector", "https://collector/v1/traces"),
            (
                "https://collector/otlp/",
                "https://collector/otlp/v1/traces",
            ),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
        ];
        for (url, expected) in urls {
            let endpoint: Endpoint = url.parse().unwrap();
            assert_eq!(endpoint.traces(), expected);
        }
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        let refused = [
            ("", EndpointError::NotAUrl),
            ("collector:4318", EndpointError::NotAUrl),
            ("/v1/traces", EndpointError::NotAUrl),
            ("grpc://collector:4317", EndpointError::NotAUrl),
            ("http://collector:port", EndpointError::NotAUrl),
            ("http://collector:99999", EndpointError::NotAUrl),
            ("http://:4318", EndpointError::NotAUrl),
            ("http://me:secret@collector", EndpointError::Credentials),
            ("http://collector/?tenant=a", EndpointError::Query),
            ("http://collector/v1/traces", EndpointError::Path),
            ("http://collector/v1/traces/", EndpointError::Path),
        ];
        for (url, expected) in refused {
            assert_eq!(url.parse::<Endpoint>(), Err(expected), "{url}");
        }
    }
}
