//! Patches: changes to a part of an object, in four dialects.

mod apply;
mod fields;
mod managed;

use json_patch::PatchOperation;
use serde_json::Value;

pub(crate) use self::{apply::Apply, managed::Manager};
use crate::status::ApiError;

/// The dialect of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    /// Read as a merge patch: the fixed resources have no lists that people patch.
    Strategic,
    Apply,
}

/// Content types and what they mean.
const KINDS: [(&str, PatchKind); 4] = [
    ("application/json-patch+json", PatchKind::Json),
    ("application/merge-patch+json", PatchKind::Merge),
    (
        "application/strategic-merge-patch+json",
        PatchKind::Strategic,
    ),
    ("application/apply-patch+yaml", PatchKind::Apply),
];

/// Prefixes of the directives of strategic merge patches.
const DIRECTIVES: [&str; 4] = [
    "$setElementOrder/",
    "$deleteFromPrimitiveList/",
    "$retainKeys",
    "$patch",
];

impl PatchKind {
    /// The dialect that a content type names.
    pub(crate) fn of(content_type: &str) -> Result<Self, ApiError> {
        KINDS
            .iter()
            .find(|(name, _)| *name == content_type)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| ApiError::unsupported_media_type(&KINDS.map(|(name, _)| name)))
    }
}

/// Applies a patch that describes a change to `object`.
pub(crate) fn change(kind: PatchKind, body: &[u8], object: &mut Value) -> Result<(), ApiError> {
    let not_a_patch =
        |error: serde_json::Error| ApiError::bad_request(format!("error decoding patch: {error}"));
    match kind {
        PatchKind::Json => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(not_a_patch)?;
            patch.iter().try_for_each(|step| {
                if is_test_for_absence(step, object) {
                    return Ok(());
                }
                json_patch::patch(object, std::slice::from_ref(step)).map_err(|error| {
                    tracing::debug!(%error, "a JSON patch does not fit its object");
                    ApiError::patch_failed(
                        "the server rejected our request due to an error in our request",
                    )
                })
            })
        }
        PatchKind::Merge | PatchKind::Strategic | PatchKind::Apply => {
            let mut patch: Value = serde_json::from_slice(body).map_err(not_a_patch)?;
            if kind == PatchKind::Strategic {
                remove_directives(&mut patch);
            }
            json_patch::merge(object, &patch);
            Ok(())
        }
    }
}

/// API servers take a test for null to hold where there is no such field, and clients rely on it
/// to add a first finalizer.
fn is_test_for_absence(step: &PatchOperation, object: &Value) -> bool {
    match step {
        PatchOperation::Test(test) => test.value.is_null() && test.path.resolve(object).is_err(),
        PatchOperation::Add(_)
        | PatchOperation::Remove(_)
        | PatchOperation::Replace(_)
        | PatchOperation::Move(_)
        | PatchOperation::Copy(_) => false,
    }
}

/// Reads a YAML body, of which JSON is a part.
pub(crate) fn parse_yaml(body: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    serde_norway::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}

fn remove_directives(patch: &mut Value) {
    if let Value::Object(fields) = patch {
        fields.retain(|name, _| {
            !DIRECTIVES
                .iter()
                .any(|directive| name.starts_with(directive))
        });
        fields.values_mut().for_each(remove_directives);
    }
}
