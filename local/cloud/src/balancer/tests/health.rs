//! Health checks, and what follows from them.

use tokio::io::AsyncReadExt;

use super::*;
use crate::topology::{HealthFailure, NodeHealth};

fn says(reports: &[HealthReport], number: u8) -> Vec<(IpAddr, NodeHealth)> {
    reports
        .iter()
        .filter(|report| report.target == key(number))
        .map(|report| (report.node, report.health.clone()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_node_reports_by_itself_and_only_what_is_new() {
    let mut world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let mut said = says(&world.reports(), 1);
    said.sort_by_key(|(node, _)| *node);
    assert_eq!(
        said,
        [
            (node(1).ip(), NodeHealth::Healthy),
            (node(2).ip(), NodeHealth::Healthy)
        ]
    );
    world.seconds(60.0).await;
    assert!(world.reports().is_empty());
}

#[tokio::test(start_paused = true)]
async fn thresholds_decide_after_the_first_opinion() {
    let mut world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    world.reports();
    post(&world, "/health/fail").await;
    world.seconds(10.0).await;
    assert!(world.reports().is_empty(), "one failure is not enough");
    world.seconds(10.0).await;
    let unhealthy = NodeHealth::Unhealthy(HealthFailure::Status(503));
    let said = says(&world.reports(), 1);
    assert_eq!(said.len(), 2);
    assert!(
        said.iter().all(|(_, health)| *health == unhealthy),
        "{said:?}"
    );
    post(&world, "/health/restore").await;
    world.seconds(20.0).await;
    assert!(world.reports().is_empty(), "two successes are not enough");
    world.seconds(10.0).await;
    let said = says(&world.reports(), 1);
    assert!(
        said.iter()
            .all(|(_, health)| *health == NodeHealth::Healthy),
        "{said:?}"
    );
    assert_eq!(said.len(), 2);
}

async fn post(world: &World, path: &str) {
    let request = http::Request::post(path).header("host", "app");
    let mut client = world.client(host(1)).await;
    let answer = client.send(request.body(Empty::new()).unwrap()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(start_paused = true)]
async fn failures_have_the_reasons_of_the_api() {
    let mut world = World::new(immediate()).await;
    let _app = world.start_app(
        1,
        app::Config {
            health: app::HealthBehaviour::NeverHealthy,
            ..app::Config::default()
        },
    );
    let _silent = scripted(&world.net, host(2), |stream| async move {
        let _open = stream;
        std::future::pending().await
    });
    for number in 1..=3 {
        world.register(0, number, host(number));
    }
    world.seconds(30.0).await;
    let reports = world.reports();
    for (number, failure) in [
        (1, HealthFailure::Status(503)),
        (2, HealthFailure::Timeout),
        (3, HealthFailure::Failed),
    ] {
        let said = says(&reports, number);
        assert_eq!(said.len(), 2, "{said:?}");
        let expected = NodeHealth::Unhealthy(failure);
        assert!(
            said.iter().all(|(_, health)| *health == expected),
            "{said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_says_who_asks_and_closes_its_connection() {
    let world = World::new(immediate()).await;
    let (checked, mut checks) = mpsc::channel(10);
    let _server = scripted(&world.net, host(1), move |mut stream| {
        let checked = checked.clone();
        async move {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            failures::write_ok(&mut stream).await;
            let ended = stream.read(&mut buffer[count..]).await.unwrap_or(0) == 0;
            let head = String::from_utf8_lossy(&buffer[..count]).to_lowercase();
            checked.send((head, ended)).await.unwrap();
        }
    });
    world.register(0, 1, host(1));
    let (head, ended) = checks.recv().await.unwrap();
    assert!(head.starts_with("get /health http/1.1\r\n"), "{head}");
    assert!(head.contains("host: 10.0.1.1:8080\r\n"), "{head}");
    assert!(
        head.contains("user-agent: elb-healthchecker/2.0\r\n"),
        "{head}"
    );
    assert!(ended);
}

#[tokio::test(start_paused = true)]
async fn only_healthy_targets_get_requests_until_too_few_are() {
    let world = World::new(immediate()).await;
    let _first = world.healthy_app(1).await;
    let _second = world.start_app(
        2,
        app::Config {
            version: "2".to_owned(),
            health: app::HealthBehaviour::NeverHealthy,
            ..app::Config::default()
        },
    );
    world.register(0, 2, host(2));
    world.seconds(30.0).await;
    for _ in 0..10 {
        let answer = world.get(node(1), "/").await;
        assert_eq!(answer.headers["x-app-version"], "1.0.0");
    }
    // With both demanded, the node disregards health.
    world.change(|topology| {
        Arc::make_mut(&mut topology.target_groups[0]).minimum_healthy = 2;
    });
    world.seconds(0.1).await;
    let mut by_second = 0;
    for _ in 0..10 {
        let answer = world.get(node(1), "/").await;
        by_second += u32::from(answer.headers["x-app-version"] == "2");
    }
    assert_eq!(by_second, 5);
    assert_eq!(world.oracle.counters().in_fail_open, 10);
}

#[tokio::test(start_paused = true)]
async fn a_target_without_an_opinion_gets_requests_in_fail_open_only_if_the_knob_says_so() {
    for (unchecked_in_fail_open, expected) in [(true, 200), (false, 503)] {
        let knobs = Knobs {
            unchecked_in_fail_open,
            ..immediate()
        };
        let world = World::new(knobs).await;
        let _app = world.start_app(1, app::Config::default());
        world.change(|topology| {
            let group = Arc::make_mut(&mut topology.target_groups[0]);
            group.health_check.interval = Duration::from_secs(300);
        });
        world.register(0, 1, host(1));
        world.seconds(0.1).await;
        assert_eq!(world.get(node(1), "/").await.status, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_no_rule_names_and_targets_that_drain_are_not_checked() {
    let mut world = World::new(immediate()).await;
    world.change(|topology| topology.target_groups.push(Arc::new(group("unused"))));
    let _app = world.start_app(1, app::Config::default());
    world.register(1, 1, host(1));
    world.seconds(30.0).await;
    assert!(world.reports().is_empty());
    let _other = world.start_app(2, app::Config::default());
    world.register(0, 2, host(2));
    world.drain(2, 300);
    world.seconds(30.0).await;
    assert!(world.reports().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fixed_check_port_is_asked_whoever_listens_there() {
    let mut world = World::new(immediate()).await;
    world.change(|topology| {
        Arc::make_mut(&mut topology.target_groups[0])
            .health_check
            .port = Some(9090);
    });
    let at = SocketAddr::new(host(1).ip(), 9090);
    let _other_process = scripted(&world.net, at, |mut stream| async move {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        failures::write_ok(&mut stream).await;
    });
    // Nothing listens on the target's own port.
    world.register(0, 1, host(1));
    world.seconds(11.0).await;
    let said = says(&world.reports(), 1);
    assert_eq!(said.len(), 2);
    assert!(
        said.iter()
            .all(|(_, health)| *health == NodeHealth::Healthy)
    );
    assert_eq!(world.get(node(1), "/").await.status, 502);
}
