//! Somebody who may write the status of releases, and nothing else, lies in it with kubectl.

use std::path::{Path, PathBuf};

use bluegreen::api::{
    BlueGreenReleaseStatus, Color, Deregistered, DrainProof, Drained, Duration, GroupDrain,
    Process, StepKind, TargetStatus, Time,
};
use bluegreen_local::scenario::NAME;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use super::until_changes;
use crate::{
    Real,
    field::{Controller, Field, NEW_VERSION},
    servers::Cluster,
    tools,
};

/// The namespace, in which the account has no other right than that one.
const NAMESPACE: &str = "forged";

/// After how many changes there is a drain: the first step of each of the two hosts, of four.
const DRAINS: [usize; 2] = [1, 5];

/// How often a lie is told in each drain.
const TIMES: usize = 3;

/// How often a lie is written anew where the controller was faster.
const TRIES: usize = 20;

/// How long before now everything was that a lie claims.
const AGO: Duration = Duration::from_secs(3_600);

/// Everything that leaves is said to be drained long ago, and its stop to be intended then, while
/// the first of it drains. The controller stops nothing before it has seen the drain itself, and
/// the release ends as it would have.
pub(super) async fn stops_nothing_that_serves(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, NAMESPACE, 10, 0).await;
    let liar = liar(cluster).await;
    let account = field.account(real, cluster).await;
    let mut controller = field.controller(real, &account, "first");
    field.apply(cluster, NEW_VERSION).await;
    for changes in DRAINS {
        until_changes(&field, &controller, changes).await;
        for _ in 0..TIMES {
            lie(cluster, &liar).await;
        }
    }
    field.until_released(NEW_VERSION).await;
    ended_after_lies(field, &mut controller).await;
}

/// The kubeconfig of an account that may read and write the status of releases.
async fn liar(cluster: &Cluster) -> PathBuf {
    let account = ["create", "serviceaccount", "liar", "-n", NAMESPACE];
    let role = [
        "create",
        "role",
        "liar",
        "-n",
        NAMESPACE,
        "--verb=get,patch",
        "--resource=bluegreenreleases.bluegreen.dev/status",
    ];
    let subject = format!("--serviceaccount={NAMESPACE}:liar");
    let binding = [
        "create",
        "rolebinding",
        "liar",
        "-n",
        NAMESPACE,
        "--role=liar",
        &subject,
    ];
    for create in [&account[..], &role[..], &binding[..]] {
        tools::run(&mut cluster.kubectl(create)).await.good();
    }
    let token = cluster.token(NAMESPACE, "liar").await;
    cluster.kubeconfig("liar", &token)
}

/// kubectl as that account, on the status of the release.
fn kubectl(cluster: &Cluster, liar: &Path, verb: &str, further: &[&str]) -> Command {
    let release = format!("bgr/{NAME}");
    let mut arguments = vec![verb, &release, "-n", NAMESPACE, "--subresource=status"];
    arguments.extend(further);
    let mut kubectl = cluster.kubectl(&arguments);
    kubectl.env("KUBECONFIG", liar);
    kubectl
}

/// Reads the status and writes it back with the lie in it. Where the controller has written since,
/// the server refuses that, and it is done anew.
async fn lie(cluster: &Cluster, liar: &Path) {
    for _ in 0..TRIES {
        let mut get = kubectl(cluster, liar, "get", &["-o", "json"]);
        let read: Value = serde_json::from_str(&tools::run(&mut get).await.good()).unwrap();
        let patch = forged(&read).to_string();
        let mut patch = kubectl(cluster, liar, "patch", &["--type=merge", "-p", &patch]);
        let said = tools::run(&mut patch).await;
        if said.ok {
            return;
        }
        let refused = said.bad();
        assert!(refused.contains("Conflict"), "{refused}");
    }
    panic!("the controller was faster, {TRIES} times");
}

/// The change that makes the lie of what was read.
fn forged(read: &Value) -> Value {
    let uid = read["metadata"]["uid"].as_str().unwrap();
    let mut status: BlueGreenReleaseStatus =
        serde_json::from_value(read["status"].clone()).unwrap();
    let long_ago = Time::from(jiff::Timestamp::now()) - AGO;
    let revision = status.revision;
    for target in &mut status.targets {
        if target.color == Color::Blue && target.steps.terminated.is_none() {
            status.fence += 1;
            let operation = format!("bg-{uid}-r{revision}-stop-{}", status.fence);
            doom(target, operation, long_ago);
        }
    }
    json!({
        "metadata": { "resourceVersion": read["metadata"]["resourceVersion"] },
        "status": { "targets": status.targets, "fence": status.fence },
    })
}

/// It was drained long ago, and its stop intended.
fn doom(target: &mut TargetStatus, operation: String, long_ago: Time) {
    target.drain = vec![GroupDrain {
        group: NAME.to_owned(),
        requested_at: Some(long_ago),
        delay: Duration::ZERO,
        settle: Duration::ZERO,
        draining_seen_at: Some(long_ago),
        gone_seen_at: Some(long_ago),
    }];
    target.steps.deregistered = Some(Deregistered {
        at: long_ago,
        groups: vec![NAME.to_owned()],
    });
    target.steps.drained = Some(Drained {
        at: long_ago,
        proof: DrainProof::InFlightZero,
        since: long_ago,
        delay: Duration::ZERO,
        settle: Duration::ZERO,
        in_flight: Some(0),
        served: Some(0),
    });
    target.process = Some(Process {
        operation,
        step: StepKind::Stop,
        requested_at: long_ago,
        sent_at: long_ago,
        running_at: None,
    });
}

/// Ends a controller and its field. Nothing was stopped that was registered or had requests,
/// nothing was done twice, and every request was served. How many changes that took is nobody's
/// promise to a liar.
async fn ended_after_lies(field: Field, controller: &mut Controller) {
    let status = controller.end(Signal::TERM).await;
    assert!(status.success(), "{status}: {}", controller.log());
    let doubled = field.doubled();
    assert!(doubled.is_empty(), "{doubled:#?}\n{}", controller.log());
    let registered = field.world.oracle.counters().signalled_while_registered;
    assert_eq!(registered, 0, "{:#?}", field.changes());
    let interrupted = field.world.oracle.interrupted();
    assert!(interrupted.is_empty(), "{interrupted:#?}");
    let served = field.close().await;
    assert!(served > 0, "nobody asked for anything");
}
