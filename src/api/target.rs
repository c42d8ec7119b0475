//! The record of one target.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Color, Duration, StepKind, Time};

/// The record of one target: what was proven of it, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetStatus {
    /// The revision that it belongs to.
    pub revision: u64,

    /// The EC2 instance.
    pub id: String,

    /// The port that it is registered with.
    pub port: u16,

    /// The instance's availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,

    /// Whether its revision is live or coming in.
    pub color: Color,

    /// The version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// The application's process, where starting and stopping it is the controller's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,

    /// Registrations that were intended or seen, one for each target group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registrations: Vec<Registration>,

    /// The healthy observations so far, while they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthProgress>,

    /// The evidence of the drain, one for each target group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drain: Vec<GroupDrain>,

    /// How long the application has been quiet, while that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,

    /// Since when a target that had passed the health gate is not healthy any more. It counts as in
    /// service again only after it has passed the gate anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_since: Option<Time>,

    /// The record: absent is not yet.
    #[serde(default)]
    pub steps: Steps,
}

/// The command that last concerned a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// The operation id, which is in the SSM command's comment.
    pub operation: String,
    /// `Start`, `Stop` or `Terminate`.
    pub step: StepKind,
    /// When a command of this kind was first intended.
    pub requested_at: Time,
    /// When the command with this operation id was last intended to be sent.
    pub sent_at: Time,
    /// When the process was known to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at: Option<Time>,
    /// The command is known to have done nothing: it was refused, or never reached the host. A
    /// process that was to be stopped by it still serves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
}

/// A registration in one target group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// The target group's name.
    pub group: String,
    /// When RegisterTargets was intended. Absent where others registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Time>,
    /// It had been deregistered before. A reading that is made too soon may still show it as it
    /// was then, healthy, so its health counts only after an operation timeout.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renewed: bool,
    /// When the group first listed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Time>,
}

/// Healthy observations in a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthProgress {
    /// The first of the row.
    pub since: Time,
    /// The last that was counted.
    pub last: Time,
    /// How many.
    pub consecutive: u32,
}

/// What was seen of a drain in one target group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupDrain {
    /// The target group's name.
    pub group: String,
    /// When DeregisterTargets was intended. Absent where others deregistered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<Time>,
    /// It was healthy when it was withdrawn: it could serve again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_healthy: bool,
    /// The deregistration delay that was read before.
    pub delay: Duration,
    /// The time that the nodes are given to learn of it.
    pub settle: Duration,
    /// The first reading that said `draining`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining_seen_at: Option<Time>,
    /// The first reading in which it was not registered any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_seen_at: Option<Time>,
}

/// Readings of the probe that were quiet, in a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quiet {
    /// The first of the row.
    pub since: Time,
    /// Requests served so far, the same in every reading of the row.
    pub served: u64,
}

/// What was proven of a target, in the order of its life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Steps {
    /// Every target group lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registered>,
    /// It passed the health gate in every target group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<Healthy>,
    /// It was deregistered from every target group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistered: Option<Deregistered>,
    /// Nothing is in flight on it: proven in every target group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drained: Option<Drained>,
    /// The drain was not proven in time and `drain.onTimeout` is `Proceed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unproven: Option<Unproven>,
    /// Its process has ended, or its instance is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated: Option<Terminated>,
}

/// Every target group lists it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registered {
    /// The first reading in which all of them did.
    pub at: Time,
}

/// It passed the health gate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Healthy {
    /// When it passed.
    pub at: Time,
    /// How many observations in a row found it healthy. 0 for a target that was live before the
    /// first release.
    pub consecutive: u32,
}

/// It was deregistered from every target group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deregistered {
    /// The first reading in which no group sent to it any more.
    pub at: Time,
    /// The target groups.
    pub groups: Vec<String>,
}

/// Nothing is in flight on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drained {
    /// When it was proven.
    pub at: Time,
    /// How it was proven.
    pub proof: DrainProof,
    /// When it was deregistered from the last of its groups, at the latest.
    pub since: Time,
    /// The longest deregistration delay of its groups.
    pub delay: Duration,
    /// The settle time that was used.
    pub settle: Duration,
    /// The longest request that the proof covers: the load balancer cut those that took longer.
    /// Absent where the application itself was quiet in time, and where it was never registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Duration>,
    /// Requests in flight at the last reading. Absent without a probe: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u64>,
    /// Requests served at the last reading. Absent without a probe: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<u64>,
}

/// How a drain was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum DrainProof {
    /// Every group let the whole deregistration delay pass, and settle passed.
    FullDelay,
    /// After settle, the application was quiet for the whole quiet period.
    InFlightZero,
    /// It was never to be registered in any group, and none lists it after its deregistration was
    /// made sure of.
    NeverRegistered,
}

/// The drain was not proven in time, and the policy is to go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unproven {
    /// When it was given up.
    pub at: Time,
    /// What was missing.
    pub because: String,
}

/// Its process has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terminated {
    /// When that was known.
    pub at: Time,
    /// How it ended.
    pub how: StopHow,
    /// From SIGTERM to the end. Absent where nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
    /// The exit status, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum StopHow {
    /// By itself after SIGTERM, within the grace period.
    Graceful,
    /// By SIGKILL, when the grace period was over.
    Killed,
    /// It was not running when it was to be stopped.
    NotRunning,
    /// With its instance.
    InstanceTerminated,
}
