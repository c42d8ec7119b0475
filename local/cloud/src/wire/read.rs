//! Reads form fields into structs, and says what does not fit in the words of the service.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer},
    forward_to_deserialize_any,
};

use super::{ApiError, params::Node};

/// In whose words a parameter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Elastic Load Balancing and STS.
    Query,
    /// EC2.
    Ec2,
}

/// Why fields do not fit a struct. The path of the field grows on the way out.
#[derive(Debug)]
pub(crate) enum ReadError {
    Missing {
        path: String,
    },
    Invalid {
        path: String,
        value: String,
        wanted: &'static str,
    },
    Other(String),
}

impl ReadError {
    /// The same error, of a field below `name`.
    fn below(mut self, name: &str) -> Self {
        match &mut self {
            Self::Missing { path } | Self::Invalid { path, .. } => {
                *path = match path.is_empty() {
                    true => name.to_owned(),
                    false => format!("{name}.{path}"),
                };
            }
            Self::Other(_) => {}
        }
        self
    }

    /// The error as the service words it.
    pub(super) fn worded(&self, dialect: Dialect) -> ApiError {
        match (dialect, self) {
            (Dialect::Query, Self::Missing { path }) => {
                ApiError::constraint(None, path, "Member must not be null")
            }
            (
                Dialect::Query,
                Self::Invalid {
                    path,
                    value,
                    wanted,
                },
            ) => ApiError::constraint(Some(value), path, &format!("Member must be {wanted}")),
            (Dialect::Query, Self::Other(text)) => ApiError::validation(text.clone()),
            (Dialect::Ec2, Self::Missing { path }) => ApiError::sender(
                "MissingParameter",
                format!("The request must contain the parameter {path}"),
            ),
            (
                Dialect::Ec2,
                Self::Invalid {
                    path,
                    value,
                    wanted,
                },
            ) => ApiError::sender(
                "InvalidParameterValue",
                format!("Value ({value}) for parameter {path} is invalid. It must be {wanted}"),
            ),
            (Dialect::Ec2, Self::Other(text)) => {
                ApiError::sender("InvalidParameterValue", text.clone())
            }
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "the parameter {path} is missing"),
            Self::Invalid {
                path,
                value,
                wanted,
            } => {
                write!(f, "'{value}' of the parameter {path} is not {wanted}")
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Other(text.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing {
            path: field.to_owned(),
        }
    }

    fn invalid_type(found: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        let value = match found {
            de::Unexpected::Str(text) => text.to_owned(),
            other => other.to_string(),
        };
        Self::Invalid {
            path: String::new(),
            value,
            wanted: "of another structure",
        }
    }
}

impl Node {
    fn parse<T: std::str::FromStr>(&self, wanted: &'static str) -> Result<T, ReadError> {
        let invalid = |value: &str| ReadError::Invalid {
            path: String::new(),
            value: value.to_owned(),
            wanted,
        };
        match self {
            Self::Text(text) => text.parse().map_err(|_| invalid(text)),
            Self::List(_) | Self::Fields(_) => Err(invalid("a structure")),
        }
    }
}

impl IntoDeserializer<'_, ReadError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $kind:ty, $wanted:literal;)*) => {
        $(fn $method<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            visitor.$visit(self.parse::<$kind>($wanted)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Node {
    type Error = ReadError;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self {
            Self::Text(text) => visitor.visit_string(text),
            Self::List(items) => visitor.visit_seq(Items {
                items: items.into_iter(),
                number: 0,
            }),
            Self::Fields(fields) => visitor.visit_map(Entries {
                fields: fields.into_iter(),
                current: None,
            }),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let text: String = self.parse("text")?;
        IntoDeserializer::<ReadError>::into_deserializer(text)
            .deserialize_enum(name, variants, visitor)
    }

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_u16 visit_u16 u16, "an integer from 0 to 65535";
        deserialize_u32 visit_u32 u32, "an integer of at least 0";
        deserialize_u64 visit_u64 u64, "an integer of at least 0";
        deserialize_i32 visit_i32 i32, "an integer";
        deserialize_i64 visit_i64 i64, "an integer";
        deserialize_f64 visit_f64 f64, "a number";
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The fields of a structure, which add their names to the errors of their values.
struct Entries {
    fields: std::collections::btree_map::IntoIter<String, Node>,
    current: Option<(String, Node)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        self.current = self.fields.next();
        let name = self.current.as_ref().map(|(name, _)| name.clone());
        name.map(|name| seed.deserialize(name.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (name, value) = self
            .current
            .take()
            .expect("a value is asked for after its key");
        seed.deserialize(value).map_err(|err| err.below(&name))
    }
}

/// The items of a list, which add their numbers to the errors of their values.
struct Items {
    items: std::vec::IntoIter<Node>,
    number: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        self.number += 1;
        let read = seed.deserialize(item);
        read.map(Some)
            .map_err(|err| err.below(&self.number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::wire::Params;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sample {
        #[serde(rename = "InstanceId")]
        _instances: Vec<String>,
        #[serde(default, rename = "Tag")]
        _tags: Vec<Tag>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tag {
        #[serde(rename = "Key")]
        _key: String,
        #[serde(rename = "Size")]
        _size: Option<u32>,
    }

    fn refused(form: &str, dialect: Dialect) -> String {
        let params = Params::from_form(form.as_bytes(), dialect).unwrap();
        params.read::<Sample>().unwrap_err().to_string()
    }

    #[test]
    fn ec2_names_the_parameter_that_is_missing_or_wrong() {
        for (form, expected) in [
            (
                "Nothing=1",
                "400 MissingParameter: The request must contain the parameter InstanceId",
            ),
            (
                "InstanceId.1=i&Tag.1.Key=a&Tag.2.Size=1",
                "400 MissingParameter: The request must contain the parameter Tag.2.Key",
            ),
            (
                "InstanceId.1=i&Tag.1.Key=a&Tag.1.Size=many",
                "400 InvalidParameterValue: Value (many) for parameter Tag.1.Size is invalid. It \
                 must be an integer of at least 0",
            ),
        ] {
            assert_eq!(refused(form, Dialect::Ec2), expected, "{form}");
        }
    }

    #[test]
    fn the_query_services_name_the_member_and_its_constraint() {
        for (form, expected) in [
            (
                "Nothing=1",
                "400 ValidationError: 1 validation error detected: Value null at 'instanceId' \
                 failed to satisfy constraint: Member must not be null",
            ),
            (
                "InstanceId.member.1=i&Tag.member.1.Key=a&Tag.member.1.Size=-1",
                "400 ValidationError: 1 validation error detected: Value '-1' at \
                 'tag.1.member.size' failed to satisfy constraint: Member must be an integer of \
                 at least 0",
            ),
        ] {
            assert_eq!(refused(form, Dialect::Query), expected, "{form}");
        }
    }
}
