//! Label and field selectors.

use serde_json::Value;

use crate::{
    catalog::{Model, Resource, event_view},
    object::label_faults,
    status::ApiError,
};

#[derive(Debug, Clone, PartialEq)]
enum LabelTerm {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
struct FieldTerm {
    path: Vec<String>,
    value: String,
    equal: bool,
}

/// Which objects a list or a watch is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

impl Selector {
    /// Parses the two query parameters.
    pub(crate) fn parse(
        resource: &Resource,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, ApiError> {
        let labels = split_terms(labels.unwrap_or_default())
            .into_iter()
            .map(label_term)
            .collect::<Result<_, _>>()?;
        let fields = fields
            .unwrap_or_default()
            .split(',')
            .filter(|term| !term.trim().is_empty())
            .map(|term| field_term(resource, term))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether an object, in its stored form, is selected.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key)?.as_str();
        let labels = self.labels.iter().all(|term| match term {
            LabelTerm::Exists(key) => label(key).is_some(),
            LabelTerm::Absent(key) => label(key).is_none(),
            LabelTerm::In(key, values) => {
                label(key).is_some_and(|label| values.iter().any(|value| value == label))
            }
            LabelTerm::NotIn(key, values) => {
                label(key).is_none_or(|label| values.iter().all(|value| value != label))
            }
        });
        labels
            && self.fields.iter().all(|term| {
                let found = term
                    .path
                    .iter()
                    .try_fold(object, |value, name| value.get(name));
                let found = match found {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                };
                (found == term.value) == term.equal
            })
    }
}

/// Splits at commas outside parentheses.
fn split_terms(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn label_term(term: &str) -> Result<LabelTerm, ApiError> {
    let list = |text: &str| -> Option<Vec<String>> {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(
            inner
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect(),
        )
    };
    let refuse = || {
        ApiError::bad_request(format!(
            "unable to parse requirement: found '{term}', expected: a key, '=', '!=', 'in' or \
             'notin'"
        ))
    };
    let trimmed = |key: &str| key.trim().to_owned();
    let parsed = if let Some((key, values)) = term.split_once(" notin ") {
        LabelTerm::NotIn(trimmed(key), list(values).ok_or_else(refuse)?)
    } else if let Some((key, values)) = term.split_once(" in ") {
        LabelTerm::In(trimmed(key), list(values).ok_or_else(refuse)?)
    } else if let Some((key, value)) = term.split_once("!=") {
        LabelTerm::NotIn(trimmed(key), vec![trimmed(value)])
    } else if let Some((key, value)) = term.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        LabelTerm::In(trimmed(key), vec![trimmed(value)])
    } else if let Some(key) = term.strip_prefix('!') {
        LabelTerm::Absent(trimmed(key))
    } else if term.contains(char::is_whitespace) || term.contains(['(', ')']) {
        return Err(refuse());
    } else {
        LabelTerm::Exists(trimmed(term))
    };
    check(&parsed)?;
    Ok(parsed)
}

/// Refuses keys and values that no label can have.
fn check(term: &LabelTerm) -> Result<(), ApiError> {
    let (key, values): (&str, &[String]) = match term {
        LabelTerm::Exists(key) | LabelTerm::Absent(key) => (key, &[]),
        LabelTerm::In(key, values) | LabelTerm::NotIn(key, values) => (key, values),
    };
    match label_faults(key, values).into_iter().next() {
        None => Ok(()),
        Some(fault) => Err(ApiError::bad_request(format!(
            "unable to parse requirement: {fault}"
        ))),
    }
}

fn field_term(resource: &Resource, term: &str) -> Result<FieldTerm, ApiError> {
    let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = term.split_once('=') {
        (path, value.strip_prefix('=').unwrap_or(value), true)
    } else {
        let message = format!("invalid selector: '{term}'; can't understand '{term}'");
        return Err(ApiError::bad_request(message));
    };
    let path = path.trim();
    if !is_selectable(resource, path) {
        let message = format!("field label not supported: {path}");
        return Err(ApiError::bad_request(message));
    }
    Ok(FieldTerm {
        path: stored_path(resource, path)
            .split('.')
            .map(str::to_owned)
            .collect(),
        value: value.to_owned(),
        equal,
    })
}

fn stored_path(resource: &Resource, path: &str) -> String {
    match resource.model {
        Model::Event(_) => event_view::stored_path(path),
        Model::Namespace
        | Model::Lease
        | Model::ControllerRevision
        | Model::Definition
        | Model::Custom => path.to_owned(),
    }
}

fn is_selectable(resource: &Resource, path: &str) -> bool {
    let always = ["metadata.name", "metadata.namespace"];
    always.contains(&path)
        || resource.selectable.iter().any(|field| field == path)
        || match resource.model {
            Model::Namespace => path == "status.phase",
            Model::Event(_) => {
                let simple = [
                    "reason",
                    "type",
                    "reportingComponent",
                    "reportingController",
                ];
                simple.contains(&path)
                    || path.starts_with("involvedObject.")
                    || path.starts_with("regarding.")
            }
            Model::Lease | Model::ControllerRevision | Model::Definition | Model::Custom => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn selects(labels: &str, fields: &str) -> bool {
        let catalog = Catalog::new(std::iter::empty());
        let events = catalog.find("events.k8s.io", "v1", "events").unwrap();
        let object = json!({"metadata": {"name": "x", "labels": {"app": "web", "tier": "a"}},
                            "reason": "Started", "involvedObject": {"name": "y"}});
        Selector::parse(events, Some(labels), Some(fields))
            .unwrap()
            .matches(&object)
    }

    #[test]
    fn labels_are_selected_by_equality_sets_and_presence() {
        for yes in [
            "",
            "app=web",
            "app==web,tier",
            "app in (api, web)",
            "!gone",
            "gone!=x",
            "app notin (x)",
        ] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in ["app=api", "app!=web", "!app", "gone", "app notin (web,x)"] {
            assert!(!selects(no, ""), "{no}");
        }
    }

    #[test]
    fn events_are_selected_by_what_they_are_about_in_both_forms() {
        assert!(selects("", "involvedObject.name=y,reason=Started"));
        assert!(selects("", "regarding.name=y,reason!=Ended"));
        assert!(!selects("", "regarding.name=z"));
        // An absent field reads as the empty text.
        assert!(selects("", "involvedObject.uid="));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let catalog = Catalog::new(std::iter::empty());
        let leases = catalog.find("coordination.k8s.io", "v1", "leases").unwrap();
        let error = Selector::parse(leases, None, Some("spec.x=1")).unwrap_err();
        assert_eq!(error.to_string(), "field label not supported: spec.x");
    }
}
