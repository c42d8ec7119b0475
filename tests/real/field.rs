//! A field to release on: a simulated AWS with hosts whose processes are real, under load, and
//! controllers that are processes too, on a real API server, in real time.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use bluegreen::api::{BlueGreenRelease, BlueGreenReleaseStatus, Phase, crd};
use bluegreen_app::load::{Mix, RequestClass};
use bluegreen_cloud::{
    Hostility,
    balancer::{Knobs, Propagation},
    change::{self, Change},
};
use bluegreen_local::{
    scenario::{NAME, OLD_VERSION, Scenario},
    world::World,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, api::PostParams};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{
    Real,
    helm::RELEASE,
    process::Process,
    servers::{Cluster, free_port},
    tools::{command, run, word},
};

/// How long a release may take here. It needs half a minute, and as long again for each leader
/// that is lost.
const RELEASED: Duration = Duration::from_secs(300);

/// How long to wait for what should come about within seconds.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// How often to look.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// How long a lease lasts here: as short as it may be.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// The version to be released.
pub(crate) const NEW_VERSION: &str = "1.8.0";

/// What no version may be called.
const UNFIT_VERSION: &str = "1 8 0";

/// The name of the resource's definition.
pub(crate) const DEFINITION: &str = "bluegreenreleases.bluegreen.dev";

/// The release's manifest, with times as short as the field is quick.
pub(crate) fn manifest(namespace: &str, version: &str) -> Value {
    let unit = format!("{NAME}@{{{{port}}}}.service");
    json!({
        "apiVersion": "bluegreen.dev/v1alpha1",
        "kind": "BlueGreenRelease",
        "metadata": { "name": NAME, "namespace": namespace },
        "spec": {
            "version": version,
            "adopt": { "version": OLD_VERSION },
            "traffic": { "registration": { "targetGroups": [{ "name": NAME }] } },
            "fleet": { "hosts": {
                "selector": { "tags": { "app": NAME } },
                "ports": [8080],
                "start": { "document": "BlueGreen-StartUnit", "parameters": {
                    "unit": unit,
                    "version": "{{version}}",
                    "port": "{{port}}",
                    "revision": "{{revision}}",
                    "fence": "{{fence}}",
                } },
                "stop": { "unit": unit },
            } },
            "health": { "consecutive": 2, "stableFor": "1s" },
            "drain": {
                "settle": "3s",
                "inFlight": {
                    "http": {
                        "inFlight": { "path": "/drain", "pointer": "/inFlight" },
                        "served": { "path": "/drain", "pointer": "/served" },
                    },
                    "quietFor": "1s",
                },
                "earlyFinish": true,
            },
            "stop": { "gracePeriod": "10s" },
        },
    })
}

/// Two hosts; nothing lags for longer than settle, so that a release is half a minute.
fn scenario() -> Scenario {
    Scenario {
        hosts: 2,
        hostility: Hostility::calm(),
        knobs: Knobs {
            propagation: Propagation {
                shortest: Duration::from_millis(50),
                longest: Duration::from_secs(2),
                tail_probability: 0.0,
                tail: Duration::from_secs(2),
            },
            ..Knobs::default()
        },
        startup: Duration::from_millis(500),
        check_interval: Duration::from_secs(5),
        deregistration_delay: Duration::from_secs(10),
        shutdown_timeout: Duration::from_secs(8),
        grace_period: Duration::from_secs(10),
        keep_alive_clients: 2,
        new_connection_clients: 1,
        arrivals_per_second: 3.0,
        mix: Mix {
            classes: vec![
                RequestClass::new(0.9, 20, 200),
                RequestClass::new(0.1, 500, 4_000),
            ],
        },
        warm_up: Duration::ZERO,
        cool_down: Duration::ZERO,
    }
}

/// Makes the resource known to a cluster.
pub(crate) async fn define(cluster: &Cluster) {
    // A plain POST: the old server drops the CEL rules from it, and refuses to apply them.
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client().await);
    definitions
        .create(&PostParams::default(), &crd::definition())
        .await
        .unwrap();
    cluster.established(DEFINITION).await;
}

/// Changes the schema of the resource, and gives it as it was.
pub(crate) async fn redefine(cluster: &Cluster, change: impl FnOnce(&mut Value)) -> Value {
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client().await);
    let definition = definitions.get(DEFINITION).await.unwrap();
    let mut definition = serde_json::to_value(&definition).unwrap();
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let was = schema.clone();
    change(schema);
    let definition = serde_json::from_value(definition).unwrap();
    definitions
        .replace(DEFINITION, &PostParams::default(), &definition)
        .await
        .unwrap();
    was
}

