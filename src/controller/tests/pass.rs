//! One pass.

use std::{sync::Arc, time::Duration};

use http::Method;
use kube::runtime::controller::Action;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Authority, Harness, after, note,
    planner::{acts_once, is_restless, panics, repeats, tells_what_is_known, tries_again},
    reconcile,
    server::{Fault, UID},
    take_journal,
};
use crate::{
    api::Time,
    cloud::OPERATION_TIMEOUT,
    controller::{
        authority::{MARGIN, Moment},
        reconcile::error_policy,
    },
    plan::{self, FailureKind, TargetId},
};

const LEASE: Duration = Duration::from_secs(15);

const READS: [&str; 4] = ["GET /shop", "instances", "target_group", "target_health"];

fn with_reads(rest: &[&str]) -> Vec<String> {
    READS.iter().chain(rest).map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn it_observes_decides_reports_and_executes_in_this_order() {
    let harness = Harness::new(acts_once);
    let action = harness.pass().await.unwrap();
    let expected = with_reads(&["decide", "PUT /shop/status", "deregister arn:shop i-1:8080"]);
    assert_eq!(take_journal(), expected);
    assert_eq!(
        action,
        after(Duration::ZERO),
        "after an effect it looks again at once"
    );
    assert_eq!(harness.server.object()["status"]["intent"]["id"], "op-1");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_drops_the_decision_and_makes_no_effect() {
    let harness = Harness::new(acts_once);
    harness.server.fault(Method::PUT, Fault::WriteBefore);
    let action = harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
    assert_ne!(action, Action::await_change());

    harness.pass().await.unwrap();
    let expected = with_reads(&["decide", "PUT /shop/status", "deregister arn:shop i-1:8080"]);
    assert_eq!(take_journal(), expected, "all of it is read again");
}

#[tokio::test(start_paused = true)]
async fn a_status_write_whose_answer_was_lost_makes_no_effect() {
    let harness = Harness::new(acts_once);
    harness.server.fault(Method::PUT, Fault::LoseReply);
    harness.pass().await.unwrap_err();
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
    assert_eq!(
        harness.server.object()["status"]["fence"],
        1,
        "the write had landed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_write_that_is_not_answered_ends_the_pass() {
    let harness = Harness::new(acts_once);
    harness.server.fault(Method::PUT, Fault::Hang);
    let error = harness.pass().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "writing the status was not answered within 10 s; is the API server overloaded?"
    );
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_the_same_is_not_written() {
    let harness = Harness::new(acts_once);
    harness.pass().await.unwrap();
    take_journal();
    let action = harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide"]));
    assert_eq!(action, after(Duration::from_secs(300)));
}

#[tokio::test(start_paused = true)]
async fn before_an_effect_even_the_same_status_is_written_as_a_fence() {
    let harness = Harness::new(repeats);
    harness.server.fault(Method::PUT, Fault::WriteBefore);
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
}

#[tokio::test(start_paused = true)]
async fn its_own_status_write_wakes_it_without_any_read() {
    let harness = Harness::new(tells_what_is_known);
    harness.pass().await.unwrap();
    take_journal();
    tokio::time::advance(Duration::from_secs(100)).await;
    let action = harness.pass().await.unwrap();
    assert_eq!(take_journal(), Vec::<String>::new());
    assert_eq!(
        action,
        after(Duration::from_secs(200)),
        "the rest of the time"
    );

    tokio::time::advance(Duration::from_secs(200)).await;
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&[]), "it is due");
}

#[tokio::test(start_paused = true)]
async fn every_change_by_others_wakes_it() {
    let changes = [
        ("/metadata/generation", json!(2)),
        (
            "/metadata/annotations",
            json!({ "bluegreen.dev/request": "abort 1" }),
        ),
        ("/metadata/deletionTimestamp", json!("2027-01-15T08:00:00Z")),
        ("/metadata/finalizers", json!([])),
        ("/status/message", json!("tampered")),
    ];
    for (path, value) in changes {
        let harness = Harness::new(tells_what_is_known);
        harness.pass().await.unwrap();
        take_journal();
        harness.server.edit(|object| {
            let (parent, field) = path.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[field] = value;
        });
        harness.pass().await.unwrap();
        assert_eq!(take_journal()[..4], READS, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_does_not_wake_it() {
    let harness = Harness::new(tells_what_is_known);
    harness.pass().await.unwrap();
    take_journal();
    harness
        .server
        .edit(|object| object["metadata"]["labels"] = json!({ "a": "b" }));
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_failed_effect_is_remembered_counted_and_cleared() {
    let harness = Harness::new(tries_again);
    harness
        .cloud
        .fail_effect(FailureKind::Throttled, "too many calls");
    harness
        .cloud
        .fail_effect(FailureKind::Unavailable, "no answer");
    let mut messages = Vec::new();
    for _ in 0..4 {
        assert_eq!(harness.pass().await.unwrap(), after(Duration::ZERO));
        messages.push(
            harness.server.object()["status"]["message"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(
        messages,
        [
            "none",
            "op-1 failed 1 times: too many calls",
            "op-1 failed 2 times: no answer",
            "none"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_finalizer_is_put_on_before_the_first_effect_by_a_guarded_patch() {
    let harness = Harness::new(acts_once);
    harness
        .server
        .edit(|object| object["metadata"]["finalizers"] = json!(["another/one"]));
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide", "PATCH /shop"]));
    assert_eq!(
        harness.server.patches(),
        [json!([
            { "op": "test", "path": "/metadata/uid", "value": UID },
            { "op": "test", "path": "/metadata/resourceVersion", "value": "2" },
            { "op": "add", "path": "/metadata/finalizers", "value": ["another/one", "bluegreen.dev/release"] },
        ])]
    );
    harness.pass().await.unwrap();
    assert_eq!(
        take_journal().last().unwrap(),
        "deregister arn:shop i-1:8080"
    );
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_patch_that_met_another_write_starts_over() {
    let harness = Harness::new(acts_once);
    harness
        .server
        .edit(|object| object["metadata"]["finalizers"] = json!([]));
    harness.server.fault(Method::PATCH, Fault::WriteBefore);
    harness.pass().await.unwrap();
    assert!(harness.server.patches().is_empty());
    harness.pass().await.unwrap();
    assert_eq!(harness.server.patches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_the_api_server_does_not_want_is_a_failure_in_its_words() {
    let mut harness = Harness::new(acts_once);
    harness
        .server
        .edit(|object| object["metadata"]["finalizers"] = json!([]));
    harness.server.fault(Method::PATCH, Fault::Refuse(422));
    let error = harness.pass().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "patching the metadata failed: refused (422)"
    );
    error_policy(harness.cached(), &error, Arc::clone(&harness.ctx));
    let notice = harness.entries.next_now().expect("an Event");
    assert_eq!(notice.reason, "Refused");
    assert_eq!(
        notice.note,
        "Kubernetes does not let the release go on, which is tried again: patching the metadata \
         failed: refused (422)"
    );

    harness.pass().await.unwrap();
    assert_eq!(harness.server.patches().len(), 1, "it is let in now");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_be_over_in_a_moment_is_no_event() {
    for code in [409, 429, 500, 503] {
        let mut harness = Harness::new(acts_once);
        harness.server.fault(Method::GET, Fault::Refuse(code));
        let error = harness.pass().await.unwrap_err();
        error_policy(harness.cached(), &error, Arc::clone(&harness.ctx));
        assert!(harness.entries.next_now().is_none(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn taking_the_finalizer_off_ends_the_object_and_the_memory_of_it() {
    let harness = Harness::new(acts_once);
    harness.server.edit(|object| {
        object["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
        object["metadata"]["finalizers"] = json!(["another/one", "bluegreen.dev/release"]);
    });
    let action = harness.pass().await.unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(
        harness.server.patches()[0][2]["value"],
        json!(["another/one"])
    );
    assert_eq!(harness.ctx.memory.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_forgotten() {
    let harness = Harness::new(acts_once);
    let cached = harness.cached();
    harness.server.delete();
    let action = reconcile(cached, Arc::clone(&harness.ctx)).await.unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(take_journal(), ["GET /shop"]);
    assert_eq!(harness.ctx.memory.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_object_of_the_same_name_is_not_acted_on_in_its_place() {
    let harness = Harness::new(acts_once);
    let cached = harness.cached();
    harness
        .server
        .edit(|object| object["metadata"]["uid"] = json!("another"));
    reconcile(cached, Arc::clone(&harness.ctx)).await.unwrap();
    assert_eq!(take_journal(), ["GET /shop"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_unknown_and_the_planner_is_asked_all_the_same() {
    let harness = Harness::new(tells_what_is_known);
    harness
        .cloud
        .fail_reads(FailureKind::Denied, "no permission");
    harness.pass().await.unwrap();
    assert_eq!(
        harness.server.object()["status"]["message"],
        "fleet false, group false"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_or_changed_after_the_shutdown_was_asked_for() {
    let harness = Harness::new(acts_once);
    harness.ctx.stop.cancel();
    harness.pass().await.unwrap();
    assert!(take_journal().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_or_begun_without_the_lease() {
    let mut harness = Harness::new(acts_once);
    Arc::get_mut(&mut harness.ctx).unwrap().authority = Authority::elected();
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide"]));
}

#[tokio::test(start_paused = true)]
async fn no_effect_is_made_when_the_lease_is_lost_while_the_status_is_written() {
    let mut harness = Harness::new(acts_once);
    let authority = Authority::elected();
    authority.begun(Moment::now(), LEASE, Instant::now());
    Arc::get_mut(&mut harness.ctx).unwrap().authority = authority.clone();
    harness.server.on_put(move || authority.ended());
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
}

/// A lease of which so much is left.
fn left(authority: &Authority, left: Duration) {
    authority.begun(Moment::now(), left, Instant::now());
}

/// What an effect needs of the lease.
const NEEDED: Duration = OPERATION_TIMEOUT.saturating_add(MARGIN);

#[tokio::test(start_paused = true)]
async fn an_effect_is_made_where_the_lease_outlasts_an_operation_and_the_margin() {
    // The wall's clock runs on while the test does, so a little more would be a matter of chance.
    let (less, more) = (Duration::from_millis(1), Duration::from_secs(1));
    for (rest, made) in [(NEEDED - less, false), (NEEDED + more, true)] {
        let mut harness = Harness::new(acts_once);
        let authority = Authority::elected();
        left(&authority, rest);
        Arc::get_mut(&mut harness.ctx).unwrap().authority = authority;
        harness.pass().await.unwrap();
        let journal = take_journal();
        let effects = journal.iter().filter(|entry| entry.starts_with("dereg"));
        assert_eq!(effects.count(), usize::from(made), "{rest:?}: {journal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_effect_is_made_when_too_little_of_the_lease_is_left_after_the_status_is_written() {
    let mut harness = Harness::new(acts_once);
    let authority = Authority::elected();
    left(&authority, LEASE);
    Arc::get_mut(&mut harness.ctx).unwrap().authority = authority.clone();
    let less = NEEDED - Duration::from_millis(1);
    harness.server.on_put(move || left(&authority, less));
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
}

#[tokio::test(start_paused = true)]
async fn no_effect_is_made_when_the_shutdown_comes_while_the_status_is_written() {
    let harness = Harness::new(acts_once);
    let stop = harness.ctx.stop.clone();
    harness.server.on_put(move || stop.cancel());
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), with_reads(&["decide", "PUT /shop/status"]));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_be_understood_is_left_alone() {
    let harness = Harness::new(acts_once);
    harness
        .server
        .edit(|object| object["spec"] = json!({ "version": 7 }));
    harness.pass().await.unwrap();
    assert_eq!(take_journal(), ["GET /shop"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_version_has_written_is_left_as_it_is() {
    let target = json!({ "revision": 1, "id": "i-1", "port": 8080, "color": "Blue", "newer": 1 });
    for (part, value) in [
        (
            "/status",
            json!({ "phase": "Draining", "newer": { "a": 1 } }),
        ),
        ("/status", json!({ "phase": "Baking" })),
        ("/status", json!({ "targets": [target] })),
        ("/spec/rollout", json!({ "bake": "2m" })),
        ("/spec/onFailure", json!("Ask")),
    ] {
        let harness = Harness::new(acts_once);
        harness.server.edit(|object| {
            let (parent, field) = part.rsplit_once('/').unwrap();
            object.pointer_mut(parent).unwrap()[field] = value;
        });
        let before = harness.server.object();
        harness.pass().await.unwrap();
        assert_eq!(take_journal(), ["GET /shop"], "{part}");
        assert_eq!(harness.server.object(), before, "{part}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_planner_that_panics_fails_this_pass_only() {
    let harness = Harness::new(panics);
    let error = harness.pass().await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    note("still here");
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_api_server_wait_longer_each_time_and_a_good_pass_resets_that() {
    let harness = Harness::new(tells_what_is_known);
    let wait = |failures: u32| crate::controller::backoff::backoff(UID, failures);
    for failures in 1..=3 {
        harness.server.fault(Method::GET, Fault::Refuse(500));
        let error = harness.pass().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "reading the release failed: refused (500)"
        );
        let action = error_policy(harness.cached(), &error, Arc::clone(&harness.ctx));
        assert_eq!(action, after(wait(failures)));
    }
    harness.pass().await.unwrap();
    assert_eq!(harness.ctx.memory.failed(UID), wait(1));
}

#[tokio::test(start_paused = true)]
async fn commands_and_probes_are_read_as_the_planner_needs_them() {
    let mut harness = Harness::new(tells_what_is_known);
    let ctx = Arc::get_mut(&mut harness.ctx).unwrap();
    ctx.planner.needs = |_, _, _| plan::Needs {
        commands: vec![
            ("op-start".to_owned(), Time::from_millis(1_800_000_000_000)),
            (
                "op-unknown".to_owned(),
                Time::from_millis(1_800_000_000_000),
            ),
        ],
        probes: vec![TargetId {
            id: "i-1".to_owned(),
            port: 8080,
        }],
        agents: true,
        documents: vec!["BlueGreen-StopUnit".to_owned()],
        ..plan::Needs::default()
    };
    harness.server.edit(|object| {
        object["spec"]["drain"] = json!({ "inFlight": { "http": {
            "port": "1{{port}}",
            "inFlight": { "path": "/drain", "pointer": "/a" },
            "served": { "path": "/drain", "pointer": "/b" },
        } } });
    });
    harness.pass().await.unwrap();
    let journal = take_journal();
    for entry in [
        "command op-start since 2027-01-15T08:00:00.000Z",
        "command op-unknown since 2027-01-15T08:00:00.000Z",
        "probe 127.0.0.1:8080 on 18080",
        "agents i-1",
        "document BlueGreen-StopUnit",
    ] {
        assert!(
            journal.iter().any(|e| e == entry),
            "{entry} is not in {journal:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_planner_that_does_nothing_is_not_asked_without_a_pause() {
    let harness = Harness::new(is_restless);
    let action = harness.pass().await.unwrap();
    assert_eq!(action, after(Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn a_planner_that_never_rests_is_slowed_down() {
    let harness = Harness::new(tries_again);
    for _ in 0..20 {
        assert_eq!(harness.pass().await.unwrap(), after(Duration::ZERO));
    }
    assert_eq!(harness.pass().await.unwrap(), after(Duration::from_secs(1)));
}
