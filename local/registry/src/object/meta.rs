//! `metadata`: reading it, and the rules that hold for every kind.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::owners;
use crate::field_error::FieldError;

static SUBDOMAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        .expect("the pattern is a constant that tests cover")
});

static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
        .expect("the pattern is a constant that tests cover")
});

const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case \
    alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character \
    (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL_RULE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const NAME_PART_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  \
    or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// The text at a pointer, or the empty text.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The finalizers that keep the object.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Whether the object's deletion was asked for.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// What is wrong with the key and the values of a label.
pub(crate) fn label_faults(key: &str, values: &[String]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    qualified("", key, &mut errors);
    for value in values {
        label_value("", value, &mut errors);
    }
    errors
}

fn label_value(path: &str, value: &str, errors: &mut Vec<FieldError>) {
    let fault = if value.len() > 63 {
        "must be no more than 63 bytes"
    } else if !value.is_empty() && !QUALIFIED.is_match(value) {
        LABEL_RULE
    } else {
        return;
    };
    errors.push(FieldError::invalid(path, Value::from(value), fault));
}

/// The faults of an object's metadata.
pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let prefix = text(object, "/metadata/generateName");
    // A dash at its end is followed by what the server adds.
    if !prefix.is_empty() && !SUBDOMAIN.is_match(prefix.strip_suffix('-').unwrap_or(prefix)) {
        errors.push(FieldError::invalid(
            "metadata.generateName",
            Value::from(prefix),
            SUBDOMAIN_RULE,
        ));
    }
    let name = text(object, "/metadata/name");
    if name.is_empty() {
        let detail = "name or generateName is required";
        errors.push(FieldError::required("metadata.name", detail));
    } else if name.len() > 253 {
        let detail = "must be no more than 253 bytes";
        errors.push(FieldError::invalid(
            "metadata.name",
            Value::from(name),
            detail,
        ));
    } else if !SUBDOMAIN.is_match(name) {
        let error = FieldError::invalid("metadata.name", Value::from(name), SUBDOMAIN_RULE);
        errors.push(error);
    }
    for (key, value) in map(object, "labels") {
        qualified("metadata.labels", key, &mut errors);
        let value = value.as_str().unwrap_or_default();
        label_value("metadata.labels", value, &mut errors);
    }
    for (key, _) in map(object, "annotations") {
        qualified("metadata.annotations", &key.to_lowercase(), &mut errors);
    }
    for finalizer in finalizers(object) {
        qualified("metadata.finalizers", finalizer, &mut errors);
    }
    errors.extend(owners::validate(object));
    errors
}

fn map<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let map = object["metadata"][field].as_object();
    map.into_iter().flatten()
}

/// A key such as `demo.dev/name`: an optional subdomain and a name of at most 63 characters.
fn qualified(path: &str, key: &str, errors: &mut Vec<FieldError>) {
    if key.matches('/').count() > 1 {
        let detail = format!(
            "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyName')",
            NAME_PART_RULE.trim_start_matches("name part ")
        );
        errors.push(FieldError::invalid(path, Value::from(key), detail));
        return;
    }
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !SUBDOMAIN.is_match(prefix)) {
        let detail = format!("prefix part {SUBDOMAIN_RULE}");
        errors.push(FieldError::invalid(path, Value::from(key), detail));
    }
    if name.len() > 63 {
        let detail = "name part must be no more than 63 bytes";
        errors.push(FieldError::invalid(path, Value::from(key), detail));
    } else if !QUALIFIED.is_match(name) {
        errors.push(FieldError::invalid(path, Value::from(key), NAME_PART_RULE));
    }
}
