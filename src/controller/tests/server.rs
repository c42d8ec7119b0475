//! An API server for one release, with the optimistic concurrency of a real one.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body as KubeBody;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tower::{Service, service_fn};

use super::note;
use crate::api::RELEASE_UID_LABEL;

pub(super) const UID: &str = "6f0c1c2e-0000-4000-8000-000000000001";

/// What goes wrong with the next request of a method.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It is answered with this code and nothing is done.
    Refuse(u16),
    /// It is done, and the connection breaks before the answer.
    LoseReply,
    /// It is never answered, and nothing is done.
    Hang,
    /// Somebody else writes an annotation just before.
    WriteBefore,
}

#[derive(Clone)]
pub(super) struct Server(Arc<Mutex<State>>);

struct State {
    objects: Vec<Value>,
    version: u64,
    defined: bool,
    forbidden: bool,
    faults: VecDeque<(Method, Fault)>,
    patches: Vec<Value>,
    statuses: Vec<Value>,
    revisions: Vec<Value>,
    changes: broadcast::Sender<Value>,
    on_put: Option<Box<dyn FnOnce() + Send>>,
}

fn release() -> Value {
    json!({
        "apiVersion": "bluegreen.dev/v1alpha1",
        "kind": "BlueGreenRelease",
        "metadata": {
            "name": "shop", "namespace": "games", "uid": UID, "generation": 1,
            "resourceVersion": "1", "finalizers": ["bluegreen.dev/release"],
        },
        "spec": {
            "version": "1.8.0",
            "traffic": { "registration": { "targetGroups": [{ "name": "shop" }] } },
            "fleet": { "hosts": {
                "selector": { "tags": { "app": "shop" } },
                "ports": [8080],
                "start": { "document": "BlueGreen-StartUnit" },
                "stop": { "unit": "shop@{{port}}.service" },
            } },
        },
    })
}

impl Server {
    pub(super) fn with_release() -> Self {
        Self(Arc::new(Mutex::new(State {
            objects: vec![release()],
            version: 1,
            defined: true,
            forbidden: false,
            faults: VecDeque::new(),
            patches: Vec::new(),
            statuses: Vec::new(),
            revisions: Vec::new(),
            changes: broadcast::channel(100).0,
            on_put: None,
        })))
    }

    pub(super) fn object(&self) -> Value {
        self.0.lock().unwrap().objects[0].clone()
    }

    /// Changes the release as another client would.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut Value)) {
        let mut state = self.0.lock().unwrap();
        let mut object = state.objects[0].clone();
        edit(&mut object);
        state.store(object);
    }

    pub(super) fn delete(&self) {
        self.0.lock().unwrap().objects.clear();
    }

    /// Puts an object beside the release that no version understands.
    pub(super) fn add_broken(&self) {
        let mut broken = release();
        broken["metadata"]["name"] = json!("broken");
        broken["metadata"]["uid"] = json!("broken");
        broken["spec"] = json!({ "version": 7 });
        self.0.lock().unwrap().objects.push(broken);
    }

    pub(super) fn fault(&self, method: Method, fault: Fault) {
        self.0.lock().unwrap().faults.push_back((method, fault));
    }

    /// Does something when the next status arrives.
    pub(super) fn on_put(&self, happens: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().on_put = Some(Box::new(happens));
    }

    pub(super) fn define(&self, defined: bool) {
        self.0.lock().unwrap().defined = defined;
    }

    pub(super) fn forbid(&self, forbidden: bool) {
        self.0.lock().unwrap().forbidden = forbidden;
    }

    pub(super) fn patches(&self) -> Vec<Value> {
        self.0.lock().unwrap().patches.clone()
    }

    /// The objects that were sent to replace the status.
    pub(super) fn statuses(&self) -> Vec<Value> {
        self.0.lock().unwrap().statuses.clone()
    }

    /// The ControllerRevisions that there are.
    pub(super) fn revisions(&self) -> Vec<Value> {
        self.0.lock().unwrap().revisions.clone()
    }

    /// Puts a ControllerRevision there as another client would.
    pub(super) fn add_revision(&self, revision: Value) {
        self.0.lock().unwrap().revisions.push(revision);
    }

    pub(super) fn service(
        &self,
    ) -> impl Service<
        Request<KubeBody>,
        Response = Response<Body>,
        Error = std::io::Error,
        Future = BoxFuture<'static, Result<Response<Body>, std::io::Error>>,
    > + Clone
    + use<> {
        let server = self.clone();
        service_fn(move |request: Request<KubeBody>| {
            let server = server.clone();
            async move { server.answer(request).await }.boxed()
        })
    }

    async fn answer(self, request: Request<KubeBody>) -> Result<Response<Body>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(std::io::Error::other)?
            .to_bytes();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        if path.ends_with("/events") {
            let event: Value = serde_json::from_slice(&body)?;
            let word = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            note(format!("Event {} {}", word("reason"), word("action")));
            return Ok(match self.take_fault(&head.method) {
                Some(_) => refuse(500, "no events today"),
                None => respond(StatusCode::CREATED, &event),
            });
        }
        if query.contains("watch=") {
            return Ok(self.watch());
        }
        let revisions = path.split("/controllerrevisions").nth(1);
        note(match revisions {
            Some(named) => format!("{} revisions{named}", head.method),
            None => format!(
                "{} {}",
                head.method,
                path.rsplit("bluegreenreleases").next().unwrap_or("")
            ),
        });
        let fault = self.take_fault(&head.method);
        match &fault {
            Some(Fault::Hang) => pending::<()>().await,
            Some(Fault::Refuse(code)) => return Ok(refuse(*code, "refused")),
            Some(Fault::WriteBefore) => {
                self.edit(|object| object["metadata"]["annotations"] = json!({ "by": "another" }))
            }
            Some(Fault::LoseReply) | None => {}
        }
        let answer = {
            let mut state = self.0.lock().unwrap();
            match revisions {
                Some(named) => state.revision(&head.method, named, &query, &body),
                None => state.handle(&head.method, &path, &body),
            }
        };
        match fault {
            Some(Fault::LoseReply) => Err(std::io::Error::other("connection reset")),
            _ => Ok(answer),
        }
    }

    fn take_fault(&self, method: &Method) -> Option<Fault> {
        let mut state = self.0.lock().unwrap();
        let index = state.faults.iter().position(|(of, _)| of == method)?;
        state.faults.remove(index).map(|(_, fault)| fault)
    }

    fn watch(&self) -> Response<Body> {
        let changes = self.0.lock().unwrap().changes.subscribe();
        let lines = stream::unfold(changes, async |mut changes| {
            let object = changes.recv().await.ok()?;
            let line = format!("{}\n", json!({ "type": "MODIFIED", "object": object }));
            Some((Ok::<_, Infallible>(line), changes))
        });
        Response::new(Body::from_stream(lines.chain(stream::pending())))
    }
}

