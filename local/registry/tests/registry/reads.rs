//! Lists: selectors, pages, versions.

use serde_json::{Value, json};

use crate::support::{Api, SAMPLES, sample};

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

async fn three() -> Api {
    let api = Api::with_samples().await;
    for (name, team) in [("a", "red"), ("b", "blue"), ("c", "red")] {
        let mut wanted = sample(name);
        wanted["metadata"]["labels"] = json!({"team": team});
        api.post(SAMPLES, &wanted).await.ok();
    }
    api
}

#[tokio::test]
async fn lists_select_by_label_and_field() {
    let api = three().await;
    let all = api.get("/apis/demo.dev/v1/samples").await.ok();
    assert_eq!(all["kind"], "SampleList");
    assert_eq!(names(&all), ["a", "b", "c"]);
    let red = api.get(&format!("{SAMPLES}?labelSelector=team=red")).await;
    assert_eq!(names(&red.ok()), ["a", "c"]);
    let one = api
        .get(&format!("{SAMPLES}?fieldSelector=metadata.name%3Db"))
        .await;
    assert_eq!(names(&one.ok()), ["b"]);
    let message = api
        .get(&format!("{SAMPLES}?fieldSelector=spec.version%3D1"))
        .await
        .refused(400, "BadRequest");
    assert_eq!(message, "field label not supported: spec.version");
}

#[tokio::test]
async fn pages_are_of_one_state_even_while_others_write() {
    let api = three().await;
    let first = api.get(&format!("{SAMPLES}?limit=2")).await.ok();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    api.delete(&format!("{SAMPLES}/c")).await.ok();
    api.sample("d").await;

    let next = first["metadata"]["continue"].as_str().unwrap();
    let path = format!("{SAMPLES}?limit=2&continue={}", next.replace(':', "%3A"));
    let second = api.get(&path).await.ok();
    assert_eq!(names(&second), ["c"]);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert_eq!(second["metadata"].get("continue"), None);

    api.registry.compact();
    let message = api.get(&path).await.refused(410, "Expired");
    assert!(message.starts_with("The provided continue parameter is too old"));
}

#[tokio::test]
async fn a_list_can_be_of_an_exact_version_and_not_of_the_future() {
    let api = three().await;
    let before = api.get(SAMPLES).await.ok();
    let version = before["metadata"]["resourceVersion"].as_str().unwrap();
    api.sample("d").await;
    let exact = format!("{SAMPLES}?resourceVersion={version}&resourceVersionMatch=Exact");
    assert_eq!(names(&api.get(&exact).await.ok()), ["a", "b", "c"]);
    let newer = format!("{SAMPLES}?resourceVersion={version}&resourceVersionMatch=NotOlderThan");
    assert_eq!(names(&api.get(&newer).await.ok()), ["a", "b", "c", "d"]);
    let message = api
        .get(&format!("{SAMPLES}?resourceVersion=999"))
        .await
        .refused(504, "Timeout");
    assert!(message.starts_with("Too large resource version: 999, current: "));
}

#[tokio::test]
async fn metadata_can_be_had_alone() {
    let api = three().await;
    let accept = [(
        "accept",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    )];
    let list = api.send(http::Method::GET, SAMPLES, &accept, "").await.ok();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert_eq!(list["items"][0].get("spec"), None);
    let protobuf = [("accept", "application/vnd.kubernetes.protobuf")];
    api.send(http::Method::GET, SAMPLES, &protobuf, "")
        .await
        .refused(406, "NotAcceptable");
}
