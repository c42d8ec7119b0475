//! What moto lacks of AWS, or has wrong. Each entry is looked at: what moto has learned fails
//! here, and belongs into a case. All of it is tested on the simulated cloud.

use std::collections::BTreeSet;

use bluegreen::{
    api::Duration,
    cloud::{Error, TargetGroupArn},
    plan::{CommandState, FailureKind, Health},
};
use serde_json::Value;

use super::{
    super::report::{Lacks, Suite},
    by_name,
    commands::{command, from_now},
    moto::Moto,
    refused, tagged, target,
};

pub(super) async fn suite(moto: &Moto<'_>, suite: &mut Suite) {
    targets(moto, suite).await;
    attributes(moto, suite).await;
    commands(moto, suite).await;
    let name = r"a \ in a tag's value";
    suite
        .case_lacking(name, "escapes of escapes", backslash(moto))
        .await;
}

/// A new group with one registered target, for which no load balancer asks.
async fn registered(moto: &Moto<'_>, name: &str) -> (TargetGroupArn, String) {
    let group = TargetGroupArn(moto.group(name).await);
    let id = moto.launch(1, "{Key=app,Value=lacking}").await.remove(0);
    let edge = moto.edge().await;
    let here = [target(&id, 8080)];
    edge.register(&group, &here).await.unwrap();
    (group, id)
}

async fn targets(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case_lacking("a target of an unused group", "health checks", async {
            let (group, id) = registered(moto, "checks").await;
            let seen = moto.edge().await.target_health(&group).await.unwrap();
            // AWS: not in use, or initial.
            Lacks::when(seen, [(target(&id, 8080), Health::Healthy)].into())
        })
        .await;
    suite
        .case_lacking("a target that drains", "deregistration delay", async {
            let (group, id) = registered(moto, "drains").await;
            let edge = moto.edge().await;
            let delay = edge.target_group(&by_name("drains")).await.unwrap().delay;
            assert_eq!(delay, Duration::from_secs(300));
            edge.deregister(&group, &[target(&id, 8080)]).await.unwrap();
            // AWS: draining, for all of the delay.
            Lacks::when(edge.target_health(&group).await.unwrap(), [].into())
        })
        .await;
    suite
        .case_lacking("two targets of one host", "ports of targets", async {
            let (group, id) = registered(moto, "ports-of-one").await;
            let edge = moto.edge().await;
            edge.register(&group, &[target(&id, 9090)]).await.unwrap();
            // AWS: both.
            let seen = edge.target_health(&group).await.unwrap();
            Lacks::when(seen.into_keys().collect(), vec![target(&id, 9090)])
        })
        .await;
    suite
        .case_lacking("deregistering the wrong port", "ports of targets", async {
            let (group, id) = registered(moto, "wrong-port").await;
            let edge = moto.edge().await;
            edge.deregister(&group, &[target(&id, 9090)]).await.unwrap();
            // AWS: it is registered still.
            Lacks::when(edge.target_health(&group).await.unwrap(), [].into())
        })
        .await;
    suite
        .case_lacking("registering nobody's instance", "InvalidTarget", async {
            let (group, _) = registered(moto, "nobody").await;
            let nobody = target("i-0123456789abcdef0", 8080);
            let seen = moto.edge().await.register(&group, &[nobody]).await;
            // AWS: InvalidTarget.
            Lacks::when(seen, Ok(()))
        })
        .await;
}

async fn attributes(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case_lacking("a group of functions", "groups without a delay", async {
            let vain = "elbv2 create-target-group --name no-delay --target-type lambda";
            moto.text(vain).await;
            let edge = moto.edge().await;
            let seen = edge.target_group(&by_name("no-delay")).await.unwrap();
            // AWS: no such attribute, which the edge takes for none.
            Lacks::when(seen.delay, Duration::from_secs(300))
        })
        .await;
}

async fn commands(moto: &Moto<'_>, suite: &mut Suite) {
    let host = moto.launch(1, "{Key=app,Value=lacking}").await;
    suite
        .case_lacking("agents", "DescribeInstanceInformation", async {
            let seen = moto.edge().await.agents(&host).await;
            // AWS: those that are online.
            Lacks::when(seen.is_err(), true)
        })
        .await;
    suite
        .case_lacking(
            "what became of a command",
            "ListCommandInvocations",
            async {
                let edge = moto.edge().await;
                let outcome = command("lacking/1/stop", host.clone());
                edge.send(&outcome).await.unwrap();
                let seen = edge.command("lacking/1/stop", from_now(-3600)).await;
                // AWS: its state on each host.
                without_invocations(seen, |_| true)
            },
        )
        .await;
    suite
        .case_lacking("commands before a time", "InvokedAfter", async {
            let edge = moto.edge().await;
            let later = edge.command("lacking/1/stop", from_now(3600)).await;
            // AWS: none was sent after that time. Moto lists it, so the edge asks for more of it.
            without_invocations(later, |state| *state == CommandState::Absent)
        })
        .await;
    suite
        .case_lacking("a command to one host", "commands to some hosts", async {
            let hosts = vec!["i-0123456789abcdef0".to_owned()];
            let edge = moto.edge().await;
            edge.send(&command("one/1/stop", hosts.clone()))
                .await
                .unwrap();
            let told = moto
                .json("ssm list-commands --query Commands[?Comment=='one/1/stop'].InstanceIds[]")
                .await;
            let everybody = moto
                .json("ec2 describe-instances --query Reservations[].Instances[].InstanceId")
                .await;
            // AWS: that host. Moto: every instance, too.
            let mut all = ids(everybody);
            all.extend(hosts);
            Lacks::when(ids(told), all)
        })
        .await;
    suite
        .case_lacking("a document that does not exist", "InvalidDocument", async {
            let mut vain = command("no-document/1/stop", host.clone());
            vain.document = "Nobody-Made-This".to_owned();
            // AWS: InvalidDocument.
            Lacks::when(moto.edge().await.send(&vain).await, Ok(()))
        })
        .await;
    suite
        .case_lacking("a host that does not exist", "InvalidInstanceId", async {
            let hosts = vec!["i-0123456789abcdef0".to_owned()];
            let vain = command("no-host/1/stop", hosts);
            // AWS: InvalidInstanceId.
            Lacks::when(moto.edge().await.send(&vain).await, Ok(()))
        })
        .await;
}

fn ids(list: Value) -> BTreeSet<String> {
    serde_json::from_value(list).unwrap()
}

/// What the edge says of a command that moto lists, and of which it can tell no more. An answer is
/// right when `right` says so; any other is neither moto's of today nor AWS's.
fn without_invocations(
    seen: Result<CommandState, Error>,
    right: impl Fn(&CommandState) -> bool,
) -> Lacks {
    match seen {
        Ok(state) if right(&state) => Lacks::NoMore(format!("{state:?}")),
        Ok(state) => panic!("the answer is {state:?}"),
        Err(error) => {
            let words = ["ListCommandInvocations", "operation lacking/1/stop"];
            refused::<()>(Err(error), FailureKind::Unavailable, &words);
            Lacks::Still
        }
    }
}

/// The edge escapes it, as AWS has it in a filter. Moto takes both for the value.
async fn backslash(moto: &Moto<'_>) -> Lacks {
    moto.launch(1, r"{Key=app,Value=back\slash}").await;
    let selector = tagged(&[("app", r"back\slash")]);
    let seen = moto.edge().await.instances(&selector, None).await;
    // AWS: the one.
    Lacks::when(seen.unwrap(), Vec::new())
}
