//! Leases, which leaders are elected with.

use serde_json::{Value, json};

use crate::{
    Api, Outcome,
    answer::{text, version},
    check::{holds, same},
};

super::list! { "leases":
    a_lease_is_created_once,
    a_lease_is_taken_by_one_of_two,
    a_lease_is_renewed_and_released,
    an_update_creates_a_lease_that_is_not_there,
    an_update_creates_no_lease_of_another_name,
    an_update_of_a_lease_that_was_deleted_creates_none,
    the_times_of_a_lease_have_microseconds,
    a_lease_must_be_valid,
}

fn lease(name: &str, spec: Value) -> Value {
    let mut lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                           "metadata": {"name": name}});
    lease["spec"] = spec;
    lease
}

async fn a_lease_is_created_once(api: Api) -> Outcome {
    let wanted = lease(
        "leader",
        json!({"holderIdentity": "one", "leaseDurationSeconds": 15, "leaseTransitions": 0,
               "acquireTime": "2026-01-02T03:04:05.000006Z",
               "renewTime": "2026-01-02T03:04:05.000006Z"}),
    );
    let created = api.post(&api.leases(), &wanted).await?.ok_with(201)?;
    same!(created["spec"], wanted["spec"]);
    // The server counts no generations of what it was built with.
    same!(created["metadata"].get("generation"), None);
    let message = api.post(&api.leases(), &wanted).await?;
    same!(
        message.refused(409, "AlreadyExists")?,
        "leases.coordination.k8s.io \"leader\" already exists"
    );
    let path = format!("{}/leader", api.leases());
    same!(api.get(&path).await?.ok()?, created);
    let bare = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                      "metadata": {"name": "bare"}});
    let created = api.post(&api.leases(), &bare).await?.ok_with(201)?;
    same!(created["spec"], json!({}));
    Ok(())
}

async fn a_lease_is_taken_by_one_of_two(api: Api) -> Outcome {
    let free = lease("leader", json!({"holderIdentity": ""}));
    let seen = api.post(&api.leases(), &free).await?.ok_with(201)?;
    let path = format!("{}/leader", api.leases());
    let mut first = seen.clone();
    first["spec"]["holderIdentity"] = json!("one");
    let mut second = seen.clone();
    second["spec"]["holderIdentity"] = json!("two");
    let taken = api.put(&path, &first).await?.ok()?;
    holds!(version(&taken) != version(&seen), "{taken}");
    let message = api.put(&path, &second).await?.refused(409, "Conflict")?;
    same!(
        message,
        "Operation cannot be fulfilled on leases.coordination.k8s.io \"leader\": the object has \
         been modified; please apply your changes to the latest version and try again"
    );
    let held = api.get(&path).await?.ok()?;
    same!(held["spec"]["holderIdentity"], "one");
    // Nobody takes it blindly.
    let blind = lease("leader", json!({"holderIdentity": "two"}));
    let message = api.put(&path, &blind).await?.refused(422, "Invalid")?;
    holds!(
        message.ends_with(": must be specified for an update"),
        "{message}"
    );
    Ok(())
}

async fn a_lease_is_renewed_and_released(api: Api) -> Outcome {
    let wanted = lease(
        "leader",
        json!({"holderIdentity": "one", "leaseDurationSeconds": 15}),
    );
    let seen = api.post(&api.leases(), &wanted).await?.ok_with(201)?;
    let path = format!("{}/leader", api.leases());
    let renewal = json!({"metadata": {"resourceVersion": version(&seen)},
                         "spec": {"renewTime": "2026-01-02T03:04:06.000000Z"}});
    let renewed = api.merge(&path, &renewal).await?.ok()?;
    same!(
        text(&renewed, "/spec/renewTime"),
        "2026-01-02T03:04:06.000000Z"
    );
    api.merge(&path, &renewal).await?.refused(409, "Conflict")?;
    let release = json!({"spec": {"holderIdentity": null, "renewTime": null}});
    let released = api.merge(&path, &release).await?.ok()?;
    same!(released["spec"], json!({"leaseDurationSeconds": 15}));
    Ok(())
}

