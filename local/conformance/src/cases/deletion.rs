//! Deletion: at once, when finalizers are gone, of many.

use serde_json::json;

use crate::{
    Api, Outcome,
    answer::{names, text, version},
    check::{holds, same},
    stage::{until, widget},
};

super::list! { "deletion":
    what_is_deleted_is_gone,
    an_object_stays_until_its_finalizers_are_gone,
    what_is_being_deleted_can_still_be_written,
    no_finalizer_joins_a_deletion,
    a_deletion_can_have_preconditions,
    a_deletion_has_options,
    a_foreground_deletion_comes_to_its_end [GarbageCollector],
    many_objects_can_be_deleted,
    a_namespace_takes_its_objects_along [NamespaceController],
    nothing_new_in_a_namespace_that_goes,
}

async fn what_is_deleted_is_gone(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let status = api.delete(&path).await?.ok_with(200)?;
    same!(status["kind"], "Status");
    same!(status["status"], "Success");
    same!(
        status["details"],
        json!({"name": "one", "group": "conformance.bluegreen.dev", "kind": "widgets",
               "uid": created["metadata"]["uid"]})
    );
    api.get(&path).await?.refused(404, "NotFound")?;
    let again = api.widget("one", 1).await?;
    holds!(
        text(&again, "/metadata/uid") != text(&created, "/metadata/uid"),
        "{again}"
    );
    Ok(())
}

async fn an_object_stays_until_its_finalizers_are_gone(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    let both = json!(["conformance.dev/first", "conformance.dev/second"]);
    wanted["metadata"]["finalizers"] = both.clone();
    api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    let path = format!("{}/one", api.widgets());
    let marked = api.delete(&path).await?.ok()?;
    same!(marked["kind"], "Widget");
    same!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    same!(marked["metadata"]["generation"], 2);
    same!(marked["metadata"]["finalizers"], both);
    holds!(
        text(&marked, "/metadata/deletionTimestamp").ends_with('Z'),
        "{marked}"
    );
    // The second time changes nothing.
    same!(api.delete(&path).await?.ok()?, marked);
    let one = json!({"metadata": {"finalizers": ["conformance.dev/second"]}});
    api.merge(&path, &one).await?.ok()?;
    api.get(&path).await?.ok()?;
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&path, &none).await?.ok()?;
    api.get(&path).await?.refused(404, "NotFound")?;
    Ok(())
}

async fn what_is_being_deleted_can_still_be_written(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    let path = format!("{}/one", api.widgets());
    api.delete(&path).await?.ok()?;
    let patch = json!({"spec": {"size": 4}});
    let patched = api.merge(&path, &patch).await?.ok()?;
    same!(patched["spec"]["size"], 4);
    same!(patched["metadata"]["generation"], 3);
    let patch = json!({"status": {"phase": "Ending"}});
    let patched = api.merge(&format!("{path}/status"), &patch).await?.ok()?;
    same!(patched["status"]["phase"], "Ending");
    let message = api.post(&api.widgets(), &widget("one", 1)).await?;
    let message = message.refused(409, "AlreadyExists")?;
    holds!(message.contains("already exists"), "{message}");
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&path, &none).await?.ok()?;
    Ok(())
}

