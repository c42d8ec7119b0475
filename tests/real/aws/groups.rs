//! Target groups: what they are, by name and by ARN.

use bluegreen::{
    api::Duration,
    cloud::{TargetGroup, TargetGroupArn},
    plan::{FailureKind, GroupSettings, LoadBalancerKind},
};

use super::{
    super::report::{Side, Suite},
    by_arn, by_name,
    moto::Moto,
    refused,
};

pub(super) async fn suite(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "a target group and its attributes",
            described(moto),
        )
        .await;
    suite
        .case(Side::Real, "a target group in use", in_use(moto))
        .await;
    suite
        .case(Side::Real, "zones of a network load balancer", zones(moto))
        .await;
    suite
        .case(Side::Real, "kinds of target groups", kinds(moto))
        .await;
    suite
        .case(Side::Real, "a region is a place of its own", regions(moto))
        .await;
}

async fn described(moto: &Moto<'_>) {
    let arn = moto.group("described").await;
    moto.text(&format!(
        "elbv2 modify-target-group-attributes --target-group-arn {arn} \
         --attributes Key=deregistration_delay.timeout_seconds,Value=7"
    ))
    .await;
    let mut expected = TargetGroup {
        arn: TargetGroupArn(arn.clone()),
        name: "described".to_owned(),
        load_balancer: LoadBalancerKind::Application,
        instance_targets: true,
        in_use: false,
        delay: Duration::from_secs(7),
        settings: GroupSettings::default(),
    };
    for reference in [by_name("described"), by_arn(&arn)] {
        let seen = moto.edge().await.target_group(&reference).await.unwrap();
        assert_eq!(seen, expected);
    }
    // A group of which nobody has said how long it drains.
    let arn = moto.group("default").await;
    expected.arn = TargetGroupArn(arn);
    expected.name = "default".to_owned();
    expected.delay = Duration::from_secs(300);
    let seen = moto.edge().await.target_group(&by_name("default")).await;
    assert_eq!(seen.unwrap(), expected);
}

/// A group is in use from the moment that a listener names it.
async fn in_use(moto: &Moto<'_>) {
    let arn = moto.group("used").await;
    let subnets = moto
        .text("ec2 describe-subnets --query Subnets[].SubnetId")
        .await;
    let balancer = moto
        .text(&format!(
            "elbv2 create-load-balancer --name used --subnets {subnets} \
             --query LoadBalancers[].LoadBalancerArn"
        ))
        .await;
    let edge = moto.edge().await;
    let before = edge.target_group(&by_name("used")).await.unwrap();
    assert!(!before.in_use, "{before:?}");
    moto.text(&format!(
        "elbv2 create-listener --load-balancer-arn {balancer} --protocol HTTP --port 80 \
         --default-actions Type=forward,TargetGroupArn={arn}"
    ))
    .await;
    let edge = moto.edge().await;
    let after = edge.target_group(&by_name("used")).await.unwrap();
    assert!(after.in_use, "{after:?}");
}

/// A group leaves it to its load balancer whether requests cross zones, until it says otherwise.
async fn zones(moto: &Moto<'_>) {
    let vpc = moto.vpc().await;
    let subnets = moto
        .text("ec2 describe-subnets --query Subnets[].SubnetId")
        .await;
    let arn = moto
        .text(&format!(
            "elbv2 create-target-group --name zones --protocol TCP --port 8080 --vpc-id {vpc} \
             --query TargetGroups[].TargetGroupArn"
        ))
        .await;
    let balancer = moto
        .text(&format!(
            "elbv2 create-load-balancer --name zones --type network --subnets {subnets} \
             --query LoadBalancers[].LoadBalancerArn"
        ))
        .await;
    moto.text(&format!(
        "elbv2 create-listener --load-balancer-arn {balancer} --protocol TCP --port 80 \
         --default-actions Type=forward,TargetGroupArn={arn}"
    ))
    .await;
    let crosses = async || {
        let edge = moto.edge().await;
        let seen = edge.target_group(&by_name("zones")).await.unwrap();
        seen.settings.cross_zone
    };
    for word in ["true", "false"] {
        let word = format!("Key=load_balancing.cross_zone.enabled,Value={word}");
        let modify = "elbv2 modify-load-balancer-attributes --load-balancer-arn";
        moto.text(&format!("{modify} {balancer} --attributes {word}"))
            .await;
        assert_eq!(crosses().await, word.ends_with("true"), "{word}");
    }
    moto.text(&format!(
        "elbv2 modify-target-group-attributes --target-group-arn {arn} \
         --attributes Key=load_balancing.cross_zone.enabled,Value=true"
    ))
    .await;
    assert!(crosses().await);
}

async fn kinds(moto: &Moto<'_>) {
    let vpc = moto.vpc().await;
    let instances = format!("--port 8080 --vpc-id {vpc} --target-type instance");
    let addresses = format!("--port 8080 --vpc-id {vpc} --target-type ip");
    for (name, options, kind, instance_targets) in [
        ("tcp", &*instances, LoadBalancerKind::Network, true),
        ("udp", &instances, LoadBalancerKind::Network, true),
        ("tls", &instances, LoadBalancerKind::Network, true),
        ("geneve", &instances, LoadBalancerKind::Gateway, true),
        ("https", &instances, LoadBalancerKind::Application, true),
        ("http", &addresses, LoadBalancerKind::Application, false),
    ] {
        let protocol = name.to_uppercase();
        moto.text(&format!(
            "elbv2 create-target-group --name {name} --protocol {protocol} {options}"
        ))
        .await;
        let seen = moto
            .edge()
            .await
            .target_group(&by_name(name))
            .await
            .unwrap();
        assert_eq!(seen.load_balancer, kind, "{name}");
        assert_eq!(seen.instance_targets, instance_targets, "{name}");
    }
    moto.text("elbv2 create-target-group --name functions --target-type lambda")
        .await;
    let edge = moto.edge().await;
    let seen = edge.target_group(&by_name("functions")).await.unwrap();
    assert!(!seen.instance_targets, "{seen:?}");
}

/// Moto knows the region of a request from its signature alone.
async fn regions(moto: &Moto<'_>) {
    let arn = moto.group("regional").await;
    let elsewhere = moto.edge_in("us-east-1").await;
    let here = moto.edge().await;
    let found = here.target_group(&by_name("regional")).await.unwrap();
    assert_eq!(found.arn.0, arn);
    refused(
        elsewhere.target_group(&by_name("regional")).await,
        FailureKind::NotFound,
        &["target group regional", "the region"],
    );
    // Who names none gets what is configured, and nothing is.
    refused(
        moto.clouds().await.region(None).map(|_| ()),
        FailureKind::Rejected,
        &["no AWS region is known", "spec.aws.region", "AWS_REGION"],
    );
}
