//! CustomResourceDefinitions: how a kind comes to be served.

mod status;
mod validate;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::{
    status::{mark_terminating, refresh},
    validate::{prepare, validate},
};
use crate::{
    catalog::{Model, Resource},
    schema::parse,
    table::Column,
};

/// Keeps a definition until its objects are gone.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The resources, one for each served version, of a stored and established definition.
pub(crate) fn resources(definition: &Value) -> Vec<Resource> {
    if !status::is_established(definition) {
        return Vec::new();
    }
    let spec = &definition["spec"];
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    versions
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| resource(definition, version))
        .collect()
}

fn resource(definition: &Value, version: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let published_schema = version["schema"]["openAPIV3Schema"].clone();
    // Faults were answered when the definition was written; what was stored has none.
    let mut faults = Vec::new();
    let schema = parse(&published_schema, "", &mut faults);
    Resource {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        short_names: strings(&names["shortNames"]),
        categories: strings(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        model: Model::Custom,
        storage: text(&definition["metadata"]["name"]).into(),
        has_status: version["subresources"]["status"].is_object(),
        schema: Arc::new(schema),
        published_schema,
        columns: columns(version),
        selectable: selectable(version),
        terminating: definition["metadata"].get("deletionTimestamp").is_some(),
    }
}

fn columns(version: &Value) -> Vec<Column> {
    let mut columns = vec![Column::name()];
    match version["additionalPrinterColumns"].as_array() {
        Some(list) if !list.is_empty() => columns.extend(
            list.iter()
                .filter_map(|column| Column::parse(column, "", &mut Vec::new())),
        ),
        _ => columns.push(Column::age()),
    }
    columns
}

fn selectable(version: &Value) -> Vec<String> {
    let fields = version["selectableFields"].as_array();
    fields
        .into_iter()
        .flatten()
        .filter_map(|field| field["jsonPath"].as_str())
        .map(|path| path.trim_start_matches('.').to_owned())
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
