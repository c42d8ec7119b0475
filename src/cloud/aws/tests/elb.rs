//! Target groups and their targets.

use super::{Fake, Reply, Seen, arn, caller, elb_error, targets, xml};
use crate::{
    api::{Duration, TargetGroupRef},
    cloud::Cloud,
    plan::{FailureKind, Health, LoadBalancerKind, TargetId},
};

fn by_name() -> TargetGroupRef {
    TargetGroupRef {
        arn: None,
        name: Some("shop".to_owned()),
    }
}

fn by_arn() -> TargetGroupRef {
    TargetGroupRef {
        arn: Some(arn().0),
        name: None,
    }
}

fn group(target_type: &str, protocol: &str, balancers: &str) -> String {
    let protocol = match protocol {
        "" => String::new(),
        protocol => format!("<Protocol>{protocol}</Protocol><Port>80</Port>"),
    };
    format!(
        "<TargetGroups><member><TargetGroupArn>{}</TargetGroupArn>\
         <TargetGroupName>shop</TargetGroupName>{protocol}<VpcId>vpc-1</VpcId>\
         <HealthCheckEnabled>true</HealthCheckEnabled>\
         <HealthCheckIntervalSeconds>15</HealthCheckIntervalSeconds>\
         <LoadBalancerArns>{balancers}</LoadBalancerArns>\
         <TargetType>{target_type}</TargetType></member></TargetGroups>",
        arn()
    )
}

fn attributes(delay: &str) -> Reply {
    let delay = match delay {
        "" => String::new(),
        delay => format!(
            "<member><Key>deregistration_delay.timeout_seconds</Key><Value>{delay}</Value></member>"
        ),
    };
    xml(
        "DescribeTargetGroupAttributes",
        &format!(
            "<Attributes><member><Key>stickiness.enabled</Key><Value>false</Value></member>\
             {delay}</Attributes>"
        ),
    )
}

fn describing(groups: String, delay: &'static str) -> Fake {
    Fake::new(move |seen| match seen.operation.as_str() {
        "DescribeTargetGroups" => xml("DescribeTargetGroups", &groups),
        _ => attributes(delay),
    })
}

const BALANCER: &str = "<member>arn:aws:elasticloadbalancing:x:loadbalancer/app/a/1</member>";

#[tokio::test(start_paused = true)]
async fn a_target_group_is_found_by_name_with_its_delay() {
    let fake = describing(group("instance", "HTTP", BALANCER), "120");
    let found = fake
        .cloud
        .target_group(&caller(), &by_name(), None)
        .await
        .unwrap();
    assert_eq!(found.arn, arn());
    assert_eq!(found.name, "shop");
    assert_eq!(found.load_balancer, LoadBalancerKind::Application);
    assert!(found.instance_targets && found.in_use);
    assert_eq!(found.delay, Duration::from_secs(120));
    let seen = fake.seen();
    assert_eq!(seen[0].values("Names.member", ""), ["shop"]);
    assert_eq!(seen[1].form["TargetGroupArn"], arn().0);
}

#[tokio::test(start_paused = true)]
async fn a_target_group_is_found_by_arn() {
    let fake = describing(group("instance", "HTTP", ""), "0");
    let found = fake
        .cloud
        .target_group(&caller(), &by_arn(), None)
        .await
        .unwrap();
    assert!(!found.in_use);
    assert_eq!(found.delay, Duration::ZERO);
    let seen = fake.seen();
    assert_eq!(seen[0].values("TargetGroupArns.member", ""), [arn().0]);
    assert!(!seen[0].form.contains_key("Names.member.1"));
}

