//! Metrics for Prometheus. Every label comes from a closed set: no names of releases, targets or
//! errors.

use std::{future::Future, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{
    api::{BlueGreenReleaseStatus, Phase, StopHow, TargetStatus},
    cloud,
    plan::FailureKind,
};

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Woken without a reason: nothing was read.
    Rested,
    /// Nothing to do now.
    Waited,
    /// One effect was asked for.
    Acted,
    /// Somebody else wrote the object; the decision was dropped.
    Conflict,
    /// The object is gone.
    Gone,
    /// The object is not a release that this version understands.
    Invalid,
    /// The controller is shutting down.
    Stopped,
    /// The API server failed.
    Failed,
}

/// The verbs of [`Cloud`](cloud::Cloud).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(
    missing_docs,
    reason = "each is the verb of the trait with the same name"
)]
pub enum Operation {
    Connect,
    Addresses,
    Instances,
    TargetGroup,
    TargetHealth,
    Register,
    Deregister,
    Send,
    Command,
    Terminate,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    result: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    operation: Operation,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: PhaseLabel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PhaseLabel(Phase);

impl EncodeLabelValue for PhaseLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStop {
    how: &'static str,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    reconciles: Family<ByOutcome, Counter>,
    reconcile_seconds: Histogram,
    calls: Family<ByCall, Counter>,
    call_seconds: Family<ByOperation, Histogram>,
    throttles: Family<ByOperation, Counter>,
    drain_seconds: Histogram,
    drains_unproven: Counter,
    stop_seconds: Family<ByStop, Histogram>,
    releases: Family<ByPhase, Gauge>,
    drains: Gauge,
    events_dropped: Counter,
}

/// 1 ms to 32 s: a call or a pass.
fn short() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

/// 0.5 s to 2 h 16 min: the longest deregistration delay is an hour.
fn long() -> Histogram {
    Histogram::new(exponential_buckets(0.5, 2.0, 15))
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            reconcile_seconds: short(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(short),
            throttles: Family::default(),
            drain_seconds: long(),
            drains_unproven: Counter::default(),
            stop_seconds: Family::new_with_constructor(long),
            releases: Family::default(),
            drains: Gauge::default(),
            events_dropped: Counter::default(),
        }
    }
}

impl Metrics {
    /// Makes the metrics known to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("bluegreen");
        let seconds = || Unit::Seconds;
        registry.register(
            "reconciles",
            "Passes of the loop, by how they ended",
            self.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long passes took that read anything",
            seconds(),
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "cloud_calls",
            "Calls to the cloud, by verb and result",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "cloud_call_duration",
            "How long calls to the cloud took",
            seconds(),
            self.call_seconds.clone(),
        );
        registry.register(
            "cloud_throttles",
            "Calls that the cloud refused for being too many",
            self.throttles.clone(),
        );
        registry.register_with_unit(
            "drain_duration",
            "From a target's deregistration to the proof that it is drained",
            seconds(),
            self.drain_seconds.clone(),
        );
        registry.register(
            "drains_unproven",
            "Drains that were not proven in time",
            self.drains_unproven.clone(),
        );
        registry.register_with_unit(
            "stop_duration",
            "From SIGTERM to the end of the process",
            seconds(),
            self.stop_seconds.clone(),
        );
        registry.register("releases", "Releases, by phase", self.releases.clone());
        registry.register(
            "drains_in_progress",
            "Targets that are deregistered and not yet drained",
            self.drains.clone(),
        );
        registry.register(
            "events_dropped",
            "Kubernetes Events that were not published",
            self.events_dropped.clone(),
        );
    }

    /// Counts a pass.
    pub(super) fn reconciled(&self, outcome: Outcome, took: Duration) {
        self.reconciles
            .get_or_create(&ByOutcome { result: outcome })
            .inc();
        if outcome != Outcome::Rested {
            self.reconcile_seconds.observe(took.as_secs_f64());
        }
    }

    /// Makes a call to the cloud and counts it.
    pub(super) async fn measured<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, cloud::Error>>,
    ) -> Result<T, cloud::Error> {
        let started = tokio::time::Instant::now();
        let result = call.await;
        let category = match &result {
            Ok(_) => "ok",
            Err(error) => {
                if error.kind() == FailureKind::Throttled {
                    self.throttles
                        .get_or_create(&ByOperation { operation })
                        .inc();
                }
                error.category()
            }
        };
        self.calls
            .get_or_create(&ByCall {
                operation,
                result: category,
            })
            .inc();
        self.call_seconds
            .get_or_create(&ByOperation { operation })
            .observe(started.elapsed().as_secs_f64());
        result
    }

    /// Counts what a status says for the first time. To be called when the write has landed, so
    /// that a decision which was dropped and made again counts once.
    pub(super) fn proven(&self, old: &BlueGreenReleaseStatus, new: &BlueGreenReleaseStatus) {
        for (before, target) in super::events::changed_targets(old, new) {
            let steps = &target.steps;
            let unproven_before = before.is_some_and(|before| before.steps.unproven.is_some());
            if let Some(drained) = &steps.drained
                && before.is_none_or(|before| before.steps.drained.is_none())
            {
                self.drain_seconds
                    .observe(drained.at.since(drained.since).as_secs_f64());
            }
            if steps.unproven.is_some() && !unproven_before {
                self.drains_unproven.inc();
            }
            if let Some(terminated) = &steps.terminated
                && let Some(took) = terminated.took
                && before.is_none_or(|before| before.steps.terminated.is_none())
            {
                self.stop_seconds
                    .get_or_create(&ByStop {
                        how: stop_word(terminated.how),
                    })
                    .observe(took.as_secs_f64());
            }
        }
    }

    /// Sets the gauges from all releases there are.
    pub fn census<'a>(&self, statuses: impl Iterator<Item = &'a BlueGreenReleaseStatus>) {
        self.releases.clear();
        let mut draining = 0_i64;
        for status in statuses {
            self.releases
                .get_or_create(&ByPhase {
                    phase: PhaseLabel(status.phase),
                })
                .inc();
            draining += status
                .targets
                .iter()
                .map(|target| i64::from(drains(target)))
                .sum::<i64>();
        }
        self.drains.set(draining);
    }

    pub(super) fn event_dropped(&self) {
        self.events_dropped.inc();
    }
}

fn drains(target: &TargetStatus) -> bool {
    let steps = &target.steps;
    !target.drain.is_empty()
        && steps.drained.is_none()
        && steps.unproven.is_none()
        && steps.terminated.is_none()
}

fn stop_word(how: StopHow) -> &'static str {
    match how {
        StopHow::Graceful => "Graceful",
        StopHow::Killed => "Killed",
        StopHow::NotRunning => "NotRunning",
        StopHow::InstanceTerminated => "InstanceTerminated",
        StopHow::NeverStarted => "NeverStarted",
    }
}
