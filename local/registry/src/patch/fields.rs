//! Sets of field paths: who owns what, in the encoding of `metadata.managedFields`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde_json::{Map, Value, json};

use crate::{
    catalog::{Model, Resource},
    schema::{ListType, Schema, parse},
};

/// One step of a path as `managedFields` writes it: `f:name` for a field, `k:{"name":"a"}` for
/// an item of a list with keys, `v:"a"` for an item of a set.
type Step = String;

/// A path from an object's root.
pub(super) type Path = Vec<Step>;

/// The metadata that people manage; the rest is the server's.
pub(super) static METADATA: LazyLock<Schema> = LazyLock::new(|| {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let schema = json!({"type": "object", "properties": {
        "labels": texts,
        "annotations": texts,
        "finalizers": {"type": "array", "items": {"type": "string"},
                       "x-kubernetes-list-type": "set"},
        "ownerReferences": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}});
    parse(&schema, "", &mut Vec::new())
});

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    paths: BTreeSet<Path>,
}

impl FieldSet {
    /// The fields that an object sets, and what holds them: whoever brings an object into being
    /// by an update owns the very existence of its parts. The parts of a kind that the server was
    /// built with exist always.
    pub(super) fn with_parts(resource: &Resource, object: &Value) -> Self {
        let mut set = Self::of(&resource.schema, object);
        let is_custom = resource.model == Model::Custom;
        let mut parts: BTreeSet<Path> = BTreeSet::new();
        for path in &set.paths {
            for length in 1..path.len() {
                parts.insert(path[..length].to_vec());
            }
        }
        let root = vec!["f:metadata".to_owned()];
        set.paths.extend(parts.into_iter().filter(|path| {
            let in_metadata = path.starts_with(&root);
            *path != root && (is_custom || in_metadata)
        }));
        set
    }

    /// The fields that an object sets.
    pub(super) fn of(schema: &Schema, object: &Value) -> Self {
        let mut set = Self::default();
        for (name, value) in object.as_object().into_iter().flatten() {
            let path = vec![format!("f:{name}")];
            match name.as_str() {
                "apiVersion" | "kind" => {}
                "metadata" => {
                    for name in METADATA.properties.keys() {
                        if let Some(value) = value.get(name) {
                            let path = vec!["f:metadata".to_owned(), format!("f:{name}")];
                            set.collect(METADATA.property(name), value, path);
                        }
                    }
                }
                _ => set.collect(schema.property(name), value, path),
            }
        }
        set
    }

    fn collect(&mut self, schema: Option<&Schema>, value: &Value, path: Path) {
        match (Shape::of(schema, value), value) {
            (Shape::Map, Value::Object(fields)) if !fields.is_empty() => {
                for (name, field) in fields {
                    let path = extend(&path, format!("f:{name}"));
                    let declared =
                        schema.is_some_and(|schema| schema.properties.contains_key(name));
                    if !declared {
                        self.paths.insert(path.clone());
                    }
                    let schema = schema.and_then(|schema| schema.property(name));
                    self.collect(schema, field, path);
                }
            }
            (Shape::Keyed(keys), Value::Array(list)) if !list.is_empty() => {
                let items = schema.and_then(|schema| schema.items.as_deref());
                for item in list {
                    let path = extend(&path, key_step(keys, item));
                    self.paths.insert(path.clone());
                    self.collect(items, item, path);
                }
            }
            (Shape::Set, Value::Array(list)) if !list.is_empty() => {
                for item in list {
                    self.paths.insert(extend(&path, format!("v:{item}")));
                }
            }
            _ => {
                self.paths.insert(path);
            }
        }
    }

