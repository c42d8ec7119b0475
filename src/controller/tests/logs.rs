//! What the log says of a pass, in JSON, as machines read it.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};

use super::{
    Harness,
    planner::{acts_once, repeats},
    server::Fault,
};
use crate::{controller::reconcile::error_policy, telemetry::tests::written::Written};

/// The log of this thread, as long as it lives.
struct Log {
    written: Written,
    _guard: DefaultGuard,
}

impl Log {
    fn begin(level: LevelFilter) -> Self {
        let written = Written::new();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            written,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The lines since the last time.
    fn lines(&self) -> Vec<Value> {
        self.written.lines()
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_changes_something_is_one_line_and_any_other_none() {
    let log = Log::begin(LevelFilter::INFO);
    let harness = Harness::new(acts_once);
    harness.pass().await.unwrap();
    let lines = log.lines();
    let [line] = &lines[..] else {
        panic!("one line: {lines:#?}");
    };
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["span"]["name"], "pass");
    assert_eq!(line["span"]["release"], "games/shop");
    assert_eq!(line["fields"]["step"], "Deregister");
    assert_eq!(line["fields"]["targets"], "i-1:8080");
    harness.pass().await.unwrap();
    assert_eq!(log.lines(), [] as [Value; 0], "nothing is to be done");
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_was_not_written_is_no_line() {
    let log = Log::begin(LevelFilter::INFO);
    let harness = Harness::new(acts_once);
    harness.server.fault(Method::PUT, Fault::WriteBefore);
    harness.pass().await.unwrap();
    assert_eq!(log.lines(), [] as [Value; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_effect_for_a_status_that_is_the_same_is_a_line_too() {
    let log = Log::begin(LevelFilter::INFO);
    let harness = Harness::new(repeats);
    harness.pass().await.unwrap();
    log.lines();
    harness.pass().await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0]["fields"]["step"].is_string(), "{lines:#?}");
}

/// What is changed of the object's metadata is told too, where its status stays as it is.
#[tokio::test(start_paused = true)]
async fn a_finalizer_that_is_put_on_or_taken_off_is_a_line() {
    for (field, value, step) in [
        ("finalizers", json!([]), "Claim"),
        (
            "deletionTimestamp",
            json!("2027-01-15T08:00:00Z"),
            "RemoveFinalizer",
        ),
    ] {
        let log = Log::begin(LevelFilter::INFO);
        let harness = Harness::new(acts_once);
        harness
            .server
            .edit(|object| object["metadata"][field] = value);
        harness.pass().await.unwrap();
        let lines = log.lines();
        assert_eq!(harness.server.statuses(), [] as [Value; 0], "{step}");
        assert_eq!(harness.server.patches().len(), 1, "{step}");
        assert_eq!(lines.len(), 1, "{step}: {lines:#?}");
        assert_eq!(lines[0]["fields"]["step"], step);
        assert_eq!(lines[0]["span"]["release"], "games/shop");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_failed_names_its_release() {
    let harness = Harness::new(acts_once);
    harness.server.fault(Method::PUT, Fault::LoseReply);
    let error = harness.pass().await.unwrap_err();
    let log = Log::begin(LevelFilter::WARN);
    error_policy(harness.cached(), &error, Arc::clone(&harness.ctx));
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["level"], "WARN");
    assert_eq!(lines[0]["span"]["release"], "games/shop");
}
