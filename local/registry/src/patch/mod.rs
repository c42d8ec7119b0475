//! Patches: changes to a part of an object, in four dialects.

mod apply;
mod bounds;
mod fields;
mod managed;
mod typed;

use json_patch::PatchOperation;
use serde_json::Value;

use self::bounds::Bounds;
pub(crate) use self::{apply::Apply, managed::Manager, typed::check as check_types};
use crate::{
    catalog::{Model, Resource},
    depth,
    status::ApiError,
};

/// The dialect of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    /// Read as a merge patch: the fixed resources have no lists that people patch.
    Strategic,
    Apply,
}

/// The content type of server-side apply.
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// The longest name of a field manager, in bytes.
pub(crate) const MANAGER_LIMIT: usize = 128;

/// Content types and what they mean.
const KINDS: [(&str, PatchKind); 4] = [
    ("application/json-patch+json", PatchKind::Json),
    ("application/merge-patch+json", PatchKind::Merge),
    (
        "application/strategic-merge-patch+json",
        PatchKind::Strategic,
    ),
    (APPLY, PatchKind::Apply),
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
    ///
    /// A strategic merge patch goes by the types that a server was built with, so a kind of a
    /// definition cannot take one.
    pub(crate) fn of(resource: &Resource, content_type: &str) -> Result<Self, ApiError> {
        let accepted: Vec<(&str, Self)> = KINDS
            .into_iter()
            .filter(|(_, kind)| *kind != Self::Strategic || resource.model != Model::Custom)
            .collect();
        let named = accepted.iter().find(|(name, _)| *name == content_type);
        named.map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<&str> = accepted.iter().map(|(name, _)| *name).collect();
            ApiError::unsupported_media_type(&names)
        })
    }
}

/// Applies a patch that describes a change to `object`.
pub(crate) fn change(kind: PatchKind, body: &[u8], object: &mut Value) -> Result<(), ApiError> {
    let not_a_patch =
        |error: serde_json::Error| ApiError::bad_request(format!("error decoding patch: {error}"));
    match kind {
        PatchKind::Json => {
            let steps: Vec<Value> = serde_json::from_slice(body).map_err(not_a_patch)?;
            // A step that is none is found where it would be taken.
            let patch: json_patch::Patch = serde_json::from_value(Value::Array(steps))
                .map_err(|_| ApiError::patch_failed())?;
            let mut bounds = Bounds::new(patch.len())?;
            patch.iter().try_for_each(|step| {
                bounds.check(step, object)?;
                if is_test_for_absence(step, object) {
                    return Ok(());
                }
                json_patch::patch(object, std::slice::from_ref(step)).map_err(|error| {
                    tracing::debug!(%error, "a JSON patch does not fit its object");
                    ApiError::patch_failed()
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
    depth::check_yaml(body)?;
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
