//! The totals, and failures in words.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    history::{ProcessState, TargetHistory},
    record::{Failure, InterruptedProcess, RequestRecord, Truth},
};

/// Everything that was counted since the oracle was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// When it was taken.
    pub at: Timestamp,
    /// Totals over all requests.
    pub counters: Counters,
    /// Requests in flight.
    pub in_flight: u64,
    /// Each target by `id:port`.
    pub targets: BTreeMap<String, TargetHistory>,
    /// The last processes that ended with requests in flight.
    pub interrupted: Vec<InterruptedProcess>,
    /// The last failures, in words.
    pub failures: Vec<String>,
}

/// Totals over all requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Requests that arrived.
    pub arrived: u64,
    /// Requests that ended.
    pub ended: u64,
    /// Requests that ended in a failure of the balancer or with a 5xx of the target. A client
    /// that gave up is not among them.
    pub failed: u64,
    /// Ended requests by the status that the client got.
    pub by_status: BTreeMap<u16, u64>,
    /// Failures by kind.
    pub by_failure: BTreeMap<Failure, u64>,
    /// Requests that used a pooled connection.
    pub on_reused_connections: u64,
    /// Requests that were routed in fail-open.
    pub in_fail_open: u64,
    /// Requests that were sent to a target after it was deregistered.
    pub routed_to_withdrawn: RoutedToWithdrawn,
    /// The longest request, in seconds.
    pub longest_seconds: f64,
    /// Processes that were sent SIGTERM while their target was registered.
    pub signalled_while_registered: u64,
    /// Requests that failed because their process ended under them.
    pub lost_with_process: u64,
}

/// How long after a deregistration nodes went on sending to the target.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutedToWithdrawn {
    /// How many requests.
    pub requests: u64,
    /// How many of them failed.
    pub failed: u64,
    /// The longest time after deregistration, in seconds.
    pub longest_seconds: f64,
}

impl Counters {
    /// Counts a request that has ended.
    pub(super) fn count_end(&mut self, record: &RequestRecord) {
        self.ended += 1;
        if let Some(status) = record.status {
            *self.by_status.entry(status).or_default() += 1;
        }
        if let Some(failure) = record.failure {
            *self.by_failure.entry(failure).or_default() += 1;
        }
        let failed = record.failed() && record.failure != Some(Failure::ClientGone);
        self.failed += u64::from(failed);
        if let Some(routing) = &record.routing
            && routing.truth.withdrawn_for().is_some()
        {
            self.routed_to_withdrawn.failed += u64::from(failed);
        }
        self.longest_seconds = self.longest_seconds.max(record.seconds().unwrap_or(0.0));
    }
}

/// Says in one sentence what happened to a request, with what was true of its target.
pub(super) fn explain(record: &RequestRecord, target: Option<&TargetHistory>) -> String {
    let mut text = format!("request {}", record.number);
    if let Some(id) = &record.client_id {
        write_to(&mut text, format_args!(" ({id})"));
    }
    write_to(&mut text, format_args!(" for {}", record.path));
    match (record.status, record.failure) {
        (Some(status), Some(failure)) => write_to(&mut text, format_args!(": {status}, {failure}")),
        (None, Some(failure)) => write_to(&mut text, format_args!(": {failure}")),
        (Some(status), None) => {
            write_to(&mut text, format_args!(": {status} from the target itself"));
        }
        (None, None) => text.push_str(": in flight"),
    }
    if let Some(seconds) = record.seconds() {
        write_to(&mut text, format_args!(" after {seconds:.1} s"));
    }
    let Some(routing) = &record.routing else {
        return text;
    };
    let key = &routing.target;
    write_to(
        &mut text,
        format_args!(
            "; node {} sent it to {}:{}, ",
            record.node, key.id, key.port
        ),
    );
    match routing.truth {
        Truth::Registering => text.push_str("which was still being registered"),
        Truth::Registered => text.push_str("which was registered"),
        Truth::Draining { seconds } => write_to(
            &mut text,
            format_args!("which had been deregistered {seconds:.1} s before"),
        ),
        Truth::Gone { seconds } => write_to(
            &mut text,
            format_args!("whose drain had ended; it was deregistered {seconds:.1} s before"),
        ),
    }
    if routing.fail_open {
        text.push_str(", in fail-open");
    }
    if let Some(target) = target {
        explain_process(&mut text, record, target.process);
    }
    text
}

fn explain_process(text: &mut String, record: &RequestRecord, process: ProcessState) {
    let (what, since) = match process {
        ProcessState::Unknown | ProcessState::Running { .. } => return,
        ProcessState::Terminating { since } => ("was sent SIGTERM".to_owned(), since),
        ProcessState::Stopped { since, end } => (end.to_string(), since),
    };
    let ended = record.ended.unwrap_or(since);
    if since > ended {
        return;
    }
    let ago = ended.duration_since(since).as_secs_f64();
    write_to(
        text,
        format_args!("; its process {what} {ago:.1} s before that"),
    );
}

fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a string takes whatever is written to it");
}
