//! Target groups: what AWS refuses, and what each protocol has.

use crate::support::World;

async fn create(world: &World, name: &str, more: &[(&str, &str)]) -> crate::support::Answer {
    let mut fields = vec![
        ("Name", name),
        ("VpcId", world.scene.vpc.as_str()),
        ("Port", "8080"),
        ("Protocol", "HTTP"),
    ];
    for (name, value) in more {
        fields.retain(|(known, _)| known != name);
        fields.push((*name, *value));
    }
    world.elb("CreateTargetGroup", &fields).await
}

#[tokio::test(start_paused = true)]
async fn a_group_that_aws_would_refuse_is_refused() {
    let world = World::calm();
    let long = "a".repeat(33);
    for name in [long.as_str(), "-blue", "blue-", "blue_green"] {
        assert_eq!(
            create(&world, name, &[]).await.code(),
            "ValidationError",
            "{name}"
        );
        let fields = [
            ("Name", name),
            ("Subnets.member.1", world.scene.subnets[0].as_str()),
            ("Subnets.member.2", world.scene.subnets[1].as_str()),
        ];
        let code = world.elb("CreateLoadBalancer", &fields).await.code();
        assert_eq!(code, "ValidationError", "{name}");
    }
    for (field, value) in [
        ("Port", "0"),
        ("Port", "65536"),
        ("HealthCheckPath", "health"),
        ("HealthCheckPort", "0"),
        ("Protocol", "GENEVE"),
        ("Tags.member.1.Key", "aws:mine"),
    ] {
        let code = create(&world, "blue", &[(field, value)]).await.code();
        assert_eq!(code, "ValidationError", "{field} {value}");
    }
    let changed = [
        ("TargetGroupArn", world.group()),
        ("HealthCheckPath", "no-slash"),
    ];
    let code = world.elb("ModifyTargetGroup", &changed).await.code();
    assert_eq!(code, "ValidationError");
    let names = world.elb("DescribeTargetGroups", &[]).await.ok();
    assert_eq!(names.all("TargetGroupName"), ["games"]);
    create(&world, &long[..32], &[]).await.ok();
}

#[tokio::test(start_paused = true)]
async fn only_aws_sets_tags_that_begin_with_its_name() {
    let world = World::calm();
    let fields = [
        ("ResourceArns.member.1", world.group()),
        ("Tags.member.1.Key", "AWS:mine"),
    ];
    assert_eq!(
        world.elb("AddTags", &fields).await.code(),
        "ValidationError"
    );
    for action in ["CreateTags", "DeleteTags"] {
        let fields = [("ResourceId.1", world.host(0)), ("Tag.1.Key", "aws:mine")];
        let code = world.ec2(action, &fields).await.code();
        assert_eq!(code, "InvalidParameterValue", "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_groups_are_described_at_once_or_not_at_all() {
    let world = World::calm();
    let arn = create(&world, "blue", &[]).await.ok().one("TargetGroupArn");
    let described = async |list: &str, values: [&str; 2]| {
        let names = [format!("{list}.member.1"), format!("{list}.member.2")];
        let fields = [
            (names[0].as_str(), values[0]),
            (names[1].as_str(), values[1]),
        ];
        world.elb("DescribeTargetGroups", &fields).await
    };
    let both = described("Names", ["games", "blue"]).await.ok();
    assert_eq!(both.all("TargetGroupName").len(), 2);
    let both = described("TargetGroupArns", [&arn, world.group()])
        .await
        .ok();
    assert_eq!(both.all("TargetGroupName").len(), 2);
    for (list, known, unknown) in [
        ("Names", "games", "typo"),
        ("TargetGroupArns", arn.as_str(), "arn:aws:none"),
    ] {
        let code = described(list, [known, unknown]).await.code();
        assert_eq!(code, "TargetGroupNotFound", "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_attributes_of_a_network_group_are_those_of_its_protocol() {
    let world = World::calm();
    let tcp = create(&world, "flows", &[("Protocol", "TCP")]).await.ok();
    assert_eq!(tcp.one("Protocol"), "TCP");
    let arn = tcp.one("TargetGroupArn");
    let attributes = async |arn: &str| {
        let fields = [("TargetGroupArn", arn)];
        let answer = world
            .elb("DescribeTargetGroupAttributes", &fields)
            .await
            .ok();
        let keys = answer.all("Key");
        keys.into_iter()
            .zip(answer.all("Value"))
            .collect::<Vec<_>>()
    };
    let has = |attributes: &[(String, String)], key: &str| {
        let found = attributes.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.clone())
    };
    let termination = "deregistration_delay.connection_termination.enabled";
    let network = attributes(&arn).await;
    assert_eq!(has(&network, termination).as_deref(), Some("false"));
    let http = attributes(world.group()).await;
    assert_eq!(has(&http, termination), None);
    assert_eq!(
        has(&http, "slow_start.duration_seconds").as_deref(),
        Some("0")
    );
    let forward = [
        ("ListenerArn", world.scene.listener.as_str()),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", arn.as_str()),
    ];
    let code = world.elb("ModifyListener", &forward).await.code();
    assert_eq!(code, "IncompatibleProtocols");
    let fields = [("LoadBalancerArn", world.scene.load_balancer.as_str())];
    let balancer = world
        .elb("DescribeLoadBalancerAttributes", &fields)
        .await
        .ok();
    let keys = balancer.all("Key").into_iter().zip(balancer.all("Value"));
    let keys: Vec<_> = keys.collect();
    let cross_zone = has(&keys, "load_balancing.cross_zone.enabled");
    assert_eq!(cross_zone.as_deref(), Some("true"));
}
