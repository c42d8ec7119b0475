//! People change their minds while a release is on its way.

use std::time::Duration;

use bluegreen::api::{Outcome, Phase};
use serde_json::json;

use super::{in_phase, only};
use crate::harness::{NEW, OLD, ProcessChange, Scene, THIRD, condition};

const PHASES: [Phase; 4] = [
    Phase::Starting,
    Phase::Registering,
    Phase::Draining,
    Phase::Stopping,
];

#[tokio::test(start_paused = true)]
async fn back_to_the_old_version() {
    for (index, phase) in PHASES.into_iter().enumerate() {
        for scene in [Scene::side_by_side().short(), Scene::in_place().short()] {
            let (world, manifest) = in_phase(scene, 460 + index as u64, phase).await;
            world.apply(&manifest.with("version", json!(OLD))).await;
            let status = world.until_released(900).await;
            assert_eq!(status.history[0].outcome, Outcome::Aborted);
            only(&world, OLD);
            world.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn back_while_it_drains_puts_the_old_version_back_before_anything_else() {
    let (world, manifest) = in_phase(Scene::side_by_side(), 465, Phase::Draining).await;
    let before = world.mutations().len();
    world.apply(&manifest.with("version", json!(OLD))).await;
    world.until_released(900).await;
    let after = world.mutations().split_off(before);
    let actions: Vec<_> = after.iter().map(|one| one.action.as_str()).collect();
    let expected = ["RegisterTargets", "DeregisterTargets", "BlueGreen-StopUnit"];
    assert_eq!(actions, expected, "{after:#?}");
    assert_eq!(after[0].subjects.len(), 3, "{after:#?}");
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.iter().all(|one| one.ends_with(NEW)), "{stopped:?}");
    only(&world, OLD);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn on_to_a_third_version() {
    for (index, phase) in PHASES.into_iter().enumerate() {
        for scene in [Scene::side_by_side().short(), Scene::in_place().short()] {
            let (world, manifest) = in_phase(scene, 470 + index as u64, phase).await;
            // Once an old process is told to stop, the release is finished first.
            let committed = world.mutations();
            let committed = committed
                .iter()
                .any(|one| one.action == "BlueGreen-StopUnit");
            world.apply(&manifest.with("version", json!(THIRD))).await;
            let status = world.until_released(1_200).await;
            let history: Vec<_> = status
                .history
                .iter()
                .map(|entry| (entry.version.as_deref().unwrap(), entry.outcome))
                .collect();
            assert_eq!(history[0], (THIRD, Outcome::Promoted));
            let outcome = if committed {
                Outcome::Promoted
            } else {
                Outcome::Superseded
            };
            assert_eq!(history[1], (NEW, outcome));
            only(&world, THIRD);
            world.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn deletion_leaves_one_version_that_serves_everywhere() {
    for (index, phase) in PHASES.into_iter().enumerate() {
        for scene in [Scene::side_by_side().short(), Scene::in_place().short()] {
            let (world, _) = in_phase(scene, 480 + index as u64, phase).await;
            world.delete().await;
            world.until_gone(900).await;
            let version = world.apps.running()[0].2.clone();
            only(&world, &version);
            world.end().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn paused_and_resumed() {
    for (index, phase) in PHASES.into_iter().enumerate() {
        let scene = Scene::side_by_side().short();
        let (world, manifest) = in_phase(scene, 490 + index as u64, phase).await;
        world
            .apply(&manifest.clone().with("paused", json!(true)))
            .await;
        let status = world.until("it is paused", 30, |status| status.phase == Phase::Paused);
        let (_, reason, message) = condition(&status.await, "Ready").unwrap();
        assert_eq!(reason, "Paused");
        assert!(message.contains("spec.paused"), "{message}");
        let before = world.mutations();
        world.clock.sleep(Duration::from_secs(300)).await;
        assert_eq!(world.mutations(), before, "nothing is begun");
        world.apply(&manifest.with("paused", json!(false))).await;
        world.until_released(900).await;
        only(&world, NEW);
        world.end().await;
    }
}
