//! ControllerRevisions, in which a controller keeps what it has rolled out.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::{names, text},
    api::TABLE,
    check::{holds, same},
};

super::list! { "revisions":
    a_revision_is_kept_as_it_was_written,
    a_revision_must_be_valid,
    the_data_of_a_revision_never_changes,
    revisions_are_selected_by_label,
    a_table_of_revisions_names_the_controller,
    revisions_are_told_in_discovery,
    revisions_are_described_in_openapi [OpenApiV3],
}

fn path(api: &Api) -> String {
    api.of("apis/apps/v1", "controllerrevisions")
}

fn revision(name: &str, number: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name},
           "data": {"spec": {"version": "1.8.0", "ports": [8080, {"odd": true}]}},
           "revision": number})
}

async fn a_revision_is_kept_as_it_was_written(api: Api) -> Outcome {
    let wanted = revision("one", 3);
    let created = api.post(&path(&api), &wanted).await?.ok_with(201)?;
    same!(created["data"], wanted["data"]);
    same!(created["revision"], 3);
    // The server counts no generations of what it was built with.
    same!(created["metadata"].get("generation"), None);
    let one = format!("{}/one", path(&api));
    same!(api.get(&one).await?.ok()?, created);
    // A number in Go: it is zero where nobody sets it.
    let mut bare = revision("bare", 0);
    bare.as_object_mut().map(|fields| fields.remove("revision"));
    let created = api.post(&path(&api), &bare).await?.ok_with(201)?;
    same!(created["revision"], 0);
    Ok(())
}

async fn a_revision_must_be_valid(api: Api) -> Outcome {
    let mut without = revision("one", 1);
    without.as_object_mut().map(|fields| fields.remove("data"));
    let message = api.post(&path(&api), &without).await?;
    same!(
        message.refused(422, "Invalid")?,
        "ControllerRevision.apps \"one\" is invalid: data: Required value: data is mandatory"
    );
    let message = api.post(&path(&api), &revision("one", -1)).await?;
    same!(
        message.refused(422, "Invalid")?,
        "ControllerRevision.apps \"one\" is invalid: revision: Invalid value: -1: must be greater \
         than or equal to 0"
    );
    let mut odd = revision("one", 1);
    odd["revision"] = json!("first");
    let message = api.post(&path(&api), &odd).await?;
    message.refused(400, "BadRequest")?;
    Ok(())
}

async fn the_data_of_a_revision_never_changes(api: Api) -> Outcome {
    let mut wanted = revision("one", 1);
    api.post(&path(&api), &wanted).await?.ok_with(201)?;
    let one = format!("{}/one", path(&api));
    let other = json!({"data": {"spec": {"version": "1.9.0"}}});
    let answer = api.merge(&one, &other).await?;
    same!(answer.body["details"]["causes"][0]["field"], "data");
    let message = answer.refused(422, "Invalid")?;
    holds!(message.ends_with(": field is immutable"), "{message}");
    // The number may grow, with or without a look at the version.
    wanted["revision"] = json!(2);
    let changed = api.put(&one, &wanted).await?.ok()?;
    same!(changed["revision"], 2);
    same!(changed["data"], wanted["data"]);
    let labelled = json!({"metadata": {"labels": {"app": "shop"}}});
    api.merge(&one, &labelled).await?.ok()?;
    Ok(())
}

async fn revisions_are_selected_by_label(api: Api) -> Outcome {
    for (name, app) in [("a", "shop"), ("b", "game"), ("c", "shop")] {
        let mut wanted = revision(name, 1);
        wanted["metadata"]["labels"] = json!({"app": app});
        api.post(&path(&api), &wanted).await?.ok_with(201)?;
    }
    let shop = format!("{}?labelSelector=app%3Dshop", path(&api));
    let list = api.get(&shop).await?.ok()?;
    same!(list["kind"], "ControllerRevisionList");
    same!(names(&list), ["a", "c"]);
    api.delete(&shop).await?.ok()?;
    same!(names(&api.get(&path(&api)).await?.ok()?), ["b"]);
    Ok(())
}

async fn a_table_of_revisions_names_the_controller(api: Api) -> Outcome {
    let owner = api.widget("owner", 1).await?;
    let mut owned = revision("owned", 7);
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget", "name": "owner",
        "uid": owner["metadata"]["uid"], "controller": true}]);
    api.post(&path(&api), &owned).await?.ok_with(201)?;
    api.post(&path(&api), &revision("free", 1))
        .await?
        .ok_with(201)?;
    let table = api.get_as(&path(&api), TABLE).await?.ok()?;
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    let columns: Vec<(&str, &str)> = columns
        .map(|column| (text(column, "/name"), text(column, "/type")))
        .collect();
    same!(
        columns,
        [
            ("Name", "string"),
            ("Controller", "string"),
            ("Revision", "string"),
            ("Age", "string")
        ]
    );
    let rows = table["rows"].as_array().into_iter().flatten();
    let cells: Vec<Value> = rows
        .map(|row| {
            json!(
                row["cells"]
                    .as_array()
                    .map(|cells| &cells[..cells.len().min(3)])
            )
        })
        .collect();
    same!(
        cells,
        [
            json!(["free", "<none>", 1]),
            json!(["owned", "widget.conformance.bluegreen.dev/owner", 7])
        ]
    );
    Ok(())
}

async fn revisions_are_told_in_discovery(api: Api) -> Outcome {
    let list = api.get("/apis/apps/v1").await?.ok()?;
    let resources = list["resources"].as_array().into_iter().flatten();
    let mut resources = resources.filter(|resource| resource["name"] == "controllerrevisions");
    let Some(found) = resources.next() else {
        return Err(crate::Failure::new(format!("not in {list}")));
    };
    same!(found["kind"], "ControllerRevision");
    same!(found["namespaced"], true);
    same!(found.get("shortNames"), None);
    Ok(())
}

async fn revisions_are_described_in_openapi(api: Api) -> Outcome {
    let document = api.get("/openapi/v3/apis/apps/v1").await?.ok()?;
    let schemas = document["components"]["schemas"].as_object();
    let mut schemas = schemas.into_iter().flatten();
    let found = schemas.find(|(name, _)| name.ends_with(".v1.ControllerRevision"));
    let Some((_, schema)) = found else {
        return Err(crate::Failure::new("the kind has no schema"));
    };
    same!(schema["required"], json!(["revision"]));
    same!(schema["properties"]["revision"]["format"], "int64");
    Ok(())
}
