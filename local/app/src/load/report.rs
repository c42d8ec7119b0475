//! What was counted.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bluegreen_net::Clock;
use jiff::Timestamp;
use serde::Serialize;

use super::histogram::Histogram;

/// How many seconds the timeline has at most; what comes later is counted in the last one.
const TIMELINE_SECONDS: usize = 2 * 3_600;
/// How many versions are told apart; a release has two.
const VERSIONS: usize = 32;
/// How many failures are described.
const FAILURES_DESCRIBED: usize = 100;

/// Why a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TransportError {
    /// The connection was refused.
    Refused,
    /// The connection could not be made for another reason.
    NotConnected,
    /// The connection was closed or reset before the head of the answer was complete. On a kept
    /// connection this can be the server that closed it while it was idle.
    Closed,
    /// The answer was broken off within the body.
    BodyBroken,
    /// There was no complete answer in time.
    Timeout,
}

impl fmt::Display for TransportError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refused => "connection refused",
            Self::NotConnected => "no connection",
            Self::Closed => "connection closed without an answer",
            Self::BodyBroken => "answer broken off within the body",
            Self::Timeout => "no complete answer in time",
        })
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With a complete answer.
    Answered {
        status: u16,
        /// The version that answered, where the answer says.
        version: Option<String>,
    },
    /// Without one.
    Failed(TransportError),
}

impl Outcome {
    fn is_success(&self) -> bool {
        match self {
            Self::Answered { status, version: _ } => (200..400).contains(status),
            Self::Failed(_) => false,
        }
    }
}

/// The counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Requests that were begun.
    pub sent: u64,
    /// Requests with a 2xx or 3xx answer.
    pub served: u64,
    /// Requests with any other end.
    pub failed: u64,
    /// Requests in flight; in a final report those that were given up.
    pub unfinished: u64,
    /// Arrivals that were not sent, because too many were in flight.
    pub not_sent: u64,
    /// Answers by status, good and bad.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests without an answer by reason.
    pub by_transport_error: BTreeMap<TransportError, u64>,
    /// Served requests by the version that served them.
    pub by_version: BTreeMap<String, u64>,
    /// The longest request that ended, in seconds.
    pub longest_seconds: f64,
    /// The median latency of served requests, in seconds.
    pub p50_seconds: f64,
    /// The latency that 90 % of the served requests did not exceed.
    pub p90_seconds: f64,
    /// The latency that 99 % of the served requests did not exceed.
    pub p99_seconds: f64,
}

/// What ended within one virtual second.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Requests with a 2xx or 3xx answer.
    pub served: u64,
    /// Requests with any other end.
    pub failed: u64,
    /// Served requests by version.
    pub by_version: BTreeMap<String, u64>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When the load began.
    pub started: Timestamp,
    /// When the report was made.
    pub at: Timestamp,
    /// The counts.
    pub totals: Totals,
    /// What ended in each second since the start.
    pub timeline: Vec<Second>,
    /// The first failures, in words.
    pub failures: Vec<String>,
}

/// Takes the counts; clones count together.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    clock: Clock,
    started: Timestamp,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    timeline: Vec<Second>,
    latencies: Histogram,
    failures: Vec<String>,
}

impl Recorder {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            started: clock.now(),
            clock,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code that holds this lock can panic")
    }

    /// Counts a request that is begun, unless `limit` have been; returns its number.
    pub(super) fn begin(&self, limit: u64) -> Option<u64> {
        let mut state = self.state();
        if state.totals.sent >= limit {
            return None;
        }
        state.totals.sent += 1;
        state.totals.unfinished += 1;
        Some(state.totals.sent)
    }

    pub(super) fn not_sent(&self) {
        self.state().totals.not_sent += 1;
    }

    pub(super) fn end(&self, number: u64, begun: Timestamp, outcome: &Outcome) {
        let now = self.clock.now();
        let latency = Duration::try_from(now.duration_since(begun)).unwrap_or_default();
        let since_start = now.duration_since(self.started);
        let mut state = self.state();
        let state = &mut *state;
        let totals = &mut state.totals;
        totals.unfinished -= 1;
        totals.longest_seconds = totals.longest_seconds.max(latency.as_secs_f64());
        let second = usize::try_from(since_start.as_secs())
            .unwrap_or(0)
            .min(TIMELINE_SECONDS - 1);
        if state.timeline.len() <= second {
            state.timeline.resize_with(second + 1, Second::default);
        }
        let second = &mut state.timeline[second];
        let what = match outcome {
            Outcome::Answered { status, version: _ } => {
                *totals.by_status.entry(*status).or_default() += 1;
                status.to_string()
            }
            Outcome::Failed(error) => {
                *totals.by_transport_error.entry(*error).or_default() += 1;
                error.to_string()
            }
        };
        if outcome.is_success() {
            totals.served += 1;
            second.served += 1;
            state.latencies.add(latency);
            if let Outcome::Answered {
                status: _,
                version: Some(version),
            } = outcome
            {
                count_version(&mut totals.by_version, version);
                count_version(&mut second.by_version, version);
            }
        } else {
            totals.failed += 1;
            second.failed += 1;
            if state.failures.len() < FAILURES_DESCRIBED {
                state.failures.push(format!(
                    "load-{number}: {what} after {:.1} s, {:.1} s after the start",
                    latency.as_secs_f64(),
                    since_start.as_secs_f64()
                ));
            }
        }
    }

    pub(super) fn totals(&self) -> Totals {
        self.state().finished_totals()
    }

    pub(super) fn report(&self) -> Report {
        let at = self.clock.now();
        let state = self.state();
        Report {
            started: self.started,
            at,
            totals: state.finished_totals(),
            timeline: state.timeline.clone(),
            failures: state.failures.clone(),
        }
    }
}

impl State {
    fn finished_totals(&self) -> Totals {
        Totals {
            p50_seconds: self.latencies.percentile(0.50),
            p90_seconds: self.latencies.percentile(0.90),
            p99_seconds: self.latencies.percentile(0.99),
            ..self.totals.clone()
        }
    }
}

fn count_version(counts: &mut BTreeMap<String, u64>, version: &str) {
    if let Some(count) = counts.get_mut(version) {
        *count += 1;
    } else if counts.len() < VERSIONS {
        counts.insert(version.to_owned(), 1);
    } else {
        *counts.entry("other".to_owned()).or_default() += 1;
    }
}
