//! The resources that are there without a definition.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{EventView, Model, Resource};
use crate::{
    schema::{MICRO_TIME, parse},
    table::{Cell, Column},
};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        namespaces(),
        events(EventView::Core),
        controller_revisions(),
        definitions(),
        leases(),
        events(EventView::Events),
    ]
}

struct Names {
    group: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
}

fn resource(names: &Names, model: Model, schema: Value, columns: Vec<Column>) -> Resource {
    let mut faults = Vec::new();
    let parsed = parse(&schema, "", &mut faults);
    assert!(
        faults.is_empty(),
        "the schemas in this file are structural: {faults:?}"
    );
    let storage = if names.group.is_empty() {
        names.plural.to_owned()
    } else {
        format!("{}.{}", names.plural, names.group)
    };
    Resource {
        group: names.group.to_owned(),
        version: "v1".to_owned(),
        plural: names.plural.to_owned(),
        singular: names.singular.to_owned(),
        kind: names.kind.to_owned(),
        list_kind: format!("{}List", names.kind),
        short_names: names.short.iter().map(ToString::to_string).collect(),
        categories: Vec::new(),
        namespaced: true,
        model,
        storage: storage.into(),
        has_status: false,
        schema: Arc::new(parsed),
        published_schema: published(schema),
        columns,
        selectable: Vec::new(),
        terminating: false,
    }
}

/// The schema as clients see it.
fn published(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            for field in fields.values_mut() {
                *field = published(field.take());
            }
        }
        Value::Array(list) => {
            for item in list {
                *item = published(item.take());
            }
        }
        Value::String(text) if text == MICRO_TIME => return Value::from("date-time"),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    schema
}

fn namespaces() -> Resource {
    let names = Names {
        group: "",
        plural: "namespaces",
        singular: "namespace",
        kind: "Namespace",
        short: &["ns"],
    };
    let schema = json!({"type": "object", "description": "Namespace provides a scope for Names.",
    "properties": {
        "spec": {"type": "object", "properties": {
            "finalizers": {"type": "array", "items": {"type": "string"}}}},
        "status": {"type": "object", "properties": {
            "phase": {"type": "string"},
            "conditions": {"type": "array", "items": {"type": "object",
                "x-kubernetes-preserve-unknown-fields": true}}}}}});
    let columns = vec![
        Column::name(),
        Column::path("Status", "string", ".status.phase"),
        Column::age_as_text(),
    ];
    Resource {
        namespaced: false,
        has_status: true,
        ..resource(&names, Model::Namespace, schema, columns)
    }
}

fn leases() -> Resource {
    let names = Names {
        group: "coordination.k8s.io",
        plural: "leases",
        singular: "lease",
        kind: "Lease",
        short: &[],
    };
    let schema = json!({"type": "object", "description": "Lease defines a lease concept.",
    "properties": {"spec": {"type": "object", "properties": {
        "holderIdentity": {"type": "string", "nullable": true},
        "leaseDurationSeconds": {"type": "integer", "nullable": true},
        "acquireTime": {"type": "string", "format": MICRO_TIME, "nullable": true},
        "renewTime": {"type": "string", "format": MICRO_TIME, "nullable": true},
        "leaseTransitions": {"type": "integer", "nullable": true},
        "strategy": {"type": "string", "nullable": true},
        "preferredHolder": {"type": "string", "nullable": true}}}}});
    let columns = vec![
        Column::name(),
        Column::path("Holder", "string", ".spec.holderIdentity"),
        Column::age_as_text(),
    ];
    resource(&names, Model::Lease, schema, columns)
}

fn controller_revisions() -> Resource {
    let names = Names {
        group: "apps",
        plural: "controllerrevisions",
        singular: "controllerrevision",
        kind: "ControllerRevision",
        short: &[],
    };
    // The data is raw JSON to a server, which owns and compares it as a whole.
    let schema = json!({"type": "object", "required": ["revision"],
    "description": "ControllerRevision implements an immutable snapshot of state data.",
    "properties": {
        "data": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-map-type": "atomic",
            "description": "Data is the serialized representation of the state."},
        "revision": {"type": "integer", "format": "int64",
            "description": "Revision indicates the revision of the state represented by Data."}}});
    let columns = vec![
        Column::name(),
        Column::path("Controller", "string", ".metadata.ownerReferences").with(Cell::Controller),
        Column::path("Revision", "string", ".revision").with(Cell::Revision),
        Column::age_as_text(),
    ];
    resource(&names, Model::ControllerRevision, schema, columns)
}

