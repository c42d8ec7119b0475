//! Knows, for each request, the truth that the balancer's nodes did not know.
//!
//! A node routes by its own, late copy of the configuration. The oracle notes where the target
//! really stood at that moment, what became of the request, and what became of the process that
//! served it, so that a failure can be explained and a drain be proven from the outside. It only
//! watches: it must never influence where a request goes. Its memory is bounded.

mod history;
mod record;
mod summary;
#[cfg(test)]
mod tests;
mod ticket;

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use bluegreen_net::Clock;
use jiff::Timestamp;
use tokio::sync::watch;

pub use history::{ProcessState, TargetHistory};
pub use record::{Failure, InterruptedProcess, ProcessEnd, RequestRecord, Routing, Truth};
pub use summary::{Counters, RoutedToWithdrawn, Summary};
pub(crate) use ticket::Ticket;

use crate::topology::Topology;

/// How many ended requests are kept.
const RECENT_KEPT: usize = 10_000;
/// How many failed requests are kept; more than enough to read, and they outlive the recent ones.
const FAILURES_KEPT: usize = 1_000;
/// How many interrupted processes are kept.
const INTERRUPTED_KEPT: usize = 1_000;
/// How many targets are kept; the ones idle for longest are forgotten first.
const TARGETS_KEPT: usize = 4_096;
/// How many failures a summary puts into words.
const FAILURES_EXPLAINED: usize = 20;
/// Longest path and client id that are kept of a request, in characters.
const TEXT_KEPT: usize = 120;

/// Records requests; clones share one memory.
#[derive(Debug, Clone)]
pub struct Oracle {
    clock: Clock,
    topology: watch::Receiver<Arc<Topology>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    registrations: history::Registrations,
    in_flight: BTreeMap<u64, RequestRecord>,
    recent: VecDeque<RequestRecord>,
    failures: VecDeque<RequestRecord>,
    targets: BTreeMap<(String, u16), TargetHistory>,
    interrupted: VecDeque<(InterruptedProcess, Vec<u64>)>,
    counters: Counters,
}

impl Oracle {
    /// An oracle that takes the truth from what the control plane publishes.
    #[must_use]
    pub fn new(clock: Clock, topology: watch::Receiver<Arc<Topology>>) -> Self {
        let oracle = Self {
            clock,
            topology,
            state: Arc::default(),
        };
        drop(oracle.state());
        oracle
    }

    /// Follows the published truth until its sender is gone, so that a change is dated when it is
    /// published and not when the next request happens to arrive. The balancer runs this.
    pub(crate) async fn follow(self) {
        let mut changes = self.topology.clone();
        while changes.changed().await.is_ok() {
            drop(self.state());
        }
    }

