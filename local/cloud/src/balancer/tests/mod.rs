//! Tests of the data plane: over a network in memory with a paused clock, and once over sockets.

mod drain;
mod failures;
mod health;
mod late;
mod proxying;
mod release;
mod sockets;
mod sticky;
mod tunnel;

use std::{net::SocketAddr, time::Duration};

use bluegreen_app::app;
use bluegreen_net::Stream;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use super::*;
use crate::topology::{
    Action, HealthCheck, Listener, LoadBalancer, Node as NodeAddress, Rule, Target, TargetGroup,
    TargetKey, TargetPhase, WeightedGroup,
};

const SEED: u64 = 11;

/// A load balancer with two nodes and the target group `blue`, without targets.
struct World {
    net: Net,
    clock: Clock,
    topology: watch::Sender<Arc<Topology>>,
    reports: mpsc::Receiver<HealthReport>,
    oracle: Oracle,
    _balancer: Balancer,
}

fn node(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 80))
}

fn host(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, number], 8080))
}

fn key(number: u8) -> TargetKey {
    TargetKey {
        id: format!("i-{number}"),
        port: 8080,
        serial: 1,
    }
}

fn immediate() -> Knobs {
    Knobs {
        propagation: Propagation::IMMEDIATE,
        ..Knobs::default()
    }
}

fn group(arn: &str) -> TargetGroup {
    TargetGroup {
        arn: arn.to_owned(),
        health_check: HealthCheck {
            path: "/health".to_owned(),
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 2,
            matcher: vec![(200, 200)],
        },
        minimum_healthy: 1,
        sticky: None,
        targets: Vec::new(),
    }
}

fn forward(groups: &[(&str, u16)]) -> Action {
    let weighted = |(arn, weight): &(&str, u16)| WeightedGroup {
        target_group: (*arn).to_owned(),
        weight: *weight,
    };
    Action::Forward(groups.iter().map(weighted).collect())
}

fn topology_with(nodes: &[SocketAddr]) -> Topology {
    Topology {
        version: 1,
        load_balancers: vec![LoadBalancer {
            arn: "lb".to_owned(),
            nodes: nodes
                .iter()
                .map(|node| NodeAddress {
                    zone: "a".to_owned(),
                    address: node.ip(),
                })
                .collect(),
            listeners: vec![Listener {
                arn: "listener".to_owned(),
                port: nodes[0].port(),
                rules: vec![Rule {
                    arn: "default".to_owned(),
                    conditions: Vec::new(),
                    action: forward(&[("blue", 1)]),
                    sticky: None,
                }],
            }],
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3_600),
        }],
        target_groups: vec![Arc::new(group("blue"))],
    }
}

impl World {
    async fn new(knobs: Knobs) -> Self {
        Self::seeded(knobs, SEED).await
    }

    async fn seeded(knobs: Knobs, seed: u64) -> Self {
        let surroundings = (Net::memory(), Clock::stepped());
        let topology = topology_with(&[node(1), node(2)]);
        Self::within(surroundings, knobs, seed, topology).await
    }

