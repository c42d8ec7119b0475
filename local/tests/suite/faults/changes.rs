//! People change their minds while a release is on its way.

use std::time::Duration;

use bluegreen::api::{Outcome, Phase, Reason};
use bluegreen_cloud::{
    faults::{Fault, FaultKind},
    scene::GroupPlan,
};
use serde_json::json;

use super::{in_phase, only, releasing};
use crate::harness::{Manifest, NAME, NEW, OLD, ProcessChange, Scene, THIRD, condition};

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

/// Nothing is left to do, so nothing has to be read: the namespace may be on its way out too.
#[tokio::test(start_paused = true)]
async fn deletion_of_what_rests_needs_no_target_group() {
    let scene = Scene::side_by_side().short();
    let groups = json!([{"name": NAME}, {"name": "snackgame-late"}]);
    let manifest = Manifest::of(&scene).with("traffic.registration.targetGroups", groups);
    let world = releasing(scene, &manifest, 488).await;
    world.until_stalled(Reason::TargetGroupNotFound, 30).await;
    let plan = GroupPlan {
        check_path: "/health".to_owned(),
        ..GroupPlan::new("snackgame-late", 8080)
    };
    let late = world.cloud.build_group(&world.built.vpc, &plan).unwrap();
    world.listen_on(81, &late);
    world.until_released(900).await;
    let listeners = json!({"LoadBalancerArn": world.built.load_balancer});
    let listeners = world
        .cloud
        .arrange("DescribeListeners", &listeners)
        .unwrap();
    let listener = listeners["Listeners"].as_array().unwrap().iter();
    let listener = listener.clone().find(|one| one["Port"] == 81).unwrap();
    for (action, about) in [
        (
            "DeleteListener",
            json!({"ListenerArn": listener["ListenerArn"]}),
        ),
        ("DeleteTargetGroup", json!({"TargetGroupArn": late})),
    ] {
        world.cloud.arrange(action, &about).unwrap();
    }
    let before = world.mutations();
    world.delete().await;
    world.until_gone(60).await;
    assert_eq!(
        world.mutations(),
        before,
        "the new version serves as it did"
    );
    only(&world, NEW);
    world.end().await;
}

/// What drains, and what was told to stop, would be left as it is for good.
#[tokio::test(start_paused = true)]
async fn deletion_of_what_is_on_its_way_waits_until_aws_can_be_read() {
    for phase in [Phase::Draining, Phase::Stopping] {
        let (world, _) = in_phase(Scene::side_by_side().short(), 489, phase).await;
        let fault = world
            .cloud
            .set_fault(Fault::new("*", FaultKind::AccessDenied));
        world.delete().await;
        world.until_stalled(Reason::AccessDenied, 60).await;
        world.watch(300).await;
        assert!(world.release().await.is_some());
        world.cloud.clear_faults(Some(fault));
        world.until_gone(900).await;
        only(&world, NEW);
        world.end().await;
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