async fn an_update_creates_a_lease_that_is_not_there(api: Api) -> Outcome {
    let path = format!("{}/leader", api.leases());
    let wanted = lease("leader", json!({"holderIdentity": "one"}));
    api.put(&path, &wanted).await?.ok_with(201)?;
    // A version of what is gone stops nobody, so whoever deletes a lease gives it away.
    let path = format!("{}/other", api.leases());
    let mut wanted = lease("other", json!({"holderIdentity": "one"}));
    wanted["metadata"]["resourceVersion"] = json!("5");
    api.put(&path, &wanted).await?.ok_with(201)?;
    Ok(())
}

async fn an_update_creates_no_lease_of_another_name(api: Api) -> Outcome {
    let path = format!("{}/one", api.leases());
    let mut other = lease("two", json!({"holderIdentity": "one"}));
    // The name is asked before anything that the server would have to look up.
    for uid in [Value::Null, json!("4b2ad7c5-3a0e-4c1f-8d2f-6f1c1e1f0a11")] {
        other["metadata"]["uid"] = uid;
        let message = api.put(&path, &other).await?.refused(400, "BadRequest")?;
        same!(
            message,
            "the name of the object (two) does not match the name on the URL (one)"
        );
    }
    for name in ["one", "two"] {
        let path = format!("{}/{name}", api.leases());
        api.get(&path).await?.refused(404, "NotFound")?;
    }
    Ok(())
}

async fn an_update_of_a_lease_that_was_deleted_creates_none(api: Api) -> Outcome {
    let held = lease("leader", json!({"holderIdentity": "one"}));
    let held = api.post(&api.leases(), &held).await?.ok_with(201)?;
    let path = format!("{}/leader", api.leases());
    api.delete(&path).await?.ok()?;
    let message = api.put(&path, &held).await?.refused(409, "Conflict")?;
    same!(
        message,
        format!(
            "Operation cannot be fulfilled on leases.coordination.k8s.io \"leader\": StorageError: \
             invalid object, Code: 4, Key: /registry/leases/{}/leader, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {}, UID in object \
             meta: ",
            api.namespace,
            text(&held, "/metadata/uid")
        )
    );
    api.get(&path).await?.refused(404, "NotFound")?;
    Ok(())
}

async fn the_times_of_a_lease_have_microseconds(api: Api) -> Outcome {
    for time in ["soon", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.006Z"] {
        let wanted = lease("leader", json!({"renewTime": time}));
        let message = api.post(&api.leases(), &wanted).await?;
        let message = message.refused(400, "BadRequest")?;
        let start = "Lease in version \"v1\" cannot be handled as a Lease: ";
        holds!(message.starts_with(start), "{message}");
    }
    Ok(())
}

async fn a_lease_must_be_valid(api: Api) -> Outcome {
    let wanted = lease(
        "leader",
        json!({"leaseDurationSeconds": 0, "leaseTransitions": -1}),
    );
    let answer = api.post(&api.leases(), &wanted).await?;
    let causes = &answer.body["details"]["causes"];
    same!(causes[0]["field"], "spec.leaseDurationSeconds");
    same!(causes[1]["field"], "spec.leaseTransitions");
    let message = answer.refused(422, "Invalid")?;
    let start = "Lease.coordination.k8s.io \"leader\" is invalid: [spec.leaseDurationSeconds: \
                 Invalid value: 0: must be greater than 0, spec.leaseTransitions: Invalid \
                 value: -1: must";
    holds!(message.starts_with(start), "{message}");
    let wanted = lease("leader", json!({"leaseDurationSeconds": "long"}));
    let message = api.post(&api.leases(), &wanted).await?;
    message.refused(400, "BadRequest")?;
    Ok(())
}
