//! CustomResourceDefinitions: how kinds come, change and go.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::text,
    check::{holds, same},
    stage::{DEFINITIONS, define_and_wait, until},
};

super::list! { "definitions":
    a_kind_is_served_once_it_is_defined,
    a_changed_definition_changes_what_is_valid,
    an_object_older_than_a_rule_can_still_be_changed [Ratcheting],
    a_deleted_definition_takes_its_objects_along,
    a_definition_that_cannot_be_served_is_refused,
    a_kind_belongs_to_one_definition,
    all_served_versions_show_the_same_objects,
}

/// A definition of a kind of its own group, which is named after the case's namespace.
pub(super) fn own(api: &Api) -> Value {
    let group = format!("{}.dev", api.namespace);
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer"}, "mode": {"type": "string"}}}}}}}]}})
}

/// The path of a definition.
fn path_of(definition: &Value) -> String {
    format!("{DEFINITIONS}/{}", text(definition, "/metadata/name"))
}

/// Defines the kind and returns the path of its objects in the case's namespace.
pub(super) async fn define(api: &Api, definition: &Value) -> Result<String, Failure> {
    define_and_wait(api, definition).await?;
    Ok(objects(api, definition))
}

fn objects(api: &Api, definition: &Value) -> String {
    let version = format!("apis/{}/v1", text(definition, "/spec/group"));
    api.of(&version, text(definition, "/spec/names/plural"))
}

/// An object of the kind.
pub(super) fn object(definition: &Value, name: &str, spec: Value) -> Value {
    let group = text(definition, "/spec/group");
    let mut object = json!({"apiVersion": format!("{group}/v1"), "metadata": {"name": name},
                            "kind": definition["spec"]["names"]["kind"]});
    object["spec"] = spec;
    object
}

/// Deletes the definition and waits until it is gone.
pub(super) async fn undefine(api: &Api, definition: &Value) -> Outcome {
    let path = path_of(definition);
    api.delete(&path).await?.ok()?;
    let gone = async || Ok(api.get(&path).await?.code == 404);
    until(&format!("{path} is gone"), gone).await
}

