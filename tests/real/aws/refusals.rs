//! What the edge says when AWS refuses, or is not there: the thing, the cause and the remedy.

use bluegreen::{
    cloud::{OPERATION_TIMEOUT, TargetGroupArn},
    plan::FailureKind,
};
use tokio::time::Instant;

use super::{
    super::{
        Real,
        report::{Side, Suite},
    },
    by_arn, by_name,
    commands::{command, from_now},
    moto::Moto,
    refused, tagged, target,
};

/// A group that nobody has made.
const NOWHERE: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/nowhere/0123456789abcdef";

const ENDED_ID: &str = "i-0123456789abcdef0";

pub(super) async fn suite(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case(
            Side::Real,
            "a target group that does not exist",
            no_group(moto),
        )
        .await;
    suite
        .case(Side::Real, "an AWS that does not answer", no_answer(moto))
        .await;
}

async fn no_group(moto: &Moto<'_>) {
    let edge = moto.edge().await;
    let words = [
        "target group nowhere",
        "TargetGroupNotFound",
        "check the name or ARN, the account and the region",
    ];
    let said = |operation| [&words[..], &[operation]].concat();
    let kind = FailureKind::NotFound;
    for reference in [by_name("nowhere"), by_arn(NOWHERE)] {
        let described = edge.target_group(&reference).await;
        refused(described, kind, &said("DescribeTargetGroups"));
    }
    let group = TargetGroupArn(NOWHERE.to_owned());
    let targets = [target(ENDED_ID, 8080)];
    let health = edge.target_health(&group).await;
    refused(health, kind, &said("DescribeTargetHealth"));
    let registered = edge.register(&group, &targets).await;
    refused(registered, kind, &said("RegisterTargets"));
    let deregistered = edge.deregister(&group, &targets).await;
    refused(deregistered, kind, &said("DeregisterTargets"));
}

/// A server that takes connections and says nothing is given up in the time that every verb has;
/// when it answers again the same edge goes on.
async fn no_answer(moto: &Moto<'_>) {
    let edge = moto.edge().await;
    let nobody = tagged(&[("app", "nobody")]);
    moto.halt();
    let began = Instant::now();
    let seen = edge.instances(&nobody, None).await;
    let took = began.elapsed();
    moto.go_on();
    refused(
        seen,
        FailureKind::Unavailable,
        &[
            "DescribeInstances",
            "app=nobody",
            "no answer from AWS in time",
            "it is tried again",
        ],
    );
    // With as long again for a machine that is busy with other things.
    assert!(took < 2 * OPERATION_TIMEOUT, "{took:?}");
    assert_eq!(edge.instances(&nobody, None).await, Ok(Vec::new()));
}

/// Nobody listens at the endpoint.
pub(super) async fn without_server(real: &Real, suite: &mut Suite) {
    suite
        .case(Side::Real, "an AWS that cannot be reached", async {
            let mut moto = Moto::start(real).await;
            moto.warm_up().await;
            let edge = moto.edge().await;
            // It is reached first, so that there is a connection to be lost.
            let group = edge.target_group(&by_name("shop")).await;
            refused(group, FailureKind::NotFound, &["target group shop"]);
            moto.end().await;
            let words = |operation, thing| {
                let remedy = "check the network, DNS and the endpoint";
                [operation, thing, "AWS cannot be reached", remedy]
            };
            let kind = FailureKind::Unavailable;
            let one = [ENDED_ID.to_owned()];
            let ended = edge.terminate(&one).await;
            refused(ended, kind, &words("TerminateInstances", ENDED_ID));
            // Another one: what is missing is not asked for again at once.
            let group = edge.target_group(&by_name("stock")).await;
            let thing = "target group stock";
            refused(group, kind, &words("DescribeTargetGroups", thing));
            let sent = edge.send(&command("shop/1/stop", one.to_vec())).await;
            let thing = "document BlueGreen-StopUnit";
            refused(sent, kind, &words("SendCommand", thing));
            let state = edge.command("other/1/stop", from_now(-3600)).await;
            let thing = "operation other/1/stop";
            refused(state, kind, &words("ListCommands", thing));
        })
        .await;
}
