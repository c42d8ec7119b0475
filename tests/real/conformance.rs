//! The cases of `bluegreen-conformance`, the same on the embedded registry and on a real
//! kube-apiserver. What the real one is too old for is told by name, and runs on the registry.

use std::{path::PathBuf, time::Duration};

use bluegreen_conformance::{Feature, Server, Tls, Verdict, run};
use futures::FutureExt;
use tokio::time::Instant;

use super::{
    Real,
    kubectl::registry::Embedded,
    report::{Side, Suite},
    servers::Cluster,
    tools::{self, command},
};

/// The minor release of the real server.
const REAL: u32 = 20;

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    let embedded = Embedded::start().await;
    let registry = embedded.registry.clone();
    let server = Server::at("registry", &embedded.url, Embedded::TOKEN, Tls::None).unwrap();
    let server = server.forgetting(move |_| {
        registry.compact();
        async { Ok(()) }.boxed()
    });
    ask(Side::Registry, &server, suite).await;
    embedded.stop().await;

    let cluster = Cluster::start(real).await;
    let token = cluster.admin_token();
    let server = Server::at("kube-apiserver", &cluster.url(), token, Tls::Unverified).unwrap();
    let (etcdctl, etcd) = (real.tools.etcd.with_file_name("etcdctl"), cluster.etcd());
    let server = server
        .lacking(Feature::younger_than(REAL))
        // Both are the controller manager's work, which is not run here.
        .lacking([Feature::NamespaceController, Feature::GarbageCollector])
        .forgetting(move |version| compact(etcdctl.clone(), etcd.clone(), version).boxed());
    assert_eq!(
        server.minor().await,
        Ok(REAL),
        "what it lacks goes by its age"
    );
    ask(Side::Real, &server, suite).await;
}

async fn ask(side: Side, server: &Server, suite: &mut Suite) {
    let mut last = Instant::now();
    let tell = |case: &bluegreen_conformance::Case, verdict: &Verdict| {
        let (name, took) = (case.to_string(), last.elapsed());
        last = Instant::now();
        tell(side, suite, &name, verdict, took);
    };
    let report = run(server, |_| true, tell).await;
    if let Err(failure) = report {
        suite.failed(side, "the suite's own kind", &failure.to_string());
    }
}

fn tell(side: Side, suite: &mut Suite, name: &str, verdict: &Verdict, took: Duration) {
    match (side, verdict) {
        (_, Verdict::Passed) => suite.passed(side, name, took),
        (_, Verdict::Failed(failure)) => suite.failed(side, name, &failure.to_string()),
        (Side::Real, Verdict::Lacking(feature)) => suite.lacks(name, &feature.to_string()),
        (Side::Real, Verdict::OtherRelease(releases)) => {
            suite.lacks(name, &format!("answer of {releases}"))
        }
        (Side::Registry, Verdict::OtherRelease(_)) => {}
        // What the real server is too old for is covered there, so nothing may be left out.
        (Side::Registry, Verdict::Lacking(feature)) => {
            suite.failed(side, name, &format!("the registry lacks {feature}"));
        }
    }
}

/// Makes etcd forget all revisions before this one, as the API server has it do after minutes.
async fn compact(etcdctl: PathBuf, etcd: String, version: u64) -> Result<(), String> {
    let mut etcdctl = command(&etcdctl);
    etcdctl
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &etcd, "compact", &version.to_string()]);
    let said = tools::run(&mut etcdctl).await;
    if said.ok {
        Ok(())
    } else {
        Err(format!("etcdctl compact {version}: {}", said.stderr))
    }
}
