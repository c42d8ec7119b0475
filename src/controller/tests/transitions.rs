//! What a change of status is worth: Events and metrics.

use std::{sync::Arc, time::Duration};

use kube::{Client, runtime::events::Recorder};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};

use super::{server::Server, take_journal};
use crate::{
    api::{BlueGreenRelease, BlueGreenReleaseStatus},
    cloud,
    controller::{
        Metrics, Severity,
        metrics::Counted,
        notices,
        publisher::{notebook, publish},
    },
    plan::FailureKind,
};

pub(super) fn status(value: Value) -> BlueGreenReleaseStatus {
    serde_json::from_value(value).unwrap()
}

fn counted(status: &BlueGreenReleaseStatus) -> Counted {
    Counted::of(Some(status))
}

const AT: &str = "2027-01-15T08:00:00Z";
const LATER: &str = "2027-01-15T08:05:45Z";

fn target(id: &str, steps: &Value) -> Value {
    json!({ "revision": 1, "id": id, "port": 8080, "color": "Blue", "steps": steps })
}

fn drained() -> Value {
    json!({ "at": LATER, "proof": "FullDelay", "since": AT, "delay": "300s", "settle": "45s" })
}

#[test]
fn the_same_status_is_worth_nothing() {
    let same = status(
        json!({ "phase": "Draining", "targets": [target("i-1", &json!({ "drained": drained() }))] }),
    );
    assert_eq!(notices(&same, &same), []);
}

#[test]
fn a_phase_is_told_once_and_told_apart_by_its_revision() {
    let old = status(json!({ "phase": "Registering", "revision": 6 }));
    let new = status(
        json!({ "phase": "Draining", "revision": 7, "green": { "revision": 7, "version": "1.8.0", "startedAt": AT } }),
    );
    let [notice] = notices(&old, &new).try_into().unwrap();
    assert_eq!(
        (notice.reason, notice.action.as_str()),
        ("Draining", "Revision7")
    );
    assert_eq!(notice.note, "revision 7, version 1.8.0");
    assert_eq!(notice.severity, Severity::Normal);
}

#[test]
fn the_answer_to_a_request_is_told_once_and_told_apart_by_the_request() {
    let answered = |text: &str, outcome: &str| {
        status(
            json!({ "revision": 7, "lastRequest": { "text": text, "at": AT, "outcome": outcome, "message": "why" } }),
        )
    };
    let none = status(json!({ "revision": 7 }));
    let accepted = answered("abort 7", "Accepted");
    let refused = answered("promote 6", "Refused");
    let [notice] = notices(&none, &accepted).try_into().unwrap();
    let told = (notice.severity, notice.reason, notice.action.as_str());
    assert_eq!(told, (Severity::Normal, "RequestAccepted", "abort 7"));
    assert_eq!(notice.note, "`abort 7`: why");
    assert_eq!(notices(&accepted, &accepted), []);
    let [notice] = notices(&accepted, &refused).try_into().unwrap();
    let told = (notice.severity, notice.reason, notice.action.as_str());
    assert_eq!(told, (Severity::Warning, "RequestRefused", "promote 6"));
}

#[test]
fn a_release_that_waits_for_a_promotion_tells_what_may_be_done() {
    let green = json!({ "revision": 7, "version": "1.8.0", "startedAt": AT });
    let old = status(json!({ "phase": "Registering", "revision": 7, "green": green }));
    let new = status(
        json!({ "phase": "AwaitingPromotion", "revision": 7, "green": green, "message": "ask for `promote 7`" }),
    );
    let [notice] = notices(&old, &new).try_into().unwrap();
    assert_eq!(notice.reason, "AwaitingPromotion");
    assert_eq!(notice.note, "ask for `promote 7`");
}

