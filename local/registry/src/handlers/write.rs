//! Create, update and patch.

use http::{StatusCode, header};
use serde_json::Value;

use super::{Call, render, served};
use crate::{
    Registry,
    catalog::Resource,
    field_error::FieldError,
    object::{
        Decoded, FieldValidation, Scope, Writer, decode, decode_value, refuse_other_name, text,
        wrong_uid,
    },
    patch::{self, Apply, Manager, PatchKind},
    protobuf,
    request::content_type,
    schema,
    service::Reply,
    status::ApiError,
    store::Object,
};

/// Body types of a whole object.
const OBJECT_TYPES: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// Stores a new object.
pub(super) fn create(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let (object, warnings) = read_object(call)?;
    let stored = registry.write(&call.resource, call.is_dry_run(), |writer, resource| {
        place(writer, resource, call, object)
    })?;
    Ok(created(registry, call, &stored).with_warnings(warnings))
}

fn place(
    writer: &mut Writer<'_>,
    resource: &Resource,
    call: &Call,
    mut object: Value,
) -> Result<Object, ApiError> {
    let manager = manager(call, Manager::update);
    // Defaults belong to whoever caused them.
    schema::defaults(&resource.schema, &mut object);
    manager.track(resource, None, &mut object, &writer.now);
    writer.create(resource, &call.target.namespace, object)
}

/// Replaces an object.
pub(super) fn update(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let (mut object, warnings) = read_object(call)?;
    refuse_other_name(&object, &call.target.name)?;
    let (stored, is_new) =
        registry.write(&call.resource, call.is_dry_run(), |writer, resource| {
            let key = Writer::key(resource, &call.target.namespace, &call.target.name);
            if !resource.is_created_by_update() || writer.transaction.get(&key).is_some() {
                return Ok((replace(writer, resource, call, object)?, false));
            }
            let uid = text(&object, "/metadata/uid");
            if !uid.is_empty() {
                // Whoever names a UID means an object that there was.
                return Err(wrong_uid(resource, &key, uid, ""));
            }
            if let Some(metadata) = object["metadata"].as_object_mut() {
                // An update that creates names a version of nothing.
                metadata.remove("resourceVersion");
            }
            Ok((place(writer, resource, call, object)?, true))
        })?;
    Ok(written(registry, call, &stored, is_new).with_warnings(warnings))
}

/// The answer to a write that may have created.
fn written(registry: &Registry, call: &Call, stored: &Value, is_new: bool) -> Reply {
    if is_new {
        return created(registry, call, stored);
    }
    let rendered = render::one(&call.resource, call.form, stored, registry.now());
    Reply::json(&rendered)
}

/// The answer to a creation. What was only tried has no version.
fn created(registry: &Registry, call: &Call, stored: &Value) -> Reply {
    let mut stored = stored.clone();
    if call.is_dry_run()
        && let Some(metadata) = stored["metadata"].as_object_mut()
    {
        metadata.remove("resourceVersion");
    }
    let rendered = render::one(&call.resource, call.form, &stored, registry.now());
    Reply::created(StatusCode::CREATED, &rendered)
}

/// Changes a part of an object.
pub(super) fn patch(registry: &Registry, call: &Call) -> Result<Reply, ApiError> {
    let kind = PatchKind::of(&call.resource, content_type(&call.headers))?;
    let validation = FieldValidation::parse(call.query.get("fieldValidation"))?;
    if kind == PatchKind::Apply {
        return apply(registry, call, validation);
    }
    let (stored, warnings) =
        registry.write(&call.resource, call.is_dry_run(), |writer, resource| {
            let key = Writer::key(resource, &call.target.namespace, &call.target.name);
            let existing = writer.existing(resource, &key)?;
            let mut object = served(resource, &existing);
            patch::change(kind, &call.body, &mut object)?;
            let patched = object.to_string();
            let decoded = decode_value(resource, object)?;
            let warnings = patch_remarks(validation, decoded.remarks, &patched)?;
            refuse_other_uid(resource, &existing, &decoded.object)?;
            let stored = replace(writer, resource, call, decoded.object)?;
            Ok((stored, warnings))
        })?;
    let rendered = render::one(&call.resource, call.form, &stored, registry.now());
    Ok(Reply::json(&rendered).with_warnings(warnings))
}

