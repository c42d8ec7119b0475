//! The resource itself.

#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns have the same type"
)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    Adopt, Aws, BlueGreenReleaseStatus, Drain, DriftPolicy, Duration, FailurePolicy, Fleet, Health,
    Promotion, Rollout, Stop, Traffic,
};

/// The API group.
pub const GROUP: &str = "bluegreen.dev";

/// The API version.
pub const VERSION: &str = "v1alpha1";

/// The finalizer that is on every release before its first effect on AWS.
pub const FINALIZER: &str = "bluegreen.dev/release";

/// Whether a text may be a version: 1 to 63 letters, digits and `._+-`, with a letter or a digit at
/// both ends. Nothing in it means anything to a shell.
#[must_use]
pub fn is_a_version(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && outer(bytes.first())
        && outer(bytes.last())
        && bytes.iter().copied().all(inner)
}

/// One application on EC2 behind an Elastic Load Balancer, and the version of it that should be
/// live. Changing `version` is a release.
#[derive(Debug, Clone, PartialEq, Eq, CustomResource, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "bluegreen.dev",
    version = "v1alpha1",
    kind = "BlueGreenRelease",
    plural = "bluegreenreleases",
    singular = "bluegreenrelease",
    shortname = "bgr",
    category = "bluegreen",
    namespaced,
    status = "BlueGreenReleaseStatus",
    derive = "PartialEq",
    doc = "One application on EC2 behind an Elastic Load Balancer, and the version of it that should be live. Changing `spec.version` is a release: new targets are started, registered and healthy before old ones are deregistered, and an old one is stopped only after proof that nothing is in flight on it.",
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".spec.version",
        description = "The version that should be live"
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Where the release stands"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the desired version is live and nothing is left to do"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "What it does or waits for, and until when"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "The time since it was created"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.retain) || !self.retain.matches('[1-9]') || !has(self.fleet.hosts) || self.fleet.hosts.ports.size() == 2").message("retain needs two ports: with one port the old process must stop before the new one starts"),
    validation = Rule::new("!has(self.promotion) || !has(self.promotion.mode) || self.promotion.mode != 'Manual' || !has(self.fleet.hosts) || self.fleet.hosts.ports.size() == 2").message("promotion.mode Manual needs two ports: with one port the old process must stop before the new one starts, so there is no moment at which both wait"),
    validation = Rule::new("has(self.fleet.hosts) == has(oldSelf.fleet.hosts)").message("fleet cannot be changed to another kind; create a new release"),
)]
pub struct BlueGreenReleaseSpec {
    /// The version that should be live, 1 to 63 characters. Changing it is a release. Changing it
    /// back to the version that is still live rolls a running release back.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$")
    )]
    pub version: String,

    /// While true, no new step is begun. What was begun goes on: a draining target drains, a
    /// stopping process stops. To pause one release only, without a change of the spec, ask for
    /// `pause` with the annotation `bluegreen.dev/request`. Default: false.
    #[serde(default)]
    pub paused: bool,

    /// How traffic reaches the application.
    #[x_kube(validation = Rule::new("self == oldSelf").message("traffic cannot be changed; create a new release for other target groups"))]
    pub traffic: Traffic,

    /// Where the targets come from.
    pub fleet: Fleet,

    /// How far and how long a release may go.
    #[serde(default)]
    pub rollout: Rollout,

    /// When a new target counts as healthy.
    #[serde(default)]
    pub health: Health,

    /// When an old target counts as drained.
    #[serde(default)]
    pub drain: Drain,

    /// How an application is stopped.
    #[serde(default)]
    pub stop: Stop,

    /// Whether a person decides that the new version takes over.
    #[serde(default)]
    pub promotion: Promotion,

    /// How long the old processes are kept alive after the last of them was deregistered, so that
    /// a release can be undone at once. Not with one port. Default: 0s.
    #[serde(default)]
    pub retain: Duration,

    /// What happens when a release fails. Default: `Rollback`.
    #[serde(default)]
    pub on_failure: FailurePolicy,

    /// What is done at rest about a live target that others have deregistered. Whatever it is, the
    /// condition `InSync` names the difference. Default: `Report`.
    #[serde(default, skip_serializing_if = "DriftPolicy::is_default")]
    pub drift: DriftPolicy,

    /// How many ended releases `status.history` keeps. Default: 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 50))]
    pub history: u32,

    /// What is known of the application from before the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,

    /// The AWS account and region.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("aws cannot be changed; create a new release for another account or region"))]
    pub aws: Aws,
}

fn ten() -> u32 {
    10
}
