//! What of the charts the API server of these tests is too old for. Each entry is looked at: what
//! the server has learned fails here, and belongs into a case.

use std::fs;

use serde_json::Value;

use super::{NAMESPACE, RELEASE, charts, installed::kubectl, word};
use crate::{
    Real,
    field::DEFINITION,
    report::{Lacks, Suite},
    servers::Cluster,
    tools::run,
};

/// How a schema holds rules.
const RULES: &str = "x-kubernetes-validations";

pub(super) async fn suite(real: &Real, suite: &mut Suite) {
    let cluster = Cluster::start(real).await;
    let feature = "policy/v1, nor unhealthyPodEvictionPolicy";
    suite
        .case_lacking("the budget for evictions", feature, async {
            let versions = kubectl(&cluster, &["api-versions"]).await;
            let policy = versions.lines().filter(|one| one.starts_with("policy/"));
            Lacks::when(policy.collect(), vec!["policy/v1beta1"])
        })
        .await;
    let name = "spreading the pods of each version by itself";
    suite
        .case_lacking(name, "matchLabelKeys", async {
            let fields = spread(&cluster).await;
            let old = [
                "labelSelector",
                "maxSkew",
                "topologyKey",
                "whenUnsatisfiable",
            ];
            Lacks::when(fields, old.map(str::to_owned).into())
        })
        .await;
    suite
        .case_lacking("the rules of the definition", RULES, rules(real, &cluster))
        .await;
    let feature = "server-side apply of definitions with rules";
    suite
        .case_lacking(
            "helm with --server-side",
            feature,
            server_side(real, &cluster),
        )
        .await;
}

/// The fields of a constraint that spreads pods.
async fn spread(cluster: &Cluster) -> Vec<String> {
    let schema = kubectl(cluster, &["get", "--raw", "/openapi/v2"]).await;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let constraint = &schema["definitions"]["io.k8s.api.core.v1.TopologySpreadConstraint"];
    let fields = constraint["properties"].as_object().unwrap();
    let mut fields: Vec<String> = fields.keys().cloned().collect();
    fields.sort();
    fields
}

/// The server stores the definition and drops its rules.
async fn rules(real: &Real, cluster: &Cluster) -> Lacks {
    let file = real.tools.project.join(bluegreen::api::crd::FILE);
    let count = |text: &str| text.matches(RULES).count();
    let rules = count(&fs::read_to_string(&file).unwrap());
    assert!(rules > 0, "the definition has no rules");
    let create = ["create", "--validate=false", "--filename", word(&file)];
    kubectl(cluster, &create).await;
    let stored = kubectl(cluster, &["get", "crd", DEFINITION, "--output=json"]).await;
    kubectl(cluster, &["delete", "crd", DEFINITION]).await;
    Lacks::when(count(&stored), 0)
}

async fn server_side(real: &Real, cluster: &Cluster) -> Lacks {
    let chart = charts(real).join("bluegreen-controller");
    let install = [
        "install",
        RELEASE,
        word(&chart),
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--server-side=true",
        "--disable-openapi-validation",
    ];
    let said = run(&mut cluster.helm(&install)).await;
    if said.ok {
        return Lacks::NoMore(said.stdout);
    }
    for field in [RULES, "matchLabelKeys"] {
        let refused = format!(".{field}: field not declared in schema");
        assert!(said.stderr.contains(&refused), "{}", said.stderr);
    }
    Lacks::Still
}
