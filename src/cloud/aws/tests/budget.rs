//! What releases that ask for too much cost the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{self, Instant};

use super::{Fake, Seen, arn, caller, elb_error, xml};
use crate::{
    api::TargetGroupRef,
    cloud::{Caller, Cloud, Urgency},
    plan::{FailureKind, Pace},
};

fn named(name: &str) -> TargetGroupRef {
    TargetGroupRef {
        arn: None,
        name: Some(name.to_owned()),
    }
}

fn described(names: &[&str]) -> String {
    let groups = names.iter().map(|name| {
        format!(
            "<member><TargetGroupArn>arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{name}/0\
             </TargetGroupArn><TargetGroupName>{name}</TargetGroupName><Protocol>HTTP</Protocol>\
             <TargetType>instance</TargetType></member>"
        )
    });
    format!(
        "<TargetGroups>{}</TargetGroups>",
        groups.collect::<String>()
    )
}

/// An AWS that knows every group but those whose name begins with `missing`.
fn account() -> Fake {
    Fake::new(|seen: &Seen| match seen.operation.as_str() {
        "DescribeTargetGroups" => {
            let names = seen.values("Names.member", "");
            if names.iter().any(|name| name.starts_with("missing")) {
                elb_error(400, "TargetGroupNotFound", "One or more not found")
            } else {
                xml("DescribeTargetGroups", &described(&names))
            }
        }
        "DescribeTargetGroupAttributes" => xml(
            "DescribeTargetGroupAttributes",
            "<Attributes><member><Key>deregistration_delay.timeout_seconds</Key>\
             <Value>30</Value></member></Attributes>",
        ),
        _ => xml("DescribeTargetHealth", "<TargetHealthDescriptions/>"),
    })
}

fn count(fake: &Fake, operation: &str) -> usize {
    let operations = fake.operations();
    operations.iter().filter(|one| *one == operation).count()
}

#[tokio::test(start_paused = true)]
async fn groups_that_are_asked_for_together_are_one_request() {
    let fake = account();
    let (caller, names) = (caller(), ["a", "b", "c", "d"].map(named));
    let all = names
        .iter()
        .map(|name| fake.cloud.target_group(&caller, name, None));
    for (found, name) in futures::future::join_all(all)
        .await
        .iter()
        .zip("abcd".chars())
    {
        assert_eq!(found.as_ref().unwrap().name, name.to_string());
    }
    assert_eq!(count(&fake, "DescribeTargetGroups"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_missing_takes_nothing_from_the_others_and_is_asked_alone_from_then_on() {
    let fake = account();
    let caller = caller();
    let names: Vec<String> = (0..7).map(|number| format!("shop-{number}")).collect();
    let groups: Vec<TargetGroupRef> = names
        .iter()
        .map(String::as_str)
        .chain(["missing"])
        .map(named)
        .collect();
    let ask = || async {
        let all = groups
            .iter()
            .map(|name| fake.cloud.target_group(&caller, name, None));
        let mut all = futures::future::join_all(all).await;
        let failed = all.pop().unwrap().unwrap_err();
        assert_eq!(failed.kind(), FailureKind::NotFound);
        // The message does not depend on what else was asked for.
        let says = failed.to_string();
        assert!(says.contains("target group missing: Target"), "{says}");
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    };
    ask().await;
    let first = count(&fake, "DescribeTargetGroups");
    assert!((3..12).contains(&first), "{first}");
    time::sleep(Duration::from_secs(120)).await;
    ask().await;
    assert_eq!(count(&fake, "DescribeTargetGroups"), first + 2);
}

#[tokio::test(start_paused = true)]
async fn descriptions_may_be_old_where_the_caller_says_so() {
    let fake = account();
    let ask = |old| {
        let (cloud, old) = (&fake.cloud, Duration::from_secs(old));
        async move { cloud.target_group(&caller(), &named("a"), Some(old)).await }
    };
    ask(0).await.unwrap();
    time::sleep(Duration::from_secs(240)).await;
    ask(300).await.unwrap();
    assert_eq!(count(&fake, "DescribeTargetGroups"), 1);
    ask(120).await.unwrap();
    assert_eq!(count(&fake, "DescribeTargetGroups"), 2);
}

/// E2: a release in progress goes on while sixty others name groups that do not exist.
#[tokio::test(start_paused = true)]
async fn sixty_releases_that_name_a_missing_group_do_not_stop_one_that_is_good() {
    for urgency in [Urgency::Idle, Urgency::InProgress] {
        let fake = Arc::new(account());
        let over = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let (fake, over) = (Arc::clone(&fake), Arc::clone(&over));
                tokio::spawn(async move {
                    let group = named(&format!("missing-{number}"));
                    let caller = Caller::new("careless", urgency);
                    while !over.load(Ordering::Relaxed) {
                        let asked = fake.cloud.target_group(&caller, &group, None);
                        assert!(asked.await.is_err());
                        time::sleep(Duration::from_secs(1)).await;
                    }
                })
            })
            .collect();
        let (good, shop, group) = (caller(), named("shop"), arn());
        let (mut looks, begin) = (0, Instant::now());
        while begin.elapsed() < Duration::from_secs(150) {
            let looked = futures::join!(
                fake.cloud.target_group(&good, &shop, None),
                fake.cloud.target_health(&good, &group),
            );
            looked.0.unwrap();
            looked.1.unwrap();
            looks += 1;
            time::sleep(Duration::from_secs(1)).await;
        }
        // Undisturbed it would look once a second.
        assert!(looks > 75, "{urgency:?}: {looks} looks in 150 s");
        over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_pace_gets_slower_as_the_budget_is_used_and_stops_withdrawals_when_it_is_used_up() {
    let fake = Arc::new(account());
    assert_eq!(fake.cloud.pace(), Pace::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let load = async |urgency, each: Duration| {
        let begin = Instant::now();
        let mut tasks = Vec::new();
        while begin.elapsed() < Duration::from_secs(60) {
            let (fake, number) = (Arc::clone(&fake), asked.fetch_add(1, Ordering::Relaxed));
            tasks.push(tokio::spawn(async move {
                let mut group = arn();
                group.0.push_str(&number.to_string());
                let caller = Caller::new("shop", urgency);
                let _ = fake.cloud.target_health(&caller, &group).await;
            }));
            time::sleep(each).await;
        }
        for task in tasks {
            task.await.unwrap();
        }
        fake.cloud.pace()
    };
    // 3 a second are the budget.
    let pace = load(Urgency::InProgress, Duration::from_secs(1)).await;
    assert_eq!(pace, Pace::default(), "a third is used");
    let pace = load(Urgency::InProgress, Duration::from_millis(444)).await;
    let every = pace.every.as_secs_f64();
    assert!(
        (15.0..20.0).contains(&every) && pace.may_withdraw,
        "{pace:?}"
    );
    let pace = load(Urgency::InProgress, Duration::from_millis(100)).await;
    assert_eq!(pace.every.as_secs_f64(), 30.0);
    assert!(!pace.may_withdraw);
    // Idle callers give way, so they slow nobody down.
    let pace = load(Urgency::Idle, Duration::from_millis(100)).await;
    assert_eq!(pace, Pace::default());
}
