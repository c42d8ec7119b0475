//! Deleting an object: at once, or when its finalizers are gone.

use serde_json::{Value, json};

use super::{
    Writer, finalizers,
    garbage::{Policy, set_or_remove},
    is_terminating, text,
};
use crate::{
    catalog::{Model, Resource},
    crd,
    field_error::FieldError,
    request::Query,
    status::{ApiError, GroupResource, deleted},
    store::Key,
};

/// What a deletion asks for.
#[derive(Debug, Default, Clone)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    /// What becomes of the dependents.
    pub(crate) policy: Option<Policy>,
}

impl DeleteOptions {
    /// Reads a body. Where it is empty, the query may have a propagation policy.
    pub(crate) fn parse(body: &[u8], query: &Query) -> Result<(Self, bool), ApiError> {
        let options: Value = if body.is_empty() {
            json!({"propagationPolicy": query.get("propagationPolicy")})
        } else {
            serde_json::from_slice(body).map_err(|error| {
                ApiError::bad_request(format!("the delete options are not JSON: {error}"))
            })?
        };
        let precondition = |field: &str| {
            let value = &options["preconditions"][field];
            value.as_str().map(str::to_owned)
        };
        let dry_run = options["dryRun"]
            .as_array()
            .is_some_and(|list| list.contains(&Value::from("All")));
        let parsed = Self {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            policy: policy(&options)?,
        };
        Ok((parsed, dry_run))
    }
}

/// The propagation policy, if there is one; one that does not exist is refused.
fn policy(options: &Value) -> Result<Option<Policy>, ApiError> {
    let Some(text) = options["propagationPolicy"].as_str() else {
        return Ok(None);
    };
    let known = Policy::parse(text).map(Some);
    known.ok_or_else(|| {
        let error = FieldError::not_supported(
            "propagationPolicy",
            Value::from(text),
            &["Foreground", "Background", "Orphan", "nil"].map(Value::from),
        );
        ApiError::invalid_options("DeleteOptions", error)
    })
}

/// What came of a deletion.
#[derive(Debug)]
pub(crate) enum Deletion {
    /// The object is gone; a `Status` says so.
    Done(Value),
    /// The object waits for its finalizers.
    Pending(Value),
}

