//! Server-side apply: ownership, conflicts, force, giving up fields.

use serde_json::{Value, json};

use crate::support::{Answer, Api, SAMPLES};

const APPLY: &str = "application/apply-patch+yaml";

async fn apply(api: &Api, manager: &str, spec: Value, options: &str) -> Answer {
    let wanted = json!({"apiVersion": "demo.dev/v1", "kind": "Sample",
                        "metadata": {"name": "one"}, "spec": spec});
    let path = format!("{SAMPLES}/one?fieldManager={manager}{options}");
    api.patch(&path, APPLY, &wanted).await
}

fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["manager"] == manager);
    entry.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

#[tokio::test]
async fn apply_creates_and_applying_the_same_again_changes_nothing() {
    let api = Api::with_samples().await;
    let spec = json!({"version": "1", "steps": [{"name": "a", "weight": 1}]});
    let answer = apply(&api, "ann", spec.clone(), "").await;
    assert_eq!(answer.code.as_u16(), 201);
    let created = answer.ok();
    assert_eq!(
        owned(&created, "ann"),
        json!({"f:spec": {"f:version": {}, "f:steps": {
            "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:weight": {}}}}})
    );
    assert_eq!(apply(&api, "ann", spec, "").await.ok(), created);
}

#[tokio::test]
async fn a_field_of_another_manager_is_a_conflict_unless_forced() {
    let api = Api::with_samples().await;
    apply(&api, "ann", json!({"version": "1", "replicas": 1}), "")
        .await
        .ok();
    let path = format!("{SAMPLES}/one?fieldManager=bob");
    api.merge(&path, &json!({"spec": {"mode": "Manual"}}))
        .await
        .ok();

    let taken = json!({"version": "2", "replicas": 1});
    let answer = apply(&api, "eve", taken.clone(), "").await;
    assert_eq!(
        answer.body["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"ann\"",
                "field": ".spec.version"}])
    );
    let message = answer.refused(409, "Conflict");
    assert_eq!(
        message,
        "Apply failed with 1 conflict: conflict with \"ann\": .spec.version"
    );
    let both = json!({"version": "2", "mode": "Auto"});
    let message = apply(&api, "eve", both, "").await.refused(409, "Conflict");
    assert_eq!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"ann\":\n- .spec.version\nconflicts with \
         \"bob\" using demo.dev/v1:\n- .spec.mode"
    );

    let forced = apply(&api, "eve", taken, "&force=true").await.ok();
    assert_eq!(forced["spec"]["version"], "2");
    assert_eq!(owned(&forced, "ann"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(
        owned(&forced, "eve"),
        json!({"f:spec": {"f:replicas": {}, "f:version": {}}}),
        "a value that both want alike is owned by both"
    );
}

#[tokio::test]
async fn what_a_manager_no_longer_wants_goes_unless_another_owns_it() {
    let api = Api::with_samples().await;
    let spec = json!({"version": "1", "owner": "ann", "labels": {"a": "1", "b": "2"},
                      "steps": [{"name": "a"}, {"name": "b"}]});
    apply(&api, "ann", spec, "").await.ok();
    apply(
        &api,
        "bob",
        json!({"version": "1", "labels": {"b": "2"}}),
        "",
    )
    .await
    .ok();

    let fewer = json!({"version": "1", "steps": [{"name": "b"}]});
    let object = apply(&api, "ann", fewer, "").await.ok();
    assert_eq!(object["spec"].get("owner"), None);
    assert_eq!(object["spec"]["labels"], json!({"b": "2"}));
    assert_eq!(
        object["spec"]["steps"],
        json!([{"name": "b", "weight": 10}])
    );
}

#[tokio::test]
async fn status_is_applied_through_its_own_path() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let wanted = json!({"apiVersion": "demo.dev/v1", "kind": "Sample",
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        "spec": {"version": "9"}});
    let path = format!("{SAMPLES}/one/status?fieldManager=controller&force=true");
    let object = api.patch(&path, APPLY, &wanted).await.ok();
    assert_eq!(object["status"]["conditions"][0]["status"], "True");
    assert_eq!(object["spec"]["version"], "1.0");
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries[1]["subresource"], "status");

    let other = json!({"apiVersion": "demo.dev/v1", "kind": "Sample",
        "status": {"conditions": [{"type": "Done", "status": "False"}]}});
    let path = format!("{SAMPLES}/one/status?fieldManager=other");
    let object = api.patch(&path, APPLY, &other).await.ok();
    assert_eq!(object["status"]["conditions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn apply_asks_for_a_manager_and_refuses_managed_fields() {
    let api = Api::with_samples().await;
    let wanted = json!({"apiVersion": "demo.dev/v1", "kind": "Sample",
                        "spec": {"version": "1"}});
    let path = format!("{SAMPLES}/one");
    let message = api
        .patch(&path, APPLY, &wanted)
        .await
        .refused(422, "Invalid");
    assert!(message.contains("fieldManager: Required value: is required for apply patch"));
    let created = apply(&api, "ann", json!({"version": "1"}), "").await.ok();
    let path = format!("{path}?fieldManager=ann");
    let message = api
        .patch(&path, APPLY, &created)
        .await
        .refused(400, "BadRequest");
    assert!(message.contains("metadata.managedFields must be nil"));
}
