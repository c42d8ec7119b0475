//! Merge patches and JSON patches.

use serde_json::json;

use crate::{
    Api, Outcome,
    answer::{text, version},
    api::{JSON, JSON_PATCH, MERGE, STRATEGIC},
    check::{holds, same},
};

const REJECTED: &str = "the server rejected our request due to an error in our request";

super::list! { "patches":
    a_merge_patch_sets_and_removes_fields,
    a_json_patch_goes_step_by_step,
    a_json_patch_whose_test_fails_changes_nothing,
    a_json_patch_that_cannot_be_taken_is_rejected,
    a_patch_can_ask_for_a_version,
    a_patch_cannot_change_who_an_object_is,
    a_patch_must_leave_a_valid_object,
    a_defined_kind_takes_no_strategic_patch,
    a_built_in_kind_takes_a_strategic_patch,
    a_patch_says_of_which_type_it_is,
    only_an_apply_can_be_forced,
}

async fn a_merge_patch_sets_and_removes_fields(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let patch = json!({"metadata": {"labels": {"a": "1", "b": "2"}},
                       "spec": {"owner": "ann", "colours": {"x": "1", "y": "2"}}});
    api.merge(&path, &patch).await?.ok()?;
    let patch = json!({"metadata": {"labels": {"a": null}},
                       "spec": {"owner": null, "colours": {"x": null}, "tags": ["t"]}});
    let patched = api.merge(&path, &patch).await?.ok()?;
    same!(patched["metadata"]["labels"], json!({"b": "2"}));
    same!(
        patched["spec"],
        json!({"size": 1, "mode": "Auto", "colours": {"y": "2"}, "tags": ["t"]})
    );
    Ok(())
}

async fn a_json_patch_goes_step_by_step(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let steps = json!([
        {"op": "test", "path": "/spec/size", "value": 1},
        {"op": "replace", "path": "/spec/size", "value": 5},
        {"op": "add", "path": "/spec/tags", "value": ["a"]},
        {"op": "add", "path": "/spec/tags/-", "value": "b"},
        {"op": "add", "path": "/spec/colours", "value": {"a/b": "1"}},
        {"op": "copy", "from": "/spec/colours/a~1b", "path": "/spec/colours/c"},
        {"op": "move", "from": "/spec/colours/c", "path": "/spec/colours/d"},
        {"op": "remove", "path": "/spec/colours/a~1b"},
    ]);
    let patched = api.patch(&path, JSON_PATCH, &steps).await?.ok()?;
    same!(
        patched["spec"],
        json!({"size": 5, "mode": "Auto", "tags": ["a", "b"], "colours": {"d": "1"}})
    );
    // How clients add a first finalizer.
    let steps = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["conformance.dev/hold"]},
    ]);
    api.patch(&path, JSON_PATCH, &steps).await?.ok()?;
    let steps = json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": "conformance.dev/hold"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]);
    let patched = api.patch(&path, JSON_PATCH, &steps).await?.ok()?;
    same!(patched["metadata"].get("finalizers"), None);
    Ok(())
}

async fn a_json_patch_whose_test_fails_changes_nothing(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let steps = json!([
        {"op": "replace", "path": "/spec/size", "value": 5},
        {"op": "test", "path": "/spec/mode", "value": "Manual"},
    ]);
    let answer = api.patch(&path, JSON_PATCH, &steps).await?;
    same!(answer.body["details"], json!({}));
    same!(answer.refused(422, "Invalid")?, REJECTED);
    same!(api.get(&path).await?.ok()?, created);
    Ok(())
}

async fn a_json_patch_that_cannot_be_taken_is_rejected(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    for step in [
        json!({"op": "replace", "path": "/spec/nothing/x", "value": 1}),
        json!({"op": "remove", "path": "/spec/nothing"}),
        json!({"op": "leap", "path": "/spec/size"}),
    ] {
        let steps = json!([step]);
        let message = api.patch(&path, JSON_PATCH, &steps).await?;
        same!(message.refused(422, "Invalid")?, REJECTED);
    }
    let no_steps = json!({"spec": {"size": 2}});
    let answer = api.patch(&path, JSON_PATCH, &no_steps).await?;
    answer.refused(400, "BadRequest")?;
    Ok(())
}

