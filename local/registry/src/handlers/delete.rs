//! Delete, one object or many.

use serde_json::Value;

use super::{
    Call,
    render::{self, ListMeta, served},
};
use crate::{
    Registry,
    object::{DeleteOptions, Deletion, Writer},
    selector::Selector,
    service::Reply,
    status::ApiError,
};

/// Deletes one object.
pub(super) fn one(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let (options, dry_run) = DeleteOptions::parse(&call.body, &call.query)?;
    let deletion = registry.write(
        &call.resource,
        dry_run || call.is_dry_run(),
        |writer, resource| {
            let key = Writer::key(resource, &call.target.namespace, &call.target.name);
            writer.delete(resource, &key, &options)
        },
    )?;
    Ok(Reply::json(&match deletion {
        Deletion::Done(status) => status,
        Deletion::Pending(object) => served(&call.resource, &object),
    }))
}

/// Deletes the objects that a selector selects.
pub(super) fn many(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let (options, dry_run) = DeleteOptions::parse(&call.body, &call.query)?;
    let selector = Selector::parse(
        &call.resource,
        call.query.get("labelSelector"),
        call.query.get("fieldSelector"),
    )?;
    let objects = registry.write(
        &call.resource,
        dry_run || call.is_dry_run(),
        |writer, resource| {
            let mut objects = writer
                .transaction
                .list(&resource.storage, &call.target.namespace);
            objects.retain(|(_, object)| selector.matches(object));
            for (key, _) in &objects {
                writer.delete(resource, key, &options)?;
            }
            Ok(objects)
        },
    )?;
    let values: Vec<&Value> = objects.iter().map(|(_, object)| object.as_ref()).collect();
    let meta = ListMeta {
        version: registry.lock().store.version(),
        next: None,
        remaining: None,
    };
    let rendered = render::many(&call.resource, call.form, &values, &meta, registry.now());
    Ok(Reply::json(&rendered))
}
