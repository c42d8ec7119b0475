//! A registry in a file keeps its data over a restart.

use std::path::PathBuf;

use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use serde_json::json;

use crate::support::{Api, DEFINITIONS, SAMPLES, definition};

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("registry-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn kinds_objects_and_versions_survive_and_old_watches_are_told() {
    let directory = Directory::new("restart");
    let path = directory.0.join("data.sqlite");
    let open = || Api::new(Registry::builder(Clock::stepped()).open(&path).unwrap());

    let (first, second) = {
        let api = open();
        api.post(DEFINITIONS, &definition()).await.ok();
        let first = api.sample("one").await;
        let patch = json!({"spec": {"replicas": 3}});
        (
            first,
            api.merge(&format!("{SAMPLES}/one"), &patch).await.ok(),
        )
    };

    let api = open();
    assert_eq!(api.get(&format!("{SAMPLES}/one")).await.ok(), second);
    let watch_from = |object: &serde_json::Value| {
        let version = object["metadata"]["resourceVersion"].as_str().unwrap();
        format!("{SAMPLES}?watch=true&resourceVersion={version}")
    };
    let mut events = api.watch(&watch_from(&first)).await;
    assert_eq!(events.next().await.unwrap()["object"]["code"], 410);
    // A client that had seen everything goes on as if nothing had happened.
    let mut events = api.watch(&watch_from(&second)).await;
    let third = api.sample("two").await;
    assert_eq!(events.next().await.unwrap()["object"], third);
}

#[tokio::test]
async fn a_file_has_one_registry_at_a_time() {
    let directory = Directory::new("lock");
    let path = directory.0.join("data.sqlite");
    let first = Registry::builder(Clock::stepped()).open(&path).unwrap();
    let second = Registry::builder(Clock::stepped()).open(&path);
    assert!(second.unwrap_err().to_string().contains("locked"));
    drop(first);
    Registry::builder(Clock::stepped()).open(&path).unwrap();
}
