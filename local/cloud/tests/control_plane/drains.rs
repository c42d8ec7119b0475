//! Draining: how long, of what, and the way back.

use bluegreen_cloud::{
    scene::GroupPlan,
    switches::Switch,
    topology::{HealthReport, NodeHealth},
};
use serde_json::json;

use crate::support::{World, healthy, slow_to_register, state};

#[tokio::test(start_paused = true)]
async fn a_drain_lasts_exactly_its_delay_and_then_the_target_is_absent() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world.report(host, 8080, NodeHealth::Healthy).await;
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    world.wait(299.9).await;
    let draining = state("draining", "Target.DeregistrationInProgress");
    assert_eq!(world.health(host, 8080).await, draining);
    // Asking again does not start the delay anew.
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    world.wait(0.2).await;
    assert_eq!(
        world.health(host, 8080).await,
        state("unused", "Target.NotRegistered")
    );
    assert!(world.listed().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_the_one_of_the_deregistration() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    let target_group = world.group().to_owned();
    let shorter = Switch::DeregistrationDelay {
        target_group,
        seconds: 5,
    };
    world.cloud.switch(&shorter).unwrap();
    world.wait(100.0).await;
    assert_eq!(world.health(host, 8080).await.0, "draining");
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_a_deregistered_target_is_gone_at_once() {
    let world = World::calm();
    let host = world.host(0);
    let attribute = [
        ("TargetGroupArn", world.group()),
        (
            "Attributes.member.1.Key",
            "deregistration_delay.timeout_seconds",
        ),
        ("Attributes.member.1.Value", "0"),
    ];
    world
        .elb("ModifyTargetGroupAttributes", &attribute)
        .await
        .ok();
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    assert_eq!(
        world.health(host, 8080).await,
        state("unused", "Target.NotRegistered")
    );
}

#[tokio::test(start_paused = true)]
async fn deregistering_another_port_or_nothing_at_all_succeeds_and_does_nothing() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(9090)).await.ok();
    world.target("DeregisterTargets", host, None).await.ok();
    world
        .target("DeregisterTargets", host, Some(9091))
        .await
        .ok();
    world
        .target("DeregisterTargets", "i-0123", Some(9090))
        .await
        .ok();
    assert_eq!(world.listed().await, [format!("{host}:9090 initial")]);
    assert_eq!(
        world.health(host, 8080).await,
        state("unused", "Target.NotRegistered")
    );
}

#[tokio::test(start_paused = true)]
async fn one_instance_is_two_targets_on_two_ports() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world.target("RegisterTargets", host, Some(8081)).await.ok();
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    let expected = [
        format!("{host}:8080 draining"),
        format!("{host}:8081 initial"),
    ];
    assert_eq!(world.listed().await, expected);
}

#[tokio::test(start_paused = true)]
async fn registering_a_draining_target_brings_it_back_through_initial() {
    let world = slow_to_register();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world.wait(3.001).await;
    world.report(host, 8080, NodeHealth::Healthy).await;
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    world.wait(10.0).await;
    let told = |world: &World| world.cloud.topology().borrow().target_groups[0].targets[0].clone();
    let before = told(&world);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    assert_eq!(
        world.health(host, 8080).await,
        state("initial", "Elb.RegistrationInProgress")
    );
    // It is the same registration for the nodes, so that nothing in flight is cut off.
    assert_eq!(told(&world).key, before.key);
    assert!(told(&world).life > before.life);
    world.wait(3.001).await;
    let checking = state("initial", "Elb.InitialHealthChecking");
    assert_eq!(world.health(host, 8080).await, checking);
    // What nodes said of the former life does not count, whenever it was said or comes.
    world.wait(3_600.0).await;
    assert_eq!(world.health(host, 8080).await, checking);
    for node in world.scene.nodes.clone() {
        let late = HealthReport {
            node,
            target_group: world.group().to_owned(),
            target: before.key.clone(),
            life: before.life,
            health: NodeHealth::Healthy,
        };
        world.cloud.health_reports().send(late).await.unwrap();
    }
    world.wait(1.0).await;
    assert_eq!(world.health(host, 8080).await, checking);
    world.report(host, 8080, NodeHealth::Healthy).await;
    assert_eq!(world.health(host, 8080).await, healthy());
    world.wait(300.0).await;
    assert_eq!(world.health(host, 8080).await, healthy());
}

fn endless(target_group: Option<&str>, on: bool) -> Switch {
    Switch::EndlessDrains {
        target_group: target_group.map(str::to_owned),
        on,
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_never_ends_ends_when_the_switch_is_turned_off() {
    let world = World::calm();
    let (stuck, undrained) = (world.host(0), world.host(1));
    for host in [stuck, undrained] {
        world.target("RegisterTargets", host, Some(8080)).await.ok();
        world
            .target("DeregisterTargets", host, Some(8080))
            .await
            .ok();
    }
    world.cloud.switch(&endless(None, true)).unwrap();
    world.wait(10_000.0).await;
    let draining = state("draining", "Target.DeregistrationInProgress");
    assert_eq!(world.health(stuck, 8080).await, draining);
    assert_eq!(world.listed().await.len(), 2);
    // The way back is open.
    world
        .target("RegisterTargets", undrained, Some(8080))
        .await
        .ok();
    assert_eq!(world.health(undrained, 8080).await.0, "initial");
    world.cloud.switch(&endless(None, false)).unwrap();
    assert_eq!(world.listed().await, [format!("{undrained}:8080 initial")]);
}

#[tokio::test(start_paused = true)]
async fn only_the_drains_of_the_named_group_do_not_end() {
    let world = World::calm();
    let host = world.host(0);
    let plan = GroupPlan::new("other", 8080);
    let other = world.cloud.build_group(&world.scene.vpc, &plan).unwrap();
    world
        .cloud
        .switch(&endless(Some(other.as_str()), true))
        .unwrap();
    world.cloud.register(&other, &[(host, 8080)]).unwrap();
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    let target = json!({"TargetGroupArn": other, "Targets": [{"Id": host, "Port": 8080}]});
    world.cloud.arrange("DeregisterTargets", &target).unwrap();
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    world.wait(301.0).await;
    assert!(world.listed().await.is_empty());
    let truth = world.cloud.state();
    let groups = truth["targetGroups"].as_array().unwrap();
    let stuck = groups.iter().find(|group| group["arn"] == other).unwrap();
    assert_eq!(stuck["targets"][0]["state"], "draining", "{truth}");
    let unknown = endless(Some("arn:aws:elasticloadbalancing:none"), true);
    assert!(world.cloud.switch(&unknown).is_err());
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_too_a_drain_may_never_end() {
    let world = World::calm();
    let host = world.host(0);
    let target_group = world.group().to_owned();
    let none = Switch::DeregistrationDelay {
        target_group,
        seconds: 0,
    };
    world.cloud.switch(&none).unwrap();
    world
        .cloud
        .switch(&endless(Some(world.group()), true))
        .unwrap();
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    world.wait(60.0).await;
    assert_eq!(world.health(host, 8080).await.0, "draining");
}