    /// The set with the fields that hold its fields: whoever applied a field applied those, too.
    /// An item of a list, and the metadata, is not brought about by what it holds.
    pub(super) fn with_parents(&self) -> Self {
        let parents = self.paths.iter().flat_map(|path| {
            let lengths = 1..path.len();
            lengths.map(|length| path[..length].to_vec())
        });
        let is_field = |path: &Path| {
            let last = path.last().map_or("", String::as_str);
            last.starts_with("f:") && (path.len() > 1 || last != "f:metadata")
        };
        let mut paths = self.paths.clone();
        paths.extend(parents.filter(is_field));
        Self { paths }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.paths.contains(path)
    }

    /// Whether the set has the path or one below it.
    pub(super) fn reaches(&self, path: &Path) -> bool {
        self.paths
            .range(path.clone()..)
            .next()
            .is_some_and(|next| next.starts_with(path))
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Path) -> bool) {
        self.paths.retain(keep);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
    }

    /// The paths of this set at which `new` differs from `old`.
    pub(super) fn changed(&self, old: &Value, new: &Value) -> Self {
        let differs = |path: &&Path| {
            let (before, after) = (find(old, path), find(new, path));
            let inner = self
                .paths
                .range(Path::clone(path)..)
                .nth(1)
                .is_some_and(|next| next.starts_with(path));
            before.is_none() || (!inner && before != after)
        };
        Self {
            paths: self.paths.iter().filter(differs).cloned().collect(),
        }
    }

    /// As `fieldsV1` has it.
    pub(super) fn encode(&self) -> Value {
        let mut root = Node::default();
        for path in &self.paths {
            let mut node = &mut root;
            for step in path {
                node = node.children.entry(step.clone()).or_default();
            }
            node.owned = true;
        }
        root.encode()
    }

    /// From `fieldsV1`.
    pub(super) fn decode(fields: &Value) -> Self {
        let mut set = Self::default();
        set.decode_node(fields, &Path::new());
        set
    }

    fn decode_node(&mut self, node: &Value, path: &Path) {
        let Some(children) = node.as_object() else {
            return;
        };
        if (children.is_empty() || children.contains_key(".")) && !path.is_empty() {
            self.paths.insert(path.clone());
        }
        for (step, child) in children.iter().filter(|(step, _)| *step != ".") {
            self.decode_node(child, &extend(path, step.clone()));
        }
    }
}

#[derive(Default)]
struct Node {
    owned: bool,
    children: BTreeMap<Step, Node>,
}

impl Node {
    fn encode(&self) -> Value {
        let mut object = Map::new();
        if self.owned && !self.children.is_empty() {
            object.insert(".".to_owned(), json!({}));
        }
        for (step, child) in &self.children {
            object.insert(step.clone(), child.encode());
        }
        Value::Object(object)
    }
}

/// How the parts of a value are owned.
enum Shape<'a> {
    /// As a whole.
    Leaf,
    /// Each field on its own.
    Map,
    /// Each item on its own, told apart by these fields.
    Keyed(&'a [String]),
    /// Each item on its own, told apart by its value.
    Set,
}

