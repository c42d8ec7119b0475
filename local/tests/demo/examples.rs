//! Every manifest under `examples/` is what the API server would accept.

use std::path::PathBuf;

use bluegreen::api::{BlueGreenRelease, crd};
use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::Value;

fn manifests() -> Vec<(PathBuf, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(directory).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let manifests: Vec<(PathBuf, String)> = files
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    assert!(manifests.len() >= 3, "{manifests:?}");
    manifests
}

#[tokio::test]
async fn the_api_server_accepts_every_example_and_drops_nothing() {
    let registry = Registry::builder(Clock::stepped()).in_memory().unwrap();
    let client = Client::new(registry, "default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &crd::definition())
        .await
        .unwrap();
    let resource = ApiResource::erase::<BlueGreenRelease>(&());
    let releases: Api<DynamicObject> = Api::default_namespaced_with(client, &resource);
    // A field that the definition does not know would else be dropped without a word.
    let strictly = PatchParams::apply("test").validation_strict();
    for (path, text) in manifests() {
        let written: Value = serde_norway::from_str(&text).unwrap();
        let file = path.file_stem().unwrap().to_str().unwrap();
        let patch = Patch::Apply(named(written, file));
        let applied = releases.patch(file, &strictly, &patch).await;
        assert!(applied.is_ok(), "{}: {applied:?}", path.display());
    }
}

/// Each under a name of its own, so that none changes another.
fn named(mut manifest: Value, name: &str) -> Value {
    manifest["metadata"]["name"] = name.into();
    manifest
}

#[test]
fn the_next_version_differs_from_the_one_before_in_the_version_only() {
    let read = |name: &str| -> Value {
        let found = manifests()
            .into_iter()
            .find(|(path, _)| path.ends_with(name));
        serde_norway::from_str(&found.unwrap().1).unwrap()
    };
    let mut first = read("snackgame-hosts.yaml");
    let next = read("snackgame-next.yaml");
    assert_ne!(first, next);
    first["spec"]["version"] = next["spec"]["version"].clone();
    assert_eq!(first, next);
}

#[test]
fn every_example_is_a_release_and_says_what_its_fields_are_for() {
    for (path, text) in manifests() {
        let release: BlueGreenRelease = serde_norway::from_str(&text).unwrap();
        assert!(!release.spec.version.is_empty());
        assert!(
            text.starts_with('#'),
            "{}: begin with what it is",
            path.display()
        );
    }
}
