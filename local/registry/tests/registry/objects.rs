//! The life of objects: create, update, status, delete, finalizers, namespaces.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Api, SAMPLES, sample};

#[tokio::test]
async fn a_new_object_gets_what_the_server_sets() {
    let api = Api::with_samples().await;
    let mut wanted = sample("one");
    wanted["status"] = json!({"phase": "Forged"});
    wanted["metadata"]["uid"] = json!("forged");
    let created = api.post(SAMPLES, &wanted).await.ok();
    let metadata = &created["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["creationTimestamp"], "2027-01-15T08:00:00Z");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_eq!(created.get("status"), None);
    assert_eq!(created["spec"]["replicas"], 1, "a default");
    assert_eq!(api.get(&format!("{SAMPLES}/one")).await.ok(), created);
}

#[tokio::test]
async fn a_name_can_be_generated_and_is_taken_once() {
    let api = Api::with_samples().await;
    let mut wanted = sample("x");
    wanted["metadata"] = json!({"generateName": "job-"});
    let created = api.post(SAMPLES, &wanted).await.ok();
    let name = created["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("job-") && name.len() == 9, "{name}");

    api.sample("one").await;
    let message = api
        .post(SAMPLES, &sample("one"))
        .await
        .refused(409, "AlreadyExists");
    assert_eq!(message, "samples.demo.dev \"one\" already exists");
    let message = api
        .get(&format!("{SAMPLES}/none"))
        .await
        .refused(404, "NotFound");
    assert_eq!(message, "samples.demo.dev \"none\" not found");
}

#[tokio::test]
async fn names_and_labels_must_be_well_formed() {
    let api = Api::with_samples().await;
    let message = api
        .post(SAMPLES, &sample("Bad_Name"))
        .await
        .refused(422, "Invalid");
    let start = "Sample.demo.dev \"Bad_Name\" is invalid: metadata.name: Invalid value: \
                 \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of";
    assert!(message.starts_with(start), "{message}");

    let mut labelled = sample("x");
    labelled["metadata"]["labels"] = json!({"a/b/c": "x", "fine": "not fine"});
    let answer = api.post(SAMPLES, &labelled).await;
    assert_eq!(
        answer.body["details"]["causes"][0]["field"],
        "metadata.labels"
    );
    answer.refused(422, "Invalid");
}

#[tokio::test]
async fn an_update_needs_the_latest_version() {
    let api = Api::with_samples().await;
    let mut first = api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    first["spec"]["version"] = json!("1.1");
    let second = api.put(&path, &first).await.ok();
    assert_eq!(second["metadata"]["generation"], 2);

    let message = api.put(&path, &first).await.refused(409, "Conflict");
    assert_eq!(
        message,
        "Operation cannot be fulfilled on samples.demo.dev \"one\": the object has been \
         modified; please apply your changes to the latest version and try again"
    );
    first["metadata"]["resourceVersion"] = Value::Null;
    let message = api.put(&path, &first).await.refused(422, "Invalid");
    assert_eq!(
        message,
        "Sample.demo.dev \"one\" is invalid: metadata.resourceVersion: Invalid value: 0: must be \
         specified for an update"
    );
    let mut other = second.clone();
    other["metadata"]["uid"] = json!("other");
    let message = api.put(&path, &other).await.refused(409, "Conflict");
    assert!(message.contains("Precondition failed: UID in precondition: other"));
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_not_a_write() {
    let api = Api::with_samples().await;
    let created = api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    let again = api.put(&path, &created).await.ok();
    assert_eq!(again, created);
    let patched = api
        .merge(&path, &json!({"spec": {"replicas": 1}}))
        .await
        .ok();
    assert_eq!(patched, created);
}

#[tokio::test]
async fn spec_and_status_are_written_apart() {
    let api = Api::with_samples().await;
    let mut object = api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    let status_path = format!("{path}/status");

    object["spec"]["replicas"] = json!(5);
    object["metadata"]["labels"] = json!({"a": "b"});
    object["status"] = json!({"phase": "Ready"});
    let written = api.put(&status_path, &object).await.ok();
    assert_eq!(written["status"]["phase"], "Ready");
    assert_eq!(written["spec"]["replicas"], 1);
    assert_eq!(written["metadata"].get("labels"), None);
    assert_eq!(written["metadata"]["generation"], 1);

    let patch = json!({"spec": {"replicas": 7}, "status": {"phase": "Forged"}});
    let written = api.merge(&path, &patch).await.ok();
    assert_eq!(written["status"]["phase"], "Ready");
    assert_eq!(written["spec"]["replicas"], 7);
    assert_eq!(written["metadata"]["generation"], 2);
    api.put(&status_path, &object)
        .await
        .refused(409, "Conflict");
}

#[tokio::test]
async fn an_object_stays_until_its_finalizers_are_gone() {
    let api = Api::with_samples().await;
    let path = format!("{SAMPLES}/one");
    let mut wanted = sample("one");
    wanted["metadata"]["finalizers"] = json!(["demo.dev/hold"]);
    api.post(SAMPLES, &wanted).await.ok();

    let deleted = api.delete(&path).await.ok();
    assert_eq!(deleted["kind"], "Sample");
    assert_eq!(
        deleted["metadata"]["deletionTimestamp"],
        "2027-01-15T08:00:00Z"
    );
    assert_eq!(deleted["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(deleted["metadata"]["generation"], 2);
    assert_eq!(
        api.delete(&path).await.ok(),
        deleted,
        "the second time changes nothing"
    );

    let more = json!({"metadata": {"finalizers": ["demo.dev/hold", "demo.dev/more"]}});
    let message = api.merge(&path, &more).await.refused(422, "Invalid");
    assert!(
        message.contains(
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is \
             being deleted, found new finalizers []string{\"demo.dev/more\"}"
        ),
        "{message}"
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&path, &none).await.ok();
    api.get(&path).await.refused(404, "NotFound");
}

#[tokio::test]
async fn a_deletion_can_have_preconditions() {
    let api = Api::with_samples().await;
    let created = api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    let options = json!({"preconditions": {"uid": "other"}}).to_string();
    let message = api
        .send(Method::DELETE, &path, &[], options)
        .await
        .refused(409, "Conflict");
    assert!(message.contains("the UID in the precondition (other) does not match"));
    let options = json!({"preconditions": {"resourceVersion": "1"}}).to_string();
    api.send(Method::DELETE, &path, &[], options)
        .await
        .refused(409, "Conflict");

    let options = json!({"preconditions": {"uid": created["metadata"]["uid"]}}).to_string();
    let status = api.send(Method::DELETE, &path, &[], options).await.ok();
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"]["kind"], "samples");
    assert_eq!(status["details"]["uid"], created["metadata"]["uid"]);
}

#[tokio::test]
async fn many_objects_can_be_deleted_by_label() {
    let api = Api::with_samples().await;
    for (name, team) in [("a", "red"), ("b", "blue"), ("c", "red")] {
        let mut wanted = sample(name);
        wanted["metadata"]["labels"] = json!({"team": team});
        api.post(SAMPLES, &wanted).await.ok();
    }
    api.delete(&format!("{SAMPLES}?labelSelector=team%3Dred"))
        .await
        .ok();
    let left = api.get(SAMPLES).await.ok();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let api = Api::with_samples().await;
    let path = format!("{SAMPLES}?dryRun=All");
    let answer = api.post(&path, &sample("one")).await.ok();
    assert_eq!(answer["spec"]["replicas"], 1);
    api.get(&format!("{SAMPLES}/one"))
        .await
        .refused(404, "NotFound");
    api.sample("one").await;
    api.delete(&format!("{SAMPLES}/one?dryRun=All")).await.ok();
    api.get(&format!("{SAMPLES}/one")).await.ok();
}

#[tokio::test]
async fn a_namespace_must_exist_and_takes_its_objects_along() {
    let api = Api::with_samples().await;
    let samples = SAMPLES.replace("default", "games");
    let message = api
        .post(&samples, &sample("one"))
        .await
        .refused(404, "NotFound");
    assert_eq!(message, "namespaces \"games\" not found");

    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "games"}});
    let created = api.post("/api/v1/namespaces", &namespace).await.ok();
    assert_eq!(created["status"]["phase"], "Active");
    api.post(&samples, &sample("free")).await.ok();
    let mut held = sample("held");
    held["metadata"]["finalizers"] = json!(["demo.dev/hold"]);
    api.post(&samples, &held).await.ok();

    let deleted = api.delete("/api/v1/namespaces/games").await.ok();
    assert_eq!(deleted["status"]["phase"], "Terminating");
    api.get(&format!("{samples}/free"))
        .await
        .refused(404, "NotFound");
    let message = api
        .post(&samples, &sample("late"))
        .await
        .refused(403, "Forbidden");
    assert_eq!(
        message,
        "samples.demo.dev \"late\" is forbidden: unable to create new content in namespace games \
         because it is being terminated"
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&format!("{samples}/held"), &none).await.ok();
    api.get("/api/v1/namespaces/games")
        .await
        .refused(404, "NotFound");
}

#[tokio::test]
async fn a_body_must_fit_its_path() {
    let api = Api::with_samples().await;
    let mut wrong = sample("one");
    wrong["kind"] = json!("Simple");
    api.post(SAMPLES, &wrong).await.refused(400, "BadRequest");
    let mut wrong = sample("one");
    wrong["metadata"]["namespace"] = json!("other");
    let message = api.post(SAMPLES, &wrong).await.refused(400, "BadRequest");
    assert_eq!(
        message,
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    let mut wrong = api.sample("one").await;
    wrong["metadata"]["name"] = json!("two");
    let message = api
        .put(&format!("{SAMPLES}/one"), &wrong)
        .await
        .refused(400, "BadRequest");
    assert_eq!(
        message,
        "the name of the object (two) does not match the name on the URL (one)"
    );
    let plain = [("content-type", "text/plain")];
    api.send(Method::POST, SAMPLES, &plain, "x")
        .await
        .refused(415, "UnsupportedMediaType");
    api.send(Method::POST, SAMPLES, &[], vec![b' '; 4 * 1024 * 1024])
        .await
        .refused(413, "RequestEntityTooLarge");
    api.send(Method::POST, &format!("{SAMPLES}/one"), &[], "{}")
        .await
        .refused(405, "MethodNotAllowed");
    api.get("/apis/demo.dev/v1/namespaces/default/simples")
        .await
        .refused(404, "NotFound");
}
