//! Connections that a client and a target agreed to use for another protocol, such as WebSocket.
//!
//! The node passes bytes on until either side ends its part, both are silent for the idle timeout,
//! or the deregistration delay of the target ends.

use std::{io, sync::Arc, time::Duration};

use bluegreen_net::Clock;
use http::{HeaderMap, HeaderValue, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
};

use super::relay::{self, Activity, Cut};
use crate::oracle::{Failure, Ticket};

/// The protocol that a message asks to use or agrees to. HTTP/2 is none of them: it is agreed on hop
/// by hop, and a server may answer such a request as if it had not asked.
pub(super) fn protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = headers.get_all(header::CONNECTION).iter();
    let asked = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(header::UPGRADE).filter(|_| asked);
    protocol
        .filter(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
        .cloned()
}

/// Writes the two headers of a change of protocol, which concern one connection each.
pub(super) fn announce(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Both sides of a changed connection.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) target: OnUpgrade,
    pub(super) cut: watch::Receiver<Cut>,
    pub(super) idle_timeout: Duration,
    pub(super) clock: Clock,
}

impl Tunnel {
    /// Passes bytes on until the end. It ends with the node, which drops the sender of `cut`.
    pub(super) async fn run(self, ticket: Ticket) {
        let Self {
            client,
            target,
            cut,
            idle_timeout,
            clock,
        } = self;
        let (Ok(client), Ok(target)) = (client.await, target.await) else {
            ticket.failed(Failure::ConnectionClosed);
            return;
        };
        let activity = Activity::new(clock.now());
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_target, to_target) = tokio::io::split(TokioIo::new(target));
        let up = pass(from_client, to_target, Arc::clone(&activity), clock.clone());
        let down = pass(from_target, to_client, Arc::clone(&activity), clock.clone());
        let ended = tokio::select! {
            biased;
            () = relay::cut_off(cut, clock.clone()) => Err(Failure::DelayElapsed),
            passed = down => passed.map_err(|_| Failure::BodyBroken),
            passed = up => passed.map_err(|_| Failure::ClientGone),
            () = activity.silent_for(idle_timeout, &clock) => Ok(()),
        };
        match ended {
            Ok(()) => ticket.finished(),
            Err(failure) => ticket.failed(failure),
        }
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: Arc<Activity>,
    clock: Clock,
) -> io::Result<()> {
    let mut buffer = [0; 8 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        activity.touch(clock.now());
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_asked_for_by_two_headers_and_is_not_http_2() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", true),
            ("keep-alive, upgrade", "websocket", true),
            ("keep-alive", "websocket", false),
            ("Upgrade, HTTP2-Settings", "h2c", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("connection", HeaderValue::from_static(connection));
            headers.insert("upgrade", HeaderValue::from_static(upgrade));
            assert_eq!(protocol(&headers).is_some(), expected, "{connection}");
        }
    }
}
