//! What AWS refuses, delays, or does not answer.

use std::time::Duration;

use bluegreen::api::{Phase, Reason};
use bluegreen_cloud::faults::{Fault, FaultKind};

use super::{ends_released, in_phase};
use crate::harness::{Manifest, ProcessChange, Scene, World, condition};

/// Lacks a permission on the way and gets it later.
async fn denied(action: &str, scene: Scene, seed: u64) {
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
    let before = world.mutations();
    world.clock.sleep(Duration::from_secs(60)).await;
    world.until_stalled(Reason::AccessDenied, 0).await;
    assert_eq!(world.mutations(), before, "nothing is begun around it");
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.is_empty(), "{stopped:?}");
    world.cloud.clear_faults(Some(fault));
    ends_released(world).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_register() {
    denied("RegisterTargets", Scene::side_by_side().short(), 410).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_deregister() {
    denied("DeregisterTargets", Scene::side_by_side().short(), 411).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_send_commands() {
    denied("SendCommand", Scene::side_by_side().short(), 412).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_read_target_health() {
    denied("DescribeTargetHealth", Scene::side_by_side().short(), 413).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_find_the_hosts() {
    denied("DescribeInstances", Scene::in_place().short(), 414).await;
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_terminate_instances() {
    denied("TerminateInstances", Scene::existing().short(), 415).await;
}

/// A world in which something is wrong with every call for so many seconds, from a phase on.
async fn every_call(kind: &FaultKind, seconds: f64, scene: Scene, seed: u64, at: Phase) -> World {
    println!("{kind:?}");
    let (world, _) = in_phase(scene, seed, at).await;
    let fault = Fault::new("*", kind.clone()).for_seconds(seconds);
    world.cloud.set_fault(fault);
    let status = world
        .until("people are told", 30, |status| {
            condition(status, "Reconciling")
                .is_some_and(|(_, reason, _)| reason == Reason::CloudUnavailable.as_str())
        })
        .await;
    // Nobody needs to do anything, and the phase is still what it was.
    assert!(condition(&status, "Stalled").is_none());
    assert_eq!(status.phase, at);
    assert!(status.message.contains("AWS"), "{}", status.message);
    world
}

/// Something is wrong with every call for a minute, in each phase of a release.
async fn minute_of(kind: &FaultKind, scene: fn() -> Scene, seed: u64) {
    for phase in [Phase::Starting, Phase::Draining, Phase::Stopping] {
        ends_released(every_call(kind, 60.0, scene(), seed, phase).await).await;
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

const HALF_AN_HOUR: f64 = 1_800.0;

#[tokio::test(start_paused = true)]
async fn half_an_hour_without_an_answer_once_the_new_version_serves() {
    for phase in [Phase::Draining, Phase::Stopping] {
        let scene = Scene::side_by_side().short();
        let world = every_call(&FaultKind::HangBefore, HALF_AN_HOUR, scene, 424, phase).await;
        world
            .clock
            .sleep(Duration::from_secs_f64(HALF_AN_HOUR))
            .await;
        ends_released(world).await;
    }
}

/// The time in which nobody could see a new target does not count against its health.
#[tokio::test(start_paused = true)]
async fn half_an_hour_without_an_answer_before_the_new_version_serves() {
    let scene = Scene::side_by_side().short();
    let at = Phase::Starting;
    let world = every_call(&FaultKind::HangBefore, HALF_AN_HOUR, scene, 425, at).await;
    world
        .clock
        .sleep(Duration::from_secs_f64(HALF_AN_HOUR))
        .await;
    ends_released(world).await;
}
