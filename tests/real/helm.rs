//! The charts, with Helm: what they render, and what becomes of them on an API server.
//!
//! What is rendered is compared with the files in `helm/`, for four sets of values. After a change
//! that is meant, `BLUEGREEN_BLESS=1 tests/real/run helm` writes them anew; read the difference.

mod alerts;
mod installed;
mod lacking;
mod pods;
mod rendered;
mod rights;
mod today;

pub(crate) use installed::{NAMESPACE, RELEASE, apply};

use std::path::PathBuf;

use serde_json::Value;

use super::{
    Real,
    report::Suite,
    tools::{Said, command, run, word},
};

/// A set of values and where it is installed.
struct Set {
    name: &'static str,
    release: &'static str,
    namespace: &'static str,
}

/// The sets. Each has `helm/NAME.values.yaml`, `helm/NAME.yaml` and `helm/NAME.notes.txt`.
const SETS: [Set; 4] = [
    // What `helm install` does without values.
    Set {
        name: "default",
        release: "bluegreen-controller",
        namespace: "bluegreen-system",
    },
    // In production on EKS, with a role by IRSA.
    Set {
        name: "irsa",
        release: "bluegreen-controller",
        namespace: "bluegreen-system",
    },
    // One namespace, one replica, and nothing that belongs to the cluster.
    Set {
        name: "namespace",
        release: "games",
        namespace: "games",
    },
    // Everything that can be switched on.
    Set {
        name: "everything",
        release: "all",
        namespace: "platform",
    },
];

impl Set {
    fn values(&self, real: &Real) -> PathBuf {
        expected(real, &format!("{}.values.yaml", self.name))
    }
}

/// A file of what is expected.
fn expected(real: &Real, name: &str) -> PathBuf {
    real.tools.project.join("tests/real/helm").join(name)
}

fn charts(real: &Real) -> PathBuf {
    real.tools.project.join("charts")
}

/// Helm without a cluster, and without what the user may have set up.
async fn helm(real: &Real, arguments: &[&str]) -> Said {
    let home = real.folder.path();
    let mut helm = command(&real.tools.helm);
    helm.env("HOME", home)
        .env_remove("KUBECONFIG")
        .args(arguments);
    run(&mut helm).await
}

/// The objects of a set, as text.
async fn template(real: &Real, set: &Set) -> String {
    let (chart, values) = (charts(real).join("bluegreen-controller"), set.values(real));
    let arguments = [
        "template",
        set.release,
        word(&chart),
        "--namespace",
        set.namespace,
        "--values",
        word(&values),
    ];
    helm(real, &arguments).await.good()
}

/// The objects of a text.
fn objects(text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|object| object.strip_prefix("---\n").unwrap_or(object))
        .map(|object| serde_norway::from_str(object).unwrap())
        .filter(|object: &Value| !object.is_null())
        .collect()
}

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    rendered::suite(real, suite).await;
    alerts::suite(real, suite).await;
    installed::suite(real, suite).await;
    lacking::suite(real, suite).await;
}
