//! Whether a server-side apply fits its kind's schema. A server turns the patch into a typed value
//! before anything else, so a wrong type or an unknown field ends the request there, in words of
//! its own and whatever `fieldValidation` says.

use serde_json::Value;

use super::fields::METADATA;
use crate::{
    catalog::{Model, Resource},
    schema::{ListType, Scalar, Schema},
    status::ApiError,
};

/// Metadata that only the server sets, and that a patch may name all the same.
const SERVER_OWNED: [&str; 11] = [
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

/// Refuses a patch that does not fit.
pub(crate) fn check(
    resource: &Resource,
    namespace: &str,
    name: &str,
    wanted: &Value,
) -> Result<(), ApiError> {
    if matches!(resource.model, Model::Event(_)) {
        // Events are stored in another form than they are written in.
        return Ok(());
    }
    let mut faults = Vec::new();
    for (field, value) in wanted.as_object().into_iter().flatten() {
        let path = format!(".{field}");
        match field.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => metadata(value, &path, &mut faults),
            _ => property(&resource.schema, field, value, &path, &mut faults),
        }
    }
    let text = match faults.as_slice() {
        [] => return Ok(()),
        [single] => single.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(ApiError::untyped(&format!(
        "failed to create typed patch object ({namespace}/{name}; {}, Kind={}): {text}",
        resource.api_version(),
        resource.kind
    )))
}

fn metadata(value: &Value, path: &str, faults: &mut Vec<String>) {
    for (field, value) in value.as_object().into_iter().flatten() {
        if !SERVER_OWNED.contains(&field.as_str()) {
            property(&METADATA, field, value, &format!("{path}.{field}"), faults);
        }
    }
}

fn property(schema: &Schema, name: &str, value: &Value, path: &str, faults: &mut Vec<String>) {
    match schema.property(name) {
        Some(property) => node(property, value, path, faults),
        None if schema.holds_anything() => {}
        None => faults.push(format!("{path}: field not declared in schema")),
    }
}

fn node(schema: &Schema, value: &Value, path: &str, faults: &mut Vec<String>) {
    if value.is_null() {
        return;
    }
    let wanted = match (schema.scalar(), value) {
        (None, Value::Object(fields)) if !schema.is_list() => {
            for (name, field) in fields.iter().filter(|_| !schema.is_untyped()) {
                property(schema, name, field, &format!("{path}.{name}"), faults);
            }
            return;
        }
        (None, Value::Array(list)) if schema.is_list() => {
            for (index, item) in list.iter().enumerate() {
                let path = format!("{path}{}", position(schema, index, item));
                if let Some(items) = &schema.items {
                    node(items, item, &path, faults);
                }
            }
            return;
        }
        (Some(Scalar::Any), Value::Bool(_) | Value::Number(_) | Value::String(_))
        | (Some(Scalar::Text), Value::String(_))
        | (Some(Scalar::Number), Value::Number(_))
        | (Some(Scalar::Flag), Value::Bool(_)) => return,
        (None, _) if schema.is_untyped() => return,
        (None, other) if schema.is_list() => format!("expected list, got &{{{}}}", plain(other)),
        (None, other) => format!("expected map, got &{{{}}}", plain(other)),
        (Some(Scalar::Text), other) => format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            plain(other)
        ),
        (Some(Scalar::Number), other) => {
            format!("expected numeric (int or float), got {}", go_type(other))
        }
        (Some(Scalar::Flag), other) => format!("expected boolean, got &{{{}}}", plain(other)),
        (Some(Scalar::Any), other) => format!("expected any scalar, got &{{{}}}", plain(other)),
    };
    faults.push(format!("{path}: {wanted}"));
}

/// How a path names an item of a list.
fn position(list: &Schema, index: usize, item: &Value) -> String {
    match list.list_type() {
        ListType::Map(keys) => {
            let keys: Vec<String> = keys
                .iter()
                .filter_map(|key| Some(format!("{key}={}", item.get(key)?)))
                .collect();
            format!("[{}]", keys.join(","))
        }
        ListType::Set => format!("[={item}]"),
        ListType::Atomic => format!("[{index}]"),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The name that Go has for the type of a decoded value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
