//! `metadata.ownerReferences`: reading them, and the rules that hold for every kind.

use serde_json::Value;

use super::text;
use crate::field_error::{FieldError, child, item};

/// Where the references stand, as errors name it.
const PATH: &str = "metadata.ownerReferences";

const TEXTS: [&str; 4] = ["apiVersion", "kind", "name", "uid"];

const FLAGS: [&str; 2] = ["controller", "blockOwnerDeletion"];

/// The owners of an object.
pub(crate) fn owners(object: &Value) -> &[Value] {
    let list = object["metadata"]["ownerReferences"].as_array();
    list.map_or(&[], Vec::as_slice)
}

/// The owner reference that names `uid`.
pub(super) fn reference<'a>(object: &'a Value, uid: &str) -> Option<&'a Value> {
    owners(object).iter().find(|owner| owner["uid"] == uid)
}

/// Brings the references of new metadata into their stored form: without unknown fields, whose
/// paths are returned, without nulls, and each only once. `None` where a field has the wrong type.
pub(super) fn normalize(references: &mut Value) -> Option<Vec<String>> {
    let mut unknown = Vec::new();
    let list = references.as_array_mut()?;
    for (index, owner) in list.iter_mut().enumerate() {
        let place = item(PATH, index);
        let fields = owner.as_object_mut()?;
        fields.retain(|name, value| {
            let known = TEXTS.contains(&name.as_str()) || FLAGS.contains(&name.as_str());
            if !known {
                unknown.push(child(&place, name));
            }
            known && !value.is_null()
        });
        for (name, value) in fields.iter() {
            let fits = if FLAGS.contains(&name.as_str()) {
                value.is_boolean()
            } else {
                value.is_string()
            };
            if !fits {
                return None;
            }
        }
    }
    let mut seen: Vec<Value> = Vec::new();
    list.retain(|owner| {
        let is_new = !seen.contains(owner);
        if is_new {
            seen.push(owner.clone());
        }
        is_new
    });
    Some(unknown)
}

/// The faults of an object's owner references.
pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut controller: Option<String> = None;
    for owner in owners(object) {
        let mut invalid = |field: &str, detail: &str| {
            let value = Value::from(text(owner, &format!("/{field}")));
            errors.push(FieldError::invalid(&child(PATH, field), value, detail));
        };
        if !names_a_version(text(owner, "/apiVersion")) {
            invalid("apiVersion", "version must not be empty");
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, &format!("/{field}")).is_empty() {
                invalid(field, "must not be empty");
            }
        }
        if owner["apiVersion"] == "v1" && owner["kind"] == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(PATH, owner.clone(), detail));
        }
        if owner["controller"] != true {
            continue;
        }
        let this = format!("{}/{}", text(owner, "/kind"), text(owner, "/name"));
        match &controller {
            None => controller = Some(this),
            Some(first) => {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in \
                     references for {first} and {this}"
                );
                let all = Value::from(owners(object));
                errors.push(FieldError::invalid(PATH, all, detail));
            }
        }
    }
    errors
}

/// Whether there is a version in `group/version`, or in the version alone.
fn names_a_version(api_version: &str) -> bool {
    match api_version.split_once('/') {
        Some((_, version)) => !version.is_empty() && !version.contains('/'),
        None => !api_version.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_lose_what_is_unknown_and_what_occurs_twice() {
        let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": "a", "uid": "1"});
        let mut odd = owner.clone();
        odd["colour"] = json!("red");
        odd["controller"] = json!(null);
        let mut list = json!([owner, odd]);
        let unknown = normalize(&mut list).unwrap();
        assert_eq!(unknown, ["metadata.ownerReferences[1].colour"]);
        assert_eq!(list, json!([owner]));
        for wrong in [json!({"uid": 1}), json!({"controller": "yes"}), json!("x")] {
            assert_eq!(normalize(&mut json!([wrong])), None);
        }
    }

    #[test]
    fn a_version_is_named_with_and_without_a_group() {
        for (text, wanted) in [
            ("v1", true),
            ("apps/v1", true),
            ("", false),
            ("apps/", false),
            ("a/b/c", false),
        ] {
            assert_eq!(names_a_version(text), wanted, "{text}");
        }
    }
}
