//! Validation of values against a schema's types, bounds and shapes. CEL rules are apart.

use serde_json::{Number, Value};

use super::{Additional, Bound, ListType, MICRO_TIME, Schema, Type};
use crate::field_error::{FieldError, child, item};

/// Every fault of an object. Parts that equal their predecessor's are not looked at again, so
/// that an object can still be mended after its kind became stricter.
pub(crate) fn validate(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    node(schema, object, old, "", &mut errors);
    errors
}

fn node(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    if old == Some(value) || (value.is_null() && schema.nullable) {
        return;
    }
    if let Some(wanted) = wrong_type(schema, value) {
        errors.push(FieldError::wrong_type(path, value, wanted));
        return;
    }
    match value {
        Value::Object(fields) => {
            for name in &schema.required {
                if !fields.contains_key(name) {
                    errors.push(FieldError::required(&child(path, name), ""));
                }
            }
            sizes(schema, value, path, errors);
            for (name, field) in fields {
                let before = old.and_then(|old| old.get(name));
                if let Some(property) = schema.properties.get(name) {
                    node(property, field, before, &child(path, name), errors);
                } else if let Some(Additional::Schema(entries)) = &schema.additional {
                    node(entries, field, before, &child(path, name), errors);
                }
            }
        }
        Value::Array(list) => {
            sizes(schema, value, path, errors);
            if let Some(items) = &schema.items {
                for (index, element) in list.iter().enumerate() {
                    let before = schema.predecessor(element, old);
                    node(items, element, before, &item(path, index), errors);
                }
            }
            uniqueness(schema, list, path, errors);
        }
        Value::String(text) => string(schema, text, path, errors),
        Value::Number(number) => numeric(schema, number, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(allowed) = &schema.allowed
        && !allowed.contains(value)
    {
        errors.push(FieldError::not_supported(path, value.clone(), allowed));
    }
    branches(schema, value, path, errors);
}

/// The type that the schema wants, where the value has another one.
fn wrong_type(schema: &Schema, value: &Value) -> Option<&'static str> {
    if schema.int_or_string {
        let fits = value.is_string() || value.is_i64() || value.is_u64();
        return (!fits).then_some("integer,string");
    }
    let (fits, name) = match schema.kind? {
        Type::Object => (value.is_object(), "object"),
        Type::Array => (value.is_array(), "array"),
        Type::String => (value.is_string(), "string"),
        Type::Boolean => (value.is_boolean(), "boolean"),
        Type::Number => (value.is_number(), "number"),
        Type::Integer => (is_whole(value), "integer"),
    };
    (!fits).then_some(name)
}

/// The largest whole number up to which a float tells each from its neighbours.
const FLOAT_MOST: f64 = 9_007_199_254_740_991.0;

/// Whether Kubernetes takes it for a whole number: one of 64 bits with a sign, or a float that has
/// no fraction and is exact. A larger number is a float to it.
fn is_whole(value: &Value) -> bool {
    let exact = |float: f64| float.fract() == 0.0 && float.abs() <= FLOAT_MOST;
    value.is_i64() || value.as_f64().is_some_and(exact)
}

fn sizes(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let (size, actual, noun) = match value {
        Value::Object(fields) => (&schema.property_count, fields.len(), "properties"),
        Value::Array(list) => (&schema.item_count, list.len(), "items"),
        _ => return,
    };
    let actual = u64::try_from(actual).expect("a body fits in memory");
    if let Some(min) = size.min
        && actual < min
    {
        let detail = format!("{path} in body should have at least {min} {noun}");
        errors.push(FieldError::invalid(path, Value::from(actual), detail));
    }
    if let Some(max) = size.max
        && actual > max
    {
        errors.push(FieldError::too_many(path, actual, max));
    }
}

fn string(schema: &Schema, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let length = u64::try_from(text.chars().count()).expect("a body fits in memory");
    if let Some(min) = schema.length.min
        && length < min
    {
        let detail = format!("{path} in body should be at least {min} chars long");
        errors.push(FieldError::invalid(path, Value::from(text), detail));
    }
    if let Some(max) = schema.length.max
        && length > max
    {
        errors.push(FieldError::too_long(path, max));
    }
    if let Some(pattern) = &schema.pattern
        && !pattern.is_match(text)
    {
        let detail = format!("{path} in body should match '{pattern}'");
        errors.push(FieldError::invalid(path, Value::from(text), detail));
    }
    if let Some(format) = &schema.format
        && !has_format(format, text)
    {
        let detail = format!("{path} in body must be of type {format}: {text:?}");
        errors.push(FieldError::invalid(path, Value::from(text), detail));
    }
}

/// Formats that a server checks; any other is a remark for readers.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        MICRO_TIME => is_micro_time(text),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    }
}