#[test]
fn a_stall_is_a_warning_with_its_reason_and_told_once() {
    let condition = |message: &str| json!({ "phase": "Stalled", "revision": 7, "conditions": [{ "type": "Stalled", "status": "True", "reason": "DrainNotProven", "message": message, "lastTransitionTime": AT }] });
    let old = status(json!({ "phase": "Draining", "revision": 7 }));
    let new = status(condition("i-1:8080 is not proven to be drained"));
    let [notice] = notices(&old, &new).try_into().unwrap();
    assert_eq!(
        (notice.severity, notice.reason),
        (Severity::Warning, "Stalled")
    );
    assert_eq!(notice.action, "DrainNotProven-Revision7");
    assert_eq!(
        notice.note,
        "DrainNotProven: i-1:8080 is not proven to be drained"
    );
    assert_eq!(notices(&new, &status(condition("in other words"))), []);
}

#[test]
fn a_rollback_is_not_told_twice() {
    let old = status(json!({ "phase": "RollingBack", "revision": 7 }));
    let new = status(
        json!({ "phase": "RolledBack", "revision": 7, "conditions": [{ "type": "Stalled", "status": "True", "reason": "RolledBack", "message": "version 1.8.0 was rolled back", "lastTransitionTime": AT }] }),
    );
    let [notice] = notices(&old, &new).try_into().unwrap();
    assert_eq!(
        (notice.severity, notice.reason),
        (Severity::Warning, "RolledBack")
    );
}

#[test]
fn targets_of_one_step_share_an_event_and_are_told_apart_by_the_first() {
    let ids: Vec<String> = (0..12).map(|n| format!("i-{n:02}")).collect();
    let of = |steps: Value| {
        status(
            json!({ "revision": 7, "targets": ids.iter().map(|id| target(id, &steps)).collect::<Vec<_>>() }),
        )
    };
    let [notice] = notices(&of(json!({})), &of(json!({ "drained": drained() })))
        .try_into()
        .unwrap();
    assert_eq!(
        (notice.reason, notice.action.as_str()),
        ("TargetsDrained", "Revision7-i-00:8080")
    );
    assert!(
        notice.note.ends_with("i-09:8080 and 2 more"),
        "{}",
        notice.note
    );
}

#[test]
fn a_kill_and_an_unproven_drain_are_warnings() {
    let old = status(json!({ "targets": [target("i-1", &json!({}))] }));
    let new = status(json!({ "targets": [target("i-1", &json!({
        "unproven": { "at": LATER, "because": "still draining" },
        "terminated": { "at": LATER, "how": "Killed", "took": "30s" },
    }))] }));
    let told: Vec<_> = notices(&old, &new)
        .into_iter()
        .map(|n| (n.severity, n.reason))
        .collect();
    assert_eq!(
        told,
        [
            (Severity::Warning, "DrainUnproven"),
            (Severity::Warning, "TargetsKilled")
        ]
    );
}

#[test]
fn targets_that_were_live_before_the_first_release_are_not_news() {
    let old = status(json!({}));
    let new = status(
        json!({ "targets": [target("i-1", &json!({ "healthy": { "at": AT, "consecutive": 0 } }))] }),
    );
    assert_eq!(notices(&old, &new), []);
}

#[test]
fn the_end_of_a_release_is_told_with_its_reason() {
    let old = status(json!({ "history": [] }));
    let new = status(
        json!({ "history": [{ "revision": 7, "version": "1.8.0", "outcome": "RolledBack", "startedAt": AT, "endedAt": LATER, "reason": "i-1:8080 was not healthy" }] }),
    );
    let [notice] = notices(&old, &new).try_into().unwrap();
    assert_eq!(
        (notice.severity, notice.reason),
        (Severity::Warning, "ReleaseFailed")
    );
    assert_eq!(
        notice.note,
        "revision 7, version 1.8.0: i-1:8080 was not healthy"
    );
}

#[test]
fn a_note_fits_into_a_kubernetes_event() {
    let long = "ü".repeat(2000);
    let condition = json!({ "conditions": [{ "type": "Stalled", "status": "True", "reason": "StopFailed", "message": long, "lastTransitionTime": AT }] });
    let [notice] = notices(&status(json!({})), &status(condition))
        .try_into()
        .unwrap();
    assert!(notice.note.len() <= 1024 && notice.note.len() > 1000);
}

