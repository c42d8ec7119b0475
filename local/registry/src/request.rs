//! What a request asks for, read from its path, query and headers.

use std::{collections::HashMap, str::FromStr};

use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;

use crate::{faults::Verb, status::ApiError, table::IncludeObject};

/// A path below `/api/v1` or `/apis/GROUP/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    /// Reads a path; `None` where it leads to no resource.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let mut parts = parts.into_iter();
        let (group, version) = match parts.next()?.as_str() {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let rest: Vec<String> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            // `namespaces/NAME/status` is the namespace itself, `namespaces/NAME/leases` is not.
            [first, namespace, third, ..]
                if first == "namespaces"
                    && !(rest.len() == 3 && ["status", "finalize"].contains(&third.as_str())) =>
            {
                (namespace.clone(), &rest[2..])
            }
            all => (String::new(), all),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, "", ""),
            [plural, name] => (plural, name.as_str(), ""),
            [plural, name, subresource] => (plural, name.as_str(), subresource.as_str()),
            _ => return None,
        };
        Some(Self {
            group,
            version,
            namespace,
            plural: plural.clone(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    /// What the method does to this path.
    pub(crate) fn verb(&self, method: &Method, query: &Query) -> Result<Verb, ApiError> {
        let one = !self.name.is_empty();
        match *method {
            Method::GET if one => Ok(Verb::Get),
            Method::GET if query.flag("watch") => Ok(Verb::Watch),
            Method::GET => Ok(Verb::List),
            Method::POST if !one => Ok(Verb::Create),
            Method::PUT if one => Ok(Verb::Update),
            Method::PATCH if one => Ok(Verb::Patch),
            Method::DELETE if one => Ok(Verb::Delete),
            Method::DELETE => Ok(Verb::DeleteCollection),
            _ => Err(ApiError::method_not_allowed()),
        }
    }
}

/// The query parameters.
#[derive(Debug, Default)]
pub(crate) struct Query {
    values: HashMap<String, String>,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self {
            values: pairs.into_owned().collect(),
        }
    }

    /// A parameter that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "True"))
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                ApiError::bad_request(format!("invalid {name}: {text:?} is not a number"))
            })
        };
        self.get(name).map(parse).transpose()
    }
}

/// In which form the caller wants objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Metadata,
    Table(IncludeObject),
}

impl Form {
    /// The first form in `Accept` that is on offer.
    pub(crate) fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Self, ApiError> {
        let Some(accept) = headers.get(header::ACCEPT) else {
            return Ok(Self::Object);
        };
        let accept = accept.to_str().unwrap_or_default();
        let form = Self::accepted(accept, query.get("includeObject").unwrap_or_default())?;
        form.ok_or_else(ApiError::not_acceptable)
    }

    fn accepted(accept: &str, include: &str) -> Result<Option<Self>, ApiError> {
        let included = match include {
            "" | "Metadata" => Some(IncludeObject::Metadata),
            "None" => Some(IncludeObject::None),
            "Object" => Some(IncludeObject::Object),
            _ => None,
        };
        let form = accept.split(',').find_map(|range| {
            let range = MediaRange::parse(range);
            if !["application/json", "application/*", "*/*"].contains(&range.kind) {
                return None;
            }
            match range.parameter("as") {
                None => Some(Some(Self::Object)),
                Some("Table") => Some(included.map(Self::Table)),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    Some(Some(Self::Metadata))
                }
                Some(_) => None,
            }
        });
        match form {
            None => Ok(None),
            Some(Some(form)) => Ok(Some(form)),
            Some(None) => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: \
                 \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// One entry of an `Accept` header, or a content type.
pub(crate) struct MediaRange<'a> {
    pub(crate) kind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaRange<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        Self {
            kind: parts.next().unwrap_or_default(),
            parameters: parts.filter_map(|part| part.split_once('=')).collect(),
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// The type of a request's body, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map_or("", |text| MediaRange::parse(text).kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_resources() {
        let short = |path: &str| {
            let target = Target::parse(path)?;
            Some([
                target.group,
                target.version,
                target.namespace,
                target.plural,
                target.name,
                target.subresource,
            ])
        };
        let cases = [
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]),
            (
                "/api/v1/namespaces/a",
                ["", "v1", "", "namespaces", "a", ""],
            ),
            (
                "/api/v1/namespaces/a/status",
                ["", "v1", "", "namespaces", "a", "status"],
            ),
            (
                "/api/v1/namespaces/a/events",
                ["", "v1", "a", "events", "", ""],
            ),
            (
                "/apis/d.dev/v1/samples/x%2Fy",
                ["d.dev", "v1", "", "samples", "x/y", ""],
            ),
            (
                "/apis/d.dev/v1/namespaces/a/samples/x/status",
                ["d.dev", "v1", "a", "samples", "x", "status"],
            ),
        ];
        for (path, wanted) in cases {
            assert_eq!(short(path).unwrap(), wanted.map(str::to_owned), "{path}");
        }
        for path in ["/", "/api", "/apis/d.dev", "/apis/d.dev/v1", "/metrics"] {
            assert_eq!(short(path), None, "{path}");
        }
    }
}
