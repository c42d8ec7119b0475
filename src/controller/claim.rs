//! Claims an object, and lets it go: the finalizer, and what is noted beside it.
//!
//! kube's own helper takes every success of the clean-up for its end, and a drain needs many
//! passes. Here deletion is a plan like any other, and the finalizer is one of its effects.

use std::collections::BTreeMap;

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::error::{Error, traced_call};
use crate::api::{
    BlueGreenRelease, COMMANDS_ANNOTATION, FINALIZER, NotedCommands, NotedStop, RevisionCommands,
};

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

/// Puts our finalizer on and notes the commands and the stops, unless the object has changed since it
/// was read or written.
pub(super) async fn claim(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
    commands: &BTreeMap<u64, RevisionCommands>,
    stops: &[NotedStop],
) -> Result<Changed, Error> {
    let mut names = object.finalizers().to_vec();
    if !names.iter().any(|name| name == FINALIZER) {
        names.push(FINALIZER.to_owned());
    }
    let mut changes = vec![finalizers(&names)];
    if !commands.is_empty() || !stops.is_empty() {
        let noted = NotedCommands {
            uid: uid(object)?.to_owned(),
            revisions: commands.clone(),
            stops: stops.to_vec(),
        };
        let mut annotations = object.annotations().clone();
        annotations.insert(COMMANDS_ANNOTATION.to_owned(), noted.text());
        changes.push(json!({
            "op": "add", "path": "/metadata/annotations", "value": annotations,
        }));
    }
    change(api, object, changes).await
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
    change(api, object, vec![finalizers(&names)]).await
}

fn finalizers(names: &[String]) -> Value {
    json!({ "op": "add", "path": "/metadata/finalizers", "value": names })
}

fn uid(object: &BlueGreenRelease) -> Result<&str, Error> {
    let uid = object.metadata.uid.as_deref();
    uid.ok_or(Error::Incomplete("uid"))
}

async fn change(
    api: &Api<BlueGreenRelease>,
    object: &BlueGreenRelease,
    changes: Vec<Value>,
) -> Result<Changed, Error> {
    let version = object
        .metadata
        .resource_version
        .as_deref()
        .ok_or(Error::Incomplete("resourceVersion"))?;
    let mut operations = vec![
        json!({ "op": "test", "path": "/metadata/uid", "value": uid(object)? }),
        json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version }),
    ];
    operations.extend(changes);
    let operations =
        serde_json::from_value(Value::Array(operations)).expect("these are a JSON patch");
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
