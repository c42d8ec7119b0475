//! The documents that are shipped, as clients see them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test(start_paused = true)]
async fn the_shipped_documents_describe_and_guard_every_parameter() {
    let world = World::calm();
    for name in ["BlueGreen-StartUnit", "BlueGreen-StopUnit"] {
        let described = world
            .ssm("DescribeDocument", json!({"Name": name}))
            .await
            .ok()
            .json();
        let parameters = described["Document"]["Parameters"].as_array().unwrap();
        for parameter in parameters {
            assert!(
                !parameter["Description"].as_str().unwrap().is_empty(),
                "{parameter}"
            );
        }
        let content = content(&world, name).await;
        for (parameter, body) in content["parameters"].as_object().unwrap() {
            let pattern = body["allowedPattern"].as_str().unwrap_or_default();
            assert!(
                pattern.starts_with('^') && pattern.ends_with('$'),
                "{name} {parameter}"
            );
        }
    }
}

/// What clients are given as the content of a shipped document.
async fn content(world: &World, name: &str) -> Value {
    let got = world.ssm("GetDocument", json!({"Name": name})).await.ok();
    serde_json::from_str(got.json()["Content"].as_str().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_document_is_described_with_its_parameters_and_their_defaults() {
    let world = World::calm();
    let ask = json!({"Name": "BlueGreen-StopUnit"});
    let described = world.ssm("DescribeDocument", ask).await.ok().json();
    let document = &described["Document"];
    for (field, expected) in [
        ("Status", "Active"),
        ("DocumentType", "Command"),
        ("DefaultVersion", "1"),
        ("SchemaVersion", "2.2"),
    ] {
        assert_eq!(document[field], expected, "{field}");
    }
    let parameters = document["Parameters"].as_array().unwrap();
    let default = |name: &str| {
        let found = parameters.iter().find(|one| one["Name"] == name).unwrap();
        found.get("DefaultValue").cloned()
    };
    assert_eq!(default("unit"), None, "it is required");
    assert_eq!(default("gracePeriod"), Some(json!("30")));
    let missing = world.ssm("DescribeDocument", json!({"Name": "Typo"})).await;
    assert_eq!(missing.code(), "InvalidDocument");
}

#[tokio::test(start_paused = true)]
async fn what_both_documents_take_is_the_same_in_both() {
    let world = World::calm();
    let start = content(&world, "BlueGreen-StartUnit").await;
    let stop = content(&world, "BlueGreen-StopUnit").await;
    for name in ["unit", "fence"] {
        let parameter = &start["parameters"][name];
        assert!(parameter.is_object(), "{name}");
        assert_eq!(*parameter, stop["parameters"][name]);
    }
    assert_eq!(start["parameters"]["fence"]["default"], "0");
    // The lock and the fence are one piece of script.
    let piece = |document: &Value| {
        let lines = document["mainSteps"][0]["inputs"]["runCommand"]
            .as_array()
            .unwrap();
        let lines: Vec<String> = lines
            .iter()
            .map(|line| line.as_str().unwrap().to_owned())
            .collect();
        let from = lines.iter().position(|line| line.starts_with("kept="));
        let to = lines.iter().rposition(|line| line == "began=$(now)");
        lines[from.unwrap()..to.unwrap()].to_vec()
    };
    assert_eq!(piece(&start), piece(&stop));
}

#[tokio::test(start_paused = true)]
async fn the_shipped_scripts_are_plain_shell() {
    let world = World::calm();
    for name in ["BlueGreen-StartUnit", "BlueGreen-StopUnit"] {
        let document = content(&world, name).await;
        let lines = document["mainSteps"][0]["inputs"]["runCommand"]
            .as_array()
            .unwrap();
        let mut script: String = lines
            .iter()
            .map(|line| line.as_str().unwrap().to_owned() + "\n")
            .collect();
        for parameter in document["parameters"].as_object().unwrap().keys() {
            script = script.replace(&format!("{{{{ {parameter} }}}}"), "8080");
        }
        assert!(!script.contains("{{"), "{name} has an unknown parameter");
        let mut shell = Command::new("/bin/sh");
        let mut shell = shell.arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        let mut input = shell.stdin.take().unwrap();
        input.write_all(script.as_bytes()).unwrap();
        drop(input);
        assert!(shell.wait().unwrap().success(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn fences_and_grace_periods_are_numbers_as_one_writes_them() {
    let world = World::calm();
    let good = json!({"unit": ["a@1.service"], "gracePeriod": ["30"], "fence": ["1"]});
    let table = [
        ("fence", "007", false),
        ("fence", "-1", false),
        ("fence", "1 ", false),
        ("fence", "1234567890123456789", false),
        ("fence", "999999999999999999", true),
        ("fence", "", true),
        ("gracePeriod", "08", false),
        ("gracePeriod", "1.5", false),
        ("gracePeriod", "", false),
        ("gracePeriod", "0", true),
    ];
    for (name, value, fits) in table {
        let mut parameters = good.clone();
        parameters[name] = json!([value]);
        let sent = world.ssm(
            "SendCommand",
            json!({
                "DocumentName": "BlueGreen-StopUnit",
                "InstanceIds": [world.host(0)],
                "Parameters": parameters,
            }),
        );
        let status = sent.await.status;
        assert_eq!(status == 200, fits, "{name} {value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_of_ones_own_is_created_updated_and_deleted() {
    let world = World::calm();
    let content = |command: &str| {
        json!({
            "schemaVersion": "2.2",
            "mainSteps": [{
                "action": "aws:runShellScript",
                "name": "run",
                "inputs": {"runCommand": [command]},
            }],
        })
        .to_string()
    };
    let create = json!({"Name": "Own", "Content": content("true"), "DocumentType": "Command"});
    world.ssm("CreateDocument", create.clone()).await.ok();
    assert_eq!(
        world.ssm("CreateDocument", create.clone()).await.code(),
        "DocumentAlreadyExists"
    );
    assert_eq!(
        world.ssm("UpdateDocument", create).await.code(),
        "DuplicateDocumentContent"
    );
    let update = json!({"Name": "Own", "Content": content("false"), "DocumentVersion": "$LATEST"});
    let updated = world.ssm("UpdateDocument", update).await.ok().json();
    let description = &updated["DocumentDescription"];
    assert_eq!(description["LatestVersion"], "2");
    assert_eq!(description["DefaultVersion"], "1");
    let of = async |version: Option<&str>| {
        let mut ask = json!({"Name": "Own"});
        if let Some(version) = version {
            ask["DocumentVersion"] = json!(version);
        }
        let got = world.ssm("GetDocument", ask).await.ok().json();
        got["Content"].as_str().unwrap().to_owned()
    };
    // A new version runs when it is made the default, or is named.
    assert_eq!(of(None).await, content("true"));
    assert_eq!(of(Some("$LATEST")).await, content("false"));
    let third = json!({"Name": "Own", "DocumentVersion": "3"});
    for action in [
        "UpdateDocumentDefaultVersion",
        "DescribeDocument",
        "GetDocument",
    ] {
        let code = world.ssm(action, third.clone()).await.code();
        assert_eq!(code, "InvalidDocumentVersion", "{action}");
    }
    let second = json!({"Name": "Own", "DocumentVersion": "2"});
    world.ssm("UpdateDocumentDefaultVersion", second).await.ok();
    assert_eq!(of(None).await, content("false"));
    assert_eq!(of(Some("1")).await, content("true"));
    let broken = json!({"Name": "Broken", "Content": "{}"});
    assert_eq!(
        world.ssm("CreateDocument", broken).await.code(),
        "InvalidDocumentContent"
    );
    let names = world.ssm(
        "ListDocuments",
        json!({"Filters": [{"Key": "Name", "Values": ["Own"]}]}),
    );
    assert_eq!(
        names.await.ok().json()["DocumentIdentifiers"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    world
        .ssm("DeleteDocument", json!({"Name": "Own"}))
        .await
        .ok();
    assert_eq!(
        world
            .ssm("GetDocument", json!({"Name": "Own"}))
            .await
            .code(),
        "InvalidDocument"
    );
}
