//! Draining: how long, of what, and the way back.

use bluegreen_cloud::{switches::Switch, topology::NodeHealth};

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
    let serial = |world: &World| {
        world.cloud.topology().borrow().target_groups[0].targets[0]
            .key
            .serial
    };
    let before = serial(&world);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    assert_eq!(
        world.health(host, 8080).await,
        state("initial", "Elb.RegistrationInProgress")
    );
    // It is the same registration for the nodes, so that nothing in flight is cut off.
    assert_eq!(serial(&world), before);
    world.wait(3.001).await;
    assert_eq!(
        world.health(host, 8080).await,
        state("initial", "Elb.InitialHealthChecking")
    );
    // A node that never learned of the interruption has nothing new to say; what it said counts
    // again after an interval.
    world.wait(30.0).await;
    assert_eq!(world.health(host, 8080).await, healthy());
    world.wait(300.0).await;
    assert_eq!(world.health(host, 8080).await, healthy());
}
