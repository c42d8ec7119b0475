//! The life of a target: every row of the state table.

use bluegreen_cloud::{
    switches::Switch,
    topology::{HealthFailure, NodeHealth, TargetPhase},
};

use crate::support::{World, healthy, slow_to_register, state};

#[tokio::test(start_paused = true)]
async fn a_target_is_registered_then_checked_then_healthy_by_every_node() {
    let world = slow_to_register();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    assert_eq!(
        world.health(host, 8080).await,
        state("initial", "Elb.RegistrationInProgress")
    );
    world.wait(3.001).await;
    assert_eq!(
        world.health(host, 8080).await,
        state("initial", "Elb.InitialHealthChecking")
    );
    world
        .report_of(world.scene.nodes[0], host, 8080, NodeHealth::Healthy)
        .await;
    assert_eq!(
        world.health(host, 8080).await,
        state("initial", "Elb.InitialHealthChecking")
    );
    world
        .report_of(world.scene.nodes[1], host, 8080, NodeHealth::Healthy)
        .await;
    assert_eq!(world.health(host, 8080).await, healthy());
}

#[tokio::test(start_paused = true)]
async fn the_reply_names_the_check_port_as_text_and_leaves_reasons_out_when_healthy() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, None).await.ok();
    world.report(host, 8080, NodeHealth::Healthy).await;
    let answer = world.target("DescribeTargetHealth", host, None).await.ok();
    assert_eq!(answer.one("HealthCheckPort"), "8080");
    assert_eq!(answer.one("Port"), "8080");
    assert!(answer.all("Reason").is_empty() && answer.all("Description").is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_node_that_fails_a_target_makes_it_unhealthy_with_the_reason() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world.report(host, 8080, NodeHealth::Healthy).await;
    let table = [
        (HealthFailure::Status(503), "Target.ResponseCodeMismatch"),
        (HealthFailure::Timeout, "Target.Timeout"),
        (HealthFailure::Failed, "Target.FailedHealthChecks"),
    ];
    for (failure, reason) in table {
        let node = world.scene.nodes[1];
        world
            .report_of(node, host, 8080, NodeHealth::Unhealthy(failure))
            .await;
        assert_eq!(world.health(host, 8080).await, state("unhealthy", reason));
    }
    let answer = world
        .target("DescribeTargetHealth", host, Some(8080))
        .await
        .ok();
    assert_eq!(answer.one("Description"), "Health checks failed");
}

