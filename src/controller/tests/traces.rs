//! What a trace says of a pass.

use http::Method;

use super::{Harness, planner::acts_once, server::Fault};
use crate::telemetry::tests::{Traced, receiver::Receiver};

#[tokio::test]
async fn a_pass_is_a_trace_with_the_release_and_what_it_wrote() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    let harness = Harness::new(acts_once);
    harness.pass().await.unwrap();
    traced.flush().await;

    let pass = receiver.until(|span| span.name == "pass").await;
    assert_eq!(pass.attributes["release"], "games/shop");
    assert_eq!(pass.attributes["outcome"], "Acted");
    assert!(pass.parent.is_empty(), "{pass:?}");
    assert_eq!(pass.error, None);
    assert_eq!(pass.events.len(), 1, "the decision: {pass:?}");
    for name in ["reading the release", "writing the status"] {
        let call = receiver.until(|span| span.name == name).await;
        assert_eq!(call.parent, pass.id, "{call:?}");
        assert_eq!(call.error, None);
    }
}

#[tokio::test]
async fn a_pass_that_failed_says_what_failed_in_it() {
    let receiver = Receiver::start().await;
    let traced = Traced::to(&receiver.url());
    let harness = Harness::new(acts_once);
    harness.server.fault(Method::PUT, Fault::LoseReply);
    let error = harness.pass().await.unwrap_err().to_string();
    traced.flush().await;

    let pass = receiver.until(|span| span.name == "pass").await;
    assert_eq!(pass.attributes["outcome"], "Failed");
    assert_eq!(pass.error.as_ref(), Some(&error));
    let write = receiver
        .until(|span| span.name == "writing the status")
        .await;
    assert_eq!(write.parent, pass.id);
    assert_eq!(write.error, Some(error));
}
