//! Watches: nothing lost, nothing twice, and a clear word where the past is gone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Api, SAMPLES, sample};

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_the_watch_ends_in_time() {
    let api = Api::with_samples().await;
    let version = api.sample("one").await["metadata"]["resourceVersion"].clone();
    let version = version.as_str().unwrap();
    let path = format!(
        "{SAMPLES}?watch=true&resourceVersion={version}&allowWatchBookmarks=true\
         &timeoutSeconds=90"
    );
    let started = Instant::now();
    let mut events = api.watch(&path).await;
    // A write elsewhere moves the bookmark on, so that a quiet watch does not fall behind.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    let written = api.post("/api/v1/namespaces", &namespace).await.ok();
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(started.elapsed(), Duration::from_secs(60));
    assert_eq!(
        bookmark["object"]["metadata"]["resourceVersion"],
        written["metadata"]["resourceVersion"]
    );
    assert_eq!(events.next().await.unwrap()["type"], "BOOKMARK");
    assert_eq!(events.next().await, None);
    assert_eq!(started.elapsed(), Duration::from_secs(90));
}

/// A hundred writers' worth of changes, in random order, seen by watches that reconnect at
/// random: replayed over the list that it began with, a watch ends at the very state that a list
/// shows.
#[tokio::test(start_paused = true)]
async fn a_list_and_its_watch_add_up_to_the_next_list() {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use std::collections::BTreeMap;

    for seed in 0..20 {
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let api = Api::with_samples().await;
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        let list = api.get(SAMPLES).await.ok();
        let mut version = list["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned();
        for round in 0..20 {
            for _ in 0..random.random_range(0..6) {
                let name = format!("n{}", random.random_range(0..4));
                let path = format!("{SAMPLES}/{name}");
                match random.random_range(0..3) {
                    0 => drop(api.post(SAMPLES, &sample(&name)).await),
                    1 => drop(api.delete(&path).await),
                    _ => {
                        let replicas = random.random_range(0..10);
                        let patch = json!({"spec": {"replicas": replicas}});
                        drop(api.merge(&path, &patch).await);
                    }
                }
            }
            let path = format!("{SAMPLES}?watch=true&resourceVersion={version}&timeoutSeconds=1");
            let mut events = api.watch(&path).await;
            while let Some(event) = events.next().await {
                let object = &event["object"];
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                let seen = object["metadata"]["resourceVersion"].as_str().unwrap();
                assert!(seen.parse::<u64>().unwrap() > version.parse().unwrap());
                version = seen.to_owned();
                match event["type"].as_str().unwrap() {
                    "ADDED" => assert!(known.insert(name, object.clone()).is_none()),
                    "MODIFIED" => assert!(known.insert(name, object.clone()).is_some()),
                    "DELETED" => assert!(known.remove(&name).is_some()),
                    other => panic!("{other} in round {round}"),
                }
            }
            let list = api.get(SAMPLES).await.ok();
            let items: Vec<Value> = known.values().cloned().collect();
            assert_eq!(list["items"], json!(items), "seed {seed}, round {round}");
        }
    }
}
