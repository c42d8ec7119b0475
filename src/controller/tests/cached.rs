//! What the cache keeps, and that it is not what is written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde_json::{Value, json};

use super::{Harness, planner::acts_once, server::Server};
use crate::{
    api::BlueGreenRelease,
    controller::{cached::Cached, memory::Face, metrics::Counted},
};

/// A release as an API server sends it.
fn whole() -> Value {
    let server = Server::with_release();
    server.edit(dress);
    server.object()
}

fn dress(object: &mut Value) {
    let metadata = &mut object["metadata"];
    metadata["labels"] = json!({ "team": "games" });
    metadata["annotations"] = json!({ "kubectl.kubernetes.io/last-applied-configuration": "{}" });
    metadata["ownerReferences"] =
        json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "shop", "uid": "1" }]);
    metadata["managedFields"] = managed_by("kubectl");
    object["status"] = json!({ "phase": "Draining", "targets": [{
        "revision": 1, "id": "i-1", "port": 8080, "color": "Blue",
        "drain": [{ "group": "shop", "delay": "300s", "settle": "45s" }],
    }] });
}

fn managed_by(manager: &str) -> Value {
    json!([{ "manager": manager, "operation": "Update", "apiVersion": "bluegreen.dev/v1alpha1",
        "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:version": {} } } }])
}

fn cached(object: &Value) -> Cached {
    serde_json::from_value(object.clone()).unwrap()
}

#[test]
fn the_cache_keeps_who_a_release_is_and_drops_the_rest() {
    let object = whole();
    let release: BlueGreenRelease = serde_json::from_value(object.clone()).unwrap();
    let cached = cached(&object);
    let kept = ObjectMeta {
        name: release.metadata.name.clone(),
        namespace: release.metadata.namespace.clone(),
        uid: release.metadata.uid.clone(),
        resource_version: release.metadata.resource_version.clone(),
        generation: release.metadata.generation,
        ..ObjectMeta::default()
    };
    assert_eq!(cached.meta(), &kept);
    assert!(kept.uid.is_some() && kept.resource_version.is_some() && kept.generation.is_some());
    assert_eq!(cached.face(), Some(Face::of(&release)));
    assert_eq!(cached.counted(), Some(Counted::of(release.status.as_ref())));
}

#[test]
fn all_that_a_decision_can_depend_on_is_in_the_face_though_it_is_dropped() {
    let object = whole();
    let before = cached(&object).face().unwrap();
    let after = |path: &str, value: Value| {
        let mut object = object.clone();
        *object.pointer_mut(path).unwrap() = value;
        cached(&object).face().unwrap()
    };
    for (path, value) in [
        ("/metadata/generation", json!(2)),
        ("/metadata/finalizers", json!([])),
        ("/metadata/annotations", json!({})),
        ("/status/phase", json!("Released")),
        ("/status/targets", json!([])),
    ] {
        assert_ne!(after(path, value), before, "{path}");
    }
    for (path, value) in [
        ("/metadata/labels", json!({})),
        ("/metadata/managedFields", managed_by("another")),
        ("/metadata/resourceVersion", json!("99")),
    ] {
        assert_eq!(after(path, value), before, "{path}");
    }
}

#[test]
fn a_release_that_cannot_be_understood_is_cached_by_its_name() {
    let mut object = whole();
    object["spec"] = json!({ "version": 7 });
    let cached = cached(&object);
    assert_eq!(cached.meta().name.as_deref(), Some("shop"));
    assert_eq!(cached.meta().managed_fields, None);
    assert_eq!(cached.face(), None);
    assert_eq!(cached.counted(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_written_is_the_object_that_was_read_and_not_what_is_cached() {
    let harness = Harness::new(acts_once);
    harness.server.edit(dress);
    let before = harness.server.object();
    harness.pass().await.unwrap();
    let sent = harness.server.statuses();
    assert_eq!(sent.len(), 1);
    for path in [
        "/metadata/labels",
        "/metadata/annotations",
        "/metadata/ownerReferences",
        "/spec/version",
    ] {
        assert_eq!(sent[0].pointer(path), before.pointer(path), "{path}");
    }
    assert_eq!(sent[0].pointer("/metadata/managedFields"), None);
}
