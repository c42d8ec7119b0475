//! What a CustomResourceDefinition's status says: its conditions and the names it got.

use serde_json::{Value, json};

/// Whether the kind is served. It stays so while the definition is being deleted.
pub(super) fn is_established(definition: &Value) -> bool {
    condition(definition, "Established").is_some_and(|condition| condition["status"] == "True")
}

/// Writes the status of a definition that was created or changed. `taken` says who holds the kind
/// in the group already.
pub(crate) fn refresh(definition: &mut Value, taken: Option<&str>, now: &str) {
    let established = is_established(definition);
    match taken {
        None => {
            set(
                definition,
                "NamesAccepted",
                true,
                "NoConflicts",
                "no conflicts found",
                now,
            );
            let (reason, message) = (
                "InitialNamesAccepted",
                "the initial names have been accepted",
            );
            set(definition, "Established", true, reason, message, now);
            definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
        }
        Some(owner) => {
            let kind = definition["spec"]["names"]["kind"]
                .as_str()
                .unwrap_or_default();
            let message = format!("\"{kind}\" is already in use by {owner}");
            set(
                definition,
                "NamesAccepted",
                false,
                "KindConflict",
                &message,
                now,
            );
            if !established {
                let (reason, message) = ("NotAccepted", "not all names are accepted");
                set(definition, "Established", false, reason, message, now);
                definition["status"]["acceptedNames"] = json!({"plural": "", "kind": ""});
            }
        }
    }
    remember_storage_version(definition);
}

/// Says that the definition's objects are being deleted.
pub(crate) fn mark_terminating(definition: &mut Value, now: &str) {
    let (reason, message) = (
        "InstanceDeletionInProgress",
        "CustomResource deletion is in progress",
    );
    set(definition, "Terminating", true, reason, message, now);
}

fn remember_storage_version(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array();
    let storage = versions
        .into_iter()
        .flatten()
        .find(|version| version["storage"] == true)
        .map(|version| version["name"].clone());
    let mut stored = definition["status"]["storedVersions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    stored.extend(storage.filter(|version| !stored.contains(version)));
    definition["status"]["storedVersions"] = Value::Array(stored);
}

fn condition<'a>(definition: &'a Value, kind: &str) -> Option<&'a Value> {
    definition["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn set(definition: &mut Value, kind: &str, holds: bool, reason: &str, message: &str, now: &str) {
    let status = if holds { "True" } else { "False" };
    let since = condition(definition, kind)
        .filter(|condition| condition["status"] == status)
        .map_or_else(
            || Value::from(now),
            |condition| condition["lastTransitionTime"].clone(),
        );
    let new = json!({"type": kind, "status": status, "reason": reason, "message": message,
                     "lastTransitionTime": since});
    let conditions = &mut definition["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let conditions = conditions.as_array_mut().expect("it was just made a list");
    match conditions
        .iter_mut()
        .find(|condition| condition["type"] == kind)
    {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}