/// Server-side apply: creates the object, or merges what the caller wants into it.
fn apply(registry: &Registry, call: &Call, validation: FieldValidation) -> Result<Reply, ApiError> {
    let Some(name) = call.query.get("fieldManager") else {
        return Err(ApiError::invalid_options(
            "PatchOptions",
            FieldError::required("fieldManager", "is required for apply patch"),
        ));
    };
    let wanted: Value = patch::parse_yaml(&call.body)?;
    patch::check_types(
        &call.resource,
        &call.target.namespace,
        &call.target.name,
        &wanted,
    )?;
    let decoded = decode_value(&call.resource, wanted)?;
    let warnings = check(&call.resource, validation, decoded.remarks)?;
    let wanted = decoded.object;
    let stated = text(&wanted, "/metadata/name");
    if !stated.is_empty() {
        refuse_other_name(&wanted, &call.target.name)?;
    }
    let apply = Apply {
        manager: name.to_owned(),
        force: call.query.flag("force"),
        subresource: call.target.subresource.clone(),
    };
    let (stored, is_new) =
        registry.write(&call.resource, call.is_dry_run(), |writer, resource| {
            let key = Writer::key(resource, &call.target.namespace, &call.target.name);
            let live = writer.transaction.get(&key);
            let Some(live) = live else {
                if call.scope() == Scope::Status {
                    return Err(ApiError::not_found(&resource.group_resource(), &key.name));
                }
                let mut object = apply.create(resource, wanted, &writer.now)?;
                object["metadata"]["name"] = Value::from(key.name.as_str());
                let stored = writer.create(resource, &key.namespace, object)?;
                return Ok((stored, true));
            };
            let mut merged = apply.merge(resource, &live, &wanted, &writer.now)?;
            merged["metadata"]["name"] = Value::from(key.name.as_str());
            let stored = writer.update(resource, &key, merged, call.scope())?;
            Ok((tried(call, stored, &live), false))
        })?;
    Ok(written(registry, call, &stored, is_new).with_warnings(warnings))
}

/// A patch that changes the identity of the object. (In an update the uid is a precondition.)
fn refuse_other_uid(resource: &Resource, old: &Value, new: &Value) -> Result<(), ApiError> {
    let uid = text(new, "/metadata/uid");
    if uid.is_empty() || uid == text(old, "/metadata/uid") {
        return Ok(());
    }
    let error = FieldError::invalid("metadata.uid", Value::from(uid), "field is immutable");
    let name = text(old, "/metadata/name");
    Err(ApiError::invalid(
        &resource.group,
        &resource.kind,
        name,
        &[error],
    ))
}

fn replace(
    writer: &mut Writer<'_>,
    resource: &Resource,
    call: &Call,
    mut object: Value,
) -> Result<Object, ApiError> {
    let key = Writer::key(resource, &call.target.namespace, &call.target.name);
    let existing = writer.existing(resource, &key)?;
    let manager = manager(call, Manager::update);
    schema::defaults(&resource.schema, &mut object);
    manager.track(resource, Some(&existing), &mut object, &writer.now);
    let stored = writer.update(resource, &key, object, call.scope())?;
    Ok(tried(call, stored, &existing))
}

/// What was only tried keeps the version of what is there.
fn tried(call: &Call, stored: Object, existing: &Value) -> Object {
    if !call.is_dry_run() {
        return stored;
    }
    let mut object = Value::clone(&stored);
    object["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"].clone();
    Object::new(object)
}

/// Who writes: the name that the caller gave or, without one, the program's.
fn manager(call: &Call, make: fn(&str, &str) -> Manager) -> Manager {
    let agent = call
        .headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .and_then(|agent| agent.split('/').next())
        .filter(|agent| !agent.is_empty())
        .unwrap_or("unknown");
    let name = call.query.get("fieldManager").unwrap_or(agent);
    make(name, &call.target.subresource)
}

/// The object in a request's body, and what the caller is to be warned of.
fn read_object(call: &Call) -> Result<(Value, Vec<String>), ApiError> {
    let validation = FieldValidation::parse(call.query.get("fieldValidation"))?;
    let decoded = match content_type(&call.headers) {
        "" | "application/json" => decode(&call.resource, &call.body)?,
        "application/yaml" => decode_value(&call.resource, patch::parse_yaml(&call.body)?)?,
        "application/vnd.kubernetes.protobuf" => {
            let object = protobuf::namespace(&call.body)
                .ok_or_else(|| ApiError::unsupported_media_type(&OBJECT_TYPES))?;
            decode_value(&call.resource, object)?
        }
        _ => return Err(ApiError::unsupported_media_type(&OBJECT_TYPES)),
    };
    let Decoded { object, remarks } = decoded;
    Ok((object, check(&call.resource, validation, remarks)?))
}

/// What becomes of fields that are unknown or occur twice: nothing, warnings or an error.
fn check(
    resource: &Resource,
    validation: FieldValidation,
    remarks: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    match validation {
        FieldValidation::Strict if !remarks.is_empty() => Err(ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding \
             error: {remarks}",
            kind = resource.kind,
            version = resource.version,
            remarks = remarks.join(", ")
        ))),
        FieldValidation::Strict | FieldValidation::Warn => Ok(remarks),
        FieldValidation::Ignore => Ok(Vec::new()),
    }
}

/// The same for the outcome of a patch, which a server words in another way.
fn patch_remarks(
    validation: FieldValidation,
    remarks: Vec<String>,
    patched: &str,
) -> Result<Vec<String>, ApiError> {
    match validation {
        FieldValidation::Strict if !remarks.is_empty() => {
            let detail = format!("strict decoding error: {}", remarks.join(", "));
            let error = FieldError::invalid("patch", Value::from(patched), detail);
            Err(ApiError::invalid("", "", "", &[error]))
        }
        FieldValidation::Strict | FieldValidation::Warn => Ok(remarks),
        FieldValidation::Ignore => Ok(Vec::new()),
    }
}
