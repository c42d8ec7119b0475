//! Who waits for a release: `helm install --wait`, which goes by kstatus, and `kubectl wait`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{NAMESPACE, cluster, releases, word, write_status};
use crate::{
    Real,
    report::{Side, Suite},
    servers::Cluster,
    tools::{Said, run},
};

/// How long Helm may wait where it is to see the end; much longer than it needs.
const LONG: &str = "120s";

/// How long it waits where there is no end to see.
const SHORT: &str = "5s";

/// How long the last status may take to be written when Helm has ended.
const WRITTEN: Duration = Duration::from_secs(10);

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "helm install --wait ends well when the release is live",
            live(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "helm install --wait fails when the release stalls",
            stalled(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "helm install --wait does not end before the release has",
            under_way(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "helm upgrade --wait takes no version that was live before for the next",
            upgraded(real),
        )
        .await;
    suite
        .case(Side::Real, "kubectl wait sees each end", kubectl(real))
        .await;
}

/// `helm install --wait` of a chart that contains a release.
async fn install(real: &Real, cluster: &Cluster, name: &str, timeout: &str) -> Said {
    helm(real, cluster, &["install", name], timeout).await
}

/// The same with another verb and more arguments.
async fn helm(real: &Real, cluster: &Cluster, what: &[&str], timeout: &str) -> Said {
    let chart = real.tools.project.join("tests/real/gitops/chart");
    let how = [
        word(&chart),
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout",
        timeout,
    ];
    run(&mut cluster.helm(&[what, &how].concat())).await
}

/// Installs, and writes statuses one after the other when the release is there.
async fn installed(real: &Real, name: &str, statuses: &[&str], timeout: &str) -> (Said, Duration) {
    let cluster = cluster(real).await;
    let releases = releases(cluster.client().await);
    let began = Instant::now();
    let writing = async {
        while releases.get_opt(name).await.unwrap().is_none() {
            sleep(Duration::from_millis(50)).await;
        }
        for status in statuses {
            write_status(real, &releases, name, status).await;
        }
    };
    let helm = install(real, &cluster, name, timeout);
    let (mut writing, mut helm) = (std::pin::pin!(writing), std::pin::pin!(helm));
    let said = tokio::select! {
        () = &mut writing => helm.await,
        said = &mut helm => {
            // The answer to the last write may come later than what Helm made of it.
            let written = tokio::time::timeout(WRITTEN, writing).await;
            let words = || format!("{}{}", said.stdout, said.stderr);
            assert!(written.is_ok(), "Helm ended and there is no release: {}", words());
            said
        }
    };
    (said, began.elapsed())
}

async fn live(real: &Real) {
    let statuses = ["starting", "awaiting-promotion", "draining", "released"];
    let (said, _) = installed(real, "snackgame", &statuses, LONG).await;
    assert!(said.good().contains("deployed"));
}

async fn stalled(real: &Real) {
    for end in ["stalled", "rolled-back"] {
        let (said, took) = installed(real, "snackgame", &["starting", end], LONG).await;
        let words = said.bad();
        assert!(words.contains("snackgame"), "{end}: {words}");
        assert!(
            took < Duration::from_secs(100),
            "{end}: it waited for {took:?}"
        );
    }
}

async fn under_way(real: &Real) {
    for statuses in [&[][..], &["registering"], &["awaiting-promotion"]] {
        let (said, _) = installed(real, "snackgame", statuses, SHORT).await;
        let words = said.bad();
        assert!(words.contains("deadline"), "{statuses:?}: {words}");
    }
}

async fn upgraded(real: &Real) {
    let cluster = cluster(real).await;
    let releases = releases(cluster.client().await);
    install(real, &cluster, "snackgame", SHORT).await.bad();
    write_status(real, &releases, "snackgame", "released").await;
    let upgrade = async |timeout| {
        let next = ["upgrade", "snackgame", "--set=version=1.9.0"];
        helm(real, &cluster, &next, timeout).await
    };
    // Until the controller has seen the next version the status says that the last one is live.
    let words = upgrade(SHORT).await.bad();
    assert!(words.contains("deadline"), "{words}");
    write_status(real, &releases, "snackgame", "starting").await;
    let words = upgrade(SHORT).await.bad();
    assert!(words.contains("deadline"), "{words}");
    write_status(real, &releases, "snackgame", "released").await;
    assert!(upgrade(LONG).await.good().contains("upgraded"));
}

async fn kubectl(real: &Real) {
    let cluster = cluster(real).await;
    let releases = releases(cluster.client().await);
    install(real, &cluster, "snackgame", SHORT).await.bad();
    let wait = async |condition: &str, timeout: &str| {
        let condition = format!("--for=condition={condition}");
        let timeout = format!("--timeout={timeout}");
        let namespace = format!("--namespace={NAMESPACE}");
        let arguments = ["wait", "bgr/snackgame", &condition, &timeout, &namespace];
        run(&mut cluster.kubectl(&arguments)).await
    };
    for (status, holds, not) in [
        ("registering", "Reconciling", "Ready"),
        ("stalled", "Stalled", "Ready"),
        ("rolled-back", "Stalled", "Reconciling"),
        ("released", "Ready", "Stalled"),
    ] {
        write_status(real, &releases, "snackgame", status).await;
        wait(holds, "60s").await.good();
        let words = wait(not, "1s").await.bad();
        assert!(words.contains("timed out"), "{words}");
    }

    // What was live before the spec was changed says nothing of what it asks for now.
    let next = r#"--patch={"spec":{"version":"1.9.0"}}"#;
    let namespace = format!("--namespace={NAMESPACE}");
    let patch = ["patch", "bgr/snackgame", "--type=merge", next, &namespace];
    run(&mut cluster.kubectl(&patch)).await.good();
    let words = wait("Ready", "1s").await.bad();
    assert!(words.contains("timed out"), "{words}");
}
