//! The life of an object: created, updated, deleted, finalized.
//!
//! Everything here runs inside one store transaction and never waits. It takes objects in their
//! stored form, with unknown fields gone.

mod create;
mod decode;
mod delete;
mod garbage;
mod meta;
mod owners;
mod rules;
mod update;

use std::sync::Arc;

use rand::{RngExt, rngs::StdRng};
use serde_json::Value;

pub(crate) use self::{
    decode::{Decoded, FieldValidation, decode, decode_value},
    delete::{DeleteOptions, Deletion},
    meta::{finalizers, is_terminating, label_faults, text},
    owners::owners,
    update::{Scope, refuse_other_name, wrong_uid},
};
use crate::{
    catalog::{Catalog, Model, Resource},
    crd,
    field_error::{FieldError, Problem},
    schema,
    status::ApiError,
    store::{Key, Object, Transaction},
};

/// A transaction with what is needed to write objects in it.
pub(crate) struct Writer<'a> {
    pub(crate) transaction: Transaction<'a>,
    pub(crate) catalog: Arc<Catalog>,
    /// The time of every timestamp that this transaction writes.
    pub(crate) now: String,
    pub(crate) random: &'a mut StdRng,
}

impl Writer<'_> {
    /// The key of an object of a resource.
    pub(crate) fn key(resource: &Resource, namespace: &str, name: &str) -> Key {
        Key {
            resource: Arc::clone(&resource.storage),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The object, or the error that it is not there.
    pub(crate) fn existing(&self, resource: &Resource, key: &Key) -> Result<Object, ApiError> {
        self.transaction
            .get(key)
            .ok_or_else(|| ApiError::not_found(&resource.group_resource(), &key.name))
    }

    fn new_uid(&mut self) -> String {
        // The version and variant bits of a random UUID.
        let bits = self.random.random::<u128>();
        let bits = bits & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
        let hex = format!("{bits:032x}");
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        parts.join("-")
    }

    /// Whether an object may be stored: its schema's faults, then its kind's rules.
    fn validate(
        resource: &Resource,
        object: &Value,
        old: Option<&Value>,
        mut errors: Vec<FieldError>,
    ) -> Result<(), ApiError> {
        errors.extend(schema::validate(&resource.schema, object, old));
        errors.extend(rules::check(resource, object, old));
        let blocks = |error: &FieldError| match error.problem {
            Problem::Required
            | Problem::TooLong
            | Problem::TooMany
            | Problem::TypeInvalid
            | Problem::NotSupported => true,
            Problem::Duplicate | Problem::Invalid | Problem::Forbidden => false,
        };
        if errors.iter().any(blocks) {
            if resource.schema.has_rules() {
                errors.push(FieldError::invalid(
                    "",
                    Value::Null,
                    "some validation rules were not checked because the object was invalid; \
                     correct the existing errors to complete validation",
                ));
            }
        } else {
            errors.extend(schema::rules(&resource.schema, object, old));
            if resource.model == Model::Definition {
                errors.extend(crd::validate(object, old));
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        let name = text(object, "/metadata/name");
        Err(ApiError::invalid(
            &resource.group,
            &resource.kind,
            name,
            &errors,
        ))
    }

    /// Which other definition of the group has the kind already.
    fn kind_owner(&self, definition: &Value) -> Option<String> {
        let resource: Arc<str> = "customresourcedefinitions.apiextensions.k8s.io".into();
        self.transaction
            .list(&resource, "")
            .into_iter()
            .find(|(key, other)| {
                key.name != text(definition, "/metadata/name")
                    && other["spec"]["group"] == definition["spec"]["group"]
                    && other["status"]["acceptedNames"]["kind"]
                        == definition["spec"]["names"]["kind"]
            })
            .map(|(key, _)| key.name)
    }
}