impl<'a> Shape<'a> {
    fn of(schema: Option<&'a Schema>, value: &Value) -> Self {
        match value {
            Value::Object(_) if schema.is_some_and(|schema| schema.atomic_map) => Self::Leaf,
            Value::Object(_) => Self::Map,
            Value::Array(_) => match schema.map(Schema::list_type) {
                Some(ListType::Map(keys)) => Self::Keyed(keys),
                Some(ListType::Set) => Self::Set,
                Some(ListType::Atomic) | None => Self::Leaf,
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::Leaf,
        }
    }
}

/// Merges what is wanted into an object: fields one by one, lists as their type says.
pub(super) fn merge(schema: &Schema, live: &Value, wanted: &Value) -> Value {
    let mut merged = live.clone();
    for (name, value) in wanted.as_object().into_iter().flatten() {
        if name == "metadata" {
            for (name, property) in &METADATA.properties {
                if let Some(value) = value.get(name) {
                    let live = &live["metadata"][name];
                    merged["metadata"][name] = merge_value(Some(property), live, value);
                }
            }
        } else {
            merged[name] = merge_value(schema.property(name), &live[name], value);
        }
    }
    merged
}

fn merge_value(schema: Option<&Schema>, live: &Value, wanted: &Value) -> Value {
    match (Shape::of(schema, wanted), live, wanted) {
        (Shape::Map, Value::Object(live), Value::Object(wanted)) => {
            let mut merged = live.clone();
            for (name, value) in wanted {
                let schema = schema.and_then(|schema| schema.property(name));
                let before = live.get(name).unwrap_or(&Value::Null);
                merged.insert(name.clone(), merge_value(schema, before, value));
            }
            Value::Object(merged)
        }
        (Shape::Keyed(keys), Value::Array(live), Value::Array(wanted)) => {
            let items = schema.and_then(|schema| schema.items.as_deref());
            let mut merged = live.clone();
            for item in wanted {
                let same = |other: &&mut Value| key_step(keys, other) == key_step(keys, item);
                match merged.iter_mut().find(same) {
                    Some(before) => *before = merge_value(items, before, item),
                    None => merged.push(item.clone()),
                }
            }
            Value::Array(merged)
        }
        (Shape::Set, Value::Array(live), Value::Array(wanted)) => {
            let mut merged = live.clone();
            merged.extend(wanted.iter().filter(|item| !live.contains(item)).cloned());
            Value::Array(merged)
        }
        _ => wanted.clone(),
    }
}

/// The value at a path.
pub(super) fn find<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| {
        if let Some(name) = step.strip_prefix("f:") {
            return value.get(name);
        }
        value.as_array()?.iter().find(|item| is_item(item, step))
    })
}

/// Removes the value at a path, if it is there.
pub(super) fn remove(object: &mut Value, path: &Path) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut value = object;
    for step in parents {
        let next = match step.strip_prefix("f:") {
            Some(name) => value.get_mut(name),
            None => value
                .as_array_mut()
                .and_then(|list| list.iter_mut().find(|item| is_item(item, step))),
        };
        match next {
            Some(next) => value = next,
            None => return,
        }
    }
    match (last.strip_prefix("f:"), value) {
        (Some(name), Value::Object(fields)) => {
            fields.remove(name);
        }
        (None, Value::Array(list)) => list.retain(|item| !is_item(item, last)),
        _ => {}
    }
}

/// Whether a path leads to a field by which its item is told apart from others.
pub(super) fn is_key(path: &Path) -> bool {
    let [.., parent, field] = path.as_slice() else {
        return false;
    };
    let keys = parent.strip_prefix("k:").map(serde_json::from_str);
    match (keys, field.strip_prefix("f:")) {
        (Some(Ok(Value::Object(keys))), Some(field)) => keys.contains_key(field),
        _ => false,
    }
}

/// A path as people read it: `.spec.steps[name="a"].weight`.
pub(super) fn display(path: &Path) -> String {
    let mut text = String::new();
    for step in path {
        if let Some(name) = step.strip_prefix("f:") {
            text.push_str(&format!(".{name}"));
        } else if let Some(value) = step.strip_prefix("v:") {
            text.push_str(&format!("[={value}]"));
        } else if let Some(keys) = step.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            text.push_str(&format!("[{}]", keys.join(",")));
        }
    }
    text
}

fn extend(path: &Path, step: Step) -> Path {
    let mut path = path.clone();
    path.push(step);
    path
}

fn key_step(keys: &[String], item: &Value) -> Step {
    let found: Map<String, Value> = keys
        .iter()
        .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
        .collect();
    format!("k:{}", Value::Object(found))
}

fn is_item(item: &Value, step: &str) -> bool {
    if let Some(value) = step.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| *item == value);
    }
    let keys = step.strip_prefix("k:").unwrap_or_default();
    serde_json::from_str::<Map<String, Value>>(keys).is_ok_and(|keys| {
        keys.iter()
            .all(|(name, value)| item.get(name) == Some(value))
    })
}
