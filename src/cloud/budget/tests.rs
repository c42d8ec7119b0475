//! Turns, rates and the pace.

use std::{sync::Arc, time::Duration};

use tokio::time::{self, Instant};

use super::{bucket::RECOVERY, *};
use crate::cloud::Urgency;

fn caller() -> Caller {
    Caller::new("shop", Urgency::InProgress)
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

async fn take_all(budgets: &Budgets, budget: Budget, count: usize) {
    for _ in 0..count {
        budgets.take(budget, &caller(), far()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_then_the_rate_holds() {
    let budgets = Budgets::default();
    let begin = Instant::now();
    take_all(&budgets, Budget::ElbRead, 20).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    take_all(&budgets, Budget::ElbRead, 30).await;
    let took = begin.elapsed().as_secs_f64();
    assert!((10.0..10.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn an_account_with_raised_limits_is_asked_more_often() {
    let budgets = Budgets::times(2.0);
    let begin = Instant::now();
    take_all(&budgets, Budget::ElbRead, 40).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    take_all(&budgets, Budget::ElbRead, 30).await;
    let took = begin.elapsed().as_secs_f64();
    assert!((5.0..5.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_rests_fills_up_to_its_burst_and_no_further() {
    let budgets = Budgets::default();
    take_all(&budgets, Budget::ElbRegister, 5).await;
    time::sleep(Duration::from_secs(3600)).await;
    let begin = Instant::now();
    take_all(&budgets, Budget::ElbRegister, 5).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    take_all(&budgets, Budget::ElbRegister, 1).await;
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn turns_come_in_the_order_of_asking() {
    let budgets = Arc::new(Budgets::default());
    take_all(&budgets, Budget::ElbRead, 20).await;
    let (turns, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..5 {
        let (budgets, turns) = (Arc::clone(&budgets), turns.clone());
        tokio::spawn(async move {
            budgets
                .take(Budget::ElbRead, &caller(), far())
                .await
                .unwrap();
            turns.send(number).unwrap();
        });
    }
    drop(turns);
    let mut seen = Vec::new();
    while let Some(caller) = order.recv().await {
        seen.push(caller);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_told_at_once_and_takes_no_place() {
    let budgets = Arc::new(Budgets::default());
    take_all(&budgets, Budget::SsmSend, 5).await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let budgets = Arc::clone(&budgets);
            tokio::spawn(async move { budgets.take(Budget::SsmSend, &caller(), far()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let begin = Instant::now();
    for _ in 0..1000 {
        let refused = budgets
            .take(Budget::SsmSend, &caller(), far())
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), FailureKind::Throttled);
        assert!(refused.to_string().contains("ssm-send"), "{refused}");
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
    take_all(&budgets, Budget::SsmSend, 1).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_the_deadline() {
    let budgets = Budgets::default();
    take_all(&budgets, Budget::SsmSend, 5).await;
    let soon = Instant::now() + Duration::from_millis(500);
    assert!(
        budgets
            .take(Budget::SsmSend, &caller(), soon)
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn when_aws_throttles_the_pace_halves_once_and_recovers_slowly() {
    let budgets = Budgets::default();
    for _ in 0..20 {
        budgets.slow_down(Budget::Ec2Read);
    }
    let begin = Instant::now();
    take_all(&budgets, Budget::Ec2Read, 5).await;
    let took = begin.elapsed().as_secs_f64();
    assert!((1.9..2.1).contains(&took), "half of 5 a second: {took}");
    time::sleep(RECOVERY * 2).await;
    take_all(&budgets, Budget::Ec2Read, 20).await;
    let begin = Instant::now();
    take_all(&budgets, Budget::Ec2Read, 5).await;
    let took = begin.elapsed().as_secs_f64();
    assert!((0.9..1.1).contains(&took), "5 a second again: {took}");
}

#[tokio::test(start_paused = true)]
async fn one_budget_does_not_hold_up_another() {
    let budgets = Budgets::default();
    take_all(&budgets, Budget::ElbRead, 26).await;
    let begin = Instant::now();
    take_all(&budgets, Budget::ElbRegister, 5).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
