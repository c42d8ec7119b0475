//! What stands in front of the application on a host, as nginx does: it takes connections on the
//! registered port and passes their bytes on to the application's port. While the application does
//! not listen it answers 502.

use std::net::SocketAddr;

use bluegreen_net::{Net, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

const BAD_GATEWAY: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Listens at `at` for the application at `application`, until the handle is dropped.
pub(crate) async fn start(
    net: &Net,
    at: SocketAddr,
    application: SocketAddr,
) -> AbortOnDropHandle<()> {
    let mut listener = net.listen(at).await.unwrap();
    let net = net.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok(stream) = accepted else { return };
                    connections.spawn(pass_on(net.clone(), stream, application));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }))
}

/// A connection that breaks on one side is closed on the other.
async fn pass_on(net: Net, mut client: Stream, application: SocketAddr) {
    let connected = net.connect(Some(application.ip()), application).await;
    match connected {
        Ok(mut upstream) => {
            let _ = copy_bidirectional(&mut client, &mut upstream).await;
        }
        Err(_) => {
            // The request first: an answer to nothing would be one to the next request.
            let mut head = [0; 4096];
            if client.read(&mut head).await.is_ok_and(|read| read > 0) {
                let _ = client.write_all(BAD_GATEWAY).await;
            }
        }
    }
}
