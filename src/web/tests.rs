use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

async fn get_path(standing: Standing, path: &str) -> (u16, String) {
    let metrics = Arc::new(Metrics::default());
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let router = router(State::new(registry, metrics, Arc::new(standing)));
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_loop_without_a_heartbeat_is_not_healthy() {
    assert_eq!(get_path(Standing::default(), "/healthz").await.0, 200);
    let standing = Standing::default();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    assert_eq!(get_path(standing, "/healthz").await.0, 500);
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_for_is_told() {
    let (code, text) = get_path(Standing::default(), "/readyz").await;
    assert_eq!(code, 503);
    assert_eq!(text, "waiting for the API server's first answer\n");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_there_before_anything_happened() {
    let (code, text) = get_path(Standing::default(), "/metrics").await;
    assert_eq!(code, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
}
