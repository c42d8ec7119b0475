//! Watches: every change after a version, in order, and a clear word where the past is gone.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::{names, text, version},
    api::TABLE,
    check::{holds, same},
    stage::widget,
    watching::event,
};

super::list! { "watches":
    a_watch_goes_on_where_the_list_ended,
    a_watch_without_a_version_starts_with_what_is_there,
    a_watch_replays_what_happened_since,
    objects_enter_and_leave_a_selection,
    a_watch_can_be_of_one_object,
    a_watch_ends_in_time,
    a_watch_that_ends_says_how_far_it_came,
    initial_events_end_with_a_bookmark [StreamingLists],
    a_forgotten_version_is_gone [Forgetting],
    the_removal_of_the_last_finalizer_is_the_last_event,
    a_watch_can_be_of_tables,
    a_watch_can_be_of_metadata,
    a_watch_of_nothing_that_exists_is_refused,
}

async fn a_watch_goes_on_where_the_list_ended(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let widgets = api.widgets();
    let list = api.get(&widgets).await?.ok()?;
    // Between the list and the watch.
    api.widget("two", 1).await?;
    let patch = json!({"spec": {"size": 2}});
    api.merge(&format!("{widgets}/one"), &patch).await?.ok()?;
    let from = format!("resourceVersion={}&timeoutSeconds=60", version(&list));
    let mut watch = api.watch(&widgets, &from).await?;
    same!(watch.short().await?, event("ADDED", "two"));
    same!(watch.short().await?, event("MODIFIED", "one"));
    let last = api.get(&format!("{widgets}/two")).await?.ok()?;
    api.delete(&format!("{widgets}/two")).await?.ok()?;
    let deleted = watch.event().await?;
    same!(deleted["type"], "DELETED");
    let number = |value: &Value| version(value).parse::<u64>().unwrap_or_default();
    holds!(number(&deleted["object"]) > number(&last), "{deleted}");
    same!(deleted["object"]["spec"], last["spec"]);
    Ok(())
}

async fn a_watch_without_a_version_starts_with_what_is_there(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    for query in ["timeoutSeconds=60", "resourceVersion=0&timeoutSeconds=60"] {
        let mut watch = api.watch(&api.widgets(), query).await?;
        same!(watch.short().await?, event("ADDED", "one"));
    }
    Ok(())
}

async fn a_watch_replays_what_happened_since(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let widgets = api.widgets();
    let path = format!("{widgets}/one");
    for size in 2..6 {
        let patch = json!({"spec": {"size": size}});
        api.merge(&path, &patch).await?.ok()?;
    }
    api.delete(&path).await?.ok()?;
    let from = format!("resourceVersion={}&timeoutSeconds=60", version(&created));
    let mut watch = api.watch(&widgets, &from).await?;
    for size in 2..6 {
        let seen = watch.event().await?;
        same!(seen["type"], "MODIFIED");
        same!(seen["object"]["spec"]["size"], size);
    }
    same!(watch.short().await?, event("DELETED", "one"));
    Ok(())
}

async fn objects_enter_and_leave_a_selection(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let from = format!(
        "resourceVersion={}&labelSelector=team%3Dred&timeoutSeconds=60",
        version(&created)
    );
    let mut watch = api.watch(&api.widgets(), &from).await?;
    let path = format!("{}/one", api.widgets());
    for (team, seen) in [("red", "ADDED"), ("blue", "DELETED"), ("red", "ADDED")] {
        let patch = json!({"metadata": {"labels": {"team": team}}});
        api.merge(&path, &patch).await?.ok()?;
        same!(watch.short().await?, event(seen, "one"));
    }
    let patch = json!({"spec": {"size": 2}});
    api.merge(&path, &patch).await?.ok()?;
    same!(watch.short().await?, event("MODIFIED", "one"));
    Ok(())
}

async fn a_watch_can_be_of_one_object(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    api.widget("two", 1).await?;
    let from = format!(
        "resourceVersion={}&fieldSelector=metadata.name%3Done&timeoutSeconds=60",
        version(&created)
    );
    let mut watch = api.watch(&api.widgets(), &from).await?;
    for name in ["two", "one"] {
        let path = format!("{}/{name}", api.widgets());
        api.merge(&path, &json!({"spec": {"size": 2}}))
            .await?
            .ok()?;
    }
    same!(watch.short().await?, event("MODIFIED", "one"));
    Ok(())
}

async fn a_watch_ends_in_time(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let mut watch = api.watch(&api.widgets(), "timeoutSeconds=1").await?;
    let events = watch.rest().await?;
    same!(events.len(), 1);
    Ok(())
}

