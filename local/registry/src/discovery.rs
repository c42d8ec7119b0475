//! Discovery: which groups, versions and resources there are.

use http::{HeaderMap, header};
use serde_json::{Value, json};

use crate::{
    catalog::{Catalog, Resource},
    request::MediaRange,
};

/// The Kubernetes release whose behaviour the registry follows.
const VERSION: (&str, &str) = ("1", "34");

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

const STATUS_VERBS: [&str; 3] = ["get", "patch", "update"];

/// The document at a discovery path, with its content type; `None` for any other path.
pub(crate) fn answer(
    catalog: &Catalog,
    path: &str,
    headers: &HeaderMap,
) -> Option<(&'static str, Value)> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let aggregated = aggregated_kind(headers);
    let document = match (parts.as_slice(), aggregated) {
        (["api"], Some(kind)) => {
            let core = ("".to_owned(), vec!["v1".to_owned()]);
            return Some((kind, aggregate(catalog, vec![core])));
        }
        (["apis"], Some(kind)) => return Some((kind, aggregate(catalog, catalog.groups()))),
        (["api"], None) => json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []}),
        (["apis"], None) => {
            let groups: Vec<Value> = catalog.groups().iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        (["apis", name], _) => {
            let groups = catalog.groups();
            let found = groups.iter().find(|(group, _)| group == name)?;
            let mut document = group(found);
            document["kind"] = Value::from("APIGroup");
            document["apiVersion"] = Value::from("v1");
            document
        }
        (["api", version], _) => resource_list(catalog, "", version)?,
        (["apis", group, version], _) => resource_list(catalog, group, version)?,
        (["version"], _) => version(),
        _ => return None,
    };
    Some(("application/json", document))
}

/// The content type of an aggregated document, where the caller would rather have one.
fn aggregated_kind(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get(header::ACCEPT)?.to_str().ok()?;
    accept.split(',').find_map(|range| {
        let range = MediaRange::parse(range);
        let fits = range.kind == "application/json"
            && range.parameter("as") == Some("APIGroupDiscoveryList")
            && range.parameter("v") == Some("v2");
        fits.then_some("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    })
}

fn version() -> Value {
    let (major, minor) = VERSION;
    json!({"major": major, "minor": minor,
           "gitVersion": format!("v{major}.{minor}.0+embedded-registry"),
           "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
           "goVersion": "none", "compiler": "rustc",
           "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)})
}

fn group((name, versions): &(String, Vec<String>)) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions[0]})
}

fn resource_list(catalog: &Catalog, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for resource in catalog.of(group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.namespaced, "kind": resource.kind, "verbs": VERBS,
            // Tells a change of the storage; kubectl does not look at it.
            "storageVersionHash": ""});
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        list.push(entry);
        if resource.has_status {
            list.push(
                json!({"name": format!("{}/status", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": resource.kind,
                "verbs": STATUS_VERBS}),
            );
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    (!list.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
               "resources": list})
    })
}

fn aggregate(catalog: &Catalog, groups: Vec<(String, Vec<String>)>) -> Value {
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = catalog
                        .of(&group, version)
                        .map(|resource| aggregated_resource(resource))
                        .collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            let mut metadata = json!({"creationTimestamp": null});
            if !group.is_empty() {
                metadata["name"] = Value::from(group);
            }
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
           "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version,
                      "kind": resource.kind});
    let scope = if resource.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    let mut entry = json!({"resource": resource.plural, "responseKind": kind, "scope": scope,
                           "singularResource": resource.singular, "verbs": VERBS});
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if resource.has_status {
        entry["subresources"] = json!([{"subresource": "status", "responseKind": kind,
                                        "verbs": STATUS_VERBS}]);
    }
    entry
}
