//! `x-kubernetes-validations`: rules in CEL, evaluated by `kube-cel`.
//!
//! Each rule is compiled on its own together with the types of the node it stands at, and this
//! module walks the object. So that lists with keys are compared with their predecessors by key,
//! and errors name the path as an API server does.

use std::{borrow::Cow, fmt, sync::LazyLock};

use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use regex::Regex;
use serde_json::{Value, json};

use super::{Additional, Schema, nesting};
use crate::field_error::{FieldError, child, entry, item};

/// Enough for a rule with [`nesting::MOST`] levels, whatever thread compiles it.
const STACK: usize = 32 * 1024 * 1024;

/// One rule, ready to run at its node.
pub(super) struct CompiledRule {
    schema: CompiledSchema,
    /// As it was written.
    text: String,
    has_message: bool,
    message_expression: bool,
    reason: Option<String>,
    field_path: Option<String>,
    looks_at_old: bool,
}

impl fmt::Debug for CompiledRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("CompiledRule")
            .field(&self.text)
            .finish()
    }
}

/// Compiles the rules of one node; a rule that does not compile is an error under `path`.
pub(super) fn compile(node: &Value, path: &str, errors: &mut Vec<FieldError>) -> Vec<CompiledRule> {
    let Some(rules) = node
        .get("x-kubernetes-validations")
        .and_then(Value::as_array)
    else {
        return Vec::new();
    };
    let types = without_rules(node);
    let base = child(path, "x-kubernetes-validations");
    let mut compiled = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let place = item(&base, index);
        match compile_one(&types, rule) {
            Ok(rule) => compiled.push(rule),
            Err(why) => {
                let detail = format!("compilation failed: {why}");
                let error =
                    FieldError::invalid(&child(&place, "rule"), rule["rule"].clone(), detail);
                errors.push(error);
            }
        }
    }
    compiled
}

fn compile_one(types: &Value, rule: &Value) -> Result<CompiledRule, String> {
    let text = rule["rule"].as_str().unwrap_or_default().to_owned();
    let mut runnable = rule.clone();
    for name in ["rule", "messageExpression"] {
        let levels = nesting::levels(rule[name].as_str().unwrap_or_default());
        if levels > nesting::MOST {
            return Err(format!(
                "expression recursion limit exceeded: {name} is nested more than {} levels deep",
                nesting::MOST
            ));
        }
    }
    if rule["optionalOldSelf"] == true {
        runnable["rule"] = Value::from(without_optional(&text));
    }
    let mut schema = types.clone();
    schema["x-kubernetes-validations"] = json!([runnable]);
    // The parser takes more than a hundred kilobytes of stack for each level of a rule.
    let schema = stacker::maybe_grow(STACK, STACK, || compile_schema(&schema));
    if let Some(error) = schema.compilation_errors().first() {
        return Err(error.to_string());
    }
    let looks_at_old = schema
        .validations
        .iter()
        .flatten()
        .any(|rule| rule.is_transition_rule);
    Ok(CompiledRule {
        schema,
        text,
        has_message: rule["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        message_expression: rule.get("messageExpression").is_some(),
        reason: rule["reason"].as_str().map(str::to_owned),
        field_path: rule["fieldPath"].as_str().map(str::to_owned),
        looks_at_old,
    })
}

/// A schema's types without any rule, so that only the rule at hand runs.
fn without_rules(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, value)| *name != "x-kubernetes-validations" || !value.is_array())
            .map(|(name, value)| (name.clone(), without_rules(value)))
            .collect(),
        Value::Array(list) => list.iter().map(without_rules).collect(),
        other => other.clone(),
    }
}

/// With `optionalOldSelf`, `oldSelf` is an optional value. kube-cel binds it to null or to the
/// value itself, so the methods of optional values are rewritten to fit.
fn without_optional(rule: &str) -> String {
    let replace = |text: &str, pattern: &str, with: &str| {
        Regex::new(pattern)
            .expect("the pattern is a constant that a test covers")
            .replace_all(text, with)
            .into_owned()
    };
    let rule = replace(
        rule,
        r"\boldSelf\s*\.\s*hasValue\(\s*\)",
        "(oldSelf != null)",
    );
    let rule = replace(&rule, r"\boldSelf\s*\.\s*value\(\s*\)", "oldSelf");
    replace(
        &rule,
        r"\boldSelf\s*\.\s*orValue\(([^()]*)\)",
        "(oldSelf == null ? ($1) : oldSelf)",
    )
}

/// Runs every rule of the schema against an object and, for an update, its predecessor.
///
/// A rule that is broken by a value which did not change is let through, so that an object can
/// still be mended after its kind's rules became stricter.
pub(crate) fn rules(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let object = without_nulls(schema, object);
    let old = old.map(|old| without_nulls(schema, old));
    let mut walk = Walk { errors: Vec::new() };
    walk.node(schema, &object, old.as_deref(), "");
    walk.errors
}

