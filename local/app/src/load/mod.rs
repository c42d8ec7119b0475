//! A load generator that counts every request that was not served.
//!
//! It is the judge of a release: a request that got anything but 2xx or 3xx, or no answer, is a
//! failure. It must never make a failure disappear: nothing is sent twice, and an answer that
//! never came is counted as well.

mod client;
mod histogram;
mod mix;
mod report;
#[cfg(test)]
mod tests;
mod worker;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bluegreen_net::{Clock, Net};
use tokio::{sync::watch, task::JoinHandle};

pub use mix::{Mix, RequestClass};
pub use report::{Report, Second, Totals, TransportError};

use self::{report::Recorder, worker::Shared};

/// What load is made. All durations are virtual.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The addresses of the load balancer's nodes; connections are spread over them in turn.
    pub addresses: Vec<SocketAddr>,
    /// The `Host` header.
    pub host: String,
    /// How many clients keep their connection and send one request after another.
    pub keep_alive_workers: usize,
    /// How many clients make a new connection for each request.
    pub new_connection_workers: usize,
    /// How many requests a second arrive besides, whether or not earlier ones have ended; each on
    /// a connection of its own. 0 for none.
    pub arrivals_per_second: f64,
    /// How long a client pauses after each request. At least a millisecond, as clients of a
    /// server that fails at once would else fill all time there is.
    pub pause: Duration,
    /// What is asked for.
    pub mix: Mix,
    /// How long a client waits for an answer.
    pub request_timeout: Duration,
    /// When to stop by itself.
    pub duration: Duration,
    /// After how many requests to stop by itself.
    pub max_requests: u64,
    /// How many requests of the arriving kind may be in flight; more are not sent, and counted.
    pub max_arrivals_in_flight: usize,
    /// Decides what is asked for and when.
    pub seed: u64,
}

impl Config {
    /// A moderate load against these addresses for an hour at most.
    #[must_use]
    pub fn against(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            host: "app.example.com".to_owned(),
            keep_alive_workers: 8,
            new_connection_workers: 4,
            arrivals_per_second: 2.0,
            pause: Duration::from_millis(100),
            mix: Mix::default(),
            request_timeout: Duration::from_secs(120),
            duration: Duration::from_secs(3_600),
            max_requests: 1_000_000,
            max_arrivals_in_flight: 200,
            seed: 1,
        }
    }
}

/// A running load. Dropping it breaks off whatever is in flight.
#[derive(Debug)]
pub struct Load {
    clock: Clock,
    recorder: Recorder,
    stop: watch::Sender<bool>,
    workers: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts to send.
    #[must_use]
    pub fn start(net: Net, clock: Clock, config: Config) -> Self {
        let recorder = Recorder::new(clock.clone());
        let (stop, stopping) = watch::channel(false);
        let shared = Shared::new(net, clock.clone(), config, recorder.clone(), stopping);
        let workers = tokio::spawn(worker::run_all(Arc::new(shared)));
        Self {
            clock,
            recorder,
            stop,
            workers: Some(workers),
        }
    }

    /// The counts so far, for a progress display.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.recorder.totals()
    }

    /// Everything so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.recorder.report()
    }

    /// Waits until the load ends by its own limits.
    pub async fn finished(&mut self) {
        if let Some(workers) = &mut self.workers {
            // Workers do not panic, and nobody else aborts them.
            let _ = workers.await;
            self.workers = None;
        }
    }

    /// Sends nothing new, lets what is in flight finish for at most `patience`, and reports. What
    /// has no answer by then is counted as unfinished.
    pub async fn stop(mut self, patience: Duration) -> Report {
        self.stop.send_replace(true);
        let clock = self.clock.clone();
        let _ = clock.timeout(patience, self.finished()).await;
        self.recorder.report()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(workers) = &self.workers {
            workers.abort();
        }
    }
}
