//! The ControllerRevisions of a release: when they are read, and how they are written.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::{
    Harness, after, note,
    planner::REST,
    server::{Fault, UID},
    take_journal,
};
use crate::{
    api::{BlueGreenReleaseStatus, RELEASE_UID_LABEL, RevisionSnapshot, Time},
    controller::{memory::Memory, reconcile::error_policy},
    plan::{self, Decision, Observation, Release, Step},
};

const FIRST: &str = "shop-6f0c1c2e-1";
const CLAIM: [&str; 2] = ["decide", "PATCH /shop"];

/// Keeps the revision of the generation and the one before it, and tells which it knows.
fn keeps(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    _: &Observation,
    now: Time,
) -> Decision {
    note("decide");
    let number = u64::try_from(release.generation).unwrap();
    let fresh = RevisionSnapshot {
        version: Some(release.spec.version.clone()),
        spec: release.spec.clone(),
    };
    let known = &release.revisions;
    let kept = |number: u64| known.get(&number).unwrap_or(&fresh).clone();
    let goal = (number.max(2) - 1..=number).map(|number| (number, kept(number)));
    let mut decision = Decision {
        status: status.clone(),
        step: None,
        look_at: now + REST,
    };
    if known.contains_key(&number) {
        let versions = known.iter().map(|(number, kept)| {
            let version = kept.version.as_deref().unwrap_or("unknown");
            format!("{number}: {version}")
        });
        decision.status.message = versions.collect::<Vec<_>>().join(", ");
    } else {
        let revisions = goal.collect();
        decision.step = Some(Step::Claim { revisions });
    }
    decision
}

fn harness() -> Harness {
    let mut harness = Harness::new(keeps);
    let ctx = Arc::get_mut(&mut harness.ctx).unwrap();
    ctx.planner.needs = |_, _, _| plan::Needs {
        revisions: true,
        ..plan::Needs::default()
    };
    harness
}

/// The process is another one.
fn restarted(harness: &mut Harness) {
    let ctx = Arc::get_mut(&mut harness.ctx).unwrap();
    ctx.memory = Memory::default();
}

/// The requests for revisions since the last time, and what is around them.
fn asked() -> Vec<String> {
    let of = |entry: &String| entry.contains("revisions") || CLAIM.contains(&entry.as_str());
    take_journal().into_iter().filter(of).collect()
}

fn with_claim(rest: &[&str]) -> Vec<String> {
    CLAIM.iter().chain(rest).map(ToString::to_string).collect()
}

fn message(harness: &Harness) -> Value {
    harness.server.object()["status"]["message"].clone()
}

/// A new generation, with another version.
fn change(harness: &Harness, version: &str) {
    harness.server.edit(|object| {
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        object["metadata"]["generation"] = json!(generation + 1);
        object["spec"]["version"] = json!(version);
    });
}

