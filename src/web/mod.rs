//! Health and metrics over HTTP.
//!
//! `/healthz` says whether to restart the process, `/readyz` whether it works, `/metrics` how it
//! fares. Nothing here changes anything, and nothing here names a release.

#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::State as Extract,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;

use crate::controller::{Metrics, Standing};

/// What the endpoints tell.
#[derive(Debug, Clone)]
pub struct State {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    standing: Arc<Standing>,
}

impl State {
    /// The registry must know the metrics.
    #[must_use]
    pub fn new(registry: Registry, metrics: Arc<Metrics>, standing: Arc<Standing>) -> Self {
        Self {
            registry: Arc::new(registry),
            metrics,
            standing,
        }
    }
}

/// Serves on a listener until `shutdown`; answers under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(state))
        .with_graceful_shutdown(shutdown)
        .await
}

/// The endpoints as a service.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn healthz(Extract(state): Extract<State>) -> (StatusCode, &'static str) {
    if state.standing.alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the loop is stuck\n")
    }
}

async fn readyz(Extract(state): Extract<State>) -> (StatusCode, String) {
    let (ready, text) = state.standing.ready();
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, format!("{text}\n"))
}

async fn metrics(Extract(state): Extract<State>) -> impl IntoResponse {
    state.standing.census(&state.metrics);
    let mut text = String::new();
    match encode(&mut text, &state.registry) {
        Ok(()) => (
            StatusCode::OK,
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        ),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            "the metrics could not be written\n".to_owned(),
        ),
    }
}
