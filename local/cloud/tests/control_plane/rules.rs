//! Listeners, rules and groups: what is refused, and what a change replaces.

use bluegreen_cloud::{
    scene::GroupPlan,
    topology::{Action, WeightedGroup},
};

use crate::support::{Answer, World};

/// A world with as many groups beside the first one.
fn with_groups(count: usize) -> (World, Vec<String>) {
    let world = World::calm();
    let group = |index| GroupPlan::new(&format!("group-{index}"), 8080);
    let built = (0..count).map(|index| {
        world
            .cloud
            .build_group(&world.scene.vpc, &group(index))
            .unwrap()
    });
    let groups = built.collect();
    (world, groups)
}

/// ModifyListener with one forward action to these groups.
async fn forward(world: &World, groups: &[(&str, &str)], more: &[(&str, &str)]) -> Answer {
    let base = "DefaultActions.member.1";
    let mut fields = vec![
        ("ListenerArn".to_owned(), world.scene.listener.clone()),
        (format!("{base}.Type"), "forward".to_owned()),
    ];
    for (index, (arn, weight)) in groups.iter().enumerate() {
        let tuple = format!("{base}.ForwardConfig.TargetGroups.member.{}", index + 1);
        fields.push((format!("{tuple}.TargetGroupArn"), (*arn).to_owned()));
        fields.push((format!("{tuple}.Weight"), (*weight).to_owned()));
    }
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    fields.extend(more.iter().map(owned));
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    world.elb("ModifyListener", &fields).await
}

async fn rule(world: &World, priority: &str, group: &str) -> Answer {
    let fields = [
        ("ListenerArn", world.scene.listener.as_str()),
        ("Priority", priority),
        ("Conditions.member.1.Field", "path-pattern"),
        (
            "Conditions.member.1.PathPatternConfig.Values.member.1",
            "/preview/*",
        ),
        ("Actions.member.1.Type", "forward"),
        ("Actions.member.1.TargetGroupArn", group),
    ];
    world.elb("CreateRule", &fields).await
}

