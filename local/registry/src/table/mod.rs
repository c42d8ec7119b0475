//! Tables: what `kubectl get` prints.
//!
//! A server that answers in tables decides what people see; clients only align the cells.

mod age;
mod jsonpath;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::jsonpath::JsonPath;
use crate::field_error::FieldError;

/// How a cell is computed.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Path(JsonPath),
    /// A text, empty where there is none: how a server shows the kinds that it was built with.
    Text(JsonPath),
    /// The time since the creation.
    Age,
    /// The creation time, spelled out.
    Created,
    /// When an Event was last seen.
    LastSeen,
    FirstSeen,
    /// How often an Event was seen.
    Count,
    /// What an Event is about.
    Involved,
    /// Who saw an Event.
    Source,
    /// The owner that controls the object, as `kind.group/name`.
    Controller,
    /// A ControllerRevision's number.
    Revision,
}

/// A column of a resource's table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    cell: Cell,
}

impl Column {
    /// The object's name, which leads each row.
    pub(crate) fn name() -> Self {
        Self {
            format: "name".to_owned(),
            description: "Name must be unique within a namespace.".to_owned(),
            ..Self::path("Name", "string", ".metadata.name")
        }
    }

    /// How long ago the object was created.
    pub(crate) fn age() -> Self {
        Self {
            description: "CreationTimestamp is the time when this object was created.".to_owned(),
            cell: Cell::Age,
            ..Self::path("Age", "date", ".metadata.creationTimestamp")
        }
    }

    /// The same for a kind that a server was built with, which has a text there.
    pub(crate) fn age_as_text() -> Self {
        Self {
            kind: "string".to_owned(),
            ..Self::age()
        }
    }

    /// A column of the registry's own resources.
    pub(crate) fn path(name: &str, kind: &str, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            cell: Cell::Text(JsonPath::parse(path).expect("the paths in this crate are valid")),
        }
    }

    /// The same column with another cell.
    pub(crate) fn with(self, cell: Cell) -> Self {
        Self { cell, ..self }
    }

    /// The same column, shown with `-o wide` only.
    pub(crate) fn wide(self) -> Self {
        Self {
            priority: 1,
            ..self
        }
    }

    /// A column of a CustomResourceDefinition.
    pub(crate) fn parse(column: &Value, place: &str, errors: &mut Vec<FieldError>) -> Option<Self> {
        let text = |field: &str| column[field].as_str().unwrap_or_default().to_owned();
        let kind = text("type");
        let kinds = ["boolean", "date", "integer", "number", "string"];
        if !kinds.contains(&kind.as_str()) {
            errors.push(FieldError::not_supported(
                &format!("{place}.type"),
                column["type"].clone(),
                &kinds.map(Value::from),
            ));
        }
        match JsonPath::parse(&text("jsonPath")) {
            Ok(path) => Some(Self {
                name: text("name"),
                kind,
                format: text("format"),
                description: match text("description") {
                    none if none.is_empty() => format!(
                        "Custom resource definition column (in JSONPath format): {}",
                        text("jsonPath")
                    ),
                    some => some,
                },
                priority: column["priority"].as_i64().unwrap_or_default(),
                cell: Cell::Path(path),
            }),
            Err(why) => {
                let place = format!("{place}.jsonPath");
                errors.push(FieldError::invalid(&place, column["jsonPath"].clone(), why));
                None
            }
        }
    }

    fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "format": self.format,
               "description": self.description, "priority": self.priority})
    }

    fn value(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Path(path) => self.typed(&path.find(object), now),
            Cell::Text(path) => {
                let first = path.find(object).first().map(|value| plain(value));
                Value::from(first.unwrap_or_default())
            }
            Cell::Age => object["metadata"]["creationTimestamp"]
                .as_str()
                .map_or(Value::from("<unknown>"), |text| since(text, now)),
            Cell::Created => object["metadata"]["creationTimestamp"].clone(),
            Cell::LastSeen => first_time(
                object,
                &["/series/lastObservedTime", "/lastTimestamp", "/eventTime"],
                now,
            ),
            Cell::FirstSeen => first_time(object, &["/firstTimestamp", "/eventTime"], now),
            Cell::Count => object
                .pointer("/series/count")
                .or(object.get("count"))
                .and_then(Value::as_i64)
                .map_or(Value::from(1), Value::from),
            Cell::Source => {
                let either = |first: &str, second: &str| {
                    let found = [first, second].map(|pointer| object.pointer(pointer));
                    let mut found = found.into_iter().flatten().filter_map(Value::as_str);
                    found.find(|text| !text.is_empty()).unwrap_or_default()
                };
                let component = either("/source/component", "/reportingComponent");
                match either("/source/host", "/reportingInstance") {
                    "" => Value::from(component),
                    instance => Value::from(format!("{component}, {instance}")),
                }
            }
            Cell::Controller => Value::from(controller(object)),
            Cell::Revision => Value::from(object["revision"].as_i64().unwrap_or_default()),
            Cell::Involved => {
                let involved = &object["involvedObject"];
                let kind = involved["kind"].as_str().unwrap_or_default().to_lowercase();
                let name = involved["name"].as_str().unwrap_or_default();
                Value::from(format!("{kind}/{name}"))
            }
        }
    }

    fn typed(&self, found: &[&Value], now: Timestamp) -> Value {
        let Some(first) = found.first().filter(|value| !value.is_null()) else {
            return Value::Null;
        };
        match self.kind.as_str() {
            "integer" => match first {
                Value::Number(number) if !number.is_f64() => Value::clone(first),
                Value::Number(number) => {
                    Value::from(number.as_f64().unwrap_or_default().trunc() as i64)
                }
                _ => Value::Null,
            },
            "number" if first.is_number() => Value::clone(first),
            "boolean" if first.is_boolean() => Value::clone(first),
            "date" => first.as_str().map_or(Value::Null, |text| since(text, now)),
            "string" => {
                let shown: Vec<String> = found.iter().map(|value| plain(value)).collect();
                Value::from(shown.join(" "))
            }
            _ => Value::Null,
        }
    }
}