/// A ControllerRevision of this release.
fn revision(name: &str, number: i64, data: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": name, "namespace": "games", "uid": name,
            "labels": { RELEASE_UID_LABEL: UID },
            "ownerReferences": [{
                "apiVersion": "bluegreen.dev/v1alpha1", "kind": "BlueGreenRelease", "name": "shop",
                "uid": UID, "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "revision": number,
        "data": data,
    })
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_comes_first_and_then_the_revision_as_the_release_owns_it() {
    let harness = harness();
    harness
        .server
        .edit(|object| object["metadata"]["finalizers"] = json!([]));
    assert_eq!(harness.pass().await.unwrap(), after(Duration::ZERO));
    assert_eq!(asked(), with_claim(&["POST revisions"]), "none was read");
    let [kept] = harness.server.revisions().try_into().unwrap();
    let spec = harness.server.object()["spec"].clone();
    let mut wanted = revision(FIRST, 1, &json!(null));
    wanted["metadata"].as_object_mut().unwrap().remove("uid");
    wanted["data"] = kept["data"].clone();
    assert_eq!(kept, wanted);
    assert_eq!(kept["data"]["version"], "1.8.0");
    assert_eq!(kept["data"]["spec"]["fleet"], spec["fleet"]);

    harness.pass().await.unwrap();
    assert_eq!(asked(), ["decide"], "what was written is not read");
    assert_eq!(message(&harness), "1: 1.8.0");
}

#[tokio::test(start_paused = true)]
async fn after_a_start_they_are_read_once() {
    let mut harness = harness();
    harness.pass().await.unwrap();
    harness.pass().await.unwrap();
    restarted(&mut harness);
    asked();
    harness.pass().await.unwrap();
    assert_eq!(asked(), ["GET revisions", "decide"]);
    assert_eq!(message(&harness), "1: 1.8.0");
    tokio::time::advance(REST.into()).await;
    harness.pass().await.unwrap();
    assert_eq!(asked(), ["decide"]);
}

#[tokio::test(start_paused = true)]
async fn they_are_not_read_where_no_decision_rests_on_them_or_none_was_made() {
    let (held, free) = (json!(["bluegreen.dev/release"]), json!([]));
    let deleted = json!("2027-01-15T08:00:00Z");
    for (needed, finalizers, progress, deletion, read) in [
        (true, &held, false, &Value::Null, true),
        (true, &free, true, &Value::Null, true),
        (true, &held, true, &deleted, true),
        (true, &held, false, &deleted, false),
        (true, &free, false, &Value::Null, false),
        (false, &held, false, &Value::Null, false),
    ] {
        let mut harness = harness();
        let ctx = Arc::get_mut(&mut harness.ctx).unwrap();
        if !needed {
            ctx.planner.needs = |_, _, _| plan::Needs::default();
        }
        let at = "2027-01-15T08:00:00Z";
        let course = json!({
            "direction": "Forward", "since": at, "generation": 1, "progressAt": at,
        });
        harness.server.edit(|object| {
            object["metadata"]["finalizers"] = finalizers.clone();
            object["metadata"]["deletionTimestamp"] = deletion.clone();
            object["status"] = if progress {
                json!({ "course": course })
            } else {
                json!({})
            };
        });
        harness.pass().await.unwrap();
        let asked = asked();
        let case = format!("{needed} {finalizers} {progress} {deletion}: {asked:?}");
        assert_eq!(
            asked.iter().any(|one| one == "GET revisions"),
            read,
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_the_goal_is_deleted_after_the_rest_was_created() {
    let harness = harness();
    for version in ["1.8.1", "1.8.2"] {
        harness.pass().await.unwrap();
        change(&harness, version);
    }
    asked();
    harness.pass().await.unwrap();
    let expected = with_claim(&["POST revisions", &format!("DELETE revisions/{FIRST}")]);
    assert_eq!(asked(), expected);
    harness.pass().await.unwrap();
    assert_eq!(message(&harness), "2: 1.8.1, 3: 1.8.2");
    assert_eq!(harness.server.revisions().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_gone_is_deleted() {
    let harness = harness();
    for version in ["1.8.1", "1.8.2"] {
        harness.pass().await.unwrap();
        change(&harness, version);
    }
    harness.server.fault(Method::DELETE, Fault::Refuse(404));
    harness.pass().await.unwrap();
    harness.pass().await.unwrap();
    assert_eq!(message(&harness), "2: 1.8.1, 3: 1.8.2");
}

/// As after a create whose answer was lost.
#[tokio::test(start_paused = true)]
async fn one_that_exists_and_is_ours_counts_as_it_is() {
    let mut harness = harness();
    harness.server.fault(Method::POST, Fault::LoseReply);
    harness.pass().await.unwrap_err();
    harness
        .server
        .edit(|object| object["spec"]["version"] = json!("1.8.1"));
    harness
        .server
        .edit(|object| object["metadata"]["finalizers"] = json!([]));
    restarted(&mut harness);
    asked();
    harness.pass().await.unwrap();
    let expected = with_claim(&["POST revisions", &format!("GET revisions/{FIRST}")]);
    assert_eq!(asked(), expected);
    harness.pass().await.unwrap();
    assert_eq!(message(&harness), "1: 1.8.0");
}

#[tokio::test(start_paused = true)]
async fn after_a_create_whose_answer_was_lost_they_are_read_again() {
    let harness = harness();
    harness.server.fault(Method::POST, Fault::LoseReply);
    harness.pass().await.unwrap_err();
    asked();
    harness.pass().await.unwrap();
    assert_eq!(asked(), ["GET revisions", "decide"]);
    assert_eq!(message(&harness), "1: 1.8.0");
}

#[tokio::test(start_paused = true)]
async fn one_that_exists_and_is_not_ours_is_a_failure_that_names_its_owner() {
    for (owners, words) in [
        (
            json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "w", "controller": true }]),
            "StatefulSet web (uid w)",
        ),
        (json!([]), "no controller"),
    ] {
        let mut harness = harness();
        let mut foreign = revision(FIRST, 1, &json!({}));
        foreign["metadata"]["ownerReferences"] = owners;
        harness.server.add_revision(foreign.clone());
        let error = harness.pass().await.unwrap_err();
        let text = format!(
            "the ControllerRevision {FIRST} belongs to {words} and not to this release; delete it, or give the release another name"
        );
        assert_eq!(error.to_string(), text);
        error_policy(harness.cached(), &error, Arc::clone(&harness.ctx));
        let notice = harness.entries.next_now().expect("an Event");
        assert_eq!(notice.reason, "Refused");
        assert!(notice.note.ends_with(&text), "{}", notice.note);
        assert_eq!(harness.server.revisions(), [foreign]);
    }
}

/// Who may create objects with our label may not choose commands by it alone.
#[tokio::test(start_paused = true)]
async fn one_with_our_label_that_the_release_does_not_own_is_left_out() {
    let harness = harness();
    let mut foreign = revision("another", 1, &json!({}));
    foreign["metadata"]["ownerReferences"] = json!([]);
    harness.server.add_revision(foreign);
    harness.pass().await.unwrap();
    harness.pass().await.unwrap();
    assert_eq!(message(&harness), "1: 1.8.0");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_is_left_out_and_named() {
    let data = [
        json!(null),
        json!({ "version": "1.7.3", "spec": { "version": "1.7.3", "newer": 1 } }),
        json!({ "spec": 7 }),
    ];
    for data in data {
        let mut harness = harness();
        harness.server.add_revision(revision(FIRST, 1, &data));
        harness.pass().await.unwrap();
        let expected = [
            "GET revisions".to_owned(),
            "decide".to_owned(),
            "PATCH /shop".to_owned(),
            "POST revisions".to_owned(),
            format!("GET revisions/{FIRST}"),
        ];
        assert_eq!(asked(), expected);
        let notice = harness.entries.next_now().expect("an Event");
        assert_eq!(
            (notice.reason, notice.action.as_str()),
            ("RevisionNotUnderstood", FIRST)
        );
        assert!(
            notice.note.contains("commands of the spec"),
            "{}",
            notice.note
        );
        harness.pass().await.unwrap();
        assert_eq!(asked(), ["decide"], "it is not asked for again");
        assert_eq!(message(&harness), "1: 1.8.0", "{data}");
        assert_eq!(harness.server.revisions().len(), 1, "it is left as it is");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_revisions_that_is_not_answered_ends_the_pass() {
    for (method, verb) in [
        (Method::POST, "creating a revision"),
        (Method::DELETE, "deleting a revision"),
    ] {
        let harness = harness();
        if method == Method::DELETE {
            for version in ["1.8.1", "1.8.2"] {
                harness.pass().await.unwrap();
                change(&harness, version);
            }
        }
        harness.server.fault(method, Fault::Hang);
        let error = harness.pass().await.unwrap_err();
        let text = format!("{verb} was not answered within 10 s; is the API server overloaded?");
        assert_eq!(error.to_string(), text);
    }
}
