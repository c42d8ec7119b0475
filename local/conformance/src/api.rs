//! Asking a server from inside a case.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::{Failure, Server, answer::Answer, stage, watching::Watching};

/// How long an answer may take. Far more than any takes; a server that hangs fails the case.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const JSON: &str = "application/json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// A server, and a namespace on it for one case alone.
#[derive(Debug, Clone)]
pub struct Api {
    pub(crate) server: Server,
    pub(crate) namespace: String,
}

impl Api {
    /// The path of the case's widgets, the kind that the suite brings along.
    pub(crate) fn widgets(&self) -> String {
        self.of(&format!("apis/{}/v1", stage::GROUP), "widgets")
    }

    pub(crate) fn leases(&self) -> String {
        self.of("apis/coordination.k8s.io/v1", "leases")
    }

    /// The path of a namespaced resource.
    pub(crate) fn of(&self, version: &str, plural: &str) -> String {
        format!("/{version}/namespaces/{}/{plural}", self.namespace)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, &[("accept", accept)], "")
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        let headers = [("content-type", JSON)];
        self.send(Method::POST, path, &headers, body.to_string())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        let headers = [("content-type", JSON)];
        self.send(Method::PUT, path, &headers, body.to_string())
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::DELETE, path, &[], "").await
    }

    pub(crate) async fn delete_with(&self, path: &str, options: &Value) -> Result<Answer, Failure> {
        let headers = [("content-type", JSON)];
        self.send(Method::DELETE, path, &headers, options.to_string())
            .await
    }

    pub(crate) async fn patch(
        &self,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<Answer, Failure> {
        let headers = [("content-type", kind)];
        self.send(Method::PATCH, path, &headers, body.to_string())
            .await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.patch(path, MERGE, body).await
    }

    /// Creates a widget of this size.
    pub(crate) async fn widget(&self, name: &str, size: u32) -> Result<Value, Failure> {
        let widget = stage::widget(name, size);
        self.post(&self.widgets(), &widget).await?.ok_with(201)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Failure> {
        let request = build(method, path, headers, body.into())?;
        let what = format!("{} {}", request.method(), request.uri());
        let answer = async {
            let response = self.server.send(request).await?;
            collect(&what, response).await
        };
        within(&what, answer).await
    }

    /// Sends a GET with these credentials, or without any.
    pub(crate) async fn get_as_somebody(
        &self,
        path: &str,
        authorization: Option<&str>,
    ) -> Result<Answer, Failure> {
        let headers: Vec<(&str, &str)> = authorization
            .into_iter()
            .map(|value| (header::AUTHORIZATION.as_str(), value))
            .collect();
        let request = build(Method::GET, path, &headers, Bytes::new())?;
        let what = format!("{} {}", request.method(), request.uri());
        let answer = async {
            let response = self.server.send_as_is(request).await?;
            collect(&what, response).await
        };
        within(&what, answer).await
    }

    /// Makes the server forget all history up to a resource version.
    pub(crate) async fn forget(&self, version: &str) -> Result<(), Failure> {
        let number = version.parse();
        let number = number.map_err(|_| Failure::new(format!("{version:?} is no version")))?;
        self.server.forget(number).await
    }

    /// Opens a watch. `query` follows the path and `watch=true`.
    pub(crate) async fn watch(&self, path: &str, query: &str) -> Result<Watching, Failure> {
        self.watch_as(path, query, JSON).await
    }

    pub(crate) async fn watch_as(
        &self,
        path: &str,
        query: &str,
        accept: &str,
    ) -> Result<Watching, Failure> {
        let path = format!("{path}?watch=true&{query}");
        let request = build(Method::GET, &path, &[("accept", accept)], Bytes::new())?;
        let response = within(&path, self.server.send(request)).await?;
        if response.status().as_u16() != 200 {
            let answer = within(&path, collect(&path, response)).await?;
            return Err(Failure::new(format!(
                "the watch {path} was not opened: {} {}",
                answer.code, answer.body
            )));
        }
        Ok(Watching::new(path, response.into_body()))
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn within<T>(
    what: &str,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::new(format!(
            "{what}: nothing came within {PATIENCE:?}"
        ))),
    }
}

fn build(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Request<Bytes>, Failure> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(body)
        .map_err(|error| Failure::new(format!("{path} makes no request: {error}")))
}

async fn collect(
    what: &str,
    response: http::Response<kube::client::Body>,
) -> Result<Answer, Failure> {
    let (parts, body) = response.into_parts();
    let bytes = body
        .collect()
        .await
        .map_err(|error| Failure::new(format!("{what}: the answer broke off: {error}")))?
        .to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    Ok(Answer {
        request: what.to_owned(),
        code: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
    })
}
