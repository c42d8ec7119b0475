//! Server-side apply, and who owns which fields.

use serde_json::{Value, json};

use crate::{
    Api, Failure, Outcome,
    answer::{Answer, text, version},
    api::APPLY,
    check::{holds, same},
};

super::list! { "apply":
    apply_creates_and_applying_the_same_again_changes_nothing,
    a_field_of_another_manager_is_a_conflict,
    a_forced_apply_takes_the_fields_over,
    what_a_manager_no_longer_wants_goes_unless_another_owns_it,
    an_applied_parent_goes_with_its_last_field from 22,
    an_apply_must_fit_the_types_of_its_kind from 25 until 36,
    lists_are_merged_as_their_type_says,
    an_update_takes_fields_over_without_a_conflict,
    an_update_owns_what_it_brought,
    a_writer_without_a_name_is_known_by_its_program,
    status_is_applied_through_its_own_path [SubresourceOwners],
    an_apply_can_ask_for_a_version,
    an_apply_needs_a_manager_and_a_whole_object,
    an_apply_must_leave_a_valid_object,
    an_apply_can_be_tried,
    an_apply_can_be_yaml,
}

async fn apply(api: &Api, manager: &str, spec: Value, more: &str) -> Result<Answer, Failure> {
    let wanted = json!({"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
                        "metadata": {"name": "one"}, "spec": spec});
    let path = format!("{}/one?fieldManager={manager}{more}", api.widgets());
    api.patch(&path, APPLY, &wanted).await
}

/// What a manager owns, or null.
fn owned<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array();
    let mut entries = entries.into_iter().flatten();
    entries
        .find(|entry| entry["manager"] == manager)
        .map_or(&Value::Null, |entry| &entry["fieldsV1"])
}

async fn apply_creates_and_applying_the_same_again_changes_nothing(api: Api) -> Outcome {
    let spec = json!({"size": 1, "parts": [{"name": "a", "weight": 1}], "tags": ["x"],
                      "colours": {"a": "1"}});
    let created = apply(&api, "ann", spec.clone(), "").await?.ok_with(201)?;
    same!(
        *owned(&created, "ann"),
        json!({"f:spec": {"f:size": {}, "f:colours": {"f:a": {}},
            "f:parts": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:weight": {}}},
            "f:tags": {"v:\"x\"": {}}}})
    );
    let entry = &created["metadata"]["managedFields"][0];
    same!(entry["operation"], "Apply");
    same!(entry["apiVersion"], "conformance.bluegreen.dev/v1");
    same!(entry["fieldsType"], "FieldsV1");
    same!(apply(&api, "ann", spec, "").await?.ok_with(200)?, created);
    Ok(())
}

async fn a_field_of_another_manager_is_a_conflict(api: Api) -> Outcome {
    apply(&api, "ann", json!({"size": 1, "ratio": 1}), "")
        .await?
        .ok()?;
    let path = format!("{}/one?fieldManager=bob", api.widgets());
    let patch = json!({"spec": {"mode": "Manual"}});
    let before = api.merge(&path, &patch).await?.ok()?;
    let answer = apply(&api, "eve", json!({"size": 2, "ratio": 1}), "").await?;
    same!(
        answer.body["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"ann\"",
                "field": ".spec.size"}])
    );
    same!(
        answer.refused(409, "Conflict")?,
        "Apply failed with 1 conflict: conflict with \"ann\": .spec.size"
    );
    let answer = apply(&api, "eve", json!({"size": 2, "mode": "Auto"}), "").await?;
    let message = answer.refused(409, "Conflict")?;
    same!(
        message,
        "Apply failed with 2 conflicts: conflicts with \"ann\":\n- .spec.size\nconflicts with \
         \"bob\" using conformance.bluegreen.dev/v1:\n- .spec.mode"
    );
    let path = format!("{}/one", api.widgets());
    same!(api.get(&path).await?.ok()?, before);
    Ok(())
}

