//! What the roles of the chart allow, as the API server decides it.

use super::{
    charts,
    installed::{NAMESPACE, RELEASE, apply, kubectl},
};
use crate::{Real, field::DEFINITION, servers::Cluster, tools::run};

/// Who, what and where; and whether they may.
const RIGHTS: &[(&str, &str, &str, &str, bool)] = &[
    ("controller", "watch", "bluegreenreleases", "games", true),
    ("controller", "patch", "bluegreenreleases", "games", true),
    (
        "controller",
        "update",
        "bluegreenreleases/status",
        "games",
        true,
    ),
    (
        "controller",
        "list",
        "controllerrevisions.apps",
        "games",
        true,
    ),
    (
        "controller",
        "create",
        "controllerrevisions.apps",
        "games",
        true,
    ),
    (
        "controller",
        "delete",
        "controllerrevisions.apps",
        "games",
        true,
    ),
    (
        "controller",
        "patch",
        "controllerrevisions.apps",
        "games",
        false,
    ),
    (
        "controller",
        "create",
        "events.events.k8s.io",
        "games",
        true,
    ),
    (
        "controller",
        "update",
        "leases/bluegreen-controller",
        NAMESPACE,
        true,
    ),
    ("controller", "create", "leases", NAMESPACE, true),
    ("controller", "update", "leases/another", NAMESPACE, false),
    (
        "controller",
        "update",
        "leases/bluegreen-controller",
        "games",
        false,
    ),
    ("controller", "update", "bluegreenreleases", "games", false),
    ("controller", "delete", "bluegreenreleases", "games", false),
    ("controller", "get", "secrets", NAMESPACE, false),
    (
        "controller",
        "update",
        "customresourcedefinitions",
        NAMESPACE,
        false,
    ),
    ("view", "list", "bluegreenreleases", "games", true),
    ("view", "create", "bluegreenreleases", "games", false),
    ("view", "list", "bluegreenreleases", "default", false),
    ("edit", "create", "bluegreenreleases", "games", true),
    ("edit", "patch", "bluegreenreleases", "games", true),
    ("edit", "update", "bluegreenreleases/status", "games", false),
    ("edit", "patch", "bluegreenreleases/status", "games", false),
];

pub(super) async fn rights(real: &Real) {
    let cluster = Cluster::start(real).await;
    let chart = charts(real).join("bluegreen-controller");
    let values = ["--create-namespace", "--set=rbac.aggregateRoles=true"];
    apply(&cluster, "install", &chart, &values).await;
    cluster.established(DEFINITION).await;
    cluster.namespace("games").await;
    // What collects these roles into Kubernetes' own is not part of the API server, so they are
    // bound by themselves.
    for user in ["view", "edit"] {
        let role = format!("--clusterrole={RELEASE}-{user}");
        let user = format!("--user={user}");
        let binding = [
            "create",
            "rolebinding",
            &user[7..],
            &role,
            &user,
            "--namespace=games",
        ];
        kubectl(&cluster, &binding).await;
    }
    for (who, verb, resource, namespace, allowed) in RIGHTS {
        let user = match *who {
            "controller" => format!("--as=system:serviceaccount:{NAMESPACE}:{RELEASE}"),
            user => format!("--as={user}"),
        };
        let (resource, part) = match resource.split_once("/status") {
            Some((resource, _)) => (resource, "--subresource=status"),
            None => (*resource, "--subresource="),
        };
        let can = [
            "auth",
            "can-i",
            verb,
            resource,
            part,
            "--namespace",
            namespace,
            &user,
        ];
        let said = run(&mut cluster.kubectl(&can)).await.stdout;
        let wanted = if *allowed { "yes" } else { "no" };
        assert_eq!(
            said.trim(),
            wanted,
            "{who} {verb} {resource} {part} in {namespace}"
        );
    }
}
