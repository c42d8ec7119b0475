//! Tables: what `kubectl get` prints.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::{text, version},
    api::{JSON, TABLE},
    check::{holds, same},
};

super::list! { "tables":
    a_table_has_the_columns_of_the_definition,
    a_row_comes_with_as_much_of_its_object_as_asked,
    one_object_is_a_table_of_one_row,
    a_table_of_a_built_in_kind_has_its_columns,
    a_client_takes_the_first_form_that_is_on_offer,
}

fn columns(table: &Value) -> Vec<(String, String, i64)> {
    let columns = table["columnDefinitions"].as_array().into_iter().flatten();
    let column = |column: &Value| {
        (
            text(column, "/name").to_owned(),
            text(column, "/type").to_owned(),
            column["priority"].as_i64().unwrap_or(-1),
        )
    };
    columns.map(column).collect()
}

fn column(name: &str, kind: &str, priority: i64) -> (String, String, i64) {
    (name.to_owned(), kind.to_owned(), priority)
}

/// A human age just after an object was made.
fn is_young(cell: &Value) -> bool {
    cell.as_str()
        .and_then(|age| age.strip_suffix('s'))
        .is_some_and(|seconds| seconds.parse::<u32>().is_ok())
}

async fn a_table_has_the_columns_of_the_definition(api: Api) -> Outcome {
    api.widget("one", 3).await?;
    let path = format!("{}/one", api.widgets());
    let patch = json!({"spec": {"owner": "ann"}});
    api.merge(&path, &patch).await?.ok()?;
    let patch = json!({"status": {"conditions": [{"type": "Done", "status": "False"},
                                                 {"type": "Ready", "status": "True"}]}});
    api.merge(&format!("{path}/status"), &patch).await?.ok()?;
    api.widget("two", 4).await?;
    let table = api.get_as(&api.widgets(), TABLE).await?.ok()?;
    same!(table["kind"], "Table");
    same!(table["apiVersion"], "meta.k8s.io/v1");
    same!(
        columns(&table),
        [
            column("Name", "string", 0),
            column("Size", "integer", 0),
            column("Ready", "string", 0),
            column("Owner", "string", 1),
            column("Age", "date", 0),
        ]
    );
    let about = |index: usize| text(&table["columnDefinitions"][index], "/description");
    holds!(
        about(0).starts_with("Name must be unique within a namespace."),
        "{}",
        about(0)
    );
    same!(table["columnDefinitions"][0]["format"], "name");
    same!(about(1), "How big it is.");
    same!(
        about(3),
        "Custom resource definition column (in JSONPath format): .spec.owner"
    );
    let cells = |row: usize| table["rows"][row]["cells"].as_array();
    let first = cells(0).map(|cells| &cells[..4]);
    same!(
        first,
        Some(&[json!("one"), json!(3), json!("True"), json!("ann")][..])
    );
    let second = cells(1).map(|cells| &cells[..4]);
    same!(
        second,
        Some(&[json!("two"), json!(4), Value::Null, Value::Null][..])
    );
    holds!(is_young(&table["rows"][0]["cells"][4]), "{table}");
    holds!(!version(&table).is_empty(), "{table}");
    Ok(())
}

async fn a_row_comes_with_as_much_of_its_object_as_asked(api: Api) -> Outcome {
    let created = api.widget("one", 3).await?;
    let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                         "metadata": created["metadata"]});
    for (query, wanted) in [
        ("", &partial),
        ("?includeObject=Metadata", &partial),
        ("?includeObject=Object", &created),
        ("?includeObject=None", &Value::Null),
    ] {
        let path = format!("{}{query}", api.widgets());
        let table = api.get_as(&path, TABLE).await?.ok()?;
        same!(table["rows"][0]["object"], *wanted);
    }
    let path = format!("{}?includeObject=Nope", api.widgets());
    let message = api.get_as(&path, TABLE).await?;
    let message = message.refused(400, "BadRequest")?;
    holds!(
        message.ends_with("\"Nope\": must be 'Metadata', 'Object', 'None', or empty"),
        "{message}"
    );
    Ok(())
}

async fn one_object_is_a_table_of_one_row(api: Api) -> Outcome {
    let created = api.widget("one", 3).await?;
    let path = format!("{}/one", api.widgets());
    let table = api.get_as(&path, TABLE).await?.ok()?;
    same!(table["rows"].as_array().map(Vec::len), Some(1));
    same!(version(&table), version(&created));
    let path = format!("{}/none", api.widgets());
    let message = api.get_as(&path, TABLE).await?;
    message.refused(404, "NotFound")?;
    let list = api
        .get_as(&format!("{}?limit=1", api.widgets()), TABLE)
        .await?;
    same!(list.ok()?["rows"].as_array().map(Vec::len), Some(1));
    Ok(())
}

async fn a_table_of_a_built_in_kind_has_its_columns(api: Api) -> Outcome {
    let path = format!("/api/v1/namespaces/{}", api.namespace);
    let table = api.get_as(&path, TABLE).await?.ok()?;
    same!(
        columns(&table),
        [
            column("Name", "string", 0),
            column("Status", "string", 0),
            column("Age", "string", 0),
        ]
    );
    same!(table["rows"][0]["cells"][1], "Active");
    holds!(is_young(&table["rows"][0]["cells"][2]), "{table}");
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                       "metadata": {"name": "one"}, "spec": {}});
    api.post(&api.leases(), &lease).await?.ok_with(201)?;
    let table = api.get_as(&api.leases(), TABLE).await?.ok()?;
    same!(
        columns(&table),
        [
            column("Name", "string", 0),
            column("Holder", "string", 0),
            column("Age", "string", 0),
        ]
    );
    same!(table["rows"][0]["cells"][1], "");
    let path = format!(
        "{}/{}",
        crate::stage::DEFINITIONS,
        "widgets.conformance.bluegreen.dev"
    );
    let table = api.get_as(&path, TABLE).await?.ok()?;
    same!(
        columns(&table),
        [column("Name", "string", 0), column("Created At", "date", 0)]
    );
    holds!(
        text(&table, "/rows/0/cells/1").ends_with('Z'),
        "{}",
        table["rows"]
    );
    Ok(())
}

async fn a_client_takes_the_first_form_that_is_on_offer(api: Api) -> Outcome {
    api.widget("one", 3).await?;
    for (accept, kind) in [
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            "Table",
        ),
        (
            "application/json;as=Picture;v=v1;g=meta.k8s.io,application/json",
            "WidgetList",
        ),
        ("*/*", "WidgetList"),
        ("application/*", "WidgetList"),
        (JSON, "WidgetList"),
    ] {
        let answer = api.get_as(&api.widgets(), accept).await?;
        same!(answer.header("content-type"), JSON);
        let list = answer.ok()?;
        holds!(list["kind"] == kind, "{accept}: {}", list["kind"]);
    }
    for accept in [
        "application/xml",
        "application/json;as=Picture;v=v1;g=meta.k8s.io",
    ] {
        let message = api.get_as(&api.widgets(), accept).await?;
        let message = message.refused(406, "NotAcceptable")?;
        let start = "only the following media types are accepted: application/json";
        holds!(message.starts_with(start), "{message}");
    }
    Ok(())
}
