//! Controllers of different versions at once: with the definition of the next version beneath the
//! one of today, and two that know nothing of each other.

use bluegreen_local::monitor::HostState;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{ended_well, until_changes};
use crate::{
    Real,
    field::{Controller, Field, LOOK, NEW_VERSION, Place, SOON, define, redefine},
    rbac::nothing_was_refused,
    servers::Cluster,
    tools,
};

/// How many passes a controller makes over a release that it is to leave alone.
const PASSES: usize = 10;

/// The next version's definition has a field with a default, which the server shows in every
/// object at once. The controller of today does not know it, so it leaves the release alone; what
/// it has begun goes on when the definition is its own again.
pub(super) async fn next_definition(real: &Real) {
    let cluster = Cluster::start(real).await;
    define(&cluster).await;
    let field = Field::build(&cluster, "next", 8, 6).await;
    let account = field.account(real, &cluster).await;
    let mut controller = field.controller(real, &account, "first");
    field.apply(&cluster, NEW_VERSION).await;
    until_changes(&field, &controller, 3).await;
    let today = redefine(&cluster, |schema| {
        schema["properties"]["spec"]["properties"]["surge"] =
            json!({ "type": "integer", "default": 1 });
    })
    .await;
    let began = Instant::now();
    let events = ["get", "events", "-n", "next"];
    loop {
        let told = tools::run(&mut cluster.kubectl(&events)).await.good();
        if told.contains("NotUnderstood") && told.contains("surge") {
            break;
        }
        assert!(began.elapsed() < SOON, "nobody is told: {told}");
        sleep(LOOK * 10).await;
    }
    let made = field.changes().len();
    until_settled(&field).await;
    for number in 0..PASSES {
        touch(&cluster, &controller, number).await;
    }
    assert_eq!(field.changes().len(), made, "{}", controller.log());
    assert!(made < 8, "the release was over before the definition came");
    redefine(&cluster, |schema| *schema = today).await;
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
    nothing_was_refused(&cluster);
}

/// Waits until what AWS was asked for has come about: from then on the next step could be made.
async fn until_settled(field: &Field) {
    let began = Instant::now();
    loop {
        let hosts = field.world.monitor.hosts();
        let settled = |host: &HostState| ["healthy", "absent"].contains(&host.target.as_str());
        if hosts.iter().all(settled) {
            return;
        }
        assert!(began.elapsed() < SOON, "nothing settles: {hosts:#?}");
        sleep(LOOK).await;
    }
}

/// Changes the release's annotations, and waits for the pass that this causes.
async fn touch(cluster: &Cluster, controller: &Controller, number: usize) {
    let before = controller.passes("Invalid").await;
    let number = format!("example.com/touched={number}");
    let touch = [
        "annotate",
        "-n",
        "next",
        "bgr/snackgame",
        "--overwrite",
        &number,
    ];
    tools::run(&mut cluster.kubectl(&touch)).await.good();
    let began = Instant::now();
    while controller.passes("Invalid").await <= before {
        let waited = began.elapsed();
        assert!(waited < SOON, "{number}: no pass\n{}", controller.log());
        sleep(LOOK).await;
    }
}

/// Two controllers without a lease, as somebody runs them who upgrades by hand. Each write of
/// status is fenced by the resourceVersion, so one of them decides and the other reads that.
pub(super) async fn without_a_lease(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "unled", 9, 7).await;
    let account = field.account(real, cluster).await;
    let mut first = field.controller_at(real, &account, "first", &Place::Unled);
    let mut second = field.controller_at(real, &account, "second", &Place::Unled);
    for controller in [&first, &second] {
        controller.until_ready_says("ok").await;
    }
    field.apply(cluster, NEW_VERSION).await;
    field.until_released(NEW_VERSION).await;
    for controller in [&first, &second] {
        let calls = field.world.calls_of(&controller.who);
        assert!(
            calls > 0,
            "{} was not at work\n{}",
            controller.who,
            controller.log()
        );
    }
    let status = second.end(rustix::process::Signal::TERM).await;
    assert!(status.success(), "{status}: {}", second.log());
    ended_well(field, &mut first).await;
}
