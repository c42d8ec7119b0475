//! Filters of instances.

use serde::Deserialize;

use super::{model::Instance, tags};
use crate::{wire::ApiError, world::iso};

/// A filter: one of its values must match. `*` and `?` are wildcards.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filter {
    pub(super) name: String,
    #[serde(default, rename = "Value")]
    pub(super) values: Vec<String>,
}

impl Filter {
    pub(super) fn accepts(&self, text: &str) -> bool {
        self.values
            .iter()
            .any(|pattern| wildcard(pattern.as_bytes(), text.as_bytes()))
    }
}

/// Whether an instance passes every filter.
pub(super) fn instance(filters: &[Filter], instance: &Instance) -> Result<bool, ApiError> {
    for filter in filters {
        if !passes(filter, instance)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn passes(filter: &Filter, instance: &Instance) -> Result<bool, ApiError> {
    if let Some(tagged) = tags::filter(filter, &instance.tags) {
        return Ok(tagged);
    }
    let text = match filter.name.as_str() {
        "instance-id" => instance.id.clone(),
        "instance-state-name" => instance.state.name().to_owned(),
        "client-token" => instance.client_token.clone().unwrap_or_default(),
        "image-id" => instance.image.clone(),
        "instance-type" => instance.instance_type.clone(),
        "subnet-id" => instance.subnet.clone(),
        "vpc-id" => instance.vpc.clone(),
        "availability-zone" => instance.zone.clone(),
        "private-ip-address" => instance.address.to_string(),
        "launch-time" => iso(instance.launched),
        "reservation-id" => instance.reservation.clone(),
        other => return Err(unknown(other)),
    };
    Ok(filter.accepts(&text))
}

/// The error of a filter that is not known.
pub(super) fn unknown(name: &str) -> ApiError {
    ApiError::sender(
        "InvalidParameterValue",
        format!("The filter '{name}' is invalid"),
    )
}

fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| wildcard(rest, &text[skipped..])),
        ([b'?', pattern @ ..], [_, text @ ..]) => wildcard(pattern, text),
        ([expected, pattern @ ..], [found, text @ ..]) => {
            expected == found && wildcard(pattern, text)
        }
        _ => false,
    }
}
