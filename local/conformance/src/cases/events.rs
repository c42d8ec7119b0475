//! Events: one store, two forms.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::names,
    api::TABLE,
    check::{holds, same},
};

super::list! { "events":
    an_event_is_seen_in_both_forms,
    an_event_can_be_found_by_what_it_is_about,
    an_event_becomes_a_series,
    an_event_of_the_old_form_is_seen_in_both,
    an_event_must_say_who_saw_what,
    an_event_stands_beside_what_it_is_about,
}

fn core(api: &Api) -> String {
    api.of("api/v1", "events")
}

fn events(api: &Api) -> String {
    api.of("apis/events.k8s.io/v1", "events")
}

fn event(api: &Api, name: &str) -> Value {
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
        "type": "Warning", "reason": "Stuck", "action": "Wait", "note": "cannot go on",
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "reportingController": "conformance.dev/suite", "reportingInstance": "suite-1",
        "regarding": {"apiVersion": "conformance.bluegreen.dev/v1", "kind": "Widget",
                      "name": "one", "namespace": api.namespace, "uid": "u-1"}})
}

/// The object without what the server adds to its metadata.
fn without_metadata(mut object: Value) -> Value {
    object["metadata"] = json!({"name": object["metadata"]["name"]});
    object
}

async fn an_event_is_seen_in_both_forms(api: Api) -> Outcome {
    let wanted = event(&api, "one.1");
    let created = api.post(&events(&api), &wanted).await?.ok_with(201)?;
    let mut shown = wanted.clone();
    // What is empty is shown all the same.
    shown["deprecatedSource"] = json!({});
    shown["deprecatedFirstTimestamp"] = Value::Null;
    shown["deprecatedLastTimestamp"] = Value::Null;
    same!(without_metadata(created), shown);
    let seen = api.get(&format!("{}/one.1", core(&api))).await?.ok()?;
    same!(
        without_metadata(seen),
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "one.1"},
            "type": "Warning", "reason": "Stuck", "action": "Wait", "message": "cannot go on",
            "eventTime": "2026-01-02T03:04:05.000006Z",
            "reportingComponent": "conformance.dev/suite", "reportingInstance": "suite-1",
            "source": {}, "firstTimestamp": null, "lastTimestamp": null,
            "involvedObject": wanted["regarding"]})
    );
    Ok(())
}

async fn an_event_can_be_found_by_what_it_is_about(api: Api) -> Outcome {
    let path = events(&api);
    api.post(&path, &event(&api, "one.1")).await?.ok_with(201)?;
    let mut other = event(&api, "two.1");
    other["regarding"]["name"] = json!("two");
    other["regarding"]["uid"] = json!("u-2");
    api.post(&path, &other).await?.ok_with(201)?;
    for selector in [
        "involvedObject.uid%3Du-1",
        "involvedObject.name%3Done,involvedObject.kind%3DWidget,reason%3DStuck",
        "type%3DWarning,involvedObject.uid!%3Du-2",
    ] {
        let list = api
            .get(&format!("{}?fieldSelector={selector}", core(&api)))
            .await?;
        same!(names(&list.ok()?), ["one.1"]);
    }
    let by = format!("{path}?fieldSelector=regarding.uid%3Du-2");
    let list = api.get(&by).await?.ok()?;
    same!(names(&list), ["two.1"]);
    same!(list["kind"], "EventList");
    let by = format!("{}?fieldSelector=nope%3D1", core(&api));
    let message = api.get(&by).await?.refused(400, "BadRequest")?;
    same!(message, "field label not supported: nope");
    let table = api.get_as(&core(&api), TABLE).await?.ok()?;
    let cells = &table["rows"][0]["cells"];
    same!(cells[1], "Warning");
    same!(cells[2], "Stuck");
    same!(cells[3], "widget/one");
    same!(cells[5], "conformance.dev/suite, suite-1");
    same!(cells[6], "cannot go on");
    same!(cells[8], 1);
    same!(cells[9], "one.1");
    Ok(())
}

async fn an_event_becomes_a_series(api: Api) -> Outcome {
    let path = events(&api);
    api.post(&path, &event(&api, "one.1")).await?.ok_with(201)?;
    let series = json!({"series": {"count": 2,
                                   "lastObservedTime": "2026-01-02T03:05:05.000006Z"}});
    let patched = api.merge(&format!("{path}/one.1"), &series).await?.ok()?;
    same!(patched["series"], series["series"]);
    same!(patched["apiVersion"], "events.k8s.io/v1");
    Ok(())
}

async fn an_event_of_the_old_form_is_seen_in_both(api: Api) -> Outcome {
    let wanted = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "old"},
        "involvedObject": {"kind": "Widget", "namespace": api.namespace, "name": "one"},
        "reason": "Made", "message": "made it", "type": "Normal", "count": 3,
        "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:05:05Z",
        "source": {"component": "suite"}});
    let created = api.post(&core(&api), &wanted).await?.ok_with(201)?;
    same!(created["eventTime"], Value::Null);
    same!(created["reportingComponent"], "");
    let seen = api.get(&format!("{}/old", events(&api))).await?.ok()?;
    same!(
        without_metadata(seen),
        json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "old"},
            "regarding": wanted["involvedObject"], "reason": "Made", "note": "made it",
            "type": "Normal", "deprecatedCount": 3, "eventTime": null,
            "deprecatedFirstTimestamp": "2026-01-02T03:04:05Z",
            "deprecatedLastTimestamp": "2026-01-02T03:05:05Z",
            "deprecatedSource": {"component": "suite"}})
    );
    Ok(())
}

async fn an_event_must_say_who_saw_what(api: Api) -> Outcome {
    for (field, wanted) in [
        ("eventTime", "eventTime: Required value"),
        ("reportingController", "reportingController: Required value"),
        ("reportingInstance", "reportingInstance: Required value"),
        ("action", "action: Required value"),
        ("reason", "reason: Required value"),
        ("type", "type: Invalid value: \"\": has invalid value: "),
    ] {
        let mut incomplete = event(&api, "one.1");
        if let Some(fields) = incomplete.as_object_mut() {
            fields.remove(field);
        }
        let message = api.post(&events(&api), &incomplete).await?;
        let message = message.refused(422, "Invalid")?;
        holds!(message.contains(wanted), "{field}: {message}");
    }
    Ok(())
}

async fn an_event_stands_beside_what_it_is_about(api: Api) -> Outcome {
    let old = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "old"},
        "involvedObject": {"kind": "Widget", "namespace": "elsewhere", "name": "one"},
        "reason": "Made", "message": "made it", "type": "Normal"});
    let message = api.post(&core(&api), &old).await?;
    same!(
        message.refused(422, "Invalid")?,
        "Event \"old\" is invalid: involvedObject.namespace: Invalid value: \"elsewhere\": does \
         not match event.namespace"
    );
    let mut homeless = event(&api, "one.1");
    homeless["regarding"]["namespace"] = json!("");
    let message = api.post(&events(&api), &homeless).await?;
    let message = message.refused(422, "Invalid")?;
    holds!(
        message.ends_with(
            "involvedObject.namespace: Invalid value: \"\": does not match event.namespace"
        ),
        "{message}"
    );
    Ok(())
}
