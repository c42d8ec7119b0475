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
    script::{End, Expected, FILES, STEPS, Says, Step},
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

/// What a command said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    end: End,
    text: String,
}

impl Answer {
    /// Whether it is what is expected of one server alone.
    fn is(&self, expected: &Says) -> bool {
        self.end == expected.end && self.text.contains(expected.words)
    }
}

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

    /// What a command says, and whether it succeeds.
    async fn types(&self, arguments: &[&str]) -> Answer {
        let said = tools::run(&mut self.command(arguments)).await;
        Answer {
            end: if said.ok { End::Succeeds } else { End::Fails },
            text: masked(&format!("{}{}", said.stdout, said.stderr)),
        }
    }

    async fn succeeds(&self, arguments: &[&str]) {
        let answer = self.types(arguments).await;
        assert_eq!(answer.end, End::Succeeds, "{arguments:?}: {}", answer.text);
    }

    /// What a watch shows of an object that is changed while it is watched.
    async fn watches(&self) -> Answer {
        self.succeeds(&["apply", "-f", "one.yaml"]).await;
        let mut watch = self.command(&["get", "wgt", "one", "--watch"]);
        let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let mut seen = String::new();
        for size in [None, None, Some(7), Some(8)] {
            if let Some(size) = size {
                let patch = format!(r#"{{"spec":{{"size":{size}}}}}"#);
                let patch = ["patch", "wgt", "one", "--type=merge", "-p", &patch];
                self.succeeds(&patch).await;
            }
            let line = timeout(LINE, lines.next_line()).await;
            let line = line.expect("a line comes in time").unwrap();
            seen.push_str(&line.expect("the watch goes on"));
            seen.push('\n');
        }
        watch.kill().await.unwrap();
        Answer {
            end: End::Succeeds,
            text: masked(&seen),
        }
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
            watch(suite, &on_registry, &on_real).await;
        }
        take(suite, number, step, &on_registry, &on_real).await;
    }
    embedded.stop().await;
}

async fn watch(suite: &mut Suite, registry: &Typist, real: &Typist) {
    let began = Instant::now();
    let (ours, theirs) = (registry.watches().await, real.watches().await);
    let both = Both {
        name: "get wgt one --watch",
        ours: &ours,
        theirs: &theirs,
        took: began.elapsed(),
    };
    both.same(suite, End::Succeeds);
}

async fn take(suite: &mut Suite, number: usize, step: &Step, registry: &Typist, real: &Typist) {
    let name = format!("{:02} {}", number + 1, step.arguments.join(" "));
    let began = Instant::now();
    let ours = registry.types(step.arguments).await;
    let theirs = real.types(step.arguments).await;
    let both = Both {
        name: &name,
        ours: &ours,
        theirs: &theirs,
        took: began.elapsed(),
    };
    match &step.expected {
        Expected::Same(end) => both.same(suite, *end),
        Expected::TooOld {
            feature,
            registry,
            real,
        } => both.differ(suite, feature, registry, real),
    }
}

/// What both servers answered to a command.
struct Both<'a> {
    name: &'a str,
    ours: &'a Answer,
    theirs: &'a Answer,
    took: Duration,
}

impl Both<'_> {
    /// Both should say the same, and end so.
    fn same(&self, suite: &mut Suite, end: End) {
        let Self {
            name,
            ours,
            theirs,
            took,
        } = *self;
        if ours == theirs && ours.end == end {
            suite.passed(Side::Registry, name, took);
            suite.passed(Side::Real, name, took);
        } else {
            let why = format!(
                "it should be the same on both and end as {end:?}\n\
                 - the real server, which {:?}:\n{}\n- the registry, which {:?}:\n{}",
                theirs.end, theirs.text, ours.end, ours.text
            );
            suite.failed(Side::Registry, name, &why);
        }
    }

    /// Each should say something of its own.
    fn differ(&self, suite: &mut Suite, feature: &str, registry: &Says, real: &Says) {
        if self.ours.is(registry) {
            suite.passed(Side::Registry, self.name, self.took);
        } else {
            let why = format!("expected {registry:?}, not {:?}", self.ours);
            suite.failed(Side::Registry, self.name, &why);
        }
        if self.theirs.is(real) {
            suite.lacks(self.name, feature);
        } else {
            let why = format!(
                "expected {real:?}, not {:?}; is it too old still?",
                self.theirs
            );
            suite.real_failed(self.name, &why);
        }
    }
}
