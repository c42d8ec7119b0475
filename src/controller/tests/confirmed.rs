//! What takes a target away is decided from readings that were made for it.

use std::{collections::BTreeMap, time::Duration};

use super::{Harness, after, note, take_journal};
use crate::{
    api::{self, BlueGreenReleaseStatus, Phase, StepKind, Time},
    controller::{context::Decide, memory::Groups},
    plan::{self, Decision, Observation, Release, SendCommand, Step, TargetId},
};

fn decision(status: &BlueGreenReleaseStatus, step: Step, now: Time) -> Decision {
    note("decide");
    let mut status = status.clone();
    status.phase = Phase::Stopping;
    Decision {
        status,
        step: Some(step),
        look_at: now,
    }
}

fn stops(_: &Release, status: &BlueGreenReleaseStatus, _: &Observation, now: Time) -> Decision {
    let stop = SendCommand {
        operation: "op-1".to_owned(),
        kind: StepKind::Stop,
        document: "stop".to_owned(),
        parameters: BTreeMap::new(),
        instances: vec!["i-1".to_owned()],
        port: 8080,
        timeout: api::Duration::from_secs(60),
    };
    decision(status, Step::Send(stop), now)
}

fn deregisters(
    _: &Release,
    status: &BlueGreenReleaseStatus,
    _: &Observation,
    now: Time,
) -> Decision {
    let targets = vec![TargetId {
        id: "i-1".to_owned(),
        port: 8080,
    }];
    decision(status, Step::Deregister { group: 0, targets }, now)
}

/// A harness whose planner may be shown old readings.
fn harness(decide: Decide) -> Harness {
    let mut harness = Harness::new(decide);
    let ctx = std::sync::Arc::get_mut(&mut harness.ctx).unwrap();
    ctx.planner.needs = |_, _, _| plan::Needs {
        fleet_may_be_old: Some(api::Duration::from_secs(60)),
        groups_may_be_old: Some(api::Duration::from_secs(4)),
        ..plan::Needs::default()
    };
    harness
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_sent_after_the_fleet_was_read_for_it() {
    let harness = harness(stops);
    assert_eq!(harness.pass().await.unwrap(), after(Duration::ZERO));
    let journal = take_journal();
    assert!(
        !journal.iter().any(|one| one.starts_with("send")),
        "{journal:?}"
    );
    assert!(
        !journal.iter().any(|one| one.starts_with("PUT")),
        "{journal:?}"
    );

    harness.pass().await.unwrap();
    let expected = [
        "GET /shop",
        "instances",
        "decide",
        "PUT /shop/status",
        "send op-1",
    ];
    assert_eq!(
        take_journal(),
        expected,
        "the groups were read a moment ago"
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_is_withdrawn_after_the_groups_were_read_for_it() {
    let harness = harness(deregisters);
    harness.pass().await.unwrap();
    take_journal();
    // It made the change from fresh readings; the next one may be shown kept ones.
    tokio::time::advance(Duration::from_secs(1)).await;
    harness.pass().await.unwrap();
    let journal = take_journal();
    let read = journal.iter().position(|one| one == "target_health");
    let changed = journal.iter().position(|one| one.starts_with("deregister"));
    assert!(read < changed && read.is_some(), "{journal:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reading_from_the_future_is_not_used() {
    let harness = harness(stops);
    let uid = super::server::UID;
    harness.ctx.memory.begin(uid);
    let groups = |began_at: Time| Groups {
        began_at,
        generation: 1,
        read: Vec::new(),
    };
    let now = harness.ctx.now();
    let old = api::Duration::from_secs(4);
    harness.ctx.memory.keep_groups(uid, Some(groups(now + old)));
    assert!(
        harness
            .ctx
            .memory
            .groups(uid, now.before(old), now)
            .is_none()
    );
    harness.ctx.memory.keep_groups(uid, Some(groups(now)));
    assert!(
        harness
            .ctx
            .memory
            .groups(uid, now.before(old), now)
            .is_some()
    );
}
