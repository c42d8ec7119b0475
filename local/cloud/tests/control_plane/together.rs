//! Both planes at once, in memory and in virtual time.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bluegreen_cloud::{
    Cloud, Config, Hostility,
    balancer::{Balancer, Knobs},
    hosts::{
        Halt, Host, MemoryHost, MemoryHosts, StartUnit, StopUnit,
        words::{Started, Stopped},
    },
    oracle::Oracle,
    scene::{Plan, Scene},
};
use bluegreen_net::{Clock, Net};
use futures::{FutureExt, future::BoxFuture};
use http_body_util::Empty;
use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::Notify;

/// Starts a web server in memory; it ends when the instance is stopped by force, and by nothing
/// else.
struct Serving {
    net: Net,
    killed: Arc<Notify>,
}

impl MemoryHost for Serving {
    fn start(&self, host: Host, unit: StartUnit) -> BoxFuture<'static, Started> {
        let (net, killed) = (self.net.clone(), Arc::clone(&self.killed));
        async move {
            let at = SocketAddr::new(host.address, unit.port);
            let mut listener = net.listen(at).await.unwrap();
            tokio::spawn(async move {
                loop {
                    let accepted = tokio::select! {
                        accepted = listener.accept() => accepted,
                        () = killed.notified() => return,
                    };
                    let Ok(stream) = accepted else { return };
                    let answer =
                        |_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) };
                    let connection = http1::Builder::new();
                    tokio::spawn(
                        connection.serve_connection(TokioIo::new(stream), service_fn(answer)),
                    );
                }
            });
            Started::Started
        }
        .boxed()
    }

    fn stop(&self, _: Host, _: StopUnit) -> BoxFuture<'static, Stopped> {
        async { Stopped::Already }.boxed()
    }

    fn halt(&self, _: Host, _: Halt) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

/// Both planes with one host, whose application runs.
struct World {
    cloud: Cloud,
    scene: Scene,
    clock: Clock,
    killed: Arc<Notify>,
    _balancer: Balancer,
}

impl World {
    async fn serving(seed: u64) -> Self {
        let clock = Clock::stepped();
        let (net, killed) = (Net::memory(), Arc::new(Notify::new()));
        let inside = Serving {
            net: net.clone(),
            killed: Arc::clone(&killed),
        };
        let hosts = MemoryHosts::new(clock.clone(), Arc::new(inside));
        let config = Config {
            seed,
            hostility: Hostility {
                stale_probability: 0.0,
                ..Hostility::realistic()
            },
            ..Config::default()
        };
        let cloud = Cloud::new(config, clock.clone(), Arc::new(hosts));
        let scene = cloud.build(&Plan::simple("games", 8080, 1)).unwrap();
        let (topology, reports) = (cloud.topology(), cloud.health_reports());
        let oracle = Oracle::new(clock.clone(), topology.clone());
        let knobs = Knobs::default();
        let balancer = Balancer::spawn(net, clock.clone(), seed, knobs, topology, reports, oracle);
        let start = json!({
            "DocumentName": "BlueGreen-StartUnit",
            "InstanceIds": [scene.hosts[0].id],
            "Parameters": {"unit": ["app.service"], "version": ["1"], "port": ["8080"]},
        });
        cloud.arrange("SendCommand", &start).unwrap();
        clock.sleep(Duration::from_secs(10)).await;
        Self {
            cloud,
            scene,
            clock,
            killed,
            _balancer: balancer,
        }
    }

    fn register(&self) {
        let id = self.scene.hosts[0].id.as_str();
        let group = &self.scene.groups[0];
        self.cloud.register(group, &[(id, 8080)]).unwrap();
    }

    fn deregister(&self) {
        let target = json!({
            "TargetGroupArn": self.scene.groups[0],
            "Targets": [{"Id": self.scene.hosts[0].id, "Port": 8080}],
        });
        self.cloud.arrange("DeregisterTargets", &target).unwrap();
    }

    fn state(&self) -> Option<String> {
        let target = &self.cloud.state()["targetGroups"][0]["targets"][0]["state"];
        target.as_str().map(str::to_owned)
    }

    /// Waits until the target has a state; returns the seconds that it took.
    async fn until(&self, wanted: Option<&str>, seconds: i64) -> f64 {
        let began = self.clock.now();
        while self.state().as_deref() != wanted {
            let passed = self.clock.now().duration_since(began).as_secs();
            let state = self.state();
            assert!(passed < seconds, "still {state:?}, not {wanted:?}");
            self.clock.sleep(Duration::from_millis(500)).await;
        }
        self.clock.now().duration_since(began).as_secs_f64()
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_becomes_healthy_by_real_checks_drains_and_comes_back() {
    let world = World::serving(7).await;
    world.register();
    world.until(Some("healthy"), 120).await;
    world.deregister();
    assert_eq!(world.state().as_deref(), Some("draining"));
    world.clock.sleep(Duration::from_secs(100)).await;
    // The way back of a rollback, once after the nodes have learned of the drain and once before.
    world.register();
    assert_eq!(world.state().as_deref(), Some("initial"));
    world.until(Some("healthy"), 120).await;
    world.deregister();
    world.register();
    assert_eq!(world.state().as_deref(), Some("initial"));
    world.until(Some("healthy"), 120).await;
    world.deregister();
    let drained = world.until(None, 310).await;
    assert!((299.0..301.0).contains(&drained), "{drained}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_that_is_registered_again_is_never_shown_as_healthy() {
    for seed in 0..10 {
        let world = World::serving(seed).await;
        world.register();
        world.until(Some("healthy"), 120).await;
        world.deregister();
        world.killed.notify_waiters();
        world.clock.sleep(Duration::from_secs(seed * 5)).await;
        world.register();
        assert_eq!(world.state().as_deref(), Some("initial"), "seed {seed}");
        for _ in 0..600 {
            world.clock.sleep(Duration::from_secs(1)).await;
            assert_ne!(world.state().as_deref(), Some("healthy"), "seed {seed}");
        }
        assert_eq!(world.state().as_deref(), Some("unhealthy"), "seed {seed}");
    }
}