async fn no_finalizer_joins_a_deletion(api: Api) -> Outcome {
    let mut wanted = widget("one", 1);
    wanted["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    let path = format!("{}/one", api.widgets());
    api.delete(&path).await?.ok()?;
    let more = json!({"metadata": {"finalizers": ["conformance.dev/hold", "conformance.dev/x"]}});
    let message = api.merge(&path, &more).await?.refused(422, "Invalid")?;
    same!(
        message,
        "Widget.conformance.bluegreen.dev \"one\" is invalid: metadata.finalizers: Forbidden: no \
         new finalizers can be added if the object is being deleted, found new finalizers \
         []string{\"conformance.dev/x\"}"
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&path, &none).await?.ok()?;
    Ok(())
}

async fn a_deletion_can_have_preconditions(api: Api) -> Outcome {
    let created = api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let uid = text(&created, "/metadata/uid");
    let other = json!({"preconditions": {"uid": "other"}});
    let message = api.delete_with(&path, &other).await?;
    same!(
        message.refused(409, "Conflict")?,
        format!(
            "Operation cannot be fulfilled on Widget.conformance.bluegreen.dev \"one\": the UID \
             in the precondition (other) does not match the UID in record ({uid}). The object \
             might have been deleted and then recreated"
        )
    );
    let other = json!({"preconditions": {"resourceVersion": "1"}});
    let message = api.delete_with(&path, &other).await?;
    same!(
        message.refused(409, "Conflict")?,
        format!(
            "Operation cannot be fulfilled on Widget.conformance.bluegreen.dev \"one\": the \
             ResourceVersion in the precondition (1) does not match the ResourceVersion in \
             record ({}). The object might have been modified",
            version(&created)
        )
    );
    let fitting = json!({"preconditions": {"uid": uid, "resourceVersion": version(&created)}});
    let status = api.delete_with(&path, &fitting).await?.ok()?;
    same!(status["status"], "Success");
    Ok(())
}

async fn a_deletion_has_options(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let odd = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Nope"});
    let message = api
        .delete_with(&path, &odd)
        .await?
        .refused(422, "Invalid")?;
    let start = "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported \
                 value: \"Nope\": supported values: ";
    holds!(message.starts_with(start), "{message}");
    // What has no processes has no grace: it goes at once.
    let patient = json!({"kind": "DeleteOptions", "apiVersion": "v1",
                         "gracePeriodSeconds": 30, "propagationPolicy": "Background"});
    let status = api.delete_with(&path, &patient).await?.ok()?;
    same!(status["status"], "Success");
    api.get(&path).await?.refused(404, "NotFound")?;
    Ok(())
}

async fn a_foreground_deletion_comes_to_its_end(api: Api) -> Outcome {
    api.widget("one", 1).await?;
    let path = format!("{}/one", api.widgets());
    let foreground = json!({"propagationPolicy": "Foreground"});
    api.delete_with(&path, &foreground).await?.ok()?;
    let gone = async || Ok(api.get(&path).await?.code == 404);
    until("the object is gone", gone).await
}

async fn many_objects_can_be_deleted(api: Api) -> Outcome {
    for (name, team) in [("a", "red"), ("b", "blue"), ("c", "red")] {
        let mut wanted = widget(name, 1);
        wanted["metadata"]["labels"] = json!({"team": team});
        api.post(&api.widgets(), &wanted).await?.ok_with(201)?;
    }
    let widgets = api.widgets();
    let red = format!("{widgets}?labelSelector=team%3Dred");
    let deleted = api.delete(&red).await?.ok()?;
    same!(deleted["kind"], "WidgetList");
    same!(names(&deleted), ["a", "c"]);
    same!(names(&api.get(&widgets).await?.ok()?), ["b"]);
    api.delete(&widgets).await?.ok()?;
    same!(names(&api.get(&widgets).await?.ok()?).len(), 0);
    Ok(())
}

async fn a_namespace_takes_its_objects_along(api: Api) -> Outcome {
    api.widget("free", 1).await?;
    let mut held = widget("held", 1);
    held["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    api.post(&api.widgets(), &held).await?.ok_with(201)?;
    let home = format!("/api/v1/namespaces/{}", api.namespace);
    let ending = api.delete(&home).await?.ok()?;
    same!(ending["status"]["phase"], "Terminating");
    let widgets = api.widgets();
    until("what is free is gone", async || {
        Ok(names(&api.get(&widgets).await?.ok()?) == ["held"])
    })
    .await?;
    api.get(&home).await?.ok()?;
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&format!("{widgets}/held"), &none).await?.ok()?;
    let gone = async || Ok(api.get(&home).await?.code == 404);
    until("the namespace is gone", gone).await
}

async fn nothing_new_in_a_namespace_that_goes(api: Api) -> Outcome {
    // Holds the namespace where somebody empties it.
    let mut held = widget("held", 1);
    held["metadata"]["finalizers"] = json!(["conformance.dev/hold"]);
    api.post(&api.widgets(), &held).await?.ok_with(201)?;
    let home = format!("/api/v1/namespaces/{}", api.namespace);
    let ending = api.delete(&home).await?.ok()?;
    same!(ending["status"]["phase"], "Terminating");
    let message = api.post(&api.widgets(), &widget("late", 1)).await?;
    same!(
        message.refused(403, "Forbidden")?,
        format!(
            "widgets.conformance.bluegreen.dev \"late\" is forbidden: unable to create new \
             content in namespace {} because it is being terminated",
            api.namespace
        )
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.merge(&format!("{}/held", api.widgets()), &none)
        .await?
        .ok()?;
    Ok(())
}
