//! The suite's own load: clients that ask the load balancer's nodes for a page and note each answer.
//! Nothing is retried.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::http;

/// How many clients ask for the short page.
const CLIENTS: usize = 2;

/// What passes between two requests of a client.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a client waits for the short page. It is answered within milliseconds, but for a machine
/// that is busy.
const PATIENCE: Duration = Duration::from_secs(15);

/// One request that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// The status, or why there was none.
    pub(crate) answer: Result<u16, String>,
    /// Whether it was for the short page. Only these say when there was an outage: a long request
    /// may survive one.
    pub(crate) short: bool,
}

impl Record {
    pub(crate) fn failed(&self) -> bool {
        !matches!(self.answer, Ok(200..400))
    }
}

/// A time in which every request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Outage {
    pub(crate) fn lasted(&self) -> Duration {
        self.until - self.from
    }
}

/// A load that goes on until it is dropped.
pub(crate) struct Load {
    nodes: Vec<SocketAddr>,
    records: Arc<Mutex<Vec<Record>>>,
    clients: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Load {
    pub(crate) fn start(nodes: Vec<SocketAddr>) -> Self {
        let load = Self {
            nodes,
            records: Arc::default(),
            clients: Mutex::default(),
        };
        for number in 0..CLIENTS {
            load.client(number, "/", PATIENCE, true);
        }
        load
    }

    /// One more client, which asks for a page that takes so long.
    pub(crate) fn with_long_requests(&self, takes: Duration) {
        let path = format!("/work?ms={}", takes.as_millis());
        let number = lock(&self.clients).len();
        self.client(number, &path, takes * 2 + PATIENCE, false);
    }

    fn client(&self, number: usize, path: &str, patience: Duration, short: bool) {
        let (nodes, records) = (self.nodes.clone(), Arc::clone(&self.records));
        let path = path.to_owned();
        let client = tokio::spawn(async move {
            for request in number.. {
                let node = nodes[request % nodes.len()];
                let began = Instant::now();
                let answer = http::visit(node, &path, patience).await;
                let record = Record {
                    began,
                    ended: Instant::now(),
                    answer,
                    short,
                };
                lock(&records).push(record);
                sleep(PAUSE).await;
            }
        });
        lock(&self.clients).push(AbortOnDropHandle::new(client));
    }

    /// The requests so far that began at this time or later.
    pub(crate) fn since(&self, from: Instant) -> Vec<Record> {
        let records = lock(&self.records);
        let later = records.iter().filter(|record| record.began >= from);
        later.cloned().collect()
    }
}

/// The times in which every short request failed, in their order.
pub(crate) fn outages(records: &[Record]) -> Vec<Outage> {
    let mut short: Vec<&Record> = records.iter().filter(|record| record.short).collect();
    short.sort_by_key(|record| record.ended);
    let mut found: Vec<Outage> = Vec::new();
    let mut before_failed = false;
    for record in short {
        let failed = record.failed();
        match found.last_mut().filter(|_| before_failed && failed) {
            Some(outage) => outage.until = record.ended,
            None if failed => found.push(Outage {
                from: record.began,
                until: record.ended,
            }),
            None => {}
        }
        before_failed = failed;
    }
    found
}

/// That an outage ends with the first answer, and that long requests say nothing of it.
pub(crate) fn check() {
    let start = Instant::now();
    let record = |from: u64, until: u64, answer: u16, short: bool| Record {
        began: start + Duration::from_secs(from),
        ended: start + Duration::from_secs(until),
        answer: Ok(answer),
        short,
    };
    let records = [
        record(0, 1, 200, true),
        record(1, 2, 502, true),
        record(2, 4, 503, true),
        record(0, 3, 200, false),
        record(4, 5, 200, true),
        record(5, 6, 504, true),
    ];
    let lasted: Vec<u64> = outages(&records)
        .iter()
        .map(|outage| outage.lasted().as_secs())
        .collect();
    assert_eq!(lasted, [3, 1], "the load counts outages wrongly");
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
