//! What has to be on a server before cases can run on it: the suite's own kind, and for each case
//! a namespace.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Failure, Server,
    answer::text,
    api::{Api, PATIENCE},
};

/// The group of the suite's own kind.
pub(crate) const GROUP: &str = "conformance.bluegreen.dev";

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

const NAMESPACES: &str = "/api/v1/namespaces";

/// How long to wait before a server is asked again whether it is so far.
const PAUSE: Duration = Duration::from_millis(50);

/// The definition of the suite's own kind.
pub(crate) fn definition() -> Value {
    serde_norway::from_str(include_str!("widgets.yaml")).expect("the file is part of this crate")
}

/// A widget of this size.
pub(crate) fn widget(name: &str, size: u32) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Widget", "metadata": {"name": name},
           "spec": {"size": size}})
}

/// Defines the suite's own kind and waits until it is served.
pub(crate) async fn define(server: &Server) -> Result<(), Failure> {
    let api = Api {
        server: server.clone(),
        namespace: String::new(),
    };
    define_and_wait(&api, &definition()).await
}

/// Defines a kind, where it is not defined yet, and waits until its storage version is served.
pub(crate) async fn define_and_wait(api: &Api, definition: &Value) -> Result<(), Failure> {
    let answer = api.post(DEFINITIONS, definition).await?;
    if answer.code != 409 {
        answer.ok()?;
    }
    let versions = definition["spec"]["versions"].as_array();
    for version in versions.into_iter().flatten() {
        let path = format!(
            "/apis/{}/{}/{}",
            text(definition, "/spec/group"),
            text(version, "/name"),
            text(definition, "/spec/names/plural")
        );
        until(&path, async || Ok(api.get(&path).await?.code == 200)).await?;
    }
    Ok(())
}

/// Waits until something holds.
pub(crate) async fn until(
    what: &str,
    holds: impl AsyncFn() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let waiting = async {
        while !holds().await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::new(format!("{what}: not so within {PATIENCE:?}"))),
    }
}

/// A namespace for one case.
pub(crate) async fn enter(server: &Server) -> Result<Api, Failure> {
    let mut api = Api {
        server: server.clone(),
        namespace: String::new(),
    };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
                           "metadata": {"generateName": "conformance-"}});
    let created = api.post(NAMESPACES, &namespace).await?.ok()?;
    text(&created, "/metadata/name").clone_into(&mut api.namespace);
    Ok(api)
}

/// Gives the case's namespace back. Where there is no controller for namespaces it stays, ended.
pub(crate) async fn leave(api: &Api) -> Result<(), Failure> {
    let path = format!("{NAMESPACES}/{}", api.namespace);
    let answer = api.delete(&path).await?;
    if answer.code == 404 {
        return Ok(());
    }
    answer.ok().map(drop)
}
