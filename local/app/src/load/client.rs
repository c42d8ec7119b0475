//! One HTTP client that sends one request at a time and never sends one twice.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use bluegreen_net::{Clock, Net};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::report::{Outcome, TransportError};

type Sender = SendRequest<Empty<Bytes>>;

/// Where clients come from on the one machine that everything runs on: not from 127.0.0.1, which is
/// what applications take for local.
const OWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1));

/// A client and its connection, if it has one.
pub(super) struct Client {
    net: Net,
    clock: Clock,
    host: String,
    timeout: Duration,
    connection: Option<Sender>,
}

impl Client {
    pub(super) fn new(net: Net, clock: Clock, host: String, timeout: Duration) -> Self {
        Self {
            net,
            clock,
            host,
            timeout,
            connection: None,
        }
    }

    /// Asks for a path. Where the connection is known to be closed, or there is none, a new one
    /// is made to `address`.
    pub(super) async fn get(&mut self, address: SocketAddr, path: &str, number: u64) -> Outcome {
        let clock = self.clock.clone();
        match clock
            .timeout(self.timeout, self.attempt(address, path, number))
            .await
        {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => Outcome::Failed(error),
            Err(_) => Outcome::Failed(TransportError::Timeout),
        }
    }

    /// Closes the connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    async fn attempt(
        &mut self,
        address: SocketAddr,
        path: &str,
        number: u64,
    ) -> Result<Outcome, TransportError> {
        // It is put back only after a complete answer: after a timeout it is in disorder.
        let mut kept = self.connection.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect(address).await?,
        };
        let request = Request::get(path)
            .header(header::HOST, &self.host)
            .header("x-request-id", format!("load-{number}"))
            .body(Empty::new())
            .expect("the paths and hosts of a load are valid");
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| TransportError::Closed)?;
        let status = response.status().as_u16();
        let version = response
            .headers()
            .get("x-app-version")
            .and_then(|version| version.to_str().ok())
            .map(str::to_owned);
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| TransportError::BodyBroken)?;
        }
        self.connection = Some(sender);
        Ok(Outcome::Answered { status, version })
    }

    async fn connect(&self, address: SocketAddr) -> Result<Sender, TransportError> {
        let own = address.ip().is_loopback().then_some(OWN_ADDRESS);
        let stream = self.net.connect(own, address).await.map_err(|error| {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                TransportError::Refused
            } else {
                TransportError::NotConnected
            }
        })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| TransportError::NotConnected)?;
        // It ends with its sender; what goes wrong is seen in the request.
        tokio::spawn(connection);
        Ok(sender)
    }
}
