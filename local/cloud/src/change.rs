//! What a call changes, for tests that ask whether something was done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde_json::Value;

use crate::ledger::Entry;

/// A change that a call makes to targets, instances or what runs on them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// As in `RegisterTargets`; for commands the document.
    pub action: String,
    /// Targets as `id:port`, instances as ids.
    pub subjects: BTreeSet<String>,
    /// The target group's ARN or the unit of a command.
    pub place: String,
}

impl fmt::Display for Change {
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

impl Change {
    /// What a call is meant to change, carried out or not; none, where it only reads.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
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
        Some(Self {
            at: entry.at,
            action,
            subjects,
            place,
        })
    }
}

/// What was done more than once, where each change should have been made once.
#[must_use]
pub fn doubled(changes: &[Change]) -> Vec<String> {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for change in changes {
        for subject in &change.subjects {
            let key = format!("{} {subject} {}", change.action, change.place);
            *times.entry(key).or_default() += 1;
        }
    }
    times
        .into_iter()
        .filter(|(_, times)| *times > 1)
        .map(|(what, times)| format!("{what}: {times} times"))
        .collect()
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
