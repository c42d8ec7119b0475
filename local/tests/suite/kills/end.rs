//! What a release comes to, and how two ends differ.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{ProcessChange, World};

/// Fields of a status that say when, how long or how often, or name what was counted up by that.
/// A kill costs time, and a command that has to be sent again has a new operation and fence.
const TIMES: [&str; 9] = [
    "consecutive",
    "fence",
    "health",
    "intent",
    "next",
    "operation",
    "renewed",
    "timings",
    "took",
];

/// What a release comes to: all of it must be the same with a kill as without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End(Value);

impl End {
    pub(super) async fn of(world: &World) -> Self {
        let status = world.release().await.map(|release| release.status);
        let mut status = json!(status);
        forget_times(&mut status);
        let groups = world.built.groups.iter();
        let targets: Vec<_> = groups
            .map(|group| sorted(world.targets(group).into_iter()))
            .collect();
        Self(json!({
            "status": status,
            "targets": targets,
            "running": sorted(world.apps.running().into_iter()),
            "started": sorted(world.processes(ProcessChange::Started).into_iter()),
            "toldToStop": sorted(world.processes(ProcessChange::Signalled).into_iter()),
            "changes": changes(world),
        }))
    }

    /// The lines in which this end differs from another, empty where it does not.
    pub(super) fn differs(&self, from: &Self) -> String {
        if self == from {
            return String::new();
        }
        let lines = |end: &Self| {
            let text = serde_json::to_string_pretty(&end.0).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (these, those) = (lines(self), lines(from));
        let only = |sign: &str, some: &[String], others: &[String]| {
            let mut left = others.to_vec();
            let mut only = Vec::new();
            for line in some {
                match left.iter().position(|other| other == line) {
                    Some(found) => drop(left.swap_remove(found)),
                    None => only.push(format!("{sign} {line}")),
                }
            }
            only
        };
        let mut differences = only("-", &those, &these);
        differences.extend(only("+", &these, &those));
        if differences.is_empty() {
            return "the same lines in another order".to_owned();
        }
        differences.join("\n")
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.sort();
    items
}

/// Every change in AWS, without its time. An idempotent repeat is the same change on some of the
/// same subjects: only what is new counts.
fn changes(world: &World) -> BTreeSet<String> {
    let mut changes = BTreeSet::new();
    for mutation in world.mutations() {
        for subject in &mutation.subjects {
            changes.insert(format!("{} {subject} {}", mutation.action, mutation.place));
        }
    }
    changes
}

/// Takes out what a kill may change.
fn forget_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            fields.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        Value::String(text) if text.parse::<Timestamp>().is_ok() => *value = json!("a time"),
        // Of several targets in the same trouble a message names the one that is seen first.
        Value::String(text) if text.contains("target i-") => {
            let words = text.split(' ').map(|word| match word.starts_with("i-") {
                true => "one",
                false => word,
            });
            *text = words.collect::<Vec<_>>().join(" ");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Targets whose deregistration was asked for again while they were draining.
pub(super) fn repeated_deregistrations(world: &World) -> Vec<String> {
    let mut draining = BTreeSet::new();
    let mut repeated = Vec::new();
    for mutation in world.mutations() {
        for target in &mutation.subjects {
            let key = format!("{target} {}", mutation.place);
            match mutation.action.as_str() {
                "DeregisterTargets" if !draining.insert(key.clone()) => repeated.push(key),
                "RegisterTargets" => {
                    draining.remove(&key);
                }
                _ => {}
            }
        }
    }
    repeated
}