async fn a_forced_apply_takes_the_fields_over(api: Api) -> Outcome {
    apply(&api, "ann", json!({"size": 1, "ratio": 1}), "")
        .await?
        .ok()?;
    let spec = json!({"size": 2, "ratio": 1});
    let forced = apply(&api, "eve", spec, "&force=true").await?.ok()?;
    same!(forced["spec"]["size"], 2);
    same!(*owned(&forced, "ann"), json!({"f:spec": {"f:ratio": {}}}));
    // What both want alike is owned by both.
    let both = json!({"f:spec": {"f:ratio": {}, "f:size": {}}});
    same!(*owned(&forced, "eve"), both);
    Ok(())
}

async fn what_a_manager_no_longer_wants_goes_unless_another_owns_it(api: Api) -> Outcome {
    let spec = json!({"size": 1, "owner": "ann", "colours": {"a": "1", "b": "2"}});
    apply(&api, "ann", spec, "").await?.ok()?;
    let spec = json!({"size": 1, "colours": {"b": "2"}});
    apply(&api, "bob", spec, "").await?.ok()?;
    let object = apply(&api, "ann", json!({"ratio": 2}), "").await?.ok()?;
    same!(
        object["spec"],
        json!({"size": 1, "mode": "Auto", "ratio": 2, "colours": {"b": "2"}})
    );
    same!(*owned(&object, "ann"), json!({"f:spec": {"f:ratio": {}}}));
    Ok(())
}

async fn an_applied_parent_goes_with_its_last_field(api: Api) -> Outcome {
    let spec = json!({"size": 1, "colours": {"a": "1"}, "parts": [{"name": "a"}]});
    apply(&api, "ann", spec, "").await?.ok()?;
    let object = apply(&api, "ann", json!({"size": 1}), "").await?.ok()?;
    same!(object["spec"], json!({"size": 1, "mode": "Auto"}));
    // It stays where another manager has something in it.
    let spec = json!({"size": 1, "colours": {"a": "1"}});
    apply(&api, "ann", spec, "").await?.ok()?;
    apply(&api, "bob", json!({"colours": {"b": "2"}}), "")
        .await?
        .ok()?;
    let object = apply(&api, "ann", json!({"size": 1}), "").await?.ok()?;
    same!(object["spec"]["colours"], json!({"b": "2"}));
    // An empty parent that is applied is owned as it is.
    let spec = json!({"size": 1, "extra": {}});
    let object = apply(&api, "ann", spec, "").await?.ok()?;
    same!(object["spec"]["extra"], json!({}));
    Ok(())
}

/// A server makes a typed value of the patch first, and calls it a fault of its own where it
/// cannot.
async fn an_apply_must_fit_the_types_of_its_kind(api: Api) -> Outcome {
    let start = format!(
        "failed to create typed patch object ({}/one; conformance.bluegreen.dev/v1, Kind=Widget): ",
        api.namespace
    );
    for (spec, fault) in [
        (
            json!({"size": "large"}),
            ".spec.size: expected numeric (int or float), got string",
        ),
        (
            json!({"size": 1, "owner": 5}),
            ".spec.owner: expected string, got &value.valueUnstructured{Value:5}",
        ),
        (
            json!({"size": 1, "weight": 5}),
            ".spec.weight: field not declared in schema",
        ),
        (
            json!({"size": 1, "parts": [{"name": "a", "colour": "red"}]}),
            ".spec.parts[name=\"a\"].colour: field not declared in schema",
        ),
    ] {
        // Whatever is to become of unknown fields elsewhere.
        for validation in ["Ignore", "Warn", "Strict"] {
            let more = format!("&fieldValidation={validation}");
            let answer = apply(&api, "ann", spec.clone(), &more).await?;
            same!(answer.code, 500);
            same!(
                text(&answer.body, "/message"),
                format!("{start}{fault}").as_str()
            );
        }
    }
    Ok(())
}