#[tokio::test(start_paused = true)]
async fn a_description_is_kept_for_half_a_minute() {
    let fake = describing(group("instance", "HTTP", BALANCER), "120");
    for _ in 0..100 {
        fake.cloud
            .target_group(&caller(), &by_name(), None)
            .await
            .unwrap();
    }
    assert_eq!(fake.operations().len(), 2);
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    fake.cloud
        .target_group(&caller(), &by_name(), None)
        .await
        .unwrap();
    assert_eq!(fake.operations().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_a_description_are_turned() {
    let fake = Fake::new(
        |seen| match (seen.operation.as_str(), seen.form.get("Marker")) {
            ("DescribeTargetGroups", None) => xml(
                "DescribeTargetGroups",
                "<TargetGroups/><NextMarker>page-2</NextMarker>",
            ),
            ("DescribeTargetGroups", Some(marker)) => {
                assert_eq!(marker, "page-2");
                xml("DescribeTargetGroups", &group("instance", "TLS", ""))
            }
            _ => attributes("300"),
        },
    );
    let found = fake
        .cloud
        .target_group(&caller(), &by_name(), None)
        .await
        .unwrap();
    assert_eq!(found.load_balancer, LoadBalancerKind::Network);
}

#[tokio::test(start_paused = true)]
async fn the_protocol_tells_the_kind_of_load_balancer() {
    for (protocol, kind) in [
        ("HTTPS", LoadBalancerKind::Application),
        ("TCP", LoadBalancerKind::Network),
        ("TCP_UDP", LoadBalancerKind::Network),
        ("QUIC", LoadBalancerKind::Network),
        ("SOMETHING_NEW", LoadBalancerKind::Network),
        ("GENEVE", LoadBalancerKind::Gateway),
    ] {
        let fake = describing(group("instance", protocol, ""), "300");
        let found = fake
            .cloud
            .target_group(&caller(), &by_name(), None)
            .await
            .unwrap();
        assert_eq!(found.load_balancer, kind, "{protocol}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_is_not_told_is_not_taken_for_none() {
    let fake = describing(group("instance", "HTTP", ""), "");
    let failed = fake
        .cloud
        .target_group(&caller(), &by_name(), None)
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Unavailable);
    assert!(
        failed.to_string().contains("deregistration delay"),
        "{failed}"
    );
    let fake = describing(group("lambda", "", ""), "");
    let found = fake
        .cloud
        .target_group(&caller(), &by_name(), None)
        .await
        .unwrap();
    assert!(!found.instance_targets);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_not_there_is_not_found() {
    let empty = describing("<TargetGroups/>".to_owned(), "300");
    let refused = Fake::new(|_| {
        elb_error(
            400,
            "TargetGroupNotFound",
            "One or more target groups not found",
        )
    });
    for fake in [empty, refused] {
        let failed = fake
            .cloud
            .target_group(&caller(), &by_name(), None)
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), FailureKind::NotFound);
        assert!(failed.to_string().contains("target group shop"), "{failed}");
    }
}

fn listed(id: &str, port: &str, state: &str, reason: &str) -> String {
    let reason = match reason {
        "" => String::new(),
        reason => format!("<Reason>{reason}</Reason><Description>words</Description>"),
    };
    format!(
        "<member><Target><Id>{id}</Id>{port}</Target><HealthCheckPort>8080</HealthCheckPort>\
         <TargetHealth><State>{state}</State>{reason}</TargetHealth></member>"
    )
}

fn health(members: &str) -> Reply {
    xml(
        "DescribeTargetHealth",
        &format!("<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"),
    )
}

#[tokio::test(start_paused = true)]
async fn states_are_read_by_state_and_reason() {
    let states = [
        ("initial", "Elb.RegistrationInProgress", Health::Initial),
        ("healthy", "", Health::Healthy),
        ("unhealthy", "Target.Timeout", Health::Unhealthy),
        ("unhealthy.draining", "", Health::Unhealthy),
        (
            "draining",
            "Target.DeregistrationInProgress",
            Health::Draining,
        ),
        ("unused", "Target.NotRegistered", Health::NotRegistered),
        ("unused", "Target.NotInUse", Health::NotInUse),
        ("unused", "Target.InvalidState", Health::InvalidState),
        ("unused", "Target.IpUnusable", Health::Other),
        ("unused", "", Health::Other),
        ("unavailable", "Elb.InternalError", Health::Other),
        ("invented.tomorrow", "", Health::Other),
    ];
    let fake = Fake::new(move |_| {
        let members: Vec<String> = states
            .iter()
            .enumerate()
            .map(|(n, (state, reason, _))| {
                listed(&format!("i-{n:02}"), "<Port>8080</Port>", state, reason)
            })
            .collect();
        health(&members.concat())
    });
    let read = fake.cloud.target_health(&caller(), &arn()).await.unwrap();
    for (n, (state, reason, health)) in states.iter().enumerate() {
        let target = TargetId {
            id: format!("i-{n:02}"),
            port: 8080,
        };
        assert_eq!(read.targets[&target], *health, "{state} {reason}");
    }
    let seen: &Seen = &fake.seen()[0];
    assert_eq!(seen.form["TargetGroupArn"], arn().0);
    assert!(!seen.form.keys().any(|key| key.starts_with("Targets")));
}

#[tokio::test(start_paused = true)]
async fn a_target_is_its_id_and_its_port() {
    let fake = Fake::new(|_| {
        health(
            &[
                listed("i-1", "<Port>8080</Port>", "healthy", ""),
                listed("i-1", "<Port>8081</Port>", "draining", ""),
            ]
            .concat(),
        )
    });
    let read = fake.cloud.target_health(&caller(), &arn()).await.unwrap();
    assert_eq!(read.targets.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_targets_is_empty() {
    let fake = Fake::new(|_| health(""));
    let read = fake.cloud.target_health(&caller(), &arn()).await.unwrap();
    assert!(read.targets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_read_is_not_taken_for_gone() {
    for port in ["", "<Port>70000</Port>"] {
        let fake = Fake::new(move |_| health(&listed("i-1", port, "healthy", "")));
        let failed = fake
            .cloud
            .target_health(&caller(), &arn())
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), FailureKind::Unavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn both_effects_carry_id_and_port_and_at_most_200_targets() {
    let fake = Fake::new(|seen| xml(&seen.operation, ""));
    fake.cloud
        .register(&caller(), &arn(), &targets(201))
        .await
        .unwrap();
    fake.cloud
        .deregister(&caller(), &arn(), &targets(201))
        .await
        .unwrap();
    let seen = fake.seen();
    assert_eq!(
        fake.operations(),
        [
            "RegisterTargets",
            "RegisterTargets",
            "DeregisterTargets",
            "DeregisterTargets"
        ]
    );
    for (request, count) in seen.iter().zip([200, 1, 200, 1]) {
        let ports = request.values("Targets.member", ".Port");
        assert_eq!(request.values("Targets.member", ".Id").len(), count);
        assert_eq!(ports, vec!["8080"; count]);
        assert_eq!(request.form["TargetGroupArn"], arn().0);
    }
    assert_eq!(seen[1].values("Targets.member", ".Id"), ["i-200"]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_does_not_keep_the_others_registered() {
    let fake = Fake::new(|seen| {
        if seen.values("Targets.member", ".Id").contains(&"i-2") {
            elb_error(400, "InvalidTarget", "The following targets are not valid")
        } else {
            xml("DeregisterTargets", "")
        }
    });
    fake.cloud
        .deregister(&caller(), &arn(), &targets(4))
        .await
        .unwrap();
    let done: Vec<Vec<String>> = fake
        .seen()
        .iter()
        .map(|seen| seen.values("Targets.member", ".Id"))
        .map(|ids| ids.into_iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(
        done,
        [
            vec!["i-0", "i-1", "i-2", "i-3"],
            vec!["i-0", "i-1"],
            vec!["i-2", "i-3"],
            vec!["i-2"],
            vec!["i-3"]
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_be_a_target_is_not_registered_silently() {
    let fake = Fake::new(|_| elb_error(400, "InvalidTarget", "i-0 is not running"));
    let failed = fake
        .cloud
        .register(&caller(), &arn(), &targets(1))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Rejected);
    assert!(
        failed.to_string().contains("i-0 is not running"),
        "{failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_load_balancer_says_of_targets_that_are_not_healthy_is_kept_and_bounded() {
    let long = "ä".repeat(400_000);
    let fake = Fake::new(move |_| {
        let targets = [
            listed("i-0", "<Port>80</Port>", "healthy", ""),
            listed("i-1", "<Port>80</Port>", "unhealthy", "Target.Timeout"),
            listed("i-2", "<Port>80</Port>", "unused", "Target.NotInUse").replace("words", &long),
            listed("i-3", "<Port>80</Port>", "initial", ""),
        ];
        health(&targets.concat())
    });
    let read = fake.cloud.target_health(&caller(), &arn()).await.unwrap();
    assert_eq!(read.targets.len(), 4);
    let reason = |id: &str| {
        let id = id.to_owned();
        read.reasons.get(&TargetId { id, port: 80 })
    };
    assert_eq!(reason("i-0"), None);
    assert_eq!(reason("i-1").unwrap(), "Target.Timeout: words");
    assert_eq!(reason("i-3"), None);
    let long = reason("i-2").unwrap();
    assert!(
        long.starts_with("Target.NotInUse: ä") && long.len() <= 256,
        "{}",
        long.len()
    );
}
