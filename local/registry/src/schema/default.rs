//! Defaults: fields that were left out get the value that the schema names.

use serde_json::Value;

use super::{Additional, Schema};

/// Sets defaults in place. A `null` in a field that is not nullable counts as left out, and goes.
pub(crate) fn defaults(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else {
                    continue;
                };
                let left_out = match object.get(name) {
                    None => true,
                    Some(Value::Null) => !property.nullable,
                    Some(_) => false,
                };
                if left_out {
                    object.insert(name.clone(), default.clone());
                }
            }
            object.retain(|name, field| !field.is_null() || may_be_null(schema, name));
            for (name, field) in object.iter_mut() {
                if let Some(property) = schema.properties.get(name) {
                    defaults(property, field);
                } else if let Some(Additional::Schema(entries)) = &schema.additional {
                    if field.is_null()
                        && !entries.nullable
                        && let Some(default) = &entries.default
                    {
                        *field = default.clone();
                    }
                    defaults(entries, field);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                for item in list {
                    defaults(items, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a field may hold `null`. One that the schema does not know holds what it likes.
fn may_be_null(schema: &Schema, name: &str) -> bool {
    match (schema.properties.get(name), &schema.additional) {
        (Some(property), _) => property.nullable,
        (None, Some(Additional::Schema(entries))) => entries.nullable || entries.default.is_some(),
        (None, Some(Additional::Any) | None) => true,
    }
}