/// Where a controller works.
pub(crate) enum Place {
    /// In the field's namespace, where its lease is too.
    Here,
    /// In the field's namespace, with its lease in this one.
    HereLed {
        /// The lease's namespace.
        lease: String,
    },
    /// In all namespaces, with its lease in this one.
    Everywhere {
        /// The lease's namespace.
        lease: String,
    },
    /// In the field's namespace, without a lease.
    Unled,
}

/// A field: its release has a namespace of its own.
pub(crate) struct Field {
    pub(crate) world: World,
    pub(crate) namespace: String,
    releases: Api<BlueGreenRelease>,
}

impl Field {
    /// `number`, below 8, tells fields apart that are there at the same time.
    pub(crate) async fn build(cluster: &Cluster, namespace: &str, seed: u64, number: u8) -> Self {
        let world = World::build(&scenario(), seed, 1.0, number).await.unwrap();
        cluster.namespace(namespace).await;
        let client: Client = cluster.client().await;
        Self {
            world,
            namespace: namespace.to_owned(),
            releases: Api::namespaced(client, namespace),
        }
    }

    /// Applies the release with kubectl.
    pub(crate) async fn apply(&self, cluster: &Cluster, version: &str) {
        let file = cluster.folder().join(format!("{}.json", self.namespace));
        std::fs::write(&file, manifest(&self.namespace, version).to_string()).unwrap();
        let file = file.display().to_string();
        run(&mut cluster.kubectl(&["apply", "-f", &file]))
            .await
            .good();
    }

    /// A kubeconfig of the chart's service account, with the rights that the chart gives it where
    /// this namespace is the only one that it watches.
    pub(crate) async fn account(&self, real: &Real, cluster: &Cluster) -> PathBuf {
        self.account_at(real, cluster, cluster.port()).await
    }

    /// The same, for the server behind another port.
    pub(crate) async fn account_at(&self, real: &Real, cluster: &Cluster, port: u16) -> PathBuf {
        let namespace = &self.namespace;
        let chart = real.tools.project.join("charts/bluegreen-controller");
        let template = [
            "template",
            RELEASE,
            word(&chart),
            &format!("--namespace={namespace}"),
            &format!("--set=watchNamespace={namespace}"),
            "--show-only=templates/serviceaccount.yaml",
            "--show-only=templates/rbac.yaml",
        ];
        let objects = run(&mut cluster.helm(&template)).await.good();
        let file = cluster.folder().join(format!("{namespace}.account.yaml"));
        std::fs::write(&file, objects).unwrap();
        let create = ["create", "--filename", word(&file)];
        run(&mut cluster.kubectl(&create)).await.good();
        let token = cluster.token(namespace, RELEASE).await;
        cluster.kubeconfig_at(namespace, &token, port)
    }

    /// Starts a controller for this field alone. `who` is its name in the lease and in the ledger.
    pub(crate) fn controller(&self, real: &Real, kubeconfig: &Path, who: &str) -> Controller {
        self.controller_at(real, kubeconfig, who, &Place::Here)
    }

    pub(crate) fn controller_at(
        &self,
        real: &Real,
        kubeconfig: &Path,
        who: &str,
        place: &Place,
    ) -> Controller {
        let port = free_port();
        let region = self.world.cloud.config().region.clone();
        let mut program = command(&real.tools.controller);
        let log = real
            .folder
            .path()
            .join(format!("{}-{who}.log", self.namespace));
        program
            .args(match place {
                Place::Here => vec![
                    format!("--namespace={}", self.namespace),
                    format!("--lease-namespace={}", self.namespace),
                ],
                Place::HereLed { lease } => vec![
                    format!("--namespace={}", self.namespace),
                    format!("--lease-namespace={lease}"),
                ],
                Place::Everywhere { lease } => vec![format!("--lease-namespace={lease}")],
                Place::Unled => vec![
                    format!("--namespace={}", self.namespace),
                    "--leader-election=false".to_owned(),
                ],
            })
            .args([
                &format!("--lease-duration={}s", LEASE.as_secs()),
                &format!("--listen=127.0.0.1:{port}"),
                &format!("--region={region}"),
                "--probe-cidrs=127.0.0.0/8",
                &format!("--endpoint-url={}", self.world.endpoint),
            ])
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", who)
            .env("AWS_ACCESS_KEY_ID", who)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        Controller {
            who: who.to_owned(),
            port,
            process: Process::start(who, &log, &mut program),
        }
    }

