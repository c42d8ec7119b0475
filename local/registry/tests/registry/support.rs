//! A small client for the mounted service, and the sample kind.

use bluegreen_net::Clock;
use bluegreen_registry::{Body, Registry};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const SAMPLES: &str = "/apis/demo.dev/v1/namespaces/default/samples";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const MERGE: &str = "application/merge-patch+json";

/// An answer that has ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.code.is_success(), "{}: {}", self.code, self.body);
        self.body
    }

    /// The message of a failure with this code and reason.
    #[track_caller]
    pub(crate) fn refused(self, code: u16, reason: &str) -> String {
        assert_eq!(self.code.as_u16(), code, "{}", self.body);
        assert_eq!(self.body["reason"], reason, "{}", self.body);
        assert_eq!(self.body["status"], "Failure");
        self.body["message"].as_str().unwrap().to_owned()
    }
}

/// A caller of the mounted service.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) registry: Registry,
}

impl Api {
    pub(crate) fn new(registry: Registry) -> Self {
        Self { registry }
    }

    /// A registry in memory with nothing in it.
    pub(crate) fn empty() -> Self {
        let builder = Registry::builder(Clock::stepped()).seed(1);
        Self::new(builder.in_memory().unwrap())
    }

    /// A registry in memory with the sample kind.
    pub(crate) async fn with_samples() -> Self {
        let api = Self::empty();
        api.post(DEFINITIONS, &definition()).await.ok();
        api
    }

    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.registry.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let response = self.raw(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            code: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, &[], body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        let headers = [(header::CONTENT_TYPE.as_str(), kind)];
        self.send(Method::PATCH, path, &headers, body.to_string())
            .await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.patch(path, MERGE, body).await
    }

    /// Creates a sample and returns it.
    pub(crate) async fn sample(&self, name: &str) -> Value {
        self.post(SAMPLES, &sample(name)).await.ok()
    }

    pub(crate) async fn watch(&self, path: &str) -> Events {
        self.watch_as(path, "application/json").await
    }

    pub(crate) async fn watch_as(&self, path: &str, accept: &str) -> Events {
        let response = self.raw(Method::GET, path, &[("accept", accept)], "").await;
        assert_eq!(response.status(), StatusCode::OK);
        Events {
            body: response.into_body(),
        }
    }
}

/// An open watch.
pub(crate) struct Events {
    body: Body,
}

impl Events {
    /// The next event; `None` when the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let frame = self.body.frame().await?.unwrap();
        Some(serde_json::from_slice(&frame.into_data().unwrap()).unwrap())
    }

    /// The next event as its type and the object's name.
    pub(crate) async fn next_short(&mut self) -> (String, String) {
        let event = self.next().await.expect("the watch is open");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&event["type"]),
            text(&event["object"]["metadata"]["name"]),
        )
    }
}

pub(crate) fn definition() -> Value {
    serde_norway::from_str(include_str!("../manifests/crd.yaml")).unwrap()
}

pub(crate) fn sample(name: &str) -> Value {
    json!({"apiVersion": "demo.dev/v1", "kind": "Sample", "metadata": {"name": name},
           "spec": {"version": "1.0"}})
}

pub(crate) fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}
