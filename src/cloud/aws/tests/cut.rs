//! Answers that are cut, empty, or answers to something else: never taken for an answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;

use super::{Fake, Reply, Seen, arn, caller, targets};
use crate::{
    api::{Duration as ApiDuration, InstanceSelector, StepKind, TargetGroupRef, Time},
    cloud::{Cloud, Error},
    plan::{FailureKind, SendCommand},
};

/// Longer than anything is kept.
const FORGOTTEN: Duration = Duration::from_secs(120);

const OPERATION: &str = "0f5e/3/stop/7";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Instances,
    TargetGroup,
    TargetHealth,
    Agents,
    Document,
    Register,
    Deregister,
    Send,
    Command,
    Terminate,
}

/// Every verb that asks AWS something, and the operations that it takes.
const VERBS: [(Verb, &[&str]); 10] = [
    (Verb::Instances, &["DescribeInstances"]),
    (
        Verb::TargetGroup,
        &[
            "DescribeTargetGroups",
            "DescribeTargetGroupAttributes",
            "DescribeLoadBalancerAttributes",
        ],
    ),
    (Verb::TargetHealth, &["DescribeTargetHealth"]),
    (Verb::Agents, &["DescribeInstanceInformation"]),
    (Verb::Document, &["DescribeDocument"]),
    (Verb::Register, &["RegisterTargets"]),
    (Verb::Deregister, &["DeregisterTargets"]),
    (Verb::Send, &["SendCommand"]),
    (Verb::Command, &["ListCommands", "ListCommandInvocations"]),
    (Verb::Terminate, &["TerminateInstances"]),
];

/// An answer as AWS words it.
fn answer(operation: &str) -> String {
    let elb = |result: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<{operation}Response xmlns=\"http://elasticloadbalancing.\
             amazonaws.com/doc/2015-12-01/\"><{operation}Result>{result}</{operation}Result>\
             <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>\n"
        )
    };
    let ec2 = |result: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"http://ec2.\
             amazonaws.com/doc/2016-11-15/\"><requestId>1</requestId>{result}</{operation}Response>"
        )
    };
    match operation {
        "DescribeInstances" => ec2(
            "<reservationSet><item><instancesSet><item><instanceId>i-0</instanceId>\
             <instanceState><code>16</code><name>running</name></instanceState><tagSet><item>\
             <key>app</key><value>shop</value></item></tagSet></item></instancesSet></item>\
             </reservationSet>",
        ),
        "TerminateInstances" => ec2("<instancesSet/>"),
        "DescribeTargetGroups" => elb(&format!(
            "<TargetGroups><member><TargetGroupArn>{}</TargetGroupArn><TargetGroupName>shop\
             </TargetGroupName><Protocol>TCP</Protocol><HealthCheckPort>traffic-port\
             </HealthCheckPort><LoadBalancerArns><member>arn:x:loadbalancer/net/a/1</member>\
             </LoadBalancerArns><TargetType>instance</TargetType></member></TargetGroups>",
            arn()
        )),
        "DescribeTargetGroupAttributes" => elb(
            "<Attributes><member><Value>300</Value><Key>deregistration_delay.timeout_seconds</Key>\
             </member></Attributes>",
        ),
        "DescribeLoadBalancerAttributes" => elb(
            "<Attributes><member><Value>true</Value><Key>load_balancing.cross_zone.enabled</Key>\
             </member></Attributes>",
        ),
        "DescribeTargetHealth" => elb(
            "<TargetHealthDescriptions><member><Target><Id>i-0</Id><Port>8080</Port></Target>\
             <TargetHealth><State>healthy</State></TargetHealth></member><member><Target><Id>i-1\
             </Id><Port>8080</Port></Target><TargetHealth><State>draining</State></TargetHealth>\
             </member></TargetHealthDescriptions>",
        ),
        "RegisterTargets" | "DeregisterTargets" => elb(""),
        "DescribeInstanceInformation" => json!({ "InstanceInformationList": [
            { "InstanceId": "i-0", "PingStatus": "Online" }
        ] })
        .to_string(),
        "DescribeDocument" => json!({ "Document": {
            "Name": "Stop", "Status": "Active", "DocumentType": "Command",
            "Parameters": [{ "Name": "unit", "Type": "String" }],
        } })
        .to_string(),
        "SendCommand" => json!({ "Command": { "CommandId": "c-1" } }).to_string(),
        "ListCommands" => json!({ "Commands": [
            { "CommandId": "c-1", "Comment": OPERATION, "InstanceIds": ["i-0"] }
        ] })
        .to_string(),
        "ListCommandInvocations" => json!({ "CommandInvocations": [
            { "CommandId": "c-1", "InstanceId": "i-0", "Status": "InProgress" }
        ] })
        .to_string(),
        other => panic!("{other} has no answer"),
    }
}

