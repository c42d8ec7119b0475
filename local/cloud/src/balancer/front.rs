//! The side of a node that clients see: its listening sockets and their connections.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bluegreen_net::{Listener, Stream};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;

use super::{node::Node, proxy};

/// How long after a failed attempt to listen the next one is made. An address is only taken for
/// the moment in which its earlier owner goes.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Listens on a port until it is aborted; its connections end with it.
pub(super) async fn listen(node: Arc<Node>, port: u16) {
    let mut listener = bind(&node, port).await;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    connections.spawn(serve(Arc::clone(&node), port, stream));
                }
                Err(error) => {
                    tracing::warn!(node = %node.address, port, %error, "a node cannot accept");
                    node.clock.sleep(LISTEN_AGAIN).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => (),
        }
    }
}

async fn bind(node: &Node, port: u16) -> Listener {
    let address = SocketAddr::new(node.address, port);
    loop {
        match node.net.listen(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(%address, %error, "a node cannot listen yet");
                node.clock.sleep(LISTEN_AGAIN).await;
            }
        }
    }
}

async fn serve(node: Arc<Node>, port: u16, stream: Stream) {
    let client = stream.peer().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let config = node.config();
    let service = {
        let node = Arc::clone(&node);
        service_fn(move |request| {
            let node = Arc::clone(&node);
            async move { Ok::<_, Infallible>(proxy::handle(node, port, client, request).await) }
        })
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(node.clock.real(config.idle_timeout))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // How a connection ended is seen in its requests: an idle one may end as it likes.
    tokio::select! {
        _ = connection.as_mut() => (),
        () = node.clock.sleep(config.client_keep_alive) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
