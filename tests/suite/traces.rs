//! The controller as a process that sends traces: what arrives, and what it does without.

#[path = "../../src/telemetry/tests/receiver.rs"]
#[allow(dead_code, reason = "the tests of the library use all of it")]
mod receiver;

use std::{
    fs::{self, File},
    future::pending,
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bluegreen::api::{BlueGreenRelease, crd};
use bluegreen_net::Clock;
use bluegreen_registry::{Registry, kubeconfig};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use receiver::{Manner, Receiver};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::task::AbortOnDropHandle;

/// How long the controller has for whatever must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// The lease that the controller holds where it is told nothing.
const LEASE: &str = "bluegreen-controller";

const RELEASE: &str = include_str!("../../examples/snackgame-hosts.yaml");

/// An API server with one release, for a controller that finds no AWS.
struct Cluster {
    client: Client,
    folder: PathBuf,
    nobody: Nobody,
    _serving: AbortOnDropHandle<()>,
}

impl Cluster {
    async fn start() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        // The client wants to know it, although it makes no connection with TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::scaled(Timestamp::now(), 1.0);
        let registry = Registry::builder(clock)
            .token("traces")
            .in_memory()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let _ = bluegreen_registry::serve(listener, registry, pending()).await;
        });
        let config = kubeconfig(&server, "traces", "default");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("bluegreen-traces-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kubeconfig"), &config).unwrap();
        let config = Kubeconfig::from_yaml(&config).unwrap();
        let whole = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(config, &whole)
            .await
            .unwrap();
        let client = Client::try_from(config).unwrap();
        let cluster = Self {
            client,
            folder,
            nobody: Nobody::there(),
            _serving: AbortOnDropHandle::new(serving),
        };
        cluster.fill().await;
        cluster
    }

    async fn fill(&self) {
        let new = Default::default();
        let definitions = Api::all(self.client.clone());
        definitions.create(&new, &crd::definition()).await.unwrap();
        let mut release: BlueGreenRelease = serde_norway::from_str(RELEASE).unwrap();
        release.metadata.namespace = None;
        self.releases().create(&new, &release).await.unwrap();
        // Nobody has held this lease, but it is no new one, after which a leader would wait.
        let mut lease = Lease::default();
        lease.metadata.name = Some(LEASE.to_owned());
        self.leases().create(&new, &lease).await.unwrap();
    }

    fn leases(&self) -> Api<Lease> {
        Api::default_namespaced(self.client.clone())
    }

    fn releases(&self) -> Api<BlueGreenRelease> {
        Api::default_namespaced(self.client.clone())
    }

    fn controller(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bluegreen-controller"));
        command
            .env_clear()
            .args(["--listen", "127.0.0.1:0", "--region", "eu-west-1"])
            .args(["--endpoint-url", &self.nobody.url])
            .args(["--instance", "pod-1"])
            .env("KUBECONFIG", self.folder.join("kubeconfig"))
            .env("AWS_ACCESS_KEY_ID", "traces")
            .env("AWS_SECRET_ACCESS_KEY", "traces")
            .stdin(Stdio::null());
        command
    }

    /// Starts a controller, and waits until it has made a pass.
    async fn run(&self, command: &mut Command) -> Running {
        let log = self.folder.join("log");
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let running = Running { child, log };
        let releases = self.releases();
        until("it has written no status", || async {
            let list = releases.list(&Default::default()).await.unwrap();
            let release = &list.items[0];
            let seen = release
                .status
                .as_ref()
                .and_then(|it| it.observed_generation);
            // Before that it has what the schema gives, which is of no generation.
            seen == release.metadata.generation
        })
        .await;
        running
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A controller, which ends however the test ends.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn terminate(&self) {
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::TERM).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        let gone = || async { child.borrow_mut().try_wait().unwrap().is_some() };
        until("it does not end", gone).await;
        self.child.wait().unwrap()
    }

    /// Whether it has the thread that sends.
    fn sends(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut names =
            threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name.starts_with("OpenTelemetry")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let holds = async {
        while !holds().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, holds).await;
    assert!(held.is_ok(), "{what}");
}

/// A port on which nobody listens, and which nobody else can get.
struct Nobody {
    url: String,
    _bound: TcpSocket,
}

impl Nobody {
    fn there() -> Self {
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            url: format!("http://{}", bound.local_addr().unwrap()),
            _bound: bound,
        }
    }
}

#[tokio::test]
async fn spans_arrive_and_the_last_ones_delay_no_handover() {
    let receiver = Receiver::start().await;
    receiver.behaves(Manner::Withholds);
    let cluster = Cluster::start().await;
    let mut controller = cluster.controller();
    controller
        .args(["--otlp-endpoint", &receiver.url()])
        // Nothing is sent before the end.
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut controller = cluster.run(&mut controller).await;
    assert!(controller.sends());
    assert_eq!(receiver.requests(), 0, "{}", controller.log());

    controller.terminate();
    let is = |name| move |span: &receiver::Arrived| span.name == name;
    let write = receiver.until(is("writing the status")).await;
    // It waits for an answer now, and the lease is nobody's already.
    let lease = cluster.leases().get(LEASE).await.unwrap();
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    assert_eq!(holder.as_deref(), Some(""), "{}", controller.log());
    receiver.behaves(Manner::Takes);
    assert!(controller.ended().await.success(), "{}", controller.log());

    let pass = receiver
        .until(|span| span.name == "pass" && span.id == write.parent)
        .await;
    assert_eq!(pass.attributes["release"], "default/snackgame");
    assert_eq!(pass.resource["service.name"], "bluegreen-controller");
    assert_eq!(pass.resource["service.instance.id"], "pod-1");
    let request = receiver.until(is("ec2:DescribeInstances")).await;
    assert_eq!(request.attributes["result"], "unavailable");
}

#[tokio::test]
async fn without_a_collector_it_works_and_says_so_once() {
    let cluster = Cluster::start().await;
    let mut controller = cluster.controller();
    controller
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &cluster.nobody.url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "10");
    let mut controller = cluster.run(&mut controller).await;
    let said = "traces cannot be delivered to http://127.0.0.1:";
    until("it says nothing", || async {
        controller.log().contains(said)
    })
    .await;
    controller.terminate();
    assert!(controller.ended().await.success(), "{}", controller.log());
    let log = controller.log();
    assert_eq!(log.matches("traces cannot be").count(), 1, "{log}");
}

#[tokio::test]
async fn nothing_of_it_runs_where_no_collector_is_named() {
    let cluster = Cluster::start().await;
    let mut controller = cluster.controller();
    // Empty is none: OpenTelemetry's rule for its variables.
    controller.env("OTEL_EXPORTER_OTLP_ENDPOINT", "");
    let controller = cluster.run(&mut controller).await;
    assert!(!controller.sends());
}

/// What is not JSON, a program that reads the log passes over.
#[tokio::test]
async fn each_line_of_its_log_is_json_where_that_is_asked_for() {
    let cluster = Cluster::start().await;
    let mut controller = cluster.controller();
    controller.args(["--log-format", "json"]);
    let mut controller = cluster.run(&mut controller).await;
    controller.terminate();
    assert!(controller.ended().await.success(), "{}", controller.log());
    let log = controller.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    for line in &lines {
        assert!(text(&line["level"]), "{line}");
        assert!(text(&line["fields"]["message"]), "{line}");
        assert!(text(&line["timestamp"]), "{line}");
    }
    // A pass that cannot read AWS writes a status, which is a line.
    let of_the_release = |line: &Value| line["span"]["release"] == "default/snackgame";
    assert!(lines.iter().any(of_the_release), "{log}");
}
