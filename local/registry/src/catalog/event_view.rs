//! The two forms of an Event: `v1`, which is stored, and `events.k8s.io/v1`.

use serde_json::{Map, Value};

use super::{EventView, Model, Resource};

/// Field names that differ, as `v1` and as `events.k8s.io/v1` have them.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Brings an object from the form of its resource into the stored one.
pub(crate) fn to_stored(resource: &Resource, object: &mut Value) {
    if resource.model == Model::Event(EventView::Events) {
        rename(object, |core, events| (events, core));
        object["apiVersion"] = Value::from("v1");
    }
}

/// Brings an object from the stored form into that of its resource.
pub(crate) fn to_served(resource: &Resource, object: &mut Value) {
    if matches!(resource.model, Model::Event(_)) {
        complete(resource, object);
    }
    match resource.model {
        Model::Event(EventView::Events) => {
            rename(object, |core, events| (core, events));
            object["apiVersion"] = Value::from(resource.api_version());
        }
        Model::Event(EventView::Core)
        | Model::Namespace
        | Model::Lease
        | Model::ControllerRevision
        | Model::Definition
        | Model::Custom => {}
    }
}

/// Fields that an Event shows also where they are empty.
fn complete(resource: &Resource, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for time in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        fields.entry(time).or_insert(Value::Null);
    }
    fields
        .entry("source")
        .or_insert_with(|| Value::Object(Map::new()));
    if resource.model == Model::Event(EventView::Core) {
        for text in ["reportingComponent", "reportingInstance"] {
            fields.entry(text).or_insert(Value::from(""));
        }
    }
}

/// Whether an object is served in another form than it is stored in.
pub(crate) fn differs(resource: &Resource) -> bool {
    resource.model == Model::Event(EventView::Events)
}

/// The path of a field in the stored form.
pub(crate) fn stored_path(path: &str) -> String {
    for (core, events) in RENAMED {
        if path == events {
            return core.to_owned();
        }
        if let Some(rest) = path.strip_prefix(events)
            && rest.starts_with('.')
        {
            return format!("{core}{rest}");
        }
    }
    path.to_owned()
}

fn rename(
    object: &mut Value,
    direction: fn(&'static str, &'static str) -> (&'static str, &'static str),
) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    let mut renamed = Map::new();
    for (core, events) in RENAMED {
        let (from, to) = direction(core, events);
        if let Some(value) = fields.remove(from) {
            renamed.insert(to.to_owned(), value);
        }
    }
    fields.extend(renamed);
}

/// Gives a schema of the stored form the property names of its resource's form.
pub(crate) fn rename_properties(resource: &Resource, schema: &mut Value) {
    if differs(resource) {
        rename(&mut schema["properties"], |core, events| (core, events));
    }
}
