//! From the JSON of `openAPIV3Schema` to a [`Schema`], with the rules of structural schemas.

use regex::Regex;
use serde_json::Value;

use super::{Additional, Bound, ListType, Schema, Size, Type, cel};
use crate::field_error::{FieldError, child, entry, item};

/// Parses a schema; every fault is added to `errors` under `path`.
pub(crate) fn parse(schema: &Value, path: &str, errors: &mut Vec<FieldError>) -> Schema {
    let mut parser = Parser { errors };
    parser.node(schema, path, Place::Structural)
}

/// Whether a node describes the structure or is part of a value check (`allOf` and its like),
/// which may leave out the type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Structural,
    Check,
}

struct Parser<'a> {
    errors: &'a mut Vec<FieldError>,
}

impl Parser<'_> {
    fn node(&mut self, json: &Value, path: &str, place: Place) -> Schema {
        let mut schema = Schema {
            kind: self.kind(json, path),
            nullable: flag(json, "nullable"),
            preserve_unknown: flag(json, "x-kubernetes-preserve-unknown-fields"),
            int_or_string: flag(json, "x-kubernetes-int-or-string"),
            embedded_resource: flag(json, "x-kubernetes-embedded-resource"),
            atomic_map: text(json, "x-kubernetes-map-type") == Some("atomic"),
            required: strings(json, "required"),
            allowed: json.get("enum").and_then(Value::as_array).cloned(),
            minimum: bound(json, "minimum", "exclusiveMinimum"),
            maximum: bound(json, "maximum", "exclusiveMaximum"),
            multiple_of: json.get("multipleOf").and_then(Value::as_number).cloned(),
            length: size(json, "minLength", "maxLength"),
            item_count: size(json, "minItems", "maxItems"),
            property_count: size(json, "minProperties", "maxProperties"),
            pattern: self.pattern(json, path),
            format: text(json, "format").map(str::to_owned),
            default: json.get("default").cloned(),
            list_type: self.list_type(json, path),
            ..Schema::default()
        };
        self.children(json, path, place, &mut schema);
        self.checks(json, path, &mut schema);
        schema.rules = cel::compile(json, path, self.errors);
        if place == Place::Structural
            && schema.kind.is_none()
            && !schema.int_or_string
            && !schema.preserve_unknown
        {
            self.errors.push(FieldError::required(
                &child(path, "type"),
                "must not be empty for specified object fields",
            ));
        }
        schema
    }

    fn kind(&mut self, json: &Value, path: &str) -> Option<Type> {
        let name = json.get("type")?;
        match name.as_str() {
            Some("object") => Some(Type::Object),
            Some("array") => Some(Type::Array),
            Some("string") => Some(Type::String),
            Some("integer") => Some(Type::Integer),
            Some("number") => Some(Type::Number),
            Some("boolean") => Some(Type::Boolean),
            Some("") => None,
            Some(_) | None => {
                let supported = ["array", "boolean", "integer", "number", "object", "string"];
                self.errors.push(FieldError::not_supported(
                    &child(path, "type"),
                    name.clone(),
                    &supported.map(Value::from),
                ));
                None
            }
        }
    }

    fn pattern(&mut self, json: &Value, path: &str) -> Option<Regex> {
        let pattern = text(json, "pattern")?;
        Regex::new(pattern)
            .map_err(|error| {
                let detail = format!("must be a valid regular expression, but isn't: {error}");
                let place = child(path, "pattern");
                let error = FieldError::invalid(&place, Value::from(pattern), detail);
                self.errors.push(error);
            })
            .ok()
    }

    fn list_type(&mut self, json: &Value, path: &str) -> Option<ListType> {
        match text(json, "x-kubernetes-list-type")? {
            "atomic" => Some(ListType::Atomic),
            "set" => Some(ListType::Set),
            "map" => {
                let keys = strings(json, "x-kubernetes-list-map-keys");
                if keys.is_empty() {
                    self.errors.push(FieldError::required(
                        &child(path, "x-kubernetes-list-map-keys"),
                        "must not be empty if x-kubernetes-list-type is map",
                    ));
                }
                Some(ListType::Map(keys))
            }
            other => {
                self.errors.push(FieldError::not_supported(
                    &child(path, "x-kubernetes-list-type"),
                    Value::from(other),
                    &["atomic", "map", "set"].map(Value::from),
                ));
                None
            }
        }
    }

    fn children(&mut self, json: &Value, path: &str, place: Place, schema: &mut Schema) {
        if let Some(properties) = json.get("properties").and_then(Value::as_object) {
            let base = child(path, "properties");
            for (name, property) in properties {
                let node = self.node(property, &entry(&base, name), place);
                schema.properties.insert(name.clone(), node);
            }
        }
        schema.additional = match json.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(Additional::Any),
            Some(additional @ Value::Object(_)) => {
                let node = self.node(additional, &child(path, "additionalProperties"), place);
                Some(Additional::Schema(Box::new(node)))
            }
            _ => None,
        };
        if schema.additional.is_some() && !schema.properties.is_empty() {
            let detail = "additionalProperties and properties are mutual exclusive";
            let place = child(path, "additionalProperties");
            self.errors.push(FieldError::forbidden(&place, detail));
        }
        match json.get("items") {
            Some(items @ Value::Object(_)) => {
                let node = self.node(items, &child(path, "items"), place);
                schema.items = Some(Box::new(node));
            }
            Some(_) => self.errors.push(FieldError::forbidden(
                &child(path, "items"),
                "items must be a schema object and not an array",
            )),
            None if schema.kind == Some(Type::Array) && place == Place::Structural => {
                let place = child(path, "items");
                let error = FieldError::required(&place, "must be specified");
                self.errors.push(error);
            }
            None => {}
        }
    }

    fn checks(&mut self, json: &Value, path: &str, schema: &mut Schema) {
        let mut branches = |name: &str| -> Vec<Schema> {
            let Some(list) = json.get(name).and_then(Value::as_array) else {
                return Vec::new();
            };
            let base = child(path, name);
            list.iter()
                .enumerate()
                .map(|(index, branch)| self.node(branch, &item(&base, index), Place::Check))
                .collect()
        };
        schema.all_of = branches("allOf");
        schema.any_of = branches("anyOf");
        schema.one_of = branches("oneOf");
        schema.not = json
            .get("not")
            .map(|not| Box::new(self.node(not, &child(path, "not"), Place::Check)));
    }
}

fn flag(json: &Value, name: &str) -> bool {
    json.get(name) == Some(&Value::Bool(true))
}

fn text<'a>(json: &'a Value, name: &str) -> Option<&'a str> {
    json.get(name).and_then(Value::as_str)
}

fn strings(json: &Value, name: &str) -> Vec<String> {
    let Some(list) = json.get(name).and_then(Value::as_array) else {
        return Vec::new();
    };
    list.iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn bound(json: &Value, name: &str, exclusive: &str) -> Option<Bound> {
    Some(Bound {
        value: json.get(name)?.as_number()?.clone(),
        exclusive: flag(json, exclusive),
    })
}

fn size(json: &Value, min: &str, max: &str) -> Size {
    Size {
        min: json.get(min).and_then(Value::as_u64),
        max: json.get(max).and_then(Value::as_u64),
    }
}
