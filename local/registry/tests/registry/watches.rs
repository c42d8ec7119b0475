//! Watches: nothing lost, nothing twice, and a clear word where the past is gone.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Api, SAMPLES, event, sample};

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_the_list_ended() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let list = api.get(SAMPLES).await.ok();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    // Between the list and the watch.
    api.sample("two").await;
    api.merge(&format!("{SAMPLES}/one"), &json!({"spec": {"replicas": 2}}))
        .await
        .ok();
    let path = format!("{SAMPLES}?watch=true&resourceVersion={version}");
    let mut events = api.watch(&path).await;
    assert_eq!(events.next_short().await, event("ADDED", "two"));
    assert_eq!(events.next_short().await, event("MODIFIED", "one"));
    events.nothing_now();
    api.delete(&format!("{SAMPLES}/two")).await.ok();
    let deleted = events.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    let latest = api.get(SAMPLES).await.ok()["metadata"]["resourceVersion"].clone();
    assert_eq!(deleted["object"]["metadata"]["resourceVersion"], latest);
    // Other resources and namespaces are not this watch's business.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    api.post("/api/v1/namespaces", &namespace).await.ok();
    let elsewhere = SAMPLES.replace("default", "a");
    api.post(&elsewhere, &sample("three")).await.ok();
    events.nothing_now();
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_a_version_starts_with_what_is_there() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let mut events = api
        .watch(&format!("{SAMPLES}?watch=1&resourceVersion=0"))
        .await;
    assert_eq!(events.next_short().await, event("ADDED", "one"));
    events.nothing_now();
}

#[tokio::test(start_paused = true)]
async fn initial_events_end_with_a_bookmark() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let path = format!(
        "{SAMPLES}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true\
         &resourceVersionMatch=NotOlderThan"
    );
    let mut events = api.watch(&path).await;
    assert_eq!(events.next_short().await, event("ADDED", "one"));
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Sample");
    let metadata = &bookmark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    let version = metadata["resourceVersion"].as_str().unwrap();
    api.sample("two").await;
    assert_eq!(events.next_short().await, event("ADDED", "two"));
    let resumed = format!("{SAMPLES}?watch=true&resourceVersion={version}");
    let mut events = api.watch(&resumed).await;
    assert_eq!(events.next_short().await, event("ADDED", "two"));
}

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

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_forgotten_version_is_told_so() {
    let api = Api::with_samples().await;
    let version = api.sample("one").await["metadata"]["resourceVersion"].clone();
    let version = version.as_str().unwrap();
    api.sample("two").await;
    api.registry.compact();
    let path = format!("{SAMPLES}?watch=true&resourceVersion={version}");
    let mut events = api.watch(&path).await;
    let error = events.next().await.unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(error["object"]["kind"], "Status");
    assert_eq!(error["object"]["code"], 410);
    assert_eq!(error["object"]["reason"], "Expired");
    let message = error["object"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("too old resource version: "),
        "{message}"
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn objects_enter_and_leave_a_selection() {
    let api = Api::with_samples().await;
    let version = api.sample("one").await["metadata"]["resourceVersion"].clone();
    let version = version.as_str().unwrap();
    let path = format!("{SAMPLES}?watch=true&resourceVersion={version}&labelSelector=team%3Dred");
    let mut events = api.watch(&path).await;
    let label = |team: Value| json!({"metadata": {"labels": {"team": team}}});
    let object = format!("{SAMPLES}/one");
    for (team, seen) in [
        (json!("red"), "ADDED"),
        (json!("blue"), "DELETED"),
        (json!("red"), "ADDED"),
    ] {
        api.merge(&object, &label(team)).await.ok();
        assert_eq!(events.next_short().await, event(seen, "one"));
    }
    api.merge(&object, &json!({"spec": {"replicas": 2}}))
        .await
        .ok();
    assert_eq!(events.next_short().await, event("MODIFIED", "one"));
    events.nothing_now();
}

#[tokio::test(start_paused = true)]
async fn the_removal_of_the_last_finalizer_is_one_event() {
    let api = Api::with_samples().await;
    let mut wanted = sample("one");
    wanted["metadata"]["finalizers"] = json!(["demo.dev/hold"]);
    api.post(SAMPLES, &wanted).await.ok();
    let path = format!("{SAMPLES}/one");
    let version = api.delete(&path).await.ok()["metadata"]["resourceVersion"].clone();
    let mut events = api
        .watch(&format!(
            "{SAMPLES}?watch=true&resourceVersion={}",
            version.as_str().unwrap()
        ))
        .await;
    api.merge(&path, &json!({"metadata": {"finalizers": null}}))
        .await
        .ok();
    assert_eq!(events.next_short().await, event("DELETED", "one"));
    events.nothing_now();
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
