//! Metrics for Prometheus. Every label comes from a closed set: no names of releases, targets or
//! errors.

use std::time::Duration;

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

use crate::api::{BlueGreenReleaseStatus, Phase, StopHow, TargetStatus};

/// The category of an error of the cloud that means too many requests.
const THROTTLED: &str = "throttled";

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
    /// The controller is shutting down, or does not lead any more.
    Stopped,
    /// Nothing was begun, because the lease might not outlast it.
    Unfenced,
    /// The API server failed.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    result: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    operation: &'static str,
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
    aws_requests: Family<ByOperation, Gauge>,
    aws_calls: Family<ByCall, Counter>,
    aws_seconds: Family<ByOperation, Histogram>,
    aws_throttles: Family<ByOperation, Counter>,
    aws_held_back: Family<ByOperation, Counter>,
    drain_seconds: Histogram,
    drains_unproven: Counter,
    stop_seconds: Family<ByStop, Histogram>,
    releases: Family<ByPhase, Gauge>,
    not_understood: Gauge,
    drains: Gauge,
    events_dropped: Counter,
    leading: Gauge,
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
            aws_requests: Family::default(),
            aws_calls: Family::default(),
            aws_seconds: Family::new_with_constructor(short),
            aws_throttles: Family::default(),
            aws_held_back: Family::default(),
            drain_seconds: long(),
            drains_unproven: Counter::default(),
            stop_seconds: Family::new_with_constructor(long),
            releases: Family::default(),
            not_understood: Gauge::default(),
            drains: Gauge::default(),
            events_dropped: Counter::default(),
            leading: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Makes the metrics known to a registry. Their names begin with `bluegreen_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("bluegreen");
        self.register_loop(registry);
        self.register_aws(registry);
        self.register_releases(registry);
    }

    fn register_loop(&self, registry: &mut Registry) {
        let help = "Passes of the loop, by how they ended";
        registry.register("reconciles", help, self.reconciles.clone());
        let help = "How long passes took that read anything";
        let metric = self.reconcile_seconds.clone();
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, metric);
        let help = "Kubernetes Events that were not published";
        registry.register("events_dropped", help, self.events_dropped.clone());
        let help = "1 where this process works, 0 where it stands by";
        registry.register("leading", help, self.leading.clone());
    }

    fn register_aws(&self, registry: &mut Registry) {
        let help = "Requests to AWS that are under way";
        registry.register("aws_requests", help, self.aws_requests.clone());
        let help = "Requests to AWS, by operation and result";
        registry.register("aws_calls", help, self.aws_calls.clone());
        let help = "How long requests to AWS took";
        let metric = self.aws_seconds.clone();
        registry.register_with_unit("aws_call_duration", help, Unit::Seconds, metric);
        let help = "Requests that AWS refused for being too many";
        registry.register("aws_throttles", help, self.aws_throttles.clone());
        let help = "Requests that were not made because our own budget was used up";
        registry.register("aws_held_back", help, self.aws_held_back.clone());
    }

    fn register_releases(&self, registry: &mut Registry) {
        let help = "Releases, by phase";
        registry.register("releases", help, self.releases.clone());
        let help = "Releases that this version does not understand and leaves alone";
        let metric = self.not_understood.clone();
        registry.register("releases_not_understood", help, metric);
        let help = "Targets that are deregistered and not yet drained";
        registry.register("drains_in_progress", help, self.drains.clone());
        let help = "From a target's deregistration to the proof that it is drained";
        let metric = self.drain_seconds.clone();
        registry.register_with_unit("drain_duration", help, Unit::Seconds, metric);
        let help = "Targets that were given up without the proof that they are drained";
        registry.register("drains_unproven", help, self.drains_unproven.clone());
        let help = "From SIGTERM to the end of the process";
        let metric = self.stop_seconds.clone();
        registry.register_with_unit("stop_duration", help, Unit::Seconds, metric);
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

    /// A request to AWS begins. `operation` is the API's word.
    pub fn aws_started(&self, operation: &'static str) {
        self.aws_requests
            .get_or_create(&ByOperation { operation })
            .inc();
    }

    /// A request to AWS ended. `result` is `ok` or the category of an error; both words come from
    /// closed sets.
    pub fn aws_finished(&self, operation: &'static str, result: &'static str, took: Duration) {
        self.aws_requests
            .get_or_create(&ByOperation { operation })
            .dec();
        self.aws_calls
            .get_or_create(&ByCall { operation, result })
            .inc();
        self.aws_seconds
            .get_or_create(&ByOperation { operation })
            .observe(took.as_secs_f64());
        if result == THROTTLED {
            self.aws_throttles
                .get_or_create(&ByOperation { operation })
                .inc();
        }
    }

    /// A request to AWS was not made, because our own budget had nothing left for it.
    pub fn aws_held_back(&self, operation: &'static str) {
        self.aws_held_back
            .get_or_create(&ByOperation { operation })
            .inc();
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

    /// Sets the gauges from all releases there are; one that is not understood counts as nothing.
    pub(super) fn census(&self, releases: impl Iterator<Item = Option<Counted>>) {
        self.releases.clear();
        let (mut not_understood, mut all_draining) = (0_i64, 0_i64);
        for release in releases {
            let Some(Counted { phase, draining }) = release else {
                not_understood += 1;
                continue;
            };
            self.releases
                .get_or_create(&ByPhase {
                    phase: PhaseLabel(phase),
                })
                .inc();
            all_draining += i64::from(draining);
        }
        self.not_understood.set(not_understood);
        self.drains.set(all_draining);
    }

    /// Whether this process works.
    pub(super) fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    pub(super) fn event_dropped(&self) {
        self.events_dropped.inc();
    }
}

/// What the gauges count of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    phase: Phase,
    /// Targets that are deregistered and not yet drained.
    draining: u32,
}

impl Counted {
    /// What a status says; none has been written before the first pass.
    pub(super) fn of(status: Option<&BlueGreenReleaseStatus>) -> Self {
        let targets = status.map_or(&[][..], |status| &status.targets);
        Self {
            phase: status.map(|status| status.phase).unwrap_or_default(),
            draining: targets.iter().map(|target| u32::from(drains(target))).sum(),
        }
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
    }
}
