//! Tests of the oracle without a balancer.

use std::net::Ipv4Addr;

use tokio::sync::watch;

use super::*;
use crate::topology::TargetKey;

fn oracle() -> Oracle {
    let (_, topology) = watch::channel(Arc::default());
    Oracle::new(Clock::stepped(), topology)
}

fn target(id: &str) -> TargetKey {
    TargetKey {
        id: id.to_owned(),
        port: 8080,
        serial: 1,
    }
}

fn routed(oracle: &Oracle, id: &str) -> Ticket {
    let mut ticket = oracle.arrived(Ipv4Addr::LOCALHOST.into(), "/", Some("c-1"));
    ticket.routed("blue", &target(id), false);
    ticket
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_while_answers_are_passed_on_is_not_blamed_for_them() {
    let oracle = oracle();
    let (mut answered, mut lost) = (routed(&oracle, "i-1"), routed(&oracle, "i-1"));
    let other = routed(&oracle, "i-2");
    let in_flight = oracle.process_stopped("i-1", 8080, ProcessEnd::Terminated);
    assert_eq!(in_flight, 2);
    answered.answered(200);
    answered.finished();
    lost.answered(502);
    lost.failed(Failure::ConnectionClosed);
    other.failed(Failure::NoAnswer);
    let interrupted = oracle.interrupted();
    assert_eq!(interrupted.len(), 1);
    assert_eq!((interrupted[0].in_flight, interrupted[0].failed), (2, 1));
    assert_eq!(oracle.counters().lost_with_process, 1);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_the_totals_are_not() {
    let oracle = oracle();
    for number in 0..RECENT_KEPT + 50 {
        let target = number % (TARGETS_KEPT + 50);
        routed(&oracle, &format!("i-{target}")).finished();
    }
    for _ in 0..FAILURES_KEPT + 50 {
        routed(&oracle, "i-1").failed(Failure::NoAnswer);
    }
    assert_eq!(oracle.recent().len(), RECENT_KEPT);
    assert_eq!(oracle.failures().len(), FAILURES_KEPT);
    let summary = oracle.summary();
    assert!(summary.targets.len() <= TARGETS_KEPT);
    assert_eq!(summary.in_flight, 0);
    let expected = (RECENT_KEPT + FAILURES_KEPT + 100) as u64;
    assert_eq!(summary.counters.ended, expected);
    assert_eq!(summary.failures.len(), FAILURES_EXPLAINED);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_target_itself_is_told_apart() {
    let oracle = oracle();
    let mut ticket = routed(&oracle, "i-1");
    ticket.answered(500);
    ticket.finished();
    let record = &oracle.failures()[0];
    assert_eq!(record.failure, None);
    let explained = oracle.explain(record);
    assert!(
        explained.contains("(c-1) for /: 500 from the target itself"),
        "{explained}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_summary_can_be_written_as_json() {
    let oracle = oracle();
    routed(&oracle, "i-1").failed(Failure::DelayElapsed);
    oracle.process_started("i-1", 8080);
    let json = serde_json::to_value(oracle.summary()).unwrap();
    assert_eq!(json["counters"]["byFailure"]["delayElapsed"], 1);
    assert_eq!(json["targets"]["i-1:8080"]["process"]["state"], "running");
    serde_json::to_string(&oracle.failures()).unwrap();
}
