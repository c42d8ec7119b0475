//! Owner references: how they are checked, and what becomes of dependents.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::{names, text},
    check::{holds, same},
    stage::{GROUP, until, widget},
};

super::list! { "owners":
    a_reference_must_be_complete,
    one_owner_at_most_is_the_controller,
    an_event_owns_nothing,
    a_dependent_goes_after_its_owner [GarbageCollector],
    a_dependent_of_two_stays_until_both_are_gone [GarbageCollector],
    a_dependent_waits_for_the_finalizers_of_its_owner [GarbageCollector],
    an_orphan_stays_without_its_reference [GarbageCollector],
    an_owner_that_is_deleted_in_the_foreground_goes_last [GarbageCollector],
    a_foreground_deletion_waits_for_what_blocks_it [GarbageCollector],
    a_dependent_of_an_owner_that_is_not_there_goes [GarbageCollector],
    a_dependent_of_an_unknown_kind_stays [GarbageCollector],
}

const HOLD: &str = "conformance.dev/hold";

fn reference(owner: &Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Widget",
           "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]})
}

/// Creates a widget that names these owners.
async fn owned(api: &Api, name: &str, owners: &[Value]) -> Result<Value, Failure> {
    let mut wanted = widget(name, 1);
    wanted["metadata"]["ownerReferences"] = json!(owners);
    api.post(&api.widgets(), &wanted).await?.ok_with(201)
}

async fn left(api: &Api, wanted: &[&str]) -> Outcome {
    let what = format!("only {wanted:?} are left");
    until(&what, async || {
        Ok(names(&api.get(&api.widgets()).await?.ok()?) == wanted)
    })
    .await
}

async fn release(api: &Api, name: &str) -> Outcome {
    let none = json!({"metadata": {"finalizers": null}});
    let path = format!("{}/{name}", api.widgets());
    api.merge(&path, &none).await?.ok().map(drop)
}

async fn a_reference_must_be_complete(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["metadata"]["ownerReferences"] = json!([{"kind": "Widget", "name": "x"}]);
    let answer = api.post(&api.widgets(), &wanted).await?;
    let message = answer.refused(422, "Invalid")?;
    for part in [
        "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
        "metadata.ownerReferences.uid: Invalid value: \"\": ",
    ] {
        holds!(message.contains(part), "{message}");
    }
    holds!(message.contains("must not be empty]"), "{message}");
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let patch = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "Widget", "name": "", "uid": "1"}]}});
    let message = api.merge(&path, &patch).await?.refused(422, "Invalid")?;
    let field = "metadata.ownerReferences.name: Invalid value: \"\": ";
    holds!(message.contains(field), "{message}");
    Ok(())
}

async fn one_owner_at_most_is_the_controller(api: Api) -> Outcome {
    let (first, second) = (api.widget("a", 1).await?, api.widget("b", 1).await?);
    let mut owners = [reference(&first), reference(&second)];
    for owner in &mut owners {
        owner["controller"] = json!(true);
    }
    let mut wanted = widget("one", 1);
    wanted["metadata"]["ownerReferences"] = json!(owners);
    let answer = api.post(&api.widgets(), &wanted).await?;
    let message = answer.refused(422, "Invalid")?;
    // Newer servers give the kinds beside the names.
    let part =
        "Only one reference can have Controller set to true. Found \"true\" in references for ";
    holds!(message.contains(part), "{message}");
    owners[1]["controller"] = json!(false);
    owned(&api, "one", &owners).await?;
    Ok(())
}

async fn an_event_owns_nothing(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Event", "name": "x", "uid": "1"}]);
    let answer = api.post(&api.widgets(), &wanted).await?;
    let message = answer.refused(422, "Invalid")?;
    let end = "/v1, Kind=Event is disallowed from being an owner";
    holds!(message.ends_with(end), "{message}");
    Ok(())
}

async fn a_dependent_goes_after_its_owner(api: Api) -> Outcome {
    let owner = api.widget("owner", 1).await?;
    let middle = owned(&api, "middle", &[reference(&owner)]).await?;
    owned(&api, "last", &[reference(&middle)]).await?;
    api.widget("other", 1).await?;
    let path = format!("{}/owner", api.widgets());
    let status = api.delete(&path).await?.ok()?;
    same!(status["status"], "Success");
    left(&api, &["other"]).await
}

async fn a_dependent_of_two_stays_until_both_are_gone(api: Api) -> Outcome {
    let (first, second) = (api.widget("a", 1).await?, api.widget("b", 1).await?);
    let owners = [reference(&first), reference(&second)];
    owned(&api, "one", &owners).await?;
    api.delete(&format!("{}/a", api.widgets())).await?.ok()?;
    let path = format!("{}/one", api.widgets());
    until("the reference to the absent owner is gone", async || {
        let one = api.get(&path).await?.ok()?;
        Ok(one["metadata"]["ownerReferences"] == json!([reference(&second)]))
    })
    .await?;
    api.delete(&format!("{}/b", api.widgets())).await?.ok()?;
    left(&api, &[]).await
}

