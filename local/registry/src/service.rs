//! Requests in, responses out: who may call, what is asked for, and which faults strike.

use std::{
    convert::Infallible,
    future::pending,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{
    BodyExt, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody,
};
use serde_json::Value;
use tower::{BoxError, Service};

use crate::{
    Registry,
    auth::{self, Caller},
    catalog::Model,
    discovery,
    faults::{Effect, Verb},
    handlers::{self, Call},
    openapi,
    request::{Form, Query, Target},
    status::ApiError,
};

/// The longest body that is read, in bytes: the limit of API servers.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// How long a body may take to come: what API servers give a whole request. On tokio's clock, as
/// all agreements with a client.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The type of answers that are not JSON.
const TEXT: &str = "text/plain; charset=utf-8";

/// The body of a response. A watch's body is endless.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The connection broke before an answer came, as a fault switch demanded.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the registry broke, as a fault switch demanded")]
pub struct Disconnected;

/// What a handler answers.
pub(crate) struct Reply {
    code: StatusCode,
    body: Body,
    warnings: Vec<String>,
}

impl Reply {
    pub(crate) fn json(value: &Value) -> Self {
        Self::created(StatusCode::OK, value)
    }

    pub(crate) fn created(code: StatusCode, value: &Value) -> Self {
        let body = Full::new(Bytes::from(value.to_string()));
        Self {
            code,
            body: body.boxed_unsync(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn stream(lines: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        let frames = lines.map(|line| Ok(Frame::data(line)));
        Self {
            code: StatusCode::OK,
            body: StreamBody::new(frames).boxed_unsync(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = respond(self.code, "application/json", self.body);
        for warning in self.warnings {
            let text = format!("299 - {}", Value::from(warning));
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        response
    }
}

impl<B> Service<Request<B>> for Registry
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Disconnected;
    type Future = BoxFuture<'static, Result<Response<Body>, Disconnected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Disconnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let registry = self.clone();
        async move {
            match answer(&registry, request).await {
                Ok(response) => Ok(response),
                Err(Failure::Api(error)) => Ok(refusal(&error)),
                Err(Failure::Disconnected) => Err(Disconnected),
            }
        }
        .boxed()
    }
}

enum Failure {
    Api(ApiError),
    Disconnected,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

async fn answer<B>(registry: &Registry, request: Request<B>) -> Result<Response<Body>, Failure>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_end_matches('/');
    let is_health = |path: &str| ["/healthz", "/livez", "/readyz"].contains(&path);
    let caller = auth::caller(registry.tokens(), path, &parts.headers);
    let by_controller = caller.is_controller();
    let (path, is_known) = match caller {
        Caller::Administrator(path) | Caller::Controller(path) => (path, true),
        Caller::Anonymous => (path, false),
        Caller::Unknown => return Err(ApiError::unauthorized().into()),
    };
    if is_health(path) {
        return Ok(respond(StatusCode::OK, TEXT, full("ok")));
    }
    if !is_known && path != "/version" {
        let query = Query::parse(parts.uri.query());
        return Err(auth::refuse_anonymous(&parts.method, path, &query).into());
    }
    if let Some((kind, document)) = discovery::answer(&registry.catalog(), path, &parts.headers) {
        return Ok(respond(StatusCode::OK, kind, full(document.to_string())));
    }
    if let Some(document) = openapi::answer(&registry.catalog(), path) {
        let body = full(document.to_string());
        return Ok(respond(StatusCode::OK, "application/json", body));
    }
    let Some(mut call) = read(registry, &parts, path, body).await? else {
        return Ok(respond(
            StatusCode::NOT_FOUND,
            TEXT,
            full("404 page not found\n"),
        ));
    };
    call.by_controller = by_controller;
    let reply = with_faults(registry, call).await?;
    Ok(reply.into_response())
}

/// Reads a request for a resource; `None` where a server would not even look for one.
async fn read<B>(
    registry: &Registry,
    parts: &Parts,
    path: &str,
    body: B,
) -> Result<Option<Call>, ApiError>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let Some(mut target) = Target::parse(path) else {
        return Ok(None);
    };
    let query = Query::parse(parts.uri.query());
    let catalog = registry.catalog();
    let found = catalog.find(&target.group, &target.version, &target.plural);
    let Some(resource) = found.cloned() else {
        if catalog.is_built_in(&target.group, &target.version) {
            return Err(ApiError::no_such_path());
        }
        return Ok(None);
    };
    let is_custom = resource.model == Model::Custom;
    if is_custom && parts.method == Method::POST && target.subresource.is_empty() {
        // Where kinds are defined, a creation does not look at the name in its path.
        target.name.clear();
    }
    if is_custom && target.name.is_empty() && [Method::PUT, Method::PATCH].contains(&parts.method) {
        return Err(ApiError::bad_request("name must be provided"));
    }
    if is_custom && target.subresource == "status" && resource.has_status {
        let unsupported = match parts.method {
            Method::DELETE => Some("delete"),
            Method::POST => Some("create"),
            _ => None,
        };
        if let Some(verb) = unsupported {
            let resource = resource.group_resource();
            return Err(ApiError::method_not_supported(&resource, verb));
        }
    }
    let verb = target.verb(&parts.method, &query)?;
    let has_path = match target.subresource.as_str() {
        "" => true,
        "status" => resource.has_status && matches!(verb, Verb::Get | Verb::Update | Verb::Patch),
        _ => false,
    };
    if is_custom && !has_path {
        let resource = resource.group_resource();
        return Err(ApiError::not_found(&resource, &target.name));
    }
    let across_namespaces = match verb {
        Verb::List | Verb::Watch => true,
        Verb::Get
        | Verb::Create
        | Verb::Update
        | Verb::Patch
        | Verb::Delete
        | Verb::DeleteCollection => false,
    };
    let fits_scope = if resource.namespaced {
        across_namespaces || !target.namespace.is_empty()
    } else {
        target.namespace.is_empty()
    };
    if is_custom && !fits_scope {
        return Ok(None);
    }
    if !has_path || !fits_scope {
        return Err(ApiError::no_such_path());
    }
    let form = Form::negotiate(&parts.headers, &query)?;
    Ok(Some(Call {
        verb,
        resource,
        target,
        query,
        form,
        headers: parts.headers.clone(),
        body: collect(body).await?,
        stale: 0,
        by_controller: false,
    }))
}

async fn collect<B>(body: B) -> Result<Bytes, ApiError>
where
    B: HttpBody,
    B::Error: Into<BoxError>,
{
    let collecting = Limited::new(body, BODY_LIMIT).collect();
    let collected = tokio::time::timeout(BODY_TIMEOUT, collecting).await;
    match collected.map_err(|_| ApiError::body_timeout(BODY_TIMEOUT))? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(BODY_LIMIT)),
        Err(error) => Err(ApiError::bad_request(format!(
            "the body could not be read: {error}"
        ))),
    }
}

/// Carries a request out, or does what the fault that strikes it demands.
async fn with_faults(registry: &Registry, mut call: Call) -> Result<Reply, Failure> {
    let effect =
        registry
            .faults()
            .for_request(call.verb, &call.fault_resource(), &call.object_name());
    let Some(effect) = effect else {
        return Ok(handlers::answer(registry, &call)?);
    };
    let injected = |code: u16| {
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        ApiError::server_error(code, "an injected fault")
    };
    match effect {
        Effect::HangBefore => pending().await,
        Effect::HangAfter => {
            handlers::answer(registry, &call)?;
            pending().await
        }
        Effect::FailBefore(code) => Err(injected(code).into()),
        Effect::FailAfter(code) => {
            handlers::answer(registry, &call)?;
            Err(injected(code).into())
        }
        Effect::DisconnectBefore => Err(Failure::Disconnected),
        Effect::DisconnectAfter => {
            handlers::answer(registry, &call)?;
            Err(Failure::Disconnected)
        }
        Effect::TooManyRequests(after) => Err(ApiError::too_many_requests(after).into()),
        Effect::Conflict => {
            let resource = call.resource.group_resource();
            Err(ApiError::modified(&resource, &call.object_name()).into())
        }
        Effect::Expired if call.verb == Verb::Watch => Ok(handlers::expired_watch()),
        Effect::Expired => {
            let message = "The resourceVersion for the provided list is too old.";
            Err(ApiError::expired(message).into())
        }
        Effect::Stale(writes) => {
            call.stale = writes;
            Ok(handlers::answer(registry, &call)?)
        }
        Effect::DropEvent | Effect::DelayEvent(_) | Effect::DuplicateEvent | Effect::CloseWatch => {
            Ok(handlers::answer(registry, &call)?)
        }
    }
}

fn refusal(error: &ApiError) -> Response<Body> {
    let body = full(error.to_json().to_string());
    let mut response = respond(error.code, "application/json", body);
    let incomplete = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::REQUEST_TIMEOUT];
    if incomplete.contains(&error.code) {
        // The rest of the body is not read, so nothing can follow it.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    if let Some(after) = error.retry_after {
        let value = HeaderValue::from(after.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn respond(code: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    let cache = HeaderValue::from_static("no-cache, private");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    response
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed_unsync()
}
