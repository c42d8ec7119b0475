//! Discovery, OpenAPI and health.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn groups_and_resources_are_listed() {
    let api = Api::with_samples().await;
    assert_eq!(api.get("/api").await.ok()["versions"], json!(["v1"]));
    let groups = api.get("/apis").await.ok();
    let names: Vec<&str> = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "apiextensions.k8s.io",
            "coordination.k8s.io",
            "events.k8s.io",
            "demo.dev"
        ]
    );
    let resources = api.get("/apis/demo.dev/v1").await.ok();
    assert_eq!(resources["groupVersion"], "demo.dev/v1");
    assert_eq!(resources["resources"][0]["shortNames"], json!(["smp"]));
    assert_eq!(resources["resources"][1]["name"], "samples/status");
    api.get("/apis/demo.dev/v7").await.refused(404, "NotFound");
    let version = api.get("/version").await.ok();
    assert_eq!(version["major"], "1");
    assert!(
        version["gitVersion"]
            .as_str()
            .unwrap()
            .contains("embedded-registry")
    );
}

#[tokio::test]
async fn aggregated_discovery_is_given_to_whoever_asks_for_it() {
    let api = Api::with_samples().await;
    let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let accept = [("accept", format!("{kind},application/json"))];
    let accept = accept
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let answer = api.send(Method::GET, "/apis", &accept, "").await;
    assert_eq!(answer.headers["content-type"], kind);
    let document = answer.ok();
    let group = &document["items"][3];
    assert_eq!(group["metadata"]["name"], "demo.dev");
    let resource = &group["versions"][0]["resources"][0];
    assert_eq!(resource["resource"], "samples");
    assert_eq!(resource["scope"], "Namespaced");
    assert_eq!(resource["subresources"][0]["subresource"], "status");
}

#[tokio::test]
async fn openapi_describes_kinds_and_write_options() {
    let api = Api::with_samples().await;
    let index = api.get("/openapi/v3").await.ok();
    let url = index["paths"]["apis/demo.dev/v1"]["serverRelativeURL"].clone();
    let document = api.get(url.as_str().unwrap()).await.ok();
    let schema = &document["components"]["schemas"]["dev.demo.v1.Sample"];
    assert_eq!(
        schema["x-kubernetes-group-version-kind"][0]["kind"],
        "Sample"
    );
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["description"], "What is wanted.");
    let patch =
        &document["paths"]["/apis/demo.dev/v1/namespaces/{namespace}/samples/{name}"]["patch"];
    let parameters: Vec<&str> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert!(parameters.contains(&"fieldValidation") && parameters.contains(&"dryRun"));
}

#[tokio::test]
async fn health_is_answered() {
    let api = Api::empty();
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = api.get(path).await;
        assert_eq!((answer.code, answer.body), (StatusCode::OK, json!("ok")));
    }
}
