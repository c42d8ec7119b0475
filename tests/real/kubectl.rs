//! Stock kubectl, scripted, on the embedded registry and on a real API server. What it says is
//! the same on both but for ids and times. Differences that are due to the real server's age are
//! named in the script.

mod mask;
pub(crate) mod registry;
mod script;

use std::{fs, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::{Instant, timeout},
};

use self::{
    mask::masked,
    registry::Embedded,
    script::{FILES, STEPS, Step},
};
use super::{
    Real,
    report::{Side, Suite},
    servers::Cluster,
    tools::{self, command},
};

/// Where everything is typed; the script creates it.
const NAMESPACE: &str = "typed";

/// How long a line of a watch may take.
const LINE: Duration = Duration::from_secs(30);

/// kubectl with one of the two servers.
struct Typist {
    kubectl: PathBuf,
    folder: PathBuf,
}

impl Typist {
    fn new(real: &Real, name: &str, kubeconfig: &str) -> Self {
        let folder = real.folder.path().join(format!("kubectl-{name}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("kubeconfig"), kubeconfig).unwrap();
        for (name, text) in FILES {
            fs::write(folder.join(name), text).unwrap();
        }
        Self {
            kubectl: real.tools.kubectl.clone(),
            folder,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut kubectl = command(&self.kubectl);
        kubectl
            .current_dir(&self.folder)
            .env("KUBECONFIG", "kubeconfig")
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .env("HOME", &self.folder)
            .args(arguments);
        kubectl
    }

    /// What a command says, whether it succeeds or not.
    async fn types(&self, arguments: &[&str]) -> String {
        let said = tools::run(&mut self.command(arguments)).await;
        let end = if said.ok { "succeeded" } else { "failed" };
        masked(&format!("{}{}({end})\n", said.stdout, said.stderr))
    }

    /// What a watch shows of an object that is changed while it is watched.
    async fn watches(&self) -> String {
        self.types(&["apply", "-f", "one.yaml"]).await;
        let mut watch = self.command(&["get", "wgt", "one", "--watch"]);
        let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let mut seen = String::new();
        for size in [None, None, Some(7), Some(8)] {
            if let Some(size) = size {
                let patch = format!(r#"{{"spec":{{"size":{size}}}}}"#);
                let patch = ["patch", "wgt", "one", "--type=merge", "-p", &patch];
                self.types(&patch).await;
            }
            let line = timeout(LINE, lines.next_line()).await;
            let line = line.expect("a line comes in time").unwrap();
            seen.push_str(&line.expect("the watch goes on"));
            seen.push('\n');
        }
        watch.kill().await.unwrap();
        masked(&seen)
    }
}

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    let cluster = Cluster::start(real).await;
    let embedded = Embedded::start().await;
    let kubeconfig = bluegreen_registry::kubeconfig(&embedded.url, Embedded::TOKEN, NAMESPACE);
    let on_registry = Typist::new(real, "registry", &kubeconfig);
    let kubeconfig = fs::read_to_string(cluster.admin()).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    kubeconfig["contexts"][0]["context"]["namespace"] = NAMESPACE.into();
    let on_real = Typist::new(real, "real", &kubeconfig.to_string());
    for (number, step) in STEPS.iter().enumerate() {
        // Before anything is deleted.
        if step.arguments == ["describe", "wgt", "one"] {
            let began = Instant::now();
            let ours = on_registry.watches().await;
            let theirs = on_real.watches().await;
            compare(
                suite,
                "get wgt one --watch",
                &ours,
                &theirs,
                began.elapsed(),
            );
        }
        take(suite, number, step, &on_registry, &on_real).await;
    }
    embedded.stop().await;
}

async fn take(suite: &mut Suite, number: usize, step: &Step, registry: &Typist, real: &Typist) {
    let name = format!("{:02} {}", number + 1, step.arguments.join(" "));
    let began = Instant::now();
    let ours = registry.types(step.arguments).await;
    let theirs = real.types(step.arguments).await;
    let took = began.elapsed();
    match &step.too_old {
        None => compare(suite, &name, &ours, &theirs, took),
        Some(_) if ours == theirs => {
            suite.real_failed(&name, "it is not too old for it: take it off the list");
        }
        Some(difference) => {
            if ours.contains(difference.registry_says) {
                suite.passed(Side::Registry, &name, took);
            } else {
                let why = format!("it does not say {:?}:\n{ours}", difference.registry_says);
                suite.failed(Side::Registry, &name, &why);
            }
            suite.lacks(&name, difference.reason);
        }
    }
}

fn compare(suite: &mut Suite, name: &str, ours: &str, theirs: &str, took: Duration) {
    if ours == theirs {
        suite.passed(Side::Registry, name, took);
        suite.passed(Side::Real, name, took);
    } else {
        let why = format!("\n- the real server:\n{theirs}\n- the registry:\n{ours}");
        suite.failed(Side::Registry, name, &why);
    }
}
