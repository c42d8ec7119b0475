//! What the ledger tells of a controller.

use std::{collections::BTreeSet, fmt};

use bluegreen_cloud::{Cloud, ledger::Entry};
use jiff::Timestamp;
use serde_json::Value;

use super::controller::PRINCIPAL;

/// A change that the controller made in AWS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mutation {
    pub(crate) at: Timestamp,
    /// As in `RegisterTargets`; for commands with the document.
    pub(crate) action: String,
    /// Targets as `id:port`, instances as ids.
    pub(crate) subjects: BTreeSet<String>,
    /// The target group's ARN or the port of a command.
    pub(crate) place: String,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            action,
            subjects,
            place,
        } = self;
        write!(f, "{at} {action} {subjects:?} in {place}")
    }
}

/// The controller's calls.
pub(crate) fn calls(cloud: &Cloud) -> Vec<Entry> {
    let mut calls = cloud.ledger(0);
    calls.retain(|call| call.principal == PRINCIPAL);
    calls
}

/// The changes that the controller made.
pub(crate) fn mutations(cloud: &Cloud) -> Vec<Mutation> {
    let calls = calls(cloud);
    let effective = calls.iter().filter(|call| call.effective);
    effective.filter_map(mutation).collect()
}

/// Whether a call is meant to change something, carried out or not.
pub(crate) fn changes(entry: &Entry) -> bool {
    mutation(entry).is_some()
}

fn mutation(entry: &Entry) -> Option<Mutation> {
    let (_, action) = entry.action.split_once(':')?;
    let parameters = &entry.parameters;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (action, subjects, place) = match action {
        "RegisterTargets" | "DeregisterTargets" => {
            let targets = flat(parameters, "Targets");
            (
                action.to_owned(),
                targets,
                text(&parameters["TargetGroupArn"]),
            )
        }
        "SendCommand" => {
            let document = text(&parameters["DocumentName"]);
            let unit = text(&parameters["Parameters"]["unit"][0]);
            (document, flat(parameters, "InstanceIds"), unit)
        }
        "TerminateInstances" => (
            action.to_owned(),
            flat(parameters, "InstanceId"),
            String::new(),
        ),
        _ => return None,
    };
    Some(Mutation {
        at: entry.at,
        action,
        subjects,
        place,
    })
}

/// The members of a list, whichever way the wire writes it.
fn flat(parameters: &Value, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    gather(&parameters[name], &mut found);
    found
}

fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Object(fields) => match (fields.get("Id"), fields.get("Port")) {
            (Some(id), port) => {
                let id = id.as_str().unwrap_or_default();
                let port = port.map(|port| port.as_str().map_or(port.to_string(), str::to_owned));
                found.insert(format!("{id}:{}", port.unwrap_or_default()));
            }
            (None, _) => fields.values().for_each(|field| gather(field, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
