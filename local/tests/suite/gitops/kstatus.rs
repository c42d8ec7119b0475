//! The rules of kstatus for a kind that it does not know, in its order.

use serde::Deserialize;
use serde_json::Value;

/// What kstatus says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Status {
    Terminating,
    InProgress,
    Failed,
    Current,
}

pub(crate) fn verdict(object: &Value) -> Status {
    let metadata = &object["metadata"];
    if metadata["deletionTimestamp"].is_string() {
        return Status::Terminating;
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() {
        // It fails on anything but an integer, and with it everything that waits by it.
        assert!(observed.is_i64(), "{observed}");
        if observed != &metadata["generation"] {
            return Status::InProgress;
        }
    }
    let conditions = object["status"]["conditions"].as_array();
    let conditions: Vec<(&Value, &Value)> = conditions
        .into_iter()
        .flatten()
        .map(|condition| (&condition["type"], &condition["status"]))
        .collect();
    for (type_, status) in &conditions {
        if *type_ == "Reconciling" && *status == "True" {
            return Status::InProgress;
        }
        if *type_ == "Stalled" && *status == "True" {
            return Status::Failed;
        }
    }
    match conditions.iter().find(|(type_, _)| *type_ == "Ready") {
        Some((_, status)) if *status != "True" => Status::InProgress,
        // An object without conditions is ready by its existence.
        Some(_) | None => Status::Current,
    }
}