#[tokio::test(start_paused = true)]
async fn a_new_registration_has_another_serial_and_ignores_reports_of_the_old_one() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    let old = world.cloud.topology().borrow().target_groups[0].targets[0].clone();
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    world.wait(301.0).await;
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    let new = world.cloud.topology().borrow().target_groups[0].targets[0].clone();
    assert!(new.key.serial > old.key.serial, "{new:?} {old:?}");
    for node in world.scene.nodes.clone() {
        let report = bluegreen_cloud::topology::HealthReport {
            node,
            target_group: world.group().to_owned(),
            target: old.key.clone(),
            life: old.life,
            health: NodeHealth::Healthy,
        };
        world.cloud.health_reports().send(report).await.unwrap();
    }
    world.wait(1.0).await;
    assert_eq!(world.health(host, 8080).await.0, "initial");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_no_rule_names_is_not_in_use() {
    let world = World::calm();
    let host = world.host(0);
    let plan = bluegreen_cloud::scene::GroupPlan::new("lonely", 8080);
    let lonely = world.cloud.build_group(&world.scene.vpc, &plan).unwrap();
    world.cloud.register(&lonely, &[(host, 8080)]).unwrap();
    let answer = world
        .elb("DescribeTargetHealth", &[("TargetGroupArn", &lonely)])
        .await
        .ok();
    assert_eq!(answer.one("State"), "unused");
    assert_eq!(answer.one("Reason"), "Target.NotInUse");
    let forward = [
        ("ListenerArn", world.scene.listener.as_str()),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", lonely.as_str()),
    ];
    world.elb("ModifyListener", &forward).await.ok();
    let answer = world
        .elb("DescribeTargetHealth", &[("TargetGroupArn", &lonely)])
        .await
        .ok();
    assert_eq!(answer.one("State"), "initial");
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_the_load_balancer_lacks_makes_a_target_useless() {
    let world = World::calm();
    let other = bluegreen_cloud::scene::Plan {
        zones: vec!['a', 'b', 'c'],
        hosts: vec![bluegreen_cloud::scene::HostPlan::new('b', "app", "other")],
        ..bluegreen_cloud::scene::Plan::simple("other", 8080, 0)
    };
    let scene = world.cloud.build(&other).unwrap();
    // A second load balancer in the same network that has no node in zone b.
    let named = |subnet: usize| scene.subnets[subnet].as_str();
    let fields = [
        ("Name", "narrow"),
        ("Subnets.member.1", named(0)),
        ("Subnets.member.2", named(2)),
    ];
    let narrow = world
        .elb("CreateLoadBalancer", &fields)
        .await
        .ok()
        .one("LoadBalancerArn");
    let plan = bluegreen_cloud::scene::GroupPlan::new("narrow", 8080);
    let group = world.cloud.build_group(&scene.vpc, &plan).unwrap();
    let fields = [
        ("LoadBalancerArn", narrow.as_str()),
        ("Protocol", "HTTP"),
        ("Port", "80"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
    ];
    world.elb("CreateListener", &fields).await.ok();
    world
        .cloud
        .register(&group, &[(&scene.hosts[0].id, 8080)])
        .unwrap();
    let answer = world
        .elb("DescribeTargetHealth", &[("TargetGroupArn", &group)])
        .await
        .ok();
    assert_eq!(answer.one("Reason"), "Target.NotInUse");
    assert!(answer.one("Description").contains("Availability Zone"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_cannot_be_registered_and_is_in_an_invalid_state() {
    let world = World::calm();
    let (first, second) = (world.host(0), world.host(1));
    world
        .target("RegisterTargets", first, Some(8080))
        .await
        .ok();
    for instance in [first, second] {
        let instance = instance.to_owned();
        world
            .cloud
            .switch(&Switch::InstanceStopped { instance })
            .unwrap();
    }
    assert_eq!(
        world.health(first, 8080).await,
        state("unused", "Target.InvalidState")
    );
    let refused = world.target("RegisterTargets", second, Some(8080)).await;
    assert_eq!(refused.code(), "InvalidTarget");
    let message = refused.one("Message");
    assert_eq!(
        message,
        format!(
            "The following targets are not in a running state and cannot be registered: '{second}'"
        )
    );
    assert_eq!(world.listed().await, [format!("{first}:8080 unused")]);
}

#[tokio::test(start_paused = true)]
async fn one_stopped_instance_keeps_all_of_the_call_from_being_registered() {
    let world = World::calm();
    let (running, stopped) = (world.host(0), world.host(1));
    let instance = stopped.to_owned();
    let stop = Switch::InstanceStopped { instance };
    world.cloud.switch(&stop).unwrap();
    let fields = [
        ("TargetGroupArn", world.group()),
        ("Targets.member.1.Id", running),
        ("Targets.member.2.Id", stopped),
    ];
    let refused = world.elb("RegisterTargets", &fields).await;
    assert_eq!(refused.code(), "InvalidTarget");
    assert!(world.listed().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_target_of_an_instance_has_a_real_port_and_no_zone() {
    let world = World::calm();
    for action in [
        "RegisterTargets",
        "DeregisterTargets",
        "DescribeTargetHealth",
    ] {
        for (field, value) in [
            ("Targets.member.1.Port", "0"),
            ("Targets.member.1.Port", "65536"),
            ("Targets.member.1.Port", "http"),
            ("Targets.member.1.AvailabilityZone", "ap-northeast-2a"),
        ] {
            let fields = [
                ("TargetGroupArn", world.group()),
                ("Targets.member.1.Id", world.host(0)),
                (field, value),
            ];
            let code = world.elb(action, &fields).await.code();
            assert_eq!(code, "ValidationError", "{action} {field} {value}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_code_that_nodes_were_answered_with_is_in_the_description() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    for (node, code) in [(0, 503), (1, 404)] {
        let node = world.scene.nodes[node];
        let failed = NodeHealth::Unhealthy(HealthFailure::Status(code));
        world.report_of(node, host, 8080, failed).await;
    }
    let answer = world.target("DescribeTargetHealth", host, Some(8080));
    assert_eq!(
        answer.await.ok().one("Description"),
        "Health checks failed with these codes: [404, 503]"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fixed_check_port_is_shown_and_told_to_the_nodes() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    let fixed = Switch::HealthCheckPort {
        target_group: world.group().to_owned(),
        port: std::num::NonZeroU16::new(9090),
    };
    world.cloud.switch(&fixed).unwrap();
    let groups = world.elb("DescribeTargetGroups", &[]).await.ok();
    assert_eq!(groups.one("HealthCheckPort"), "9090");
    let health = world.target("DescribeTargetHealth", host, None).await.ok();
    assert_eq!(health.one("HealthCheckPort"), "9090");
    let told = world.cloud.topology().borrow().target_groups[0]
        .health_check
        .port;
    assert_eq!(told, Some(9090));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_exist_is_an_invalid_target() {
    let world = World::calm();
    for action in ["RegisterTargets", "DescribeTargetHealth"] {
        assert_eq!(
            world.target(action, "i-0123", Some(8080)).await.code(),
            "InvalidTarget"
        );
    }
    let unknown = world
        .elb("DescribeTargetHealth", &[("TargetGroupArn", "arn:none")])
        .await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (400, "TargetGroupNotFound")
    );
}

#[tokio::test(start_paused = true)]
async fn a_terminated_instance_is_forgotten_in_the_end() {
    let world = World::calm();
    let host = world.host(0);
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    world
        .ec2("TerminateInstances", &[("InstanceId.1", host)])
        .await
        .ok();
    world.wait(1.0).await;
    assert_eq!(
        world.health(host, 8080).await,
        state("unused", "Target.InvalidState")
    );
    world.wait(61.0).await;
    assert!(world.listed().await.is_empty());
    assert_eq!(
        world.health(host, 8080).await,
        state("unused", "Target.NotRegistered")
    );
    world.wait(3600.0).await;
    assert_eq!(
        world
            .target("DescribeTargetHealth", host, Some(8080))
            .await
            .code(),
        "InvalidTarget"
    );
}

#[tokio::test(start_paused = true)]
async fn the_data_plane_is_told_of_every_phase_without_being_asked() {
    let world = slow_to_register();
    let host = world.host(0);
    let mut topology = world.cloud.topology();
    let phase = |topology: &bluegreen_cloud::topology::Topology| {
        topology.target_groups[0]
            .targets
            .first()
            .map(|target| target.phase)
    };
    world.target("RegisterTargets", host, Some(8080)).await.ok();
    assert_eq!(
        phase(&topology.borrow_and_update()),
        Some(TargetPhase::Registering)
    );
    topology.changed().await.unwrap();
    assert_eq!(
        phase(&topology.borrow_and_update()),
        Some(TargetPhase::Active)
    );
    world
        .target("DeregisterTargets", host, Some(8080))
        .await
        .ok();
    let Some(TargetPhase::Draining { until }) = phase(&topology.borrow_and_update()) else {
        panic!("the target drains");
    };
    topology.changed().await.unwrap();
    assert_eq!(phase(&topology.borrow_and_update()), None);
    assert!(world.cloud.clock().now() >= until);
}