fn definitions() -> Resource {
    let names = Names {
        group: "apiextensions.k8s.io",
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        kind: "CustomResourceDefinition",
        short: &["crd", "crds"],
    };
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let kind_names = json!({"type": "object", "properties": {
        "plural": {"type": "string"}, "singular": {"type": "string"},
        "kind": {"type": "string"}, "listKind": {"type": "string"},
        "shortNames": strings, "categories": strings}});
    let version = json!({"type": "object", "required": ["name", "served", "storage"],
    "properties": {
        "name": {"type": "string"}, "served": {"type": "boolean"},
        "storage": {"type": "boolean"}, "deprecated": {"type": "boolean"},
        "deprecationWarning": {"type": "string"},
        "schema": {"type": "object", "properties": {"openAPIV3Schema": any}},
        "subresources": {"type": "object", "properties": {"status": any, "scale": any}},
        "selectableFields": {"type": "array", "items": {"type": "object",
            "properties": {"jsonPath": {"type": "string"}}}},
        "additionalPrinterColumns": {"type": "array", "items": {"type": "object",
            "required": ["jsonPath", "name", "type"],
            "properties": {
                "name": {"type": "string"}, "type": {"type": "string"},
                "format": {"type": "string"}, "description": {"type": "string"},
                "priority": {"type": "integer"}, "jsonPath": {"type": "string"}}}}}});
    let schema = json!({"type": "object", "required": ["spec"],
    "description": "CustomResourceDefinition represents a resource that should be exposed on the \
                    API server.",
    "properties": {
        "spec": {"type": "object", "required": ["group", "names", "scope", "versions"],
        "properties": {
            "group": {"type": "string"}, "scope": {"type": "string"}, "names": kind_names,
            "conversion": any, "preserveUnknownFields": {"type": "boolean"},
            "versions": {"type": "array", "items": version}}},
        "status": any}});
    let columns = vec![
        Column::name(),
        Column::path("Created At", "date", ".metadata.creationTimestamp").with(Cell::Created),
    ];
    Resource {
        namespaced: false,
        has_status: true,
        categories: vec!["api-extensions".to_owned()],
        ..resource(&names, Model::Definition, schema, columns)
    }
}

fn events(view: EventView) -> Resource {
    let group = match view {
        EventView::Core => "",
        EventView::Events => "events.k8s.io",
    };
    let names = Names {
        group,
        plural: "events",
        singular: "event",
        kind: "Event",
        short: &["ev"],
    };
    let reference = json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
        "name": {"type": "string"}, "namespace": {"type": "string"},
        "uid": {"type": "string"}, "resourceVersion": {"type": "string"},
        "fieldPath": {"type": "string"}}});
    let text = json!({"type": "string"});
    let time = json!({"type": "string", "format": "date-time", "nullable": true});
    let micro = json!({"type": "string", "format": MICRO_TIME, "nullable": true});
    // Events are stored as `v1` has them, and a client's object is brought into that form first.
    let schema = json!({"type": "object",
    "description": "Event is a report of an event somewhere in the cluster.",
    "properties": {
        "involvedObject": reference, "related": reference,
        "reason": text, "message": text, "type": text, "action": text,
        "reportingComponent": text, "reportingInstance": text,
        "source": {"type": "object", "properties": {"component": text, "host": text}},
        "firstTimestamp": time, "lastTimestamp": time, "eventTime": micro,
        "count": {"type": "integer"},
        "series": {"type": "object", "properties": {
            "count": {"type": "integer"}, "lastObservedTime": micro}}}});
    let columns = vec![
        Column::path("Last Seen", "string", ".lastTimestamp").with(Cell::LastSeen),
        Column::path("Type", "string", ".type"),
        Column::path("Reason", "string", ".reason"),
        Column::path("Object", "string", ".involvedObject").with(Cell::Involved),
        Column::path("Subobject", "string", ".involvedObject.fieldPath").wide(),
        Column::path("Source", "string", ".reportingComponent")
            .with(Cell::Source)
            .wide(),
        Column::path("Message", "string", ".message"),
        Column::path("First Seen", "string", ".firstTimestamp")
            .with(Cell::FirstSeen)
            .wide(),
        Column::path("Count", "string", ".count")
            .with(Cell::Count)
            .wide(),
        Column::name().wide(),
    ];
    let mut events = resource(&names, Model::Event(view), schema, columns);
    events.storage = "events".into();
    events
}
