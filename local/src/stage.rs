//! A stage: the simulated AWS with hosts that run the sample application, and the embedded
//! registry, without a release and without a controller. Everything on it ends with this process.
//!
//! What is done on a stage is done from outside: kubectl or HTTP for the registry, the AWS APIs and
//! `/_sim/` for the cloud, signals for the application.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use bluegreen::api::crd;
use bluegreen_cloud::{
    Cloud, Config, Hostility,
    balancer::{Balancer, Knobs, Propagation},
    hosts::{ProcessHosts, Setup, Unit},
    oracle::Oracle,
    scene::{Plan, Scene},
    serve,
};
use bluegreen_net::{Clock, Net};
use bluegreen_registry::{Registry, kubeconfig};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::mpsc,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    demo,
    error::Error,
    lifeline,
    scenario::{LISTENER_PORT, NAME, PORT, UNIT},
    world::{self, Root, Running},
};

/// The registry's token. The registry listens on loopback, and all that it controls is simulated.
const TOKEN: &str = "stage";

/// The start time of an application that never listens, in seconds: longer than any stage lives.
const NEVER: u32 = 1_000_000;

/// What is on the stage. All times are the stage's.
#[derive(Debug, Clone, clap::Args)]
pub struct StageArgs {
    /// How many hosts there are, spread over two zones. Each runs the first of the versions on port
    /// 8080 and carries the tags `app` and `Version`.
    #[arg(long, default_value_t = 2)]
    hosts: usize,

    /// The versions for which there is an image. An instance of the image ami-VERSION runs it on
    /// port 8080, and one of any other image runs nothing. A version that ends in -silent never
    /// listens, and one that ends in -sick never passes its health check.
    #[arg(long, value_delimiter = ',', default_value = "1.7.3,1.8.0,1.9.0")]
    versions: Vec<String>,

    /// The target group's deregistration delay in seconds.
    #[arg(long, default_value_t = 30)]
    delay: u64,

    /// Between two health checks of one node of the load balancer, in seconds; at least 5.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(5..))]
    check_interval: u64,

    /// Do not register the hosts in the target group.
    #[arg(long)]
    unregistered: bool,

    /// The addresses of hosts and nodes: 256 of them from this one, below 127.0.0.0/8.
    #[arg(long, default_value = "127.31.0.0")]
    network: Ipv4Addr,

