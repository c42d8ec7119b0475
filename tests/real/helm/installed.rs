//! What becomes of the charts on an API server: installed, upgraded, rolled back, uninstalled.
//!
//! The server is older than those that the project is made for. Helm therefore applies from its
//! own side (`--server-side=false`), and does not ask it whether it knows each field. What
//! that leaves out is in `lacking.rs`; `today.rs` looks at it without a server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{SETS, charts, objects, rights::rights, word};
use crate::{
    Real,
    field::DEFINITION,
    report::{Side, Suite},
    servers::Cluster,
    tools::{command, run},
};

/// What Helm has to be told for a server this old.
const HERE: [&str; 2] = ["--server-side=false", "--disable-openapi-validation"];

const FILE: &str = "bluegreen.dev_bluegreenreleases";
pub(crate) const NAMESPACE: &str = "bluegreen-system";
pub(crate) const RELEASE: &str = "bluegreen-controller";

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "install, upgrade, roll back, uninstall: releases and their definition stay",
            life(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "the definition by itself, and the controller without it",
            definition_by_itself(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "every set of values is valid, also in a dry run",
            sets(real),
        )
        .await;
    suite
        .case(Side::Real, "the README's values are valid", readme(real))
        .await;
    suite
        .case(
            Side::Real,
            "the roles allow what they should, and no more",
            rights(real),
        )
        .await;
}

pub(super) async fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    run(&mut cluster.kubectl(arguments)).await.good()
}

async fn helm(cluster: &Cluster, arguments: &[&str]) -> String {
    run(&mut cluster.helm(arguments)).await.good()
}

async fn get(cluster: &Cluster, what: &[&str]) -> Value {
    let arguments = [&["get", "--output=json"], what].concat();
    serde_json::from_str(&kubectl(cluster, &arguments).await).unwrap()
}

/// `helm install` or `helm upgrade`, with what this server needs.
pub(crate) async fn apply(cluster: &Cluster, verb: &str, chart: &Path, more: &[&str]) -> String {
    apply_as(cluster, verb, RELEASE, chart, more).await
}

/// The same, with another name of the release.
async fn apply_as(
    cluster: &Cluster,
    verb: &str,
    release: &str,
    chart: &Path,
    more: &[&str],
) -> String {
    let what = [verb, release, word(chart), "--namespace", NAMESPACE];
    let arguments = [&what[..], &HERE[..], more].concat();
    helm(cluster, &arguments).await
}

/// The fields of a release's spec that the server knows.
async fn fields(cluster: &Cluster) -> Value {
    let definition = get(cluster, &["crd", DEFINITION]).await;
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"].clone()
}

async fn replicas(cluster: &Cluster) -> Value {
    let of = ["deployment", RELEASE, "--namespace", NAMESPACE];
    get(cluster, &of).await["spec"]["replicas"].clone()
}

const SNACKGAME: [&str; 4] = ["bluegreenrelease", "snackgame", "--namespace", "games"];

async fn life(real: &Real) {
    let cluster = Cluster::start(real).await;
    let chart = copied(real, &cluster).await;
    let said = apply(&cluster, "install", &chart, &["--create-namespace"]).await;
    assert!(
        said.contains("Before 1.29 the rules of the definition"),
        "{said}"
    );
    cluster.established(DEFINITION).await;
    assert_eq!(replicas(&cluster).await, 2);
    assert_eq!(fields(&cluster).await["added"], Value::Null);
    snackgame(real, &cluster).await;

    with_another_field(&chart.join("charts/bluegreen-crds"));
    apply(&cluster, "upgrade", &chart, &["--set", "replicas=3"]).await;
    assert_eq!(replicas(&cluster).await, 3);
    assert_eq!(fields(&cluster).await["added"], json!({ "type": "string" }));

    let back = ["rollback", RELEASE, "1", "--namespace", NAMESPACE, HERE[0]];
    helm(&cluster, &back).await;
    assert_eq!(replicas(&cluster).await, 2);
    assert_eq!(fields(&cluster).await["added"], Value::Null);

    helm(&cluster, &["uninstall", RELEASE, "--namespace", NAMESPACE]).await;
    definition_is_left(&cluster).await;

    another_name(&cluster, &chart).await;
    apply(&cluster, "install", &chart, &[]).await;
    get(&cluster, &SNACKGAME).await;
}

/// Makes a release.
async fn snackgame(real: &Real, cluster: &Cluster) {
    cluster.namespace("games").await;
    let example = real.tools.project.join("examples/snackgame-hosts.yaml");
    let create = ["create", "--namespace=games", "--filename", word(&example)];
    kubectl(cluster, &create).await;
    get(cluster, &SNACKGAME).await;
}

