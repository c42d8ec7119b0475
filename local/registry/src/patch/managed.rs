//! `metadata.managedFields`: which manager set which fields.

use serde_json::{Value, json};

use super::fields::{FieldSet, Path, find};
use crate::catalog::Resource;

/// How a manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// One manager's fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) subresource: String,
    api_version: String,
    pub(super) time: String,
    pub(super) fields: FieldSet,
}

impl Entry {
    /// An entry without fields.
    pub(super) fn new(
        resource: &Resource,
        manager: &str,
        operation: Operation,
        subresource: &str,
    ) -> Self {
        Self {
            manager: manager.to_owned(),
            operation,
            subresource: subresource.to_owned(),
            api_version: resource.api_version(),
            time: String::new(),
            fields: FieldSet::default(),
        }
    }

    /// Whether both are entries of one manager, writing in one way.
    pub(super) fn is_same_manager(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The manager as conflicts name it.
    pub(super) fn display(&self) -> String {
        let mut text = format!("\"{}\"", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource \"{}\"", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn decode(entry: &Value) -> Self {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            operation: if entry["operation"] == "Apply" {
                Operation::Apply
            } else {
                Operation::Update
            },
            subresource: text("subresource"),
            api_version: text("apiVersion"),
            time: text("time"),
            fields: FieldSet::decode(&entry["fieldsV1"]),
        }
    }

    fn encode(&self) -> Value {
        let operation = match self.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        let mut entry = json!({"manager": self.manager, "operation": operation,
            "apiVersion": self.api_version, "time": self.time, "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.encode()});
        if !self.subresource.is_empty() {
            entry["subresource"] = Value::from(self.subresource.as_str());
        }
        entry
    }
}

/// The entries of an object.
pub(super) fn entries(object: &Value) -> Vec<Entry> {
    let list = object["metadata"]["managedFields"].as_array();
    list.into_iter().flatten().map(Entry::decode).collect()
}

/// Writes the entries that own something into an object.
pub(super) fn set_entries(object: &mut Value, entries: &[Entry]) {
    let encoded: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(Entry::encode)
        .collect();
    if encoded.is_empty() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
    } else {
        object["metadata"]["managedFields"] = Value::Array(encoded);
    }
}

/// Whether a write to a subresource (empty for the object itself) may touch a path.
pub(super) fn in_scope(resource: &Resource, subresource: &str, path: &Path) -> bool {
    let is_status = path.first().is_some_and(|step| step == "f:status");
    if subresource == "status" {
        is_status
    } else {
        !(is_status && resource.has_status)
    }
}

/// A writer that does not use server-side apply: what it changes becomes its own.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    name: String,
    subresource: String,
}

impl Manager {
    /// The manager of a create, update or patch.
    pub(crate) fn update(name: &str, subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        }
    }

    /// Writes into `new` who owns what once it replaces `old`.
    pub(crate) fn track(
        &self,
        resource: &Resource,
        old: Option<&Value>,
        new: &mut Value,
        now: &str,
    ) {
        let before = old.unwrap_or(&Value::Null);
        let mut entries = entries(before);
        let in_scope = |path: &Path| in_scope(resource, &self.subresource, path);
        let mut fields = FieldSet::with_parts(resource, new);
        fields.retain(in_scope);
        let changed = fields.changed(before, new);
        for entry in &mut entries {
            entry.fields.retain(|path| {
                !in_scope(path) || (!changed.contains(path) && find(new, path).is_some())
            });
        }
        if !changed.is_empty() {
            let mut own = Entry::new(resource, &self.name, Operation::Update, &self.subresource);
            own.time = now.to_owned();
            match entries.iter_mut().find(|entry| entry.is_same_manager(&own)) {
                Some(entry) => {
                    entry.time = own.time;
                    entry.fields.add(changed);
                }
                None => {
                    own.fields = changed;
                    entries.push(own);
                }
            }
        }
        set_entries(new, &entries);
    }
}
