//! Commands: what is sent to Systems Manager, and how it is found again.

use std::collections::BTreeMap;

use bluegreen::{
    api::{Duration, StepKind, Time},
    plan::{CommandState, SendCommand},
};
use serde_json::json;

use super::{
    super::report::{Side, Suite},
    moto::Moto,
};

pub(super) async fn suite(moto: &Moto<'_>, suite: &mut Suite) {
    suite
        .case(Side::Real, "a shipped document is taken", document(moto))
        .await;
    suite
        .case(
            Side::Real,
            "a command as it is sent, and one that never was",
            sent(moto),
        )
        .await;
    suite
        .case(Side::Real, "more hosts than a command takes", many(moto))
        .await;
}

pub(super) fn command(operation: &str, instances: Vec<String>) -> SendCommand {
    let parameters = [("unit", "shop@8080.service"), ("gracePeriod", "30")];
    SendCommand {
        operation: operation.to_owned(),
        kind: StepKind::Stop,
        document: "BlueGreen-StopUnit".to_owned(),
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        instances,
        port: 8080,
        timeout: Duration::from_secs(60),
    }
}

/// So many seconds after now, or before it.
pub(super) fn from_now(seconds: i64) -> Time {
    Time::from(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds))
}

/// The documents are made as the README says.
async fn document(moto: &Moto<'_>) {
    for name in ["BlueGreen-StartUnit", "BlueGreen-StopUnit"] {
        let file = moto.project().join(format!("aws/documents/{name}.json"));
        let made = moto
            .text(&format!(
                "ssm create-document --name {name} --document-type Command \
                 --document-format JSON --content file://{} \
                 --query DocumentDescription.[Name,Status,SchemaVersion]",
                file.display()
            ))
            .await;
        assert_eq!(made, format!("{name} Active 2.2"));
        let seen = moto.edge().await.document(name).await.unwrap();
        assert_eq!(seen.unusable, None);
        assert_eq!(seen.parameters.get("unit"), Some(&true), "{seen:?}");
    }
}

/// What aws-cli lists of the commands with a comment. Moto takes every host of a region for one
/// that was named, so each of these cases has a region for itself.
async fn listed(moto: &Moto<'_>, region: &str, operation: &str) -> serde_json::Value {
    moto.json(&format!(
        "ssm list-commands --region {region} --query Commands[?Comment=='{operation}'].{{document:DocumentName,\
         parameters:Parameters,hosts:InstanceIds,delivered:TimeoutSeconds,\
         concurrency:MaxConcurrency,errors:MaxErrors}}"
    ))
    .await
}

async fn sent(moto: &Moto<'_>) {
    let region = "eu-central-1";
    let hosts = ["i-0123456789abcdef0", "i-0123456789abcdef1"].map(str::to_owned);
    let edge = moto.edge_in(region).await;
    // A host that is named twice is told once.
    let twice = vec![hosts[1].clone(), hosts[0].clone(), hosts[1].clone()];
    edge.send(&command("sent/1/stop", twice)).await.unwrap();
    let mut seen = listed(moto, region, "sent/1/stop").await;
    let told = seen[0]["hosts"].as_array_mut().unwrap();
    told.sort_by_key(ToString::to_string);
    let expected = json!([{
        "document": "BlueGreen-StopUnit",
        "parameters": { "unit": ["shop@8080.service"], "gracePeriod": ["30"] },
        "hosts": hosts,
        "delivered": 60,
        "concurrency": "100%",
        "errors": "100%",
    }]);
    assert_eq!(seen, expected);
    // Others' commands are in the list that a controller which is new reads to its end.
    let edge = moto.edge_in(region).await;
    let state = edge.command("never/1/stop", from_now(-3600)).await;
    assert_eq!(state, Ok(CommandState::Absent));
}

async fn many(moto: &Moto<'_>) {
    let hosts: Vec<String> = (0..51).map(|number| format!("i-{number:017x}")).collect();
    let region = "eu-north-1";
    let edge = moto.edge_in(region).await;
    edge.send(&command("many/1/stop", hosts.clone()))
        .await
        .unwrap();
    let seen = listed(moto, region, "many/1/stop").await;
    let mut told = BTreeMap::new();
    for (number, command) in seen.as_array().unwrap().iter().enumerate() {
        for host in command["hosts"].as_array().unwrap() {
            let host = host.as_str().unwrap().to_owned();
            assert_eq!(told.insert(host, number), None, "it is told once");
        }
    }
    assert_eq!(seen.as_array().map(Vec::len), Some(2));
    assert!(told.keys().eq(&hosts), "{told:?}");
}
