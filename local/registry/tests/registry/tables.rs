//! Tables: what `kubectl get` prints.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::{Api, SAMPLES, sample};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

async fn table(api: &Api, path: &str) -> Value {
    let accept = [("accept", TABLE)];
    api.send(Method::GET, path, &accept, "").await.ok()
}

fn column(table: &Value, field: &str) -> Value {
    let columns = table["columnDefinitions"].as_array().unwrap();
    columns.iter().map(|column| column[field].clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_table_has_the_columns_of_the_definition() {
    let api = Api::with_samples().await;
    let mut wanted = sample("one");
    wanted["spec"]["owner"] = json!("ann");
    api.post(SAMPLES, &wanted).await.ok();
    let ready = json!({"status": {"conditions": [{"type": "Other", "status": "False"},
                                                 {"type": "Ready", "status": "True"}]}});
    api.merge(&format!("{SAMPLES}/one/status"), &ready)
        .await
        .ok();
    tokio::time::advance(Duration::from_secs(200)).await;
    api.sample("two").await;

    let table = table(&api, SAMPLES).await;
    assert_eq!(table["kind"], "Table");
    assert_eq!(
        column(&table, "name"),
        json!(["Name", "Version", "Replicas", "Ready", "Owner", "Age"])
    );
    assert_eq!(column(&table, "priority"), json!([0, 0, 0, 0, 1, 0]));
    assert_eq!(
        table["rows"][0]["cells"],
        json!(["one", "1.0", 1, "True", "ann", "3m20s"])
    );
    assert_eq!(
        table["rows"][1]["cells"],
        json!(["two", "1.0", 1, null, null, "0s"])
    );
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "one");
}

#[tokio::test]
async fn a_row_can_carry_the_whole_object_or_nothing() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let whole = table(&api, &format!("{SAMPLES}/one?includeObject=Object")).await;
    assert_eq!(whole["rows"][0]["object"]["spec"]["version"], "1.0");
    let none = table(&api, &format!("{SAMPLES}?includeObject=None")).await;
    assert_eq!(none["rows"][0].get("object"), None);
}

#[tokio::test]
async fn a_watch_as_a_table_sends_the_columns_once() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    api.sample("two").await;
    let path = format!("{SAMPLES}?watch=true");
    let mut events = api.watch_as(&path, TABLE).await;
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "one");
    assert_ne!(first["object"]["columnDefinitions"], json!([]));
    let second = events.next().await.unwrap();
    assert_eq!(second["object"]["rows"][0]["cells"][0], "two");
    assert_eq!(second["object"]["columnDefinitions"], json!([]));
}

#[tokio::test]
async fn fixed_resources_have_their_columns() {
    let api = Api::with_samples().await;
    let namespaces = table(&api, "/api/v1/namespaces").await;
    assert_eq!(
        namespaces["rows"][0]["cells"],
        json!(["default", "Active", "0s"])
    );
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    api.post(leases, &lease).await.ok();
    let leases = table(&api, leases).await;
    assert_eq!(leases["rows"][0]["cells"], json!(["leader", "me", "0s"]));
    let definitions = table(
        &api,
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    )
    .await;
    assert_eq!(
        definitions["rows"][0]["cells"],
        json!(["samples.demo.dev", "2027-01-15T08:00:00Z"])
    );
}
