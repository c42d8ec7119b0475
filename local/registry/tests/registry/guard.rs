//! A status that is reserved for a controller.

use bluegreen_net::Clock;
use bluegreen_registry::{Registry, StatusGuard};
use http::Method;
use serde_json::json;

use crate::support::{Answer, Api, DEFINITIONS, MERGE, SAMPLES, definition};

const BREAK_GLASS: &str = "demo.dev/break-glass";

async fn guarded() -> Api {
    let builder = Registry::builder(Clock::stepped()).guard_status(StatusGuard {
        resource: "samples.demo.dev".to_owned(),
        token: "c0ntrol".to_owned(),
        break_glass: BREAK_GLASS.to_owned(),
    });
    let api = Api::new(builder.in_memory().unwrap());
    api.post(DEFINITIONS, &definition()).await.ok();
    api.sample("one").await;
    api
}

async fn write_status(api: &Api, token: Option<&str>) -> Answer {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", MERGE)];
    headers.extend(
        authorization
            .iter()
            .map(|value| ("authorization", value.as_str())),
    );
    let body = json!({"status": {"phase": "Done"}}).to_string();
    let path = format!("{SAMPLES}/one/status");
    api.send(Method::PATCH, &path, &headers, body).await
}

#[tokio::test]
async fn only_the_controller_writes_a_status_that_is_reserved_for_it() {
    let api = guarded().await;
    let message = write_status(&api, None).await.refused(403, "Forbidden");
    assert_eq!(
        message,
        "samples.demo.dev \"one\" is forbidden: User \"administrator\" cannot patch resource \
         \"samples/status\" in API group \"demo.dev\" in the namespace \"default\": only the \
         controller writes it; annotate the object with demo.dev/break-glass=true to write it by \
         hand"
    );
    let mut object = api.get(&format!("{SAMPLES}/one")).await.ok();
    object["status"] = json!({"phase": "Done"});
    let answer = api.put(&format!("{SAMPLES}/one/status"), &object).await;
    answer.refused(403, "Forbidden");
    // The object itself is everyone's, and a write of it does not touch status.
    let written = api.put(&format!("{SAMPLES}/one"), &object).await.ok();
    assert_eq!(written.get("status"), None);
    let written = write_status(&api, Some("c0ntrol")).await.ok();
    assert_eq!(written["status"]["phase"], "Done");
    // To read it is free for all, and what is not there is said not to be there.
    api.get(&format!("{SAMPLES}/one/status")).await.ok();
    let answer = api
        .merge(&format!("{SAMPLES}/two/status"), &json!({}))
        .await;
    answer.refused(404, "NotFound");
}

#[tokio::test]
async fn the_glass_can_be_broken_and_mended() {
    let api = guarded().await;
    let one = format!("{SAMPLES}/one");
    for (value, code) in [("true", 200), ("false", 403)] {
        let annotate = json!({"metadata": {"annotations": {BREAK_GLASS: value}}});
        api.merge(&one, &annotate).await.ok();
        assert_eq!(
            write_status(&api, None).await.code.as_u16(),
            code,
            "{value}"
        );
    }
}

#[tokio::test]
async fn without_a_second_token_everyone_writes_status() {
    let api = Api::with_samples().await;
    api.sample("one").await;
    write_status(&api, None).await.ok();
}
