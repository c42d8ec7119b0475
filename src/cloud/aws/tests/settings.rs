//! The settings of target groups.

use super::{Fake, Seen, arn, caller, xml};
use crate::{
    api::{Duration, TargetGroupRef},
    cloud::{Cloud, Error},
    plan::{FailureKind, GroupSettings},
};

type Pairs = &'static [(&'static str, &'static str)];

fn listed(pairs: &[(&str, &str)]) -> String {
    let members = pairs
        .iter()
        .map(|(key, value)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>"));
    format!("<Attributes>{}</Attributes>", members.collect::<String>())
}

/// A group of this protocol and port of the health check, its attributes, and those of each of its
/// load balancers.
fn group(
    protocol: &'static str,
    port: &'static str,
    own: Pairs,
    balancers: &'static [Pairs],
) -> Fake {
    Fake::new(move |seen: &Seen| match seen.operation.as_str() {
        "DescribeTargetGroups" => {
            let arns = (0..balancers.len())
                .map(|number| format!("<member>arn:aws:x:loadbalancer/net/a/{number}</member>"));
            xml(
                "DescribeTargetGroups",
                &format!(
                    "<TargetGroups><member><TargetGroupArn>{}</TargetGroupArn><TargetGroupName>shop\
                     </TargetGroupName><Protocol>{protocol}</Protocol><HealthCheckPort>{port}\
                     </HealthCheckPort><LoadBalancerArns>{}</LoadBalancerArns><TargetType>instance\
                     </TargetType></member></TargetGroups>",
                    arn(),
                    arns.collect::<String>()
                ),
            )
        }
        "DescribeTargetGroupAttributes" => {
            let delay = [("deregistration_delay.timeout_seconds", "300")];
            xml(&seen.operation, &listed(&[&delay[..], own].concat()))
        }
        _ => {
            let arn = &seen.form["LoadBalancerArn"];
            let number: usize = arn.rsplit('/').next().unwrap().parse().unwrap();
            xml(&seen.operation, &listed(balancers[number]))
        }
    })
}

async fn settings(fake: &Fake) -> Result<GroupSettings, Error> {
    let group = TargetGroupRef {
        arn: None,
        name: Some("shop".to_owned()),
    };
    let found = fake.cloud.target_group(&caller(), &group, None).await?;
    Ok(found.settings)
}

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const TERMINATION: &str = "deregistration_delay.connection_termination.enabled";
const ASK: (&str, &str) = (CROSS_ZONE, "use_load_balancer_configuration");

#[tokio::test(start_paused = true)]
async fn settings_are_read() {
    let own: Pairs = &[
        ("slow_start.duration_seconds", "300"),
        ("stickiness.enabled", "true"),
        (CROSS_ZONE, "false"),
    ];
    let found = settings(&group("HTTP", "9000", own, &[&[]])).await.unwrap();
    let expected = GroupSettings {
        health_check_port: Some(9000),
        slow_start: Duration::from_secs(300),
        stickiness: true,
        cross_zone: false,
        connection_termination: true,
    };
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_set_is_what_aws_documents() {
    let fake = group("HTTP", "traffic-port", &[ASK], &[&[]]);
    assert_eq!(settings(&fake).await.unwrap(), GroupSettings::default());
    let asked = fake.operations();
    assert!(!asked.contains(&"DescribeLoadBalancerAttributes".to_owned()));
    let found = settings(&group("TCP", "traffic-port", &[], &[])).await;
    let expected = GroupSettings {
        cross_zone: false,
        connection_termination: false,
        ..GroupSettings::default()
    };
    assert_eq!(found.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_network_load_balancer_says_itself_whether_it_crosses_zones() {
    const ON: Pairs = &[(CROSS_ZONE, "true")];
    const OFF: Pairs = &[(CROSS_ZONE, "false")];
    let of_all: [(&[Pairs], bool); 5] = [
        (&[ON], true),
        (&[OFF], false),
        (&[&[]], false),
        (&[ON, ON], true),
        (&[ON, OFF], false),
    ];
    for (balancers, crosses) in of_all {
        let fake = group(
            "TCP",
            "traffic-port",
            &[ASK, (TERMINATION, "true")],
            balancers,
        );
        let found = settings(&fake).await.unwrap();
        assert_eq!(found.cross_zone, crosses, "{balancers:?}");
        assert!(found.connection_termination);
        tokio::time::sleep(std::time::Duration::from_secs(40)).await;
        settings(&fake).await.unwrap();
        let asked = fake.operations();
        let of_balancers = asked.iter().filter(|one| one.contains("LoadBalancer"));
        assert_eq!(of_balancers.count(), balancers.len(), "kept for a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_cannot_be_read_is_not_taken_for_its_default() {
    let wrong: [(&str, Pairs); 5] = [
        ("http", &[]),
        ("8080", &[("slow_start.duration_seconds", "soon")]),
        ("8080", &[("stickiness.enabled", "yes")]),
        ("8080", &[(CROSS_ZONE, "perhaps")]),
        ("8080", &[(TERMINATION, "")]),
    ];
    for (port, own) in wrong {
        let failed = settings(&group("TCP", port, own, &[])).await.unwrap_err();
        assert_eq!(failed.kind(), FailureKind::Unavailable, "{port} {own:?}");
        let named = own.first().map_or("health check port", |(key, _)| key);
        assert!(failed.to_string().contains(named), "{failed}");
    }
}
