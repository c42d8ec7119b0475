//! The cloud over HTTP/1.1.

use bluegreen_net::Listener;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::task::JoinSet;

use crate::cloud::Cloud;

/// Serves a cloud until `shutdown` completes. Open connections are closed then.
pub async fn serve(mut listener: Listener, cloud: Cloud, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => return,
        };
        while connections.try_join_next().is_some() {}
        let Ok(stream) = accepted else {
            // Only a lack of descriptors or a closed switchboard ends up here.
            tokio::task::yield_now().await;
            continue;
        };
        let service = TowerToHyperService::new(cloud.clone());
        connections.spawn(async move {
            // A connection that ends with an error is the client's end, or a fault doing its work.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