async fn lists_are_merged_as_their_type_says(api: Api) -> Outcome {
    let spec = json!({"size": 1, "tags": ["x", "y"],
                      "parts": [{"name": "a", "weight": 1}, {"name": "b"}]});
    apply(&api, "ann", spec, "").await?.ok()?;
    let spec = json!({"tags": ["z"], "parts": [{"name": "c", "weight": 3}]});
    let object = apply(&api, "bob", spec, "").await?.ok()?;
    same!(object["spec"]["tags"], json!(["x", "y", "z"]));
    same!(
        object["spec"]["parts"],
        json!([{"name": "a", "weight": 1}, {"name": "b", "weight": 10},
               {"name": "c", "weight": 3}])
    );
    let spec = json!({"size": 1, "tags": ["y"], "parts": [{"name": "b"}]});
    let object = apply(&api, "ann", spec, "").await?.ok()?;
    same!(object["spec"]["tags"], json!(["y", "z"]));
    same!(
        object["spec"]["parts"],
        json!([{"name": "b", "weight": 10}, {"name": "c", "weight": 3}])
    );
    Ok(())
}

async fn an_update_takes_fields_over_without_a_conflict(api: Api) -> Outcome {
    apply(&api, "ann", json!({"size": 1, "ratio": 1}), "")
        .await?
        .ok()?;
    let path = format!("{}/one?fieldManager=bob", api.widgets());
    let patched = api
        .merge(&path, &json!({"spec": {"size": 2}}))
        .await?
        .ok()?;
    same!(*owned(&patched, "ann"), json!({"f:spec": {"f:ratio": {}}}));
    same!(*owned(&patched, "bob"), json!({"f:spec": {"f:size": {}}}));
    let entries = patched["metadata"]["managedFields"].as_array();
    let bobs = entries.and_then(|list| list.iter().find(|entry| entry["manager"] == "bob"));
    same!(
        bobs.map(|entry| &entry["operation"]),
        Some(&json!("Update"))
    );
    apply(&api, "ann", json!({"size": 1, "ratio": 1}), "")
        .await?
        .refused(409, "Conflict")?;
    Ok(())
}

async fn an_update_owns_what_it_brought(api: Api) -> Outcome {
    let mut wanted = crate::stage::widget("one", 1);
    wanted["metadata"]["labels"] = json!({"a": "b"});
    wanted["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    wanted["spec"]["parts"] = json!([{"name": "a"}]);
    let path = format!("{}?fieldManager=ann", api.widgets());
    let created = api.post(&path, &wanted).await?.ok_with(201)?;
    // The parts that hold the fields, and the defaults, belong to whoever caused them.
    same!(
        *owned(&created, "ann"),
        json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}},
                "f:finalizers": {".": {}, "v:\"conformance.dev/hold\"": {}}},
            "f:spec": {".": {}, "f:size": {}, "f:mode": {}, "f:parts": {".": {},
                "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:weight": {}}}}})
    );
    let path = format!("{}/one?fieldManager=bob", api.widgets());
    let patch = json!({"metadata": {"finalizers": null, "labels": {"c": "d"}}});
    let patched = api.merge(&path, &patch).await?.ok()?;
    same!(
        *owned(&patched, "bob"),
        json!({"f:metadata": {"f:labels": {"f:c": {}}}})
    );
    same!(
        owned(&patched, "ann")["f:metadata"],
        json!({"f:labels": {".": {}, "f:a": {}}})
    );
    Ok(())
}

async fn a_writer_without_a_name_is_known_by_its_program(api: Api) -> Outcome {
    let body = crate::stage::widget("one", 1).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "tool/1.0 (linux)"),
    ];
    let created = api
        .send(http::Method::POST, &api.widgets(), &headers, body)
        .await?
        .ok()?;
    same!(created["metadata"]["managedFields"][0]["manager"], "tool");
    Ok(())
}

