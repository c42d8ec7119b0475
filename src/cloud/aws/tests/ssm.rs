//! Commands to hosts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time;

use super::{Fake, Reply, caller, ok, ssm_error};
use crate::{
    api::{Duration as ApiDuration, StepKind, Time},
    cloud::Cloud,
    plan::{CommandState, FailureKind, Invocation, SendCommand},
};

const OPERATION: &str = "0f5e/3/stop/7";

fn since() -> Time {
    Time::from_millis(1_800_000_000_000)
}

fn stop(hosts: usize) -> SendCommand {
    SendCommand {
        operation: OPERATION.to_owned(),
        kind: StepKind::Stop,
        document: "BlueGreen-StopUnit".to_owned(),
        parameters: BTreeMap::from([("unit".to_owned(), "shop@8080".to_owned())]),
        instances: (0..hosts).map(|n| format!("i-{n:03}")).collect(),
        port: 8080,
        timeout: ApiDuration::from_secs(60),
    }
}

fn taken(id: &str) -> Reply {
    ok(json!({ "Command": { "CommandId": id, "Status": "Pending" } }).to_string())
}

fn commands(list: &Value) -> Reply {
    ok(json!({ "Commands": list }).to_string())
}

fn invocations(list: &Value) -> Reply {
    ok(json!({ "CommandInvocations": list }).to_string())
}

/// An invocation that ended `at`.
fn ended(host: &str, status: &str, code: i32, output: &str, at: f64) -> Value {
    json!({
        "InstanceId": host, "RequestedDateTime": 1_800_000_000.0,
        "Status": status, "StatusDetails": status,
        "CommandPlugins": [{
            "Name": "aws:runShellScript", "Status": status, "StatusDetails": status,
            "ResponseCode": code, "Output": output,
            "ResponseStartDateTime": 1_800_000_001.0, "ResponseFinishDateTime": at,
        }],
    })
}

/// An invocation that never began.
fn never_ran(host: &str, status: &str, details: &str) -> Value {
    json!({
        "InstanceId": host, "Status": status, "StatusDetails": details,
        "CommandPlugins": [{
            "Name": "aws:runShellScript", "Status": status, "ResponseCode": -1, "Output": "",
            "ResponseStartDateTime": -62_135_596_800.0,
        }],
    })
}

