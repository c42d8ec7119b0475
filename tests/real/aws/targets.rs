//! Targets: registered, read and deregistered, each with its port.

use std::collections::BTreeMap;

use bluegreen::{
    cloud::TargetGroupArn,
    plan::{FailureKind, Health},
};

use super::{
    super::report::{Side, Suite},
    moto::Moto,
    refused, target,
};

pub(super) async fn suite(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "targets are registered and deregistered with their ports",
            ports(moto),
        )
        .await;
    suite
        .case(
            Side::Real,
            "as many targets as two requests carry",
            many(moto),
        )
        .await;
    suite
        .case(Side::Real, "a target whose instance stops", stopped(moto))
        .await;
    suite
        .case(
            Side::Real,
            "a target that AWS does not know keeps no other registered",
            unknown(moto),
        )
        .await;
}

/// What aws-cli reads of a group: id, port and state of each target.
async fn listed(moto: &Moto<'_>, group: &str) -> String {
    moto.text(&format!(
        "elbv2 describe-target-health --target-group-arn {group} --query \
         sort_by(TargetHealthDescriptions,&Target.Id)[].[Target.Id,Target.Port,TargetHealth.State]"
    ))
    .await
}

async fn ports(moto: &Moto<'_>) {
    let arn = moto.group("ports").await;
    let group = TargetGroupArn(arn.clone());
    let mut ids = moto.launch(2, "{Key=app,Value=ports}").await;
    ids.sort();
    let (one, other) = (target(&ids[0], 8080), target(&ids[1], 9090));
    let edge = moto.edge().await;
    assert_eq!(edge.target_health(&group).await.unwrap(), BTreeMap::new());
    let both = [one.clone(), other.clone()];
    edge.register(&group, &both).await.unwrap();
    let expected = format!("{} 8080 healthy {} 9090 healthy", one.id, other.id);
    assert_eq!(listed(moto, &arn).await, expected);
    let healthy = both.map(|target| (target, Health::Healthy));
    let seen = edge.target_health(&group).await.unwrap();
    assert_eq!(seen, BTreeMap::from(healthy));
    edge.deregister(&group, &[one]).await.unwrap();
    assert_eq!(
        listed(moto, &arn).await,
        format!("{} 9090 healthy", other.id)
    );
    let seen = edge.target_health(&group).await.unwrap();
    assert_eq!(seen, BTreeMap::from([(other, Health::Healthy)]));
}

async fn many(moto: &Moto<'_>) {
    let arn = moto.group("many").await;
    let group = TargetGroupArn(arn);
    // Moto takes ids of instances that do not exist.
    let targets: Vec<_> = (0..201)
        .map(|number| target(&format!("i-{number:017x}"), 8080))
        .collect();
    let edge = moto.edge().await;
    edge.register(&group, &targets).await.unwrap();
    let seen = edge.target_health(&group).await.unwrap();
    assert!(seen.keys().eq(&targets), "{} of them", seen.len());
    edge.deregister(&group, &targets).await.unwrap();
    assert_eq!(edge.target_health(&group).await.unwrap(), BTreeMap::new());
}

async fn stopped(moto: &Moto<'_>) {
    let arn = moto.group("stopped").await;
    let group = TargetGroupArn(arn);
    let id = moto.launch(1, "{Key=app,Value=stopped}").await.remove(0);
    let here = target(&id, 8080);
    let edge = moto.edge().await;
    edge.register(&group, std::slice::from_ref(&here))
        .await
        .unwrap();
    let stop = format!("ec2 stop-instances --instance-ids {id}");
    moto.text(&stop).await;
    let seen = edge.target_health(&group).await.unwrap();
    assert_eq!(seen, BTreeMap::from([(here, Health::InvalidState)]));
    refused(
        edge.register(&group, &[target(&id, 9090)]).await,
        FailureKind::Rejected,
        &[
            "RegisterTargets",
            "stopped",
            "InvalidTarget",
            &id,
            "correct",
        ],
    );
}

async fn unknown(moto: &Moto<'_>) {
    let arn = moto.group("unknown").await;
    let group = TargetGroupArn(arn);
    let ids = moto.launch(2, "{Key=app,Value=unknown}").await;
    let (one, other) = (target(&ids[0], 8080), target(&ids[1], 8080));
    let gone = target("i-0123456789abcdef0", 8080);
    let edge = moto.edge().await;
    edge.register(&group, &[one.clone(), other.clone()])
        .await
        .unwrap();
    edge.deregister(&group, &[one, gone, other]).await.unwrap();
    assert_eq!(edge.target_health(&group).await.unwrap(), BTreeMap::new());
}