/// That of all that is ours the definition is left, with the release.
async fn definition_is_left(cluster: &Cluster) {
    let definition = format!("customresourcedefinition.apiextensions.k8s.io/{DEFINITION}");
    assert_eq!(left(cluster).await, [definition]);
    // A definition that is being deleted is still listed while its objects are.
    for what in [&["crd", DEFINITION][..], &SNACKGAME] {
        let kept = get(cluster, what).await;
        assert_eq!(kept["metadata"]["deletionTimestamp"], Value::Null);
    }
}

/// As the README says it for who installs the definition by itself.
async fn definition_by_itself(real: &Real) {
    const DEFINITIONS: &str = "bluegreen-crds";
    let cluster = Cluster::start(real).await;
    let controller = copied(real, &cluster).await;
    let definitions = controller.with_file_name(DEFINITIONS);
    let new = ["--create-namespace"];
    apply_as(&cluster, "install", DEFINITIONS, &definitions, &new).await;
    cluster.established(DEFINITION).await;
    snackgame(real, &cluster).await;
    let without = ["--set=crds.enabled=false"];
    apply(&cluster, "install", &controller, &without).await;
    assert_eq!(replicas(&cluster).await, 2);

    with_another_field(&definitions);
    apply_as(&cluster, "upgrade", DEFINITIONS, &definitions, &[]).await;
    assert_eq!(fields(&cluster).await["added"], json!({ "type": "string" }));
    let more = ["--set=crds.enabled=false", "--set=replicas=3"];
    apply(&cluster, "upgrade", &controller, &more).await;
    assert_eq!(replicas(&cluster).await, 3);
    assert_eq!(fields(&cluster).await["added"], json!({ "type": "string" }));

    for release in [RELEASE, DEFINITIONS] {
        let uninstall = ["uninstall", release, "--namespace", NAMESPACE];
        helm(&cluster, &uninstall).await;
        definition_is_left(&cluster).await;
    }
}

/// A definition that was kept belongs to the release of that name: another one is told so.
async fn another_name(cluster: &Cluster, chart: &Path) {
    let other = ["install", "other", word(chart), "--namespace", NAMESPACE];
    let other = [&other[..], &HERE[..]].concat();
    let refused = run(&mut cluster.helm(&other)).await.bad();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    helm(cluster, &[&other[..], &["--take-ownership"]].concat()).await;
    helm(cluster, &["uninstall", "other", "--namespace", NAMESPACE]).await;
    // And back again.
    let owner = format!("meta.helm.sh/release-name={RELEASE}");
    kubectl(
        cluster,
        &["annotate", "--overwrite", "crd", DEFINITION, &owner],
    )
    .await;
}

/// A copy of the controller's chart, which may be changed.
async fn copied(real: &Real, cluster: &Cluster) -> PathBuf {
    let copy = cluster.folder().join("charts");
    // Links are followed: what is changed must not be the checkout.
    let mut cp = command(Path::new("cp"));
    cp.args(["--recursive", "--dereference"])
        .arg(charts(real))
        .arg(&copy);
    run(&mut cp).await.good();
    copy.join("bluegreen-controller")
}

fn change_definition(definitions: &Path, change: impl FnOnce(&mut Value)) {
    let file = definitions.join("files").join(format!("{FILE}.yaml"));
    let text = fs::read_to_string(&file).unwrap();
    let mut definition: Value = serde_norway::from_str(&text).unwrap();
    change(&mut definition);
    fs::write(&file, definition.to_string()).unwrap();
}

/// The chart as a next version may have it: the definition has a field more.
fn with_another_field(definitions: &Path) {
    change_definition(definitions, |definition| {
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["spec"]["properties"]["added"] = json!({ "type": "string" });
    });
}

/// What carries the labels of this project.
async fn left(cluster: &Cluster) -> Vec<String> {
    let kinds = "crd,clusterrole,clusterrolebinding,role,rolebinding,serviceaccount,service,\
                 deployment,networkpolicy,poddisruptionbudget,configmap";
    let mine = "app.kubernetes.io/part-of=bluegreen";
    let arguments = [
        "get",
        kinds,
        "--all-namespaces",
        "--selector",
        mine,
        "--output=name",
    ];
    let said = kubectl(cluster, &arguments).await;
    said.lines().map(str::to_owned).collect()
}

