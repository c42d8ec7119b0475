//! Rules of the kinds that are there without a definition, worded as servers word them.

use serde_json::{Map, Value};

use super::text;
use crate::{
    catalog::{EventView, Model, Resource},
    field_error::FieldError,
};

/// Brings in what such a kind always has, also where it is empty.
pub(super) fn complete(resource: &Resource, object: &mut Value) {
    match resource.model {
        Model::Lease if object.get("spec").is_none() => {
            object["spec"] = Value::Object(Map::new());
        }
        // A number in Go, which is zero where nobody sets it.
        Model::ControllerRevision if object.get("revision").is_none() => {
            object["revision"] = Value::from(0);
        }
        Model::Namespace
        | Model::Lease
        | Model::ControllerRevision
        | Model::Event(_)
        | Model::Definition
        | Model::Custom => {}
    }
}

/// The faults of an object of such a kind. `old` is the one that it replaces.
pub(super) fn check(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match resource.model {
        Model::Lease => lease(object),
        Model::ControllerRevision => controller_revision(object, old),
        Model::Event(view) if old.is_none() => event(object, view),
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

fn controller_revision(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if object.get("data").is_none() {
        errors.push(FieldError::required("data", "data is mandatory"));
    }
    let revision = &object["revision"];
    if revision.as_i64().is_some_and(|number| number < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("revision", revision.clone(), detail));
    }
    if old.is_some_and(|old| old["data"] != object["data"]) {
        errors.push(FieldError::invalid_unshown("data", "field is immutable"));
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
