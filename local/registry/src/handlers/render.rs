//! Objects in the form that the caller asked for.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    catalog::{Model, Resource, event_view},
    request::Form,
    table::{metadata_of, table},
};

/// A stored object as its resource serves it.
pub(crate) fn served(resource: &Resource, stored: &Value) -> Value {
    let mut object = stored.clone();
    event_view::to_served(resource, &mut object);
    if resource.model == Model::Custom {
        object["apiVersion"] = Value::from(resource.api_version());
    }
    object
}

/// One object.
pub(super) fn one(resource: &Resource, form: Form, stored: &Value, now: Timestamp) -> Value {
    let object = served(resource, stored);
    match form {
        Form::Object => object,
        Form::Metadata => metadata_of(&object),
        Form::Table(include) => {
            let version = object["metadata"]["resourceVersion"].clone();
            let rows = [(stored, object)];
            let mut table = table(&resource.columns, &rows, include, true, now);
            table["metadata"]["resourceVersion"] = version;
            table
        }
    }
}

/// The envelope of a list.
pub(super) struct ListMeta {
    pub(super) version: u64,
    pub(super) next: Option<String>,
    pub(super) remaining: Option<usize>,
}

/// A list of objects.
pub(super) fn many(
    resource: &Resource,
    form: Form,
    stored: &[&Value],
    meta: &ListMeta,
    now: Timestamp,
) -> Value {
    let objects = stored
        .iter()
        .map(|stored| (*stored, served(resource, stored)));
    let mut list = match form {
        Form::Object => {
            let items: Vec<Value> = objects
                .map(|(_, mut object)| {
                    if resource.model != Model::Custom
                        && let Some(fields) = object.as_object_mut()
                    {
                        // The list says what its items are.
                        fields.remove("kind");
                        fields.remove("apiVersion");
                    }
                    object
                })
                .collect();
            json!({"kind": resource.list_kind, "apiVersion": resource.api_version(),
                   "metadata": {}, "items": items})
        }
        Form::Metadata => {
            let items: Vec<Value> = objects.map(|(_, object)| metadata_of(&object)).collect();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                   "metadata": {}, "items": items})
        }
        Form::Table(include) => {
            let rows: Vec<(&Value, Value)> = objects.collect();
            table(&resource.columns, &rows, include, true, now)
        }
    };
    let metadata = &mut list["metadata"];
    metadata["resourceVersion"] = Value::from(meta.version.to_string());
    if let Some(next) = &meta.next {
        metadata["continue"] = Value::from(next.as_str());
    } else if resource.model == Model::Custom && form == Form::Object {
        metadata["continue"] = Value::from("");
    }
    if let Some(remaining) = meta.remaining {
        metadata["remainingItemCount"] = Value::from(remaining);
    }
    list
}
