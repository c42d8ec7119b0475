//! Replacing an object, whole or its status.

use std::sync::Arc;

use serde_json::Value;

use super::{Writer, delete::holds_others, finalizers, is_terminating, meta, rules, text};
use crate::{
    catalog::{Model, Resource},
    crd,
    field_error::FieldError,
    schema,
    status::ApiError,
    store::{Key, Object},
};

/// Which half of the object a write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All but the status, where the status has a path of its own.
    Main,
    Status,
}

/// Metadata that only the server sets.
const SERVER_OWNED: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
];

/// The object is not the one that the caller means; where `found` is empty, there is none.
pub(crate) fn wrong_uid(resource: &Resource, key: &Key, wanted: &str, found: &str) -> ApiError {
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}",
        stored_as(resource, key)
    );
    ApiError::conflict(&resource.group_resource(), &key.name, &why)
}

/// Where a server with etcd stores the object. Only what has a definition, and the definitions
/// themselves, stand in a folder of their group.
fn stored_as(resource: &Resource, key: &Key) -> String {
    let group = match resource.model {
        Model::Custom | Model::Definition => resource.group.as_str(),
        Model::Lease | Model::ControllerRevision | Model::Event(_) | Model::Namespace => "",
    };
    let folders = ["/registry", group, &resource.plural, &key.namespace];
    let folders = folders.into_iter().filter(|folder| !folder.is_empty());
    let path: Vec<&str> = folders.chain([key.name.as_str()]).collect();
    path.join("/")
}

/// Whoever writes an object names the one that the URL names.
pub(crate) fn refuse_other_name(object: &Value, on_url: &str) -> Result<(), ApiError> {
    let name = text(object, "/metadata/name");
    if name == on_url {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({on_url})"
    )))
}

impl Writer<'_> {
    /// Replaces the object at `key` with `new`, which need not say what only the server sets.
    pub(crate) fn update(
        &mut self,
        resource: &Resource,
        key: &Key,
        new: Value,
        scope: Scope,
    ) -> Result<Object, ApiError> {
        let old = self.existing(resource, key)?;
        Self::check_identity(resource, key, &old, &new)?;
        let mut new = match scope {
            Scope::Main => Self::merge_main(resource, &old, new),
            Scope::Status => Self::merge_status(&old, &new),
        };
        if resource.model == Model::Definition {
            crd::prepare(&mut new);
        }
        schema::defaults(&resource.schema, &mut new);
        rules::complete(resource, &mut new);
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if new == *old {
            // Nothing changed, so nothing is written and no watcher hears of it.
            return Ok(old);
        }
        let mut errors = meta::validate(&new);
        errors.extend(new_finalizers_while_terminating(&old, &new));
        Self::validate(resource, &new, Some(&old), errors)?;
        if resource.counts_generations() && asks_for_more(resource, &old, &new) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
            new["metadata"]["generation"] = Value::from(generation + 1);
        }
        if resource.model == Model::Definition {
            let owner = self.kind_owner(&new);
            crd::refresh(&mut new, owner.as_deref(), &self.now);
        }
        Ok(self.store_or_finish(resource, key, new))
    }

    /// Stores an object, or removes it where it was only waiting for its last finalizer.
    pub(super) fn store_or_finish(
        &mut self,
        resource: &Resource,
        key: &Key,
        object: Value,
    ) -> Object {
        if is_terminating(&object) && finalizers(&object).is_empty() && !holds_others(resource) {
            // Watchers see one event, the removal, and not the write that led to it.
            self.transaction.remove(key);
            return Arc::new(object);
        }
        self.transaction.put(key.clone(), object)
    }

    fn check_identity(
        resource: &Resource,
        key: &Key,
        old: &Value,
        new: &Value,
    ) -> Result<(), ApiError> {
        refuse_other_name(new, &key.name)?;
        let name = key.name.as_str();
        let namespace = text(new, "/metadata/namespace");
        if !namespace.is_empty() && namespace != key.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            ));
        }
        let (old_uid, new_uid) = (text(old, "/metadata/uid"), text(new, "/metadata/uid"));
        if !new_uid.is_empty() && new_uid != old_uid {
            return Err(wrong_uid(resource, key, new_uid, old_uid));
        }
        let version = text(new, "/metadata/resourceVersion");
        if version.is_empty() && !resource.allows_unconditional_update() {
            let errors = [FieldError::invalid(
                "metadata.resourceVersion",
                Value::from(0),
                "must be specified for an update",
            )];
            return Err(ApiError::invalid(
                &resource.group,
                // Servers name the resource here and not the kind.
                &resource.plural,
                name,
                &errors,
            ));
        }
        if !version.is_empty() && version != text(old, "/metadata/resourceVersion") {
            return Err(ApiError::modified(&resource.group_resource(), name));
        }
        Ok(())
    }

    fn merge_main(resource: &Resource, old: &Value, mut new: Value) -> Value {
        if resource.has_status {
            carry(old, &mut new, "status");
        }
        let metadata = &mut new["metadata"];
        for field in SERVER_OWNED {
            carry(&old["metadata"], metadata, field);
        }
        carry(&old["metadata"], metadata, "namespace");
        match resource.model {
            // Its finalizer is the server's business: it says that content may be left.
            Model::Namespace => carry(old, &mut new, "spec"),
            Model::Definition
            | Model::Lease
            | Model::ControllerRevision
            | Model::Event(_)
            | Model::Custom => {}
        }
        new
    }

    fn merge_status(old: &Value, new: &Value) -> Value {
        let mut merged = old.clone();
        carry(new, &mut merged, "status");
        carry(&new["metadata"], &mut merged["metadata"], "managedFields");
        merged
    }
}

/// Sets a field of `to` as `from` has it, which may be not at all.
fn carry(from: &Value, to: &mut Value, field: &str) {
    let Some(fields) = to.as_object_mut() else {
        return;
    };
    match from.get(field) {
        Some(value) => fields.insert(field.to_owned(), value.clone()),
        None => fields.remove(field),
    };
}

/// Whether what a user asks for changed: anything but metadata and, where it is apart, status.
fn asks_for_more(resource: &Resource, old: &Value, new: &Value) -> bool {
    let desired = |object: &Value| {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("metadata");
            if resource.has_status {
                fields.remove("status");
            }
        }
        object
    };
    desired(old) != desired(new)
}

fn new_finalizers_while_terminating(old: &Value, new: &Value) -> Option<FieldError> {
    if !is_terminating(old) {
        return None;
    }
    let before = finalizers(old);
    let added: Vec<String> = finalizers(new)
        .into_iter()
        .filter(|finalizer| !before.contains(finalizer))
        .map(|finalizer| format!("{finalizer:?}"))
        .collect();
    if added.is_empty() {
        return None;
    }
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{}}}",
        added.join(", ")
    );
    Some(FieldError::forbidden("metadata.finalizers", detail))
}
