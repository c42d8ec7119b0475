//! Structural schemas of custom resources: what a kind's objects may hold.
//!
//! A schema is parsed once, when its CustomResourceDefinition is written. It then prunes unknown
//! fields, sets defaults and validates. It never looks at another object than the one at hand and
//! its predecessor.

mod cel;
mod default;
mod nesting;
mod parse;
mod prune;
mod strict;
mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

pub(crate) use self::{
    cel::rules,
    default::defaults,
    parse::parse,
    prune::prune,
    strict::{duplicates, parse_json},
    validate::validate,
};

/// The format of times with microseconds. Servers have it for Leases and Events and publish it as
/// `date-time`.
pub(crate) const MICRO_TIME: &str = "micro-time";

/// A JSON schema type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// What server-side apply takes a value for that it owns as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text,
    Number,
    Flag,
    Any,
}

/// What `additionalProperties` allows.
#[derive(Debug)]
pub(crate) enum Additional {
    Any,
    Schema(Box<Schema>),
}

/// How a list's items are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    Atomic,
    Set,
    /// By these fields of each item.
    Map(Vec<String>),
}

/// A bound on a number.
#[derive(Debug)]
pub(crate) struct Bound {
    value: serde_json::Number,
    exclusive: bool,
}

/// Bounds on a size.
#[derive(Debug, Default)]
pub(crate) struct Size {
    min: Option<u64>,
    max: Option<u64>,
}

/// One node of a structural schema.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    kind: Option<Type>,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Option<Additional>,
    pub(crate) items: Option<Box<Schema>>,
    required: Vec<String>,
    allowed: Option<Vec<Value>>,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    multiple_of: Option<serde_json::Number>,
    length: Size,
    item_count: Size,
    property_count: Size,
    pattern: Option<Regex>,
    format: Option<String>,
    pub(crate) nullable: bool,
    pub(crate) preserve_unknown: bool,
    int_or_string: bool,
    embedded_resource: bool,
    list_type: Option<ListType>,
    pub(crate) atomic_map: bool,
    default: Option<Value>,
    all_of: Vec<Schema>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
    rules: Vec<cel::CompiledRule>,
}

impl Schema {
    /// The schema of a property: declared, or of the map's entries.
    pub(crate) fn property(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(match &self.additional {
            Some(Additional::Schema(schema)) => Some(schema),
            Some(Additional::Any) | None => None,
        })
    }

    /// Whether the schema has rules in CEL, here or anywhere below.
    pub(crate) fn has_rules(&self) -> bool {
        let entries = match &self.additional {
            Some(Additional::Schema(entries)) => Some(entries.as_ref()),
            Some(Additional::Any) | None => None,
        };
        let mut parts = self.properties.values();
        !self.rules.is_empty()
            || parts.any(Self::has_rules)
            || self.items.as_deref().is_some_and(Self::has_rules)
            || entries.is_some_and(Self::has_rules)
    }

    /// Whether fields may be there that the schema does not name.
    pub(crate) fn holds_anything(&self) -> bool {
        self.preserve_unknown || matches!(self.additional, Some(Additional::Any))
    }

    /// Whether the value may be of any type.
    pub(crate) fn is_untyped(&self) -> bool {
        self.kind.is_none()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.kind == Some(Type::Array)
    }

    /// `None` for objects, lists and values of any type.
    pub(crate) fn scalar(&self) -> Option<Scalar> {
        if self.int_or_string {
            return Some(Scalar::Any);
        }
        match self.kind? {
            Type::String => Some(Scalar::Text),
            Type::Integer | Type::Number => Some(Scalar::Number),
            Type::Boolean => Some(Scalar::Flag),
            Type::Object | Type::Array => None,
        }
    }

    /// How the items of a list are told apart.
    pub(crate) fn list_type(&self) -> &ListType {
        self.list_type.as_ref().unwrap_or(&ListType::Atomic)
    }

    /// The item of `old` that is the predecessor of `item`, for lists whose items have keys.
    fn predecessor<'a>(&self, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
        let ListType::Map(keys) = self.list_type() else {
            return None;
        };
        old?.as_array()?
            .iter()
            .find(|candidate| keys.iter().all(|key| candidate.get(key) == item.get(key)))
    }
}
