//! The documents that are shipped, as clients see them.

use serde_json::json;

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
        let content = world
            .ssm("GetDocument", json!({"Name": name}))
            .await
            .ok()
            .json();
        let content: serde_json::Value =
            serde_json::from_str(content["Content"].as_str().unwrap()).unwrap();
        for (parameter, body) in content["parameters"].as_object().unwrap() {
            let pattern = body["allowedPattern"].as_str().unwrap_or_default();
            assert!(
                pattern.starts_with('^') && pattern.ends_with('$'),
                "{name} {parameter}"
            );
        }
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
    assert_eq!(updated["DocumentDescription"]["LatestVersion"], "2");
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
