//! Faults: what the caller sees, what was done, and what the ledger says of both.

use std::time::Duration;

use bluegreen_cloud::{
    faults::{Fault, FaultKind},
    ledger::Outcome,
};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::World;

/// RegisterTargets under a fault: the reply's status and code, if any, and whether it was done.
async fn register_under(kind: FaultKind) -> (Option<(u16, String)>, bool) {
    let world = World::calm();
    let host = world.host(0);
    world
        .cloud
        .set_fault(Fault::new("RegisterTargets", kind).times(1));
    let form = format!(
        "Action=RegisterTargets&Version=2015-12-01&TargetGroupArn={}&Targets.member.1.Id={host}",
        world.group()
    );
    let sent = world.send("elasticloadbalancing", None, form);
    let answer = tokio::time::timeout(Duration::from_secs(3600), sent).await;
    let told = match answer {
        Ok(Ok(answer)) if answer.status == 200 => Some((200, String::new())),
        Ok(Ok(answer)) => Some((answer.status, answer.code())),
        Ok(Err(_)) | Err(_) => None,
    };
    let registered = !world.listed().await.is_empty();
    let ledger = world.cloud.ledger(0);
    let entry = &ledger[0];
    assert_eq!(entry.action, "elasticloadbalancing:RegisterTargets");
    assert_eq!(
        (entry.effective, entry.principal.as_str()),
        (registered, "AKIATEST")
    );
    assert_eq!(entry.resources, [world.group()]);
    (told, registered)
}

