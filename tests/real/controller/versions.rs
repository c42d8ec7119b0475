//! Controllers of different versions at once: with the definition of the next version beneath the
//! one of today, and two that know nothing of each other.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{SOON, ended_well, until_changes};
use crate::{
    Real,
    field::{Field, LOOK, NEW_VERSION, Place, define, redefine},
    servers::Cluster,
    tools,
};

/// How long to look whether a controller does anything: longer than any step of the release, which
/// waits for nobody but AWS.
const IDLE: Duration = Duration::from_secs(20);

/// The next version's definition has a field with a default, which the server shows in every
/// object at once. The controller of today does not know it, so it leaves the release alone; what
/// it has begun goes on when the definition is its own again.
pub(super) async fn next_definition(real: &Real) {
    let cluster = Cluster::start(real).await;
    define(&cluster).await;
    let field = Field::build(&cluster, "next", 8, 6).await;
    let mut controller = field.controller(real, &cluster.admin(), "first");
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
    sleep(IDLE).await;
    assert_eq!(field.changes().len(), made, "{}", controller.log());
    assert!(made < 8, "the release was over before the definition came");
    redefine(&cluster, |schema| *schema = today).await;
    field.until_released(NEW_VERSION).await;
    ended_well(field, &mut controller).await;
}

/// Two controllers without a lease, as somebody runs them who upgrades by hand. Each write of
/// status is fenced by the resourceVersion, so one of them decides and the other reads that.
pub(super) async fn without_a_lease(real: &Real, cluster: &Cluster) {
    let field = Field::build(cluster, "unled", 9, 7).await;
    let kubeconfig = cluster.admin();
    let mut first = field.controller_at(real, &kubeconfig, "first", &Place::Unled);
    let mut second = field.controller_at(real, &kubeconfig, "second", &Place::Unled);
    field.apply(cluster, NEW_VERSION).await;
    field.until_released(NEW_VERSION).await;
    let status = second.end(rustix::process::Signal::TERM).await;
    assert!(status.success(), "{status}: {}", second.log());
    ended_well(field, &mut first).await;
}
