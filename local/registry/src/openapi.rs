//! OpenAPI v3: what kubectl reads to explain kinds and to learn what writes can be asked for.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Resource};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The document at an OpenAPI path; `None` for any other path.
pub(crate) fn answer(catalog: &Catalog, path: &str) -> Option<Value> {
    let rest = path.strip_prefix("/openapi/v3")?;
    if rest.is_empty() {
        return Some(index(catalog));
    }
    let parts: Vec<&str> = rest.split('/').skip(1).collect();
    match parts.as_slice() {
        ["api", version] => document(catalog, "", version),
        ["apis", group, version] => document(catalog, group, version),
        _ => None,
    }
}

fn group_versions(catalog: &Catalog) -> Vec<(String, String)> {
    let mut all = vec![(String::new(), "v1".to_owned())];
    for (group, versions) in catalog.groups() {
        all.extend(versions.into_iter().map(|version| (group.clone(), version)));
    }
    all
}

fn base_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

fn index(catalog: &Catalog) -> Value {
    let mut paths = Map::new();
    for (group, version) in group_versions(catalog) {
        let Some(document) = document(catalog, &group, &version) else {
            continue;
        };
        // Clients keep a document for as long as its hash stays the same.
        let mut hasher = DefaultHasher::new();
        document.to_string().hash(&mut hasher);
        let path = base_path(&group, &version);
        let url = format!("/openapi/v3/{path}?hash={:016X}", hasher.finish());
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

fn document(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert(OBJECT_META.to_owned(), object_meta());
    for resource in catalog.of(group, version) {
        schemas.insert(component(resource), schema(resource));
        add_paths(resource, &mut paths);
    }
    (!paths.is_empty()).then(|| {
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.0"},
               "paths": paths, "components": {"schemas": schemas}})
    })
}

/// The name of a kind's schema: the group's domain reversed, the version, the kind.
fn component(resource: &Resource) -> String {
    let group = if resource.group.is_empty() {
        "core.api.k8s.io"
    } else {
        &resource.group
    };
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.extend([resource.version.as_str(), resource.kind.as_str()]);
    parts.join(".")
}

fn kind(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn schema(resource: &Resource) -> Value {
    let mut schema = resource.published_schema.clone();
    crate::catalog::event_view::rename_properties(resource, &mut schema);
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"type": "string", "description":
        "APIVersion defines the versioned schema of this representation of an object."});
    properties["kind"] = json!({"type": "string", "description":
        "Kind is a string value representing the REST resource this object represents."});
    properties["metadata"] = json!({
        "allOf": [{"$ref": format!("#/components/schemas/{OBJECT_META}")}],
        "default": {}, "description": "Standard object's metadata."});
    schema["x-kubernetes-group-version-kind"] = json!([kind(resource)]);
    schema
}

fn object_meta() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let texts = |about: &str| {
        json!({"type": "object", "description": about,
               "additionalProperties": {"type": "string", "default": ""}})
    };
    json!({"type": "object",
    "description": "ObjectMeta is metadata that all persisted resources must have.",
    "properties": {
        "name": text("Name must be unique within a namespace."),
        "generateName": text("GenerateName is a prefix to generate a unique name."),
        "namespace": text("Namespace defines the space within which each name must be unique."),
        "labels": texts("Keys and values to organize and select objects."),
        "annotations": texts("Unstructured keys and values that tools store with the object."),
        "finalizers": {"type": "array", "items": {"type": "string", "default": ""},
            "description": "Must be empty before the object is deleted from the registry.",
            "x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"},
        "uid": text("UID is the unique in time and space value for this object."),
        "resourceVersion": text("The version of this object, for optimistic concurrency."),
        "generation": {"type": "integer", "format": "int64",
            "description": "A number that counts the versions of the desired state."},
        "creationTimestamp": text("When this object was created."),
        "deletionTimestamp": text("When this object was asked to be deleted."),
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64",
            "description": "Seconds allowed for this object to end gracefully."},
        "ownerReferences": {"type": "array", "items": {"type": "object"},
            "description": "Objects that this object depends on."},
        "managedFields": {"type": "array", "items": {"type": "object"},
            "description": "Which managers set which fields."}}})
}

fn add_paths(resource: &Resource, paths: &mut Map<String, Value>) {
    let base = base_path(&resource.group, &resource.version);
    let plural = &resource.plural;
    let collection = if resource.namespaced {
        format!("/{base}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("/{base}/{plural}")
    };
    let one = format!("{collection}/{{name}}");
    paths.insert(
        collection,
        json!({"get": operation(resource, "list", &[]),
               "post": operation(resource, "post", &["fieldManager", "fieldValidation"]),
               "delete": operation(resource, "deletecollection", &[])}),
    );
    let item = || {
        json!({"get": operation(resource, "get", &[]),
               "put": operation(resource, "put", &["fieldManager", "fieldValidation"]),
               "patch": patch(resource)})
    };
    if resource.has_status {
        paths.insert(format!("{one}/status"), item());
    }
    let mut item = item();
    item["delete"] = operation(resource, "delete", &[]);
    paths.insert(one, item);
}

fn operation(resource: &Resource, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = ["dryRun"]
        .iter()
        .chain(parameters)
        .filter(|name| **name != "dryRun" || !["get", "list"].contains(&action))
        .map(|name| {
            json!({"name": name, "in": "query",
                   "schema": {"type": "string", "uniqueItems": true}})
        })
        .collect();
    let body = json!({"application/json": {"schema":
        {"$ref": format!("#/components/schemas/{}", component(resource))}}});
    json!({"parameters": parameters, "x-kubernetes-action": action,
           "x-kubernetes-group-version-kind": kind(resource),
           "responses": {"200": {"description": "OK", "content": body}}})
}

/// Without the strategic dialect: clients then use the one that they have built in for the kind.
fn patch(resource: &Resource) -> Value {
    let mut patch = operation(
        resource,
        "patch",
        &["fieldManager", "fieldValidation", "force"],
    );
    let body = json!({"schema": {"type": "object"}});
    patch["requestBody"] = json!({"required": true, "content": {
        "application/apply-patch+yaml": body,
        "application/json-patch+json": body,
        "application/merge-patch+json": body}});
    patch
}
