//! The clients at work.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bluegreen_net::{Clock, Net};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{sync::watch, task::JoinSet};

use super::{Config, client::Client, report::Recorder};

/// The shortest pause: see [`Config::pause`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// No more arrivals a second than one machine can make.
const MOST_ARRIVALS_PER_SECOND: f64 = 10_000.0;

/// What all clients share.
pub(super) struct Shared {
    net: Net,
    clock: Clock,
    config: Config,
    recorder: Recorder,
    stopping: watch::Receiver<bool>,
    until: Timestamp,
    turn: AtomicUsize,
}

/// Whether a client keeps its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connections {
    Kept,
    New,
}

impl Shared {
    pub(super) fn new(
        net: Net,
        clock: Clock,
        config: Config,
        recorder: Recorder,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let longest = SignedDuration::from_hours(24);
        let duration = SignedDuration::try_from(config.duration).unwrap_or(longest);
        Self {
            until: clock.now() + duration.min(longest),
            net,
            clock,
            config,
            recorder,
            stopping,
            turn: AtomicUsize::new(0),
        }
    }

    fn client(&self) -> Client {
        Client::new(
            self.net.clone(),
            self.clock.clone(),
            self.config.host.clone(),
            self.config.request_timeout,
        )
    }

    fn next_address(&self) -> Option<SocketAddr> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let addresses = &self.config.addresses;
        addresses.get(turn % addresses.len().max(1)).copied()
    }

    /// Waits until nothing new is to be sent.
    async fn ended(&self) {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            // The sender is gone only when the load is dropped, and this task with it.
            _ = stopping.wait_for(|stopping| *stopping) => (),
            () = self.clock.sleep_until(self.until) => (),
        }
    }

    fn rng(&self, worker: usize) -> StdRng {
        StdRng::seed_from_u64(self.config.seed ^ ((worker as u64) << 32))
    }

    async fn request(
        &self,
        client: &mut Client,
        rng: &mut StdRng,
        address: SocketAddr,
        number: u64,
    ) {
        let work = self.config.mix.draw(rng);
        let path = format!("/work?ms={}", work.as_millis());
        let begun = self.clock.now();
        let outcome = client.get(address, &path, number).await;
        self.recorder.end(number, begun, &outcome);
    }
}

/// Runs all clients until the load ends and what is in flight has ended too.
pub(super) async fn run_all(shared: Arc<Shared>) {
    let mut workers = JoinSet::new();
    let kept = shared.config.keep_alive_workers;
    for worker in 0..kept + shared.config.new_connection_workers {
        let connections = if worker < kept {
            Connections::Kept
        } else {
            Connections::New
        };
        workers.spawn(closed_loop(Arc::clone(&shared), worker + 1, connections));
    }
    if shared.config.arrivals_per_second > 0.0 {
        workers.spawn(open_loop(Arc::clone(&shared)));
    }
    while workers.join_next().await.is_some() {}
}

/// One client that sends its next request when the one before has ended.
async fn closed_loop(shared: Arc<Shared>, worker: usize, connections: Connections) {
    let mut rng = shared.rng(worker);
    let mut client = shared.client();
    let pause = shared.config.pause.max(SHORTEST_PAUSE);
    let mut ended = std::pin::pin!(shared.ended());
    // Clients do not start in step.
    let mut wait = pause.mul_f64(rng.random());
    loop {
        tokio::select! {
            biased;
            () = &mut ended => return,
            () = shared.clock.sleep(wait) => (),
        }
        wait = pause;
        let Some(address) = shared.next_address() else {
            return;
        };
        let Some(number) = shared.recorder.begin(shared.config.max_requests) else {
            return;
        };
        shared.request(&mut client, &mut rng, address, number).await;
        match connections {
            Connections::Kept => (),
            Connections::New => client.hang_up(),
        }
    }
}

/// Requests that arrive whatever becomes of the earlier ones.
async fn open_loop(shared: Arc<Shared>) {
    let mut rng = shared.rng(0);
    let rate = shared
        .config
        .arrivals_per_second
        .min(MOST_ARRIVALS_PER_SECOND);
    let mut in_flight = JoinSet::new();
    let mut ended = std::pin::pin!(shared.ended());
    let mut next = shared.clock.now();
    loop {
        // Independent arrivals are an exponentially distributed time apart.
        let apart = -(1.0 - rng.random::<f64>()).ln() / rate;
        next += SignedDuration::from_secs_f64(apart);
        tokio::select! {
            biased;
            () = &mut ended => break,
            () = shared.clock.sleep_until(next) => (),
        }
        while in_flight.try_join_next().is_some() {}
        if in_flight.len() >= shared.config.max_arrivals_in_flight {
            shared.recorder.not_sent();
            continue;
        }
        let Some(address) = shared.next_address() else {
            break;
        };
        let Some(number) = shared.recorder.begin(shared.config.max_requests) else {
            break;
        };
        let (shared, mut rng) = (Arc::clone(&shared), StdRng::seed_from_u64(rng.random()));
        in_flight.spawn(async move {
            let mut client = shared.client();
            shared.request(&mut client, &mut rng, address, number).await;
        });
    }
    while in_flight.join_next().await.is_some() {}
}
