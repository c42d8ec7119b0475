//! Input that is made to exhaust the registry is refused, quickly and without an end of it.

use std::{convert::Infallible, time::Duration};

use bluegreen_net::Clock;
use bluegreen_registry::Registry;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Api, DEFINITIONS, SAMPLES, definition, sample};

const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A definition of which one rule, or its message, is this text.
fn with_rule(field: &str, text: &str) -> Value {
    let mut definition = definition();
    let spec = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut rule = json!({"rule": "true"});
    rule[field] = Value::from(text);
    spec["spec"]["x-kubernetes-validations"] = json!([rule]);
    definition
}

#[tokio::test]
async fn a_rule_that_is_nested_too_deeply_is_refused() {
    let api = Api::empty();
    let nested = |open: &str, close: &str, levels: usize| {
        format!("{}true{}", open.repeat(levels), close.repeat(levels))
    };
    for levels in [60, 100_000] {
        for (field, text) in [
            ("rule", nested("(", ")", levels)),
            ("rule", nested("[", "][0]", levels)),
            ("rule", nested("true ? ", " : false", levels)),
            ("messageExpression", nested("(", ")", levels)),
        ] {
            let answer = api.post(DEFINITIONS, &with_rule(field, &text)).await;
            let message = answer.refused(422, "Invalid");
            assert!(message.contains("expression recursion limit"), "{message}");
        }
    }
    let fitting = with_rule("rule", &nested("(", ")", 20));
    api.post(DEFINITIONS, &fitting).await.ok();
}

#[tokio::test]
async fn a_patch_that_copies_its_own_copies_is_refused() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    let path = format!("{SAMPLES}/one");
    let copy = |from: &str, to: &str| json!({"op": "copy", "from": from, "path": to});
    // Each step copies all that the steps before it have made: 2 kB become gigabytes.
    let doubling: Vec<Value> = (0..40)
        .map(|number| copy("/spec", &format!("/spec/copy{number}")))
        .collect();
    let answer = api.patch(&path, JSON_PATCH, &json!(doubling)).await;
    let message = answer.refused(413, "RequestEntityTooLarge");
    assert!(message.contains("accumulated size"), "{message}");
    // A list that takes itself up grows, too.
    let mut list = vec![json!({"op": "add", "path": "/spec/list", "value": ["x"]})];
    list.extend((0..40).map(|_| copy("/spec/list", "/spec/list/-")));
    let answer = api.patch(&path, JSON_PATCH, &json!(list)).await;
    assert!(
        [400, 413].contains(&answer.code.as_u16()),
        "{}",
        answer.code
    );
    let many: Vec<Value> = (0..10_001)
        .map(|number| json!({"op": "add", "path": format!("/spec/x{number}"), "value": 1}))
        .collect();
    let answer = api.patch(&path, JSON_PATCH, &json!(many)).await;
    let message = answer.refused(413, "RequestEntityTooLarge");
    assert!(message.contains("maximum operations"), "{message}");
    // Nothing of all that was stored.
    let one = api.get(&path).await.ok();
    assert_eq!(one["spec"]["version"], "1.0");
}

#[tokio::test]
async fn a_body_that_is_nested_too_deeply_is_refused() {
    let api = Api::with_samples().await;
    let path = format!("{SAMPLES}/one?fieldManager=me");
    for open in ["[", "{a: ", "- ", "? "] {
        let body = open.repeat(100_000);
        let headers = [("content-type", APPLY)];
        let answer = api.send(Method::PATCH, &path, &headers, body.clone()).await;
        answer.refused(400, "BadRequest");
        let headers = [("content-type", "application/json")];
        let answer = api.send(Method::POST, SAMPLES, &headers, body).await;
        answer.refused(400, "BadRequest");
    }
    // What can be stored can be read again, with the owners of its fields.
    let mut deep = json!(1);
    for _ in 0..110 {
        deep = json!({ "a": deep });
    }
    let mut wanted = sample("deep");
    wanted["spec"]["extra"] = deep;
    let message = api.post(SAMPLES, &wanted).await.refused(400, "BadRequest");
    assert!(message.contains("levels deep"), "{message}");
    api.sample("one").await;
    let steps: Vec<Value> = (0..120)
        .map(|levels| json!({"op": "add", "path": format!("/spec{}", "/a".repeat(levels + 1)), "value": {}}))
        .collect();
    let path = format!("{SAMPLES}/one");
    let answer = api.patch(&path, JSON_PATCH, &json!(steps)).await;
    answer.refused(400, "BadRequest");
}

#[tokio::test(start_paused = true)]
async fn a_watch_with_an_endless_timeout_ends_after_a_day() {
    let api = Api::with_samples().await;
    let forever = format!("{SAMPLES}?watch=true&timeoutSeconds=18446744073709551615");
    let mut watch = api.watch(&forever).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(watch.next().await, None);
    assert_eq!(begun.elapsed().as_secs(), 24 * 60 * 60);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stays_silent_is_given_up() {
    let builder = Registry::builder(Clock::stepped());
    let registry = builder.in_memory().unwrap();
    let first = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("{")))]);
    let frames = futures::StreamExt::chain(first, stream::pending());
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/namespaces")
        .body(StreamBody::new(Box::pin(frames)))
        .unwrap();
    let begun = tokio::time::Instant::now();
    let response = registry.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let status: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status["reason"], "Timeout");
}