fn error(status: u16, code: &str) -> Option<(u16, String)> {
    Some((status, code.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn every_fault_does_what_its_name_says() {
    let server_error = || (503, "ServiceUnavailable".to_owned());
    let (status, code) = server_error();
    let before = FaultKind::ErrorBefore { status, code };
    let (status, code) = server_error();
    let after = FaultKind::ErrorAfter { status, code };
    let table = [
        (
            FaultKind::HealthUnavailable,
            error(500, "HealthUnavailable"),
            false,
        ),
        (before, error(503, "ServiceUnavailable"), false),
        (after, error(503, "ServiceUnavailable"), true),
        (FaultKind::DropBefore, None, false),
        (FaultKind::DropAfter, None, true),
        (FaultKind::HangBefore, None, false),
        (FaultKind::HangAfter, None, true),
        (
            FaultKind::Throttle,
            error(400, "ThrottlingException"),
            false,
        ),
        (FaultKind::ExpiredToken, error(403, "ExpiredToken"), false),
        (FaultKind::AccessDenied, error(403, "AccessDenied"), false),
        (FaultKind::Slow { seconds: 9.0 }, error(200, ""), true),
        (FaultKind::Malformed, error(200, ""), true),
        (FaultKind::CutAt { bytes: 20 }, error(200, ""), true),
        (FaultKind::CutShare { share: 0.5 }, error(200, ""), true),
        (FaultKind::Empty, error(200, ""), true),
        (FaultKind::EmptyLists, error(200, ""), true),
        (other_account(), error(200, ""), true),
    ];
    for (kind, told, done) in table {
        let name = format!("{kind:?}");
        assert_eq!(register_under(kind).await, (told, done), "{name}");
    }
}

fn other_account() -> FaultKind {
    FaultKind::OtherAccount {
        account: "999999999999".to_owned(),
    }
}

/// DescribeTargetGroups under a fault: the body.
async fn groups_under(world: &World, kind: FaultKind) -> String {
    let fault = Fault::new("DescribeTargetGroups", kind).times(1);
    world.cloud.set_fault(fault);
    world.elb("DescribeTargetGroups", &[]).await.ok().body
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_cut_at_every_byte_and_is_the_beginning_of_the_whole() {
    let world = World::calm();
    // The request id grows with each call and is as long in each.
    let whole = world.elb("DescribeTargetGroups", &[]).await.ok().body;
    let head = whole.split("<RequestId>").next().unwrap().to_owned();
    for bytes in 0..=whole.len() + 1 {
        let cut = groups_under(&world, FaultKind::CutAt { bytes }).await;
        assert_eq!(cut.len(), bytes.min(whole.len()));
        let known = bytes.min(head.len());
        assert_eq!(cut[..known], head[..known]);
    }
    let half = groups_under(&world, FaultKind::CutShare { share: 0.5 }).await;
    assert_eq!(half.len(), whole.len() / 2);
    assert_eq!(groups_under(&world, FaultKind::Empty).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_complete_and_wrong() {
    let world = World::calm();
    let empty = groups_under(&world, FaultKind::EmptyLists).await;
    assert!(empty.contains("<TargetGroups></TargetGroups>"), "{empty}");
    assert!(
        empty.ends_with("</DescribeTargetGroupsResponse>"),
        "{empty}"
    );
    let other = groups_under(&world, other_account()).await;
    assert!(
        other.contains(":999999999999:targetgroup/games/"),
        "{other}"
    );
    assert!(!other.contains("123456789012"), "{other}");
    let json = Fault::new("DescribeInstanceInformation", FaultKind::EmptyLists);
    world.cloud.set_fault(json);
    let agents = world.ssm("DescribeInstanceInformation", json!({})).await;
    assert_eq!(agents.ok().json(), json!({"InstanceInformationList": []}));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reply_comes_late_but_its_effect_is_seen_at_once() {
    let world = World::calm();
    world.cloud.set_fault(Fault::new(
        "RegisterTargets",
        FaultKind::Slow { seconds: 9.0 },
    ));
    let began = world.cloud.clock().now();
    let (_, seen) = tokio::join!(
        world.target("RegisterTargets", world.host(0), None),
        async {
            world.wait(1.0).await;
            world.listed().await.len()
        }
    );
    assert_eq!(seen, 1);
    assert_eq!(world.cloud.clock().now().duration_since(began).as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_worded_as_each_service_words_it() {
    let world = World::calm();
    world
        .cloud
        .set_fault(Fault::new("*", FaultKind::AccessDenied));
    let elb = world.target("RegisterTargets", world.host(0), None).await;
    let expected = format!(
        "User: arn:aws:iam::123456789012:user/AKIATEST is not authorized to perform: \
         elasticloadbalancing:RegisterTargets on resource: {} because no identity-based policy \
         allows the elasticloadbalancing:RegisterTargets action",
        world.group()
    );
    assert_eq!(elb.one("Message"), expected);
    let ec2 = world
        .ec2("StopInstances", &[("InstanceId.1", world.host(0))])
        .await;
    assert_eq!(
        (ec2.status, ec2.code().as_str()),
        (403, "UnauthorizedOperation")
    );
    let ssm = world.ssm("ListCommands", json!({})).await;
    assert_eq!(
        (ssm.status, ssm.code().as_str()),
        (400, "AccessDeniedException")
    );
}

async fn door(world: &World, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/_sim/{path}"));
    let request = request.body(Bytes::from(body.to_string())).unwrap();
    let response = world.cloud.handle(request).await.unwrap();
    (
        response.status().as_u16(),
        serde_json::from_slice(response.body()).unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn faults_switches_and_the_books_are_reached_over_http() {
    let world = World::calm();
    let fault = json!({"action": "RegisterTargets", "kind": "errorAfter", "status": 500, "code": "InternalFailure"});
    let (status, set) = door(&world, "POST", "faults", fault).await;
    assert_eq!((status, &set["id"]), (200, &json!(1)));
    assert_eq!(
        world
            .target("RegisterTargets", world.host(0), None)
            .await
            .code(),
        "InternalFailure"
    );
    let (_, ledger) = door(&world, "GET", "ledger", Value::Null).await;
    assert_eq!(
        ledger[0]["outcome"],
        json!({"kind": "error", "status": 500, "code": "InternalFailure"})
    );
    assert_eq!(ledger[0]["effective"], true);
    assert_eq!(door(&world, "DELETE", "faults/1", Value::Null).await.0, 200);
    world
        .target("RegisterTargets", world.host(1), None)
        .await
        .ok();
    assert_eq!(world.cloud.ledger(1)[0].outcome, Outcome::Success);
    let stop = json!({"switch": "instanceStopped", "instance": world.host(0)});
    assert_eq!(door(&world, "POST", "switches", stop).await.0, 200);
    let (_, state) = door(&world, "GET", "state", Value::Null).await;
    let states = state["targetGroups"][0]["targets"]
        .as_array()
        .unwrap()
        .iter();
    let unused = states
        .filter(|target| target["reason"] == "Target.InvalidState")
        .count();
    assert_eq!(unused, 1, "{state}");
    let (_, events) = door(&world, "GET", "events?since=1", Value::Null).await;
    assert!(
        events
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["kind"] == "faultFired")
    );
    for nonsense in [
        json!({"action": "X", "kind": "nonsense"}),
        json!({"action": "X", "kind": "throttle", "forSeconds": 1e12}),
        json!({"action": "X", "kind": "slow", "seconds": -1}),
        json!({"action": "X", "kind": "cutShare", "share": 2}),
    ] {
        assert_eq!(door(&world, "POST", "faults", nonsense).await.0, 400);
    }
    let cut = json!({"action": "ListCommands", "kind": "cutAt", "bytes": 3, "times": 1});
    assert_eq!(door(&world, "POST", "faults", cut).await.0, 200);
    let answer = world.ssm("ListCommands", json!({})).await.ok();
    assert_eq!(answer.body, "{\"C");
    assert_eq!(door(&world, "GET", "nothing", Value::Null).await.0, 404);
}