#[tokio::test(start_paused = true)]
async fn weights_reach_the_data_plane_and_a_change_replaces_the_whole_action() {
    let (world, groups) = with_groups(1);
    let (blue, green) = (world.group(), groups[0].as_str());
    let answer = forward(&world, &[(blue, "90"), (green, "10")], &[])
        .await
        .ok();
    assert!(!answer.body.contains("<TargetGroupArn>arn</TargetGroupArn>"));
    let weighted = |arn: &str, weight| WeightedGroup {
        target_group: arn.to_owned(),
        weight,
    };
    let action = |world: &World| {
        let topology = world.cloud.topology().borrow().clone();
        topology.load_balancers[0].listeners[0]
            .rules
            .last()
            .unwrap()
            .action
            .clone()
    };
    let both = Action::Forward(vec![weighted(blue, 90), weighted(green, 10)]);
    assert_eq!(action(&world), both);
    forward(&world, &[(green, "1")], &[]).await.ok();
    assert_eq!(action(&world), Action::Forward(vec![weighted(green, 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_single_group_is_shown_in_both_ways_and_several_in_one() {
    let (world, groups) = with_groups(1);
    let listeners = [("ListenerArns.member.1", world.scene.listener.as_str())];
    let single = world.elb("DescribeListeners", &listeners).await.ok();
    assert_eq!(single.all("TargetGroupArn").len(), 2);
    assert_eq!(single.one("Weight"), "1");
    forward(&world, &[(world.group(), "1"), (&groups[0], "0")], &[])
        .await
        .ok();
    let several = world.elb("DescribeListeners", &listeners).await.ok();
    assert_eq!(several.all("TargetGroupArn").len(), 2);
    assert_eq!(several.all("Weight"), ["1", "0"]);
}

#[tokio::test(start_paused = true)]
async fn impossible_actions_are_refused() {
    let (world, groups) = with_groups(5);
    let first = world.group();
    let six: Vec<(&str, &str)> = groups
        .iter()
        .map(|arn| (arn.as_str(), "1"))
        .chain([(first, "1")])
        .collect();
    let table: [(&[(&str, &str)], &str); 5] = [
        (&six, "ValidationError"),
        (&[(first, "1000")], "ValidationError"),
        (&[(first, "1"), (first, "2")], "ValidationError"),
        (&[("arn:none", "1")], "TargetGroupNotFound"),
        (&[], "InvalidLoadBalancerAction"),
    ];
    for (groups, code) in table {
        assert_eq!(
            forward(&world, groups, &[]).await.code(),
            code,
            "{groups:?}"
        );
    }
    forward(&world, &six[1..], &[]).await.ok();
}

#[tokio::test(start_paused = true)]
async fn fields_that_are_unknown_here_survive_a_change() {
    let (world, groups) = with_groups(1);
    let more = [
        ("DefaultActions.member.1.Order", "7"),
        ("DefaultActions.member.1.FutureConfig.Flavor", "new"),
    ];
    forward(&world, &[(&groups[0], "1")], &more).await.ok();
    let listeners = [("ListenerArns.member.1", world.scene.listener.as_str())];
    let shown = world.elb("DescribeListeners", &listeners).await.ok();
    assert_eq!(
        (shown.one("Order").as_str(), shown.one("Flavor").as_str()),
        ("7", "new")
    );
}

#[tokio::test(start_paused = true)]
async fn a_priority_is_used_once_and_the_default_rule_is_the_listeners() {
    let (world, groups) = with_groups(1);
    let created = rule(&world, "10", &groups[0]).await.ok().one("RuleArn");
    assert_eq!(rule(&world, "10", &groups[0]).await.code(), "PriorityInUse");
    let second = rule(&world, "20", &groups[0]).await.ok().one("RuleArn");
    let swap = |first: &'static str, other: &'static str| {
        [
            ("RulePriorities.member.1.RuleArn", created.clone()),
            ("RulePriorities.member.1.Priority", first.to_owned()),
            ("RulePriorities.member.2.RuleArn", second.clone()),
            ("RulePriorities.member.2.Priority", other.to_owned()),
        ]
    };
    let fields = swap("20", "10");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    world.elb("SetRulePriorities", &fields).await.ok();
    let listed = world
        .elb("DescribeRules", &[("ListenerArn", &world.scene.listener)])
        .await
        .ok();
    assert_eq!(listed.all("Priority"), ["10", "20", "default"]);
    let default = listed.all("RuleArn").pop().unwrap();
    assert_eq!(
        world
            .elb("DeleteRule", &[("RuleArn", &default)])
            .await
            .code(),
        "OperationNotPermitted"
    );
    let modify = [
        ("RuleArn", default.as_str()),
        ("Actions.member.1.Type", "forward"),
        ("Actions.member.1.TargetGroupArn", &groups[0]),
    ];
    assert_eq!(
        world.elb("ModifyRule", &modify).await.code(),
        "OperationNotPermitted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rule_keeps_its_conditions_when_only_its_actions_change() {
    let (world, groups) = with_groups(1);
    let arn = rule(&world, "10", &groups[0]).await.ok().one("RuleArn");
    let modify = [
        ("RuleArn", arn.as_str()),
        ("Actions.member.1.Type", "forward"),
        ("Actions.member.1.TargetGroupArn", world.group()),
    ];
    let modified = world.elb("ModifyRule", &modify).await.ok();
    assert!(modified.body.contains("/preview/*"), "{}", modified.body);
    assert!(modified.body.contains(world.group()));
}

#[tokio::test(start_paused = true)]
async fn a_group_has_one_load_balancer_and_is_kept_while_it_is_used() {
    let world = World::calm();
    let in_use = world
        .elb("DeleteTargetGroup", &[("TargetGroupArn", world.group())])
        .await;
    assert_eq!(in_use.code(), "ResourceInUse");
    let fields = [
        ("Name", "second"),
        ("Subnets.member.1", world.scene.subnets[0].as_str()),
        ("Subnets.member.2", world.scene.subnets[1].as_str()),
    ];
    let second = world
        .elb("CreateLoadBalancer", &fields)
        .await
        .ok()
        .one("LoadBalancerArn");
    let fields = [
        ("LoadBalancerArn", second.as_str()),
        ("Protocol", "HTTP"),
        ("Port", "80"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", world.group()),
    ];
    assert_eq!(
        world.elb("CreateListener", &fields).await.code(),
        "TargetGroupAssociationLimit"
    );
}

#[tokio::test(start_paused = true)]
async fn target_stickiness_behind_weights_needs_group_stickiness() {
    let (world, groups) = with_groups(1);
    let sticky = |arn| {
        [
            ("TargetGroupArn", arn),
            ("Attributes.member.1.Key", "stickiness.enabled"),
            ("Attributes.member.1.Value", "true"),
        ]
    };
    world
        .elb("ModifyTargetGroupAttributes", &sticky(world.group()))
        .await
        .ok();
    let both = [(world.group(), "1"), (groups[0].as_str(), "1")];
    assert_eq!(
        forward(&world, &both, &[]).await.code(),
        "InvalidConfigurationRequest"
    );
    let config = "DefaultActions.member.1.ForwardConfig.TargetGroupStickinessConfig";
    let enabled = format!("{config}.Enabled");
    forward(&world, &both, &[(&enabled, "true")]).await.ok();
    world
        .elb("ModifyTargetGroupAttributes", &sticky(&groups[0]))
        .await
        .ok();
}

#[tokio::test(start_paused = true)]
async fn creating_the_same_group_again_answers_with_it_and_another_is_refused() {
    let world = World::calm();
    let same = [
        ("Name", "games"),
        ("Protocol", "HTTP"),
        ("Port", "8080"),
        ("VpcId", world.scene.vpc.as_str()),
    ];
    assert_eq!(
        world
            .elb("CreateTargetGroup", &same)
            .await
            .ok()
            .one("TargetGroupArn"),
        world.group()
    );
    let other = [
        ("Name", "games"),
        ("Port", "9090"),
        ("VpcId", world.scene.vpc.as_str()),
    ];
    assert_eq!(
        world.elb("CreateTargetGroup", &other).await.code(),
        "DuplicateTargetGroupName"
    );
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_in_pages() {
    let (world, groups) = with_groups(4);
    let mut marker: Option<String> = None;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut fields = vec![("PageSize", "2")];
        fields.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let page = world.elb("DescribeTargetGroups", &fields).await.ok();
        seen.extend(page.all("TargetGroupArn"));
        marker = page.all("NextMarker").pop();
    }
    seen.sort();
    let mut expected: Vec<String> = groups
        .into_iter()
        .chain([world.group().to_owned()])
        .collect();
    expected.sort();
    assert_eq!((seen, marker), (expected, None));
}

#[tokio::test(start_paused = true)]
async fn attributes_are_checked_and_tags_belong_to_each_resource() {
    let world = World::calm();
    let set = |key, value| {
        [
            ("TargetGroupArn", world.group()),
            ("Attributes.member.1.Key", key),
            ("Attributes.member.1.Value", value),
        ]
    };
    let delay = "deregistration_delay.timeout_seconds";
    let refused = world
        .elb("ModifyTargetGroupAttributes", &set(delay, "3601"))
        .await;
    assert_eq!(refused.code(), "ValidationError");
    let refused = world
        .elb("ModifyTargetGroupAttributes", &set("bogus.key", "1"))
        .await;
    assert_eq!(refused.code(), "InvalidConfigurationRequest");
    let tag = [
        ("ResourceArns.member.1", world.scene.listener.as_str()),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "games"),
    ];
    world.elb("AddTags", &tag).await.ok();
    let read = [
        ("ResourceArns.member.1", world.scene.listener.as_str()),
        ("ResourceArns.member.2", world.group()),
    ];
    let tags = world.elb("DescribeTags", &read).await.ok();
    assert_eq!(
        (tags.all("Key"), tags.all("ResourceArn").len()),
        (vec!["team".to_owned()], 2)
    );
    let remove = [
        ("ResourceArns.member.1", world.scene.listener.as_str()),
        ("TagKeys.member.1", "team"),
    ];
    world.elb("RemoveTags", &remove).await.ok();
    assert!(
        world
            .elb("DescribeTags", &read)
            .await
            .ok()
            .all("Key")
            .is_empty()
    );
}
