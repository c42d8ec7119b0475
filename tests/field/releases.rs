//! Releases through the Kubernetes API, as kubectl would have them.

use std::time::Duration;

use bluegreen_local::scenario::{NAME, OLD_VERSION};
use serde_json::{Value, json};

use crate::http::{Answer, Request};

/// The version that is released first.
pub(crate) const NEW_VERSION: &str = "1.8.0";

/// The Kubernetes API of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Releases {
    /// Its URL, with the token.
    pub(crate) server: String,
}

/// Where a release is: its namespace and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Where the release of most scenarios is.
    pub(crate) fn usual() -> Self {
        Self::new("default", NAME)
    }
}

impl Releases {
    fn url(&self, place: &Place) -> String {
        format!(
            "{}/apis/bluegreen.dev/v1alpha1/namespaces/{}/bluegreenreleases/{}",
            self.server, place.namespace, place.name
        )
    }

    /// Server-side apply; the answer may be a refusal.
    pub(crate) async fn try_apply(
        &self,
        place: &Place,
        manifest: &Value,
    ) -> Result<Answer, String> {
        let mut manifest = manifest.clone();
        manifest["metadata"] = json!({ "name": place.name, "namespace": place.namespace });
        let request = Request {
            method: "PATCH",
            url: &format!("{}?fieldManager=suite&force=true", self.url(place)),
            headers: &[("Content-Type", "application/apply-patch+yaml")],
            body: &manifest.to_string(),
        };
        request.send().await
    }

    pub(crate) async fn apply(&self, place: &Place, manifest: &Value) -> Result<(), String> {
        let answer = self.try_apply(place, manifest).await?;
        answer.good("apply").map(drop)
    }

    pub(crate) async fn delete(&self, place: &Place) -> Result<(), String> {
        let request = Request {
            method: "DELETE",
            url: &self.url(place),
            ..Request::default()
        };
        request.send().await?.good("delete").map(drop)
    }

    /// The object; nothing where there is none.
    pub(crate) async fn get(&self, place: &Place) -> Result<Option<Value>, String> {
        let request = Request {
            method: "GET",
            url: &self.url(place),
            ..Request::default()
        };
        let answer = request.send().await?;
        match answer.status {
            200 => Ok(Some(answer.json())),
            404 => Ok(None),
            status => Err(format!("get: {status} {}", answer.body)),
        }
    }

    pub(crate) async fn namespace(&self, name: &str) -> Result<(), String> {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let request = Request {
            method: "POST",
            url: &format!("{}/api/v1/namespaces", self.server),
            headers: &[("Content-Type", "application/json")],
            body: &body.to_string(),
        };
        request.send().await?.good("namespace").map(drop)
    }

    /// What Events say, as `reason: note`, in all namespaces.
    pub(crate) async fn events(&self) -> Vec<String> {
        let request = Request {
            method: "GET",
            url: &format!("{}/apis/events.k8s.io/v1/events", self.server),
            ..Request::default()
        };
        let Ok(answer) = request.send().await else {
            return Vec::new();
        };
        let answer = answer.json();
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        items
            .iter()
            .map(|item| format!("{}: {}", text(item, "reason"), text(item, "note")))
            .collect()
    }
}

/// A release of hosts whose application is replaced in place, or side by side with two ports. Its
/// times are short, and a drain takes the whole deregistration delay.
pub(crate) fn hosts(version: &str, ports: &[u16]) -> Value {
    let unit = format!("{NAME}@{{{{port}}}}.service");
    manifest(
        version,
        &json!({ "hosts": {
            "selector": { "tags": { "app": NAME } },
            "ports": ports,
            "start": { "document": "BlueGreen-StartUnit", "parameters": {
                "unit": unit,
                "version": "{{version}}",
                "port": "{{port}}",
                "revision": "{{revision}}",
                "fence": "{{fence}}",
            } },
            "stop": { "unit": unit },
        } }),
    )
}

/// A release of instances that others create.
pub(crate) fn existing(version: &str) -> Value {
    let mut release = manifest(
        version,
        &json!({ "existing": {
            "selector": { "tags": { "app": NAME } },
            "versionTag": "Version",
            "port": 8080,
            "terminate": "Instances",
        } }),
    );
    // A tag says which version an instance runs.
    if let Some(spec) = release["spec"].as_object_mut() {
        spec.remove("adopt");
    }
    release
}

fn manifest(version: &str, fleet: &Value) -> Value {
    json!({
        "apiVersion": "bluegreen.dev/v1alpha1",
        "kind": "BlueGreenRelease",
        "spec": {
            "version": version,
            "adopt": { "version": OLD_VERSION },
            "traffic": { "registration": { "targetGroups": [{ "name": NAME }] } },
            "fleet": fleet,
            "health": { "consecutive": 2, "stableFor": "1s", "timeout": "60s" },
            "drain": { "settle": "3s" },
            "stop": { "gracePeriod": "10s" },
            "rollout": { "stepDeadline": "120s" },
        },
    })
}

/// A time as the API writes it.
pub(crate) fn seconds(time: Duration) -> Value {
    json!(format!("{}s", time.as_secs()))
}
