//! Pruning: fields that the schema does not know are not stored.

use serde_json::Value;

use super::{Additional, Schema};
use crate::field_error::{child, item};

/// Fields that every object has, whatever its schema says.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes unknown fields in place and returns their paths, in order.
pub(crate) fn prune(schema: &Schema, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    walk(schema, object, "", true, &mut unknown);
    unknown
}

fn walk(
    schema: &Schema,
    value: &mut Value,
    path: &str,
    is_object_root: bool,
    unknown: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => {
            let has_envelope = is_object_root || schema.embedded_resource;
            fields.retain(|name, field| {
                if has_envelope && ENVELOPE.contains(&name.as_str()) {
                    return true;
                }
                let place = child(path, name);
                if let Some(property) = schema.properties.get(name) {
                    walk(property, field, &place, false, unknown);
                    return true;
                }
                match &schema.additional {
                    Some(Additional::Schema(entries)) => {
                        walk(entries, field, &place, false, unknown);
                        true
                    }
                    Some(Additional::Any) => true,
                    None if schema.preserve_unknown => true,
                    None => {
                        unknown.push(place);
                        false
                    }
                }
            });
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                for (index, element) in list.iter_mut().enumerate() {
                    walk(items, element, &item(path, index), false, unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