async fn status_is_applied_through_its_own_path(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let status = |kind: &str| {
        json!({"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
            "metadata": {"name": "one"}, "spec": {"size": 9},
            "status": {"conditions": [{"type": kind, "status": "True"}]}})
    };
    let path = format!("{}/one/status?fieldManager=ann", api.widgets());
    let object = api.patch(&path, APPLY, &status("Ready")).await?.ok()?;
    same!(object["status"]["conditions"][0]["type"], "Ready");
    same!(object["spec"]["size"], 1);
    let entries = object["metadata"]["managedFields"].as_array();
    let anns = entries.and_then(|list| list.iter().find(|entry| entry["manager"] == "ann"));
    same!(
        anns.map(|entry| &entry["subresource"]),
        Some(&json!("status"))
    );
    let path = path.replace("=ann", "=bob");
    let object = api.patch(&path, APPLY, &status("Done")).await?.ok()?;
    same!(
        object["status"]["conditions"].as_array().map(Vec::len),
        Some(2)
    );
    Ok(())
}

async fn an_apply_can_ask_for_a_version(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one?fieldManager=ann&force=true", api.widgets());
    let wanted = |version: &str| {
        json!({"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
            "metadata": {"name": "one", "resourceVersion": version}, "spec": {"size": 2}})
    };
    let first = wanted(version(&created));
    api.patch(&path, APPLY, &first).await?.ok()?;
    let again = json!({"spec": {"size": 3}});
    api.merge(&format!("{}/one", api.widgets()), &again)
        .await?
        .ok()?;
    let message = api.patch(&path, APPLY, &first).await?;
    message.refused(409, "Conflict")?;
    Ok(())
}

async fn an_apply_needs_a_manager_and_a_whole_object(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let whole = json!({"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
                       "metadata": {"name": "one"}});
    let message = api.patch(&path, APPLY, &whole).await?;
    same!(
        message.refused(422, "Invalid")?,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for \
         apply patch"
    );
    let path = format!("{path}?fieldManager=ann");
    let message = api.patch(&path, APPLY, &created).await?;
    same!(
        message.refused(400, "BadRequest")?,
        "metadata.managedFields must be nil"
    );
    let parts = json!({"metadata": {"name": "one"}});
    api.patch(&path, APPLY, &parts)
        .await?
        .refused(400, "BadRequest")?;
    let mut other = whole.clone();
    other["metadata"]["name"] = json!("two");
    let message = api.patch(&path, APPLY, &other).await?;
    same!(
        message.refused(400, "BadRequest")?,
        "the name of the object (two) does not match the name on the URL (one)"
    );
    Ok(())
}

async fn an_apply_must_leave_a_valid_object(api: Api) -> Outcome {
    let message = apply(&api, "ann", json!({"size": 101}), "").await?;
    same!(
        message.refused(422, "Invalid")?,
        "Widget.conformance.bluegreen.dev \"one\" is invalid: spec.size: Invalid value: 101: \
         spec.size in body should be less than or equal to 100"
    );
    let path = format!("{}/one?fieldManager=ann", api.widgets());
    let headers = [("content-type", APPLY)];
    let message = api
        .send(http::Method::PATCH, &path, &headers, "a: b: c: [")
        .await?
        .refused(400, "BadRequest")?;
    holds!(message.starts_with("error decoding YAML: "), "{message}");
    Ok(())
}

async fn an_apply_can_be_tried(api: Api) -> Outcome {
    let tried = apply(&api, "ann", json!({"size": 1}), "&dryRun=All").await?;
    let tried = tried.ok_with(201)?;
    same!(tried["metadata"].get("resourceVersion"), None);
    let path = format!("{}/one", api.widgets());
    api.get(&path).await?.refused(404, "NotFound")?;
    Ok(())
}

async fn an_apply_can_be_yaml(api: Api) -> Outcome {
    let body = "apiVersion: conformance.bluegreen.dev/v1\nkind: Widget\n\
                metadata: {name: one}\nspec: {size: 3}\n";
    let path = format!("{}/one?fieldManager=ann", api.widgets());
    let headers = [("content-type", APPLY)];
    let created = api.send(http::Method::PATCH, &path, &headers, body).await?;
    same!(created.ok_with(201)?["spec"]["size"], 3);
    Ok(())
}
