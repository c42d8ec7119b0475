//! The probe against real sockets on the loopback.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    api::HttpProbe,
    controller::{Counts, HttpProbes, Probe},
    plan::{Failure, FailureKind},
};

async fn application(body: &str) -> (SocketAddr, AbortOnDropHandle<()>) {
    let body = body.to_owned();
    let router = Router::new()
        .route("/drain", get(async move || body))
        .route("/slow", get(std::future::pending::<String>));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, AbortOnDropHandle::new(server))
}

fn probe(in_flight: &str, served: &str) -> HttpProbe {
    HttpProbe {
        port: None,
        path: "/drain".to_owned(),
        in_flight: in_flight.to_owned(),
        served: served.to_owned(),
    }
}

async fn read(body: &str, in_flight: &str, served: &str) -> Result<Counts, Failure> {
    let (address, _server) = application(body).await;
    HttpProbes::default()
        .read(address, &probe(in_flight, served))
        .await
}

#[tokio::test]
async fn it_reads_both_numbers() {
    let body = r#"{"inFlight": 3, "served": 18446744073709551615}"#;
    let counts = read(body, "body.inFlight", "body.served").await.unwrap();
    assert_eq!(
        counts,
        Counts {
            in_flight: 3,
            served: u64::MAX
        }
    );
}

#[tokio::test]
async fn an_expression_may_reckon_and_go_over_a_list() {
    let body = r#"{"measurements": [{"statistic": "VALUE", "value": 4.0}, {"statistic": "MAX", "value": 9.0}], "probes": 1}"#;
    let one = "body.measurements.filter(m, m.statistic == 'VALUE')[0].value";
    let counts = read(body, one, "body.probes + 41").await.unwrap();
    assert_eq!(
        counts,
        Counts {
            in_flight: 4,
            served: 42
        }
    );
}

#[tokio::test]
async fn a_loop_within_a_loop_is_refused() {
    let nested = "body.a.all(x, body.a.all(y, x == y)) ? 0 : 1";
    let failure = read(r#"{"a": [1]}"#, nested, "body.a[0]")
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(
        failure.message.contains("loop within a loop"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn what_is_not_a_whole_number_from_zero_is_refused_by_name() {
    for body in [
        r#"{"n": -1}"#,
        r#"{"n": 1.5}"#,
        r#"{"n": "3"}"#,
        r#"{"n": null}"#,
        r#"{"n": true}"#,
        "{}",
    ] {
        let failure = read(body, "body.n", "0").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected, "{body}");
        assert!(
            failure
                .message
                .starts_with("drain.inFlight.http.inFlight, \"body.n\", "),
            "{}",
            failure.message
        );
    }
}

#[tokio::test]
async fn what_is_not_an_expression_is_refused() {
    let failure = read("{}", "0", "body..").await.unwrap_err();
    assert!(
        failure.message.contains("http.served") && failure.message.contains("CEL"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_not_json_is_refused() {
    let large = format!("[{}1]", "1,".repeat(40_000));
    for (body, word) in [(large.as_str(), "65536 bytes"), ("<html>", "JSON")] {
        let failure = read(body, "0", "0").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.message.contains(word), "{}", failure.message);
    }
}

#[tokio::test]
async fn no_answer_is_unavailable_with_the_same_words_each_time() {
    let (address, server) = application("{}").await;
    let missing = HttpProbe {
        path: "/other".to_owned(),
        ..probe("0", "0")
    };
    let failure = HttpProbes::default()
        .read(address, &missing)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(
        failure.message.ends_with("/other answered 404"),
        "{}",
        failure.message
    );
    drop(server);
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let first = HttpProbes::default()
        .read(closed, &probe("0", "0"))
        .await
        .unwrap_err();
    let second = HttpProbes::default()
        .read(closed, &probe("0", "0"))
        .await
        .unwrap_err();
    assert_eq!(first.kind, FailureKind::Unavailable);
    assert_eq!(first, second);
}

#[tokio::test]
async fn an_application_that_does_not_answer_is_given_up() {
    let (address, _server) = application("{}").await;
    let slow = HttpProbe {
        path: "/slow".to_owned(),
        ..probe("0", "0")
    };
    let probes = HttpProbes::default();
    tokio::time::pause();
    let read = tokio::time::timeout(Duration::from_secs(60), probes.read(address, &slow)).await;
    let failure = read.expect("it gives up by itself").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
}