type Script = Arc<Mutex<BTreeMap<&'static str, (u16, Vec<u8>)>>>;

/// A cloud that answers everything well, but for what the script has.
fn scripted() -> (Fake, Script) {
    let script = Script::default();
    let shared = Arc::clone(&script);
    let fake =
        Fake::new(
            move |seen: &Seen| match shared.lock().unwrap().get(seen.operation.as_str()) {
                Some((status, body)) => Reply::Bytes(*status, body.clone()),
                None => Reply::Answer(200, answer(&seen.operation)),
            },
        );
    (fake, script)
}

/// The ids of commands are remembered, so each question about one is for a cloud of its own.
fn fresh(verb: Verb) -> Option<(Fake, Script)> {
    (verb == Verb::Command).then(scripted)
}

async fn ask(fake: &Fake, verb: Verb) -> Result<(), Error> {
    tokio::time::sleep(FORGOTTEN).await;
    let (cloud, caller, hosts) = (&fake.cloud, &caller(), &["i-0".to_owned()]);
    match verb {
        Verb::Instances => {
            let tags = BTreeMap::from([("app".to_owned(), "shop".to_owned())]);
            let selector = InstanceSelector { tags };
            cloud
                .instances(caller, &selector, None, None)
                .await
                .map(drop)
        }
        Verb::TargetGroup => {
            let group = TargetGroupRef {
                arn: Some(arn().0),
                name: None,
            };
            cloud.target_group(caller, &group, None).await.map(drop)
        }
        Verb::TargetHealth => cloud.target_health(caller, &arn()).await.map(drop),
        Verb::Agents => cloud.agents(caller, hosts).await.map(drop),
        Verb::Document => cloud.document(caller, "Stop").await.map(drop),
        Verb::Register => cloud.register(caller, &arn(), &targets(1)).await,
        Verb::Deregister => cloud.deregister(caller, &arn(), &targets(1)).await,
        Verb::Send => {
            let command = SendCommand {
                operation: "another".to_owned(),
                kind: StepKind::Stop,
                document: "Stop".to_owned(),
                parameters: BTreeMap::new(),
                instances: hosts.to_vec(),
                port: 8080,
                timeout: ApiDuration::from_secs(60),
            };
            cloud.send(caller, &command).await
        }
        Verb::Command => {
            let since = Time::from_millis(1_800_000_000_000);
            cloud.command(caller, OPERATION, since).await.map(drop)
        }
        Verb::Terminate => cloud.terminate(caller, hosts).await,
    }
}

