//! Asks an application how many requests are in flight.
//!
//! The answers come from the application's own host, and the paths, pointers and names from the
//! writers of releases. So all of it is bounded: where a probe may go ([`Cidrs`]), how long it
//! takes, how much is read, and how much work a figure can cost ([`json`] and [`sample`] go over
//! the body once and keep nothing of it).

mod cidrs;
mod fault;
mod http;
mod json;
mod number;
mod recent;
mod sample;
mod silent;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
};

use self::{
    fault::{Fault, Kind},
    recent::Recent,
    silent::Silent,
};
use crate::{
    api::{Figure, HttpProbe},
    plan::Failure,
};

pub use cidrs::{Cidrs, NotCidrs};

/// How long both answers together may take. A target that is asked every second or two is not
/// asked twice at a time, and an application that takes longer to answer this is not quiet.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may take to be accepted or refused.
const CONNECTS: Duration = Duration::from_millis(500);

/// The figures of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests served since its start.
    pub served: u64,
}

/// Asks applications what is in flight.
pub trait Probe: Send + Sync + 'static {
    /// Asks one application, by the address and port that it is registered with. The application's
    /// own port is filled into the probe already. Ends within seconds.
    ///
    /// # Errors
    /// When it may not be asked, did not answer, or with something else than the two numbers.
    fn read(
        &self,
        target: SocketAddr,
        probe: &HttpProbe,
    ) -> impl Future<Output = Result<Counts, Failure>> + Send;

    /// Whether something accepts connections there. `None` where that cannot be told: it may not be
    /// asked, or nothing answers. Ends within half a second.
    fn listens(&self, target: SocketAddr) -> impl Future<Output = Option<bool>> + Send;
}

/// How a probe reaches a host. The tests have a network of their own.
pub trait Network: Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects.
    fn dial(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Gives up when the time is over.
    fn within<F>(&self, limit: Duration, work: F) -> impl Future<Output = Option<F::Output>> + Send
    where
        F: Future<Output: Send> + Send;
}

/// The network of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Network for Tcp {
    type Stream = TcpStream;

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }

    async fn within<F>(&self, limit: Duration, work: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send,
    {
        tokio::time::timeout(limit, work).await.ok()
    }
}

/// Asks over HTTP.
#[derive(Debug, Clone)]
pub struct HttpProbes<N = Tcp> {
    network: N,
    cidrs: Cidrs,
    recent: Arc<Recent>,
    silent: Arc<Silent>,
    large: Arc<Semaphore>,
}

impl HttpProbes {
    /// Asks hosts in these ranges, over the network of the machine.
    #[must_use]
    pub fn new(cidrs: Cidrs) -> Self {
        Self::over(Tcp, cidrs)
    }
}

impl<N: Network> Probe for HttpProbes<N> {
    async fn read(&self, target: SocketAddr, probe: &HttpProbe) -> Result<Counts, Failure> {
        let asked = self.network.within(TIMEOUT, self.ask(target, probe)).await;
        let counts = asked.unwrap_or_else(|| {
            let what = format!(
                "the probe of the target {target} had no complete answer within {} s",
                TIMEOUT.as_secs()
            );
            let fix = "make the endpoints answer sooner, and let the controller reach their port \
                       (security group, network policy)";
            Err(Fault::new(Kind::Slow, what, fix))
        });
        self.recent.compare(target, probe, counts)
    }

    async fn listens(&self, target: SocketAddr) -> Option<bool> {
        if self.cidrs.check(target).is_err() || self.silent.contains(target.ip()) {
            return None;
        }
        let dialled = self.network.within(CONNECTS, self.network.dial(target));
        match dialled.await {
            Some(Ok(_)) => Some(true),
            Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Some(false),
            Some(Err(_)) | None => {
                self.silent.insert(target.ip());
                None
            }
        }
    }
}

impl<N: Network> HttpProbes<N> {
    /// Asks hosts in these ranges, over a network.
    #[must_use]
    pub fn over(network: N, cidrs: Cidrs) -> Self {
        Self {
            network,
            cidrs,
            recent: Arc::default(),
            silent: Arc::default(),
            large: Arc::new(Semaphore::new(http::LARGE)),
        }
    }

    async fn ask(&self, target: SocketAddr, probe: &HttpProbe) -> Result<Counts, Fault> {
        let port = probe.port_of(target.port()).map_err(|error| {
            let what = "drain.inFlight.http.port cannot be asked";
            Fault::new(Kind::NotAsked, what, error)
        })?;
        let address = SocketAddr::new(target.ip(), port);
        self.cidrs.check(address)?;
        let own = target.port();
        let (served_at, in_flight_at) = (probe.served.path_of(own), probe.in_flight.path_of(own));
        // The counter first: a request that comes and ends between the two answers then shows in
        // the next reading of the counter.
        let answer = http::get(&self.network, &self.large, address, &served_at).await?;
        let served = figure("served", &probe.served, own, &answer.body)
            .map_err(|fault| fault.of(address, &served_at))?;
        let answer = if in_flight_at == served_at {
            answer
        } else {
            // Waiting for the right to hold a second large one must not keep the first.
            drop(answer);
            http::get(&self.network, &self.large, address, &in_flight_at).await?
        };
        let in_flight = figure("inFlight", &probe.in_flight, own, &answer.body)
            .map_err(|fault| fault.of(address, &in_flight_at))?;
        Ok(Counts { in_flight, served })
    }
}

/// The number that a figure names in a body.
fn figure(field: &'static str, figure: &Figure, own: u16, body: &[u8]) -> Result<u64, Fault> {
    let found = match (&figure.pointer, &figure.sample) {
        (Some(pointer), None) => json::read(body, pointer),
        (None, Some(sample)) => sample::read(body, sample, own),
        (Some(_), Some(_)) | (None, None) => Err(Fault::new(
            Kind::NotAsked,
            "is not named",
            "give exactly one of pointer and sample",
        )),
    };
    found.map_err(|fault| fault.of_figure(field))
}

#[cfg(test)]
mod tests;
