//! Puts the finalizer on and takes it off.
//!
//! kube's own helper takes every success of the clean-up for its end, and a drain needs many
//! passes. Here deletion is a plan like any other, and the finalizer is one of its effects.

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::error::{Error, traced_call};
use crate::api::{BlueGreenRelease, FINALIZER};

/// How a change of the finalizer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    /// It is done.
    Landed,
    /// The object is not the one that the decision was made for any more.
    StartOver,
    /// The object is gone.
    Gone,
}

/// Puts our finalizer on, unless the object has changed since it was read or written.
pub(super) async fn add(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
) -> Result<Changed, Error> {
    let mut names = object.finalizers().to_vec();
    if names.iter().any(|name| name == FINALIZER) {
        return Ok(Changed::Landed);
    }
    names.push(FINALIZER.to_owned());
    change(api, object, &names).await
}

/// Takes our finalizer off, unless the object has changed since it was read or written.
pub(super) async fn remove(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
) -> Result<Changed, Error> {
    let names: Vec<String> = object
        .finalizers()
        .iter()
        .filter(|name| *name != FINALIZER)
        .cloned()
        .collect();
    if names.len() == object.finalizers().len() {
        return Ok(Changed::Landed);
    }
    change(api, object, &names).await
}

async fn change(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
    names: &[String],
) -> Result<Changed, Error> {
    let uid = object
        .metadata
        .uid
        .as_deref()
        .ok_or(Error::Incomplete("uid"))?;
    let version = object
        .metadata
        .resource_version
        .as_deref()
        .ok_or(Error::Incomplete("resourceVersion"))?;
    let operations = serde_json::from_value(json!([
        { "op": "test", "path": "/metadata/uid", "value": uid },
        { "op": "test", "path": "/metadata/resourceVersion", "value": version },
        { "op": "add", "path": "/metadata/finalizers", "value": names },
    ]))
    .expect("the three operations are a JSON patch");
    let patch = Patch::Json::<()>(operations);
    let params = PatchParams {
        field_manager: Some(super::report::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match traced_call(
        "patching the finalizer",
        api.patch(&object.name_any(), &params, &patch),
    )
    .await
    {
        Ok(_) => Ok(Changed::Landed),
        Err(error) => match error.status() {
            Some(status) if status.is_not_found() => Ok(Changed::Gone),
            // A test that fails is 422 on a real API server; a race with another write is 409.
            Some(status) if status.is_conflict() || status.is_invalid() => Ok(Changed::StartOver),
            Some(_) | None => Err(error),
        },
    }
}