pub(super) fn rendered(metrics: &Metrics) -> String {
    let mut registry = Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn a_drain_and_a_stop_are_measured_once() {
    let metrics = Metrics::default();
    let old = status(json!({ "targets": [target("i-1", &json!({}))] }));
    let new = status(json!({ "targets": [target("i-1", &json!({
        "drained": drained(),
        "terminated": { "at": LATER, "how": "Graceful", "took": "3s200ms" },
    }))] }));
    metrics.proven(&old, &new);
    metrics.proven(&new, &new);
    let text = rendered(&metrics);
    for line in [
        "bluegreen_drain_duration_seconds_sum 345.0",
        "bluegreen_drain_duration_seconds_count 1",
        "bluegreen_stop_duration_seconds_sum{how=\"Graceful\"} 3.2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_census_counts_what_is_there_now() {
    let metrics = Metrics::default();
    let draining = json!({ "revision": 1, "id": "i-1", "port": 8080, "color": "Blue", "drain": [{ "group": "shop", "delay": "300s", "settle": "45s" }] });
    let one = status(json!({ "phase": "Draining", "targets": [draining] }));
    let seen = [Some(&one), None, Some(&one)].into_iter();
    metrics.census(seen.map(|seen| seen.map(counted)));
    assert!(rendered(&metrics).contains("bluegreen_releases{phase=\"Draining\"} 2"));
    assert!(rendered(&metrics).contains("bluegreen_drains_in_progress 2"));
    assert!(rendered(&metrics).contains("bluegreen_releases_not_understood 1"));
    let released = counted(&status(json!({ "phase": "Released" })));
    metrics.census([Some(released)].into_iter());
    let text = rendered(&metrics);
    assert!(!text.contains("phase=\"Draining\""), "{text}");
    assert!(text.contains("bluegreen_drains_in_progress 0"), "{text}");
    assert!(
        text.contains("bluegreen_releases_not_understood 0"),
        "{text}"
    );
}

#[test]
fn a_throttled_request_is_counted_as_such() {
    let metrics = Metrics::default();
    let error = cloud::Error::new(FailureKind::Throttled, "too many");
    metrics.aws_started("DescribeTargetHealth");
    metrics.aws_finished(
        "DescribeTargetHealth",
        error.category(),
        Duration::from_millis(30),
    );
    metrics.aws_held_back("DescribeTargetHealth");
    let text = rendered(&metrics);
    for line in [
        "bluegreen_aws_calls_total{operation=\"DescribeTargetHealth\",result=\"throttled\"} 1",
        "bluegreen_aws_throttles_total{operation=\"DescribeTargetHealth\"} 1",
        "bluegreen_aws_held_back_total{operation=\"DescribeTargetHealth\"} 1",
        "bluegreen_aws_requests{operation=\"DescribeTargetHealth\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_true_repetition_is_taken_for_one() {
    take_journal();
    let server = Server::with_release();
    let metrics = Arc::new(Metrics::default());
    let (notebook, entries) = notebook(Arc::clone(&metrics));
    let leave = |phase: &str, revision: u64| {
        let old = status(json!({}));
        let new = status(json!({ "phase": phase, "revision": revision }));
        let object: BlueGreenRelease = serde_json::from_value(server.object()).unwrap();
        notebook.note(&object, notices(&old, &new));
        server
            .edit(|object| object["metadata"]["labels"] = json!({ "write": revision.to_string() }));
    };
    leave("Draining", 1);
    leave("Draining", 1);
    leave("Stopping", 1);
    leave("Draining", 2);
    drop(notebook);
    let recorder = Recorder::new(Client::new(server.service(), "games"), "test".into());
    publish(recorder, entries, metrics).await;
    let journal = take_journal();
    let events: Vec<_> = journal.iter().filter(|e| e.starts_with("Event")).collect();
    assert_eq!(
        events,
        [
            "Event Draining Revision1",
            "Event Stopping Revision1",
            "Event Draining Revision2"
        ]
    );
}