    /// Makes two objects beside the release: `broken`, that no version understands, and `unfit`,
    /// whose version has a sign that none may have. The definition refuses both, so it is another
    /// one for a moment, as an old one would be.
    pub(crate) async fn break_two(&self, cluster: &Cluster) {
        let strict = redefine(cluster, |schema| {
            *schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        })
        .await;
        let mut broken = manifest(&self.namespace, NEW_VERSION);
        broken["metadata"]["name"] = json!("broken");
        broken["spec"] = json!({ "version": 7 });
        let mut unfit = manifest(&self.namespace, UNFIT_VERSION);
        unfit["metadata"]["name"] = json!("unfit");
        // It must not claim the targets of the release.
        unfit["spec"]["fleet"]["hosts"]["selector"]["tags"] = json!({ "app": "unfit" });
        let file = cluster.folder().join("broken.json");
        let both = json!({ "apiVersion": "v1", "kind": "List", "items": [broken, unfit] });
        std::fs::write(&file, both.to_string()).unwrap();
        let create = [
            "apply",
            "--validate=false",
            "-f",
            &file.display().to_string(),
        ];
        // The server takes a moment to know the new definition.
        let began = Instant::now();
        while !run(&mut cluster.kubectl(&create)).await.ok {
            assert!(began.elapsed() < RELEASED, "it is never taken");
        }
        redefine(cluster, |schema| *schema = strict).await;
    }

    /// What the status says; nothing, while the server cannot be asked.
    pub(crate) async fn status(&self) -> Option<BlueGreenReleaseStatus> {
        self.releases.get(NAME).await.ok()?.status
    }

    /// Waits until a version is live and nothing is left to do.
    ///
    /// # Panics
    /// When it takes too long.
    pub(crate) async fn until_released(&self, version: &str) {
        let began = Instant::now();
        loop {
            let status = self.status().await.unwrap_or_default();
            let live = status
                .blue
                .as_ref()
                .and_then(|blue| blue.version.as_deref());
            if status.phase == Phase::Released && live == Some(version) {
                return;
            }
            assert!(
                began.elapsed() < RELEASED,
                "not released after {RELEASED:?}: {} {}",
                status.phase.as_str(),
                status.message
            );
            sleep(LOOK * 10).await;
        }
    }

    /// The changes that were made in AWS by anybody, except for how the field was built.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let calls = self.world.cloud.ledger(0);
        let effective = calls.iter().filter(|call| call.effective);
        effective.filter_map(Change::of).collect()
    }

    /// What was done more than once.
    pub(crate) fn doubled(&self) -> Vec<String> {
        change::doubled(&self.changes())
    }

    /// Ends the load and the field.
    ///
    /// # Panics
    /// When a request was not served.
    pub(crate) async fn close(self) -> u64 {
        let failures = self.world.oracle.summary().failures;
        let report = self.world.close().await;
        let totals = report.totals;
        assert_eq!(
            (totals.failed, totals.unfinished),
            (0, 0),
            "of {} requests failed {}: {:?} {:?} {failures:#?}",
            totals.sent,
            totals.failed,
            totals.by_status,
            totals.by_transport_error,
        );
        totals.served
    }
}

/// A controller's process.
pub(crate) struct Controller {
    pub(crate) who: String,
    pub(crate) port: u16,
    process: Process,
}

impl Controller {
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends a signal that ends it, and waits for that.
    pub(crate) async fn end(&mut self, signal: Signal) -> ExitStatus {
        self.process.end(signal).await
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// What it says of its readiness; nothing, while it does not listen.
    pub(crate) async fn readiness(&self) -> String {
        self.page("/readyz").await
    }

    /// How many passes had this result.
    pub(crate) async fn passes(&self, result: &str) -> u64 {
        let series = format!("bluegreen_reconciles_total{{result=\"{result}\"}} ");
        let page = self.page("/metrics").await;
        let value = page.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0, |value| {
            value.parse().expect("a counter is a whole number")
        })
    }

    /// A page that it serves; nothing, while it does not listen.
    async fn page(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await else {
            return String::new();
        };
        let mut answer = String::new();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        if stream.write_all(request.as_bytes()).await.is_ok() {
            // A connection that breaks has said nothing, too.
            let _ = stream.read_to_string(&mut answer).await;
        }
        let body = answer.split_once("\r\n\r\n");
        body.map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Waits until what it says of its readiness has these words; all that it says.
    ///
    /// # Panics
    /// When it takes too long.
    pub(crate) async fn until_ready_says(&self, words: &str) -> String {
        let began = Instant::now();
        loop {
            let text = self.readiness().await;
            if text.contains(words) {
                return text;
            }
            assert!(
                began.elapsed() < SOON,
                "/readyz says {text}, not {words}\n{}",
                self.log()
            );
            sleep(LOOK).await;
        }
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}
