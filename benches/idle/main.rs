//! How much memory the controller has resident with many releases that have nothing to do.
//!
//! ```text
//! cargo bench --bench idle                  # as it is shipped; builds the AWS SDK optimised
//! cargo bench --profile dev --bench idle    # quicker to build; the program itself is larger
//! cargo bench --bench idle -- 1 500 2000    # with other numbers of releases
//! ```
//!
//! It starts the embedded registry and the simulated cloud in this process and the controller as a
//! process of its own, so that only the controller is measured. The controller looks at one
//! release and writes its status; the others are made from that, each with the record of a
//! release that ended ([`rest`]), and it is started anew over all of them. When every one of them
//! says that its version is live, the controller's memory is read from the operating system. All
//! releases share one target group, so that the call budget does not decide how long it takes.
//!
//! It fails when a thousand releases or fewer take more than [`BOUND_KIB`] of an optimised build.
//! The pages of an unoptimised program are several times as many and nobody ships it, so there
//! only what the process allocated itself is held to that.

mod rest;

use std::{
    error::Error,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use bluegreen::api::{BlueGreenRelease, BlueGreenReleaseStatus, Phase, crd};
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
    Api, Client, Resource, ResourceExt,
    api::{ListParams, PostParams},
};
use serde::Deserialize;

/// How many releases, where no argument says otherwise: the second shows what one of them takes.
const RELEASES: [usize; 2] = [1, BOUND_RELEASES];

/// What the controller may have resident with [`BOUND_RELEASES`] releases: 40 MB.
const BOUND_KIB: u64 = 40_000_000 / 1024;

/// For how many releases the bound holds.
const BOUND_RELEASES: usize = 1000;

/// How long the controller has to get through all of them.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(500);

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

