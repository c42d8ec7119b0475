//! How requests pass through.

use tokio::io::AsyncReadExt;

use super::*;
use crate::topology::Condition;

#[tokio::test(start_paused = true)]
async fn connections_to_targets_are_used_again() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    for _ in 0..10 {
        assert_eq!(world.get(node(1), "/work?ms=20").await.status, 200);
    }
    assert_eq!(world.oracle.counters().on_reused_connections, 9);
    // Two at once need a second connection, and the other node has its own.
    let first = world.get_later(node(1), "/work?ms=1000").await;
    let second = world.get_later(node(1), "/work?ms=1000").await;
    world.get(node(2), "/").await;
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(world.oracle.counters().on_reused_connections, 10);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_target_closed_while_idle_is_not_used() {
    let world = World::new(immediate()).await;
    let _app = world.start_app(
        1,
        app::Config {
            keep_alive: Duration::from_secs(20),
            ..app::Config::default()
        },
    );
    world.register(0, 1, host(1));
    world.seconds(11.0).await;
    world.get(node(1), "/").await;
    world.seconds(21.0).await;
    assert_eq!(world.get(node(1), "/").await.status, 200);
    assert_eq!(world.oracle.counters().on_reused_connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_ends_its_connection_does_not_end_the_client_s() {
    let world = World::new(immediate()).await;
    let _app = world.start_app(
        1,
        app::Config {
            keep_alive_requests: Some(1),
            ..app::Config::default()
        },
    );
    world.register(0, 1, host(1));
    world.seconds(11.0).await;
    let mut client = world.client(node(1)).await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains_key("connection"));
    }
    assert_eq!(world.oracle.counters().on_reused_connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_connected_while_its_requests_go_to_all_targets_in_turn() {
    let world = World::new(immediate()).await;
    for number in 1..=2 {
        world.start_app(
            number,
            app::Config {
                version: number.to_string(),
                ..app::Config::default()
            },
        );
        world.register(0, number, host(number));
    }
    world.seconds(11.0).await;
    let mut client = world.client(node(1)).await;
    let mut versions = Vec::new();
    for _ in 0..6 {
        let answer = client.get("/").await;
        versions.push(answer.headers["x-app-version"].clone());
    }
    assert_eq!(versions[0], versions[2]);
    assert_ne!(versions[0], versions[1]);
    world.drain(1, 300);
    world.seconds(0.1).await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.headers["x-app-version"], "2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_passes_as_long_as_it_is_never_silent_for_the_idle_timeout() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let answer = world.get(node(1), "/stream?ms=160000&parts=4").await;
    assert_eq!(answer.body.as_deref(), Some("part\npart\npart\npart\n"));
}

#[tokio::test(start_paused = true)]
async fn idle_clients_are_let_go_after_the_idle_timeout() {
    let world = World::new(immediate()).await;
    let mut client = world.client(node(1)).await;
    client.get("/").await;
    world.seconds(59.0).await;
    client.get("/").await;
    world.seconds(61.0).await;
    assert!(client.sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn targets_learn_where_a_request_came_from() {
    let world = World::new(immediate()).await;
    let (heads, mut seen) = mpsc::channel(10);
    let _server = scripted(&world.net, host(1), move |mut stream| {
        let heads = heads.clone();
        async move {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            let head = String::from_utf8_lossy(&buffer[..count]).to_lowercase();
            failures::write_ok(&mut stream).await;
            if !head.starts_with("get /health") {
                heads.send(head).await.unwrap();
            }
        }
    });
    world.register(0, 1, host(1));
    world.seconds(11.0).await;
    let request = http::Request::get("/page?a=b")
        .header("host", "www.example.com")
        .header("connection", "x-private")
        .header("x-private", "1")
        .header("x-request-id", "mine");
    let mut client = world.client(node(1)).await;
    client.send(request.body(Empty::new()).unwrap()).await;
    let head = seen.recv().await.unwrap();
    for line in [
        "get /page?a=b http/1.1",
        "host: www.example.com",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-port: 80",
        "x-request-id: mine",
    ] {
        assert!(head.lines().any(|one| one == line), "{line}: {head}");
    }
    assert!(head.contains("x-amzn-trace-id: root=1-"), "{head}");
    assert!(!head.contains("x-private"), "{head}");
    let record = &world.oracle.recent()[0];
    assert_eq!(record.client_id.as_deref(), Some("mine"));
    assert_eq!(record.path, "/page");
}

#[tokio::test(start_paused = true)]
async fn rules_are_tried_in_order_and_the_last_takes_the_rest() {
    let world = World::new(immediate()).await;
    world.change(|topology| {
        let fixed = |condition, body: &str| Rule {
            arn: body.to_owned(),
            conditions: vec![condition],
            action: Action::FixedResponse {
                status: 418,
                body: body.to_owned(),
            },
            sticky: None,
        };
        let rules = &mut topology.load_balancers[0].listeners[0].rules;
        let host = Condition::Host(vec!["*.EXAMPLE.com".to_owned()]);
        rules.insert(0, fixed(host, "by host"));
        let path = Condition::Path(vec!["/a/*".to_owned(), "/b".to_owned()]);
        rules.insert(0, fixed(path, "by path"));
    });
    world.seconds(0.1).await;
    for (path, expected) in [("/a/1", "by path"), ("/b", "by path"), ("/c", "by host")] {
        let answer = world.get(node(1), path).await;
        assert_eq!(
            (answer.status, answer.body.as_deref()),
            (418, Some(expected))
        );
    }
    let request = http::Request::get("/c").header("host", "example.org");
    let mut client = world.client(node(1)).await;
    let answer = client.send(request.body(Empty::new()).unwrap()).await;
    assert_eq!(answer.status, 503);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_ends_its_request() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let mut client = world.client(node(1)).await;
    for _ in 0..2 {
        let request = http::Request::head("/").header("host", "app");
        let answer = client.send(request.body(Empty::new()).unwrap()).await;
        assert_eq!(answer.status, 200);
    }
    let counters = world.oracle.counters();
    assert_eq!((counters.ended, counters.failed), (2, 0));
    assert!(counters.by_failure.is_empty(), "{counters:?}");
    assert_eq!(counters.on_reused_connections, 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_deleted_stops_listening() {
    let world = World::new(immediate()).await;
    assert_eq!(world.get(node(1), "/").await.status, 503);
    world.change(|topology| topology.load_balancers.clear());
    world.seconds(0.1).await;
    assert!(world.net.connect(None, node(1)).await.is_err());
}
