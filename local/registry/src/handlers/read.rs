//! Get, list and watch.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use serde_json::Value;

use super::{
    Call,
    render::{self, ListMeta},
};
use crate::{
    Registry,
    field_error::FieldError,
    object::Writer,
    request::Query,
    selector::Selector,
    service::Reply,
    status::ApiError,
    store::{Compacted, Key, Object, Store},
    watch::{Start, Watcher, error_event},
};

/// Answers with one object.
pub(super) fn get(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let target = &call.target;
    let key = Writer::key(&call.resource, &target.namespace, &target.name);
    let now = registry.now();
    let object = {
        let state = registry.lock();
        let store = &state.store;
        refuse_future(store, version_of(&call.query)?)?;
        if call.stale == 0 {
            store.get(&key).cloned()
        } else {
            let version = store.version_before(call.stale);
            let past = store.list_at(&key.resource, &key.namespace, version);
            past.ok().and_then(|mut objects| objects.remove(&key))
        }
    };
    let object =
        object.ok_or_else(|| ApiError::not_found(&call.resource.group_resource(), &target.name))?;
    let rendered = render::one(&call.resource, call.form, &object, now);
    Ok(Reply::json(&rendered))
}

/// Answers with many objects, in pages where the caller wants it so.
pub(super) fn list(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let selector = selector(call)?;
    let limit: Option<usize> = call.query.number("limit")?.filter(|limit| *limit > 0);
    let now = registry.now();
    let (version, start_after, objects) = {
        let state = registry.lock();
        let (version, start_after) = page_start(&state.store, call)?;
        let objects = state
            .store
            .list_at(&call.resource.storage, &call.target.namespace, version)
            .map_err(|_| too_old_to_continue())?;
        (version, start_after, objects)
    };
    let selected: Vec<(&Key, &Object)> = objects
        .iter()
        .filter(|(key, object)| {
            start_after
                .as_ref()
                .is_none_or(|last| (&key.namespace, &key.name) > (&last.0, &last.1))
                && selector.matches(object)
        })
        .collect();
    let page = &selected[..selected.len().min(limit.unwrap_or(usize::MAX))];
    let remaining = selected.len() - page.len();
    let next = page
        .last()
        .filter(|_| remaining > 0)
        .map(|(key, _)| format!("{version}:{}/{}", key.namespace, key.name));
    let meta = ListMeta {
        version,
        next,
        // A server does not count what it did not look at; with selectors it would have to.
        remaining: (remaining > 0 && selector == Selector::default()).then_some(remaining),
    };
    let values: Vec<&Value> = page.iter().map(|(_, object)| object.as_ref()).collect();
    let rendered = render::many(&call.resource, call.form, &values, &meta, now);
    Ok(Reply::json(&rendered))
}

/// Answers with a stream of changes.
pub(super) fn watch(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let selector = selector(call)?;
    let version = version_of(&call.query)?;
    let start = if call.query.flag("sendInitialEvents") {
        Start::InitialEvents
    } else {
        match version {
            None | Some(0) => Start::Now,
            Some(version) => Start::After(version),
        }
    };
    // The real server waits for the version to come; a client with a version from another life
    // of the registry must list again.
    refuse_future(&registry.lock().store, version)?;
    let seconds: Option<u64> = call.query.number("timeoutSeconds")?;
    let watcher = Watcher::new(registry.clone(), call, selector, start, seconds);
    Ok(Reply::stream(watcher.into_stream()))
}

/// A watch whose resource version is too old.
pub(crate) fn expired_watch() -> Reply {
    let error = ApiError::expired("too old resource version");
    Reply::stream(stream::iter([Bytes::from(error_event(&error))]))
}

fn selector(call: &Call) -> Result<Selector, ApiError> {
    let mut fields = call
        .query
        .get("fieldSelector")
        .unwrap_or_default()
        .to_owned();
    if !call.target.name.is_empty() {
        fields = format!("metadata.name={}", call.target.name);
    }
    Selector::parse(
        &call.resource,
        call.query.get("labelSelector"),
        Some(&fields),
    )
}

fn version_of(query: &Query) -> Result<Option<u64>, ApiError> {
    query.number("resourceVersion")
}

fn refuse_future(store: &Store, version: Option<u64>) -> Result<(), ApiError> {
    match version {
        Some(asked) if asked > store.version() => {
            Err(ApiError::version_too_large(asked, store.version()))
        }
        _ => Ok(()),
    }
}

/// The version that a list is of, and after which object it goes on.
fn page_start(store: &Store, call: &Call) -> Result<(u64, Option<(String, String)>), ApiError> {
    if let Some(token) = call.query.get("continue") {
        let parsed = token.split_once(':').and_then(|(version, key)| {
            let (namespace, name) = key.split_once('/')?;
            Some((
                version.parse().ok()?,
                (namespace.to_owned(), name.to_owned()),
            ))
        });
        let Some((version, last)) = parsed else {
            return Err(ApiError::bad_request("continue key is not valid"));
        };
        return Ok((version, Some(last)));
    }
    let version = version_of(&call.query)?;
    refuse_future(store, version)?;
    if let Some(version) = exact_version(call, version)? {
        return Ok((version, None));
    }
    Ok((store.version_before(call.stale), None))
}

/// The version that a list must be of exactly, where the caller wants it so.
fn exact_version(call: &Call, version: Option<u64>) -> Result<Option<u64>, ApiError> {
    let refuse = |error| Err(ApiError::invalid_options("ListOptions", error));
    let field = "resourceVersionMatch";
    match (call.query.get(field), version) {
        (None, _) => Ok(None),
        (Some(_), None) => {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            refuse(FieldError::forbidden(field, detail))
        }
        (Some("Exact"), Some(0)) => {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            refuse(FieldError::forbidden(field, detail))
        }
        (Some("Exact"), Some(version)) => Ok(Some(version)),
        (Some("NotOlderThan"), Some(_)) => Ok(None),
        (Some(other), Some(_)) => {
            let known = ["Exact", "NotOlderThan", ""].map(Value::from);
            refuse(FieldError::not_supported(field, other.into(), &known))
        }
    }
}

fn too_old_to_continue() -> ApiError {
    ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can \
         start a new list without the continue parameter.",
    )
}

/// The error for a watch or list from a version that is no longer known.
pub(crate) fn too_old(asked: u64, lost: &Compacted) -> ApiError {
    let oldest = lost.oldest;
    ApiError::expired(format!("too old resource version: {asked} ({oldest})"))
}

/// The objects of a resource now, for the start of a watch.
pub(crate) fn snapshot(store: &Store, call: &Call) -> (u64, Vec<Object>) {
    let version = store.version_before(call.stale);
    let (storage, namespace) = (&call.resource.storage, &call.target.namespace);
    let objects = store
        .list_at(storage, namespace, version)
        .unwrap_or_default()
        .into_values()
        .map(|object| Arc::clone(&object))
        .collect();
    (version, objects)
}
