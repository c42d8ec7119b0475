//! Regions that releases name.

use std::{sync::Arc, time::Duration};

use super::REGION;
use crate::{cloud::aws::Clouds, plan::FailureKind};

fn clouds(own: &str) -> Clouds {
    Clouds::in_memory(own, |_| async { Err("nobody".into()) }, Arc::new(()))
}

/// E3.
#[tokio::test(start_paused = true)]
async fn regions_that_aws_does_not_have_are_refused_and_cost_nobody_theirs() {
    let clouds = clouds(REGION);
    for number in 0..1000 {
        let name = format!("zz-aa-{number}");
        let Err(refused) = clouds.region(Some(&name)) else {
            panic!("{name} was taken");
        };
        assert_eq!(refused.kind(), FailureKind::Rejected);
        let says = refused.to_string();
        assert!(
            says.contains(&name) && says.contains("eu-central-1"),
            "{says}"
        );
        assert!(says.contains("correct spec.aws.region"), "{says}");
    }
    clouds.region(None).unwrap();
    clouds.region(Some("us-east-1")).unwrap();
    let long = "x".repeat(400_000);
    let refused = clouds.region(Some(&long)).err().unwrap();
    assert!(refused.to_string().len() < 1024);
    // No credentials are good in two partitions.
    assert!(clouds.region(Some("cn-north-1")).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_own_region_is_had_even_where_aws_does_not_list_it() {
    let clouds = clouds("xx-local-1");
    clouds.region(None).unwrap();
    clouds.region(Some("xx-local-1")).unwrap();
    clouds.region(Some("eu-west-1")).unwrap();
    assert!(clouds.region(Some("xx-local-2")).is_err());
}

#[tokio::test(start_paused = true)]
async fn regions_in_use_are_bounded_and_idle_ones_are_let_go() {
    let clouds = clouds("sa-east-1");
    let all: Vec<&str> = crate::cloud::aws::regions::DEFAULT.1.to_vec();
    let others: Vec<&str> = all
        .into_iter()
        .filter(|name| *name != "sa-east-1")
        .collect();
    let held = clouds.region(Some(others[0])).unwrap();
    for name in &others[1..16] {
        clouds.region(Some(name)).unwrap();
    }
    let refused = clouds.region(Some(others[16])).err().unwrap();
    assert!(
        refused.to_string().contains("16 other regions"),
        "{refused}"
    );
    clouds.region(None).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    for name in &others[16..31] {
        clouds.region(Some(name)).unwrap();
    }
    // The one that is in use was not let go.
    let again = clouds.region(Some(others[0])).unwrap();
    assert!(Arc::ptr_eq(&held, &again));
}
