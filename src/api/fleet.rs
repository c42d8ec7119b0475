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
#[x_kube(
    validation = Rule::new("!has(self.applicationPorts) || self.applicationPorts.size() == self.ports.size()").message("applicationPorts and ports differ in length; give one application port for each of ports, in the same order"),
    validation = Rule::new("!has(self.applicationPorts) || self.ports.size() != 2 || self.applicationPorts.size() != 2 || (self.applicationPorts[0] != self.ports[1] && self.applicationPorts[1] != self.ports[0])").message("an application port is the registered port of the other process; give the application a port that is not in ports"),
    validation = Rule::new("has(self.applicationPorts) == has(oldSelf.applicationPorts) && (!has(self.applicationPorts) || self.applicationPorts == oldSelf.applicationPorts)").message("applicationPorts cannot be changed; create a new release for other ports"),
)]
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

    /// The ports on which the application's own process listens, 1 to 65535, where another program
    /// such as nginx listens on `ports` and passes requests on. As many as `ports`, in the same
    /// order: with `ports: [80]` and `applicationPorts: [8080]`, port 80 of each host is registered
    /// and the application listens on 8080. It fills in `{{applicationPort}}`. The probe asks this
    /// port, and `stop.unit` checks it. Cannot be changed. Default: `ports`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(
        validation = Rule::new("self.all(p, p >= 1 && p <= 65535)").message("an application port is a number from 1 to 65535"),
        validation = Rule::new("self.size() != 2 || self[0] != self[1]").message("the two application ports are the same; give each of the two processes a port of its own"),
    )]
    pub application_ports: Vec<u16>,

    /// How a version is started on a host.
    pub start: Command,

    /// How it is stopped: SIGTERM, then SIGKILL when `stop.gracePeriod` is over. With two ports it
    /// must name `{{port}}` or `{{applicationPort}}`: the two processes are told apart by that.
    pub stop: StopCommand,
}

impl Hosts {
    /// The port on which the application's process of the target on `registered` listens.
    #[must_use]
    pub fn application_port(&self, registered: u16) -> u16 {
        let mut pairs = self.ports.iter().zip(&self.application_ports);
        let found = pairs.find(|(port, _)| **port == registered);
        found.map_or(registered, |(_, application)| *application)
    }
}

impl Fleet {
    /// The port on which the application's process of the target on `registered` listens.
    #[must_use]
    pub fn application_port(&self, registered: u16) -> u16 {
        let hosts = self.hosts.as_ref();
        hosts.map_or(registered, |hosts| hosts.application_port(registered))
    }
}

/// An SSM document and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Command {
    /// The document's name or ARN. It must be idempotent, since a command whose answer was lost
    /// is sent again. `BlueGreen-StartUnit` starts a systemd unit.
    #[schemars(length(min = 3, max = 256), regex(pattern = r"^[A-Za-z0-9_.:/-]+$"))]
    pub document: String,

    /// The document's parameters. `{{version}}`, `{{port}}`, `{{applicationPort}}`, `{{revision}}`
    /// and `{{fence}}` are filled in. The fence is a number that grows with every command for this
    /// release; a document that remembers the highest it saw can refuse a command that arrives late.
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
    /// A systemd service, as `shop@{{port}}.service` or `shop@{{applicationPort}}.service`. The
    /// document `BlueGreen-StopUnit` stops it. The release is stopped with a message if the unit
    /// does not exist on a host, or is down while the application's port is still listened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9_.@:{}-]+\.service$")
    )]
    pub unit: Option<String>,

    /// A document of your own. `{{gracePeriod}}`, in whole seconds, is filled in too. Its
    /// contract: exit 0 when the application has ended, 10 when it had to be killed, 12 or 13 when
    /// nothing was stopped and the same command would not help, anything else when it may still run.
    /// A last line as `stopped how=graceful seconds=3.2 exit=143` tells
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_application_port_belongs_to_the_registered_port_in_its_place() {
        let mut hosts = json!({
            "selector": { "tags": { "app": "shop" } },
            "ports": [81, 82],
            "start": { "document": "BlueGreen-StartUnit" },
            "stop": { "unit": "shop@{{applicationPort}}.service" },
        });
        let read =
            |hosts: &serde_json::Value| -> Hosts { serde_json::from_value(hosts.clone()).unwrap() };
        let same = read(&hosts);
        assert_eq!([81, 82].map(|port| same.application_port(port)), [81, 82]);
        hosts["applicationPorts"] = json!([8081, 8082]);
        let behind = read(&hosts);
        assert_eq!(
            [81, 82, 83].map(|port| behind.application_port(port)),
            [8081, 8082, 83]
        );
        let fleet = Fleet {
            hosts: Some(behind),
            existing: None,
        };
        assert_eq!(fleet.application_port(82), 8082);
    }
}