fn condition<'a>(definition: &'a Value, kind: &str) -> &'a Value {
    let conditions = definition["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

async fn a_kind_is_served_once_it_is_defined(api: Api) -> Outcome {
    let wanted = own(&api);
    let path = objects(&api, &wanted);
    same!(api.get(&path).await?.code, 404);
    define(&api, &wanted).await?;
    let defined = api.get(&path_of(&wanted)).await?.ok()?;
    same!(condition(&defined, "NamesAccepted")["status"], "True");
    same!(condition(&defined, "Established")["status"], "True");
    same!(
        defined["status"]["acceptedNames"],
        json!({"plural": "gadgets", "singular": "gadget", "kind": "Gadget",
               "listKind": "GadgetList"})
    );
    same!(defined["status"]["storedVersions"], json!(["v1"]));
    same!(defined["spec"]["conversion"], json!({"strategy": "None"}));
    let one = object(&wanted, "one", json!({"size": 1}));
    let created = api.post(&path, &one).await?.ok_with(201)?;
    same!(created["kind"], "Gadget");
    same!(api.get(&path).await?.ok()?["kind"], "GadgetList");
    undefine(&api, &wanted).await
}

async fn a_changed_definition_changes_what_is_valid(api: Api) -> Outcome {
    let wanted = own(&api);
    let path = define(&api, &wanted).await?;
    let free = object(&wanted, "free", json!({"mode": "any"}));
    api.post(&path, &free).await?.ok_with(201)?;
    let step = json!([{"op": "add", "value": "^[A-Z]",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/pattern"}]);
    let changed = api
        .patch(&path_of(&wanted), crate::api::JSON_PATCH, &step)
        .await?;
    same!(changed.ok()?["metadata"]["generation"], 2);
    let trial = format!("{path}?dryRun=All");
    let small = object(&wanted, "small", json!({"mode": "any"}));
    until("the pattern holds", async || {
        Ok(api.post(&trial, &small).await?.code == 422)
    })
    .await?;
    let large = object(&wanted, "large", json!({"mode": "Any"}));
    api.post(&path, &large).await?.ok_with(201)?;
    undefine(&api, &wanted).await
}

async fn an_object_older_than_a_rule_can_still_be_changed(api: Api) -> Outcome {
    let wanted = own(&api);
    let path = define(&api, &wanted).await?;
    let old = object(&wanted, "old", json!({"mode": "any", "size": 1}));
    api.post(&path, &old).await?.ok_with(201)?;
    let step = json!([{"op": "add", "value": "^[A-Z]",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/pattern"}]);
    api.patch(&path_of(&wanted), crate::api::JSON_PATCH, &step)
        .await?
        .ok()?;
    let one = format!("{path}/old");
    let trial = format!("{one}?dryRun=All");
    until("the pattern holds", async || {
        let other = json!({"spec": {"mode": "other"}});
        Ok(api.merge(&trial, &other).await?.code == 422)
    })
    .await?;
    let patched = api.merge(&one, &json!({"spec": {"size": 2}})).await?.ok()?;
    same!(patched["spec"], json!({"mode": "any", "size": 2}));
    undefine(&api, &wanted).await
}

async fn a_deleted_definition_takes_its_objects_along(api: Api) -> Outcome {
    let wanted = own(&api);
    let path = define(&api, &wanted).await?;
    let mut held = object(&wanted, "held", json!({}));
    held["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    api.post(&path, &held).await?.ok_with(201)?;
    let free = object(&wanted, "free", json!({}));
    api.post(&path, &free).await?.ok_with(201)?;
    api.delete(&path_of(&wanted)).await?.ok()?;
    until("what is free is gone", async || {
        Ok(api.get(&format!("{path}/free")).await?.code == 404)
    })
    .await?;
    let waiting = api.get(&path_of(&wanted)).await?.ok()?;
    same!(condition(&waiting, "Terminating")["status"], "True");
    let held = api.get(&format!("{path}/held")).await?.ok()?;
    holds!(held["metadata"]["deletionTimestamp"].is_string(), "{held}");
    let late = object(&wanted, "late", json!({}));
    let message = api.post(&path, &late).await?;
    same!(
        message.refused(405, "MethodNotAllowed")?,
        "create not allowed while custom resource definition is terminating"
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&format!("{path}/held"), &none).await?.ok()?;
    until("the definition is gone", async || {
        Ok(api.get(&path_of(&wanted)).await?.code == 404)
    })
    .await?;
    until("its kind is gone", async || {
        Ok(api.get(&path).await?.code == 404)
    })
    .await?;
    // Defined anew, the kind starts empty.
    define(&api, &wanted).await?;
    same!(api.get(&path).await?.ok()?["items"], json!([]));
    undefine(&api, &wanted).await
}

async fn a_definition_that_cannot_be_served_is_refused(api: Api) -> Outcome {
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let size = format!("{schema}/properties/spec/properties/size");
    let cases: [(&str, Value, &str); 7] = [
        (
            "/metadata/name",
            json!("x.example.dev"),
            "metadata.name: Invalid value: \"x.example.dev\": must be spec.names.plural+\".\"+\
             spec.group",
        ),
        (
            "/spec/scope",
            json!("World"),
            "spec.scope: Unsupported value: \"World\": supported values: \"Cluster\", \
             \"Namespaced\"",
        ),
        (
            "/spec/versions/0/storage",
            json!(false),
            "must have exactly one version marked as storage version",
        ),
        (schema, Value::Null, "schemas are required"),
        (
            &format!("{schema}/type"),
            json!("string"),
            "must be object at the root",
        ),
        (
            &format!("{size}/type"),
            Value::Null,
            "size].type: Required value: must not be empty for specified object fields",
        ),
        (
            "/spec/group",
            json!("not a group"),
            "spec.group: Invalid value: \"not a group\": ",
        ),
    ];
    for (pointer, value, wanted) in cases {
        let mut broken = own(&api);
        match broken.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => holds!(false, "{pointer} is in the definition"),
        }
        let message = api.post(DEFINITIONS, &broken).await?;
        let message = message.refused(422, "Invalid")?;
        holds!(message.contains(wanted), "{pointer}: {message}");
    }
    Ok(())
}

async fn a_kind_belongs_to_one_definition(api: Api) -> Outcome {
    let first = own(&api);
    define(&api, &first).await?;
    let mut rival = own(&api);
    let group = text(&first, "/spec/group");
    rival["metadata"]["name"] = json!(format!("rivals.{group}"));
    rival["spec"]["names"]["plural"] = json!("rivals");
    api.post(DEFINITIONS, &rival).await?.ok_with(201)?;
    until("the rival is told", async || {
        let defined = api.get(&path_of(&rival)).await?.ok()?;
        Ok(condition(&defined, "NamesAccepted")["status"] == "False")
    })
    .await?;
    let told = api.get(&path_of(&rival)).await?.ok()?;
    same!(condition(&told, "Established")["status"], "False");
    same!(api.get(&objects(&api, &rival)).await?.code, 404);
    undefine(&api, &rival).await?;
    undefine(&api, &first).await
}

async fn all_served_versions_show_the_same_objects(api: Api) -> Outcome {
    let mut two = own(&api);
    let mut second = two["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    let Some(versions) = two["spec"]["versions"].as_array_mut() else {
        return Err(Failure::new("the definition has versions"));
    };
    versions.push(second);
    let path = define(&api, &two).await?;
    let one = object(&two, "one", json!({"size": 1}));
    api.post(&path, &one).await?.ok_with(201)?;
    let second = format!("{}/one", path.replace("/v1/", "/v2/"));
    let group = text(&two, "/spec/group").to_owned();
    let seen = api.get(&second).await?.ok()?;
    same!(seen["apiVersion"], format!("{group}/v2"));
    api.merge(&second, &json!({"spec": {"size": 4}}))
        .await?
        .ok()?;
    let seen = api.get(&format!("{path}/one")).await?.ok()?;
    same!(seen["apiVersion"], format!("{group}/v1"));
    same!(seen["spec"]["size"], 4);
    undefine(&api, &two).await
}
