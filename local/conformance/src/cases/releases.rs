//! The project's own kind, as it is shipped, where the point is what its schema asks.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::text,
    api::TABLE,
    check::{holds, same},
    stage::define_and_wait,
};

super::list! { "releases":
    the_shipped_kind_is_served,
    a_shipped_example_is_valid,
    rules_between_fields_are_asked [Cel],
}

fn definition() -> Value {
    serde_norway::from_str(include_str!(
        "../../../../crds/bluegreen.dev_bluegreenreleases.yaml"
    ))
    .expect("the definition is part of this repository")
}

fn example(api: &Api) -> Value {
    let mut release: Value =
        serde_norway::from_str(include_str!("../../../../examples/snackgame-next.yaml"))
            .expect("the example is part of this repository");
    release["metadata"]["namespace"] = json!(api.namespace);
    release
}

/// The definition stays: it is the same for every run.
async fn define(api: &Api) -> Result<String, Failure> {
    define_and_wait(api, &definition()).await?;
    Ok(api.of("apis/bluegreen.dev/v1alpha1", "bluegreenreleases"))
}

async fn the_shipped_kind_is_served(api: Api) -> Outcome {
    let path = define(&api).await?;
    let table = api.get_as(&path, TABLE).await?.ok()?;
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    let names: Vec<&str> = columns.map(|column| text(column, "/name")).collect();
    same!(
        names,
        ["Name", "Version", "Phase", "Ready", "Message", "Age"]
    );
    Ok(())
}

async fn a_shipped_example_is_valid(api: Api) -> Outcome {
    let path = define(&api).await?;
    let wanted = example(&api);
    let created = api.post(&path, &wanted).await?.ok_with(201)?;
    same!(created["spec"]["version"], wanted["spec"]["version"]);
    let name = text(&created, "/metadata/name");
    // The default of status is there at once for whoever reads, and a server may store it only with
    // the first update. That is a new version of the object, and nothing else of it is new.
    let one = format!("{path}/{name}");
    let stored = api.put(&one, &created).await?.ok()?;
    same!(without_version(&stored), without_version(&created));
    same!(api.put(&one, &stored).await?.ok()?, stored);
    let without = json!({"spec": {"version": null}});
    let message = api.merge(&format!("{path}/{name}"), &without).await?;
    let message = message.refused(422, "Invalid")?;
    holds!(
        message.contains("spec.version: Required value"),
        "{message}"
    );
    Ok(())
}

/// An object without what a write that changes nothing else may change.
fn without_version(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    object
}

async fn rules_between_fields_are_asked(api: Api) -> Outcome {
    let path = define(&api).await?;
    let mut wanted = example(&api);
    wanted["spec"]["fleet"] = json!({});
    let message = api.post(&path, &wanted).await?.refused(422, "Invalid")?;
    holds!(
        message.starts_with("BlueGreenRelease.bluegreen.dev \"snackgame\" is invalid: spec.fleet"),
        "{message}"
    );
    Ok(())
}