/// The owner that controls an object, as kubectl can be asked for it.
fn controller(object: &Value) -> String {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    let Some(owner) = owners.find(|owner| owner["controller"] == true) else {
        return "<none>".to_owned();
    };
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = text("kind").to_lowercase();
    match text("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text("name")),
        None => format!("{kind}/{}", text("name")),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn first_time(object: &Value, pointers: &[&str], now: Timestamp) -> Value {
    pointers
        .iter()
        .find_map(|pointer| object.pointer(pointer)?.as_str())
        .map_or(Value::from("<unknown>"), |text| since(text, now))
}

fn since(time: &str, now: Timestamp) -> Value {
    match time.parse::<Timestamp>() {
        Ok(time) => Value::from(age::human(now.duration_since(time))),
        Err(_) => Value::from("<invalid>"),
    }
}

/// What comes with each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// Objects as a table. `stored` and `served` are the same object in both its forms.
pub(crate) fn table(
    columns: &[Column],
    objects: &[(&Value, Value)],
    include: IncludeObject,
    with_header: bool,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|(stored, served)| {
            let cells: Vec<Value> = columns
                .iter()
                .map(|column| column.value(stored, now))
                .collect();
            match include {
                IncludeObject::None => json!({"cells": cells, "object": null}),
                IncludeObject::Metadata => json!({"cells": cells, "object": metadata_of(served)}),
                IncludeObject::Object => json!({"cells": cells, "object": served}),
            }
        })
        .collect();
    let mut table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
                           "rows": rows});
    // In a watch the columns come once; then there is null in their place.
    table["columnDefinitions"] = if with_header {
        columns.iter().map(Column::definition).collect()
    } else {
        Value::Null
    };
    table
}

/// An object's metadata, as an object of its own.
pub(crate) fn metadata_of(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
           "metadata": object["metadata"]})
}
