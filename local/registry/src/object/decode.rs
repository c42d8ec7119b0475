//! From the body of a request to an object in its stored form.

use serde_json::Value;

use super::owners;
use crate::{
    catalog::{Model, Resource, event_view},
    depth,
    field_error::FieldError,
    schema::{duplicates, parse_json, prune, validate},
    status::ApiError,
};

/// The fields of `metadata`.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What happens to fields that the kind does not know, or that occur twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    /// The value of the query parameter; absent, it is `Warn`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            Some("Ignore") => Ok(Self::Ignore),
            Some("Warn" | "") | None => Ok(Self::Warn),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(ApiError::bad_request(format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \
                 \"Strict\", \"Warn\""
            ))),
        }
    }
}

/// An object without the fields that its kind does not know.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) object: Value,
    /// What was wrong with the body's fields, in the words of a server: `unknown field "a.b"`.
    pub(crate) remarks: Vec<String>,
}

/// Reads a body that holds one object of the resource.
pub(crate) fn decode(resource: &Resource, body: &[u8]) -> Result<Decoded, ApiError> {
    let object = parse_json(body).map_err(|error| {
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; \
             json parse error: {error} ({})",
            resource.kind,
            excerpt(body)
        ))
    })?;
    let mut decoded = decode_value(resource, object)?;
    refuse_wrong_types(resource, &decoded.object)?;
    for path in duplicates(body) {
        decoded.remarks.push(format!("duplicate field {path:?}"));
    }
    Ok(decoded)
}

/// The beginning of a body, as errors show it.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let start: String = text.chars().take(30).collect();
    match text.chars().count() {
        0 => "<empty>".to_owned(),
        1..=30 => start,
        _ => format!("{start} ..."),
    }
}

/// Fields of another type than a kind's that the server was built with: such a body cannot even
/// be read. Kinds of definitions are read as they are, and validated later.
fn refuse_wrong_types(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    if matches!(resource.model, Model::Custom | Model::Definition) {
        return Ok(());
    }
    let faults = validate(&resource.schema, object, None);
    let types = faults.iter().find(|fault| fault.is_about_type());
    match types {
        None => Ok(()),
        Some(fault) => Err(ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {fault}",
            kind = resource.kind,
            version = resource.version
        ))),
    }
}

/// Brings an object of the resource into its stored form.
pub(crate) fn decode_value(resource: &Resource, mut object: Value) -> Result<Decoded, ApiError> {
    depth::check(depth::depth(&object))?;
    if resource.model != Model::Custom {
        // The path says what it is.
        for (name, value) in [
            ("kind", resource.kind.clone()),
            ("apiVersion", resource.api_version()),
        ] {
            if let Some(fields) = object.as_object_mut() {
                fields.entry(name).or_insert(Value::from(value));
            }
        }
    }
    envelope(resource, &object)?;
    event_view::to_stored(resource, &mut object);
    let mut remarks = metadata(resource, &mut object)?;
    remarks.extend(prune(&resource.schema, &mut object));
    let mut remarks: Vec<String> = remarks
        .into_iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    remarks.dedup();
    if resource.model != Model::Custom {
        // Go's decoder leaves the zero value where a typed field is null. Raw data is not decoded.
        let data = match resource.model {
            Model::ControllerRevision => object["data"].take(),
            _ => Value::Null,
        };
        remove_nulls(&mut object);
        if !data.is_null() {
            object["data"] = data;
        }
    }
    Ok(Decoded { object, remarks })
}

fn envelope(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let Value::Object(fields) = object else {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if kind.is_empty() {
        return Err(ApiError::bad_request(
            "Object 'Kind' is missing in the body",
        ));
    }
    if version != resource.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    if kind != resource.kind && resource.model == Model::Custom {
        let detail = format!("must be {}", resource.kind);
        let error = FieldError::invalid("kind", Value::from(kind), detail);
        let name = super::text(object, "/metadata/name");
        return Err(ApiError::invalid(&resource.group, kind, name, &[error]));
    }
    if kind != resource.kind {
        return Err(ApiError::bad_request(format!(
            "the kind in the data ({kind}) does not match the expected kind ({})",
            resource.kind
        )));
    }
    Ok(())
}

/// Removes unknown and empty fields of the metadata; the rest must have the right types.
fn metadata(resource: &Resource, object: &mut Value) -> Result<Vec<String>, ApiError> {
    let mut unknown = Vec::new();
    let metadata = &mut object["metadata"];
    if metadata.is_null() {
        *metadata = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = metadata.as_object_mut() else {
        return Err(wrong_metadata(resource, "metadata"));
    };
    fields.retain(|name, value| {
        let known = METADATA.contains(&name.as_str());
        if !known {
            unknown.push(format!("metadata.{name}"));
        }
        known && !value.is_null() && *value != "" && !is_empty(value)
    });
    for name in ["labels", "annotations"] {
        let texts = |value: &Value| {
            value
                .as_object()
                .is_some_and(|map| map.values().all(Value::is_string))
        };
        if fields.get(name).is_some_and(|value| !texts(value)) {
            return Err(wrong_metadata(resource, name));
        }
    }
    let finalizers = |value: &Value| {
        value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_string))
    };
    if fields
        .get("finalizers")
        .is_some_and(|value| !finalizers(value))
    {
        return Err(wrong_metadata(resource, "finalizers"));
    }
    if let Some(references) = fields.get_mut("ownerReferences") {
        let remarks = owners::normalize(references);
        unknown.extend(remarks.ok_or_else(|| wrong_metadata(resource, "ownerReferences"))?);
    }
    for name in [
        "name",
        "namespace",
        "generateName",
        "resourceVersion",
        "uid",
    ] {
        if fields.get(name).is_some_and(|value| !value.is_string()) {
            return Err(wrong_metadata(resource, name));
        }
    }
    Ok(unknown)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn wrong_metadata(resource: &Resource, field: &str) -> ApiError {
    ApiError::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: json: cannot unmarshal \
         field ObjectMeta.metadata.{field}: it is of the wrong type",
        kind = resource.kind,
        version = resource.version
    ))
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
