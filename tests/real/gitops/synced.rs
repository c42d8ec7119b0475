//! A manifest that is applied again and again, as a tool that syncs a repository does.

use std::fs;

use serde_json::{Map, Value, json};

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
    let name = "a request survives Flux, where it is made as the documentation says";
    suite.case(Side::Real, name, synced_by_flux(real)).await;
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

/// The manager of the fields that Flux applies.
const FLUX: &str = "kustomize-controller";

/// Whose fields Flux takes over before it applies, so that what its repository does not have goes:
/// every manager whose name begins so.
const TAKEN_OVER: [&str; 2] = ["kubectl", "before-first-apply"];

async fn synced_by_flux(real: &Real) {
    let cluster = cluster(real).await;
    let file = real.tools.project.join("examples/promotion.yaml");
    sync_by_flux(&cluster, word(&file)).await;
    let request = format!("{REQUEST}=promote 1");
    let annotate = ["annotate", "bgr", "snackgame", &request];
    for (option, left) in [(None, None), (Some(documented(real)), Some("promote 1"))] {
        let option: Vec<&str> = option.iter().map(String::as_str).collect();
        let annotate = [&annotate[..], &option].concat();
        kubectl(&cluster, &annotate).await;
        for _ in 0..2 {
            sync_by_flux(&cluster, word(&file)).await;
        }
        let after = read(&cluster).await;
        let found = after["metadata"]["annotations"][REQUEST].as_str();
        assert_eq!(found, left, "{annotate:?}");
    }
}

/// The option that the documentation tells to give, in each place that tells how to ask.
fn documented(real: &Real) -> String {
    let text = |name| fs::read_to_string(real.tools.project.join(name)).unwrap();
    let page = text("docs/gitops.md");
    let option = page
        .split_whitespace()
        .find(|word| word.starts_with("--field-manager="))
        .expect("docs/gitops.md names a field manager");
    for name in ["docs/runbook.md", "examples/promotion.yaml"] {
        assert!(text(name).contains(option), "{name} does not say {option}");
    }
    option.to_owned()
}

async fn read(cluster: &Cluster) -> Value {
    let get = [
        "get",
        "bgr",
        "snackgame",
        "--output=json",
        "--show-managed-fields",
    ];
    serde_json::from_str(&kubectl(cluster, &get).await).unwrap()
}

/// What kustomize-controller does with an object when it syncs.
async fn sync_by_flux(cluster: &Cluster, file: &str) {
    let get = [
        "get",
        "bgr",
        "snackgame",
        "--ignore-not-found",
        "--output=name",
    ];
    if !kubectl(cluster, &get).await.is_empty() {
        take_over(cluster).await;
    }
    let manager = format!("--field-manager={FLUX}");
    let apply = ["apply", "--server-side", "--force-conflicts", &manager];
    kubectl(cluster, &[&apply[..], &["--filename", file]].concat()).await;
}

/// Makes the fields of others those of Flux.
async fn take_over(cluster: &Cluster) {
    let object = read(cluster).await;
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let manager = |entry: &Value| entry["manager"].as_str().unwrap_or_default().to_owned();
    let (mut flux, others): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|entry| manager(entry) == FLUX && entry["operation"] == "Apply");
    let mut flux = flux.pop().expect("it has applied this");
    let (taken, mut left): (Vec<_>, Vec<_>) = others.into_iter().partition(|entry| {
        let manager = manager(entry);
        TAKEN_OVER.iter().any(|name| manager.starts_with(name)) && entry["subresource"].is_null()
    });
    if taken.is_empty() {
        return;
    }
    for entry in &taken {
        let fields = flux["fieldsV1"].as_object_mut().unwrap();
        unite(fields, entry["fieldsV1"].as_object().unwrap());
    }
    left.push(flux);
    let patch = json!([{ "op": "replace", "path": "/metadata/managedFields", "value": left }]);
    let manager = format!("--field-manager={FLUX}");
    let patch = patch.to_string();
    let patch = [
        "patch",
        "bgr",
        "snackgame",
        "--type=json",
        "-p",
        &patch,
        &manager,
    ];
    kubectl(cluster, &patch).await;
}

/// The union of two sets of fields.
fn unite(fields: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (field, below) in more {
        let mine = fields.entry(field).or_insert_with(|| json!({}));
        unite(mine.as_object_mut().unwrap(), below.as_object().unwrap());
    }
}
