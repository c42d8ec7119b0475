//! Releases beside the way: that do not begin, or do not go on.

use std::time::Duration;

use bluegreen::api::{BlueGreenReleaseStatus, Phase, Reason};
use bluegreen_cloud::{
    faults::{Fault, FaultKind},
    switches::Switch,
};
use serde_json::json;

use super::{Tape, begun, ill, world};
use crate::harness::{Behaviour, Manifest, OLD, Scene, THIRD, World, condition};

pub(super) async fn not_to_begin_yet(tape: &mut Tape) {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short()).with("paused", json!(true));
    let world = begun(scene, &manifest).await;
    tape.phase(&world, Phase::Paused, "paused-by-the-spec")
        .await;
    world.end().await;
}

pub(super) async fn no_instance_running(tape: &mut Tape) {
    let scene = Scene::existing();
    let manifest = Manifest::of(&scene.clone().short()).with("version", json!(THIRD));
    let world = begun(scene, &manifest).await;
    tape.phase(&world, Phase::Preflight, "preflight").await;
    world.end().await;
}

pub(super) async fn aws_cannot_be_read(tape: &mut Tape) {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short());
    let world = world(scene).await;
    let fault = Fault::new("DescribeInstances", FaultKind::DropBefore);
    let fault = world.cloud.set_fault(fault);
    world.start();
    world.apply(&manifest).await;
    let unread = |status: &_| {
        let ready = condition(status, "Ready");
        ready.is_some_and(|(_, reason, _)| reason == Reason::CloudUnavailable.as_str())
    };
    world.until("it says so", 120, unread).await;
    tape.record(&world, "pending").await;
    world.cloud.clear_faults(Some(fault));
    world.until_released(900).await;
    world.end().await;
}

pub(super) async fn held(tape: &mut Tape) {
    let scene = ill(Scene::side_by_side());
    let manifest = Manifest::of(&scene.clone().short())
        .with("health.timeout", json!("60s"))
        .with("onFailure", json!("Hold"));
    let world = begun(scene, &manifest).await;
    tape.phase(&world, Phase::Stalled, "held-after-a-failure")
        .await;
    world.end().await;
}

pub(super) async fn cannot_begin(tape: &mut Tape) {
    let scene = Scene::in_place();
    let manifest = Manifest::of(&scene.clone().short()).with("fleet.hosts.ports", json!([9090]));
    let world = begun(scene, &manifest).await;
    tape.phase(&world, Phase::Stalled, "stalled").await;
    world.end().await;
}

/// Lets the load balancer end no drain.
fn end_no_drain(world: &World) {
    let switch = Switch::EndlessDrains {
        target_group: None,
        on: true,
    };
    world.cloud.switch(&switch).unwrap();
}

pub(super) async fn drain_not_proven(tape: &mut Tape) {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short());
    let world = begun(scene, &manifest).await;
    end_no_drain(&world);
    tape.stalled(&world, Reason::DrainNotProven, "drain-not-proven")
        .await;
    world.end().await;
}

/// The old version needs longer to start than the new one was given, and longer than it is given
/// itself when it is put back.
pub(super) async fn rollback_failed(tape: &mut Tape) {
    let scene = ill(Scene::in_place()).behaving(OLD, |behaviour| Behaviour {
        startup: Duration::from_secs(90),
        ..behaviour
    });
    let manifest = Manifest::of(&scene.clone().short()).with("health.timeout", json!("60s"));
    let world = begun(scene, &manifest).await;
    tape.stalled(&world, Reason::RollbackFailed, "rollback-failed")
        .await;
    let over = |status: &BlueGreenReleaseStatus| status.phase == Phase::RolledBack;
    world.until("it is back after all", 900, over).await;
    world.end().await;
}