fn sent(state: CommandState) -> BTreeMap<String, Invocation> {
    match state {
        CommandState::Sent(invocations) => invocations,
        CommandState::Absent => panic!("the command is absent"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_is_sent_with_its_operation_id_as_comment() {
    let fake = Fake::new(|_| taken("c-1"));
    let mut command = stop(51);
    command.instances.push("i-000".to_owned());
    fake.cloud.send(&caller(), &command).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen.len(), 2);
    let first = &seen[0].json;
    assert_eq!(first["DocumentName"], "BlueGreen-StopUnit");
    assert_eq!(first["Comment"], OPERATION);
    assert_eq!(first["Parameters"], json!({ "unit": ["shop@8080"] }));
    assert!(first["TimeoutSeconds"].as_i64().unwrap() >= 30);
    assert_eq!(first["MaxErrors"], "100%");
    assert_eq!(first["InstanceIds"].as_array().unwrap().len(), 50);
    assert_eq!(seen[1].json["InstanceIds"], json!(["i-050"]));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_just_sent_runs_and_each_question_is_one_request() {
    let fake = Fake::new(|seen| match seen.operation.as_str() {
        "SendCommand" => taken("c-1"),
        _ => invocations(&json!([])),
    });
    fake.cloud.send(&caller(), &stop(2)).await.unwrap();
    for _ in 0..2 {
        let state = fake
            .cloud
            .command(&caller(), OPERATION, since())
            .await
            .unwrap();
        let expected = ["i-000", "i-001"].map(|host| (host.to_owned(), Invocation::Running));
        assert_eq!(sent(state), BTreeMap::from(expected));
    }
    assert_eq!(
        fake.operations(),
        [
            "SendCommand",
            "ListCommandInvocations",
            "ListCommandInvocations"
        ]
    );
    let seen = fake.seen();
    assert_eq!(seen[1].json["CommandId"], "c-1");
    assert_eq!(seen[1].json["Details"], true);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_the_list_does_not_know_yet_runs() {
    let fake = Fake::new(|seen| match seen.operation.as_str() {
        "SendCommand" => taken("c-1"),
        _ => ssm_error("InvalidCommandId", "The command id is not valid."),
    });
    fake.cloud.send(&caller(), &stop(1)).await.unwrap();
    let state = sent(
        fake.cloud
            .command(&caller(), OPERATION, since())
            .await
            .unwrap(),
    );
    assert_eq!(state["i-000"], Invocation::Running);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_command_is_found_by_its_comment_on_every_page() {
    let fake = Fake::new(|seen| {
        let page = seen.json["NextToken"].as_str();
        match (seen.operation.as_str(), page) {
            ("ListCommands", None) => ok(json!({
                "Commands": [{ "CommandId": "c-9", "Comment": "another", "InstanceIds": ["i-9"] }],
                "NextToken": "page-2",
            })
            .to_string()),
            ("ListCommands", Some("page-2")) => commands(&json!([
                { "CommandId": "c-1", "Comment": OPERATION, "InstanceIds": ["i-1", "i-2", "i-3"] },
            ])),
            ("ListCommandInvocations", None) => ok(json!({
                "CommandInvocations": [ended("i-1", "Success", 0, "", 1_800_000_009.0)],
                "NextToken": "page-2",
            })
            .to_string()),
            _ => invocations(&json!([ended(
                "i-2",
                "Failed",
                1,
                "no such unit\n",
                1_800_000_009.0
            )])),
        }
    });
    let state = sent(
        fake.cloud
            .command(&caller(), OPERATION, since())
            .await
            .unwrap(),
    );
    assert_eq!(state.len(), 3);
    assert_eq!(state["i-1"], Invocation::Succeeded { stopped: None });
    assert_eq!(
        state["i-2"],
        Invocation::Failed {
            code: 1,
            stopped: None,
            output: "no such unit".to_owned()
        }
    );
    assert_eq!(state["i-3"], Invocation::Running);
    let filter = &fake.seen()[0].json["Filters"][0];
    assert_eq!(filter["key"], "InvokedAfter");
    assert_eq!(filter["value"], "2027-01-15T07:59:00Z");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_sent_is_absent() {
    let fake = Fake::new(|_| commands(&json!([])));
    let state = fake
        .cloud
        .command(&caller(), OPERATION, since())
        .await
        .unwrap();
    assert_eq!(state, CommandState::Absent);
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_answer_was_lost_counts_beside_the_one_that_was_sent_after_it() {
    let lost = Arc::new(AtomicBool::new(true));
    let losing = Arc::clone(&lost);
    let fake = Fake::new(move |seen| match seen.operation.as_str() {
        "SendCommand" if losing.swap(false, Ordering::SeqCst) => Reply::Hang,
        "SendCommand" => taken("c-2"),
        "ListCommands" => commands(&json!([
            { "CommandId": "c-1", "Comment": OPERATION, "InstanceIds": ["i-000"] },
            { "CommandId": "c-2", "Comment": OPERATION, "InstanceIds": ["i-000"] },
        ])),
        _ if seen.json["CommandId"] == "c-1" => {
            let line = "waiting\nstopped how=graceful seconds=3.2 exit=143\n";
            invocations(&json!([ended(
                "i-000",
                "Success",
                0,
                line,
                1_800_000_005.0
            )]))
        }
        _ => {
            let line = "stopped how=not-running seconds=0\n";
            invocations(&json!([ended(
                "i-000",
                "Success",
                0,
                line,
                1_800_000_009.0
            )]))
        }
    });
    let failed = fake.cloud.send(&caller(), &stop(1)).await.unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Unavailable);
    fake.cloud.send(&caller(), &stop(1)).await.unwrap();
    let state = sent(
        fake.cloud
            .command(&caller(), OPERATION, since())
            .await
            .unwrap(),
    );
    let Invocation::Succeeded {
        stopped: Some(report),
    } = state["i-000"]
    else {
        panic!("{state:?}");
    };
    assert_eq!(report.exit, Some(143));
    assert_eq!(report.took, Some(ApiDuration::from_millis(3200)));
    time::sleep(Duration::from_secs(30)).await;
    fake.cloud
        .command(&caller(), OPERATION, since())
        .await
        .unwrap();
    let before = fake.operations().len();
    fake.cloud
        .command(&caller(), OPERATION, since())
        .await
        .unwrap();
    assert_eq!(
        fake.operations()[before..],
        ["ListCommandInvocations", "ListCommandInvocations"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_goes_away_leaves_the_command_in_doubt() {
    let fake = Fake::new(|seen| match seen.operation.as_str() {
        "SendCommand" => Reply::Hang,
        _ => commands(&json!([])),
    });
    let patience = Duration::from_millis(10);
    let command = stop(1);
    assert!(
        time::timeout(patience, fake.cloud.send(&caller(), &command))
            .await
            .is_err()
    );
    fake.cloud
        .command(&caller(), OPERATION, since())
        .await
        .unwrap();
    assert_eq!(fake.operations(), ["SendCommand", "ListCommands"]);
    assert!(
        fake.calls
            .told()
            .contains(&"SendCommand cancelled after 0s".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_process_that_had_to_be_killed_is_a_failure_with_code_10_and_a_report() {
    let output = "stopped how=killed seconds=30.0 exit=137\n\
                  ----------ERROR-------\nfailed to run commands: exit status 10";
    let fake = Fake::new(move |seen| match seen.operation.as_str() {
        "SendCommand" => taken("c-1"),
        _ => invocations(&json!([ended(
            "i-000",
            "Failed",
            10,
            output,
            1_800_000_040.0
        )])),
    });
    fake.cloud.send(&caller(), &stop(1)).await.unwrap();
    let state = sent(
        fake.cloud
            .command(&caller(), OPERATION, since())
            .await
            .unwrap(),
    );
    let Invocation::Failed {
        code,
        stopped,
        output,
    } = &state["i-000"]
    else {
        panic!("{state:?}");
    };
    assert_eq!(*code, 10);
    assert_eq!(stopped.unwrap().took, Some(ApiDuration::from_secs(30)));
    assert_eq!(output, "failed to run commands: exit status 10");
}

#[tokio::test(start_paused = true)]
async fn what_never_ran_is_not_delivered_and_what_was_cut_off_is_a_failure() {
    let cases = [
        (never_ran("i", "Pending", "Pending"), "running"),
        (never_ran("i", "InProgress", "In Progress"), "running"),
        (never_ran("i", "Delayed", "Delayed"), "running"),
        (never_ran("i", "Cancelling", "Cancelling"), "running"),
        (never_ran("i", "Invented", "Invented"), "running"),
        (never_ran("i", "Failed", "Undeliverable"), "not delivered"),
        (
            never_ran("i", "TimedOut", "Delivery Timed Out"),
            "not delivered",
        ),
        (never_ran("i", "Cancelled", "Terminated"), "not delivered"),
        (never_ran("i", "Failed", "InvalidPlatform"), "not delivered"),
        (never_ran("i", "Failed", "AccessDenied"), "not delivered"),
        (never_ran("i", "Cancelled", "Cancelled"), "not delivered"),
        (ended("i", "Cancelled", -1, "", 1_800_000_009.0), "failed"),
        (
            ended("i", "ExecutionTimedOut", -1, "", 1_800_000_009.0),
            "failed",
        ),
        (ended("i", "TimedOut", -1, "", 1_800_000_009.0), "failed"),
        (ended("i", "Success", 0, "", 1_800_000_009.0), "succeeded"),
    ];
    for (invocation, expected) in cases {
        let shown = invocation.to_string();
        let fake = Fake::new(move |seen| match seen.operation.as_str() {
            "ListCommands" => commands(&json!([
                { "CommandId": "c-1", "Comment": OPERATION, "InstanceIds": ["i"] },
            ])),
            _ => invocations(&json!([invocation])),
        });
        let state = sent(
            fake.cloud
                .command(&caller(), OPERATION, since())
                .await
                .unwrap(),
        );
        let outcome = match &state["i"] {
            Invocation::Running => "running",
            Invocation::Succeeded { .. } => "succeeded",
            Invocation::Failed { code, .. } => {
                assert_eq!(*code, -1, "{shown}");
                "failed"
            }
            Invocation::NotDelivered { .. } => "not delivered",
        };
        assert_eq!(outcome, expected, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_systems_manager_say_what_to_do() {
    for (code, kind, remedy) in [
        ("InvalidInstanceId", FailureKind::NotFound, "SSM agent"),
        (
            "InvalidDocument",
            FailureKind::NotFound,
            "create the document",
        ),
        (
            "InvalidParameters",
            FailureKind::Rejected,
            "correct the release",
        ),
        (
            "UnsupportedPlatformType",
            FailureKind::Rejected,
            "correct the release",
        ),
        (
            "ThrottlingException",
            FailureKind::Throttled,
            "half the pace",
        ),
        (
            "AccessDeniedException",
            FailureKind::Denied,
            "docs/aws-iam.md",
        ),
        ("ExpiredTokenException", FailureKind::Denied, "valid role"),
    ] {
        let fake = Fake::new(move |_| ssm_error(code, "Some words."));
        let failed = fake.cloud.send(&caller(), &stop(1)).await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{code}");
        let text = failed.to_string();
        assert!(text.contains(remedy), "{text}");
        assert!(text.contains("document BlueGreen-StopUnit"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_id_that_would_be_cut_is_refused_here() {
    let fake = Fake::new(|_| taken("c-1"));
    let mut command = stop(1);
    command.operation = "x".repeat(101);
    let failed = fake.cloud.send(&caller(), &command).await.unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Rejected);
    assert!(fake.seen().is_empty());
}
