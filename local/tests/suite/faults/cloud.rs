//! What AWS refuses, delays, or does not answer.

use std::time::Duration;

use bluegreen::api::{Phase, Reason};
use bluegreen_cloud::faults::{Fault, FaultKind};

use crate::harness::{Manifest, ProcessChange, Scene, World, condition};

/// A world in which a short release begins with a fault.
async fn releasing(scene: Scene, seed: u64) -> World {
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, seed).await;
    world.start();
    world.apply(&manifest).await;
    world
}

/// Lacks a permission on the way and gets it later.
async fn denied(action: &str, seed: u64) {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, seed).await;
    let fault = world
        .cloud
        .set_fault(Fault::new(action, FaultKind::AccessDenied));
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::AccessDenied, 300).await;
    assert!(message.contains(action), "{message}");
    assert_eq!(world.status().await.phase, Phase::Stalled);
    world.clock.sleep(Duration::from_secs(60)).await;
    world.until_stalled(Reason::AccessDenied, 0).await;
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.is_empty(), "{stopped:?}");
    world.cloud.clear_faults(Some(fault));
    world.until_released(600).await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_register() {
    denied("RegisterTargets", 410).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_deregister() {
    denied("DeregisterTargets", 411).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_send_commands() {
    denied("SendCommand", 412).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_read_target_health() {
    denied("DescribeTargetHealth", 413).await;
}

/// Something is wrong with every call for a minute, in each phase of a release.
async fn minute_of(kind: &FaultKind, scene: fn() -> Scene, seed: u64) {
    for phase in [Phase::Starting, Phase::Draining, Phase::Stopping] {
        println!("{kind:?} in {phase:?}");
        let world = releasing(scene(), seed).await;
        world
            .until("the phase", 600, |status| status.phase == phase)
            .await;
        let fault = Fault::new("*", kind.clone()).for_seconds(60.0);
        world.cloud.set_fault(fault);
        world
            .until("people are told", 30, |status| {
                condition(status, "Reconciling")
                    .is_some_and(|(_, reason, _)| reason == Reason::CloudUnavailable.as_str())
            })
            .await;
        world.until_released(900).await;
        world.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_throttling() {
    minute_of(&FaultKind::Throttle, || Scene::side_by_side().short(), 420).await;
}

#[tokio::test(start_paused = true)]
async fn a_minute_without_an_answer() {
    minute_of(
        &FaultKind::HangBefore,
        || Scene::side_by_side().short(),
        421,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_lost_replies() {
    minute_of(&FaultKind::HangAfter, || Scene::in_place().short(), 422).await;
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_errors_that_lie() {
    let kind = FaultKind::ErrorAfter {
        status: 500,
        code: "InternalFailure".to_owned(),
    };
    minute_of(&kind, || Scene::in_place().short(), 423).await;
}
