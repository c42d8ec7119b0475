//! Creating an object.

use rand::RngExt;
use serde_json::{Value, json};

use super::{Writer, is_terminating, meta, rules, text};
use crate::{
    catalog::{Model, Resource},
    crd, schema,
    status::ApiError,
    store::Object,
};

/// The characters of generated names: no vowels, so that no words come about.
const NAME_CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Writer<'_> {
    /// Stores a new object.
    pub(crate) fn create(
        &mut self,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Object, ApiError> {
        if !text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(ApiError::version_on_create());
        }
        self.name_and_place(resource, namespace, &mut object)?;
        let name = text(&object, "/metadata/name").to_owned();
        let key = Self::key(resource, namespace, &name);
        if self.transaction.get(&key).is_some() {
            return Err(ApiError::already_exists(&resource.group_resource(), &name));
        }
        self.refuse_in_terminating(resource, namespace, &name)?;

        let uid = self.new_uid();
        let metadata = &mut object["metadata"];
        metadata["uid"] = Value::from(uid);
        metadata["creationTimestamp"] = Value::from(self.now.clone());
        if let Some(metadata) = metadata.as_object_mut() {
            for field in [
                "generation",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "selfLink",
            ] {
                metadata.remove(field);
            }
        }
        if resource.counts_generations() {
            object["metadata"]["generation"] = Value::from(1);
        }
        self.prepare_new(resource, &mut object);
        schema::defaults(&resource.schema, &mut object);
        rules::complete(resource, &mut object);
        Self::validate(resource, &object, None, meta::validate(&object))?;
        if resource.model == Model::Definition {
            let owner = self.kind_owner(&object);
            crd::refresh(&mut object, owner.as_deref(), &self.now);
        }
        Ok(self.transaction.put(key, object))
    }

    fn name_and_place(
        &mut self,
        resource: &Resource,
        namespace: &str,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        let metadata = &mut object["metadata"];
        if resource.namespaced {
            let stated = metadata["namespace"].as_str().unwrap_or_default();
            if !stated.is_empty() && stated != namespace {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on \
                     the request",
                ));
            }
            metadata["namespace"] = Value::from(namespace);
        } else if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("namespace");
        }
        let prefix = metadata["generateName"].as_str().map(str::to_owned);
        if let (None, Some(prefix)) = (metadata["name"].as_str(), prefix) {
            let suffix: String = (0..5)
                .map(|_| {
                    let index = self.random.random_range(0..NAME_CHARACTERS.len());
                    char::from(NAME_CHARACTERS[index])
                })
                .collect();
            metadata["name"] = Value::from(format!("{prefix}{suffix}"));
        }
        // Indexing makes absent fields null; they are left out again.
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|_, value| !value.is_null());
        }
        Ok(())
    }

    fn refuse_in_terminating(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), ApiError> {
        if resource.terminating {
            return Err(ApiError::kind_is_terminating(&resource.group_resource()));
        }
        if namespace.is_empty() {
            return Ok(());
        }
        let namespaces = self
            .catalog
            .find("", "v1", "namespaces")
            .expect("namespaces are built in");
        let home = self.existing(namespaces, &Self::key(namespaces, "", namespace))?;
        if is_terminating(&home) {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being \
                 terminated"
            );
            return Err(ApiError::forbidden(&resource.group_resource(), name, &why));
        }
        Ok(())
    }

    fn prepare_new(&mut self, resource: &Resource, object: &mut Value) {
        match resource.model {
            Model::Namespace => {
                let name = object["metadata"]["name"].clone();
                object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
                object["spec"] = json!({"finalizers": ["kubernetes"]});
                object["status"] = json!({"phase": "Active"});
            }
            Model::Definition => {
                crd::prepare(object);
                object["metadata"]["finalizers"] = json!([crd::CLEANUP_FINALIZER]);
                object["status"] = json!({});
            }
            Model::Custom if resource.has_status => {
                if let Some(fields) = object.as_object_mut() {
                    fields.remove("status");
                }
            }
            Model::Custom | Model::Lease | Model::ControllerRevision | Model::Event(_) => {}
        }
    }
}
