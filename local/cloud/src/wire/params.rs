//! Parameters of a call: form fields with dotted names or a JSON body, read into structs.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ApiError, read::Dialect};

/// How many names the path of a form field has at most. No call has as many as ten.
const DEEPEST: usize = 32;

/// The parameters of one call.
#[derive(Debug, Clone)]
pub(crate) enum Params {
    /// From form fields: every leaf is text.
    Form(Node, Dialect),
    /// From a JSON body.
    Json(Value),
}

impl Params {
    /// From the body of a Query or EC2-query call.
    pub(crate) fn from_form(body: &[u8], dialect: Dialect) -> Result<Self, ApiError> {
        let mut root = Node::default();
        for (name, text) in form_urlencoded::parse(body) {
            if name.split('.').count() > DEEPEST {
                return Err(ApiError::sender(
                    "MalformedQueryString",
                    format!("a parameter's name has more than {DEEPEST} parts"),
                ));
            }
            // An empty list is sent as an empty field, so an empty field is an absent one.
            if !text.is_empty() {
                root.insert(name.split('.'), &text);
            }
        }
        Ok(Self::Form(root.lists(), dialect))
    }

    /// From a part of form fields that was kept as JSON, whose leaves are text.
    pub(crate) fn from_json_of_form(value: &Value) -> Self {
        Self::Form(Node::from_json(value), Dialect::Query)
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        match self {
            Self::Form(node, dialect) => {
                T::deserialize(node.clone()).map_err(|err| err.worded(*dialect))
            }
            Self::Json(value) => T::deserialize(value.clone()).map_err(|err| json_error(&err)),
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
            Self::Form(node, _) => node.to_json(),
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
}

/// A JSON body that does not fit, as Systems Manager words it.
fn json_error(err: &serde_json::Error) -> ApiError {
    let text = err.to_string();
    let missing = text.strip_prefix("missing field `");
    match missing.and_then(|rest| rest.split('`').next()) {
        Some(field) => ApiError {
            code: "ValidationException".into(),
            ..ApiError::constraint(None, field, "Member must not be null")
        },
        None => ApiError::sender("SerializationException", text),
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
        let sample: Sample = Params::from_form(body.as_bytes(), Dialect::Query)
            .unwrap()
            .read()
            .unwrap();
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
        let err = Params::from_form(b"Name=a&Size=many", Dialect::Query)
            .unwrap()
            .read::<Sample>()
            .unwrap_err();
        assert!(err.message.contains("'many'"), "{err}");
    }

    #[test]
    fn a_name_of_thousands_of_parts_is_refused_and_a_deep_one_is_read() {
        let form = format!("Name{}=a", ".x".repeat(2_200));
        let err = Params::from_form(form.as_bytes(), Dialect::Query).unwrap_err();
        assert_eq!(err.code, "MalformedQueryString");
        let form = format!("Name{}=a", ".x".repeat(DEEPEST - 1));
        assert!(Params::from_form(form.as_bytes(), Dialect::Query).is_ok());
    }
}