impl State {
    fn store(&mut self, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects[0] = object.clone();
        // Without a watcher there is nobody to tell.
        let _ = self.changes.send(object.clone());
        object
    }

    fn handle(&mut self, method: &Method, path: &str, body: &[u8]) -> Response<Body> {
        if self.forbidden {
            return refuse(403, "bluegreenreleases.bluegreen.dev is forbidden");
        }
        if !self.defined {
            return refuse(404, "the server could not find the requested resource");
        }
        if path.ends_with("/bluegreenreleases") {
            return respond(
                StatusCode::OK,
                &json!({
                    "apiVersion": "bluegreen.dev/v1alpha1", "kind": "BlueGreenReleaseList",
                    "metadata": { "resourceVersion": self.version.to_string() },
                    "items": self.objects,
                }),
            );
        }
        let named = path.trim_end_matches("/status").rsplit('/').next();
        let Some(object) = self
            .objects
            .iter()
            .find(|object| object["metadata"]["name"].as_str() == named)
            .cloned()
        else {
            return refuse(404, "not found");
        };
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        match *method {
            Method::GET => respond(StatusCode::OK, &object),
            Method::PUT => self.put_status(object, &sent),
            Method::PATCH => self.patch(object, sent),
            _ => refuse(405, "not here"),
        }
    }

    /// Answers a request for ControllerRevisions.
    fn revision(
        &mut self,
        method: &Method,
        named: &str,
        query: &str,
        body: &[u8],
    ) -> Response<Body> {
        let named = named.trim_start_matches('/');
        let is = |one: &Value, name: &Value| one["metadata"]["name"] == *name;
        let found = self.revisions.iter().position(|one| is(one, &json!(named)));
        match (method, found) {
            (&Method::GET, _) if named.is_empty() => {
                let label = format!("labelSelector=bluegreen.dev%2Frelease-uid%3D{UID}");
                assert!(query.contains(&label), "{query}");
                let ours = |one: &&Value| one["metadata"]["labels"][RELEASE_UID_LABEL] == UID;
                let items: Vec<&Value> = self.revisions.iter().filter(ours).collect();
                respond(
                    StatusCode::OK,
                    &json!({
                        "apiVersion": "apps/v1", "kind": "ControllerRevisionList",
                        "metadata": { "resourceVersion": "1" }, "items": items,
                    }),
                )
            }
            (&Method::POST, _) => {
                let sent: Value = serde_json::from_slice(body).unwrap();
                let name = &sent["metadata"]["name"];
                if self.revisions.iter().any(|one| is(one, name)) {
                    return refuse_as(409, "AlreadyExists", &format!("{name} already exists"));
                }
                self.revisions.push(sent.clone());
                respond(StatusCode::CREATED, &sent)
            }
            (&Method::GET, Some(index)) => respond(StatusCode::OK, &self.revisions[index]),
            (&Method::DELETE, Some(index)) => {
                respond(StatusCode::OK, &self.revisions.remove(index))
            }
            _ => refuse(404, "not found"),
        }
    }

    fn put_status(&mut self, mut object: Value, sent: &Value) -> Response<Body> {
        if let Some(happens) = self.on_put.take() {
            happens();
        }
        if sent["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return refuse(409, "the object has been modified");
        }
        object["status"] = sent["status"].clone();
        self.statuses.push(sent.clone());
        respond(StatusCode::OK, &self.store(object))
    }

    fn patch(&mut self, mut object: Value, sent: Value) -> Response<Body> {
        for operation in sent.as_array().unwrap() {
            let path = operation["path"].as_str().unwrap();
            match operation["op"].as_str().unwrap() {
                "test" if object.pointer(path) == Some(&operation["value"]) => {}
                "test" => return refuse(422, "testing value failed"),
                "add" => object["metadata"]["finalizers"] = operation["value"].clone(),
                other => return refuse(400, other),
            }
        }
        self.patches.push(sent);
        let object = self.store(object);
        if !object["metadata"]["deletionTimestamp"].is_null()
            && object["metadata"]["finalizers"] == json!([])
        {
            self.objects.clear();
        }
        respond(StatusCode::OK, &object)
    }
}

fn respond(code: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = code;
    response
}

fn refuse(code: u16, message: &str) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        _ => "InternalError",
    };
    refuse_as(code, reason, message)
}

fn refuse_as(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(code).unwrap();
    respond(
        status,
        &json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "message": message, "reason": reason, "code": code,
        }),
    )
}
