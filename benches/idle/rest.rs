//! Releases as they stand when they have nothing to do.

use std::error::Error;

use bluegreen::api::{BlueGreenRelease, BlueGreenReleaseStatus, Phase};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// The version that is live.
const VERSION: &str = "1.7.3";

/// The revision that is live; the one before it has ended.
const REVISION: u64 = 12;

/// As many ended releases as `status.history` keeps where the spec does not say.
const HISTORY: u64 = 10;

/// As many drains, and as many stops, as a status keeps to tell percentiles from.
const MEASURED: usize = 100;

/// A release as a user writes it and `kubectl apply` sends it: with what was applied as an
/// annotation.
pub(crate) fn applied(name: &str) -> Result<BlueGreenRelease, Box<dyn Error>> {
    let mut object = json!({
        "apiVersion": "bluegreen.dev/v1alpha1",
        "kind": "BlueGreenRelease",
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/name": "shop", "app.kubernetes.io/managed-by": "kustomize" },
        },
        "spec": {
            "version": VERSION,
            "adopt": { "version": VERSION },
            "traffic": { "registration": { "targetGroups": [{ "name": "shop" }] } },
            "fleet": { "hosts": {
                "selector": { "tags": { "app": "shop" } },
                "ports": [8080],
                "start": { "document": "BlueGreen-StartUnit", "parameters": {
                    "unit": "shop@{{port}}.service", "version": "{{version}}", "port": "{{port}}",
                } },
                "stop": { "unit": "shop@{{port}}.service" },
            } },
            "drain": { "inFlight": { "http": {
                "port": 9090,
                "inFlight": { "path": "/drain", "pointer": "/inFlight" },
                "served": { "path": "/drain", "pointer": "/served" },
            } } },
        },
    });
    let applied = object.to_string();
    object["metadata"]["annotations"] =
        json!({ "kubectl.kubernetes.io/last-applied-configuration": applied });
    object["metadata"]["finalizers"] = json!([bluegreen::api::FINALIZER]);
    Ok(serde_json::from_value(object)?)
}

/// What the controller made of a release by itself, with the record of a release that ended
/// behind it, as full as a record gets. The phase is one back, so that the controller has to look
/// and to write once before it rests.
pub(crate) fn after_a_release(
    adopted: &BlueGreenReleaseStatus,
    now: Timestamp,
) -> Result<BlueGreenReleaseStatus, Box<dyn Error>> {
    let mut status = serde_json::to_value(adopted)?;
    let ago = |minutes: i64| (now - SignedDuration::from_mins(minutes)).to_string();
    let live = status["targets"].as_array().cloned().unwrap_or_default();
    let mut targets = Vec::new();
    for (number, target) in live.into_iter().enumerate() {
        targets.push(ended(&target, number, &ago));
        targets.push(promoted(target, number, &ago));
    }
    status["targets"] = targets.into();
    status["phase"] = json!(Phase::Pending);
    status["revision"] = json!(REVISION);
    status["blue"]["revision"] = json!(REVISION);
    status["intent"] = json!({
        "id": "6f0c1c2e-0000-4000-8000-000000000001-12-Stop-3", "step": "Stop", "at": ago(31),
        "targets": ["i-0123456789abcdef0:8080"],
    });
    status["timings"] = json!({
        "drain": { "p50": "51s", "p99": "118s" },
        "stop": { "p50": "3s200ms", "p99": "24s" },
        "recommended": { "deregistrationDelay": "120s", "gracePeriod": "30s" },
        "lastDrains": vec!["51s"; MEASURED],
        "lastStops": vec!["3s200ms"; MEASURED],
    });
    status["history"] = (0..HISTORY)
        .map(|back| {
            json!({
                "revision": REVISION - back, "version": format!("1.7.{back}"),
                "outcome": "RolledBack", "startedAt": ago(60), "endedAt": ago(31),
                "reason": "i-0123456789abcdef0:8080 was not healthy within 10m: 502 from the health check",
            })
        })
        .collect();
    Ok(serde_json::from_value(status)?)
}

/// The target that went, with every proof.
fn ended(target: &Value, number: usize, ago: &impl Fn(i64) -> String) -> Value {
    let mut target = promoted(target.clone(), number, ago);
    target["revision"] = json!(REVISION - 1);
    target["process"] = json!({
        "operation": format!("6f0c1c2e-0000-4000-8000-000000000001-12-Stop-{number}"),
        "step": "Stop", "requestedAt": ago(33), "sentAt": ago(33), "runningAt": ago(90),
    });
    target["drain"] = json!([{
        "group": "shop", "requestedAt": ago(40), "delay": "300s", "settle": "45s",
        "drainingSeenAt": ago(40), "goneSeenAt": ago(34),
    }]);
    target["steps"]["deregistered"] = json!({ "at": ago(40), "groups": ["shop"] });
    target["steps"]["drained"] = json!({
        "at": ago(34), "proof": "InFlightZero", "since": ago(40), "delay": "300s",
        "settle": "45s", "inFlight": 0, "served": 1_283_004,
    });
    target["steps"]["terminated"] =
        json!({ "at": ago(32), "how": "Graceful", "took": "3s200ms", "exit": 143 });
    target
}

/// The target that came.
fn promoted(mut target: Value, number: usize, ago: &impl Fn(i64) -> String) -> Value {
    target["revision"] = json!(REVISION);
    target["process"] = json!({
        "operation": format!("6f0c1c2e-0000-4000-8000-000000000001-12-Start-{number}"),
        "step": "Start", "requestedAt": ago(59), "sentAt": ago(59), "runningAt": ago(58),
    });
    target["registrations"] =
        json!([{ "group": "shop", "requestedAt": ago(57), "seenAt": ago(57) }]);
    target["steps"] = json!({
        "registered": { "at": ago(57) }, "healthy": { "at": ago(56), "consecutive": 3 },
    });
    target
}

/// Whether nothing of a release's record is missing: what is measured has to be what was meant.
pub(crate) fn is_full(release: &BlueGreenRelease) -> bool {
    let managed = release.metadata.managed_fields.as_ref();
    let Some(status) = &release.status else {
        return false;
    };
    let stopped = |target: &&bluegreen::api::TargetStatus| target.steps.terminated.is_some();
    managed.is_some_and(|entries| entries.iter().any(|entry| entry.fields_v1.is_some()))
        && !status.conditions.is_empty()
        && status.history.len() as u64 == HISTORY
        && status.targets.iter().filter(stopped).count() * 2 == status.targets.len()
        && status
            .timings
            .as_ref()
            .is_some_and(|timings| timings.last_drains.len() == MEASURED)
}