    /// Decides what is left to chance: ids and delays.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many times faster than the wall clock the stage runs. A controller that is a process of
    /// its own goes by the wall clock: leave it at 1 for one.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// Builds a stage, says how to reach it as one line of JSON, and keeps it until SIGTERM or SIGINT.
#[must_use]
pub fn main(args: &StageArgs) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = keep(args) => ended,
            interrupted = demo::interrupted() => Err(interrupted),
        }
    });
    match ended {
        Ok(()) | Err(Error::Interrupted) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn keep(args: &StageArgs) -> Result<(), Error> {
    world::remove_leftovers();
    let anchor = Timestamp::now();
    let clock = Clock::scaled(anchor, args.scale);
    let root = Root::new(0)?;
    let running = Running(cloud(args, &clock, anchor, root.path())?);
    let cloud = &running.0;
    let scene = cloud.build(&plan(args)).map_err(Error::Scene)?;
    let socket = root.path().join("lifeline");
    let lifelines = UnixListener::bind(&socket)
        .map_err(Error::machine(format!("listen on {}", socket.display())))?;
    // Only that the lines are held counts here: an application ends when its line does.
    let (signs, _unread) = mpsc::unbounded_channel();
    let following = tokio::spawn(lifeline::listen(lifelines, clock.clone(), signs));
    let _balancer = Balancer::spawn(
        Net::Tcp,
        clock.clone(),
        args.seed,
        knobs(),
        cloud.topology(),
        cloud.health_reports(),
        Oracle::new(clock.clone(), cloud.topology()),
    );
    let listener = Net::Tcp
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .map_err(Error::machine("listen for calls to AWS"))?;
    let endpoint = listener
        .local_addr()
        .map_err(Error::machine("listen for calls to AWS"))?;
    let serving = tokio::spawn(serve(listener, cloud.clone(), std::future::pending()));
    let config = root.path().join("kubeconfig");
    let (registry, answering) = registry(&clock, &config).await?;
    let _tasks = [following, serving, answering].map(AbortOnDropHandle::new);
    if !args.unregistered {
        let targets: Vec<(&str, u16)> = scene
            .hosts
            .iter()
            .map(|host| (host.id.as_str(), PORT))
            .collect();
        cloud
            .register(&scene.groups[0], &targets)
            .map_err(Error::Scene)?;
    }
    let said = json!({
        "endpoint": format!("http://{endpoint}"),
        "region": cloud.config().region,
        "registry": format!("{registry}/token/{TOKEN}"),
        "kubeconfig": config,
        "directory": root.path(),
        "stage": described(&scene),
    });
    let mut output = std::io::stdout();
    writeln!(output, "{said}")
        .and_then(|()| output.flush())
        .map_err(Error::machine("write to standard output"))?;
    std::future::pending().await
}

fn described(scene: &Scene) -> serde_json::Value {
    let hosts = scene.hosts.iter().map(|host| {
        json!({
            "id": host.id,
            "address": host.address,
            "zone": host.zone,
        })
    });
    json!({
        "subnets": scene.subnets,
        "loadBalancer": scene.load_balancer,
        "nodes": scene.nodes,
        "listener": scene.listener,
        "listenerPort": scene.listener_port,
        "targetGroup": scene.groups[0],
        "hosts": hosts.collect::<Vec<_>>(),
    })
}

fn cloud(
    args: &StageArgs,
    clock: &Clock,
    anchor: Timestamp,
    directory: &Path,
) -> Result<Cloud, Error> {
    let program = std::env::current_exe().map_err(Error::machine("find this program"))?;
    let command = format!(
        "'{}' app --lifeline '{}' --address {{{{address}}}}:{{{{port}}}} \
         --app-version {{{{version}}}} --keep-alive 75s --shutdown-timeout 8s \
         $(case {{{{version}}}} in \
         (*-silent) echo --startup {NEVER}s ;; \
         (*-sick) echo --startup 1s --never-healthy ;; \
         (*) echo --startup 1s ;; esac) \
         --clock-anchor {anchor} --clock-scale {}",
        program.display(),
        directory.join("lifeline").display(),
        args.scale,
    );
    let setup = |start| Setup {
        units: vec![Unit {
            name: format!("{NAME}@.service"),
            command: command.clone(),
        }],
        start,
    };
    let images: BTreeMap<String, Setup> = args
        .versions
        .iter()
        .map(|version| {
            let start = vec![(UNIT.to_owned(), version.clone(), PORT)];
            (image(version), setup(start))
        })
        .collect();
    let hosts = ProcessHosts::new(&directory.join("hosts"), clock, images, setup(Vec::new()))
        .map_err(Error::machine("set up the hosts"))?;
    let [first, second, third, _] = args.network.octets();
    let config = Config {
        seed: args.seed,
        hostility: Hostility::calm(),
        instance_addresses: Ipv4Addr::new(first, second, third, 0),
        node_addresses: Ipv4Addr::new(first, second, third, 128),
        ..Config::default()
    };
    Ok(Cloud::new(config, clock.clone(), Arc::new(hosts)))
}

/// Nodes learn a change within two seconds.
fn knobs() -> Knobs {
    let longest = Duration::from_secs(2);
    Knobs {
        propagation: Propagation {
            shortest: Duration::from_millis(50),
            longest,
            tail_probability: 0.0,
            tail: longest,
        },
        ..Knobs::default()
    }
}

fn image(version: &str) -> String {
    format!("ami-{version}")
}

fn plan(args: &StageArgs) -> Plan {
    let mut plan = Plan::simple(NAME, PORT, args.hosts);
    plan.listener_port = LISTENER_PORT;
    for group in &mut plan.groups {
        "/health".clone_into(&mut group.check_path);
        group.check_interval = Duration::from_secs(args.check_interval);
        group.deregistration_delay = Duration::from_secs(args.delay);
    }
    if let Some(version) = args.versions.first() {
        for host in &mut plan.hosts {
            host.image = image(version);
            host.tags.insert("Version".to_owned(), version.clone());
        }
    }
    plan
}

/// Serves a registry that knows the resource, and writes a kubeconfig for it; its address, and its
/// task.
async fn registry(
    clock: &Clock,
    config: &Path,
) -> Result<(String, tokio::task::JoinHandle<()>), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Registry(error.to_string());
    let registry = Registry::builder(clock.clone())
        .token(TOKEN)
        .in_memory()
        .map_err(|error| failed(&error))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(Error::machine("listen for the registry"))?;
    let address = listener
        .local_addr()
        .map_err(Error::machine("listen for the registry"))?;
    let answering = tokio::spawn(async move {
        let serving = bluegreen_registry::serve(listener, registry, std::future::pending());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the registry ended");
        }
    });
    let server = format!("http://{address}");
    let text = kubeconfig(&server, TOKEN, "default");
    fs::write(config, &text).map_err(Error::machine(format!("write {}", config.display())))?;
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| failed(&error))?;
    let options = KubeConfigOptions::default();
    let client = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| failed(&error))?;
    let client = Client::try_from(client).map_err(|error| failed(&error))?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    definitions
        .create(&PostParams::default(), &crd::definition())
        .await
        .map_err(|error| failed(&error))?;
    Ok((server, answering))
}
