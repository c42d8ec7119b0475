//! Requests to AWS in the traces of passes.

use futures::future::join;
use tracing::{Instrument, error_span};

use super::{Fake, arn, caller, elb_error, targets, xml};
use crate::{
    cloud::Cloud,
    telemetry::tests::{Traced, receiver::Receiver},
};

const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

#[tokio::test]
async fn each_request_is_a_part_of_the_pass_that_caused_it() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    let fake = Fake::new(|_| xml("DescribeTargetHealth", "<TargetHealthDescriptions/>"));
    let read = |release| {
        let span = error_span!("pass", release);
        let group = arn();
        let cloud = &fake.cloud;
        async move { cloud.target_health(&caller(), &group).await }.instrument(span)
    };
    let (one, other) = join(read("games/one"), read("games/other")).await;
    one.unwrap();
    other.unwrap();
    traced.flush().await;

    for release in ["games/one", "games/other"] {
        let is = |value: Option<&String>| value.is_some_and(|value| value == release);
        let pass = receiver
            .until(|span| span.name == "pass" && is(span.attributes.get("release")))
            .await;
        let request = receiver
            .until(|span| span.name == HEALTH && span.parent == pass.id)
            .await;
        assert_eq!(request.attributes["rpc.method"], "DescribeTargetHealth");
        assert_eq!(request.attributes["result"], "ok");
        assert!(request.attributes["thing"].contains("shop"), "{request:?}");
        assert_eq!(request.error, None);
    }
    assert_eq!(receiver.spans().len(), 4, "{:#?}", receiver.spans());
}

#[tokio::test]
async fn a_request_that_is_refused_says_why() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    let fake = Fake::new(|_| elb_error(400, "ValidationError", "no such thing"));
    let (group, targets) = (arn(), targets(1));
    let caller = caller();
    let register = fake.cloud.register(&caller, &group, &targets);
    let refusal = register
        .instrument(error_span!("pass"))
        .await
        .unwrap_err()
        .to_string();
    traced.flush().await;

    let request = receiver
        .until(|span| span.name == "elasticloadbalancing:RegisterTargets")
        .await;
    assert_eq!(request.attributes["result"], "rejected");
    assert_eq!(request.error, Some(refusal));
}
