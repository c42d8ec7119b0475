//! Server-side apply: a manager says which fields it wants, and owns exactly those.

use serde_json::Value;

use super::{
    fields::{self, FieldSet, Path, display, find},
    managed::{Entry, Operation, entries, in_scope, set_entries},
};
use crate::{catalog::Resource, status::ApiError};

/// One apply request.
#[derive(Debug)]
pub(crate) struct Apply {
    pub(crate) manager: String,
    /// Whether fields that others own are taken from them.
    pub(crate) force: bool,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

impl Apply {
    /// The object to create where there is none yet.
    pub(crate) fn create(
        &self,
        resource: &Resource,
        mut wanted: Value,
        now: &str,
    ) -> Result<Value, ApiError> {
        refuse_managed_fields(&wanted)?;
        let mut own = self.entry(resource);
        now.clone_into(&mut own.time);
        own.fields = self.fields(resource, &wanted);
        set_entries(&mut wanted, &[own]);
        Ok(wanted)
    }

    /// The live object with what is wanted merged in, what this manager no longer wants taken
    /// out, and the new owners noted.
    pub(crate) fn merge(
        &self,
        resource: &Resource,
        live: &Value,
        wanted: &Value,
        now: &str,
    ) -> Result<Value, ApiError> {
        refuse_managed_fields(wanted)?;
        let fields = self.fields(resource, wanted);
        let mut merged = fields::merge(&resource.schema, live, &self.scoped(resource, wanted));
        let mut entries = entries(live);
        let own = self.entry(resource);
        let position = entries.iter().position(|entry| entry.is_same_manager(&own));
        let mut own = match position {
            Some(position) => entries.remove(position),
            None => own,
        };
        self.settle_conflicts(&fields, live, &merged, &mut entries)?;
        take_out(&own.fields, &fields, &entries, &mut merged);

        for entry in &mut entries {
            entry.fields.retain(|path| find(&merged, path).is_some());
        }
        if own.fields != fields || without_managed_fields(live) != without_managed_fields(&merged) {
            now.clone_into(&mut own.time);
        }
        own.fields = fields;
        // The order stays, so that applying the same again changes nothing.
        entries.insert(position.unwrap_or(entries.len()), own);
        set_entries(&mut merged, &entries);
        for field in ["resourceVersion", "uid"] {
            let stated = &wanted["metadata"][field];
            if stated.is_string() {
                merged["metadata"][field] = stated.clone();
            }
        }
        Ok(merged)
    }

    fn entry(&self, resource: &Resource) -> Entry {
        Entry::new(resource, &self.manager, Operation::Apply, &self.subresource)
    }

    fn fields(&self, resource: &Resource, wanted: &Value) -> FieldSet {
        let mut fields = FieldSet::of(&resource.schema, wanted);
        fields.retain(|path| in_scope(resource, &self.subresource, path));
        fields
    }

    /// The part of what is wanted that this path of the resource may write.
    fn scoped(&self, resource: &Resource, wanted: &Value) -> Value {
        let mut wanted = wanted.clone();
        if let Some(fields) = wanted.as_object_mut() {
            fields.retain(|name, _| {
                let path = vec![format!("f:{name}")];
                !["apiVersion", "kind"].contains(&name.as_str())
                    && in_scope(resource, &self.subresource, &path)
            });
        }
        wanted
    }

    /// Fields that others own and that would change: a conflict or, with force, taken over.
    fn settle_conflicts(
        &self,
        fields: &FieldSet,
        live: &Value,
        merged: &Value,
        entries: &mut [Entry],
    ) -> Result<(), ApiError> {
        let changed = fields.changed(live, merged);
        let mut conflicts = Vec::new();
        for entry in entries {
            let contested = |path: &Path| changed.contains(path) && find(live, path).is_some();
            if self.force {
                entry.fields.retain(|path| !contested(path));
                continue;
            }
            for path in entry.fields.iter().filter(|path| contested(path)) {
                conflicts.push((entry.display(), display(path)));
            }
        }
        if conflicts.is_empty() {
            Ok(())
        } else {
            conflicts.sort();
            Err(ApiError::apply_conflict(&conflicts))
        }
    }
}

/// Removes what the manager applied before, does not want any more, and nobody else owns.
fn take_out(before: &FieldSet, wanted: &FieldSet, others: &[Entry], merged: &mut Value) {
    // Parents and items come before their fields, and take their fields along.
    for path in before.with_parents().iter() {
        let is_held = wanted.reaches(path) || others.iter().any(|entry| entry.fields.reaches(path));
        if !is_held && !fields::is_key(path) {
            fields::remove(merged, path);
        }
    }
}

fn refuse_managed_fields(wanted: &Value) -> Result<(), ApiError> {
    if wanted["metadata"].get("managedFields").is_some() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    Ok(())
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}
