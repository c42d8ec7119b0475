//! The controller as it is shipped, on a real API server that is killed, cut off and starved in the
//! middle of a release; and what it says where it cannot work. Whatever happens, the release ends
//! well, nothing is done twice, and no request fails.

mod forged;
mod versions;

use std::time::Duration;

use futures::FutureExt;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    Real,
    field::{Controller, Field, LOOK, NEW_VERSION, SOON, define},
    proxy::Proxy,
    report::{Case, Side, Suite},
    servers::Cluster,
    tools,
};

/// How long the API server is gone: longer than the controller's lease.
const GONE: Duration = Duration::from_secs(15);

/// How long etcd is halted.
const HALTED: Duration = Duration::from_secs(30);

/// Between two cuts of all connections.
const CUT: Duration = Duration::from_millis(700);

pub(crate) async fn suite(real: &Real, suite: &mut Suite) {
    let cluster = Cluster::start(real).await;
    let waits = waits_for_the_definition(real, &cluster);
    suite
        .case(
            Side::Real,
            "it waits for the definition, and works then",
            waits,
        )
        .await;
    let cases: Vec<(&str, Case<'_>)> = vec![
        (
            "it waits for permission, and says for which",
            waits_for_permission(real, &cluster).boxed_local(),
        ),
        (
            "a kubeconfig that cannot be used ends it, with a remedy",
            says_what_is_wrong_with_a_kubeconfig(real).boxed_local(),
        ),
        (
            "a whole release, as kubectl shows it",
            a_whole_release(real, &cluster).boxed_local(),
        ),
        ("the API server is killed twice", killed(real).boxed_local()),
        ("etcd is halted for 30 s", halted(real).boxed_local()),
        (
            "every connection is cut, again and again",
            cut(real, &cluster).boxed_local(),
        ),
        (
            "the next version's definition comes first",
            versions::next_definition(real).boxed_local(),
        ),
        (
            "two controllers without a lease",
            versions::without_a_lease(real, &cluster).boxed_local(),
        ),
        (
            "a status that somebody made up stops nothing that serves",
            forged::stops_nothing_that_serves(real, &cluster).boxed_local(),
        ),
    ];
    suite.together(Side::Real, cases).await;
    // It changes the definition for a moment, under all others.
    let beside = broken_beside(real, &cluster);
    suite
        .case(
            Side::Real,
            "a release that does not parse, or fit, stops no other",
            beside,
        )
        .await;
}

async fn waits_for_the_definition(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "undefined", 1, 0).await;
    let mut controller = field.controller(real, &cluster.admin(), "first");
    let text = controller
        .until_ready_says("CustomResourceDefinition")
        .await;
    assert!(text.contains("bluegreen-crds"), "{text}");
    define(cluster).await;
    controller.until_ready_says("ok").await;
    field.apply(cluster, NEW_VERSION).await;
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
}

async fn waits_for_permission(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "forbidden", 2, 1).await;
    let account = ["create", "serviceaccount", "releaser", "-n", "forbidden"];
    tools::run(&mut cluster.kubectl(&account)).await.good();
    let token = cluster.token("forbidden", "releaser").await;
    let kubeconfig = cluster.kubeconfig("releaser", &token);
    let mut controller = field.controller(real, &kubeconfig, "first");
    let text = controller
        .until_ready_says("no permission to list releases")
        .await;
    assert!(text.contains("grant get, list, watch and patch"), "{text}");
    let releases = "--verb=get,list,watch,patch,update";
    let resources =
        "--resource=bluegreenreleases.bluegreen.dev,bluegreenreleases.bluegreen.dev/status";
    let role = [
        "create",
        "role",
        "releaser",
        "-n",
        "forbidden",
        releases,
        resources,
    ];
    tools::run(&mut cluster.kubectl(&role)).await.good();
    let (role, account) = ("--role=releaser", "--serviceaccount=forbidden:releaser");
    let binding = [
        "create",
        "rolebinding",
        "releaser",
        "-n",
        "forbidden",
        role,
        account,
    ];
    tools::run(&mut cluster.kubectl(&binding)).await.good();
    let text = controller
        .until_ready_says("no permission for the lease")
        .await;
    assert!(text.contains("--leader-election=false"), "{text}");
    assert!(field.changes().is_empty());
    assert!(controller.end(Signal::TERM).await.success());
    field.close().await;
}

async fn says_what_is_wrong_with_a_kubeconfig(real: &Real) {
    for (name, text, expected) in [
        ("absent", None, "set KUBECONFIG"),
        (
            "torn",
            Some("apiVersion: v1\nclusters: [}"),
            "no usable kubeconfig",
        ),
        (
            "no-such-file",
            Some(
                "{apiVersion: v1, kind: Config, current-context: c, \
                 clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority: /gone}}], \
                 contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: t}}]}",
            ),
            "/gone",
        ),
    ] {
        let file = real.folder.path().join(format!("{name}.kubeconfig"));
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let mut program = tools::command(&real.tools.controller);
        program.arg("--listen=127.0.0.1:0").env("KUBECONFIG", &file);
        let said = tools::run(&mut program).await.bad();
        assert!(said.contains(expected), "{name}: {said}");
    }
}

