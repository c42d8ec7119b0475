//! What the query of a write may say.

use serde_json::Value;

use super::Call;
use crate::{
    Verb,
    field_error::FieldError,
    patch::{APPLY, MANAGER_LIMIT},
    request::content_type,
    status::ApiError,
};

/// Refuses options that do not exist, or not for this verb.
pub(super) fn check(call: &Call) -> Result<(), ApiError> {
    let kind = match call.verb {
        Verb::Get | Verb::List | Verb::Watch => return Ok(()),
        Verb::Create => "CreateOptions",
        Verb::Update => "UpdateOptions",
        Verb::Patch => "PatchOptions",
        Verb::Delete | Verb::DeleteCollection => "DeleteOptions",
    };
    let refuse = |error| Err(ApiError::invalid_options(kind, error));
    if let Some(dry_run) = call.query.get("dryRun")
        && dry_run != "All"
    {
        let given = Value::from(vec![dry_run]);
        return refuse(FieldError::not_supported("dryRun", given, &["All".into()]));
    }
    if let Some(manager) = call.query.get("fieldManager")
        && manager.len() > MANAGER_LIMIT
    {
        let limit = u64::try_from(MANAGER_LIMIT).expect("the limit is small");
        return refuse(FieldError::too_long("fieldManager", limit));
    }
    let is_apply = content_type(&call.headers) == APPLY;
    if call.verb == Verb::Patch && !is_apply && call.query.flag("force") {
        let detail = "may not be specified for non-apply patch";
        return refuse(FieldError::forbidden("force", detail));
    }
    Ok(())
}
