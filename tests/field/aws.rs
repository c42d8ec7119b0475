//! Calls to the simulated AWS as another user of the account makes them, and the simulation's own
//! doors.

use serde_json::{Value, json};

use crate::http::Request;

/// The access key of the suite. The controller has another.
const KEY: &str = "suite";

/// The AWS of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    pub(crate) endpoint: String,
    pub(crate) group: String,
    pub(crate) subnet: String,
}

/// A call that changed something, as the ledger has it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) at: jiff::Timestamp,
    pub(crate) who: String,
    pub(crate) action: String,
    pub(crate) parameters: Value,
}

impl Change {
    /// What it is about, in short.
    pub(crate) fn about(&self) -> String {
        let mut parameters = self.parameters.clone();
        if let Some(fields) = parameters.as_object_mut() {
            let usual = [
                "Action",
                "Version",
                "TargetGroupArn",
                "MaxConcurrency",
                "MaxErrors",
            ];
            fields.retain(|name, _| !usual.contains(&name.as_str()));
        }
        parameters.to_string()
    }

    /// Whether it names this instance.
    pub(crate) fn names(&self, id: &str) -> bool {
        self.parameters.to_string().contains(id)
    }
}

impl Aws {
    async fn call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, String> {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20260101/region/{service}/aws4_request, Signature=0"
        );
        let mut body = format!("Action={action}&Version={version}");
        for (name, value) in parameters {
            body.push_str(&format!("&{name}={value}"));
        }
        let request = Request {
            method: "POST",
            url: &self.endpoint,
            headers: &[
                ("Authorization", &credential),
                ("Content-Type", "application/x-www-form-urlencoded"),
            ],
            body: &body,
        };
        request.send().await?.good(action)
    }

    pub(crate) async fn elb(&self, action: &str, more: &[(&str, &str)]) -> Result<String, String> {
        let mut parameters = vec![("TargetGroupArn", self.group.as_str())];
        parameters.extend(more);
        let service = "elasticloadbalancing";
        self.call(service, "2015-12-01", action, &parameters).await
    }

    pub(crate) async fn ec2(&self, action: &str, more: &[(&str, &str)]) -> Result<String, String> {
        self.call("ec2", "2016-11-15", action, more).await
    }

    async fn targets(&self, action: &str, targets: &[(&str, u16)]) -> Result<(), String> {
        for (id, port) in targets {
            let port = port.to_string();
            let parameters = [
                ("Targets.member.1.Id", *id),
                ("Targets.member.1.Port", port.as_str()),
            ];
            self.elb(action, &parameters).await?;
        }
        Ok(())
    }

    pub(crate) async fn register(&self, targets: &[(&str, u16)]) -> Result<(), String> {
        self.targets("RegisterTargets", targets).await
    }

    pub(crate) async fn deregister(&self, targets: &[(&str, u16)]) -> Result<(), String> {
        self.targets("DeregisterTargets", targets).await
    }

    pub(crate) async fn attribute(&self, name: &str, value: &str) -> Result<(), String> {
        let parameters = [
            ("Attributes.member.1.Key", name),
            ("Attributes.member.1.Value", value),
        ];
        self.elb("ModifyTargetGroupAttributes", &parameters)
            .await
            .map(drop)
    }

    pub(crate) async fn tag(&self, id: &str, name: &str, value: &str) -> Result<(), String> {
        let parameters = [
            ("ResourceId.1", id),
            ("Tag.1.Key", name),
            ("Tag.1.Value", value),
        ];
        self.ec2("CreateTags", &parameters).await.map(drop)
    }

    /// Launches an instance that runs a version; its id.
    pub(crate) async fn launch(&self, app: &str, version: &str) -> Result<String, String> {
        let image = format!("ami-{version}");
        let parameters = [
            ("ImageId", image.as_str()),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("SubnetId", self.subnet.as_str()),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "app"),
            ("TagSpecification.1.Tag.1.Value", app),
            ("TagSpecification.1.Tag.2.Key", "Version"),
            ("TagSpecification.1.Tag.2.Value", version),
        ];
        let answer = self.ec2("RunInstances", &parameters).await?;
        let id = answer
            .split_once("<instanceId>")
            .and_then(|(_, rest)| rest.split('<').next());
        id.map(str::to_owned)
            .ok_or_else(|| format!("RunInstances names no instance: {answer}"))
    }

    async fn door(&self, method: &str, door: &str, body: &Value) -> Result<Value, String> {
        let request = Request {
            method,
            url: &format!("{}/_sim/{door}", self.endpoint),
            headers: &[],
            body: &body.to_string(),
        };
        let answer = request.send().await?.good(door)?;
        serde_json::from_str(&answer).map_err(|error| error.to_string())
    }

    /// What is true in the simulated AWS.
    pub(crate) async fn state(&self) -> Result<Value, String> {
        self.door("GET", "state", &Value::Null).await
    }

    /// Sets a fault; see `bluegreen_cloud::faults`.
    pub(crate) async fn fault(&self, fault: &Value) -> Result<(), String> {
        self.door("POST", "faults", fault).await.map(drop)
    }

    /// Clears all faults.
    pub(crate) async fn mend(&self) -> Result<(), String> {
        self.door("DELETE", "faults", &Value::Null).await.map(drop)
    }

    /// Whether the SSM agent of an instance answers.
    pub(crate) async fn agent(&self, id: &str, online: bool) -> Result<(), String> {
        let switch = json!({ "switch": "agentOffline", "instance": id, "offline": !online });
        self.door("POST", "switches", &switch).await.map(drop)
    }

    /// The calls that changed something, of everybody.
    pub(crate) async fn changes(&self) -> Vec<Change> {
        let ledger = self.door("GET", "ledger", &Value::Null).await;
        let entries = ledger.unwrap_or_default();
        let entries = entries.as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        entries
            .iter()
            .filter(|entry| entry["effective"] == true)
            .filter_map(|entry| {
                let action = text(entry, "action");
                let (_, name) = action.split_once(':')?;
                let reads = ["Describe", "List", "Get"];
                if reads.iter().any(|word| name.starts_with(word)) {
                    return None;
                }
                Some(Change {
                    at: text(entry, "at").parse().ok()?,
                    who: text(entry, "principal"),
                    action: name.to_owned(),
                    parameters: entry["parameters"].clone(),
                })
            })
            .collect()
    }

    /// Those of the controller.
    pub(crate) async fn controllers_changes(&self) -> Vec<Change> {
        let mut changes = self.changes().await;
        changes.retain(|change| change.who != KEY);
        changes
    }
}