async fn a_whole_release(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "whole", 3, 2).await;
    let mut controller = field.controller(real, &cluster.admin(), "first");
    field.apply(cluster, NEW_VERSION).await;
    let wait = [
        "wait",
        "-n",
        "whole",
        "bgr/snackgame",
        "--for=condition=Ready",
        "--timeout=300s",
    ];
    tools::run(&mut cluster.kubectl(&wait)).await.good();
    field.until_released(NEW_VERSION).await;

    let get = ["get", "bgr", "-n", "whole", "-o", "json"];
    let list: Value =
        serde_json::from_str(&tools::run(&mut cluster.kubectl(&get)).await.good()).unwrap();
    let targets = list["items"][0]["status"]["targets"].as_array().unwrap();
    let old: Vec<_> = targets
        .iter()
        .filter(|target| target["revision"] == 0)
        .collect();
    assert_eq!(old.len(), 2, "{targets:#?}");
    for target in old {
        for step in ["registered", "deregistered", "drained", "terminated"] {
            assert!(target["steps"][step].is_object(), "{step} of {target:#}");
        }
    }
    let table = tools::run(&mut cluster.kubectl(&["get", "bgr", "-n", "whole"]))
        .await
        .good();
    assert!(
        table.contains("VERSION") && table.contains("Released"),
        "{table}"
    );

    // What was released is applied again: nothing changes, nothing is written, nothing differs.
    let version = list["items"][0]["metadata"]["resourceVersion"].clone();
    field.apply(cluster, NEW_VERSION).await;
    let file = cluster.folder().join("whole.json").display().to_string();
    tools::run(&mut cluster.kubectl(&["diff", "-f", &file]))
        .await
        .good();
    let list: Value =
        serde_json::from_str(&tools::run(&mut cluster.kubectl(&get)).await.good()).unwrap();
    assert_eq!(list["items"][0]["metadata"]["resourceVersion"], version);

    let delete = ["delete", "bgr", "-n", "whole", "snackgame", "--timeout=60s"];
    tools::run(&mut cluster.kubectl(&delete)).await.good();
    ended_well(field, &mut controller).await;
}

async fn killed(real: &Real) {
    let mut cluster = Cluster::start(real).await;
    define(&cluster).await;
    let field = Field::build(&cluster, "killed", 4, 3).await;
    let mut controller = field.controller(real, &cluster.admin(), "first");
    field.apply(&cluster, NEW_VERSION).await;
    for changes in [2, 5] {
        until_changes(&field, &controller, changes).await;
        cluster.stop_api(Signal::KILL).await;
        sleep(GONE).await;
        cluster.start_api().await;
    }
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
}

async fn halted(real: &Real) {
    let cluster = Cluster::start(real).await;
    define(&cluster).await;
    let field = Field::build(&cluster, "halted", 5, 4).await;
    let mut controller = field.controller(real, &cluster.admin(), "first");
    field.apply(&cluster, NEW_VERSION).await;
    until_changes(&field, &controller, 3).await;
    cluster.halt_etcd();
    sleep(HALTED).await;
    cluster.continue_etcd();
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
}

async fn cut(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "cut", 6, 5).await;
    let proxy = Proxy::start(cluster.port()).await;
    let kubeconfig = cluster.kubeconfig_at("cut", cluster.admin_token(), proxy.port);
    let mut controller = field.controller(real, &kubeconfig, "first");
    field.apply(cluster, NEW_VERSION).await;
    let released = field.until_released(NEW_VERSION);
    let cutting = async {
        loop {
            sleep(CUT).await;
            proxy.cut();
        }
    };
    tokio::select! {
        () = released => {}
        () = cutting => {}
    }
    assert!(proxy.cuts() > 10, "only {} were cut", proxy.cuts());
    ended_well(field, &mut controller).await;
}

/// An object that this version does not understand, and one whose every change the server refuses:
/// made while the definition was another one.
async fn broken_beside(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "beside", 7, 0).await;
    field.break_two(cluster).await;
    let mut controller = field.controller(real, &cluster.admin(), "first");
    field.apply(cluster, NEW_VERSION).await;
    field.until_released(NEW_VERSION).await;
    let events = ["get", "events", "-n", "beside"];
    let events = tools::run(&mut cluster.kubectl(&events)).await.good();
    for said in ["NotUnderstood", "Refused", "\"unfit\" is invalid"] {
        assert!(events.contains(said), "{said}: {events}");
    }
    ended_well(field, &mut controller).await;
}

/// Ends a controller and its field, and asks that all was done once and every request served.
async fn ended_well(field: Field, controller: &mut Controller) {
    let status = controller.end(Signal::TERM).await;
    assert!(status.success(), "{status}: {}", controller.log());
    let doubled = field.doubled();
    assert!(doubled.is_empty(), "{doubled:#?}\n{}", controller.log());
    assert_eq!(field.changes().len(), 8, "{:#?}", field.changes());
    let served = field.close().await;
    assert!(served > 0, "nobody asked for anything");
}

/// Waits until so many changes were made in AWS.
async fn until_changes(field: &Field, controller: &Controller, changes: usize) {
    let began = Instant::now();
    while field.changes().len() < changes {
        assert!(
            began.elapsed() < SOON,
            "{changes} changes were not made in {SOON:?}\n{}",
            controller.log()
        );
        sleep(LOOK).await;
    }
}
