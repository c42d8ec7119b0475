//! What is found before anything is changed.

use std::time::Duration;

use bluegreen::api::Reason;
use bluegreen_cloud::scene::GroupPlan;
use serde_json::json;

use crate::harness::{Manifest, NAME, NEW, Scene, World, calls, changes};

/// Nothing was asked to change, and nothing will be.
async fn nothing_changes(world: &World) {
    world.clock.sleep(Duration::from_secs(60)).await;
    let calls = calls(&world.cloud);
    assert!(!calls.is_empty(), "it has looked");
    let changes: Vec<_> = calls.iter().filter(|call| changes(call)).collect();
    assert!(changes.is_empty(), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_not_the_registered_one() {
    let scene = Scene::in_place();
    let manifest = Manifest::of(&scene).with("fleet.hosts.ports", json!([9090]));
    let world = World::new(scene, 400).await;
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::PortNotRegistered, 30).await;
    assert!(message.contains(":8080 registered"), "{message}");
    assert!(message.contains("[9090]"), "{message}");
    nothing_changes(&world).await;
    // The remedy: the ports of a release cannot be changed, so it is made anew.
    world.delete().await;
    world.until_gone(60).await;
    let manifest = Manifest::of(&world.scene);
    world.apply(&manifest).await;
    world.until_released(1_800).await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_target_group_that_does_not_exist() {
    let scene = Scene::in_place();
    let groups = json!([{"name": NAME}, {"name": "snackgame-late"}]);
    let manifest = Manifest::of(&scene).with("traffic.registration.targetGroups", groups);
    let world = World::new(scene, 401).await;
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::TargetGroupNotFound, 30).await;
    assert!(message.contains("snackgame-late"), "{message}");
    nothing_changes(&world).await;
    let plan = GroupPlan {
        check_path: "/health".to_owned(),
        check_interval: world.scene.check_interval,
        deregistration_delay: world.scene.delay,
        ..GroupPlan::new("snackgame-late", 8080)
    };
    let late = world.cloud.build_group(&world.built.vpc, &plan).unwrap();
    world.until_stalled(Reason::TargetGroupUnsuitable, 60).await;
    nothing_changes(&world).await;
    world.listen_on(81, &late);
    world.until_released(1_800).await;
    assert_eq!(world.healthy(&late).len(), 3);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_run() {
    let scene = Scene {
        spare: 1,
        ..Scene::side_by_side()
    };
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, 402).await;
    let spare = world.built.hosts[3].id.clone();
    let instance = json!({"InstanceId": [spare]});
    world.cloud.arrange("StopInstances", &instance).unwrap();
    world
        .until_true("it has stopped", 60, |world| {
            world.instance_state(&spare) == "stopped"
        })
        .await;
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::InstanceNotRunning, 60).await;
    assert!(message.contains(&spare), "{message}");
    nothing_changes(&world).await;
    world.cloud.arrange("StartInstances", &instance).unwrap();
    world.until_released(1_800).await;
    let running = world.apps.running();
    assert_eq!(running.len(), 4, "{running:?}");
    assert!(running.iter().all(|(_, _, version)| version == NEW));
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_single_host_in_place() {
    let scene = Scene {
        hosts: 1,
        ..Scene::in_place()
    };
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, 403).await;
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::WouldLeaveNoTarget, 30).await;
    assert!(message.contains("two ports"), "{message}");
    nothing_changes(&world).await;
    world.end().await;
}
