//! Commands: asynchronous, late, cut short, and run as often as they are sent.

use std::time::Duration;

use bluegreen_cloud::{Hostility, config::Span, switches::Switch};
use serde_json::{Value, json};

use crate::support::World;

fn start() -> Value {
    json!({"unit": ["app@8080.service"], "version": ["1.8.0"], "port": ["8080"]})
}

fn taking(seconds: u64) -> World {
    let hostility = Hostility {
        command_start: Span::exactly(Duration::from_secs(2)),
        invocation_missing_for: Span::exactly(Duration::from_secs(1)),
        ..Hostility::calm()
    };
    World::new(hostility, Duration::from_secs(seconds))
}

async fn status(world: &World, command: &str) -> (String, i64) {
    let json = world.invocation(command).await.ok().json();
    let code = json["ResponseCode"].as_i64().unwrap();
    (json["StatusDetails"].as_str().unwrap().to_owned(), code)
}

fn at(status: &str, code: i64) -> (String, i64) {
    (status.to_owned(), code)
}

#[tokio::test(start_paused = true)]
async fn a_command_is_unknown_then_pending_then_in_progress_then_done() {
    let world = taking(10);
    let id = world.command("BlueGreen-StartUnit", start()).await;
    assert_eq!(world.invocation(&id).await.code(), "InvocationDoesNotExist");
    world.wait(1.001).await;
    assert_eq!(status(&world, &id).await, at("Pending", -1));
    world.wait(1.001).await;
    assert_eq!(status(&world, &id).await, at("InProgress", -1));
    world.wait(10.0).await;
    assert_eq!(status(&world, &id).await, at("Success", 0));
    let output = world.invocation(&id).await.json()["StandardOutputContent"].clone();
    assert_eq!(output, "started how=started seconds=10.0 version=1.8.0\n");
}