impl Writer<'_> {
    /// Deletes the object at `key`.
    pub(crate) fn delete(
        &mut self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deletion, ApiError> {
        let object = self.existing(resource, key)?;
        check_preconditions(resource, key, &object, options)?;
        let wanted = Policy::finalizers(options.policy, &object);
        if is_terminating(&object) && finalizers(&object) == wanted {
            return Ok(Deletion::Pending(Value::clone(&object)));
        }
        let waits = holds_others(resource) || !wanted.is_empty();
        if !waits {
            self.transaction.remove(key);
            let uid = text(&object, "/metadata/uid");
            return Ok(Deletion::Done(deleted(
                &resource.group_resource(),
                &key.name,
                uid,
            )));
        }
        let was_terminating = is_terminating(&object);
        let mut object = Value::clone(&object);
        let wanted = wanted.into_iter().map(Value::from).collect();
        set_or_remove(&mut object, "finalizers", wanted);
        if was_terminating {
            // The same deletion, with another policy.
            let stored = self.store_or_finish(resource, key, object);
            return Ok(Deletion::Pending(Value::clone(&stored)));
        }
        let metadata = &mut object["metadata"];
        metadata["deletionTimestamp"] = Value::from(self.now.clone());
        metadata["deletionGracePeriodSeconds"] = Value::from(0);
        if let Some(generation) = metadata["generation"].as_i64() {
            metadata["generation"] = Value::from(generation + 1);
        }
        // Indexing makes absent fields null; they are left out again.
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|_, value| !value.is_null());
        }
        match resource.model {
            Model::Namespace => object["status"] = json!({"phase": "Terminating"}),
            Model::Definition => crd::mark_terminating(&mut object, &self.now),
            Model::Lease | Model::ControllerRevision | Model::Event(_) | Model::Custom => {}
        }
        let stored = self.transaction.put(key.clone(), object);
        match resource.model {
            Model::Namespace => self.delete_content(&key.name)?,
            Model::Definition => self.delete_objects(&key.name)?,
            Model::Lease | Model::ControllerRevision | Model::Event(_) | Model::Custom => {}
        }
        Ok(Deletion::Pending(Value::clone(&stored)))
    }

    /// Removes namespaces and definitions that were only waiting for their last object.
    pub(super) fn finish_terminating(&mut self) {
        let touched: Vec<Key> = self.transaction.touched().cloned().collect();
        for key in touched {
            if !key.namespace.is_empty() {
                self.finish_namespace(&key.namespace);
            } else if *key.resource == *"namespaces" {
                self.finish_namespace(&key.name);
            }
            self.finish_definition(&key.resource);
            if key.resource.starts_with("customresourcedefinitions.") {
                self.finish_definition(&key.name);
            }
        }
    }

    fn delete_content(&mut self, namespace: &str) -> Result<(), ApiError> {
        let catalog = std::sync::Arc::clone(&self.catalog);
        for (key, _) in self.transaction.list_namespace(namespace) {
            if let Some(resource) = catalog.stored_as(&key.resource) {
                self.delete(resource, &key, &DeleteOptions::default())?;
            }
        }
        Ok(())
    }

    fn delete_objects(&mut self, definition: &str) -> Result<(), ApiError> {
        let catalog = std::sync::Arc::clone(&self.catalog);
        if let Some(resource) = catalog.stored_as(definition) {
            for (key, _) in self.transaction.list(&resource.storage, "") {
                self.delete(resource, &key, &DeleteOptions::default())?;
            }
        }
        Ok(())
    }

    fn finish_namespace(&mut self, name: &str) {
        let key = Key {
            resource: "namespaces".into(),
            namespace: String::new(),
            name: name.to_owned(),
        };
        let done = self.transaction.get(&key).is_some_and(|namespace| {
            is_terminating(&namespace) && finalizers(&namespace).is_empty()
        });
        if done && self.transaction.list_namespace(name).is_empty() {
            self.transaction.remove(&key);
        }
    }

    fn finish_definition(&mut self, name: &str) {
        let key = Key {
            resource: "customresourcedefinitions.apiextensions.k8s.io".into(),
            namespace: String::new(),
            name: name.to_owned(),
        };
        let Some(definition) = self.transaction.get(&key) else {
            return;
        };
        if !is_terminating(&definition) || !self.transaction.list(&name.into(), "").is_empty() {
            return;
        }
        let mut definition = Value::clone(&definition);
        if let Some(list) = definition["metadata"]["finalizers"].as_array_mut() {
            list.retain(|finalizer| finalizer != crd::CLEANUP_FINALIZER);
        }
        if finalizers(&definition).is_empty() {
            self.transaction.remove(&key);
        }
    }
}

/// Whether other objects go with an object of the resource, so that it goes last.
pub(super) fn holds_others(resource: &Resource) -> bool {
    match resource.model {
        Model::Namespace | Model::Definition => true,
        Model::Lease | Model::ControllerRevision | Model::Event(_) | Model::Custom => false,
    }
}

fn check_preconditions(
    resource: &Resource,
    key: &Key,
    object: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let uid = text(object, "/metadata/uid");
    let conflict = |why: &str| {
        // Servers name the kind here and not the resource.
        let resource = GroupResource {
            group: resource.group.clone(),
            resource: resource.kind.clone(),
        };
        Err(ApiError::conflict(&resource, &key.name, why))
    };
    if let Some(wanted) = &options.uid
        && wanted != uid
    {
        return conflict(&format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The \
             object might have been deleted and then recreated"
        ));
    }
    let version = text(object, "/metadata/resourceVersion");
    if let Some(wanted) = &options.resource_version
        && wanted != version
    {
        return conflict(&format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the \
             ResourceVersion in record ({version}). The object might have been modified"
        ));
    }
    Ok(())
}
