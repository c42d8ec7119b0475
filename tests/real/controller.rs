//! The controller as it is shipped, on a real API server that is killed, cut off and starved in the
//! middle of a release; and what it says where it cannot work. Whatever happens, the release ends
//! well, nothing is done twice, and no request fails.

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
    rbac::nothing_was_refused,
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
            "it waits for permission, and says for which, also in the middle",
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
    suite
        .case(
            Side::Real,
            "the chart's roles are enough for all of them",
            async { nothing_was_refused(&cluster) },
        )
        .await;
}

async fn waits_for_the_definition(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "undefined", 1, 0).await;
    let account = field.account(real, cluster).await;
    let mut controller = field.controller(real, &account, "first");
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

/// An account of its own gets its rights one after the other, and loses those on releases in the
/// middle of one.
async fn waits_for_permission(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "forbidden", 2, 1).await;
    let nobody = cluster.kubeconfig("nobody", "nobodys-token");
    let mut controller = field.controller(real, &nobody, "nobody");
    let text = controller
        .until_ready_says("does not accept our credentials")
        .await;
    assert!(text.contains("restart the controller"), "{text}");
    assert!(controller.end(Signal::TERM).await.success());

    let kubectl = async |arguments: &[&str]| {
        let arguments = [arguments, &["-n", "forbidden"]].concat();
        tools::run(&mut cluster.kubectl(&arguments)).await.good()
    };
    kubectl(&["create", "serviceaccount", "releaser"]).await;
    let token = cluster.token("forbidden", "releaser").await;
    // A watch that is open goes on without permission, so it has to be cut.
    let proxy = Proxy::start(cluster.port()).await;
    let kubeconfig = cluster.kubeconfig_at("releaser", &token, proxy.port);
    let mut controller = field.controller(real, &kubeconfig, "first");
    let text = controller
        .until_ready_says("no permission to list releases")
        .await;
    assert!(text.contains("grant get, list, watch and patch"), "{text}");
    let role = |name, verbs, resources| ["create", "role", name, verbs, resources];
    let releases =
        "--resource=bluegreenreleases.bluegreen.dev,bluegreenreleases.bluegreen.dev/status";
    kubectl(&role(
        "releases",
        "--verb=get,list,watch,patch,update",
        releases,
    ))
    .await;
    let revisions = "--resource=controllerrevisions.apps";
    kubectl(&role(
        "revisions",
        "--verb=get,list,create,delete",
        revisions,
    ))
    .await;
    let subject = "--serviceaccount=forbidden:releaser";
    kubectl(&[
        "create",
        "rolebinding",
        "revisions",
        "--role=revisions",
        subject,
    ])
    .await;
    let bound = [
        "create",
        "rolebinding",
        "releases",
        "--role=releases",
        subject,
    ];
    kubectl(&bound).await;
    let text = controller
        .until_ready_says("no permission for the lease")
        .await;
    assert!(text.contains("--leader-election=false"), "{text}");
    let leases = "--resource=leases.coordination.k8s.io";
    kubectl(&role(
        "leases",
        "--verb=get,list,watch,create,update",
        leases,
    ))
    .await;
    kubectl(&["create", "rolebinding", "leases", "--role=leases", subject]).await;
    controller.until_ready_says("ok").await;
    assert!(field.changes().is_empty());

    field.apply(cluster, NEW_VERSION).await;
    until_changes(&field, &controller, 2).await;
    kubectl(&["delete", "rolebinding", "releases"]).await;
    until_logged(
        &controller,
        &["a pass failed and is tried again", "is forbidden"],
    )
    .await;
    let made = field.changes().len();
    proxy.cut();
    let remedy = "grant get, list, watch and patch";
    until_logged(
        &controller,
        &["the watch failed and is tried again", remedy],
    )
    .await;
    assert!(field.changes().len() <= made + 1, "{}", controller.log());
    kubectl(&bound).await;
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
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
    let account = field.account(real, cluster).await;
    let mut controller = field.controller(real, &account, "first");
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
    let account = field.account(real, &cluster).await;
    cluster.stop_api(Signal::KILL).await;
    let mut controller = field.controller(real, &account, "first");
    let text = controller.until_ready_says("does not answer").await;
    assert!(text.contains(&cluster.url()), "{text}");
    cluster.start_api().await;
    controller.until_ready_says("ok").await;
    field.apply(&cluster, NEW_VERSION).await;
    for changes in [2, 5] {
        until_changes(&field, &controller, changes).await;
        cluster.stop_api(Signal::KILL).await;
        one_more_at_most(&field, &controller, GONE).await;
        cluster.start_api().await;
    }
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
    nothing_was_refused(&cluster);
}

async fn halted(real: &Real) {
    let cluster = Cluster::start(real).await;
    define(&cluster).await;
    let field = Field::build(&cluster, "halted", 5, 4).await;
    let account = field.account(real, &cluster).await;
    let mut controller = field.controller(real, &account, "first");
    field.apply(&cluster, NEW_VERSION).await;
    until_changes(&field, &controller, 3).await;
    cluster.halt_etcd();
    one_more_at_most(&field, &controller, HALTED).await;
    cluster.continue_etcd();
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
    nothing_was_refused(&cluster);
}

/// Lets an outage last. Nothing can be written down in it, so no change is made in AWS but the one
/// that was written down before.
async fn one_more_at_most(field: &Field, controller: &Controller, outage: Duration) {
    let made = field.changes().len();
    sleep(outage).await;
    let changes = field.changes();
    let more = changes.len() - made;
    assert!(more <= 1, "{more} more: {changes:#?}\n{}", controller.log());
}

async fn cut(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "cut", 6, 5).await;
    let proxy = Proxy::start(cluster.port()).await;
    let kubeconfig = field.account_at(real, cluster, proxy.port).await;
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
    let account = field.account(real, cluster).await;
    field.break_two(cluster).await;
    let mut controller = field.controller(real, &account, "first");
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

/// Waits until it has written a line with all of these words.
async fn until_logged(controller: &Controller, words: &[&str]) {
    let began = Instant::now();
    let said = |line: &str| words.iter().all(|word| line.contains(word));
    while !controller.log().lines().any(said) {
        let waited = began.elapsed();
        assert!(waited < SOON, "{words:?} are not in\n{}", controller.log());
        sleep(LOOK).await;
    }
}
