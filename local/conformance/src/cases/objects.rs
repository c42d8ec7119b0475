//! Objects as they are created, replaced and read.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::{text, version},
    api::{APPLY, JSON_PATCH},
    check::{holds, same},
    stage::widget,
};

super::list! { "objects":
    a_new_object_gets_what_the_server_sets,
    a_name_can_be_generated,
    a_name_is_taken_once,
    what_is_not_there_is_not_found,
    a_new_object_has_no_version_yet,
    a_namespace_must_exist,
    a_namespace_carries_its_name_as_a_label [NamespaceLabel],
    an_update_needs_the_latest_version,
    an_update_must_say_which_version_it_replaces,
    an_update_must_fit_its_path,
    an_update_of_another_object_of_that_name_is_a_conflict,
    a_write_that_changes_nothing_is_not_a_write,
    generation_counts_changes_of_what_is_wanted,
    spec_and_status_are_written_apart,
    a_write_of_status_leaves_metadata_as_they_are,
    a_dry_run_answers_and_stores_nothing,
    a_dry_run_that_does_not_exist_is_refused,
    metadata_alone_can_be_asked_for,
    defaults_are_set_and_empty_fields_go,
    what_is_empty_is_still_there,
    unknown_fields_are_pruned,
}

async fn a_new_object_gets_what_the_server_sets(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["status"] = json!({"phase": "Forged"});
    wanted["metadata"]["uid"] = json!("forged");
    wanted["metadata"]["generation"] = json!(7);
    wanted["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    let created = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    let metadata = &created["metadata"];
    same!(metadata["namespace"], api.namespace);
    same!(metadata["generation"], 1);
    same!(text(&created, "/metadata/uid").len(), 36);
    let time = text(&created, "/metadata/creationTimestamp");
    holds!(
        time.len() == 20 && time.ends_with('Z') && !time.starts_with("2001"),
        "{time}"
    );
    holds!(version(&created).parse::<u64>().is_ok(), "{metadata}");
    same!(created.get("status"), None);
    same!(created["kind"], "Widget");
    let path = format!("{}/one", api.widgets());
    same!(api.get(&path).await?.ok()?, created);
    Ok(())
}

async fn a_name_can_be_generated(api: Api) -> Outcome {
    let mut wanted = widget("x", 1);
    wanted["metadata"] = json!({"generateName": "job-"});
    let created = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    let name = text(&created, "/metadata/name");
    holds!(name.starts_with("job-") && name.len() == 9, "{name}");
    same!(created["metadata"]["generateName"], "job-");
    Ok(())
}

async fn a_name_is_taken_once(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let answer = api.post(&api.widgets(), &widget("one", 2)).await?;
    same!(
        answer.body["details"],
        json!({"name": "one", "group": "conformance.bluegreen.dev", "kind": "widgets"})
    );
    let message = answer.refused(409, "AlreadyExists")?;
    same!(
        message,
        "widgets.conformance.bluegreen.dev \"one\" already exists"
    );
    Ok(())
}

async fn what_is_not_there_is_not_found(api: Api) -> Outcome {
    let path = format!("{}/none", api.widgets());
    let wanted = "widgets.conformance.bluegreen.dev \"none\" not found";
    same!(api.get(&path).await?.refused(404, "NotFound")?, wanted);
    same!(api.delete(&path).await?.refused(404, "NotFound")?, wanted);
    let message = api.put(&path, &widget("none", 1)).await?;
    same!(message.refused(404, "NotFound")?, wanted);
    let message = api.merge(&path, &json!({})).await?;
    same!(message.refused(404, "NotFound")?, wanted);
    Ok(())
}

async fn a_new_object_has_no_version_yet(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["metadata"]["resourceVersion"] = json!("5");
    let answer = api.post(&api.widgets(), &wanted).await?;
    same!(answer.code, 500);
    same!(
        answer.body["message"],
        "resourceVersion should not be set on objects to be created"
    );
    Ok(())
}

async fn a_namespace_must_exist(api: Api) -> Outcome {
    let elsewhere = api.widgets().replace(&api.namespace, "not-a-namespace");
    let message = api.post(&elsewhere, &widget("one", 1)).await?;
    same!(
        message.refused(404, "NotFound")?,
        "namespaces \"not-a-namespace\" not found"
    );
    let list = api.get(&elsewhere).await?.ok()?;
    same!(list["items"], json!([]));
    let mut wanted = widget("one", 1);
    wanted["metadata"]["namespace"] = json!("default");
    let message = api.post(&api.widgets(), &wanted).await?;
    same!(
        message.refused(400, "BadRequest")?,
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    Ok(())
}

async fn a_namespace_carries_its_name_as_a_label(api: Api) -> Outcome {
    let path = format!("/api/v1/namespaces/{}", api.namespace);
    let namespace = api.get(&path).await?.ok()?;
    let labels = json!({"kubernetes.io/metadata.name": api.namespace});
    same!(namespace["metadata"]["labels"], labels);
    Ok(())
}

async fn an_update_needs_the_latest_version(api: Api) -> Outcome {
    let mut first = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    first["spec"]["size"] = json!(2);
    let second = api.put(&path, &first).await?.ok()?;
    holds!(version(&second) != version(&first), "{second}");
    let message = api.put(&path, &first).await?.refused(409, "Conflict")?;
    same!(
        message,
        "Operation cannot be fulfilled on widgets.conformance.bluegreen.dev \"one\": the object \
         has been modified; please apply your changes to the latest version and try again"
    );
    Ok(())
}

async fn an_update_must_say_which_version_it_replaces(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    for path in [path.clone(), format!("{path}/status")] {
        let message = api.put(&path, &widget("one", 2)).await?;
        let message = message.refused(422, "Invalid")?;
        let start = "widgets.conformance.bluegreen.dev \"one\" is invalid: \
                     metadata.resourceVersion: Invalid value: 0";
        holds!(message.starts_with(start), "{message}");
        holds!(
            message.ends_with(": must be specified for an update"),
            "{message}"
        );
    }
    Ok(())
}

async fn an_update_must_fit_its_path(api: Api) -> Outcome {
    let mut object = api.widget("one", 1).await?;
    object["metadata"]["name"] = json!("two");
    let path = format!("{}/one", api.widgets());
    let message = api.put(&path, &object).await?.refused(400, "BadRequest")?;
    same!(
        message,
        "the name of the object (two) does not match the name on the URL (one)"
    );
    Ok(())
}

async fn an_update_of_another_object_of_that_name_is_a_conflict(api: Api) -> Outcome {
    let mut object = api.widget("one", 1).await?;
    let uid = text(&object, "/metadata/uid").to_owned();
    object["metadata"]["uid"] = json!("other");
    let path = format!("{}/one", api.widgets());
    let message = api.put(&path, &object).await?.refused(409, "Conflict")?;
    let wanted =
        format!("Precondition failed: UID in precondition: other, UID in object meta: {uid}");
    holds!(message.ends_with(&wanted), "{message}");
    Ok(())
}

async fn a_write_that_changes_nothing_is_not_a_write(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    same!(api.put(&path, &created).await?.ok()?, created);
    let patch = json!({"spec": {"size": 1}});
    same!(api.merge(&path, &patch).await?.ok()?, created);
    let list = api.get(&api.widgets()).await?.ok()?;
    same!(version(&list["items"][0]), version(&created));
    Ok(())
}

async fn generation_counts_changes_of_what_is_wanted(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let status = format!("{path}/status");
    for (path, patch, generation) in [
        (&path, json!({"spec": {"size": 2}}), 2),
        (&path, json!({"metadata": {"labels": {"a": "b"}}}), 2),
        (&path, json!({"metadata": {"annotations": {"a": "b"}}}), 2),
        (&status, json!({"status": {"phase": "Ready"}}), 2),
        (&path, json!({"spec": {"mode": "Manual"}}), 3),
    ] {
        let object = api.merge(path, &patch).await?.ok()?;
        same!(object["metadata"]["generation"], generation);
    }
    Ok(())
}

async fn spec_and_status_are_written_apart(api: Api) -> Outcome {
    let mut object = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let status = format!("{path}/status");
    object["spec"]["size"] = json!(5);
    object["metadata"]["labels"] = json!({"a": "b"});
    object["status"] = json!({"phase": "Ready"});
    let written = api.put(&status, &object).await?.ok()?;
    same!(written["status"]["phase"], "Ready");
    same!(written["spec"]["size"], 1);
    same!(api.get(&status).await?.ok()?, written);

    let patch = json!({"spec": {"size": 7}, "status": {"phase": "Forged"}});
    let written = api.merge(&path, &patch).await?.ok()?;
    same!(written["status"]["phase"], "Ready");
    same!(written["spec"]["size"], 7);
    api.put(&status, &object).await?.refused(409, "Conflict")?;

    let without = json!({"spec": {"size": 8}, "status": null});
    let written = api.merge(&path, &without).await?.ok()?;
    same!(written["status"]["phase"], "Ready");
    Ok(())
}

/// Whoever may write status alone changes no annotation, however it is tried.
async fn a_write_of_status_leaves_metadata_as_they_are(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let ours = json!({"metadata": {"annotations": {"ours": "kept"}, "labels": {"a": "b"}}});
    let object = api.merge(&path, &ours).await?.ok()?;
    let status = format!("{path}/status");

    let mut replaced = object.clone();
    replaced["metadata"]["annotations"] = json!({"theirs": "new"});
    replaced["metadata"]["labels"] = json!({});
    replaced["metadata"]["finalizers"] = json!(["example.com/theirs"]);
    replaced["status"] = json!({"phase": "Ready"});
    let mut written = vec![api.put(&status, &replaced).await?.ok()?];
    let merged = json!({
        "metadata": {"annotations": {"ours": null, "theirs": "new"}}, "status": {"phase": "Merged"},
    });
    written.push(api.merge(&status, &merged).await?.ok()?);
    let patched = json!([
        {"op": "replace", "path": "/metadata/annotations/ours", "value": "theirs"},
        {"op": "replace", "path": "/status/phase", "value": "Patched"},
    ]);
    let answer = api.patch(&status, JSON_PATCH, &patched).await?;
    written.push(answer.ok()?);
    let applied = json!({
        "apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
        "metadata": {"name": "one", "annotations": {"ours": "theirs"}},
        "status": {"phase": "Applied"},
    });
    let forced = format!("{status}?fieldManager=ann&force=true");
    written.push(api.patch(&forced, APPLY, &applied).await?.ok()?);

    for (answer, phase) in written
        .iter()
        .zip(["Ready", "Merged", "Patched", "Applied"])
    {
        same!(answer["status"]["phase"], phase);
        same!(
            answer["metadata"]["annotations"],
            ours["metadata"]["annotations"]
        );
        same!(answer["metadata"]["labels"], ours["metadata"]["labels"]);
        same!(answer["metadata"].get("finalizers"), None);
    }
    Ok(())
}

async fn a_dry_run_answers_and_stores_nothing(api: Api) -> Outcome {
    let widgets = api.widgets();
    let trial = format!("{widgets}?dryRun=All");
    let answer = api.post(&trial, &widget("one", 1)).await?.ok_with(201)?;
    same!(answer["spec"]["mode"], "Auto");
    same!(answer["metadata"].get("resourceVersion"), None);
    let path = format!("{widgets}/one");
    api.get(&path).await?.refused(404, "NotFound")?;

    let created = api.widget("one", 1).await?;
    let trial = format!("{path}?dryRun=All");
    let patched = api.merge(&trial, &json!({"spec": {"size": 9}})).await?;
    let patched = patched.ok()?;
    same!(patched["spec"]["size"], 9);
    same!(version(&patched), version(&created));
    let mut replaced = created.clone();
    replaced["spec"]["size"] = json!(9);
    same!(api.put(&trial, &replaced).await?.ok()?["spec"]["size"], 9);
    api.delete(&trial).await?.ok()?;
    let options = json!({"dryRun": ["All"]});
    api.delete_with(&path, &options).await?.ok()?;
    same!(api.get(&path).await?.ok()?, created);
    let invalid = widget("two", 1000);
    let trial = format!("{widgets}?dryRun=All");
    api.post(&trial, &invalid).await?.refused(422, "Invalid")?;
    Ok(())
}

async fn a_dry_run_that_does_not_exist_is_refused(api: Api) -> Outcome {
    let path = format!("{}?dryRun=Some", api.widgets());
    let message = api.post(&path, &widget("one", 1)).await?;
    let message = message.refused(422, "Invalid")?;
    let start = "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: ";
    holds!(
        message.starts_with(start) && message.ends_with(": supported values: \"All\""),
        "{message}"
    );
    Ok(())
}

async fn metadata_alone_can_be_asked_for(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let path = format!("{}/one", api.widgets());
    let partial = api.get_as(&path, accept).await?.ok()?;
    same!(
        partial,
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
               "metadata": created["metadata"]})
    );
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = api.get_as(&api.widgets(), accept).await?.ok()?;
    same!(list["kind"], "PartialObjectMetadataList");
    same!(list["items"], json!([partial]));
    Ok(())
}

