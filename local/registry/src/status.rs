//! `metav1.Status`: what a client gets where a request failed.
//!
//! Clients match on `reason` and people read `message`, so both are worded as a Kubernetes API
//! server words them. Nothing here decides whether a request fails.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::field_error::FieldError;

/// The group and plural name of a resource, as errors name it: `samples.demo.dev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupResource {
    pub(crate) group: String,
    pub(crate) resource: String,
}

impl std::fmt::Display for GroupResource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.resource)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    pub(crate) retry_after: Option<Duration>,
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    fn about(mut self, resource: &GroupResource, name: &str) -> Self {
        self.details = Some(details(name, &resource.group, &resource.resource));
        self
    }

    /// The path leads to no resource.
    pub(crate) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        let mut error = Self::new(StatusCode::NOT_FOUND, "NotFound", message);
        error.details = Some(json!({}));
        error
    }

    /// The resource has no object of that name.
    pub(crate) fn not_found(resource: &GroupResource, name: &str) -> Self {
        let message = format!("{resource} \"{name}\" not found");
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    /// An object of that name is there already.
    pub(crate) fn already_exists(resource: &GroupResource, name: &str) -> Self {
        let message = format!("{resource} \"{name}\" already exists");
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    /// The write does not fit the object's present state.
    pub(crate) fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// The object changed since the caller read it.
    pub(crate) fn modified(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(resource, name, why)
    }

    /// A server-side apply claims fields that other managers own. Each conflict is a manager and
    /// a path, ordered by manager.
    pub(crate) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let message = match conflicts {
            [(manager, path)] => {
                format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
            }
            many => {
                let mut lines = format!("Apply failed with {} conflicts:", many.len());
                let mut last = "";
                for (manager, path) in many {
                    if manager != last {
                        let separator = if last.is_empty() { ' ' } else { '\n' };
                        lines.push_str(&format!("{separator}conflicts with {manager}:"));
                        last = manager;
                    }
                    lines.push_str(&format!("\n- {path}"));
                }
                lines
            }
        };
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, path)| {
                json!({"reason": "FieldManagerConflict",
                       "message": format!("conflict with {manager}"), "field": path})
            })
            .collect();
        let mut error = Self::new(StatusCode::CONFLICT, "Conflict", message);
        error.details = Some(json!({"causes": causes}));
        error
    }

    /// A new object says which version of itself it is.
    pub(crate) fn version_on_create() -> Self {
        let message = "resourceVersion should not be set on objects to be created";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// A server-side apply is no object of its kind. Servers call it a fault of their own.
    pub(crate) fn untyped(message: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// Something in the path or query of a request is not allowed.
    pub(crate) fn invalid_options(kind: &str, error: FieldError) -> Self {
        Self::invalid("meta.k8s.io", kind, "", &[error])
    }

    /// A kind of a definition does not know the method.
    pub(crate) fn method_not_supported(resource: &GroupResource, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{resource}\"");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(resource, "")
    }

    /// A kind whose definition is being deleted takes no new objects.
    pub(crate) fn kind_is_terminating(resource: &GroupResource) -> Self {
        let message = "create not allowed while custom resource definition is terminating";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(resource, "")
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// The caller did not say who it is.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// The caller may not do this to a path.
    pub(crate) fn forbidden_path(why: &str) -> Self {
        let mut error = Self::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            format!("forbidden: {why}"),
        );
        error.details = Some(json!({}));
        error
    }

    /// The caller may not do this to this object, or to the resource where there is no name.
    pub(crate) fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} \"{name}\" is forbidden: {why}")
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource, name)
    }

    /// The resource does not know the method.
    pub(crate) fn method_not_allowed() -> Self {
        let mut error = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        error.details = Some(json!({}));
        error
    }

    /// No representation that the caller accepts is on offer.
    pub(crate) fn not_acceptable() -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
        )
    }

    /// The body is of a type that the request cannot take.
    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    /// The body did not come within the time that a request has.
    pub(crate) fn body_timeout(limit: Duration) -> Self {
        let message = format!(
            "Timeout: the body of the request was not complete within {} s; send it at once",
            limit.as_secs()
        );
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout", message)
    }

    /// The body is longer than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::too_large_because(&format!("limit is {limit}"))
    }

    /// The request is too large, or would make something too large.
    pub(crate) fn too_large_because(why: &str) -> Self {
        let message = format!("Request entity too large: {why}");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            message,
        )
    }

    /// The object breaks rules of its kind; one cause for each.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let mut messages: Vec<String> = Vec::new();
        for error in errors {
            let message = error.to_string();
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
        let text = match messages.as_slice() {
            [single] => single.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let group_kind = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let message = format!("{group_kind} \"{name}\" is invalid: {text}");
        let causes: Vec<Value> = errors.iter().map(FieldError::cause).collect();
        let mut about = details(name, group, kind);
        about["causes"] = Value::Array(causes);
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        error.details = Some(about);
        error
    }

    /// A JSON patch could not be applied: a failed `test`, a missing path.
    pub(crate) fn patch_failed() -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        error.details = Some(json!({}));
        error
    }

    /// The resource version, or the continue token, is older than the history that is kept.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// The caller asks for a resource version that was not reached yet.
    pub(crate) fn version_too_large(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut error = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        error.details = Some(json!({
            "causes": [{"reason": "ResourceVersionTooLarge",
                        "message": "Too large resource version"}],
            "retryAfterSeconds": 1
        }));
        error.retry_after = Some(Duration::from_secs(1));
        error
    }

    /// The caller is to come back later.
    pub(crate) fn too_many_requests(retry_after: Duration) -> Self {
        let message = "the server has received too many requests and has asked us to try again \
                       later";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        error.details = Some(json!({"retryAfterSeconds": retry_after.as_secs()}));
        error.retry_after = Some(retry_after);
        error
    }

    /// The server broke, as an injected fault or a failing disk makes it break.
    pub(crate) fn server_error(code: StatusCode, message: impl Into<String>) -> Self {
        let reason = match code.as_u16() {
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        Self::new(code, reason, message)
    }

    /// A failure of the registry itself.
    pub(crate) fn internal(why: &impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {why}");
        Self::server_error(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The `Status` object.
    pub(crate) fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = Value::from(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

/// The `Status` object of a deletion that removed the object at once.
pub(crate) fn deleted(resource: &GroupResource, name: &str, uid: &str) -> Value {
    let mut about = details(name, &resource.group, &resource.resource);
    about["uid"] = Value::from(uid);
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
           "details": about})
}

fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut details = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), Value::from(value));
        }
    }
    Value::Object(details)
}
