//! The registry over loopback HTTP/1.1.
//!
//! It never listens on an address that another machine can reach.

use std::{io, net::SocketAddr, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::Registry;

/// How long open requests may take to end once the shutdown began. Watches never end by
/// themselves, so there is a limit.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Why the registry could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is bound to an address that other machines can reach.
    #[error(
        "the registry listens on loopback only and was given {0}; bind the listener to 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// The listener does not know its address.
    #[error("the registry's listener is broken; bind it again: {0}")]
    Listener(#[from] io::Error),
}

/// Serves the registry until `shutdown` ends; then open requests get a second to finish.
///
/// # Errors
/// When the listener is not on loopback. A connection that fails ends alone.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            // Finished connections are taken out as they end, so that the set stays small.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                // Running out of file descriptors is the usual cause; they come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // A watch event is a small write that must not wait for the next one.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(registry.clone()),
            );
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        connections.abort_all();
    }
    Ok(())
}
