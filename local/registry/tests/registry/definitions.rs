//! CustomResourceDefinitions: how kinds come, change and go.

use serde_json::{Value, json};

use crate::support::{Api, DEFINITIONS, SAMPLES, definition, sample};

fn condition<'a>(definition: &'a Value, kind: &str) -> &'a Value {
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|found| found["type"] == kind);
    found.unwrap_or_else(|| panic!("no condition {kind} in {conditions:?}"))
}

#[tokio::test]
async fn a_kind_is_served_as_soon_as_it_is_defined() {
    let api = Api::empty();
    api.get(SAMPLES).await.refused(404, "NotFound");
    let mut minimal = definition();
    minimal["spec"]["names"] = json!({"plural": "samples", "kind": "Sample"});
    let created = api.post(DEFINITIONS, &minimal).await.ok();
    assert_eq!(condition(&created, "NamesAccepted")["status"], "True");
    assert_eq!(condition(&created, "Established")["status"], "True");
    assert_eq!(created["status"]["acceptedNames"]["listKind"], "SampleList");
    assert_eq!(created["status"]["storedVersions"], json!(["v1"]));
    api.sample("one").await;
}

#[tokio::test]
async fn a_changed_definition_changes_what_is_valid() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let path = format!("{DEFINITIONS}/samples.demo.dev");
    let mut changed = api.get(&path).await.ok();
    let versions = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    *changed
        .pointer_mut(&format!("{versions}/version/pattern"))
        .unwrap() = json!("^v");
    let updated = api.put(&path, &changed).await.ok();
    assert_eq!(updated["metadata"]["generation"], 2);

    let message = api
        .post(SAMPLES, &sample("two"))
        .await
        .refused(422, "Invalid");
    assert!(message.contains("should match '^v'"), "{message}");
    // What did not change is not held against an object that is older than the rule.
    let patch = json!({"spec": {"replicas": 3}});
    api.merge(&format!("{SAMPLES}/one"), &patch).await.ok();
}

#[tokio::test]
async fn a_deleted_definition_takes_its_objects_along() {
    let api = Api::with_samples().await;
    let mut held = sample("held");
    held["metadata"]["finalizers"] = json!(["demo.dev/hold"]);
    api.post(SAMPLES, &held).await.ok();
    api.sample("free").await;
    let path = format!("{DEFINITIONS}/samples.demo.dev");
    let deleted = api.delete(&path).await.ok();
    assert_eq!(condition(&deleted, "Terminating")["status"], "True");
    api.post(SAMPLES, &sample("late"))
        .await
        .refused(403, "Forbidden");

    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&format!("{SAMPLES}/held"), &none).await.ok();
    api.get(&path).await.refused(404, "NotFound");
    api.get(SAMPLES).await.refused(404, "NotFound");
    // Defined anew, the kind starts empty.
    api.post(DEFINITIONS, &definition()).await.ok();
    assert_eq!(api.get(SAMPLES).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn a_definition_without_its_finalizer_still_goes_last() {
    let api = Api::with_samples().await;
    let mut held = sample("held");
    held["metadata"]["finalizers"] = json!(["demo.dev/hold"]);
    api.post(SAMPLES, &held).await.ok();
    let path = format!("{DEFINITIONS}/samples.demo.dev");
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&path, &none).await.ok();
    api.delete(&path).await.ok();
    api.get(&path).await.ok();
    api.merge(&format!("{SAMPLES}/held"), &none).await.ok();
    api.get(&path).await.refused(404, "NotFound");
}

#[tokio::test]
async fn a_definition_that_cannot_be_served_is_refused() {
    let api = Api::empty();
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let cases: [(&str, Value, &str); 9] = [
        (
            "/metadata/name",
            json!("x.demo.dev"),
            "must be spec.names.plural+\".\"+spec.group",
        ),
        (
            "/spec/scope",
            json!("World"),
            "spec.scope: Unsupported value: \"World\"",
        ),
        (
            "/spec/versions/0/storage",
            json!(false),
            "exactly one version marked as storage",
        ),
        (schema, Value::Null, "schemas are required"),
        (
            &format!("{schema}/type"),
            json!("string"),
            "must be object at the root",
        ),
        (
            &format!("{schema}/properties/spec/properties/mode/type"),
            Value::Null,
            "must not be empty for specified object fields",
        ),
        (
            &format!("{schema}/properties/spec/properties/version/pattern"),
            json!("["),
            "must be a valid regular expression",
        ),
        (
            &format!("{schema}/properties/spec/x-kubernetes-validations/0/rule"),
            json!("self.replicas <="),
            "compilation failed",
        ),
        (
            "/spec/versions/0/additionalPrinterColumns/0/jsonPath",
            json!("version"),
            "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value",
        ),
    ];
    for (pointer, value, wanted) in cases {
        let mut broken = definition();
        *broken.pointer_mut(pointer).unwrap() = value;
        let message = api.post(DEFINITIONS, &broken).await.refused(422, "Invalid");
        assert!(message.contains(wanted), "{pointer}: {message}");
    }
}

#[tokio::test]
async fn a_kind_belongs_to_one_definition() {
    let api = Api::with_samples().await;
    let mut rival = definition();
    rival["metadata"]["name"] = json!("rivals.demo.dev");
    rival["spec"]["names"]["plural"] = json!("rivals");
    let created = api.post(DEFINITIONS, &rival).await.ok();
    assert_eq!(condition(&created, "NamesAccepted")["status"], "False");
    assert_eq!(condition(&created, "Established")["status"], "False");
    let path = "/apis/demo.dev/v1/namespaces/default/rivals";
    api.get(path).await.refused(404, "NotFound");
}

#[tokio::test]
async fn all_served_versions_show_the_same_objects() {
    let api = Api::empty();
    let mut two = definition();
    let mut second = two["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    two["spec"]["versions"].as_array_mut().unwrap().push(second);
    api.post(DEFINITIONS, &two).await.ok();
    api.sample("one").await;
    let path = "/apis/demo.dev/v2/namespaces/default/samples/one";
    let object = api.get(path).await.ok();
    assert_eq!(object["apiVersion"], "demo.dev/v2");
    let patch = json!({"spec": {"replicas": 4}});
    api.merge(path, &patch).await.ok();
    let object = api.get(&format!("{SAMPLES}/one")).await.ok();
    assert_eq!(object["apiVersion"], "demo.dev/v1");
    assert_eq!(object["spec"]["replicas"], 4);
}