    async fn within(
        (net, clock): (Net, Clock),
        knobs: Knobs,
        seed: u64,
        topology: Topology,
    ) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(topology));
        let (health, reports) = mpsc::channel(1_000);
        let oracle = Oracle::new(clock.clone(), receiver.clone());
        let balancer = Balancer::spawn(
            net.clone(),
            clock.clone(),
            seed,
            knobs,
            receiver,
            health,
            oracle.clone(),
        );
        clock.sleep(Duration::from_millis(10)).await;
        Self {
            net,
            clock,
            topology: sender,
            reports,
            oracle,
            _balancer: balancer,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Topology)) {
        self.topology.send_modify(|published| {
            let topology = Arc::make_mut(published);
            topology.version += 1;
            change(topology);
        });
    }

    fn register(&self, group: usize, number: u8, address: SocketAddr) {
        self.change(|topology| {
            Arc::make_mut(&mut topology.target_groups[group])
                .targets
                .push(Target {
                    key: key(number),
                    life: 1,
                    address,
                    zone: "a".to_owned(),
                    phase: TargetPhase::Active,
                });
        });
    }

    fn set_phase(&self, number: u8, phase: TargetPhase) {
        self.change(|topology| {
            for group in &mut topology.target_groups {
                for target in &mut Arc::make_mut(group).targets {
                    if target.key == key(number) {
                        target.phase = phase;
                    }
                }
            }
        });
    }

    /// Registers a draining target again.
    fn undrain(&self, number: u8) {
        self.change(|topology| {
            for group in &mut topology.target_groups {
                for target in &mut Arc::make_mut(group).targets {
                    if target.key == key(number) {
                        target.phase = TargetPhase::Active;
                        target.life += 1;
                    }
                }
            }
        });
    }

    /// Deregisters a target with this delay in seconds; returns when the delay ends.
    fn drain(&self, number: u8, delay: i64) -> Timestamp {
        let until = self.clock.now() + SignedDuration::from_secs(delay);
        self.set_phase(number, TargetPhase::Draining { until });
        until
    }

    fn remove(&self, number: u8) {
        self.change(|topology| {
            for group in &mut topology.target_groups {
                Arc::make_mut(group)
                    .targets
                    .retain(|target| target.key != key(number));
            }
        });
    }

    /// Starts an application on a host of its own.
    fn start_app(&self, number: u8, config: app::Config) -> Application {
        let (signals, receiver) = mpsc::channel(1);
        let config = app::Config {
            startup: Duration::ZERO,
            ..config
        };
        let (net, clock) = (self.net.clone(), self.clock.clone());
        let running = tokio::spawn(app::serve(net, clock, config, host(number), receiver));
        Application { signals, running }
    }

    /// Starts an application, registers it and waits until all nodes found it healthy.
    async fn healthy_app(&self, number: u8) -> Application {
        let application = self.start_app(number, app::Config::default());
        self.register(0, number, host(number));
        self.seconds(11.0).await;
        application
    }

    async fn seconds(&self, seconds: f64) {
        self.clock.sleep(Duration::from_secs_f64(seconds)).await;
    }

    async fn client(&self, node: SocketAddr) -> Client {
        let stream = self.net.connect(None, node).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        Client {
            sender,
            clock: self.clock.clone(),
            _driver: Task::spawn(async move {
                let _ = connection.await;
            }),
        }
    }

    /// One request on a connection of its own.
    async fn get(&self, node: SocketAddr, path: &str) -> Answer {
        self.client(node).await.get(path).await
    }

    /// One request in the background.
    async fn get_later(&self, node: SocketAddr, path: &'static str) -> JoinHandle<Answer> {
        let mut client = self.client(node).await;
        let request = tokio::spawn(async move { client.get(path).await });
        self.seconds(0.01).await;
        request
    }

    fn reports(&mut self) -> Vec<HealthReport> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }
}

struct Application {
    signals: mpsc::Sender<app::Signal>,
    running: JoinHandle<Result<app::Exit, app::ServeError>>,
}

impl Application {
    async fn terminate(&self) {
        self.signals.send(app::Signal::Terminate).await.unwrap();
        tokio::task::yield_now().await;
    }
}

struct Client {
    sender: SendRequest<Empty<Bytes>>,
    clock: Clock,
    _driver: Task,
}

/// What a client got; the body is `None` where it was broken off.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Option<String>,
    ended: Timestamp,
}

impl Client {
    async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path).header("host", "www.example.com:80");
        self.send(request.body(Empty::new()).unwrap()).await
    }

    async fn send(&mut self, request: Request<Empty<Bytes>>) -> Answer {
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok().map(|body| body.to_bytes());
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.map(|body| String::from_utf8(body.to_vec()).unwrap()),
            ended: self.clock.now(),
        }
    }
}

/// Asserts that two times are as near as timers can be.
#[track_caller]
fn assert_at(actual: Timestamp, expected: Timestamp) {
    let apart = actual.duration_since(expected).as_secs_f64();
    assert!((-0.001..0.003).contains(&apart), "{apart} s apart");
}

/// Accepts connections and does the same with each.
fn scripted<F>(net: &Net, at: SocketAddr, serve: impl Fn(Stream) -> F + Send + 'static) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let net = net.clone();
    Task::spawn(async move {
        let mut listener = net.listen(at).await.unwrap();
        loop {
            let stream = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    })
}