/// The resource is one that only this case writes, so that nothing else moves the bookmark.
async fn a_watch_that_ends_says_how_far_it_came(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let from = format!(
        "resourceVersion={}&allowWatchBookmarks=true&timeoutSeconds=6",
        version(&created)
    );
    let mut watch = api.watch(&api.widgets(), &from).await?;
    let later = api.widget("two", 1).await?;
    same!(watch.short().await?, event("ADDED", "two"));
    let bookmarks = watch.rest().await?;
    let Some(last) = bookmarks.last() else {
        return Err(crate::Failure::new("the watch ended without a bookmark"));
    };
    same!(last["type"], "BOOKMARK");
    same!(last["object"]["kind"], "Widget");
    same!(last["object"]["apiVersion"], "conformance.bluegreen.dev/v1");
    let number = |value: &Value| version(value).parse::<u64>().unwrap_or_default();
    holds!(number(&last["object"]) >= number(&later), "{last}");
    let resumed = format!(
        "resourceVersion={}&timeoutSeconds=60",
        version(&last["object"])
    );
    let mut watch = api.watch(&api.widgets(), &resumed).await?;
    api.widget("three", 1).await?;
    same!(watch.short().await?, event("ADDED", "three"));
    Ok(())
}

async fn initial_events_end_with_a_bookmark(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let query = "sendInitialEvents=true&allowWatchBookmarks=true&\
                 resourceVersionMatch=NotOlderThan&timeoutSeconds=60";
    let mut watch = api.watch(&api.widgets(), query).await?;
    same!(watch.short().await?, event("ADDED", "one"));
    let bookmark = watch.event().await?;
    same!(bookmark["type"], "BOOKMARK");
    same!(bookmark["object"]["kind"], "Widget");
    let annotations = &bookmark["object"]["metadata"]["annotations"];
    same!(*annotations, json!({"k8s.io/initial-events-end": "true"}));
    api.widget("two", 1).await?;
    same!(watch.short().await?, event("ADDED", "two"));
    Ok(())
}

async fn a_forgotten_version_is_gone(api: Api) -> Outcome {
    let later = api.widget("one", 1).await?;
    api.forget(version(&later)).await?;
    let from = "resourceVersion=1&timeoutSeconds=60";
    let mut watch = api.watch(&api.widgets(), from).await?;
    let error = watch.event().await?;
    same!(error["type"], "ERROR");
    let status = &error["object"];
    same!(status["kind"], "Status");
    same!(status["status"], "Failure");
    same!(status["code"], 410);
    same!(status["reason"], "Expired");
    let message = text(status, "/message");
    holds!(
        message.starts_with("too old resource version: 1 ("),
        "{message}"
    );
    same!(watch.next().await?, None);
    Ok(())
}

async fn the_removal_of_the_last_finalizer_is_the_last_event(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    let created = api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    let from = format!("resourceVersion={}&timeoutSeconds=60", version(&created));
    let mut watch = api.watch(&api.widgets(), &from).await?;
    let path = format!("{}/one", api.widgets());
    api.delete(&path).await?.ok()?;
    let marked = watch.event().await?;
    same!(marked["type"], "MODIFIED");
    holds!(
        marked["object"]["metadata"]["deletionTimestamp"].is_string(),
        "{marked}"
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&path, &none).await?.ok()?;
    // Nothing between the mark and the end.
    same!(watch.short().await?, event("DELETED", "one"));
    api.widget("two", 1).await?;
    same!(watch.short().await?, event("ADDED", "two"));
    Ok(())
}

async fn a_watch_can_be_of_tables(api: Api) -> Outcome {
    api.widget("one", 7).await?;
    let mut watch = api
        .watch_as(&api.widgets(), "timeoutSeconds=60", TABLE)
        .await?;
    let first = watch.event().await?;
    same!(first["type"], "ADDED");
    let table = &first["object"];
    same!(table["kind"], "Table");
    same!(table["columnDefinitions"][1]["name"], "Size");
    same!(table["rows"][0]["cells"][0], "one");
    same!(table["rows"][0]["cells"][1], 7);
    api.widget("two", 8).await?;
    let second = watch.event().await?;
    // The columns are told once.
    same!(second["object"]["columnDefinitions"], Value::Null);
    same!(second["object"]["rows"][0]["cells"][1], 8);
    Ok(())
}

async fn a_watch_can_be_of_metadata(api: Api) -> Outcome {
    let created = api.widget("one", 7).await?;
    let accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let mut watch = api
        .watch_as(&api.widgets(), "timeoutSeconds=60", accept)
        .await?;
    let first = watch.event().await?;
    same!(
        first["object"],
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
               "metadata": created["metadata"]})
    );
    Ok(())
}

async fn a_watch_of_nothing_that_exists_is_refused(api: Api) -> Outcome {
    let path = api.widgets().replace("widgets", "gizmos");
    let answer = api.get(&format!("{path}?watch=true")).await?;
    same!(answer.code, 404);
    let path = format!("{}?watch=true&fieldSelector=spec.size%3D1", api.widgets());
    let message = api.get(&path).await?.refused(400, "BadRequest")?;
    same!(message, "field label not supported: spec.size");
    same!(names(&api.get(&api.widgets()).await?.ok()?).len(), 0);
    Ok(())
}
