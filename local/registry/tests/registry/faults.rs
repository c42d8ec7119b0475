//! Every fault switch.

use std::time::Duration;

use bluegreen_registry::{Effect, Fault, Verb};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

use crate::support::{Api, SAMPLES, event, sample};

fn one() -> String {
    format!("{SAMPLES}/one")
}

async fn with_fault(effect: Effect, verb: Verb) -> Api {
    let api = Api::with_samples().await;
    api.sample("one").await;
    api.sample("two").await;
    let fault = Fault::new(effect).verb(verb).resource("samples");
    api.registry.faults().inject(fault.name("one").times(1));
    api
}

async fn replicas(api: &Api) -> i64 {
    let object = api.get(&one()).await.ok();
    object["spec"]["replicas"].as_i64().unwrap()
}

#[tokio::test]
async fn a_request_can_fail_before_its_effect() {
    let api = with_fault(Effect::FailBefore(503), Verb::Patch).await;
    let patch = json!({"spec": {"replicas": 2}});
    // Another object is not struck.
    api.merge(&format!("{SAMPLES}/two"), &patch).await.ok();
    api.merge(&one(), &patch)
        .await
        .refused(503, "ServiceUnavailable");
    assert_eq!(replicas(&api).await, 1);
    api.merge(&one(), &patch).await.ok();
}

#[tokio::test]
async fn a_request_can_fail_after_its_effect() {
    let api = with_fault(Effect::FailAfter(500), Verb::Patch).await;
    api.merge(&one(), &json!({"spec": {"replicas": 2}}))
        .await
        .refused(500, "InternalError");
    assert_eq!(replicas(&api).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_can_hang_before_or_after_its_effect() {
    for (effect, wanted) in [(Effect::HangBefore, 1), (Effect::HangAfter, 2)] {
        let api = with_fault(effect, Verb::Patch).await;
        let patch = json!({"spec": {"replicas": 2}});
        let path = one();
        let answer = timeout(Duration::from_secs(30), api.merge(&path, &patch)).await;
        assert!(answer.is_err(), "it was answered");
        assert_eq!(replicas(&api).await, wanted);
    }
}

#[tokio::test]
async fn a_connection_can_break_before_or_after_the_effect() {
    let effects = [
        (Effect::DisconnectBefore, false),
        (Effect::DisconnectAfter, true),
    ];
    for (effect, stored) in effects {
        let api = Api::with_samples().await;
        api.registry
            .faults()
            .inject(Fault::new(effect).verb(Verb::Create).name("new"));
        let request = Request::builder()
            .method(Method::POST)
            .uri(SAMPLES)
            .body(Full::new(Bytes::from(sample("new").to_string())))
            .unwrap();
        let answer = api.registry.clone().oneshot(request).await;
        assert!(answer.is_err(), "it was answered");
        let found = api.get(&format!("{SAMPLES}/new")).await.code;
        assert_eq!(found.is_success(), stored);
    }
}

#[tokio::test]
async fn a_request_can_be_throttled() {
    let effect = Effect::TooManyRequests(Duration::from_secs(7));
    let api = with_fault(effect, Verb::Get).await;
    let answer = api.get(&one()).await;
    assert_eq!(answer.headers["retry-after"], "7");
    answer.refused(429, "TooManyRequests");
}

#[tokio::test]
async fn a_write_can_meet_a_conflict() {
    let api = with_fault(Effect::Conflict, Verb::Update).await;
    let object = api.get(&one()).await.ok();
    let message = api.put(&one(), &object).await.refused(409, "Conflict");
    assert!(message.contains("the object has been modified"));
}

#[tokio::test]
async fn a_status_write_is_struck_by_its_own_name() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    api.registry
        .faults()
        .inject(Fault::new(Effect::Conflict).resource("samples/status"));
    api.merge(&one(), &json!({"spec": {"replicas": 2}}))
        .await
        .ok();
    api.merge(&format!("{}/status", one()), &json!({"status": {}}))
        .await
        .refused(409, "Conflict");
    api.registry.faults().clear();
    api.merge(&format!("{}/status", one()), &json!({"status": {}}))
        .await
        .ok();
}

#[tokio::test]
async fn lists_and_watches_can_be_expired() {
    let api = Api::with_samples().await;
    api.registry
        .faults()
        .inject(Fault::new(Effect::Expired).verb(Verb::List).times(1));
    api.get(SAMPLES).await.refused(410, "Expired");
    api.get(SAMPLES).await.ok();
    api.registry
        .faults()
        .inject(Fault::new(Effect::Expired).verb(Verb::Watch).times(1));
    let mut events = api.watch(&format!("{SAMPLES}?watch=true")).await;
    let error = events.next().await.unwrap();
    assert_eq!(error["object"]["code"], 410);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn reads_can_be_stale() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    api.merge(&one(), &json!({"spec": {"replicas": 2}}))
        .await
        .ok();
    api.sample("two").await;
    api.registry.faults().inject(Fault::new(Effect::Stale(2)));
    let list = api.get(SAMPLES).await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["spec"]["replicas"], 1);
    assert_eq!(
        list["metadata"]["resourceVersion"],
        list["items"][0]["metadata"]["resourceVersion"]
    );
    assert_eq!(replicas(&api).await, 1);
    api.registry.faults().clear();
    assert_eq!(replicas(&api).await, 2);
}

#[tokio::test(start_paused = true)]
async fn watch_events_can_be_dropped_doubled_and_delayed() {
    let api = Api::with_samples().await;
    let faults = api.registry.faults();
    let mut events = api.watch(&format!("{SAMPLES}?watch=true")).await;
    let strike = |effect, name| Fault::new(effect).resource("samples").name(name).times(1);
    faults.inject(strike(Effect::DropEvent, "a"));
    faults.inject(strike(Effect::DuplicateEvent, "b"));
    faults.inject(strike(Effect::DelayEvent(Duration::from_secs(5)), "c"));
    let started = Instant::now();
    for name in ["a", "b", "c", "d"] {
        api.sample(name).await;
    }
    for name in ["b", "b"] {
        assert_eq!(events.next_short().await, event("ADDED", name));
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    for name in ["c", "d"] {
        assert_eq!(events.next_short().await, event("ADDED", name));
    }
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert_eq!(faults.remaining(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_be_cut_and_the_next_one_goes_on() {
    let api = Api::with_samples().await;
    let version = api.sample("one").await["metadata"]["resourceVersion"].clone();
    let path = format!(
        "{SAMPLES}?watch=true&resourceVersion={}",
        version.as_str().unwrap()
    );
    api.registry
        .faults()
        .inject(Fault::new(Effect::CloseWatch).name("two").times(1));
    let mut events = api.watch(&path).await;
    api.sample("two").await;
    assert_eq!(events.next().await, None);
    let mut events = api.watch(&path).await;
    assert_eq!(events.next_short().await, event("ADDED", "two"));
}
