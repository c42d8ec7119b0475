//! What is found before anything is changed.

use std::time::Duration;

use bluegreen::api::{Phase, Reason};
use bluegreen_cloud::{scene::GroupPlan, switches::Switch};
use serde_json::json;

use super::{ends_released, in_phase, releasing};
use crate::harness::{Manifest, NAME, NEW, Scene, World, calls, changes};

/// Nothing was asked to change, and nothing will be: the old version serves as before.
async fn nothing_changes(world: &World) {
    world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(world.status().await.phase, Phase::Stalled);
    let healthy = world.healthy(&world.built.groups[0]);
    assert_eq!(healthy.len(), world.scene.hosts, "{healthy:?}");
    assert_eq!(world.failed(), 0);
    let calls = calls(&world.cloud);
    assert!(!calls.is_empty(), "it has looked");
    let changes: Vec<_> = calls.iter().filter(|call| changes(call)).collect();
    assert!(changes.is_empty(), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_not_the_registered_one() {
    let scene = Scene::in_place();
    let manifest = Manifest::of(&scene).with("fleet.hosts.ports", json!([9090]));
    let world = releasing(scene, &manifest, 400).await;
    let message = world.until_stalled(Reason::PortNotRegistered, 30).await;
    assert!(message.contains(":8080 registered"), "{message}");
    assert!(message.contains("[9090]"), "{message}");
    nothing_changes(&world).await;
    // The remedy: the ports of a release cannot be changed, so it is made anew.
    world.delete().await;
    world.until_gone(60).await;
    let manifest = Manifest::of(&world.scene);
    world.apply(&manifest).await;
    ends_released(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_group_that_does_not_exist() {
    let scene = Scene::in_place();
    let groups = json!([{"name": NAME}, {"name": "snackgame-late"}]);
    let manifest = Manifest::of(&scene).with("traffic.registration.targetGroups", groups);
    let world = releasing(scene, &manifest, 401).await;
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
    let world = releasing(scene, &manifest, 403).await;
    let message = world.until_stalled(Reason::WouldLeaveNoTarget, 30).await;
    assert!(message.contains("two ports"), "{message}");
    nothing_changes(&world).await;
    // The remedy that the message names. The ports of a release cannot be changed.
    world.delete().await;
    world.until_gone(60).await;
    let ports = json!([8080, 8081]);
    world
        .apply(&manifest.with("fleet.hosts.ports", ports))
        .await;
    ends_released(world).await;
}

#[tokio::test(start_paused = true)]
async fn commands_that_cannot_be_used() {
    let scene = Scene::side_by_side().short();
    let good = Manifest::of(&scene);
    let vague = json!({"unit": "snackgame.service"});
    let vague = good.clone().with("fleet.hosts.stop", vague);
    let world = releasing(scene, &vague, 404).await;
    let message = world.until_stalled(Reason::CommandsUnsuitable, 30).await;
    assert!(message.contains("names neither {{port}}"), "{message}");
    nothing_changes(&world).await;
    let long = json!("x".repeat(70_000));
    let long = good
        .clone()
        .with("fleet.hosts.start.parameters.script", long);
    world.apply(&long).await;
    world
        .until("the other reason", 60, |status| {
            status.message.contains("and may be 65536")
        })
        .await;
    nothing_changes(&world).await;
    world.apply(&good).await;
    ends_released(world).await;
}

/// It would end with its instance, and nobody has drained it.
#[tokio::test(start_paused = true)]
async fn an_instance_that_is_registered_with_another_port_besides() {
    let scene = Scene::existing().short();
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, 405).await;
    let (group, old) = (&world.built.groups[0], world.built.hosts[0].id.clone());
    world
        .cloud
        .register(group, &[(old.as_str(), 9090)])
        .unwrap();
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::PortNotRegistered, 300).await;
    assert!(message.contains(&format!("{old}:9090")), "{message}");
    world.clock.sleep(Duration::from_secs(120)).await;
    assert_eq!(world.instance_state(&old), "running");
    let stray = json!({"TargetGroupArn": group, "Targets": [{"Id": old, "Port": 9090}]});
    world.cloud.arrange("DeregisterTargets", &stray).unwrap();
    world.until_released(600).await;
    assert_ne!(world.instance_state(&old), "running");
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_stops_on_the_way() {
    let scene = Scene {
        spare: 1,
        ..Scene::side_by_side().short()
    };
    let (world, _) = in_phase(scene, 404, Phase::Starting).await;
    let spare = world.built.hosts[2].id.clone();
    let stopped = Switch::InstanceStopped {
        instance: spare.clone(),
    };
    world.cloud.switch(&stopped).unwrap();
    let message = world.until_stalled(Reason::InstanceNotRunning, 60).await;
    assert!(message.contains(&spare), "{message}");
    assert!(message.contains("turns back at"), "{message}");
    let group = &world.built.groups[0];
    let old = |target: &&String| target.ends_with(":8080");
    assert_eq!(world.healthy(group).iter().filter(old).count(), 2);
    let instance = json!({"InstanceId": [spare]});
    world.cloud.arrange("StartInstances", &instance).unwrap();
    world.until_released(1_800).await;
    assert_eq!(world.healthy(group).len(), 3);
    world.end().await;
}