    /// The memory, with the truth brought up to date.
    fn state(&self) -> MutexGuard<'_, State> {
        let topology = Arc::clone(&self.topology.borrow());
        let mut state = self
            .state
            .lock()
            .expect("no code that holds this lock can panic");
        state.registrations.observe(&topology, self.clock.now());
        state
    }

    /// A request's head was read by a node.
    pub(crate) fn arrived(&self, node: IpAddr, path: &str, client_id: Option<&str>) -> Ticket {
        let mut state = self.state();
        state.counters.arrived += 1;
        let number = state.counters.arrived;
        let record = RequestRecord {
            number,
            arrived: self.clock.now(),
            node,
            client_id: client_id.map(shortened),
            path: shortened(path),
            routing: None,
            status: None,
            failure: None,
            ended: None,
        };
        state.in_flight.insert(number, record);
        drop(state);
        Ticket::new(self.clone(), number)
    }

    /// The hosts started a process that serves this port.
    pub fn process_started(&self, instance: &str, port: u16) {
        let since = self.clock.now();
        self.state().target(instance, port).process = ProcessState::Running { since };
    }

    /// The hosts sent SIGTERM to the process that serves this port.
    /// Where the target is still registered in a target group, that is counted: the nodes go on
    /// sending to it.
    pub fn process_signalled(&self, instance: &str, port: u16) {
        let since = self.clock.now();
        let mut state = self.state();
        let registered = state.registrations.is_registered(instance, port);
        state.counters.signalled_while_registered += u64::from(registered);
        state.target(instance, port).process = ProcessState::Terminating { since };
    }

    /// The process that serves this port ended. Returns how many requests were in flight to it.
    /// Where there were any, they are watched: each that fails is one lost with the process.
    pub fn process_stopped(&self, instance: &str, port: u16, end: ProcessEnd) -> u64 {
        let at = self.clock.now();
        let mut state = self.state();
        state.target(instance, port).process = ProcessState::Stopped { since: at, end };
        let numbers: Vec<u64> = state
            .in_flight
            .values()
            .filter(|record| is_for(record, instance, port))
            .map(|record| record.number)
            .collect();
        let in_flight = numbers.len() as u64;
        if in_flight > 0 {
            let interrupted = InterruptedProcess {
                instance: instance.to_owned(),
                port,
                at,
                end,
                in_flight,
                failed: 0,
            };
            push_bounded(
                &mut state.interrupted,
                (interrupted, numbers),
                INTERRUPTED_KEPT,
            );
        }
        in_flight
    }

    /// How many requests this port of an instance has at this moment.
    #[must_use]
    pub fn in_flight(&self, instance: &str, port: u16) -> u64 {
        self.target(instance, port).in_flight
    }

    /// What happened to this port of an instance; all zero where nothing did.
    #[must_use]
    pub fn target(&self, instance: &str, port: u16) -> TargetHistory {
        let state = self.state();
        let key = (instance.to_owned(), port);
        state.targets.get(&key).cloned().unwrap_or_default()
    }

    /// The totals.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state().counters.clone()
    }

    /// The last ended requests, oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<RequestRecord> {
        self.state().recent.iter().cloned().collect()
    }

    /// The last failed requests, oldest first.
    #[must_use]
    pub fn failures(&self) -> Vec<RequestRecord> {
        self.state().failures.iter().cloned().collect()
    }

    /// Processes that ended with requests in flight, oldest first.
    #[must_use]
    pub fn interrupted(&self) -> Vec<InterruptedProcess> {
        let state = self.state();
        state
            .interrupted
            .iter()
            .map(|(one, _)| one.clone())
            .collect()
    }

    /// Says in one sentence what happened to a request.
    #[must_use]
    pub fn explain(&self, record: &RequestRecord) -> String {
        self.state().explain(record)
    }

    /// Everything at once, for a report.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let at = self.clock.now();
        let state = self.state();
        let skipped = state.failures.len().saturating_sub(FAILURES_EXPLAINED);
        Summary {
            at,
            counters: state.counters.clone(),
            in_flight: state.in_flight.len() as u64,
            targets: state
                .targets
                .iter()
                .map(|((id, port), history)| (format!("{id}:{port}"), history.clone()))
                .collect(),
            interrupted: state
                .interrupted
                .iter()
                .map(|(one, _)| one.clone())
                .collect(),
            failures: state
                .failures
                .iter()
                .skip(skipped)
                .map(|record| state.explain(record))
                .collect(),
        }
    }
}

impl State {
    fn target(&mut self, instance: &str, port: u16) -> &mut TargetHistory {
        let key = (instance.to_owned(), port);
        if !self.targets.contains_key(&key) && self.targets.len() >= TARGETS_KEPT {
            let idle_longest = self
                .targets
                .iter()
                .filter(|(_, history)| history.in_flight == 0)
                .min_by_key(|(_, history)| history.last_ended)
                .map(|(key, _)| key.clone());
            if let Some(idle_longest) = idle_longest {
                self.targets.remove(&idle_longest);
            }
        }
        self.targets.entry(key).or_default()
    }

    fn explain(&self, record: &RequestRecord) -> String {
        let target = record.routing.as_ref().and_then(|routing| {
            let key = (routing.target.id.clone(), routing.target.port);
            self.targets.get(&key)
        });
        summary::explain(record, target)
    }

    fn end(&mut self, number: u64, failure: Option<Failure>, now: Timestamp) {
        let Some(mut record) = self.in_flight.remove(&number) else {
            return;
        };
        record.failure = failure;
        record.ended = Some(now);
        let failed = record.failed() && failure != Some(Failure::ClientGone);
        self.counters.count_end(&record);
        if let Some(routing) = &record.routing {
            let key = routing.target.clone();
            let target = self.target(&key.id, key.port);
            target.in_flight = target.in_flight.saturating_sub(1);
            target.last_ended = Some(now);
            target.failed += u64::from(failed);
        }
        if failed {
            for (process, numbers) in &mut self.interrupted {
                if numbers.contains(&number) {
                    process.failed += 1;
                    self.counters.lost_with_process += 1;
                }
            }
            push_bounded(&mut self.failures, record.clone(), FAILURES_KEPT);
        }
        push_bounded(&mut self.recent, record, RECENT_KEPT);
    }
}

fn is_for(record: &RequestRecord, instance: &str, port: u16) -> bool {
    record
        .routing
        .as_ref()
        .is_some_and(|routing| routing.target.id == instance && routing.target.port == port)
}

fn shortened(text: &str) -> String {
    text.chars().take(TEXT_KEPT).collect()
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}
