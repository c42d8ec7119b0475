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
