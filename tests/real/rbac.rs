//! The chart's roles are as wide as the controller needs them, and no wider: controllers with the
//! chart's service account go through everything that they do, the API server's audit log says
//! what they asked for, and that is held against what the roles grant.
//!
//! A request that was forbidden is a grant that is missing. A grant that no request has used is one
//! too many.

use std::collections::{BTreeMap, BTreeSet};

use bluegreen::api::Phase;
use futures::FutureExt;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    Real,
    field::{Controller, DEFINITION, Field, LOOK, NEW_VERSION, Place, SOON},
    helm::{NAMESPACE, RELEASE, apply},
    report::{Case, Side, Suite},
    servers::Cluster,
    tools::{run, word},
};

/// The version after the new one.
const NEXT_VERSION: &str = "1.9.0";

/// A verb on a resource, as the roles write them: `list bluegreen.dev/bluegreenreleases`.
type Right = String;

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    let (everywhere, one) = (Cluster::start(real).await, Cluster::start(real).await);
    let cases: Vec<(&str, Case<'_>)> = vec![
        (
            "everything the controller does, in all namespaces",
            in_all_namespaces(real, &everywhere).boxed_local(),
        ),
        (
            "everything the controller does, in one namespace",
            in_one_namespace(real, &one).boxed_local(),
        ),
    ];
    suite.together(Side::Real, cases).await;
    for (cluster, scope) in [(&everywhere, "all namespaces"), (&one, "one namespace")] {
        let granted = granted(cluster).await;
        let (used, forbidden) = asked(cluster);
        println!("rbac: granted in {scope} {granted:?}");
        let name = format!("no grant is missing, in {scope}");
        suite
            .case(Side::Real, &name, async {
                assert!(forbidden.is_empty(), "{forbidden:#?}");
                let missing: Vec<_> = used.difference(&granted).collect();
                assert!(missing.is_empty(), "used and not granted: {missing:#?}");
            })
            .await;
        let name = format!("no grant is unused, in {scope}");
        suite
            .case(Side::Real, &name, async {
                let unused: Vec<_> = granted.difference(&used).collect();
                assert!(unused.is_empty(), "granted and not used: {unused:#?}");
            })
            .await;
    }
}

async fn in_all_namespaces(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "rbac", 1, 0).await;
    let lease = NAMESPACE.to_owned();
    exercise(real, cluster, field, &[], &Place::Everywhere { lease }).await;
}

/// The chart and the lease are in another namespace than the releases.
async fn in_one_namespace(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "rbac", 2, 1).await;
    let watch = format!("--set=watchNamespace={}", field.namespace);
    let lease = NAMESPACE.to_owned();
    exercise(real, cluster, field, &[&watch], &Place::HereLed { lease }).await;
}

/// A release and another one, a takeover, a handover, an object that is not understood and one
/// that does not fit, a deletion.
async fn exercise(real: &Real, cluster: &Cluster, field: Field, values: &[&str], place: &Place) {
    let chart = real.tools.project.join("charts/bluegreen-controller");
    let more = [&["--create-namespace"], values].concat();
    apply(cluster, "install", &chart, &more).await;
    cluster.established(DEFINITION).await;
    let token = cluster.token(NAMESPACE, RELEASE).await;
    let kubeconfig = cluster.kubeconfig("account", &token);
    field.break_two(cluster).await;

    let start = |who: &str| field.controller_at(real, &kubeconfig, who, place);
    let mut first = start("first");
    first.until_ready_says("ok").await;
    let mut second = start("second");
    second.until_ready_says("standing by").await;
    field.apply(cluster, NEW_VERSION).await;
    // What happens twice is one Event, counted up.
    for paused in [true, false, true, false] {
        let spec = format!(r#"{{"spec":{{"paused":{paused}}}}}"#);
        let patch = [
            "patch",
            "--type=merge",
            "-n",
            "rbac",
            "bgr/snackgame",
            "-p",
            &spec,
        ];
        run(&mut cluster.kubectl(&patch)).await.good();
        until_paused(&field, &first, paused).await;
    }
    first.end(Signal::KILL).await;
    field.until_released(NEW_VERSION).await;
    another_release(&field, cluster).await;
    let mut third = start("third");
    third.until_ready_says("standing by").await;
    assert!(second.end(Signal::TERM).await.success());
    third.until_ready_says("ok\n").await;
    let delete = ["delete", "bgr", "-n", "rbac", "snackgame", "--timeout=60s"];
    run(&mut cluster.kubectl(&delete)).await.good();
    assert!(third.end(Signal::TERM).await.success());
    field.close().await;
}

/// A release of which the revision is there already, as after a create whose answer was lost, and with
/// which an earlier one is over: one is read by its name, and one is deleted.
async fn another_release(field: &Field, cluster: &Cluster) {
    let kubectl = async |arguments: &[&str]| {
        let arguments = [arguments, &["-n", &field.namespace]].concat();
        run(&mut cluster.kubectl(&arguments)).await.good()
    };
    let short = r#"{"spec":{"history":1}}"#;
    kubectl(&["patch", "--type=merge", "bgr/snackgame", "-p", short]).await;
    let revisions = kubectl(&["get", "controllerrevisions", "-o", "json"]).await;
    let revisions: Value = serde_json::from_str(&revisions).unwrap();
    let mut items = revisions["items"].as_array().unwrap().iter();
    let last = items.find(|one| one["revision"] == 1).unwrap();
    let name = last["metadata"]["name"].as_str().unwrap();
    let next = serde_json::json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{}2", name.trim_end_matches('1')),
            "ownerReferences": last["metadata"]["ownerReferences"],
        },
        "revision": 2,
        "data": {},
    });
    let file = cluster
        .folder()
        .join(format!("{}.revision.json", field.namespace));
    std::fs::write(&file, next.to_string()).unwrap();
    kubectl(&["create", "-f", word(&file)]).await;
    field.apply(cluster, NEXT_VERSION).await;
    field.until_released(NEXT_VERSION).await;
    let left = kubectl(&["get", "controllerrevisions", "-o", "name"]).await;
    assert_eq!(left.lines().count(), 2, "{left}");
}

