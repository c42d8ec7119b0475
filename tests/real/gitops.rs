//! What tools that sync a repository do with a release, with the tools themselves: Argo CD's
//! scripts in a real Lua, `helm install --wait`, kubectl.

mod scripts;
mod synced;
mod waits;

use std::{collections::BTreeMap, fs};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Real,
    field::DEFINITION,
    report::Suite,
    servers::Cluster,
    tools::{run, word},
};

/// Where the releases are.
const NAMESPACE: &str = "games";

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    scripts::suite(real, suite).await;
    waits::suite(real, suite).await;
    synced::suite(real, suite).await;
}

/// What is expected of an object; `local/tests/suite/gitops` asks the rest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Verdict {
    #[serde(rename = "kstatus")]
    _kstatus: String,
    #[serde(rename = "flux")]
    _flux: String,
    argo_cd: String,
    actions: Vec<String>,
}

fn yaml<T: for<'a> Deserialize<'a>>(real: &Real, name: &str) -> T {
    let path = real.tools.project.join("gitops").join(name);
    let text = fs::read_to_string(&path).unwrap();
    serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn verdicts(real: &Real) -> BTreeMap<String, Verdict> {
    yaml(real, "verdicts.yaml")
}

fn recorded(real: &Real, name: &str) -> Value {
    yaml(real, &format!("statuses/{name}.yaml"))
}

/// A server that knows releases.
async fn cluster(real: &Real) -> Cluster {
    let cluster = Cluster::start(real).await;
    let definition = real.tools.project.join(bluegreen::api::crd::FILE);
    // The server is older than the rules of the definition, and stores it without them.
    let create = [
        "create",
        "--validate=false",
        "--filename",
        word(&definition),
    ];
    run(&mut cluster.kubectl(&create)).await.good();
    cluster.established(DEFINITION).await;
    cluster.namespace(NAMESPACE).await;
    cluster
}

fn releases(client: Client) -> Api<DynamicObject> {
    let kind = ApiResource {
        group: "bluegreen.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "bluegreen.dev/v1alpha1".to_owned(),
        kind: "BlueGreenRelease".to_owned(),
        plural: "bluegreenreleases".to_owned(),
    };
    Api::namespaced_with(client, NAMESPACE, &kind)
}

/// Writes a recorded status, as if the controller had seen this object.
async fn write_status(real: &Real, releases: &Api<DynamicObject>, name: &str, recorded_as: &str) {
    let generation = releases.get(name).await.unwrap().metadata.generation;
    let mut status = recorded(real, recorded_as)["status"].clone();
    status["observedGeneration"] = json!(generation);
    for condition in status["conditions"].as_array_mut().unwrap() {
        condition["observedGeneration"] = json!(generation);
    }
    let patch = Patch::Merge(json!({ "status": status }));
    let params = PatchParams::default();
    releases.patch_status(name, &params, &patch).await.unwrap();
}
