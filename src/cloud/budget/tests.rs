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

/// Callers that wait at the same time, in the order in which they have their turn.
async fn order(callers: &[(&str, Urgency)]) -> Vec<usize> {
    let budgets = Arc::new(Budgets::default());
    take_all(&budgets, Budget::Ec2Read, 20).await;
    let (turns, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (number, (namespace, urgency)) in callers.iter().enumerate() {
        let (budgets, turns) = (Arc::clone(&budgets), turns.clone());
        let caller = Caller::new(namespace, *urgency);
        tokio::spawn(async move {
            if budgets.take(Budget::Ec2Read, &caller, far()).await.is_ok() {
                turns.send(number).unwrap();
            }
        });
        tokio::task::yield_now().await;
    }
    drop(turns);
    let mut seen = Vec::new();
    while let Some(number) = order.recv().await {
        seen.push(number);
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn the_more_urgent_goes_first_and_namespaces_take_turns() {
    use Urgency::{First, Idle, InProgress};
    let callers = [
        ("a", Idle),
        ("a", InProgress),
        ("a", InProgress),
        ("a", InProgress),
        ("b", InProgress),
        ("c", First),
    ];
    assert_eq!(order(&callers).await, [5, 1, 4, 2, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_costs_nobody_a_turn() {
    let budgets = Budgets::default();
    take_all(&budgets, Budget::SsmSend, 5).await;
    let gone = caller();
    for _ in 0..100 {
        let asked = budgets.take(Budget::SsmSend, &gone, far());
        assert!(
            time::timeout(Duration::from_millis(1), asked)
                .await
                .is_err()
        );
    }
    let begin = Instant::now();
    take_all(&budgets, Budget::SsmSend, 1).await;
    assert!(begin.elapsed() <= Duration::from_secs(1));
}

/// One namespace asks for more than there is; another has every second turn.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_floods_the_budget_leaves_the_others_theirs() {
    let budgets = Arc::new(Budgets::default());
    let flood = |number: u32| {
        let budgets = Arc::clone(&budgets);
        let caller = Caller::new("flood", Urgency::InProgress);
        tokio::spawn(async move {
            time::sleep(Duration::from_millis(u64::from(number) * 10)).await;
            let _ = budgets.take(Budget::ElbRead, &caller, far()).await;
        })
    };
    let tasks: Vec<_> = (0..6000).map(flood).collect();
    time::sleep(Duration::from_secs(20)).await;
    for _ in 0..20 {
        let begin = Instant::now();
        take_all(&budgets, Budget::ElbRead, 1).await;
        assert!(
            begin.elapsed() < Duration::from_secs(1),
            "{:?}",
            begin.elapsed()
        );
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Idle callers wait behind the others, and never for ever.
#[tokio::test(start_paused = true)]
async fn one_turn_in_eight_is_for_the_least_urgent() {
    let mut queue = super::queue::Queue::default();
    let idle = Caller::new("a", Urgency::Idle);
    let mut idle_turn = queue.join(&idle);
    let mut urgent = Vec::new();
    for number in 0..20 {
        urgent.push(queue.join(&caller()));
        assert!(queue.serve());
        if idle_turn.try_recv().is_ok() {
            assert_eq!(number, 7);
            return;
        }
    }
    panic!("an idle caller had no turn in twenty");
}
