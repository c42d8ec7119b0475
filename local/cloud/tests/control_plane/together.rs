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
    scene::Plan,
};
use bluegreen_net::{Clock, Net};
use futures::{FutureExt, future::BoxFuture};
use http_body_util::Empty;
use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

/// Starts a web server in memory; it never stops.
struct Serving(Net);

impl MemoryHost for Serving {
    fn start(&self, host: Host, unit: StartUnit) -> BoxFuture<'static, Started> {
        let net = self.0.clone();
        async move {
            let at = SocketAddr::new(host.address, unit.port);
            let mut listener = net.listen(at).await.unwrap();
            tokio::spawn(async move {
                while let Ok(stream) = listener.accept().await {
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

#[tokio::test(start_paused = true)]
async fn a_target_becomes_healthy_by_real_checks_drains_and_comes_back() {
    let clock = Clock::stepped();
    let net = Net::memory();
    let hosts = MemoryHosts::new(clock.clone(), Arc::new(Serving(net.clone())));
    let config = Config {
        hostility: Hostility {
            stale_probability: 0.0,
            ..Hostility::realistic()
        },
        ..Config::default()
    };
    let cloud = Cloud::new(config, clock.clone(), Arc::new(hosts));
    let scene = cloud.build(&Plan::simple("games", 8080, 1)).unwrap();
    let topology = cloud.topology();
    let oracle = Oracle::new(clock.clone(), topology.clone());
    let reports = cloud.health_reports();
    let balancer = Balancer::spawn(
        net,
        clock.clone(),
        7,
        Knobs::default(),
        topology,
        reports,
        oracle,
    );
    let state = || {
        let target = &cloud.state()["targetGroups"][0]["targets"][0]["state"];
        target.as_str().map(str::to_owned)
    };
    let until = async |wanted: Option<&str>, seconds: u64| {
        let began = clock.now();
        while state().as_deref() != wanted {
            let passed = clock.now().duration_since(began).as_secs();
            assert!(
                passed < i64::try_from(seconds).unwrap(),
                "still {:?}, not {wanted:?}",
                state()
            );
            clock.sleep(Duration::from_millis(500)).await;
        }
        clock.now().duration_since(began).as_secs_f64()
    };
    let id = scene.hosts[0].id.as_str();
    let start = json!({
        "DocumentName": "BlueGreen-StartUnit",
        "InstanceIds": [id],
        "Parameters": {"unit": ["app.service"], "version": ["1"], "port": ["8080"]},
    });
    cloud.arrange("SendCommand", &start).unwrap();
    clock.sleep(Duration::from_secs(10)).await;
    cloud.register(&scene.groups[0], &[(id, 8080)]).unwrap();
    until(Some("healthy"), 120).await;
    let target: Value =
        json!({"TargetGroupArn": scene.groups[0], "Targets": [{"Id": id, "Port": 8080}]});
    cloud.arrange("DeregisterTargets", &target).unwrap();
    assert_eq!(state().as_deref(), Some("draining"));
    clock.sleep(Duration::from_secs(100)).await;
    // The way back of a rollback, once after the nodes have learned of the drain and once before.
    cloud.register(&scene.groups[0], &[(id, 8080)]).unwrap();
    assert_eq!(state().as_deref(), Some("initial"));
    until(Some("healthy"), 120).await;
    cloud.arrange("DeregisterTargets", &target).unwrap();
    cloud.register(&scene.groups[0], &[(id, 8080)]).unwrap();
    until(Some("healthy"), 120).await;
    cloud.arrange("DeregisterTargets", &target).unwrap();
    let drained = until(None, 310).await;
    assert!((299.0..301.0).contains(&drained), "{drained}");
    drop(balancer);
}
