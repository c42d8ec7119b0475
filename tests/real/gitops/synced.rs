//! A manifest that is applied again and again, as a tool that syncs a repository does.

use serde_json::Value;

use super::{NAMESPACE, cluster, releases, word, write_status};
use crate::{
    Real,
    report::{Side, Suite},
    servers::Cluster,
    tools::run,
};

const REQUEST: &str = "bluegreen.dev/request";

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    for (name, how) in [
        (
            "a request survives a sync, and a sync changes nothing",
            &[][..],
        ),
        (
            "the same with server-side apply",
            &["--server-side", "--force-conflicts"],
        ),
    ] {
        suite.case(Side::Real, name, synced(real, how)).await;
    }
}

async fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    let arguments = [arguments, &["--namespace", NAMESPACE]].concat();
    run(&mut cluster.kubectl(&arguments)).await.good()
}

async fn synced(real: &Real, how: &[&str]) {
    let cluster = cluster(real).await;
    let releases = releases(cluster.client().await);
    for example in ["promotion", "existing"] {
        let file = format!("examples/{example}.yaml");
        let file = real.tools.project.join(file);
        let file = word(&file);
        let apply = [&["apply", "--filename", file], how].concat();
        kubectl(&cluster, &apply).await;
        write_status(real, &releases, "snackgame", "awaiting-promotion").await;
        let request = format!("{REQUEST}=promote 1");
        kubectl(&cluster, &["annotate", "bgr", "snackgame", &request]).await;

        let before = releases.get("snackgame").await.unwrap();
        for _ in 0..2 {
            kubectl(&cluster, &apply).await;
        }
        // It ends with an error where there is a difference.
        let diff = [&["diff", "--filename", file], how].concat();
        assert_eq!(kubectl(&cluster, &diff).await, "");
        let after = releases.get("snackgame").await.unwrap();
        assert_eq!(
            after.metadata.resource_version,
            before.metadata.resource_version
        );
        let annotations = after.metadata.annotations.unwrap();
        assert_eq!(annotations[REQUEST], "promote 1");
        assert_eq!(after.data["status"]["phase"], "AwaitingPromotion");
        assert_ne!(
            after.data["spec"]["drain"],
            Value::Null,
            "defaults are there"
        );
        kubectl(&cluster, &["delete", "bgr", "snackgame"]).await;
    }
}