async fn a_patch_can_ask_for_a_version(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let patch = json!({"metadata": {"resourceVersion": version(&created)}, "spec": {"size": 2}});
    api.merge(&path, &patch).await?.ok()?;
    let message = api.merge(&path, &patch).await?.refused(409, "Conflict")?;
    holds!(
        message.ends_with("please apply your changes to the latest version and try again"),
        "{message}"
    );
    // Without a version, whatever is there is patched.
    let patch = json!({"spec": {"size": 3}});
    same!(api.merge(&path, &patch).await?.ok()?["spec"]["size"], 3);
    Ok(())
}

async fn a_patch_cannot_change_who_an_object_is(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let named = json!({"metadata": {"name": "two"}});
    let message = api.merge(&path, &named).await?.refused(400, "BadRequest")?;
    same!(
        message,
        "the name of the object (two) does not match the name on the URL (one)"
    );
    let placed = json!({"metadata": {"namespace": "default"}});
    api.merge(&path, &placed)
        .await?
        .refused(400, "BadRequest")?;
    let other = json!({"metadata": {"uid": "other"}});
    let message = api.merge(&path, &other).await?.refused(422, "Invalid")?;
    same!(
        message,
        "Widget.conformance.bluegreen.dev \"one\" is invalid: metadata.uid: Invalid value: \
         \"other\": field is immutable"
    );
    let kind = json!({"kind": "Gadget"});
    let message = api.merge(&path, &kind).await?.refused(422, "Invalid")?;
    same!(
        message,
        "Gadget.conformance.bluegreen.dev \"one\" is invalid: kind: Invalid value: \"Gadget\": \
         must be Widget"
    );
    Ok(())
}

async fn a_patch_must_leave_a_valid_object(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let patch = json!({"spec": {"size": "big"}});
    let steps = json!([{"op": "replace", "path": "/spec/size", "value": "big"}]);
    for (kind, body) in [(MERGE, &patch), (JSON_PATCH, &steps)] {
        let message = api.patch(&path, kind, body).await?;
        same!(
            message.refused(422, "Invalid")?,
            "Widget.conformance.bluegreen.dev \"one\" is invalid: spec.size: Invalid value: \
             \"string\": spec.size in body must be of type integer: \"string\""
        );
    }
    same!(api.get(&path).await?.ok()?, created);
    Ok(())
}

async fn a_defined_kind_takes_no_strategic_patch(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let message = api.patch(&path, STRATEGIC, &json!({})).await?;
    let message = message.refused(415, "UnsupportedMediaType")?;
    let wanted = "the body of the request was in an unknown format - accepted media types \
                  include: application/json-patch+json, application/merge-patch+json, \
                  application/apply-patch+yaml";
    same!(message, wanted);
    Ok(())
}

async fn a_built_in_kind_takes_a_strategic_patch(api: Api) -> Outcome {
    let path = format!("/api/v1/namespaces/{}", api.namespace);
    let patch = json!({"metadata": {"annotations": {"a": "b"}, "$setElementOrder/finalizers": []}});
    let patched = api.patch(&path, STRATEGIC, &patch).await?.ok()?;
    same!(text(&patched, "/metadata/annotations/a"), "b");
    Ok(())
}

async fn a_patch_says_of_which_type_it_is(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    for kind in [JSON, "text/plain"] {
        let answer = api.patch(&path, kind, &json!({})).await?;
        answer.refused(415, "UnsupportedMediaType")?;
    }
    Ok(())
}

async fn only_an_apply_can_be_forced(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one?force=true", api.widgets());
    let message = api
        .merge(&path, &json!({}))
        .await?
        .refused(422, "Invalid")?;
    same!(
        message,
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for \
         non-apply patch"
    );
    let path = format!("{}/one?fieldManager={}", api.widgets(), "x".repeat(129));
    let message = api
        .merge(&path, &json!({}))
        .await?
        .refused(422, "Invalid")?;
    let start = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: ";
    holds!(message.starts_with(start), "{message}");
    Ok(())
}
