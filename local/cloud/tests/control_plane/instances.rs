//! Instances: launching exactly once, states, filters, protection, templates.

use std::time::Duration;

use bluegreen_cloud::{Hostility, config::Span, scene::Plan, switches::Switch};

use crate::support::{Answer, World};

const RUN: [(&str, &str); 4] = [
    ("ImageId", "ami-1"),
    ("MinCount", "2"),
    ("MaxCount", "2"),
    ("ClientToken", "token-1"),
];

async fn template(world: &World) -> String {
    let fields = [
        ("LaunchTemplateName", "games"),
        ("LaunchTemplateData.ImageId", "ami-7"),
        ("LaunchTemplateData.InstanceType", "t3.micro"),
        (
            "LaunchTemplateData.TagSpecification.1.ResourceType",
            "instance",
        ),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "from"),
        (
            "LaunchTemplateData.TagSpecification.1.Tag.1.Value",
            "template",
        ),
    ];
    world
        .ec2("CreateLaunchTemplate", &fields)
        .await
        .ok()
        .one("launchTemplateId")
}

fn launched(answer: &Answer) -> Vec<String> {
    answer.all("instanceId")
}

#[tokio::test(start_paused = true)]
async fn the_same_token_launches_once() {
    let world = World::calm();
    let first = world.ec2("RunInstances", &RUN).await.ok();
    let again = world.ec2("RunInstances", &RUN).await.ok();
    assert_eq!(
        (launched(&first).len(), launched(&again)),
        (2, launched(&first))
    );
    let found = [
        ("Filter.1.Name", "client-token"),
        ("Filter.1.Value.1", "token-1"),
    ];
    assert_eq!(
        launched(&world.ec2("DescribeInstances", &found).await.ok()).len(),
        2
    );
    let mut other = RUN;
    other[0].1 = "ami-2";
    assert_eq!(
        world.ec2("RunInstances", &other).await.code(),
        "IdempotentParameterMismatch"
    );
    for id in launched(&first) {
        world
            .ec2("TerminateInstances", &[("InstanceId.1", &id)])
            .await
            .ok();
    }
    world.wait(1.0).await;
    assert_eq!(
        world.ec2("RunInstances", &RUN).await.code(),
        "IdempotentInstanceTerminated"
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_boots_and_may_be_unknown_at_first() {
    let hostility = Hostility {
        boot: Span::exactly(Duration::from_secs(20)),
        not_found_probability: 1.0,
        not_found_for: Span::exactly(Duration::from_secs(2)),
        ..Hostility::calm()
    };
    let world = World::new(hostility, Duration::ZERO);
    let ids = launched(&world.ec2("RunInstances", &RUN).await.ok());
    let named = [("InstanceId.1", ids[0].as_str())];
    let unknown = world.ec2("DescribeInstances", &named).await;
    assert_eq!(unknown.code(), "InvalidInstanceID.NotFound");
    world.wait(2.001).await;
    assert_eq!(
        world
            .ec2("DescribeInstances", &named)
            .await
            .ok()
            .one("name"),
        "pending"
    );
    world.wait(18.0).await;
    assert_eq!(
        world
            .ec2("DescribeInstances", &named)
            .await
            .ok()
            .one("name"),
        "running"
    );
}

#[tokio::test(start_paused = true)]
async fn a_protected_instance_saves_its_zone_and_fails_the_call() {
    let world = World::calm();
    let mut in_zone_a = RUN.to_vec();
    in_zone_a.push(("SubnetId", &world.scene.subnets[0]));
    let pair = launched(&world.ec2("RunInstances", &in_zone_a).await.ok());
    let [protected, neighbour] = pair.as_slice() else {
        panic!("two were launched");
    };
    let elsewhere = world.host(1);
    let protect = [
        ("InstanceId", protected.as_str()),
        ("DisableApiTermination.Value", "true"),
    ];
    world.ec2("ModifyInstanceAttribute", &protect).await.ok();
    let all = [
        ("InstanceId.1", protected.as_str()),
        ("InstanceId.2", neighbour.as_str()),
        ("InstanceId.3", elsewhere),
    ];
    assert_eq!(
        world.ec2("TerminateInstances", &all).await.code(),
        "OperationNotPermitted"
    );
    world.wait(1.0).await;
    for (id, expected) in [
        (protected.as_str(), "running"),
        (neighbour.as_str(), "running"),
        (elsewhere, "terminated"),
    ] {
        let state = world
            .ec2("DescribeInstances", &[("InstanceId.1", id)])
            .await
            .ok()
            .one("name");
        assert_eq!(state, expected, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_unknown_id_fails_the_whole_call() {
    let world = World::calm();
    let ids = [("InstanceId.1", world.host(0)), ("InstanceId.2", "i-0")];
    for action in ["DescribeInstances", "TerminateInstances", "StopInstances"] {
        assert_eq!(
            world.ec2(action, &ids).await.code(),
            "InvalidInstanceID.NotFound",
            "{action}"
        );
    }
    let state = world
        .ec2("DescribeInstances", &ids[..1])
        .await
        .ok()
        .one("name");
    assert_eq!(state, "running");
}

#[tokio::test(start_paused = true)]
async fn stopping_and_starting_tells_the_host_and_takes_its_time() {
    let hostility = Hostility {
        halt: Span::exactly(Duration::from_secs(8)),
        boot: Span::exactly(Duration::from_secs(9)),
        ..Hostility::calm()
    };
    let world = World::new(hostility, Duration::ZERO);
    let host = [("InstanceId.1", world.host(0))];
    let status = |answer: Answer| answer.ok().one("name");
    world.ec2("StopInstances", &host).await.ok();
    assert_eq!(
        status(world.ec2("DescribeInstances", &host).await),
        "stopping"
    );
    assert_eq!(
        world.ec2("StartInstances", &host).await.code(),
        "IncorrectInstanceState"
    );
    world.wait(8.001).await;
    assert_eq!(
        status(world.ec2("DescribeInstances", &host).await),
        "stopped"
    );
    assert_eq!(
        *world.notes.lock().unwrap(),
        [format!("halt {} Stopped", world.host(0))]
    );
    assert!(
        world
            .ec2("DescribeInstanceStatus", &host)
            .await
            .ok()
            .all("instanceId")
            .is_empty()
    );
    world.ec2("StartInstances", &host).await.ok();
    world.wait(9.001).await;
    assert_eq!(
        status(world.ec2("DescribeInstances", &host).await),
        "running"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pinned_template_version_stays_what_it_was() {
    let world = World::calm();
    let id = template(&world).await;
    let second = [
        ("LaunchTemplateId", id.as_str()),
        ("SourceVersion", "1"),
        ("LaunchTemplateData.ImageId", "ami-8"),
    ];
    let version = world.ec2("CreateLaunchTemplateVersion", &second).await.ok();
    // What the new version leaves open it takes from the source.
    assert_eq!(
        (
            version.one("versionNumber").as_str(),
            version.one("instanceType").as_str()
        ),
        ("2", "t3.micro")
    );
    for (version, image) in [("1", "ami-7"), ("$Latest", "ami-8"), ("$Default", "ami-7")] {
        let run = [
            ("LaunchTemplate.LaunchTemplateId", id.as_str()),
            ("LaunchTemplate.Version", version),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "own"),
            ("TagSpecification.1.Tag.1.Value", version),
        ];
        let answer = world.ec2("RunInstances", &run).await.ok();
        assert_eq!(answer.one("imageId"), image);
        assert_eq!(
            answer.all("key"),
            [
                "aws:ec2launchtemplate:id",
                "aws:ec2launchtemplate:version",
                "from",
                "own"
            ]
        );
    }
    let run = [
        ("LaunchTemplate.LaunchTemplateId", id.as_str()),
        ("LaunchTemplate.Version", "9"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    assert_eq!(
        world.ec2("RunInstances", &run).await.code(),
        "InvalidLaunchTemplateId.VersionNotFound"
    );
}

#[tokio::test(start_paused = true)]
async fn a_zone_without_room_launches_what_it_can_or_nothing() {
    let world = World::calm();
    let instances = Some(3);
    let zone = "ap-northeast-2a".to_owned();
    world
        .cloud
        .switch(&Switch::Capacity { zone, instances })
        .unwrap();
    let run = |min: &'static str, max: &'static str| {
        [
            ("ImageId", "ami-1".to_owned()),
            ("SubnetId", world.scene.subnets[0].clone()),
            ("MinCount", min.to_owned()),
            ("MaxCount", max.to_owned()),
        ]
    };
    for (min, max, launches) in [("3", "5", 0), ("1", "5", 2), ("1", "1", 0)] {
        let fields = run(min, max);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let answer = world.ec2("RunInstances", &fields).await;
        assert_eq!(launched(&answer).len(), launches, "{}", answer.body);
        if launches == 0 {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (500, "InsufficientInstanceCapacity")
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn instances_are_found_by_tags_and_in_pages() {
    let world = World::calm();
    let tag = [
        ("ResourceId.1", world.host(0)),
        ("Tag.1.Key", "Version"),
        ("Tag.1.Value", "1.8.0"),
    ];
    world.ec2("CreateTags", &tag).await.ok();
    let table = [
        ("tag:Version", "1.8.*", 1),
        ("tag-key", "app", 2),
        ("instance-state-name", "stopped", 0),
    ];
    for (name, value, count) in table {
        let filter = [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
        let found = launched(&world.ec2("DescribeInstances", &filter).await.ok());
        assert_eq!(found.len(), count, "{name}");
    }
    let unknown = world
        .ec2("DescribeInstances", &[("Filter.1.Name", "bogus")])
        .await;
    assert_eq!(unknown.code(), "InvalidParameterValue");
    for size in ["4", "1001", "many"] {
        let refused = world
            .ec2("DescribeInstances", &[("MaxResults", size)])
            .await;
        assert_eq!(refused.code(), "InvalidParameterValue", "{size}");
    }
    world.cloud.build(&Plan::simple("more", 8080, 4)).unwrap();
    let first = world
        .ec2("DescribeInstances", &[("MaxResults", "5")])
        .await
        .ok();
    let token = first.one("nextToken");
    let rest = world
        .ec2(
            "DescribeInstances",
            &[("MaxResults", "5"), ("NextToken", &token)],
        )
        .await
        .ok();
    assert_eq!(
        (
            launched(&first).len(),
            launched(&rest).len(),
            rest.all("nextToken").len()
        ),
        (5, 1, 0)
    );
    world.ec2("DeleteTags", &tag[..2]).await.ok();
    let filter = [("Filter.1.Name", "key"), ("Filter.1.Value.1", "Version")];
    assert!(
        world
            .ec2("DescribeTags", &filter)
            .await
            .ok()
            .all("value")
            .is_empty()
    );
    assert_eq!(
        world
            .ec2("StopInstances", &[("DryRun", "true"), tag[0]])
            .await
            .code(),
        "DryRunOperation"
    );
}
