//! Agents and documents.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{Fake, Seen, caller, ok, ssm_error};
use crate::{cloud::Cloud, plan::FailureKind};

fn hosts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("i-{number:03}")).collect()
}

/// A Systems Manager whose odd hosts have lost their connection, and that does not know the last.
fn agents() -> Fake {
    Fake::new(|seen: &Seen| {
        let ids = seen.json["Filters"][0]["Values"].as_array().unwrap();
        let known = ids.iter().filter(|id| *id != "i-051");
        let list: Vec<_> = known
            .enumerate()
            .map(|(number, id)| {
                let ping = ["Online", "ConnectionLost"][number % 2];
                json!({ "InstanceId": id, "PingStatus": ping })
            })
            .collect();
        // Two pages each.
        let (first, second) = list.split_at(list.len() / 2);
        let page = match seen.json["NextToken"].as_str() {
            None => json!({ "InstanceInformationList": first, "NextToken": "more" }),
            Some(_) => json!({ "InstanceInformationList": second }),
        };
        ok(page.to_string())
    })
}

#[tokio::test(start_paused = true)]
async fn agents_are_online_or_not_by_fifty_hosts_and_are_known_for_half_a_minute() {
    let fake = agents();
    let mut asked = hosts(52);
    let online = fake.cloud.agents(&caller(), &asked).await.unwrap();
    assert_eq!(online.len(), 26);
    assert!(online.contains("i-000") && !online.contains("i-001") && !online.contains("i-051"));
    let seen = fake.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[0].operation, "DescribeInstanceInformation");
    assert_eq!(seen[0].json["Filters"][0]["Key"], "InstanceIds");
    let values = |at: usize| {
        seen[at].json["Filters"][0]["Values"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!([values(0), values(2)], [50, 2]);
    assert_eq!(seen[0].json["MaxResults"], 50);
    asked.reverse();
    fake.cloud.agents(&caller(), &asked).await.unwrap();
    assert_eq!(fake.seen().len(), 4);
    tokio::time::sleep(Duration::from_secs(30)).await;
    fake.cloud.agents(&caller(), &asked).await.unwrap();
    assert_eq!(fake.seen().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn no_hosts_are_no_question() {
    let fake = agents();
    assert!(fake.cloud.agents(&caller(), &[]).await.unwrap().is_empty());
    assert!(fake.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_document_tells_which_parameters_a_command_must_give() {
    let document = json!({ "Document": {
        "Name": "Stop", "Status": "Active", "DocumentType": "Command",
        "Parameters": [
            { "Name": "unit", "Type": "String" },
            { "Name": "note", "Type": "String", "DefaultValue": "" },
            { "Name": "seconds", "Type": "String", "DefaultValue": "30" },
        ],
    } });
    let fake = Fake::new(move |_| ok(document.to_string()));
    let found = fake.cloud.document(&caller(), "Stop").await.unwrap();
    assert_eq!(found.unusable, None);
    let expected = [("unit", true), ("note", false), ("seconds", false)];
    let expected = expected.map(|(name, must)| (name.to_owned(), must));
    assert_eq!(found.parameters, BTreeMap::from(expected));
    assert_eq!(fake.seen()[0].json["Name"], "Stop");
    fake.cloud.document(&caller(), "Stop").await.unwrap();
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_no_command_can_run_says_why() {
    for (kind, status, why) in [
        ("Automation", "Active", "it is of type Automation"),
        ("Command", "Failed", "it is Failed: schema"),
        ("Command", "Creating", "it is Creating"),
    ] {
        let document = json!({ "Document": {
            "Name": "Stop", "Status": status, "DocumentType": kind,
            "StatusInformation": format!("schema {}", "ä".repeat(10_000)),
        } });
        let fake = Fake::new(move |_| ok(document.to_string()));
        let found = fake.cloud.document(&caller(), "Stop").await.unwrap();
        let says = found.unusable.unwrap();
        assert!(says.starts_with(why) && says.len() <= 256, "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_not_there_is_not_found_by_name_with_its_fix() {
    let fake = Fake::new(|_| ssm_error("InvalidDocument", "Document does not exist"));
    for _ in 0..10 {
        let failed = fake.cloud.document(&caller(), "Stpo").await.unwrap_err();
        assert_eq!(failed.kind(), FailureKind::NotFound);
        let says = failed.to_string();
        assert!(says.contains("document Stpo"), "{says}");
        assert!(says.contains("create the document"), "{says}");
    }
    assert_eq!(
        fake.seen().len(),
        1,
        "what is missing is not asked for at once"
    );
}
