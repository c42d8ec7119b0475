//! Claims an object, and lets it go: the finalizer, and the revisions that are kept.
//!
//! kube's own helper takes every success of the clean-up for its end, and a drain needs many
//! passes. Here deletion is a plan like any other, and the finalizer is one of its effects.

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    Ctx, World,
    error::{Error, traced_call},
    memory::Revisions,
    revisions,
};
use crate::api::{BlueGreenRelease, FINALIZER};

/// How a change of the metadata ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    /// It is done.
    Landed,
    /// The object is not the one that the decision was made for any more.
    StartOver,
    /// The object is gone.
    Gone,
}

/// Puts our finalizer on, unless the object has changed since it was read or written, and then has
/// these revisions kept as ControllerRevisions and no others. The patch comes first: the garbage
/// collector deletes the revisions after the object, which the finalizer keeps for as long as they
/// are needed.
pub(super) async fn claim<W: World>(
    ctx: &Ctx<W>,
    object: &BlueGreenRelease,
    known: &Revisions,
    goal: &Revisions,
) -> Result<Changed, Error> {
    let api = ctx.api(&object.namespace().ok_or(Error::Incomplete("namespace"))?);
    let mut names = object.finalizers().to_vec();
    if !names.iter().any(|name| name == FINALIZER) {
        names.push(FINALIZER.to_owned());
    }
    match change(&api, object, &names).await? {
        Changed::Landed => {}
        other @ (Changed::StartOver | Changed::Gone) => return Ok(other),
    }
    let uid = uid(object)?;
    // Where this fails half-way, they are read again.
    ctx.memory.drop_revisions(uid);
    let mut kept = Revisions::new();
    for (number, snapshot) in goal {
        let snapshot = match known.get(number) {
            Some(known) => known.clone(),
            None => revisions::create(ctx, object, *number, snapshot).await?,
        };
        kept.insert(*number, snapshot);
    }
    for number in known.keys().filter(|number| !goal.contains_key(number)) {
        revisions::delete(ctx, object, *number).await?;
    }
    ctx.memory.keep_revisions(uid, kept);
    Ok(Changed::Landed)
}

/// Takes our finalizer off, unless the object has changed since it was read or written.
pub(super) async fn let_go(
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

fn uid(object: &BlueGreenRelease) -> Result<&str, Error> {
    let uid = object.metadata.uid.as_deref();
    uid.ok_or(Error::Incomplete("uid"))
}

async fn change(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
    finalizers: &[String],
) -> Result<Changed, Error> {
    let version = object
        .metadata
        .resource_version
        .as_deref()
        .ok_or(Error::Incomplete("resourceVersion"))?;
    let operations = json!([
        { "op": "test", "path": "/metadata/uid", "value": uid(object)? },
        { "op": "test", "path": "/metadata/resourceVersion", "value": version },
        { "op": "add", "path": "/metadata/finalizers", "value": finalizers },
    ]);
    let operations = serde_json::from_value(operations).expect("these are a JSON patch");
    let patch = Patch::Json::<()>(operations);
    let params = PatchParams {
        field_manager: Some(super::report::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match traced_call(
        "patching the metadata",
        api.patch(&object.name_any(), &params, &patch),
    )
    .await
    {
        Ok(_) => Ok(Changed::Landed),
        Err(error) => match error.status() {
            Some(status) if status.is_not_found() => Ok(Changed::Gone),
            // A race with another write.
            Some(status) if status.is_conflict() => Ok(Changed::StartOver),
            // A test that failed, and then the object is another by now; or an admission policy or
            // the definition, which will have none of the change however often it is tried.
            Some(status) if status.is_invalid() => match current_version(api, object).await? {
                Some(current) if current == version => Err(error),
                Some(_) => Ok(Changed::StartOver),
                None => Ok(Changed::Gone),
            },
            Some(_) | None => Err(error),
        },
    }
}

async fn current_version(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
) -> Result<Option<String>, Error> {
    let name = object.name_any();
    let read = traced_call("reading the release", api.get_metadata_opt(&name)).await?;
    Ok(read.and_then(|found| found.metadata.resource_version))
}
