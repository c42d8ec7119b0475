//! The project's own kind, as it is shipped, where the point is what its schema asks.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::text,
    api::{APPLY, TABLE},
    check::{holds, same},
    stage::define_and_wait,
};

super::list! { "releases":
    the_shipped_kind_is_served,
    a_shipped_example_is_valid,
    rules_between_fields_are_asked [Cel],
    a_null_is_as_good_as_nothing [Cel],
    a_name_that_is_too_long_is_refused_by_name [PreciseCauses],
    an_empty_list_of_ports_is_refused_in_words,
    a_wrong_word_stops_the_rules [Cel] from 28,
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

async fn a_null_is_as_good_as_nothing(api: Api) -> Outcome {
    let path = define(&api).await?;
    let (mut none, mut both) = (example(&api), example(&api));
    none["spec"]["fleet"]["hosts"] = json!(null);
    both["spec"]["fleet"]["existing"] = json!(null);
    both["spec"]["fleet"]["hosts"]["stop"]["command"] = json!(null);
    both["spec"]["promotion"] = json!(null);
    both["spec"]["aws"] = json!(null);
    both["spec"]["drain"] = json!({"inFlight": null});
    let message = api.post(&path, &none).await?.refused(422, "Invalid")?;
    holds!(
        message.contains("spec.fleet: Invalid value: ") && message.contains("exactly one"),
        "{message}"
    );
    let one = format!("{path}/snackgame?fieldManager=ann");
    let message = api.patch(&one, APPLY, &none).await?;
    message.refused(422, "Invalid")?;
    api.patch(&one, APPLY, &both).await?.ok_with(201)?;
    api.delete(&format!("{path}/snackgame")).await?.ok()?;
    api.post(&path, &both).await?.ok_with(201)?;
    Ok(())
}

async fn a_name_that_is_too_long_is_refused_by_name(api: Api) -> Outcome {
    let path = define(&api).await?;
    let mut wanted = example(&api);
    wanted["metadata"]["name"] = json!("a".repeat(64));
    let message = api.post(&path, &wanted).await?.refused(422, "Invalid")?;
    holds!(message.contains("metadata.name: Too long: "), "{message}");
    holds!(message.contains("63"), "{message}");
    Ok(())
}

async fn an_empty_list_of_ports_is_refused_in_words(api: Api) -> Outcome {
    let path = define(&api).await?;
    let mut wanted = example(&api);
    wanted["spec"]["fleet"]["hosts"]["ports"] = json!([]);
    let message = api.post(&path, &wanted).await?.refused(422, "Invalid")?;
    let words = "spec.fleet.hosts.ports in body should have at least 1 items";
    holds!(message.contains(words), "{message}");
    // A server asks the rules all the same, so each must hold its own with an empty list.
    holds!(!message.contains("out of bounds"), "{message}");
    Ok(())
}

async fn a_wrong_word_stops_the_rules(api: Api) -> Outcome {
    let path = define(&api).await?;
    let mut wanted = example(&api);
    wanted["spec"]["promotion"] = json!({"mode": "Later"});
    wanted["spec"]["fleet"] = json!({});
    let message = api.post(&path, &wanted).await?.refused(422, "Invalid")?;
    holds!(
        message.contains("spec.promotion.mode: Unsupported value: \"Later\": supported values: "),
        "{message}"
    );
    let rest = "some validation rules were not checked because the object was invalid";
    holds!(message.contains(rest), "{message}");
    holds!(!message.contains("exactly one"), "{message}");
    Ok(())
}