/// The kinds of the Prometheus operator, as far as storing one takes.
const OPERATOR: [(&str, &str); 2] = [
    ("ServiceMonitor", "servicemonitors"),
    ("PrometheusRule", "prometheusrules"),
];

async fn operator(cluster: &Cluster) {
    for (kind, plural) in OPERATOR {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.monitoring.coreos.com") },
            "spec": {
                "group": "monitoring.coreos.com",
                "scope": "Namespaced",
                "names": { "kind": kind, "plural": plural },
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": schema },
                }],
            },
        });
        let file = cluster.folder().join(format!("{plural}.json"));
        fs::write(&file, definition.to_string()).unwrap();
        kubectl(cluster, &["create", "--filename", word(&file)]).await;
        cluster
            .established(&format!("{plural}.monitoring.coreos.com"))
            .await;
    }
}

async fn sets(real: &Real) {
    let cluster = Cluster::start(real).await;
    operator(&cluster).await;
    for namespace in [NAMESPACE, "games", "platform"] {
        cluster.namespace(namespace).await;
    }
    let chart = charts(real).join("bluegreen-controller");
    for set in &SETS {
        let values = set.values(real);
        let same = [
            set.release,
            word(&chart),
            "--namespace",
            set.namespace,
            "--values",
            word(&values),
        ];
        // With what this server can do, and not with what Helm takes for granted.
        let render = [
            "template",
            "--dry-run=server",
            "--disable-openapi-validation",
        ];
        let text = helm(&cluster, &[&render[..], &same[..]].concat()).await;
        dry_run(&cluster, objects(&text)).await;
        helm(&cluster, &[&["install"], &HERE[..], &same[..]].concat()).await;
        for object in objects(&text) {
            stored(&cluster, &object).await;
        }
        helm(
            &cluster,
            &["uninstall", set.release, "--namespace", set.namespace],
        )
        .await;
        let definition = ["delete", "crd", DEFINITION, "--ignore-not-found"];
        kubectl(&cluster, &definition).await;
    }
}

/// That the server would take the objects, and knows every field of them.
async fn dry_run(cluster: &Cluster, mut objects: Vec<Value>) {
    objects.retain(|object| object["kind"] != "CustomResourceDefinition");
    for object in &mut objects {
        let spread = object.pointer_mut("/spec/template/spec/topologySpreadConstraints");
        let spread = spread.and_then(Value::as_array_mut);
        for constraint in spread.into_iter().flatten() {
            constraint.as_object_mut().unwrap().remove("matchLabelKeys");
        }
    }
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let file = cluster.folder().join("dry-run.json");
    fs::write(&file, list.to_string()).unwrap();
    let create = [
        "create",
        "--dry-run=server",
        "--validate=true",
        "--filename",
        word(&file),
    ];
    let said = kubectl(cluster, &create).await;
    assert_eq!(said.lines().count(), objects.len(), "{said}");
}

/// That the server has an object, and kept everything in it that it knows.
async fn stored(cluster: &Cluster, object: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&object["metadata"]["name"]);
    let namespace = text(&object["metadata"]["namespace"]);
    let what = [&text(&object["kind"]), &name, "--namespace", &namespace];
    let what = if namespace.is_empty() {
        &what[..2]
    } else {
        &what[..]
    };
    let kept = get(cluster, what).await;
    assert_eq!(kept["metadata"]["labels"], object["metadata"]["labels"]);
    if object["kind"] == "Deployment" {
        let container = |object: &Value| {
            let container = &object["spec"]["template"]["spec"]["containers"][0];
            ["image", "args", "resources", "securityContext"].map(|part| container[part].clone())
        };
        assert_eq!(container(&kept), container(object));
    }
}

/// The values in the README that name a role, as a person would copy them.
async fn readme(real: &Real) {
    let readme = fs::read_to_string(real.tools.project.join("README.md")).unwrap();
    let values = readme
        .split("```yaml\n")
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains("eks.amazonaws.com/role-arn"))
        .expect("README.md has values for IRSA");
    let cluster = Cluster::start(real).await;
    let file = cluster.folder().join("values.yaml");
    fs::write(&file, values).unwrap();
    let chart = charts(real).join("bluegreen-controller");
    let more = ["--create-namespace", "--values", word(&file)];
    let said = apply(&cluster, "install", &chart, &more).await;
    assert!(said.contains("(IRSA)"), "{said}");
    let account = ["serviceaccount", RELEASE, "--namespace", NAMESPACE];
    let account = get(&cluster, &account).await;
    let role = &account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"];
    assert!(
        role.as_str()
            .is_some_and(|role| role.starts_with("arn:aws:iam::"))
    );
}