/// To a rule, a declared field that is null is not there, as if it had been left out. In a map or
/// a list, null is a value.
fn without_nulls<'a>(schema: &Schema, value: &'a Value) -> Cow<'a, Value> {
    if !has_null(value) {
        return Cow::Borrowed(value);
    }
    let mut value = value.clone();
    remove_nulls(schema, &mut value);
    Cow::Owned(value)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(has_null),
        Value::Array(list) => list.iter().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn remove_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| !field.is_null() || !schema.properties.contains_key(name));
            for (name, field) in fields {
                if let Some(property) = schema.property(name) {
                    remove_nulls(property, field);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = &schema.items {
                list.iter_mut().for_each(|item| remove_nulls(items, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Holds the functions that rules can call, of which there are more than a hundred.
static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::new);

struct Walk {
    errors: Vec<FieldError>,
}

impl Walk {
    fn node(&mut self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str) {
        if value.is_null() {
            return;
        }
        for rule in &schema.rules {
            let unchanged = old == Some(value);
            if !unchanged || rule.looks_at_old {
                self.rule(rule, value, old, path);
            }
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let before = old.and_then(|old| old.get(name));
                    if let Some(property) = schema.properties.get(name) {
                        self.node(property, field, before, &child(path, name));
                    } else if let Some(Additional::Schema(entries)) = &schema.additional {
                        self.node(entries, field, before, &entry(path, name));
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = &schema.items {
                    for (index, element) in list.iter().enumerate() {
                        let before = schema.predecessor(element, old);
                        self.node(items, element, before, &item(path, index));
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn rule(&mut self, rule: &CompiledRule, value: &Value, old: Option<&Value>, path: &str) {
        let Err(failures) = VALIDATOR.validate_compiled(&rule.schema, value, old) else {
            return;
        };
        for failure in failures {
            let detail = match failure.kind {
                ErrorKind::ValidationFailure if rule.has_message || rule.message_expression => {
                    failure.message
                }
                ErrorKind::ValidationFailure => format!("failed rule: {}", rule.text.trim()),
                _ => format!(
                    "rule failed to evaluate: {}: {}",
                    rule.text.trim(),
                    failure.message
                ),
            };
            let place = match rule.field_path.as_deref() {
                Some(field) => format!("{path}{field}"),
                None => path.to_owned(),
            };
            let place = place.trim_start_matches('.').to_owned();
            self.errors.push(field_error(rule, &place, value, detail));
        }
    }
}

fn field_error(rule: &CompiledRule, place: &str, value: &Value, detail: String) -> FieldError {
    match rule.reason.as_deref() {
        Some("FieldValueForbidden") => FieldError::forbidden(place, detail),
        Some("FieldValueRequired") => FieldError::required(place, detail),
        Some("FieldValueDuplicate") => FieldError::duplicate(place, value.clone()),
        Some(_) | None if rule.message_expression => FieldError::invalid_unshown(place, detail),
        Some(_) | None => match value {
            Value::Object(_) | Value::Array(_) => FieldError::invalid_unshown(place, detail),
            shown => FieldError::invalid(place, shown.clone(), detail),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{rules, without_optional};
    use crate::schema::parse;

    #[test]
    fn methods_of_an_optional_predecessor_are_rewritten() {
        let rule =
            "!oldSelf.hasValue() || oldSelf.value().size() == self || oldSelf.orValue(3) > 1";
        assert_eq!(
            without_optional(rule),
            "!(oldSelf != null) || oldSelf.size() == self || (oldSelf == null ? (3) : oldSelf) > 1"
        );
    }

    #[test]
    fn a_rule_can_ask_whether_there_is_a_predecessor() {
        let schema = json!({"type": "object", "properties": {"size": {"type": "integer",
            "x-kubernetes-validations": [{"optionalOldSelf": true, "reason": "FieldValueForbidden",
                "message": "must start at 1 and grow by 1",
                "rule": "oldSelf.hasValue() ? self == oldSelf.value() + 1 : self == 1"}]}}});
        let mut faults = Vec::new();
        let schema = parse(&schema, "", &mut faults);
        assert_eq!(faults, []);
        let broken = |new: i64, old: Option<i64>| {
            let old = old.map(|old| json!({"size": old}));
            let errors = rules(&schema, &json!({"size": new}), old.as_ref());
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            texts.join("; ")
        };
        assert_eq!(broken(1, None), "");
        assert_eq!(broken(2, Some(1)), "");
        let message = "size: Forbidden: must start at 1 and grow by 1";
        assert_eq!(broken(2, None), message);
        assert_eq!(broken(3, Some(1)), message);
    }
}
