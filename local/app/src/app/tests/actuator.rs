//! What Spring Boot's metrics say, where, and to whom.

use super::*;

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test(start_paused = true)]
async fn the_metrics_of_spring_count_every_request_under_its_uri() {
    let app = App::started(quick()).await;
    let mut working = app.connect().await;
    ask(&mut working, "GET", "/work?ms=1000").await;
    app.clock.sleep(Duration::from_millis(10)).await;
    app.get("/health").await;
    app.get("/nothing").await;
    let metrics = app.get("/actuator/prometheus").await;
    let tags = |status: u16, outcome: &str, uri: &str| {
        format!(
            "{{error=\"none\",exception=\"none\",method=\"GET\",outcome=\"{outcome}\",\
             status=\"{status}\",uri=\"{uri}\"}}"
        )
    };
    let has = |name: &str, tags: &str, value: &str| {
        let line = format!("{name}{tags} {value}");
        let found = body(&metrics).lines().any(|one| one == line);
        assert!(found, "no {line} in {metrics}");
    };
    let active = "http_server_requests_active_seconds_active_count";
    has(active, &tags(200, "SUCCESS", "/work"), "1");
    // The one who asks is being handled too.
    has(active, &tags(200, "SUCCESS", "/actuator/prometheus"), "1");
    has("tomcat_threads_busy_threads", "{name=\"http-nio\"}", "2.0");
    let count = "http_server_requests_seconds_count";
    has(count, &tags(200, "SUCCESS", "/health"), "1");
    has(count, &tags(404, "CLIENT_ERROR", "/**"), "1");
    answer(&mut working).await;
    app.clock.sleep(Duration::from_millis(1)).await;
    let measured = async |path: &str| {
        let answer = app.get(&format!("/actuator/metrics/{path}")).await;
        serde_json::from_str::<serde_json::Value>(body(&answer)).unwrap()
    };
    let requests = measured("http.server.requests?tag=uri:/work").await;
    assert_eq!(requests["name"], "http.server.requests");
    assert_eq!(
        requests["measurements"][0],
        serde_json::json!({"statistic": "COUNT", "value": 1})
    );
    let seconds = requests["measurements"][1]["value"].as_f64().unwrap();
    assert!((1.0..1.1).contains(&seconds), "{requests}");
    let active = measured("http.server.requests.active?tag=uri:/work").await;
    assert_eq!(active["measurements"][0]["value"], 0);
    let active = measured("http.server.requests.active").await;
    assert_eq!(active["measurements"][0]["value"], 1, "the one who asks");
    let unknown = app.get("/actuator/metrics/nothing").await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    // Those who watch are not in the application's own reading.
    assert_eq!(
        body(&app.get("/drain").await),
        "{\"inFlight\":0,\"served\":2}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_metrics_can_be_on_a_port_of_their_own_which_outlives_the_other() {
    let app = App::started(Config {
        management_port: Some(9090),
        ..quick()
    })
    .await;
    let manage = async |path: &str| {
        let at = SocketAddr::new(address().ip(), 9090);
        let mut stream = app.net.connect(None, at).await.unwrap();
        ask(&mut stream, "GET", path).await;
        answer(&mut stream).await
    };
    let here = app.get("/actuator/prometheus").await;
    assert!(here.starts_with("HTTP/1.1 404"), "{here}");
    let there = manage("/actuator/prometheus").await;
    assert!(there.starts_with("HTTP/1.1 200"), "{there}");
    assert!(manage("/work").await.starts_with("HTTP/1.1 404"));
    let mut working = app.connect().await;
    ask(&mut working, "GET", "/work?ms=5000").await;
    app.clock.sleep(Duration::from_millis(1)).await;
    app.terminate().await;
    assert!(app.net.connect(None, address()).await.is_err());
    let there = manage("/actuator/metrics/tomcat.threads.busy").await;
    assert!(there.contains("\"value\":2"), "{there}");
    answer(&mut working).await;
    app.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn private_pages_are_for_one_address_only() {
    let app = App::started(Config {
        private_pages: true,
        ..quick()
    })
    .await;
    let from = async |address_of: [u8; 4], path: &str| {
        let own = std::net::IpAddr::from(address_of);
        let mut stream = app.net.connect(Some(own), address()).await.unwrap();
        ask(&mut stream, "GET", path).await;
        answer(&mut stream).await[..12].to_owned()
    };
    for path in [
        "/drain",
        "/metrics",
        "/actuator/prometheus",
        "/actuator/health",
    ] {
        assert_eq!(from([127, 0, 0, 1], path).await, "HTTP/1.1 200", "{path}");
        assert_eq!(from([127, 10, 0, 1], path).await, "HTTP/1.1 403", "{path}");
    }
    for path in ["/", "/health"] {
        assert_eq!(from([127, 10, 0, 1], path).await, "HTTP/1.1 200", "{path}");
    }
}
