//! The controller's probe, over the network of the test.

use std::{net::SocketAddr, time::Duration};

use bluegreen::{
    api::HttpProbe,
    controller::{Counts, Probe},
    plan::{Failure, FailureKind},
};
use bluegreen_app::app::DrainReading;
use bluegreen_net::{Clock, Net};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;

/// As long as the one that is shipped.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the sample application on the network of the test.
#[derive(Clone)]
pub(crate) struct NetProbe {
    pub(crate) net: Net,
    pub(crate) clock: Clock,
}

impl NetProbe {
    async fn ask(&self, address: SocketAddr, path: &str) -> Option<DrainReading> {
        let stream = self.net.connect(None, address).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let driving = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        let request = Request::get(path)
            .header("host", address.to_string())
            .header("connection", "close")
            .body(Empty::<Bytes>::new())
            .ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        drop(driving);
        serde_json::from_slice(&body).ok()
    }
}

impl Probe for NetProbe {
    async fn read(&self, address: SocketAddr, probe: &HttpProbe) -> Result<Counts, Failure> {
        let asked = self.clock.timeout(TIMEOUT, self.ask(address, &probe.path));
        match asked.await {
            Ok(Some(reading)) => Ok(Counts {
                in_flight: reading.in_flight,
                served: reading.served,
            }),
            Ok(None) | Err(_) => Err(Failure {
                kind: FailureKind::Unavailable,
                message: format!("the probe at {address} could not be asked"),
            }),
        }
    }
}
