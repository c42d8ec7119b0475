//! A release whose hosts carry out a command is left alone until a port of theirs changes.

use std::time::Duration;

use super::{Harness, after, cloud::set_open, note, take_journal};
use crate::{
    api::{BlueGreenReleaseStatus, Process, StepKind, TargetStatus, Time},
    plan::{self, Decision, Observation, Release, TargetId},
};

/// Waits for a stop, for five minutes.
fn stops(_: &Release, status: &BlueGreenReleaseStatus, _: &Observation, now: Time) -> Decision {
    note("decide");
    let mut status = status.clone();
    let target = serde_json::json!({
        "revision": 1, "id": "i-1", "port": 8080, "color": "Blue", "steps": {}
    });
    let mut target: TargetStatus = serde_json::from_value(target).unwrap();
    target.process = Some(Process {
        operation: "op-1".to_owned(),
        step: StepKind::Stop,
        requested_at: now,
        sent_at: now,
        running_at: None,
        undone: false,
    });
    status.targets = vec![target];
    Decision {
        status,
        step: None,
        look_at: now + crate::api::Duration::from_secs(300),
    }
}

fn harness() -> Harness {
    let mut harness = Harness::new(stops);
    let ctx = std::sync::Arc::get_mut(&mut harness.ctx).unwrap();
    ctx.planner.needs = |_, _, _| plan::Needs {
        ports: vec![TargetId {
            id: "i-1".to_owned(),
            port: 8080,
        }],
        ..plan::Needs::default()
    };
    harness
}

const SOON: Duration = Duration::from_millis(150);

#[tokio::test(start_paused = true)]
async fn while_a_port_is_watched_nothing_else_is_asked_until_it_changes() {
    let harness = harness();
    set_open(Some(true));
    assert_eq!(harness.pass().await.unwrap(), after(SOON));
    assert!(take_journal().contains(&"decide".to_owned()));
    for _ in 0..3 {
        tokio::time::advance(SOON).await;
        assert_eq!(harness.pass().await.unwrap(), after(SOON));
    }
    set_open(None);
    tokio::time::advance(SOON).await;
    assert_eq!(harness.pass().await.unwrap(), after(SOON));
    assert_eq!(take_journal(), Vec::<String>::new(), "it is left alone");

    set_open(Some(false));
    harness.pass().await.unwrap();
    assert!(take_journal().contains(&"decide".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_port_that_cannot_be_asked_is_not_watched() {
    let harness = harness();
    set_open(None);
    assert_eq!(
        harness.pass().await.unwrap(),
        after(Duration::from_secs(300))
    );
}
