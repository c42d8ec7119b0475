//! Applications that do not do what they should.

use bluegreen::api::{Outcome, Phase, Reason, StopHow};
use bluegreen_app::app::{HealthBehaviour, OnTerminate};
use serde_json::json;

use super::{ends_released, only, releasing};
use crate::harness::{Behaviour, Manifest, NEW, OLD, Scene, THIRD, condition};

#[tokio::test(start_paused = true)]
async fn one_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let scene = Scene::side_by_side()
        .short()
        .behaving(OLD, |behaviour| Behaviour {
            on_terminate: OnTerminate::Ignore,
            ..behaviour
        });
    let manifest = Manifest::of(&scene).with("stop.gracePeriod", json!("20s"));
    let world = releasing(scene, &manifest, 430).await;
    let status = world
        .until("it waits for them", 600, |status| {
            status.phase == Phase::Stopping
        })
        .await;
    let (_, reason, message) = condition(&status, "Reconciling").unwrap();
    assert_eq!(reason, Reason::Releasing.as_str());
    assert!(message.starts_with("stopping 2 of 2"), "{message}");
    assert!(message.contains("at the latest"), "{message}");
    let status = world.until_released(900).await;
    for target in status.targets.iter().filter(|target| target.revision == 0) {
        let terminated = target.steps.terminated.as_ref().unwrap();
        assert_eq!(terminated.how, StopHow::Killed);
        let took = terminated.took.unwrap().as_secs_f64();
        assert!((20.0..22.0).contains(&took), "{took}");
    }
    ends_released(world).await;
}

/// The new version never becomes healthy.
async fn never_healthy(scene: Scene, seed: u64) {
    let scene = scene.short().behaving(NEW, |behaviour| Behaviour {
        health: HealthBehaviour::NeverHealthy,
        ..behaviour
    });
    let manifest = Manifest::of(&scene).with("health.timeout", json!("60s"));
    let world = releasing(scene, &manifest, seed).await;
    let status = world
        .until("it is rolled back", 900, |status| {
            status.phase == Phase::RolledBack
        })
        .await;
    let (ready, reason, message) = condition(&status, "Ready").unwrap();
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "RolledBack"));
    assert!(message.contains("healthy"), "{message}");
    assert!(message.contains(OLD), "{message}");
    assert_eq!(status.history[0].outcome, Outcome::RolledBack);
    only(&world, OLD);
    // It is not tried again by itself.
    let before = world.mutations();
    world.clock.sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(world.mutations(), before);
    // The remedy: a version that works.
    world.apply(&manifest.with("version", json!(THIRD))).await;
    world.until_released(900).await;
    only(&world, THIRD);
    let report = world.end().await;
    assert!(!report.totals.by_version.contains_key(NEW));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_becomes_healthy_side_by_side_is_rolled_back() {
    never_healthy(Scene::side_by_side(), 431).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_becomes_healthy_in_place_is_rolled_back() {
    never_healthy(Scene::in_place(), 432).await;
}