#[tokio::test(start_paused = true)]
async fn sending_twice_runs_twice() {
    let world = taking(1);
    for _ in 0..2 {
        let stop = json!({"unit": ["app@8080.service"], "gracePeriod": ["7"]});
        world.command("BlueGreen-StopUnit", stop).await;
    }
    world.wait(5.0).await;
    let expected = format!("stop {} app@8080.service 7", world.host(0));
    assert_eq!(*world.notes.lock().unwrap(), [expected.clone(), expected]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_offline_gets_the_command_late_or_never() {
    let world = taking(1);
    let offline = |offline| Switch::AgentOffline {
        instance: world.host(0).to_owned(),
        offline,
    };
    world.cloud.switch(&offline(true)).unwrap();
    let late = world.command("BlueGreen-StartUnit", start()).await;
    world.wait(30.0).await;
    assert_eq!(status(&world, &late).await, at("Pending", -1));
    world.cloud.switch(&offline(false)).unwrap();
    world.wait(2.0).await;
    assert_eq!(status(&world, &late).await, at("Success", 0));
    world.cloud.switch(&offline(true)).unwrap();
    let never = world.command("BlueGreen-StartUnit", start()).await;
    world.wait(61.0).await;
    assert_eq!(status(&world, &never).await, at("DeliveryTimedOut", -1));
    let information = world
        .ssm("DescribeInstanceInformation", json!({}))
        .await
        .ok()
        .json();
    let pings = information["InstanceInformationList"]
        .as_array()
        .unwrap()
        .iter();
    let lost = pings
        .filter(|one| one["PingStatus"] == "ConnectionLost")
        .count();
    assert_eq!(lost, 1);
}

#[tokio::test(start_paused = true)]
async fn agents_are_found_by_their_instances_and_say_whether_they_answer() {
    let world = World::calm();
    let pings = async |filters: Value| {
        let ask = json!({"Filters": filters, "MaxResults": 5});
        let answer = world.ssm("DescribeInstanceInformation", ask).await.ok();
        let agents = answer.json()["InstanceInformationList"].clone();
        let agents = agents.as_array().unwrap().iter();
        let ping = |agent: &Value| agent["PingStatus"].as_str().unwrap().to_owned();
        agents.map(ping).collect::<Vec<_>>()
    };
    let both = json!([{"Key": "InstanceIds", "Values": [world.host(0), world.host(1)]}]);
    let second = json!([{"Key": "InstanceIds", "Values": [world.host(1)]}]);
    assert_eq!(pings(both.clone()).await, ["Online", "Online"]);
    let offline = |instance: &str| Switch::AgentOffline {
        instance: instance.to_owned(),
        offline: true,
    };
    world.cloud.switch(&offline(world.host(1))).unwrap();
    assert_eq!(pings(second).await, ["ConnectionLost"]);
    assert_eq!(pings(both).await.len(), 2);
    let tagged = json!([{"Key": "tag:app", "Values": ["games"]}]);
    assert_eq!(pings(tagged).await.len(), 2);
    let unknown = json!([{"Key": "InstanceIds", "Values": ["i-0123"]}]);
    assert!(pings(unknown).await.is_empty());
    assert!(world.cloud.switch(&offline("i-0123")).is_err());
    for (ask, code) in [
        (json!({"MaxResults": 4}), "ValidationException"),
        (
            json!({"Filters": [{"Key": "Nonsense", "Values": ["x"]}]}),
            "InvalidFilterKey",
        ),
    ] {
        let refused = world.ssm("DescribeInstanceInformation", ask).await;
        assert_eq!(refused.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_output_of_a_failed_command_ends_with_the_agents_words() {
    let world = World::calm();
    let parameters = json!({"commands": ["true"]});
    let id = world.command("AWS-RunShellScript", parameters).await;
    world.wait(1.0).await;
    let invocation = world.invocation(&id).await.ok().json();
    assert_eq!(invocation["ResponseCode"], 127);
    let errors = invocation["StandardErrorContent"].as_str().unwrap();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(
        lines.last(),
        Some(&"failed to run commands: exit status 127")
    );
    assert_eq!(lines.len(), 2, "{errors}");
    let ask = json!({"CommandId": id, "Details": true});
    let listed = world.ssm("ListCommandInvocations", ask).await.ok().json();
    let plugin = &listed["CommandInvocations"][0]["CommandPlugins"][0];
    let output = plugin["Output"].as_str().unwrap();
    assert!(output.contains("----------ERROR-------"), "{output}");
    assert!(output.ends_with("exit status 127"), "{output}");
}

#[tokio::test(start_paused = true)]
async fn a_script_that_takes_too_long_is_timed_out() {
    let world = taking(100);
    let mut parameters = start();
    parameters["executionTimeout"] = json!(["20"]);
    let id = world.command("BlueGreen-StartUnit", parameters).await;
    world.wait(22.1).await;
    assert_eq!(status(&world, &id).await, at("ExecutionTimedOut", -1));
}

#[tokio::test(start_paused = true)]
async fn a_running_command_can_be_cancelled() {
    let world = taking(100);
    let id = world.command("BlueGreen-StartUnit", start()).await;
    world.wait(5.0).await;
    world
        .ssm("CancelCommand", json!({"CommandId": id}))
        .await
        .ok();
    world.wait(0.1).await;
    assert_eq!(status(&world, &id).await, at("Cancelled", -1));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_instances_run_a_command_at_once() {
    let world = taking(10);
    let sent = world
        .ssm(
            "SendCommand",
            json!({
                "DocumentName": "BlueGreen-StartUnit",
                "Targets": [{"Key": "tag:app", "Values": ["games"]}],
                "Parameters": start(),
                "MaxConcurrency": "50%",
                "Comment": "release-1",
            }),
        )
        .await
        .ok();
    assert_eq!(sent.json()["Command"]["TargetCount"], 2);
    world.wait(11.0).await;
    assert_eq!(world.notes.lock().unwrap().len(), 1);
    world.wait(14.0).await;
    let listed = world.ssm("ListCommands", json!({})).await.ok().json();
    assert_eq!(listed["Commands"][0]["Comment"], "release-1");
    assert_eq!(listed["Commands"][0]["CompletedCount"], 2);
    let id = &listed["Commands"][0]["CommandId"];
    let body = json!({"CommandId": id, "Details": true});
    let invocations = world.ssm("ListCommandInvocations", body).await.ok().json();
    let invocations = invocations["CommandInvocations"].as_array().unwrap();
    assert_eq!(invocations.len(), 2);
    assert_eq!(invocations[0]["CommandPlugins"][0]["ResponseCode"], 0);
}

#[tokio::test(start_paused = true)]
async fn after_too_many_errors_nothing_more_is_started() {
    let world = taking(1);
    let body = json!({
        "DocumentName": "AWS-RunShellScript",
        "Targets": [{"Key": "InstanceIds", "Values": [world.host(0), world.host(1)]}],
        "Parameters": {"commands": ["false"]},
        "MaxConcurrency": "1",
    });
    let sent = world.ssm("SendCommand", body).await.ok().json();
    world.wait(10.0).await;
    let body = json!({"CommandId": sent["Command"]["CommandId"]});
    let listed = world.ssm("ListCommandInvocations", body).await.ok().json();
    let invocations = listed["CommandInvocations"].as_array().unwrap().iter();
    let mut details: Vec<&str> = invocations
        .map(|one| one["StatusDetails"].as_str().unwrap())
        .collect();
    details.sort_unstable();
    assert_eq!(details, ["Failed", "Terminated"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused() {
    let world = World::calm();
    let good = json!({
        "DocumentName": "BlueGreen-StartUnit",
        "InstanceIds": [world.host(0)],
        "Parameters": start(),
    });
    let table = [
        ("/InstanceIds", json!(["i-0"]), "InvalidInstanceId"),
        (
            "/InstanceIds",
            json!([world.host(0), world.host(0)]),
            "DuplicateInstanceId",
        ),
        ("/InstanceIds", json!([]), "ValidationException"),
        ("/DocumentName", json!("None"), "InvalidDocument"),
        (
            "/Parameters",
            json!({"unit": ["a.service"]}),
            "InvalidParameters",
        ),
        (
            "/Parameters/version",
            json!(["1; reboot"]),
            "InvalidParameters",
        ),
        (
            "/Parameters/unit",
            json!(["../../x.service"]),
            "InvalidParameters",
        ),
        ("/Parameters/port", json!(["80", "81"]), "InvalidParameters"),
    ];
    for (pointer, value, code) in table {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(
            world.ssm("SendCommand", body).await.code(),
            code,
            "{pointer}"
        );
    }
    let mut extra = good;
    extra["Parameters"]["more"] = json!(["x"]);
    assert_eq!(
        world.ssm("SendCommand", extra).await.code(),
        "InvalidParameters"
    );
}
