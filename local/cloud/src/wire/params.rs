//! Parameters of a call: form fields with dotted names or a JSON body, read into structs.

use std::collections::BTreeMap;

use serde::{
    Deserializer, de,
    de::{
        DeserializeOwned, IntoDeserializer,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use super::ApiError;

/// The parameters of one call.
#[derive(Debug, Clone)]
pub(crate) enum Params {
    /// From form fields: every leaf is text.
    Form(Node),
    /// From a JSON body.
    Json(Value),
}

impl Params {
    /// From the body of a Query or EC2-query call.
    pub(crate) fn from_form(body: &[u8]) -> Self {
        let mut root = Node::default();
        for (name, text) in form_urlencoded::parse(body) {
            // An empty list is sent as an empty field, so an empty field is an absent one.
            if !text.is_empty() {
                root.insert(name.split('.'), &text);
            }
        }
        Self::Form(root.lists())
    }

    /// From a part of form fields that was kept as JSON, whose leaves are text.
    pub(crate) fn from_json_of_form(value: &Value) -> Self {
        Self::Form(Node::from_json(value))
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        match self {
            Self::Form(node) => {
                T::deserialize(node.clone()).map_err(|err| ApiError::validation(err.to_string()))
            }
            Self::Json(value) => T::deserialize(value.clone())
                .map_err(|err| ApiError::sender("ValidationException", err.to_string())),
        }
    }

    /// The text of a top-level form field.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.to_json().get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// The same as JSON, for the ledger.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Form(node) => node.to_json(),
            Self::Json(value) => value.clone(),
        }
    }

    /// The ARNs in here, for calls that did not come as far as being understood.
    pub(crate) fn arns(&self) -> Vec<String> {
        fn search(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::String(text) if text.starts_with("arn:") => found.push(text.clone()),
                Value::Array(items) => items.iter().for_each(|item| search(item, found)),
                Value::Object(fields) => fields.values().for_each(|field| search(field, found)),
                Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        let mut found = Vec::new();
        search(&self.to_json(), &mut found);
        found
    }

    /// Whether some value in here is, or contains, this text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        fn search(value: &Value, text: &str) -> bool {
            match value {
                Value::String(found) => found.contains(text),
                Value::Array(items) => items.iter().any(|item| search(item, text)),
                Value::Object(fields) => fields.values().any(|field| search(field, text)),
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            }
        }
        search(&self.to_json(), text)
    }
}

/// A tree of form fields.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(String),
    List(Vec<Node>),
    Fields(BTreeMap<String, Node>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Fields(BTreeMap::new())
    }
}

impl Node {
    fn insert<'a>(&mut self, mut path: impl Iterator<Item = &'a str>, text: &str) {
        let Some(name) = path.next() else {
            *self = Self::Text(text.to_owned());
            return;
        };
        if !matches!(self, Self::Fields(_)) {
            *self = Self::default();
        }
        if let Self::Fields(fields) = self {
            fields
                .entry(name.to_owned())
                .or_default()
                .insert(path, text);
        }
    }

    /// Turns `member.1`, `member.2` and plain `1`, `2` into lists.
    fn lists(self) -> Self {
        let Self::Fields(mut fields) = self else {
            return self;
        };
        if fields.len() == 1
            && let Some(members) = fields.remove("member")
        {
            return members.lists();
        }
        let numbered: Option<BTreeMap<u32, &Self>> = fields
            .iter()
            .map(|(name, node)| name.parse().ok().map(|number| (number, node)))
            .collect();
        match numbered {
            Some(items) if !items.is_empty() => Self::List(
                items
                    .into_values()
                    .map(|item| item.clone().lists())
                    .collect(),
            ),
            _ => Self::Fields(
                fields
                    .into_iter()
                    .map(|(name, node)| (name, node.lists()))
                    .collect(),
            ),
        }
    }

    fn from_json(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Value::Object(fields) => Self::Fields(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), Self::from_json(field)))
                    .collect(),
            ),
            Value::String(text) => Self::Text(text.clone()),
            Value::Null => Self::Text(String::new()),
            Value::Bool(flag) => Self::Text(flag.to_string()),
            Value::Number(number) => Self::Text(number.to_string()),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Fields(fields) => fields
                .iter()
                .map(|(name, node)| (name.clone(), node.to_json()))
                .collect(),
        }
    }

    fn parse<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, de::value::Error> {
        match self {
            Self::Text(text) => text.parse().map_err(|_| {
                de::Error::custom(format!("'{text}' is not a value of type {wanted}"))
            }),
            Self::List(_) | Self::Fields(_) => Err(de::Error::custom(format!(
                "a value of type {wanted} is expected, not a structure"
            ))),
        }
    }
}

impl IntoDeserializer<'_> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $kind:ty;)*) => {
        $(fn $method<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.$visit(self.parse::<$kind>(stringify!($kind))?)
        })*
    };
}

impl<'de> Deserializer<'de> for Node {
    type Error = de::value::Error;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Text(text) => visitor.visit_string(text),
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Fields(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let text: String = self.parse("text")?;
        IntoDeserializer::<Self::Error>::into_deserializer(text)
            .deserialize_enum(name, variants, visitor)
    }

    parsed! {
        deserialize_bool visit_bool bool;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_f64 visit_f64 f64;
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Sample {
        name: String,
        #[serde(default)]
        targets: Vec<Target>,
        #[serde(default)]
        filter: Vec<String>,
        size: Option<u32>,
        on: Option<bool>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Target {
        id: String,
        port: Option<u16>,
    }

    #[test]
    fn members_are_read_in_the_order_of_their_numbers() {
        let body = "Name=a%20b&Targets.member.10.Id=last&Targets.member.2.Id=first\
            &Targets.member.2.Port=8080&Filter.1=x&Size=7&On=true&Empty=";
        let sample: Sample = Params::from_form(body.as_bytes()).read().unwrap();
        let ids: Vec<_> = sample
            .targets
            .iter()
            .map(|t| (t.id.as_str(), t.port))
            .collect();
        assert_eq!(ids, [("first", Some(8080)), ("last", None)]);
        assert_eq!(
            (sample.name.as_str(), sample.size, sample.on),
            ("a b", Some(7), Some(true))
        );
        assert_eq!(sample.filter, ["x"]);
    }

    #[test]
    fn a_number_that_is_none_is_refused_with_its_text() {
        let err = Params::from_form(b"Name=a&Size=many")
            .read::<Sample>()
            .unwrap_err();
        assert!(err.message.contains("'many'"), "{err}");
    }
}
