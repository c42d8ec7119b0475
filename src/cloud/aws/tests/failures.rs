//! What happens when AWS does not do what it should.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::{Duration, Instant, timeout};

use super::{Fake, Reply, Seen, arn, caller, elb_error, ok, targets, xml};
use crate::{
    api::Time,
    cloud::{Cloud, OPERATION_TIMEOUT},
    plan::FailureKind,
};

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_within_the_operation_timeout_and_may_have_happened() {
    let fake = Fake::new(|_| Reply::Hang);
    let begin = Instant::now();
    let failed = fake
        .cloud
        .deregister(&caller(), &arn(), &targets(1))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Unavailable);
    assert!(
        begin.elapsed() <= OPERATION_TIMEOUT,
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(
        fake.operations().len(),
        1,
        "nothing below the loop tries again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_effect_of_many_requests_ends_within_the_operation_timeout_too() {
    let fake = Fake::new(|_| xml("RegisterTargets", ""));
    let begin = Instant::now();
    let failed = fake
        .cloud
        .register(&caller(), &arn(), &targets(200 * 50))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Throttled);
    assert!(
        begin.elapsed() <= OPERATION_TIMEOUT,
        "{:?}",
        begin.elapsed()
    );
    let sent = fake.operations().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.operations().len(), sent, "a request was sent late");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_that_the_lease_might_not_outlast() {
    let fake = Fake::fenced(|_| xml("DeregisterTargets", ""), || false);
    let failed = fake
        .cloud
        .deregister(&caller(), &arn(), &targets(1))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::NotAsked);
    let says = "not asked, because this controller's lease might end before the answer comes";
    assert!(failed.to_string().contains(says), "{failed}");
    assert!(fake.operations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_asked_about_when_a_request_has_waited_for_its_turn() {
    let begin = Instant::now();
    let held = move || begin.elapsed() < Duration::from_secs(1);
    let late = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&late);
    let script = move |_: &Seen| {
        noted.fetch_or(!held(), Ordering::Relaxed);
        xml("RegisterTargets", "")
    };
    let fake = Fake::fenced(script, held);
    let failed = fake
        .cloud
        .register(&caller(), &arn(), &targets(200 * 50))
        .await
        .unwrap_err();
    assert_eq!(failed.kind(), FailureKind::NotAsked);
    assert!(!fake.operations().is_empty());
    assert!(!late.load(Ordering::Relaxed), "it was sent all the same");
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_is_read_for_no_longer_than_the_operation_timeout() {
    let fake = Fake::new(|_| {
        let page = ok(r#"{"Commands":[],"NextToken":"and-on"}"#);
        Reply::Late(Duration::from_millis(900), Box::new(page))
    });
    let begin = Instant::now();
    let caller = caller();
    let asked = fake
        .cloud
        .command(&caller, "operation", Time::from_millis(0));
    let bound = OPERATION_TIMEOUT * 2;
    let failed = timeout(bound, asked).await.unwrap().unwrap_err();
    assert_eq!(failed.kind(), FailureKind::Unavailable);
    assert_eq!(begin.elapsed(), OPERATION_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_unavailable() {
    for reply in [
        || Reply::BreakTheConnection,
        || ok("<not-xml"),
        || Reply::Answer(502, "<html>bad gateway</html>".to_owned()),
        || {
            elb_error(
                500,
                "HealthUnavailable",
                "The health of the targets is not available",
            )
        },
        || elb_error(503, "ServiceUnavailable", "later"),
        || elb_error(500, "InvalidTargetSomething", "new"),
    ] {
        let fake = Fake::new(move |_| reply());
        let failed = fake
            .cloud
            .target_health(&caller(), &arn())
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), FailureKind::Unavailable, "{failed}");
        assert!(failed.to_string().contains("target group shop"), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_code_is_the_kind_of_failure_that_it_is() {
    for (status, code, kind) in [
        (403, "AccessDenied", FailureKind::Denied),
        (403, "ExpiredToken", FailureKind::Denied),
        (403, "InvalidClientTokenId", FailureKind::Denied),
        (400, "RequestExpired", FailureKind::Denied),
        (400, "Throttling", FailureKind::Throttled),
        (400, "ThrottlingException", FailureKind::Throttled),
        (429, "PriorRequestNotComplete", FailureKind::Throttled),
        (400, "TargetGroupNotFound", FailureKind::NotFound),
        (400, "ValidationError", FailureKind::Rejected),
        (400, "TooManyTargets", FailureKind::Rejected),
        (400, "InventedTomorrow", FailureKind::Rejected),
    ] {
        let fake = Fake::new(move |_| elb_error(status, code, "Some words"));
        let failed = fake
            .cloud
            .register(&caller(), &arn(), &targets(1))
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), kind, "{code}");
        assert!(failed.to_string().contains(code), "{failed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_failure_has_the_same_words_every_time() {
    let fake = Fake::new(|_| elb_error(400, "ValidationError", "Bad (Request ID: 1-2-3)"));
    let first = fake
        .cloud
        .register(&caller(), &arn(), &targets(1))
        .await
        .unwrap_err();
    let second = fake
        .cloud
        .register(&caller(), &arn(), &targets(1))
        .await
        .unwrap_err();
    assert_eq!(first, second);
    assert!(!first.to_string().contains("request-"), "{first}");
    assert!(!first.to_string().contains("1-2-3"), "{first}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_account_is_asked_at_half_the_pace() {
    let fake = Fake::new(|_| elb_error(400, "Throttling", "Rate exceeded"));
    for _ in 0..2 {
        fake.cloud
            .target_health(&caller(), &arn())
            .await
            .unwrap_err();
    }
    let begin = Instant::now();
    fake.cloud
        .target_health(&caller(), &arn())
        .await
        .unwrap_err();
    let waited = begin.elapsed().as_secs_f64();
    assert!((0.6..0.7).contains(&waited), "3 a second, halved: {waited}");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_told_of_every_call_and_of_those_that_were_held_back() {
    let fake = Fake::new(|seen| match seen.operation.as_str() {
        "RegisterTargets" => xml("RegisterTargets", ""),
        _ => Reply::Hang,
    });
    fake.cloud
        .register(&caller(), &arn(), &targets(1))
        .await
        .unwrap();
    fake.cloud
        .target_health(&caller(), &arn())
        .await
        .unwrap_err();
    assert_eq!(
        fake.calls.told(),
        [
            "RegisterTargets started",
            "RegisterTargets ok after 0s",
            "DescribeTargetHealth started",
            "DescribeTargetHealth unavailable after 3s"
        ]
    );
    let (group, one) = (arn(), targets(1));
    let caller = caller();
    let at_once = (0..20).map(|_| fake.cloud.register(&caller, &group, &one));
    let results = futures::future::join_all(at_once).await;
    let held_back = results.iter().filter(|result| result.is_err()).count();
    let told = fake.calls.told();
    let told = told
        .iter()
        .filter(|told| *told == "RegisterTargets held back");
    assert!(held_back > 10, "{held_back}");
    assert_eq!(told.count(), held_back);
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_readings_and_none_is_older_than_its_question() {
    let fake = Fake::new(|_| {
        xml(
            "DescribeTargetHealth",
            "<TargetHealthDescriptions></TargetHealthDescriptions>",
        )
    });
    let group = arn();
    let caller = caller();
    let callers = (0..3000).map(|_| fake.cloud.target_health(&caller, &group));
    for result in futures::future::join_all(callers).await {
        result.unwrap();
    }
    assert_eq!(fake.operations().len(), 2);
}
