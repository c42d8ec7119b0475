//! Instances.

use std::collections::BTreeMap;

use super::{Fake, Reply, caller, ec2_error, ok};
use crate::{
    api::InstanceSelector,
    cloud::Cloud,
    plan::{FailureKind, InstanceState},
};

fn selector(value: &str) -> InstanceSelector {
    InstanceSelector {
        tags: BTreeMap::from([("app".to_owned(), value.to_owned())]),
    }
}

fn instance(id: &str, state: &str, tags: &[(&str, &str)]) -> String {
    let tags: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"))
        .collect();
    format!(
        "<item><reservationId>r-1</reservationId><instancesSet><item>\
         <instanceId>{id}</instanceId>\
         <instanceState><code>16</code><name>{state}</name></instanceState>\
         <placement><availabilityZone>eu-west-1a</availabilityZone></placement>\
         <tagSet>{}</tagSet></item></instancesSet></item>",
        tags.concat()
    )
}

fn reservations(items: &str, token: &str) -> Reply {
    ok(format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         <requestId>1</requestId><reservationSet>{items}</reservationSet>\
         <nextToken>{token}</nextToken></DescribeInstancesResponse>"
    ))
}

const SHOP: &[(&str, &str)] = &[("app", "shop")];

#[tokio::test(start_paused = true)]
async fn instances_are_found_by_their_tags_on_every_page() {
    let fake = Fake::new(|seen| match seen.form.get("NextToken") {
        None => reservations(
            &[
                instance("i-3", "running", SHOP),
                instance("i-1", "running", &[("app", "shop"), ("version", "2")]),
            ]
            .concat(),
            "page-2",
        ),
        Some(token) => {
            assert_eq!(token, "page-2");
            reservations(&instance("i-2", "stopped", SHOP), "")
        }
    });
    let found = fake
        .cloud
        .instances(&caller(), &selector("shop"), Some("version"), None)
        .await
        .unwrap();
    let ids: Vec<&str> = found.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["i-1", "i-2", "i-3"]);
    assert_eq!(found[0].version.as_deref(), Some("2"));
    assert_eq!(found[1].version, None);
    assert_eq!(found[0].zone, "eu-west-1a");
    let seen = &fake.seen()[0];
    assert_eq!(seen.values("Filter", ".Name"), ["tag:app"]);
    assert_eq!(seen.form["Filter.1.Value.1"], "shop");
    assert_eq!(seen.form["MaxResults"], "1000");
}

#[tokio::test(start_paused = true)]
async fn states_are_read() {
    let states = [
        ("pending", InstanceState::Pending),
        ("running", InstanceState::Running),
        ("stopping", InstanceState::Stopped),
        ("stopped", InstanceState::Stopped),
        ("shutting-down", InstanceState::Terminated),
        ("terminated", InstanceState::Terminated),
        ("invented-tomorrow", InstanceState::Pending),
    ];
    let items: Vec<String> = states
        .iter()
        .enumerate()
        .map(|(n, (state, _))| instance(&format!("i-{n}"), state, SHOP))
        .collect();
    let items = items.concat();
    let fake = Fake::new(move |_| reservations(&items, ""));
    let found = fake
        .cloud
        .instances(&caller(), &selector("shop"), None, None)
        .await
        .unwrap();
    for ((word, state), instance) in states.iter().zip(found) {
        assert_eq!(instance.state, *state, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_star_in_a_tag_value_takes_no_other_instance_in() {
    let fake = Fake::new(|seen| {
        assert_eq!(seen.form["Filter.1.Value.1"], r"shop\*");
        let items = [
            instance("i-1", "running", &[("app", "shop*")]),
            instance("i-2", "running", &[("app", "shopping")]),
        ];
        reservations(&items.concat(), "")
    });
    let found = fake
        .cloud
        .instances(&caller(), &selector("shop*"), None, None)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, "i-1");
}

fn terminated() -> Reply {
    ok(
        "<TerminateInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
        <requestId>1</requestId><instancesSet/></TerminateInstancesResponse>",
    )
}

#[tokio::test(start_paused = true)]
async fn instances_are_terminated_a_hundred_at_a_time() {
    let fake = Fake::new(|_| terminated());
    let ids: Vec<String> = (0..101).map(|n| format!("i-{n}")).collect();
    fake.cloud.terminate(&caller(), &ids).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen[0].values("InstanceId", "").len(), 100);
    assert_eq!(seen[1].values("InstanceId", ""), ["i-100"]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_aws_has_forgotten_does_not_keep_the_others_alive() {
    let fake = Fake::new(|seen| {
        if seen.values("InstanceId", "").contains(&"i-1") {
            ec2_error(
                400,
                "InvalidInstanceID.NotFound",
                "The instance ID 'i-1' does not exist",
            )
        } else {
            terminated()
        }
    });
    let ids = ["i-0", "i-1"].map(str::to_owned);
    fake.cloud.terminate(&caller(), &ids).await.unwrap();
    assert_eq!(fake.operations().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn termination_protection_is_a_refusal_that_says_so() {
    let fake = Fake::new(|_| {
        ec2_error(
            400,
            "OperationNotPermitted",
            "The instance 'i-0' may not be terminated. Modify its 'disableApiTermination' \
             instance attribute and try again.",
        )
    });
    let failed = fake
        .cloud
        .terminate(&caller(), &["i-0".to_owned()])
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Rejected);
    assert!(
        failed.to_string().contains("disableApiTermination"),
        "{failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn ec2_has_its_own_word_for_credentials_that_are_not_valid() {
    let text = "AWS was not able to validate the provided access credentials";
    let fake = Fake::new(move |_| ec2_error(401, "AuthFailure", text));
    let failed = fake
        .cloud
        .instances(&caller(), &selector("shop"), None, None)
        .await;
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Denied);
    let remedy = "give it a valid role";
    assert!(failed.to_string().contains(remedy), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn ec2_has_its_own_words_for_throttling_and_denial() {
    for (status, code, kind) in [
        (503, "RequestLimitExceeded", FailureKind::Throttled),
        (403, "UnauthorizedOperation", FailureKind::Denied),
        (500, "InternalError", FailureKind::Unavailable),
        (503, "Unavailable", FailureKind::Unavailable),
    ] {
        let text = "You are not. Encoded authorization failure message: 7f3a";
        let fake = Fake::new(move |_| ec2_error(status, code, text));
        let failed = fake
            .cloud
            .instances(&caller(), &selector("shop"), None, None)
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), kind, "{code}");
        assert!(!failed.to_string().contains("7f3a"), "{failed}");
        assert!(failed.to_string().contains("app=shop"), "{failed}");
    }
}
