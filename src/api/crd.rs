//! The CustomResourceDefinition, as it is checked in under `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::BlueGreenRelease;

/// The file under `crds/` that holds [`yaml`].
pub const FILE: &str = "crds/bluegreen.dev_bluegreenreleases.yaml";

/// The CustomResourceDefinition of `BlueGreenRelease`.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    BlueGreenRelease::crd()
}

/// The CustomResourceDefinition as YAML, with a first line that says how to make it anew.
#[must_use]
pub fn yaml() -> String {
    let text = serde_norway::to_string(&definition())
        .expect("a CustomResourceDefinition has string keys only, so YAML can hold it");
    format!("# Generated from src/api by `cargo run --bin bluegreen-controller -- crd`.\n{text}")
}
