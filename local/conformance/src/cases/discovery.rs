//! Discovery and OpenAPI: what clients learn of a server.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::text,
    check::{holds, same},
};

super::list! { "discovery":
    groups_and_versions_are_told,
    resources_are_told,
    all_of_it_is_told_in_one_document [AggregatedDiscovery],
    kinds_are_described_in_openapi [OpenApiV3],
    the_version_is_told,
    health_is_told,
}

async fn groups_and_versions_are_told(api: Api) -> Outcome {
    let core = api.get("/api").await?.ok()?;
    same!(core["kind"], "APIVersions");
    same!(core["versions"], json!(["v1"]));
    let groups = api.get("/apis").await?.ok()?;
    same!(groups["kind"], "APIGroupList");
    same!(groups["apiVersion"], "v1");
    let group = api.get("/apis/conformance.bluegreen.dev").await?.ok()?;
    let version = json!({"groupVersion": "conformance.bluegreen.dev/v1", "version": "v1"});
    same!(
        group,
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": "conformance.bluegreen.dev",
               "versions": [version], "preferredVersion": version})
    );
    let listed = groups["groups"].as_array().into_iter().flatten();
    let names: Vec<&str> = listed.map(|group| text(group, "/name")).collect();
    for name in [
        "apiextensions.k8s.io",
        "coordination.k8s.io",
        "events.k8s.io",
        "conformance.bluegreen.dev",
    ] {
        holds!(names.contains(&name), "{name} in {names:?}");
    }
    Ok(())
}

fn sorted(list: &Value) -> Vec<&str> {
    let mut texts: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    texts.sort_unstable();
    texts
}

async fn resources_are_told(api: Api) -> Outcome {
    let list = api.get("/apis/conformance.bluegreen.dev/v1").await?.ok()?;
    same!(list["kind"], "APIResourceList");
    same!(list["groupVersion"], "conformance.bluegreen.dev/v1");
    let widgets = &list["resources"][0];
    same!(widgets["name"], "widgets");
    same!(widgets["singularName"], "widget");
    same!(widgets["kind"], "Widget");
    same!(widgets["namespaced"], true);
    same!(widgets["shortNames"], json!(["wgt"]));
    same!(widgets["categories"], json!(["conformance"]));
    let verbs = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ];
    same!(sorted(&widgets["verbs"]), verbs);
    let status = &list["resources"][1];
    same!(status["name"], "widgets/status");
    same!(sorted(&status["verbs"]), ["get", "patch", "update"]);
    let list = api.get("/apis/coordination.k8s.io/v1").await?.ok()?;
    same!(list["resources"][0]["name"], "leases");
    same!(sorted(&list["resources"][0]["verbs"]), verbs);
    Ok(())
}

async fn all_of_it_is_told_in_one_document(api: Api) -> Outcome {
    let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let answer = api
        .get_as("/apis", &format!("{kind},application/json"))
        .await?;
    same!(answer.header("content-type"), kind);
    let document = answer.ok()?;
    let groups = document["items"].as_array().into_iter().flatten();
    let mut ours =
        groups.filter(|group| text(group, "/metadata/name") == "conformance.bluegreen.dev");
    let Some(group) = ours.next() else {
        return Err(crate::Failure::new("the suite's group is not told"));
    };
    let resource = &group["versions"][0]["resources"][0];
    same!(resource["resource"], "widgets");
    same!(resource["scope"], "Namespaced");
    same!(resource["singularResource"], "widget");
    same!(resource["responseKind"]["kind"], "Widget");
    same!(resource["subresources"][0]["subresource"], "status");
    Ok(())
}

async fn kinds_are_described_in_openapi(api: Api) -> Outcome {
    let index = api.get("/openapi/v3").await?.ok()?;
    let place = &index["paths"]["apis/conformance.bluegreen.dev/v1"]["serverRelativeURL"];
    let url = place.as_str().unwrap_or_default();
    holds!(
        url.starts_with("/openapi/v3/apis/conformance.bluegreen.dev/v1?hash="),
        "{url}"
    );
    let document = api.get(url).await?.ok()?;
    let schema = &document["components"]["schemas"]["dev.bluegreen.conformance.v1.Widget"];
    same!(
        schema["x-kubernetes-group-version-kind"],
        json!([{"group": "conformance.bluegreen.dev", "version": "v1", "kind": "Widget"}])
    );
    same!(
        schema["properties"]["spec"]["description"],
        "What is wanted."
    );
    let path = "/apis/conformance.bluegreen.dev/v1/namespaces/{namespace}/widgets/{name}";
    let patch = &document["paths"][path]["patch"];
    let parameters = patch["parameters"].as_array().into_iter().flatten();
    let names: Vec<&str> = parameters
        .map(|parameter| text(parameter, "/name"))
        .collect();
    for name in ["dryRun", "fieldManager", "fieldValidation", "force"] {
        holds!(names.contains(&name), "{name} in {names:?}");
    }
    Ok(())
}

async fn the_version_is_told(api: Api) -> Outcome {
    let version = api.get("/version").await?.ok()?;
    same!(version["major"], "1");
    let start = format!("v1.{}.", text(&version, "/minor"));
    holds!(
        text(&version, "/gitVersion").starts_with(&start),
        "{version}"
    );
    Ok(())
}

async fn health_is_told(api: Api) -> Outcome {
    for path in ["/healthz", "/livez", "/readyz"] {
        // Probes say nobody's name.
        let answer = api.get_as_somebody(path, None).await?;
        same!(answer.header("content-type"), "text/plain; charset=utf-8");
        same!(answer.ok_with(200)?, "ok");
    }
    Ok(())
}