/// A time with exactly six digits after the point, as Leases and Events have them: servers refuse
/// others.
fn is_micro_time(text: &str) -> bool {
    let digits = text.split_once('.').map(|(_, rest)| {
        let is_digit = |character: &char| character.is_ascii_digit();
        rest.chars().take_while(is_digit).count()
    });
    digits == Some(6) && text.parse::<jiff::Timestamp>().is_ok()
}

/// A duration such as `90s`, `1h30m` or `1.5h`.
fn is_duration(text: &str) -> bool {
    text == "0" || text.parse::<jiff::SignedDuration>().is_ok()
}

fn numeric(schema: &Schema, number: &Number, path: &str, errors: &mut Vec<FieldError>) {
    let value = number.as_f64().unwrap_or(f64::NAN);
    let mut fault = |detail: String| {
        let shown = Value::Number(number.clone());
        errors.push(FieldError::invalid(path, shown, detail));
    };
    let limit = |bound: &Bound| bound.value.as_f64().unwrap_or(f64::NAN);
    if let Some(bound) = &schema.minimum {
        if bound.exclusive && value <= limit(bound) {
            fault(format!(
                "{path} in body should be greater than {}",
                bound.value
            ));
        } else if !bound.exclusive && value < limit(bound) {
            fault(format!(
                "{path} in body should be greater than or equal to {}",
                bound.value
            ));
        }
    }
    if let Some(bound) = &schema.maximum {
        if bound.exclusive && value >= limit(bound) {
            fault(format!(
                "{path} in body should be less than {}",
                bound.value
            ));
        } else if !bound.exclusive && value > limit(bound) {
            fault(format!(
                "{path} in body should be less than or equal to {}",
                bound.value
            ));
        }
    }
    if let Some(factor) = &schema.multiple_of {
        let ratio = value / factor.as_f64().unwrap_or(f64::NAN);
        if ratio.fract() != 0.0 {
            fault(format!("{path} in body should be a multiple of {factor}"));
        }
    }
}

fn uniqueness(schema: &Schema, list: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let identity = |element: &Value| match schema.list_type() {
        ListType::Atomic => None,
        ListType::Set => Some(element.clone()),
        ListType::Map(keys) => {
            let fields = keys
                .iter()
                .filter_map(|key| Some((key.clone(), element.get(key)?.clone())));
            Some(Value::Object(fields.collect()))
        }
    };
    let mut seen: Vec<Value> = Vec::new();
    for (index, element) in list.iter().enumerate() {
        let Some(identity) = identity(element) else {
            return;
        };
        if seen.contains(&identity) {
            errors.push(FieldError::duplicate(&item(path, index), identity));
        } else {
            seen.push(identity);
        }
    }
}

fn branches(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for branch in &schema.all_of {
        node(branch, value, None, path, errors);
    }
    let holds = |branch: &Schema| {
        let mut faults = Vec::new();
        node(branch, value, None, path, &mut faults);
        faults.is_empty()
    };
    let mut fault = |text: &str| {
        let detail = format!("{path:?} must {text}");
        errors.push(FieldError::invalid("", Value::from(""), detail));
    };
    if !schema.any_of.is_empty() && !schema.any_of.iter().any(holds) {
        fault("validate at least one schema (anyOf)");
    }
    if !schema.one_of.is_empty() {
        match schema.one_of.iter().filter(|branch| holds(branch)).count() {
            0 => fault("validate one and only one schema (oneOf). Found none valid"),
            1 => {}
            _ => fault("validate one and only one schema (oneOf). Found more than one valid"),
        }
    }
    if let Some(not) = &schema.not
        && holds(not)
    {
        fault("not validate the schema (not)");
    }
}
