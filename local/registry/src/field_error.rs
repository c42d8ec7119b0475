//! One broken rule about one field, worded as a Kubernetes API server words it.

use std::fmt;

use serde_json::{Value, json};

/// The path that stands for "no field in particular".
const NO_PATH: &str = "<nil>";

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    TypeInvalid,
}

impl Problem {
    fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FieldError {
    pub(crate) path: String,
    pub(crate) problem: Problem,
    /// The offending value; left out of the text where it is absent.
    value: Option<Value>,
    detail: String,
}

impl FieldError {
    fn new(problem: Problem, path: &str, value: Option<Value>, detail: impl Into<String>) -> Self {
        let path = if path.is_empty() { NO_PATH } else { path };
        Self {
            path: path.to_owned(),
            problem,
            value,
            detail: detail.into(),
        }
    }

    pub(crate) fn required(path: &str, detail: impl Into<String>) -> Self {
        Self::new(Problem::Required, path, None, detail)
    }

    pub(crate) fn invalid(path: &str, value: Value, detail: impl Into<String>) -> Self {
        Self::new(Problem::Invalid, path, Some(value), detail)
    }

    /// An invalid value whose text would be too long to show: an object or a list.
    pub(crate) fn invalid_unshown(path: &str, detail: impl Into<String>) -> Self {
        Self::new(Problem::Invalid, path, None, detail)
    }

    pub(crate) fn wrong_type(path: &str, value: &Value, wanted: &str) -> Self {
        let shown = type_name(value);
        let place = if path.is_empty() { "" } else { path };
        let detail = format!("{place} in body must be of type {wanted}: \"{shown}\"");
        let value = Some(Value::from(shown));
        Self::new(Problem::TypeInvalid, path, value, detail)
    }

    /// Whether the value is of the wrong type or no time.
    pub(crate) fn is_about_type(&self) -> bool {
        self.problem == Problem::TypeInvalid
            || (self.problem == Problem::Invalid && self.detail.contains(" must be of type "))
    }

    pub(crate) fn duplicate(path: &str, value: Value) -> Self {
        Self::new(Problem::Duplicate, path, Some(value), "")
    }

    pub(crate) fn not_supported(path: &str, value: Value, supported: &[Value]) -> Self {
        let supported: Vec<String> = supported
            .iter()
            .map(|value| format!("\"{}\"", plain(value)))
            .collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self::new(Problem::NotSupported, path, Some(value), detail)
    }

    pub(crate) fn forbidden(path: &str, detail: impl Into<String>) -> Self {
        Self::new(Problem::Forbidden, path, None, detail)
    }

    pub(crate) fn too_long(path: &str, limit: u64) -> Self {
        let detail = format!("may not be more than {limit} bytes");
        Self::new(Problem::TooLong, path, None, detail)
    }

    pub(crate) fn too_many(path: &str, actual: u64, limit: u64) -> Self {
        let detail = format!("must have at most {limit} items");
        Self::new(Problem::TooMany, path, Some(Value::from(actual)), detail)
    }

    /// The error text without the path, which is what a cause in `Status.details` holds.
    fn body(&self) -> String {
        let mut text = self.problem.text().to_owned();
        if let Some(value) = &self.value {
            text.push_str(&format!(": {value}"));
        }
        if !self.detail.is_empty() {
            text.push_str(&format!(": {}", self.detail));
        }
        text
    }

    pub(crate) fn cause(&self) -> Value {
        json!({"reason": self.problem.reason(), "message": self.body(), "field": self.path})
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.body())
    }
}

/// A value as it stands inside quotes that the caller writes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The JSON schema type of a value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        // One that does not fit into 64 bits with a sign is a float to Kubernetes.
        Value::Number(number) if !number.is_i64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The path of a property of the object at `base`.
pub(crate) fn child(base: &str, name: &str) -> String {
    if base.is_empty() {
        name.to_owned()
    } else {
        format!("{base}.{name}")
    }
}

/// The path of an entry, by key, of the map at `base`.
pub(crate) fn entry(base: &str, key: &str) -> String {
    format!("{base}[{key}]")
}

/// The path of an item of the list at `base`.
pub(crate) fn item(base: &str, index: usize) -> String {
    format!("{base}[{index}]")
}
