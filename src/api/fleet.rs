//! Where the targets of a revision come from.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the targets of a revision come from. Exactly one kind is given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.hosts) != has(self.existing)").message("give exactly one kind of fleet: hosts or existing"),
)]
pub struct Fleet {
    /// EC2 instances that stay; the application's process on them is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Hosts>,

    /// EC2 instances that others create, as Terraform or an image pipeline does; a tag says which
    /// version each runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Existing>,
}

/// EC2 instances that stay; the application's process on them is replaced through AWS Systems
/// Manager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hosts {
    /// Which instances. All that match must be running, and reachable by Systems Manager.
    pub selector: InstanceSelector,

    /// The ports that the application is registered with. One port: recreate in place (drain,
    /// stop, start, register; memory for one process), `rollout.maxUnavailable` hosts at a time.
    /// Two ports: side by side (the new version is started on the free port first; memory for
    /// two processes).
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(
        validation = Rule::new("self.all(p, p >= 1 && p <= 65535)").message("a port is a number from 1 to 65535"),
        validation = Rule::new("self.size() != 2 || self[0] != self[1]").message("the two ports are the same; give one port to recreate in place, or two different ports"),
        validation = Rule::new("self == oldSelf").message("ports cannot be changed; create a new release for other ports"),
    )]
    pub ports: Vec<u16>,

    /// How a version is started on a host.
    pub start: Command,

    /// How it is stopped: SIGTERM, then SIGKILL when `stop.gracePeriod` is over. With two ports it
    /// must name `{{port}}`: the two processes are told apart by that.
    pub stop: StopCommand,
}

/// An SSM document and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Command {
    /// The document's name or ARN. It must be idempotent, since a command whose answer was lost
    /// is sent again. `BlueGreen-StartUnit` starts a systemd unit.
    #[schemars(length(min = 3, max = 256), regex(pattern = r"^[A-Za-z0-9_.:/-]+$"))]
    pub document: String,

    /// The document's parameters. `{{version}}`, `{{port}}`, `{{revision}}` and `{{fence}}` are
    /// filled in. The fence is a number that grows with every command for this release; a
    /// document that remembers the highest it saw can refuse a command that arrives late.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub parameters: BTreeMap<String, String>,
}

/// How an application is stopped. Exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.unit) != has(self.command)").message("give exactly one way to stop: unit or command"),
)]
pub struct StopCommand {
    /// A systemd service, as `shop@{{port}}.service`. The document `BlueGreen-StopUnit` stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9_.@:{}-]+\.service$")
    )]
    pub unit: Option<String>,

    /// A document of your own. `{{gracePeriod}}`, in whole seconds, is filled in too. Its
    /// contract: exit 0 when the application has ended, 10 when it had to be killed, anything else
    /// when it may still run. A last line as `stopped how=graceful seconds=3.2 exit=143` tells
    /// more; `how` is `graceful`, `killed` or `already-stopped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// EC2 instances that others create.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Existing {
    /// Which instances, of all versions.
    pub selector: InstanceSelector,

    /// The EC2 tag whose value is the version that an instance runs.
    #[schemars(length(min = 1, max = 128))]
    pub version_tag: String,

    /// The port that the application is registered with.
    #[schemars(range(min = 1, max = 65535))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("port cannot be changed; create a new release for another port"))]
    pub port: u16,

    /// How many instances of the new version must be there before the release begins. Default:
    /// as many as are live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub replicas: Option<u32>,

    /// What is done with an instance of the old version once it is drained. Default: `Never`.
    #[serde(default)]
    pub terminate: ExistingTermination,
}

/// What is done with a drained instance that others created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum ExistingTermination {
    /// Nothing: its record ends with `drained`.
    #[default]
    Never,
    /// It is terminated.
    Instances,
}

/// Which EC2 instances belong to the application.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, KubeSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self == oldSelf").message("selector cannot be changed; create a new release for other instances"))]
pub struct InstanceSelector {
    /// Tags that an instance must carry, all of them with these values. 1 to 10.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 10))]
    pub tags: BTreeMap<String, String>,
}