#[track_caller]
fn unusable(result: &Result<(), Error>, operation: &str, what: &str) -> String {
    let error = result.as_ref().expect_err(what);
    assert_eq!(error.kind(), FailureKind::Unavailable, "{what}: {error}");
    let message = error.to_string();
    assert!(message.contains(operation), "{what}: {message}");
    message
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_at_any_byte_is_no_answer() {
    let shared = scripted();
    for (verb, operations) in VERBS {
        ask(&shared.0, verb).await.unwrap();
        for operation in operations {
            let whole = answer(operation);
            for length in 0..whole.len() {
                let fresh = fresh(verb);
                let (fake, script) = fresh.as_ref().unwrap_or(&shared);
                let cut = whole.as_bytes()[..length].to_vec();
                script.lock().unwrap().insert(operation, (200, cut));
                let result = ask(fake, verb).await;
                if length >= whole.trim_end().len() {
                    result.unwrap();
                    continue;
                }
                let what = format!("{verb:?}: {operation} cut at {length}");
                let message = unusable(&result, operation, &what);
                let says = ["is cut off", "is empty", "is not an answer"];
                assert!(
                    says.iter().any(|words| message.contains(words)),
                    "{message}"
                );
            }
            shared.1.lock().unwrap().clear();
        }
        // What has just failed works again.
        ask(&shared.0, verb).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_operation_is_no_answer() {
    let shared = scripted();
    let all: Vec<&str> = VERBS
        .iter()
        .flat_map(|(_, all)| all.iter().copied())
        .collect();
    for (verb, operations) in VERBS {
        for operation in operations {
            let others = all.iter().filter(|other| other != &operation);
            let others = others.map(|other| answer(other));
            for other in others.chain(["{}".to_owned(), "[]".to_owned()]) {
                let fresh = fresh(verb);
                let (fake, script) = fresh.as_ref().unwrap_or(&shared);
                let body = other.clone().into_bytes();
                script.lock().unwrap().insert(operation, (200, body));
                let result = ask(fake, verb).await;
                unusable(&result, operation, &format!("{operation}: {other}"));
            }
            shared.1.lock().unwrap().clear();
        }
    }
}

/// What is good news as an error: there is nothing left to deregister, to terminate, to ask.
#[tokio::test(start_paused = true)]
async fn an_error_that_is_cut_is_not_taken_for_what_it_says_so_far() {
    let elb = "<ErrorResponse><Error><Code>InvalidTarget</Code><Message>no</Message></Error>\
               <RequestId>1</RequestId></ErrorResponse>";
    let ec2 = "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no\
               </Message></Error></Errors><RequestID>1</RequestID></Response>";
    let ssm = r#"{"__type": "InvalidCommandId", "message": "no"}"#;
    for (verb, operation, whole) in [
        (Verb::Deregister, "DeregisterTargets", elb),
        (Verb::Terminate, "TerminateInstances", ec2),
        (Verb::Command, "ListCommandInvocations", ssm),
    ] {
        let (fake, script) = scripted();
        let replies = |body: &[u8]| {
            let reply = (400, body.to_vec());
            script.lock().unwrap().insert(operation, reply);
        };
        replies(whole.as_bytes());
        ask(&fake, verb).await.unwrap();
        for length in 0..whole.len() {
            replies(&whole.as_bytes()[..length]);
            let result = ask(&fake, verb).await;
            unusable(&result, operation, &format!("{operation} cut at {length}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_is_read_up_to_a_bound() {
    let (fake, script) = scripted();
    let mut body = b"<DescribeTargetHealthResponse>".to_vec();
    body.resize(17 << 20, b' ');
    script
        .lock()
        .unwrap()
        .insert("DescribeTargetHealth", (200, body));
    let result = ask(&fake, Verb::TargetHealth).await;
    let message = unusable(&result, "DescribeTargetHealth", "17 MiB");
    assert!(message.contains("longer than 16 MiB"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_too_many_requests_in_its_own_words_is_heard() {
    let (fake, script) = scripted();
    let page = b"<html>slow down</html>".to_vec();
    script
        .lock()
        .unwrap()
        .insert("RegisterTargets", (429, page));
    let failed = ask(&fake, Verb::Register).await.unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Throttled);
}

/// Another account's group under the ARN that was asked for, as a proxy or a cache could answer.
#[tokio::test(start_paused = true)]
async fn an_answer_about_a_group_of_another_account_is_no_answer() {
    let (fake, script) = scripted();
    let other = answer("DescribeTargetGroups").replace("123456789012", "999999999999");
    script
        .lock()
        .unwrap()
        .insert("DescribeTargetGroups", (200, other.into_bytes()));
    let result = ask(&fake, Verb::TargetGroup).await;
    let message = unusable(&result, "DescribeTargetGroups", "another account");
    assert!(message.contains("not asked for"), "{message}");
}
