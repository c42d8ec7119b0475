//! Rules of the kinds that are there without a definition, worded as servers word them.

use serde_json::{Map, Value};

use super::text;
use crate::{
    catalog::{EventView, Model, Resource},
    field_error::FieldError,
};

/// Brings in what such a kind always has, also where it is empty.
pub(super) fn complete(resource: &Resource, object: &mut Value) {
    if resource.model == Model::Lease && object.get("spec").is_none() {
        object["spec"] = Value::Object(Map::new());
    }
}

/// The faults of a new or changed object of such a kind.
pub(super) fn check(resource: &Resource, object: &Value, is_new: bool) -> Vec<FieldError> {
    match resource.model {
        Model::Lease => lease(object),
        Model::Event(view) if is_new => event(object, view),
        Model::Event(_) | Model::Namespace | Model::Definition | Model::Custom => Vec::new(),
    }
}

fn lease(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, least, detail) in [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ] {
        let value = &object["spec"][field];
        if value.as_i64().is_some_and(|number| number < least) {
            let path = format!("spec.{field}");
            errors.push(FieldError::invalid(&path, value.clone(), detail));
        }
    }
    errors
}

/// What is asked of a new Event. The fields have the names of the stored form, and a time of its
/// own tells a new Event from one of the old form.
fn event(object: &Value, view: EventView) -> Vec<FieldError> {
    let has_time = object["eventTime"].is_string();
    let mut errors: Vec<FieldError> = involved(object, has_time).into_iter().collect();
    if view == EventView::Events && !has_time {
        errors.push(FieldError::required("eventTime", ""));
    }
    if view == EventView::Core && !has_time {
        return errors;
    }
    let controller = match view {
        EventView::Core => "reportingComponent",
        EventView::Events => "reportingController",
    };
    for (field, name) in [
        ("reportingComponent", controller),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
    ] {
        if object[field].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(name, ""));
        }
    }
    let kind = text(object, "/type");
    if view == EventView::Events && !["Normal", "Warning"].contains(&kind) {
        let detail = format!("has invalid value: {kind}");
        errors.push(FieldError::invalid("type", Value::from(""), detail));
    }
    errors
}

/// An Event of the old form stands in the namespace of what it is about. A new one may stand
/// elsewhere; about what has no namespace, it stands in the default one or that of the system.
fn involved(object: &Value, has_time: bool) -> Option<FieldError> {
    let about = text(object, "/involvedObject/namespace");
    let home = text(object, "/metadata/namespace");
    let fits = match (about, has_time) {
        ("", false) => home == "default",
        ("", true) => ["default", "kube-system"].contains(&home),
        (about, false) => about == home,
        (_, true) => true,
    };
    (!fits).then(|| {
        let detail = "does not match event.namespace";
        FieldError::invalid("involvedObject.namespace", Value::from(about), detail)
    })
}
