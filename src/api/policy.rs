//! How carefully a release goes about its work.

use std::{borrow::Cow, str::FromStr};

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Duration, InFlight};

/// How far and how long a release may go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Rollout {
    /// How many hosts may be out of service at a time when the application is recreated in place:
    /// a count (`1`) or a share of the hosts (`25%`, rounded down, at least one). At least one
    /// target always stays in service. Default: `1`.
    pub max_unavailable: MaxUnavailable,

    /// How long one step of one batch may take before the release counts as failed. Default: 15m.
    pub step_deadline: Duration,

    /// How long the whole release may take before it counts as failed. Default: 2h.
    pub deadline: Duration,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            max_unavailable: MaxUnavailable::Count(1),
            step_deadline: Duration::from_secs(15 * 60),
            deadline: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// A count (`1`) or a share (`25%`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxUnavailable {
    /// So many hosts.
    Count(u32),
    /// So many hundredths of the hosts, rounded down, at least one.
    Percent(u32),
}

impl MaxUnavailable {
    /// How many of `hosts` may be out of service: at least one.
    #[must_use]
    pub fn of(self, hosts: usize) -> usize {
        let count = match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => hosts * percent as usize / 100,
        };
        count.max(1)
    }
}

impl FromStr for MaxUnavailable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |_| format!("{text:?} is neither a count nor a share; write 1 or 25%");
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().map(Self::Percent).map_err(wrong),
            None => text.parse().map(Self::Count).map_err(wrong),
        }
    }
}

impl Serialize for MaxUnavailable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}

impl<'de> Deserialize<'de> for MaxUnavailable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum IntOrString {
            Int(u32),
            String(String),
        }
        match IntOrString::deserialize(deserializer)? {
            IntOrString::Int(count) => Ok(Self::Count(count)),
            IntOrString::String(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for MaxUnavailable {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MaxUnavailable".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The limits hold for the integer and the pattern for the string: JSON Schema ignores a
        // keyword that is not for the type of the value. A CEL rule would have to ask for
        // `type(self)`, which not every evaluator of these rules knows.
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 1,
            "maximum": 500,
            "pattern": "^([1-9][0-9]?|[1-4][0-9]{2}|500|([1-9][0-9]?|100)%)$"
        })
    }
}

/// When a new target counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Health {
    /// How many observations in a row must find the target healthy in every target group.
    /// A load balancer calls a new target healthy after a single success. Default: 3.
    #[schemars(range(min = 1, max = 20))]
    pub consecutive: u32,

    /// How long it must have been healthy without a break. Default: 10s.
    pub stable_for: Duration,

    /// How long a target may take from its start to `healthy` before the release counts as
    /// failed. Default: 10m.
    pub timeout: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            consecutive: 3,
            stable_for: Duration::from_secs(10),
            timeout: Duration::from_secs(10 * 60),
        }
    }
}

/// When an old target counts as drained.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.earlyFinish) || !self.earlyFinish || has(self.inFlight)").message("earlyFinish needs inFlight: without a probe nobody can say that nothing is in flight"),
)]
pub struct Drain {
    /// The time that the load balancer's nodes need to learn of a change; a target is never
    /// stopped before it has passed since its deregistration. `Auto` is 45s for an Application
    /// and 180s for a Network Load Balancer. Default: `Auto`.
    #[serde(default)]
    pub settle: Settle,

    /// Where the application says how many requests are in flight. Without it, only the full
    /// deregistration delay proves a drain, and status says that in-flight is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,

    /// How long a request may take. A load balancer cuts what is in flight when the deregistration
    /// delay is over: where that of a target group is shorter than this, nothing is withdrawn (with
    /// `onTimeout: Proceed` it is, and the condition `DelayTooShort` says so). Default: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_request: Option<Duration>,

    /// Do not wait for the end of the deregistration delay when `inFlight` proves that nothing
    /// is left. Only with `inFlight`. Default: false.
    #[serde(default)]
    pub early_finish: bool,

    /// What happens when a drain is not proven within deregistration delay, settle and a margin.
    /// Default: `Hold`.
    #[serde(default)]
    pub on_timeout: DrainTimeoutPolicy,
}

/// `Auto` or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Settle {
    /// 45s for an Application, 180s for a Network Load Balancer.
    #[default]
    Auto,
    /// So long.
    For(Duration),
}

impl Serialize for Settle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("Auto"),
            Self::For(duration) => duration.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Settle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text == "Auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::For).map_err(D::Error::custom)
    }
}

impl JsonSchema for Settle {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Settle".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(Auto|([0-9]{1,9}(ms|s|m|h))+)$",
            "maxLength": 32
        })
    }
}

/// What happens when a drain is not proven in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum DrainTimeoutPolicy {
    /// The target is kept, the release is stalled, and a person decides. Where the new version
    /// is not in service everywhere, the release still turns back after `rollout.stepDeadline`,
    /// which puts the target back in service and stops nothing.
    #[default]
    Hold,
    /// The target is stopped all the same. It is recorded as unproven, never as drained.
    Proceed,
}

/// How an application is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Stop {
    /// The time between SIGTERM and SIGKILL. Default: 30s.
    pub grace_period: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            grace_period: Duration::from_secs(30),
        }
    }
}

/// Whether a person decides that the new version takes over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Promotion {
    /// Who decides. Default: `Auto`.
    pub mode: PromotionMode,
}

/// Who decides that the new version takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum PromotionMode {
    /// Nobody: the old targets are withdrawn as soon as all new ones are past their health gate.
    #[default]
    Auto,
    /// A person. Once all new targets are past their health gate, both versions serve until
    /// somebody asks for it with the annotation `bluegreen.dev/request: promote N`, where N is
    /// `status.revision`; only then is the first old target withdrawn. No deadline counts while it
    /// waits. Not with one port.
    Manual,
}

/// What happens when a release fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum FailurePolicy {
    /// The old version is put back: first every old target that still runs is registered again.
    #[default]
    Rollback,
    /// Everything is left as it is, and a person decides: to change the spec, or to ask for `retry`
    /// or `abort` with the annotation `bluegreen.dev/request`.
    Hold,
}

/// What is done at rest about a live target that others have deregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum DriftPolicy {
    /// Nothing: the condition `InSync` names it.
    #[default]
    Report,
    /// It is registered again.
    Repair,
}

impl DriftPolicy {
    /// Whether it is the policy of a spec that names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of the application from before the first release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adopt {
    /// The version that is live when the release is first seen. With it, the first release can be
    /// rolled back; where it equals `version`, nothing is done.
    #[schemars(length(min = 1, max = 63))]
    pub version: String,
}

/// The AWS account and region.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aws {
    /// The region. Default: the controller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"))]
    pub region: Option<String>,
}
