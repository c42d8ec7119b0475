//! What the controller knows and intends.
//!
//! Status is also the controller's memory: it holds observations and intents, and nothing that
//! was merely hoped for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, LastRequest, TargetStatus, Time};

/// What the controller knows and intends.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// Whoever waits for a release, as Helm and Flux do, calls an object without a status ready. So it
// has one from the beginning, of a generation that is none.
#[schemars(extend("default" = { "observedGeneration": -1 }))]
pub struct BlueGreenReleaseStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the release stands, for people. Conditions are for machines.
    #[serde(default)]
    pub phase: Phase,

    /// What it does or waits for, and until when at the latest.
    #[serde(default)]
    pub message: String,

    /// `Ready` always; `Reconciling` or `Stalled` when true. `TargetsHealthy` while targets serve;
    /// `TrafficShifted` when all requests go to the version of the spec; `Drained` when every
    /// target that leaves has its proof.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The number of the last revision that was begun.
    #[serde(default)]
    pub revision: u64,

    /// The revision that is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue: Option<Revision>,

    /// The revision that is coming in, while a release is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<Revision>,

    /// Which way a release on its way goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,

    /// The generation of the spec whose release failed or was aborted, and was rolled back. It is
    /// not tried again until the spec changes, or somebody asks for `retry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_generation: Option<i64>,

    /// The last request that a person made with the annotation `bluegreen.dev/request`, and what
    /// became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_request: Option<LastRequest>,

    /// The record of every target: one for each revision, instance and port.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["revision".into(), "id".into(), "port".into()]))]
    pub targets: Vec<TargetStatus>,

    /// The effect that is about to be, or was last, made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,

    /// The number of the last effect that was intended. It grows with every one, and begins with
    /// the time in milliseconds, so that it also grows when an object is deleted and created
    /// anew. Every command to a host carries its number: a host refuses a number that is lower
    /// than one it has seen.
    #[serde(default)]
    pub fence: u64,

    /// Since when AWS could not be read, while no release is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable_since: Option<Time>,

    /// What is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,

    /// How long drains and stops took, and what follows for the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,

    /// Ended releases, the last first.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub history: Vec<HistoryEntry>,
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize, JsonSchema)]
pub enum Phase {
    /// Nothing is known yet.
    #[default]
    Pending,
    /// Looking whether a release can begin.
    Preflight,
    /// New processes start.
    Starting,
    /// New targets are registered and become healthy.
    Registering,
    /// The new targets are healthy beside the old ones, and `spec.promotion.mode` is `Manual`:
    /// somebody has to ask for `promote`.
    AwaitingPromotion,
    /// Old targets drain.
    Draining,
    /// Drained processes are kept alive for `retain`.
    Retaining,
    /// Old processes stop.
    Stopping,
    /// The desired version is live and nothing is left to do.
    Released,
    /// The old version is being put back.
    RollingBack,
    /// The release failed and the old version is live again.
    RolledBack,
    /// A person must act; the message says what for.
    Stalled,
    /// `spec.paused` is true, or somebody asked for a pause.
    Paused,
    /// The object is being deleted.
    Deleting,
}

impl Phase {
    /// The word in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Preflight => "Preflight",
            Self::Starting => "Starting",
            Self::Registering => "Registering",
            Self::AwaitingPromotion => "AwaitingPromotion",
            Self::Draining => "Draining",
            Self::Retaining => "Retaining",
            Self::Stopping => "Stopping",
            Self::Released => "Released",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Stalled => "Stalled",
            Self::Paused => "Paused",
            Self::Deleting => "Deleting",
        }
    }
}

/// Blue is live, green is coming in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
pub enum Color {
    /// Of the revision that is live.
    Blue,
    /// Of the revision that is coming in.
    Green,
}

/// One version being, or having been, rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revision {
    /// Its number: 1, 2, 3. 0 is what was there before the first release.
    pub revision: u64,

    /// Its version. Absent where nobody said what was live before the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// When it was begun.
    pub started_at: Time,
}

/// Which way a release goes. Once it rolls back it never turns forward again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Course {
    /// Forward, or back.
    pub direction: Direction,

    /// Since when.
    pub since: Time,

    /// The generation of the spec then.
    pub generation: i64,

    /// When the last step was completed: what `rollout.stepDeadline` is counted from.
    pub progress_at: Time,

    /// How the release will have ended, when it rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,

    /// Why it rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,

    /// Since when it is paused, where somebody asked for that. It ends with the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Time>,

    /// How many instances of the new version there were to be when the release began, where others
    /// create them. Fewer do not carry the traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub replicas: Option<u32>,

    /// When the old targets were given up for the new ones: by a person, or, with
    /// `spec.promotion.mode: Auto`, when the first of them was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<Time>,

    /// When somebody asked to try it again: deadlines count from then at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_at: Option<Time>,

    /// Since when it waits for a person: paused, or for a promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Time>,

    /// How long it has waited for people before that. `rollout.deadline` does not count it.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub idle: Duration,

    /// Why nothing more is done until a person acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,

    /// Since when AWS could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_since: Option<Time>,

    /// When AWS could be read again after half a minute or more without: `health.timeout` and
    /// `rollout.stepDeadline` count from then at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight_since: Option<Time>,
}

/// Forward, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Direction {
    /// Green comes in, blue leaves.
    Forward,
    /// Blue is put back, green leaves.
    Back,
}

/// Why nothing more is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// Since when.
    pub since: Time,
    /// The generation of the spec then. A change of the spec ends the hold.
    pub generation: i64,
    /// What failed.
    pub because: String,
}

/// An effect, written down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Intent {
    /// Derived from the object's UID, the revision, the step and its ordinal.
    pub id: String,
    /// What.
    pub step: StepKind,
    /// When it was written down.
    pub at: Time,
    /// On which targets, as `id:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// In which target group, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The kinds of effect.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
pub enum StepKind {
    /// Start the application on hosts.
    Start,
    /// Register targets in a target group.
    Register,
    /// Deregister targets from a target group.
    Deregister,
    /// Stop the application on hosts.
    Stop,
    /// Terminate instances.
    Terminate,
}

impl StepKind {
    /// The word in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Register => "Register",
            Self::Deregister => "Deregister",
            Self::Stop => "Stop",
            Self::Terminate => "Terminate",
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Next {
    /// When it is true, or has failed, at the latest.
    pub at: Time,
    /// What it is.
    pub because: String,
}

/// How long drains and stops took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timings {
    /// From deregistration to the first quiet reading: never less than settle. Only where a probe
    /// tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Percentiles>,
    /// From SIGTERM to the end of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Percentiles>,
    /// What follows from them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended: Option<Recommendation>,
    /// The last drains that these figures rest on, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_drains: Vec<Duration>,
    /// The last stops that these figures rest on, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_stops: Vec<Duration>,
}

/// The median and the 99th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Percentiles {
    /// Half took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

/// Settings that fit what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recommendation {
    /// For the target group's `deregistration_delay.timeout_seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregistration_delay: Option<Duration>,
    /// For `spec.stop.gracePeriod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<Duration>,
}

/// An ended release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HistoryEntry {
    /// Its revision.
    pub revision: u64,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// Why it did not end with its version live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Outcome {
    /// Its version went live.
    Promoted,
    /// It failed and the version before it was put back.
    RolledBack,
    /// A person asked to abort it, set the version before it again, or deleted the release, and
    /// the version before it was put back.
    Aborted,
    /// A person set yet another version, and the version before it was put back first.
    Superseded,
}