async fn defaults_are_set_and_empty_fields_go(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["spec"] = json!({"size": 1, "mode": null, "owner": null, "note": null,
                            "colours": {"a": null, "b": "1"}, "parts": [{"name": "a"}]});
    let created = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    same!(
        created["spec"],
        json!({"size": 1, "mode": "Auto", "note": null, "colours": {"b": "1"},
               "parts": [{"name": "a", "weight": 10}]})
    );
    let path = format!("{}/one", api.widgets());
    let patch = json!({"spec": {"mode": "Manual"}});
    api.merge(&path, &patch).await?.ok()?;
    let patch = json!({"spec": {"mode": null, "note": null, "parts": null}});
    let patched = api.merge(&path, &patch).await?.ok()?;
    same!(
        patched["spec"],
        json!({"size": 1, "mode": "Auto", "colours": {"b": "1"}})
    );
    Ok(())
}

async fn what_is_empty_is_still_there(api: Api) -> Outcome {
    let mut wanted = widget("one", 0);
    wanted["spec"] = json!({"size": 0, "mode": "Auto", "note": "", "lit": false, "ratio": 0,
                            "tags": [""], "colours": {"a": ""}, "parts": [], "extra": {}});
    let created = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    same!(created["spec"], wanted["spec"]);
    Ok(())
}

async fn unknown_fields_are_pruned(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["more"] = json!(1);
    wanted["metadata"]["more"] = json!(1);
    wanted["spec"] = json!({"size": 1, "mode": "Auto", "more": {"a": 1},
        "parts": [{"name": "a", "weight": 1, "more": 1}], "colours": {"a": "b"},
        "extra": {"any": {"thing": [1, {"a": null}]}}});
    let created = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    same!(created.get("more"), None);
    same!(created["metadata"].get("more"), None);
    same!(
        created["spec"],
        json!({"size": 1, "mode": "Auto", "parts": [{"name": "a", "weight": 1}],
               "colours": {"a": "b"}, "extra": {"any": {"thing": [1, {"a": null}]}}})
    );
    let path = format!("{}/one", api.widgets());
    let patch = json!({"spec": {"more": 1, "size": 2}});
    let patched = api.merge(&path, &patch).await?.ok()?;
    same!(patched["spec"]["size"], 2);
    same!(patched["spec"].get("more"), None::<&Value>);
    Ok(())
}
