//! Who may write a resource's status: its controller alone.
//!
//! In a cluster a ValidatingAdmissionPolicy says so. The registry has a second token for it, and no
//! rule where there is none.

use serde_json::Value;

use crate::{Registry, Verb, auth::Caller, handlers::Call, object::Writer, status::ApiError};

/// Reserves the status of a resource for the holder of a token.
#[derive(Debug, Clone)]
pub struct StatusGuard {
    /// Plural and group, as in `samples.demo.dev`.
    pub resource: String,
    /// The controller's token. It opens everything that the administrator's opens.
    pub token: String,
    /// The annotation with which an object's status can be written by anyone, while its value is
    /// `true`. It is there for the day when the controller cannot mend what is in status.
    pub break_glass: String,
}

/// Refuses a write of a status that is reserved for a controller which is not the caller.
pub(crate) fn check(registry: &Registry, call: &Call) -> Result<(), ApiError> {
    let Some(guard) = registry.status_guard() else {
        return Ok(());
    };
    let verb = match call.verb {
        Verb::Update => "update",
        Verb::Patch => "patch",
        Verb::Get
        | Verb::List
        | Verb::Watch
        | Verb::Create
        | Verb::Delete
        | Verb::DeleteCollection => return Ok(()),
    };
    let is_guarded =
        call.target.subresource == "status" && *call.resource.storage == *guard.resource;
    if !is_guarded || call.by_controller {
        return Ok(());
    }
    let key = Writer::key(&call.resource, &call.target.namespace, &call.target.name);
    let is_broken =
        |object: &Value| object["metadata"]["annotations"][&guard.break_glass] == "true";
    match registry.lock().store.get(&key) {
        // It is refused as what it is: an object that is not there.
        None => return Ok(()),
        Some(object) if is_broken(object) => return Ok(()),
        Some(_) => {}
    }
    let why = format!(
        "User \"administrator\" cannot {verb} resource \"{}/status\" in API group \"{}\" in the \
         namespace \"{}\": only the controller writes it; annotate the object with {}=true to \
         write it by hand",
        call.resource.plural, call.resource.group, call.target.namespace, guard.break_glass
    );
    let resource = call.resource.group_resource();
    Err(ApiError::forbidden(&resource, &call.target.name, &why))
}

impl Caller<'_> {
    /// Whether the caller is the controller that a status is reserved for.
    pub(crate) fn is_controller(&self) -> bool {
        matches!(self, Self::Controller(_))
    }
}
