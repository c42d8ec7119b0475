//! CustomResourceDefinitions: how a kind goes, and which rules it cannot have.

use serde_json::{Value, json};

use crate::support::{Api, DEFINITIONS, SAMPLES, definition, sample};

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
    let cases: [(&str, Value, &str); 3] = [
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