async fn a_dependent_waits_for_the_finalizers_of_its_owner(api: Api) -> Outcome {
    let mut wanted = widget("owner", 1);
    wanted["metadata"]["finalizers"] = json!([HOLD]);
    let owner = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    owned(&api, "one", &[reference(&owner)]).await?;
    api.delete(&format!("{}/owner", api.widgets()))
        .await?
        .ok()?;
    let one = api.get(&format!("{}/one", api.widgets())).await?.ok()?;
    same!(one["metadata"].get("deletionTimestamp"), None);
    release(&api, "owner").await?;
    left(&api, &[]).await
}

async fn an_orphan_stays_without_its_reference(api: Api) -> Outcome {
    let owner = api.widget("owner", 1).await?;
    owned(&api, "one", &[reference(&owner)]).await?;
    let orphan = json!({"propagationPolicy": "Orphan"});
    let path = format!("{}/owner", api.widgets());
    let marked = api.delete_with(&path, &orphan).await?.ok()?;
    same!(marked["metadata"]["finalizers"], json!(["orphan"]));
    left(&api, &["one"]).await?;
    let one = api.get(&format!("{}/one", api.widgets())).await?.ok()?;
    same!(one["metadata"].get("ownerReferences"), None);
    Ok(())
}

async fn an_owner_that_is_deleted_in_the_foreground_goes_last(api: Api) -> Outcome {
    let owner = api.widget("owner", 1).await?;
    let mut blocking = reference(&owner);
    blocking["blockOwnerDeletion"] = json!(true);
    let middle = owned(&api, "middle", &[blocking]).await?;
    let mut blocking = reference(&middle);
    blocking["blockOwnerDeletion"] = json!(true);
    owned(&api, "last", &[blocking]).await?;
    let widgets = api.widgets();
    let from = text(&api.get(&widgets).await?.ok()?, "/metadata/resourceVersion").to_owned();
    let mut watch = api
        .watch(&widgets, &format!("resourceVersion={from}"))
        .await?;
    let foreground = json!({"propagationPolicy": "Foreground"});
    let marked = api
        .delete_with(&format!("{widgets}/owner"), &foreground)
        .await?
        .ok()?;
    same!(
        marked["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    let mut deleted = Vec::new();
    while deleted.len() < 3 {
        let (kind, name) = watch.short().await?;
        if kind == "DELETED" {
            deleted.push(name);
        }
    }
    same!(deleted, ["last", "middle", "owner"]);
    Ok(())
}

async fn a_foreground_deletion_waits_for_what_blocks_it(api: Api) -> Outcome {
    let owner = api.widget("owner", 1).await?;
    for (name, blocks) in [("blocks", true), ("waits", false)] {
        let mut wanted = widget(name, 1);
        let mut reference = reference(&owner);
        reference["blockOwnerDeletion"] = json!(blocks);
        wanted["metadata"]["ownerReferences"] = json!([reference]);
        wanted["metadata"]["finalizers"] = json!([HOLD]);
        api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    }
    let foreground = json!({"propagationPolicy": "Foreground"});
    let path = format!("{}/owner", api.widgets());
    api.delete_with(&path, &foreground).await?.ok()?;
    let one = format!("{}/blocks", api.widgets());
    until("the dependent is being deleted", async || {
        let one = api.get(&one).await?.ok()?;
        Ok(one["metadata"].get("deletionTimestamp").is_some())
    })
    .await?;
    api.get(&path).await?.ok()?;
    release(&api, "blocks").await?;
    left(&api, &["waits"]).await?;
    release(&api, "waits").await?;
    left(&api, &[]).await
}

async fn a_dependent_of_an_owner_that_is_not_there_goes(api: Api) -> Outcome {
    let mut owner = api.widget("owner", 1).await?;
    owned(&api, "good", &[reference(&owner)]).await?;
    owner["metadata"]["uid"] = json!("4b2ad7c5-3a0e-4c1f-8d2f-6f1c1e1f0a11");
    owned(&api, "bad", &[reference(&owner)]).await?;
    left(&api, &["good", "owner"]).await
}

async fn a_dependent_of_an_unknown_kind_stays(api: Api) -> Outcome {
    let unknown = json!({"apiVersion": "unknown.bluegreen.dev/v1", "kind": "Gadget", "name": "x",
                         "uid": "4b2ad7c5-3a0e-4c1f-8d2f-6f1c1e1f0a11"});
    owned(&api, "one", &[unknown]).await?;
    let other = api.widget("other", 1).await?;
    owned(&api, "two", &[reference(&other)]).await?;
    api.delete(&format!("{}/other", api.widgets()))
        .await?
        .ok()?;
    left(&api, &["one"]).await
}
