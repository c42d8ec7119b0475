//! CEL rules, how they read, and what they hide.

use serde_json::{Value, json};

use crate::support::{Api, SAMPLES, sample};

async fn refused(api: &Api, spec: Value) -> String {
    let mut wanted = sample("x");
    wanted["spec"] = spec;
    api.post(SAMPLES, &wanted).await.refused(422, "Invalid")
}

#[tokio::test]
async fn each_broken_rule_is_worded_as_a_server_words_it() {
    let api = Api::with_samples().await;
    let blocked = "<nil>: Invalid value: null: some validation rules were not checked because \
                   the object was invalid; correct the existing errors to complete validation";
    let cases = [
        (
            json!({}),
            format!("[spec.version: Required value, {blocked}]"),
        ),
        (
            json!({"version": 1}),
            format!(
                "[spec.version: Invalid value: \"integer\": spec.version in body must be of type \
                 string: \"integer\", {blocked}]"
            ),
        ),
        (
            json!({"version": "123456789012345678901"}),
            format!("[spec.version: Too long: may not be more than 20 bytes, {blocked}]"),
        ),
        (
            json!({"version": "x"}),
            "spec.version: Invalid value: \"x\": spec.version in body should match '^[0-9.]+$'"
                .to_owned(),
        ),
        (
            json!({"version": "1", "replicas": -1}),
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or \
             equal to 0"
                .to_owned(),
        ),
        (
            json!({"version": "1", "mode": "Later"}),
            format!(
                "[spec.mode: Unsupported value: \"Later\": supported values: \"Auto\", \
                 \"Manual\", {blocked}]"
            ),
        ),
        (
            json!({"version": "1", "steps": [{"name": "a"}, {"name": "a"}]}),
            "spec.steps[1]: Duplicate value: {\"name\":\"a\"}".to_owned(),
        ),
        (
            json!({"version": "1", "steps": [{"name": "a"}, {"name": "b"}, {"name": "c"},
                                             {"name": "d"}]}),
            format!("[spec.steps: Too many: 4: must have at most 3 items, {blocked}]"),
        ),
        (
            json!({"version": "1", "labels": {"a": "123456"}}),
            format!("[spec.labels.a: Too long: may not be more than 5 bytes, {blocked}]"),
        ),
        (
            json!({"version": "1", "maxSurge": true}),
            format!(
                "[spec.maxSurge: Invalid value: \"boolean\": spec.maxSurge in body must be of \
                 type integer,string: \"boolean\", {blocked}]"
            ),
        ),
        (
            json!({"version": "1", "timeout": "soon"}),
            "spec.timeout: Invalid value: \"soon\": spec.timeout in body must be of type \
             duration: \"soon\""
                .to_owned(),
        ),
        (
            json!({"version": "1", "replicas": 11}),
            "spec.replicas: Invalid value: replicas must not exceed the limit".to_owned(),
        ),
        (
            json!({"version": "1", "owner": "nobody"}),
            "spec: Invalid value: owner must not be nobody".to_owned(),
        ),
    ];
    for (spec, wanted) in cases {
        let message = refused(&api, spec.clone()).await;
        assert_eq!(
            message,
            format!("Sample.demo.dev \"x\" is invalid: {wanted}"),
            "{spec}"
        );
    }
}

#[tokio::test]
async fn transition_rules_compare_with_the_predecessor() {
    let api = Api::with_samples().await;
    let mut wanted = sample("one");
    wanted["spec"]["team"] = json!("red");
    wanted["spec"]["steps"] = json!([{"name": "a", "weight": 50}]);
    api.post(SAMPLES, &wanted).await.ok();
    let path = format!("{SAMPLES}/one");

    let message = api
        .merge(&path, &json!({"spec": {"team": "blue"}}))
        .await
        .refused(422, "Invalid");
    assert!(
        message.ends_with("spec.team: Invalid value: \"blue\": team is immutable"),
        "{message}"
    );
    // Items with keys are compared by key, wherever they stand.
    let steps = json!({"spec": {"steps": [{"name": "b", "weight": 1},
                                          {"name": "a", "weight": 50}]}});
    api.merge(&path, &steps).await.ok();
    let steps = json!({"spec": {"steps": [{"name": "b", "weight": 1},
                                          {"name": "a", "weight": 49}]}});
    let message = api.merge(&path, &steps).await.refused(422, "Invalid");
    assert!(
        message.ends_with("spec.steps[1].weight: Invalid value: 49: a weight must not fall"),
        "{message}"
    );
}
