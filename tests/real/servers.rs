//! A Kubernetes API server with its etcd, on loopback, each a process of its own that can be
//! stopped and started, halted and continued.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use kube::{Client, Config, config::Kubeconfig};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    Real,
    process::{AGAIN, Process, READY},
    report::{Side, Suite},
    tools::{self, command},
};

/// A Kubernetes API server with its etcd. Dropping it ends both.
pub(crate) struct Cluster {
    folder: PathBuf,
    apiserver: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
    etcd: Process,
    api: Process,
    etcd_port: u16,
    port: u16,
}

/// The administrator's token; the server listens on loopback and ends with the test.
const ADMIN: &str = "administrator";

impl Cluster {
    /// Starts both and waits until they are ready.
    pub(crate) async fn start(real: &Real) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = real.folder.path().join(format!("cluster-{number}"));
        fs::create_dir_all(folder.join("certificates")).unwrap();
        prepare(&folder).await;
        let (etcd_port, peer_port, port) = (free_port(), free_port(), free_port());
        let etcd = start_etcd(real, &folder, etcd_port, peer_port);
        let mut cluster = Self {
            apiserver: real.tools.apiserver.clone(),
            kubectl: real.tools.kubectl.clone(),
            helm: real.tools.helm.clone(),
            api: start_api(&real.tools.apiserver, &folder, etcd_port, port),
            etcd,
            etcd_port,
            port,
            folder,
        };
        cluster.ready().await;
        cluster
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Where etcd listens.
    pub(crate) fn etcd(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd_port)
    }

    pub(crate) fn admin_token(&self) -> &'static str {
        ADMIN
    }

    /// The file with the certificate that the server is to be trusted by.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("certificates/apiserver.crt")
    }

    /// A folder for files that belong to this cluster.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A kubeconfig file for whoever has the token.
    pub(crate) fn kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        self.kubeconfig_at(name, token, self.port)
    }

    /// The same, for the server behind another port.
    pub(crate) fn kubeconfig_at(&self, name: &str, token: &str, port: u16) -> PathBuf {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "real",
            "clusters": [{ "name": "real", "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority": self.certificate(),
            }}],
            "users": [{ "name": name, "user": { "token": token } }],
            "contexts": [{ "name": "real", "context": { "cluster": "real", "user": name } }],
        });
        let file = self.folder.join(format!("{name}.kubeconfig"));
        // Others read it at this moment, so it is there as a whole or not at all.
        let new = self.folder.join(format!("{name}.{}.new", free_port()));
        fs::write(&new, config.to_string()).unwrap();
        fs::rename(&new, &file).unwrap();
        file
    }

    /// The administrator's kubeconfig file.
    pub(crate) fn admin(&self) -> PathBuf {
        self.kubeconfig("admin", ADMIN)
    }

    /// The administrator's client.
    pub(crate) async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.admin()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }

    /// kubectl as the administrator.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Command {
        self.tool(&self.kubectl, arguments)
    }

    /// helm as the administrator.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Command {
        self.tool(&self.helm, arguments)
    }

    fn tool(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = command(program);
        command
            .env("KUBECONFIG", self.admin())
            .env("HOME", &self.folder)
            .args(arguments);
        command
    }

    /// A namespace in which things can be made.
    pub(crate) async fn namespace(&self, name: &str) {
        tools::run(&mut self.kubectl(&["create", "namespace", name]))
            .await
            .good();
    }

    /// Waits until a definition can be used.
    pub(crate) async fn established(&self, definition: &str) {
        let definition = format!("crd/{definition}");
        let wait = [
            "wait",
            "--for=condition=Established",
            &definition,
            "--timeout=60s",
        ];
        let began = Instant::now();
        loop {
            let said = tools::run(&mut self.kubectl(&wait)).await;
            // kubectl cannot wait for a definition of which the server has said nothing yet.
            let too_early = !said.ok && said.stderr.contains(".status.conditions accessor error");
            if !too_early || began.elapsed() > Duration::from_secs(60) {
                said.good();
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A token of a service account, as a pod is given it.
    pub(crate) async fn token(&self, namespace: &str, account: &str) -> String {
        let create = ["create", "token", account, "-n", namespace];
        let token = tools::run(&mut self.kubectl(&create)).await.good();
        token.trim().to_owned()
    }

    /// What the API server was asked since it started, from its audit log: one value for each
    /// request that has ended.
    pub(crate) fn audit(&self) -> Vec<Value> {
        fs::read_to_string(self.folder.join("audit.log"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Ends the API server: in order with [`Signal::TERM`], at once with [`Signal::KILL`].
    pub(crate) async fn stop_api(&mut self, signal: Signal) {
        self.api.end(signal).await;
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    pub(crate) async fn start_api(&mut self) {
        self.api = start_api(&self.apiserver, &self.folder, self.etcd_port, self.port);
        self.ready().await;
    }

    /// Halts etcd; the API server cannot read or write until it is continued.
    pub(crate) fn halt_etcd(&self) {
        self.etcd.signal(Signal::STOP);
    }

    /// Lets etcd go on.
    pub(crate) fn continue_etcd(&self) {
        self.etcd.signal(Signal::CONT);
    }

    async fn ready(&mut self) {
        let began = Instant::now();
        loop {
            for process in [&mut self.etcd, &mut self.api] {
                process.still_runs();
            }
            if self.certificate().exists() {
                let ready = tools::run(&mut self.kubectl(&["get", "--raw=/readyz"])).await;
                if ready.ok && ready.stdout == "ok" {
                    return;
                }
            }
            assert!(
                began.elapsed() < READY,
                "not ready after {READY:?}; {}\n{}",
                self.etcd.last_words(),
                self.api.last_words()
            );
            sleep(AGAIN).await;
        }
    }
}

/// The files that the API server wants to exist.
async fn prepare(folder: &Path) {
    let key = folder.join("accounts.key");
    let mut openssl = command(Path::new("openssl"));
    openssl.args(["genrsa", "-out"]).arg(&key).arg("2048");
    tools::run(&mut openssl).await.good();
    let mut openssl = command(Path::new("openssl"));
    openssl.args(["rsa", "-pubout", "-in"]).arg(&key);
    openssl.arg("-out").arg(folder.join("accounts.pub"));
    tools::run(&mut openssl).await.good();
    let tokens = format!("{ADMIN},admin,1,\"system:masters\"\n");
    fs::write(folder.join("tokens.csv"), tokens).unwrap();
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{ "level": "Metadata" }],
    });
    fs::write(folder.join("audit.yaml"), policy.to_string()).unwrap();
}

fn start_etcd(real: &Real, folder: &Path, port: u16, peer_port: u16) -> Process {
    let url = format!("http://127.0.0.1:{port}");
    let mut etcd = command(&real.tools.etcd);
    etcd.arg("--data-dir").arg(folder.join("etcd")).args([
        &format!("--listen-client-urls={url}"),
        &format!("--advertise-client-urls={url}"),
        &format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
        "--unsafe-no-fsync",
    ]);
    Process::start("etcd", &folder.join("etcd.log"), &mut etcd)
}

fn start_api(program: &Path, folder: &Path, etcd_port: u16, port: u16) -> Process {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut api = command(program);
    api.args([
        &format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        &format!("--secure-port={port}"),
        "--bind-address=127.0.0.1",
        &format!("--cert-dir={}", file("certificates")),
        &format!("--service-account-key-file={}", file("accounts.pub")),
        &format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        &format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        &format!("--audit-policy-file={}", file("audit.yaml")),
        &format!("--audit-log-path={}", file("audit.log")),
    ]);
    Process::start("kube-apiserver", &folder.join("api.log"), &mut api)
}

/// A port that nobody listens on. Somebody else may take it before it is used; the server then
/// ends and says so.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// That the servers do what the suites after this one take for granted.
pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    suite
        .case(Side::Real, "start, stop, halt and go on", async {
            let mut cluster = Cluster::start(real).await;
            cluster.namespace("kept").await;
            cluster.stop_api(Signal::KILL).await;
            let gone = tools::run(&mut cluster.kubectl(&["get", "namespace", "kept"])).await;
            assert!(gone.bad().contains("refused"));
            cluster.start_api().await;
            cluster.halt_etcd();
            let slow = ["get", "namespace", "kept", "--request-timeout=1s"];
            tools::run(&mut cluster.kubectl(&slow)).await.bad();
            cluster.continue_etcd();
            let client = cluster.client().await;
            let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
                kube::Api::all(client);
            namespaces.get("kept").await.unwrap();
            assert!(!cluster.audit().is_empty());
        })
        .await;
}