async fn until_paused(field: &Field, controller: &Controller, paused: bool) {
    let began = Instant::now();
    while field
        .status()
        .await
        .is_none_or(|status| (status.phase == Phase::Paused) != paused)
    {
        assert!(began.elapsed() < SOON, "{}", controller.log());
        sleep(LOOK).await;
    }
}

/// What the chart's roles for the controller grant. A rule for some names is a grant for those.
async fn granted(cluster: &Cluster) -> BTreeSet<Right> {
    let of = [
        "get",
        "clusterroles,roles",
        "-A",
        "-o",
        "json",
        "-l",
        "app.kubernetes.io/instance=bluegreen-controller",
    ];
    let roles: Value = serde_json::from_str(&run(&mut cluster.kubectl(&of)).await.good()).unwrap();
    let mut rights = BTreeSet::new();
    let ours = |role: &&Value| {
        let name = role["metadata"]["name"].as_str().unwrap();
        // The others are for people.
        !name.ends_with("-view") && !name.ends_with("-edit")
    };
    for role in roles["items"].as_array().unwrap().iter().filter(ours) {
        for rule in role["rules"].as_array().unwrap() {
            for right in product(rule) {
                rights.insert(right);
            }
        }
    }
    rights
}

fn product(rule: &Value) -> Vec<Right> {
    let words = |name: &str| -> Vec<String> {
        let words = rule[name].as_array().into_iter().flatten();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let mut rights = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                rights.push(format!("{verb} {group}/{resource}"));
            }
        }
    }
    rights
}

/// That no controller with the chart's service account, in whichever namespace, was refused for good
/// what it asked for. A server that has just begun, or has just been told of a role, refuses for a
/// moment what it grants then.
pub(crate) fn nothing_was_refused(cluster: &Cluster) {
    let (used, mut refused) = asked(cluster);
    assert!(!used.is_empty(), "no controller had the chart's account");
    refused.retain(|right, _| !used.contains(right));
    assert!(refused.is_empty(), "{refused:#?}");
}

/// What the chart's service accounts asked for and were given; and what they were refused.
fn asked(cluster: &Cluster) -> (BTreeSet<Right>, BTreeMap<Right, String>) {
    let ours = |who: &str| {
        let account = who.strip_prefix("system:serviceaccount:");
        account.is_some_and(|account| account.ends_with(&format!(":{RELEASE}")))
    };
    let (mut used, mut forbidden) = (BTreeSet::new(), BTreeMap::new());
    for event in cluster.audit() {
        let object = &event["objectRef"];
        let who = event["user"]["username"].as_str();
        if !who.is_some_and(ours) || object["resource"].is_null() {
            continue;
        }
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut resource = word(&object["resource"]);
        if let Some(part) = object["subresource"].as_str() {
            resource = format!("{resource}/{part}");
        }
        let right = format!(
            "{} {}/{resource}",
            word(&event["verb"]),
            word(&object["apiGroup"])
        );
        match event["annotations"]["authorization.k8s.io/decision"].as_str() {
            Some("allow") => drop(used.insert(right)),
            Some(_) | None => drop(forbidden.insert(right, word(&event["requestURI"]))),
        }
    }
    (used, forbidden)
}