impl Controller {
    fn start(endpoint: &str, kubeconfig: &Path) -> Result<Self, Box<dyn Error>> {
        let child = Command::new(env!("CARGO_BIN_EXE_bluegreen-controller"))
            .args(["--listen", "127.0.0.1:0", "--region", "eu-west-1"])
            .args(["--endpoint-url", endpoint])
            .env("KUBECONFIG", kubeconfig)
            .env("AWS_ACCESS_KEY_ID", "idle")
            .env("AWS_SECRET_ACCESS_KEY", "idle")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Removes the kubeconfig however the benchmark ends.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What one run came to. Memory is in KiB.
struct Row {
    releases: usize,
    resident: u64,
    anonymous: u64,
    file_backed: u64,
    peak: u64,
    seconds: f64,
    aws_calls: usize,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let asked: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let counts = if asked.is_empty() {
        RELEASES.to_vec()
    } else {
        asked
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    println!(
        "{:>8} {:>12} {:>13} {:>15} {:>8} {:>16} {:>8} {:>9}",
        "releases",
        "resident KiB",
        "anonymous KiB",
        "file-backed KiB",
        "peak KiB",
        "KiB each further",
        "seconds",
        "AWS calls"
    );
    let mut first: Option<Row> = None;
    let mut over = false;
    for releases in counts {
        let row = runtime.block_on(measure(releases))?;
        print(&row, first.as_ref());
        over |= exceeds(&row);
        first.get_or_insert(row);
    }
    if over {
        eprintln!(
            "more than {BOUND_KIB} KiB (40 MB) with {BOUND_RELEASES} releases or fewer: too much"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(row: &Row, first: Option<&Row>) {
    let each = first
        .filter(|first| row.releases > first.releases)
        .map_or_else(
            || "-".to_owned(),
            |first| {
                let more = row.resident as f64 - first.resident as f64;
                format!("{:.1}", more / (row.releases - first.releases) as f64)
            },
        );
    println!(
        "{:>8} {:>12} {:>13} {:>15} {:>8} {each:>16} {:>8.1} {:>9}",
        row.releases,
        row.resident,
        row.anonymous,
        row.file_backed,
        row.peak,
        row.seconds,
        row.aws_calls
    );
}

fn exceeds(row: &Row) -> bool {
    let counted = if cfg!(debug_assertions) {
        row.anonymous
    } else {
        row.resident
    };
    row.releases <= BOUND_RELEASES && counted > BOUND_KIB
}

async fn measure(releases: usize) -> Result<Row, Box<dyn Error>> {
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
    let folder = format!("bluegreen-idle-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(folder));
    std::fs::create_dir_all(&folder.0)?;
    let config = folder.0.join("kubeconfig");
    std::fs::write(&config, kubeconfig(&server, "idle", "default"))?;
    tokio::spawn(bluegreen_registry::serve(
        listener,
        registry.clone(),
        pending(),
    ));

    let client = Client::new(Authorized(registry), "default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions
        .create(&PostParams::default(), &crd::definition())
        .await?;
    let api: Api<BlueGreenRelease> = Api::default_namespaced(client.clone());

    create(&api, "shop-0").await?;
    let controller = Controller::start(&endpoint, &config)?;
    until_released(&client, 1).await?;
    drop(controller);
    let adopted = api.get("shop-0").await?.status.unwrap_or_default();
    let status = rest::after_a_release(&adopted, Timestamp::now())?;
    for number in 1..releases {
        create(&api, &format!("shop-{number}")).await?;
    }
    for release in api.list(&ListParams::default()).await? {
        put(&api, release, status.clone()).await?;
    }

    let calls_before = cloud.ledger(0).len();
    let controller = Controller::start(&endpoint, &config)?;
    let seconds = until_released(&client, releases).await?;
    tokio::time::sleep(CALM).await;
    let process = controller.0.id();
    let row = Row {
        releases,
        resident: memory(process, "VmRSS:")?,
        anonymous: memory(process, "RssAnon:")?,
        file_backed: memory(process, "RssFile:")?,
        peak: memory(process, "VmHWM:")?,
        seconds,
        aws_calls: cloud.ledger(0).len() - calls_before,
    };
    let rested = api.list(&ListParams::default()).await?;
    if let Some(release) = rested.iter().find(|release| !rest::is_full(release)) {
        return Err(format!("the record of {} is not whole", release.name_any()).into());
    }
    Ok(row)
}

async fn create(api: &Api<BlueGreenRelease>, name: &str) -> Result<(), Box<dyn Error>> {
    let params = PostParams {
        field_manager: Some("kubectl-client-side-apply".to_owned()),
        ..PostParams::default()
    };
    api.create(&params, &rest::applied(name)?).await?;
    Ok(())
}

/// Puts a status into a release as the controller does.
async fn put(
    api: &Api<BlueGreenRelease>,
    mut release: BlueGreenRelease,
    status: BlueGreenReleaseStatus,
) -> Result<(), Box<dyn Error>> {
    let name = release.name_any();
    release.status = Some(status);
    let params = PostParams {
        field_manager: Some("bluegreen-controller".to_owned()),
        ..PostParams::default()
    };
    api.replace_status(&name, &params, &release).await?;
    Ok(())
}

/// Waits until the versions of so many releases are live, and says for how many seconds.
async fn until_released(client: &Client, releases: usize) -> Result<f64, Box<dyn Error>> {
    let path = BlueGreenRelease::url_path(&(), Some("default"));
    let began = tokio::time::Instant::now();
    while began.elapsed() < PATIENCE {
        let asked = tokio::time::Instant::now();
        let list: Phases = client
            .request(http::Request::get(&path).body(Vec::new())?)
            .await?;
        let done = list
            .items
            .iter()
            .filter(|item| item.status.phase == Phase::Released)
            .count();
        if done == releases {
            return Ok(began.elapsed().as_secs_f64());
        }
        // The controller is to have most of the machine.
        tokio::time::sleep(LOOK.max(asked.elapsed() * 4)).await;
    }
    Err("the controller did not get through the releases in time".into())
}

/// A list of releases, of which only the phases are read.
#[derive(Deserialize)]
struct Phases {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    status: Standing,
}

#[derive(Deserialize, Default)]
struct Standing {
    phase: Phase,
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
