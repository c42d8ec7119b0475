//! Whether a CustomResourceDefinition can be served.

use serde_json::{Value, json};

use crate::{
    field_error::{FieldError, item},
    schema::parse,
    table::Column,
};

/// Sets what a definition may leave out.
pub(crate) fn prepare(definition: &mut Value) {
    let spec = &mut definition["spec"];
    let kind = spec["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let names = &mut spec["names"];
    if names.is_object() {
        default(names, "singular", Value::from(kind.to_lowercase()));
        default(names, "listKind", Value::from(format!("{kind}List")));
    }
    if spec.is_object() {
        default(spec, "conversion", json!({"strategy": "None"}));
    }
}

fn default(object: &mut Value, field: &str, value: Value) {
    let left_out = match object.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if left_out {
        object[field] = value;
    }
}

/// Every fault of a definition. `old` is the one that it replaces.
pub(crate) fn validate(definition: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &definition["spec"];
    names(definition, &mut errors);
    if !["Cluster", "Namespaced"].contains(&spec["scope"].as_str().unwrap_or_default()) {
        errors.push(FieldError::not_supported(
            "spec.scope",
            spec["scope"].clone(),
            &["Cluster", "Namespaced"].map(Value::from),
        ));
    }
    if spec["conversion"]["strategy"] != "None" {
        errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            spec["conversion"]["strategy"].clone(),
            &["None"].map(Value::from),
        ));
    }
    versions(spec, &mut errors);
    for field in ["group", "scope"] {
        if let Some(old) = old
            && old["spec"][field] != spec[field]
        {
            errors.push(FieldError::invalid(
                &format!("spec.{field}"),
                spec[field].clone(),
                "field is immutable",
            ));
        }
    }
    errors
}

fn names(definition: &Value, errors: &mut Vec<FieldError>) {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    if definition["metadata"]["name"] != format!("{plural}.{group}") {
        errors.push(FieldError::invalid(
            "metadata.name",
            definition["metadata"]["name"].clone(),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    for (path, value) in [
        ("spec.group", group.clone()),
        ("spec.names.plural", plural),
        ("spec.names.kind", text(&spec["names"]["kind"])),
    ] {
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
        }
    }
    if !group.is_empty() && !group.contains('.') {
        errors.push(FieldError::invalid(
            "spec.group",
            Value::from(group),
            "should be a domain with at least one dot",
        ));
    }
}

fn versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let stored = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count();
    if stored != 1 {
        errors.push(FieldError::invalid_unshown(
            "spec.versions",
            "must have exactly one version marked as storage version",
        ));
    }
    let mut seen = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let place = item("spec.versions", index);
        if seen.contains(&&version["name"]) {
            let error = FieldError::duplicate(&format!("{place}.name"), version["name"].clone());
            errors.push(error);
        }
        seen.push(&version["name"]);
        schema(version, &place, errors);
        let columns = version["additionalPrinterColumns"].as_array();
        for (index, column) in columns.into_iter().flatten().enumerate() {
            let base = format!("{place}.additionalPrinterColumns");
            // Only the faults matter here; the column is parsed again where it is served.
            let _ = Column::parse(column, &item(&base, index), errors);
        }
    }
}

fn schema(version: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let path = format!("{place}.schema.openAPIV3Schema");
    let schema = &version["schema"]["openAPIV3Schema"];
    if !schema.is_object() {
        errors.push(FieldError::required(&path, "schemas are required"));
        return;
    }
    if schema["type"] != "object" {
        errors.push(FieldError::invalid(
            &format!("{path}.type"),
            schema["type"].clone(),
            "must be object at the root",
        ));
        return;
    }
    parse(schema, &path, errors);
}
