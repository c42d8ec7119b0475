//! Patches: JSON patch, merge patch, and what does not fit.

use serde_json::json;

use crate::support::{Api, SAMPLES};

const JSON: &str = "application/json-patch+json";

#[tokio::test]
async fn a_json_patch_can_test_what_it_builds_on() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    // A test for null holds where there is nothing, and not where there is something.
    let add = json!([{"op": "test", "path": "/metadata/finalizers", "value": null},
                     {"op": "add", "path": "/metadata/finalizers", "value": ["demo.dev/x"]}]);
    api.patch(&path, JSON, &add).await.ok();
    let message = api.patch(&path, JSON, &add).await.refused(422, "Invalid");
    assert_eq!(
        message,
        "the server rejected our request due to an error in our request"
    );
    let remove = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "demo.dev/x"},
                        {"op": "remove", "path": "/metadata/finalizers/0"}]);
    let object = api.patch(&path, JSON, &remove).await.ok();
    assert_eq!(object["metadata"].get("finalizers"), None);
}

#[tokio::test]
async fn a_merge_patch_can_carry_the_version_it_builds_on() {
    let api = Api::with_samples().await;
    let created = api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    let patch = |replicas: u32| {
        json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]},
               "spec": {"replicas": replicas}})
    };
    api.merge(&path, &patch(2)).await.ok();
    api.merge(&path, &patch(3)).await.refused(409, "Conflict");
}

#[tokio::test]
async fn a_patch_needs_a_known_dialect_and_an_object() {
    let api = Api::with_samples().await;
    let path = format!("{SAMPLES}/one");
    api.merge(&path, &json!({})).await.refused(404, "NotFound");
    api.sample("one").await;
    let message = api
        .patch(&path, "application/json", &json!({}))
        .await
        .refused(415, "UnsupportedMediaType");
    assert!(message.contains("application/merge-patch+json"));
    api.patch(&path, JSON, &json!({"op": "add"}))
        .await
        .refused(400, "BadRequest");
}

#[tokio::test]
async fn a_strategic_patch_of_a_namespace_merges_maps() {
    let api = Api::empty();
    let patch = json!({"metadata": {"labels": {"team": "red"}, "$setElementOrder/finalizers": []}});
    let namespace = api
        .patch(
            "/api/v1/namespaces/default",
            "application/strategic-merge-patch+json",
            &patch,
        )
        .await
        .ok();
    assert_eq!(
        namespace["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "default", "team": "red"})
    );
}
