//! The whole controller, from its start to its end.

use std::{sync::Arc, time::Duration};

use http::Method;
use kube::Client;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    FakeCloud, note,
    planner::acts_once,
    server::{Fault, Server},
    take_journal,
    transitions::rendered,
    world,
};
use crate::{
    controller::{Authority, Metrics, Options, Parts, Planner, StartError, run},
    plan,
};

struct Running {
    server: Server,
    cloud: FakeCloud,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), StartError>>,
}

impl Running {
    fn start(server: Server, listener: Option<TcpListener>) -> Self {
        take_journal();
        let cloud = FakeCloud::default();
        let metrics = Arc::new(Metrics::default());
        let parts = Parts {
            client: Client::new(server.service(), "games"),
            server: "in memory".to_owned(),
            world: world(&cloud),
            planner: Planner {
                decide: acts_once,
                needs: |_, _, _| plan::Needs::default(),
            },
            options: Options::default(),
            metrics: Arc::clone(&metrics),
            authority: Authority::alone(),
            listener,
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(run(parts, shutdown.clone()));
        Self {
            server,
            cloud,
            metrics,
            shutdown,
            task,
        }
    }

    async fn until_effect(&self) {
        self.until(|server| server.object()["status"]["fence"] == json!(1))
            .await;
    }

    async fn until(&self, condition: impl Fn(&Server) -> bool) {
        for _ in 0..1000 {
            if condition(&self.server) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come true within 10 s: {:?}", take_journal());
    }

    async fn end(self) -> Result<(), StartError> {
        self.shutdown.cancel();
        self.task.await.unwrap()
    }
}

fn entries(of: &str) -> usize {
    let journal = take_journal();
    let count = journal.iter().filter(|entry| entry.starts_with(of)).count();
    for entry in journal {
        note(entry);
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_alone_counts_as_the_one_that_works() {
    let running = Running::start(Server::with_release(), None);
    running.until_effect().await;
    let told = rendered(&running.metrics);
    assert!(told.contains("\nbluegreen_leading 1\n"), "{told}");
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_change_makes_one_effect_and_then_it_rests() {
    let running = Running::start(Server::with_release(), None);
    running.until_effect().await;
    tokio::time::sleep(Duration::from_secs(250)).await;
    assert_eq!(entries("deregister"), 1);
    assert_eq!(
        entries("GET /shop"),
        2,
        "one pass for the effect, one to look at it"
    );
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(
        entries("GET /shop"),
        3,
        "it looks again when the planner said so"
    );
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_published_and_a_failure_of_that_fails_nothing() {
    let server = Server::with_release();
    server.fault(Method::POST, Fault::Refuse(500));
    let running = Running::start(server, None);
    running.until_effect().await;
    running.until(|_| entries("Event ") > 0).await;
    assert_eq!(entries("Event Draining Revision0"), 1);
    assert_eq!(entries("deregister"), 1);
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_by_others_is_seen_at_once() {
    let running = Running::start(Server::with_release(), None);
    running.until_effect().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = entries("GET /shop");
    running
        .server
        .edit(|object| object["metadata"]["generation"] = json!(2));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(entries("GET /shop"), before + 1);
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_by_a_person_wakes_it_out_of_a_long_rest() {
    let running = Running::start(Server::with_release(), None);
    running.until_effect().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = entries("GET /shop");
    let request = json!({ "bluegreen.dev/request": "abort 1" });
    running
        .server
        .edit(|object| object["metadata"]["annotations"] = request);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(entries("GET /shop"), before + 1);
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_be_understood_does_not_stall_the_others() {
    let server = Server::with_release();
    server.add_broken();
    let running = Running::start(server, None);
    running.until_effect().await;
    running
        .until(|_| entries("Event NotUnderstood Generation1") == 1)
        .await;
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_the_definition_and_goes_on_by_itself() {
    let server = Server::with_release();
    server.define(false);
    let running = Running::start(server, None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(entries("GET ") > 10, "it keeps looking");
    assert_eq!(entries("deregister"), 0);
    running.server.define(true);
    running.until_effect().await;
    running.end().await.unwrap();
}

#[tokio::test]
async fn a_missing_permission_is_told_with_its_remedy_and_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::with_release();
    server.forbid(true);
    let running = Running::start(server, Some(listener));
    running.until(|_| entries("GET ") > 0).await;
    let text = until_ready_says(address, "grant get, list, watch").await;
    assert!(text.contains("in all namespaces"), "{text}");
    running.server.forbid(false);
    running.until_effect().await;
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_waited_for() {
    let server = Server::with_release();
    server.fault(Method::GET, Fault::Hang);
    let running = Running::start(server, None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    running.until_effect().await;
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_when_no_pass_is_in_flight() {
    let running = Running::start(Server::with_release(), None);
    running.until_effect().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let started = Instant::now();
    running.end().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn it_ends_while_it_waits_for_the_definition() {
    let server = Server::with_release();
    server.define(false);
    let running = Running::start(server, None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    running.end().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_does_not_keep_it_from_ending() {
    let running = Running::start(Server::with_release(), None);
    running.cloud.hang();
    running.until(|_| entries("instances") == 1).await;
    let started = Instant::now();
    running.end().await.unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(entries("PUT"), 0);
    assert_eq!(entries("deregister"), 0);
}

#[tokio::test]
async fn it_says_over_http_what_it_waits_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::with_release();
    server.define(false);
    let running = Running::start(server, Some(listener));
    running.until(|_| entries("GET ") > 0).await;
    let (code, text) = get(address, "/readyz").await;
    assert_eq!(code, 503);
    assert!(text.contains("CustomResourceDefinition"), "{text}");
    assert_eq!(get(address, "/healthz").await.0, 200);
    running.end().await.unwrap();
}

#[tokio::test]
async fn it_serves_its_health_and_counts_what_it_did() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = Running::start(Server::with_release(), Some(listener));
    running.until_effect().await;
    let mut ready = 0;
    while get(address, "/readyz").await.0 != 200 {
        ready += 1;
        assert!(ready < 100, "it works and does not say so");
    }
    let (code, text) = get(address, "/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "bluegreen_reconciles_total{result=\"Acted\"}",
        "bluegreen_reconcile_duration_seconds_count",
        "bluegreen_releases{phase=",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    running.end().await.unwrap();
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "the port is free again");
}

async fn until_ready_says(address: std::net::SocketAddr, words: &str) -> String {
    for _ in 0..1000 {
        let (code, text) = get(address, "/readyz").await;
        if text.contains(words) {
            assert_eq!(code, 503);
            return text;
        }
    }
    panic!("it never says {words}");
}

async fn get(address: std::net::SocketAddr, path: &str) -> (u16, String) {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let uri = format!("http://{address}{path}").parse().unwrap();
    let response = client.get(uri).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}
