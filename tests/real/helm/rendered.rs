//! What Helm makes of the charts without a cluster.

use std::{env, fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use super::{SETS, Set, charts, expected, helm, objects, pods, template, today, word};
use crate::{
    Real,
    report::{Side, Suite},
    tools::{Said, command, run},
};

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    suite
        .case(Side::Real, "helm lint --strict finds nothing", async {
            for name in ["bluegreen-crds", "bluegreen-controller"] {
                let chart = charts(real).join(name);
                let said = helm(real, &["lint", "--strict", word(&chart)]).await;
                assert!(said.good().contains("0 chart(s) failed"));
            }
        })
        .await;
    for set in SETS {
        let name = format!("the values `{}` render what they should", set.name);
        suite.case(Side::Real, &name, renders(real, &set)).await;
    }
    suite
        .case(
            Side::Real,
            "values that make no sense are refused",
            refused(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "the definition is the one of crds/",
            definition(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "one namespace needs no right in the cluster",
            namespaced(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "the program understands its arguments",
            arguments(real),
        )
        .await;
    suite
        .case(
            Side::Real,
            "a package has all that the folder has",
            package(real),
        )
        .await;
}

async fn renders(real: &Real, set: &Set) {
    let text = template(real, set).await;
    for object in objects(&text) {
        tidy(&object);
        today::known(&object);
        if object["kind"] == "Deployment" {
            pods::restricted(&object["spec"]["template"]["spec"]);
        }
    }
    compare(
        &expected(real, &format!("{}.yaml", set.name)),
        &short(&text),
    );
    let notes = notes(real, set).await;
    compare(&expected(real, &format!("{}.notes.txt", set.name)), &notes);
}

/// The text without the definition's inside, which would be most of it and is compared elsewhere.
fn short(text: &str) -> String {
    let mut out = Vec::new();
    for object in text.split_inclusive("\n---\n") {
        if object.contains("\nkind: CustomResourceDefinition\n") {
            let (head, _) = object.split_once("\nspec:\n").expect("it has a spec");
            out.push(format!("{head}\nspec: # that of crds/\n---\n"));
        } else {
            out.push(object.to_owned());
        }
    }
    out.concat()
}

fn compare(file: &Path, text: &str) {
    if env::var_os("BLUEGREEN_BLESS").is_some() {
        fs::write(file, text).unwrap();
        return;
    }
    let before = fs::read_to_string(file).unwrap_or_default();
    if before == text {
        return;
    }
    let line = before
        .lines()
        .zip(text.lines())
        .position(|(before, now)| before != now)
        .unwrap_or_else(|| before.lines().count().min(text.lines().count()));
    panic!(
        "{} is not what is rendered; line {}:\n  {}\nis rendered as\n  {}\n\
         Where that is meant, write it anew with BLUEGREEN_BLESS=1 and read the difference",
        file.display(),
        line + 1,
        before.lines().nth(line).unwrap_or("(the end)"),
        text.lines().nth(line).unwrap_or("(the end)"),
    );
}

/// What every object has, and no object has.
fn tidy(object: &Value) {
    let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
    let labels = &object["metadata"]["labels"];
    for label in ["name", "instance", "version", "part-of", "managed-by"] {
        let label = format!("app.kubernetes.io/{label}");
        assert!(labels[&label].is_string(), "{name} has no label {label}");
    }
    if object["kind"] != "CustomResourceDefinition" {
        let empty = empty(object, "");
        assert!(empty.is_empty(), "{name} has nothing in {empty:?}");
    }
}

/// The places with nothing in them: what is left of a block whose condition was forgotten.
fn empty(value: &Value, path: &str) -> Vec<String> {
    let inside = |name: &str, value: &Value| empty(value, &format!("{path}/{name}"));
    match value {
        Value::Null => vec![path.to_owned()],
        Value::Array(all) if all.is_empty() => vec![path.to_owned()],
        Value::Object(all) if all.is_empty() => vec![path.to_owned()],
        Value::Array(all) => all.iter().flat_map(|value| inside("-", value)).collect(),
        Value::Object(all) => all
            .iter()
            .flat_map(|(name, value)| inside(name, value))
            .collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// What Helm says when the set was installed.
async fn notes(real: &Real, set: &Set) -> String {
    let (chart, values) = (charts(real).join("bluegreen-controller"), set.values(real));
    let arguments = [
        "install",
        set.release,
        word(&chart),
        "--dry-run=client",
        "--namespace",
        set.namespace,
        "--values",
        word(&values),
    ];
    let said = helm(real, &arguments).await.good();
    let (_, notes) = said.split_once("\nNOTES:\n").expect("it says something");
    notes.to_owned()
}

/// Bad values, and a piece of what Helm says to them.
const REFUSED: &[(&str, &str)] = &[
    (
        "aws.regoin=eu-west-1",
        "'/aws': additional properties 'regoin' not allowed",
    ),
    (
        "replicaCount=3",
        "additional properties 'replicaCount' not allowed",
    ),
    ("replicas=two", "'/replicas': got string, want integer"),
    (
        "leaderElection.enabled=false",
        "'/replicas': maximum: got 2, want 1",
    ),
    (
        "leaderElection.leaseDuration=5s",
        "'/leaderElection/leaseDuration': '5s' does not match",
    ),
    (
        "leaderElection.leaseDuration=1m",
        "'/leaderElection/leaseDuration': '1m' does not match",
    ),
    (
        "leaderElection.leaseDuration=601s",
        "'/leaderElection/leaseDuration': '601s' does not match",
    ),
    (
        "aws.rateFactor=0",
        "'/aws/rateFactor': minimum: got 0, want 0.1",
    ),
    (
        "aws.region=Ireland",
        "'/aws/region': 'Ireland' does not match",
    ),
    (
        "aws.endpointUrl=localstack:4566",
        "'/aws/endpointUrl': 'localstack:4566' does not match",
    ),
    (
        "image.digest=latest",
        "'/image/digest': 'latest' does not match",
    ),
    (
        "log.format=xml",
        "'/log/format': value must be one of 'json', 'text'",
    ),
    (
        "watchNamespace=Games",
        "'/watchNamespace': 'Games' does not match",
    ),
    (
        "networkPolicy.httpsPorts[0]=0",
        "'/networkPolicy/httpsPorts/0': minimum: got 0, want 1",
    ),
    (
        "probes.cidrs[0]=vpc",
        "'/probes/cidrs/0': 'vpc' does not match",
    ),
    (
        "podDisruptionBudget.maxUnavailable=0",
        "'/podDisruptionBudget/maxUnavailable': 'anyOf' failed",
    ),
    (
        "serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=bluegreen",
        "'/serviceAccount/annotations/eks.amazonaws.com~1role-arn': 'bluegreen' does not match",
    ),
    (
        "crds.kept=false",
        "additional properties 'kept' not allowed",
    ),
    (
        "topologySpread.whenUnsatisfiable=Never",
        "value must be one of 'DoNotSchedule', 'ScheduleAnyway'",
    ),
];

async fn refused(real: &Real) {
    let chart = charts(real).join("bluegreen-controller");
    for (value, words) in REFUSED {
        let said = helm(real, &["template", "x", word(&chart), "--set", value]).await;
        let error = said.bad();
        assert!(error.contains(words), "--set {value}: {error}");
    }
}

async fn definition(real: &Real) {
    let file = real
        .tools
        .project
        .join("crds/bluegreen.dev_bluegreenreleases.yaml");
    let text = fs::read_to_string(file).unwrap();
    let wanted: CustomResourceDefinition = serde_norway::from_str(&text).unwrap();
    let chart = charts(real).join("bluegreen-crds");
    for (more, policy) in [
        (&[][..], Some("keep")),
        (&["--set", "keep=false"][..], None),
    ] {
        let arguments = [&["template", "x", word(&chart)], more].concat();
        let text = helm(real, &arguments).await.good();
        // Read as what it is, since Helm writes 1.0 as 1.
        let rendered: CustomResourceDefinition = serde_norway::from_str(&text).unwrap();
        assert!(rendered.spec == wanted.spec, "the specs differ");
        let annotations = rendered.metadata.annotations.unwrap_or_default();
        let found = annotations.get("helm.sh/resource-policy");
        assert_eq!(found.map(String::as_str), policy);
    }
}

async fn namespaced(real: &Real) {
    let [_, _, set, _] = &SETS;
    for object in objects(&template(real, set).await) {
        let namespace = &object["metadata"]["namespace"];
        assert_eq!(
            namespace, "games",
            "{} belongs to the cluster",
            object["kind"]
        );
    }
}

/// The arguments of every set, given to the program: `--version` ends it once it has read them.
async fn arguments(real: &Real) {
    for set in &SETS {
        let objects = objects(&template(real, set).await);
        let pod = objects.iter().find(|object| object["kind"] == "Deployment");
        let container = &pod.unwrap()["spec"]["template"]["spec"]["containers"][0];
        let mut program = command(&real.tools.controller);
        for argument in container["args"].as_array().unwrap() {
            program.arg(argument.as_str().unwrap());
        }
        run(program.arg("--version")).await.good();
    }
}

async fn package(real: &Real) {
    let folder = real.folder.path();
    let chart = charts(real).join("bluegreen-controller");
    helm(
        real,
        &["package", word(&chart), "--destination", word(folder)],
    )
    .await
    .good();
    let package = folder.join(format!(
        "bluegreen-controller-{}.tgz",
        env!("CARGO_PKG_VERSION")
    ));
    let from = |chart: String| async move {
        let Said { ok, stdout, stderr } = helm(real, &["template", "x", &chart]).await;
        assert!(ok, "{stderr}");
        stdout
    };
    let (folder, packed) = (word(&chart).to_owned(), word(&package).to_owned());
    assert!(
        from(folder).await == from(packed).await,
        "the package renders something else"
    );
}
