//! How much memory the controller has resident with many releases that have nothing to do.
//!
//! ```text
//! cargo bench --bench idle                  # as it is shipped; builds the AWS SDK optimised
//! cargo bench --profile dev --bench idle    # quicker to build; an upper bound
//! ```
//!
//! It starts the embedded registry and the simulated cloud in this process, the controller as a
//! process of its own, creates the releases, waits until every one of them says that its version
//! is live, and reads the controller's resident memory from the operating system. All releases
//! share one target group, so that the call budget does not decide how long it takes.

use std::{
    error::Error,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bluegreen::api::{BlueGreenRelease, Phase, crd};
use bluegreen_cloud::{
    Cloud, Config, Hostility,
    hosts::{
        Halt, Host, MemoryHost, MemoryHosts, StartUnit, StopUnit,
        words::{Started, Stopped},
    },
    scene::Plan,
};
use bluegreen_net::{Clock, Net};
use bluegreen_registry::{Registry, kubeconfig};
use futures::future::{BoxFuture, FutureExt, pending};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::json;

/// How many releases, where no argument says otherwise.
const RELEASES: usize = 1000;

/// How long the controller has to get through all of them.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long it is left alone before it is measured: whatever was needed once is given back by then.
const CALM: Duration = Duration::from_secs(10);

/// Nothing is ever sent to these hosts.
struct Nobody;

impl MemoryHost for Nobody {
    fn start(&self, _: Host, _: StartUnit) -> BoxFuture<'static, Started> {
        pending().boxed()
    }

    fn stop(&self, _: Host, _: StopUnit) -> BoxFuture<'static, Stopped> {
        pending().boxed()
    }

    fn halt(&self, _: Host, _: Halt) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

/// Ends the controller however the benchmark ends.
struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let releases = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(RELEASES);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(measure(releases))
}

async fn measure(releases: usize) -> Result<(), Box<dyn Error>> {
    let clock = Clock::scaled(Timestamp::now(), 1.0);
    let cloud = Cloud::new(
        Config {
            hostility: Hostility::calm(),
            ..Config::default()
        },
        clock.clone(),
        Arc::new(MemoryHosts::new(clock.clone(), Arc::new(Nobody))),
    );
    let scene = cloud.build(&Plan::simple("shop", 8080, 3))?;
    for host in &scene.hosts {
        cloud.register(&scene.groups[0], &[(&host.id, 8080)])?;
    }
    let listener = Net::Tcp.listen(([127, 0, 0, 1], 0).into()).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(bluegreen_cloud::serve(listener, cloud.clone(), pending()));

    let registry = Registry::builder(clock).token("idle").in_memory()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    let folder = std::env::temp_dir().join(format!("bluegreen-idle-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let config = folder.join("kubeconfig");
    std::fs::write(&config, kubeconfig(&server, "idle", "default"))?;
    tokio::spawn(bluegreen_registry::serve(
        listener,
        registry.clone(),
        pending(),
    ));

    let open = Registry::clone(&registry);
    let client = Client::new(Authorized(open), "default");
    create(&client, releases).await?;
    let controller = Controller(
        Command::new(env!("CARGO_BIN_EXE_bluegreen-controller"))
            .args(["--listen", "127.0.0.1:0", "--region", "eu-west-1"])
            .args(["--endpoint-url", &endpoint])
            .env("KUBECONFIG", &config)
            .env("AWS_ACCESS_KEY_ID", "idle")
            .env("AWS_SECRET_ACCESS_KEY", "idle")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()?,
    );
    let measured = until_released(&client, releases).await;
    let resident = memory(controller.0.id(), "VmRSS:");
    let file = memory(controller.0.id(), "RssFile:");
    drop(controller);
    std::fs::remove_dir_all(&folder)?;
    let seconds = measured?;
    println!(
        "{{\"releases\": {releases}, \"residentKiB\": {}, \"ofWhichProgramFileKiB\": {}, \"secondsUntilAllAreReleased\": {seconds:.1}, \"awsCalls\": {}}}",
        resident?,
        file?,
        cloud.ledger(0).len()
    );
    Ok(())
}

async fn create(client: &Client, releases: usize) -> Result<(), Box<dyn Error>> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &crd::definition())
        .await?;
    let api: Api<BlueGreenRelease> = Api::default_namespaced(client.clone());
    for number in 0..releases {
        let release: BlueGreenRelease = serde_json::from_value(json!({
            "apiVersion": "bluegreen.dev/v1alpha1",
            "kind": "BlueGreenRelease",
            "metadata": { "name": format!("shop-{number}") },
            "spec": {
                "version": "1.7.3",
                "adopt": { "version": "1.7.3" },
                "traffic": { "registration": { "targetGroups": [{ "name": "shop" }] } },
                "fleet": { "hosts": {
                    "selector": { "tags": { "app": "shop" } },
                    "ports": [8080],
                    "start": { "document": "BlueGreen-StartUnit", "parameters": {
                        "unit": "shop@{{port}}.service", "version": "{{version}}", "port": "{{port}}",
                    } },
                    "stop": { "unit": "shop@{{port}}.service" },
                } },
            },
        }))?;
        api.create(&PostParams::default(), &release).await?;
    }
    Ok(())
}

async fn until_released(client: &Client, releases: usize) -> Result<f64, Box<dyn Error>> {
    let api: Api<BlueGreenRelease> = Api::default_namespaced(client.clone());
    let began = tokio::time::Instant::now();
    while began.elapsed() < PATIENCE {
        let list = api.list(&ListParams::default()).await?;
        let done = list
            .iter()
            .filter_map(|release| release.status.as_ref())
            .filter(|status| status.phase == Phase::Released)
            .count();
        if done == releases {
            let seconds = began.elapsed().as_secs_f64();
            tokio::time::sleep(CALM).await;
            return Ok(seconds);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err("the controller did not get through the releases in time".into())
}

/// A figure of a process's memory, in KiB.
fn memory(process: u32, name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .ok_or("the operating system does not say how much is resident")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Adds the registry's token to what this process asks it itself.
#[derive(Clone)]
struct Authorized(Registry);

impl<B> tower::Service<http::Request<B>> for Authorized
where
    Registry: tower::Service<http::Request<B>>,
{
    type Response = <Registry as tower::Service<http::Request<B>>>::Response;
    type Error = <Registry as tower::Service<http::Request<B>>>::Error;
    type Future = <Registry as tower::Service<http::Request<B>>>::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let token = http::HeaderValue::from_static("Bearer idle");
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, token);
        self.0.call(request)
    }
}
