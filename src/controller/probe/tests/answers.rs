//! Answers of all kinds, over HTTP.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use tokio::net::TcpListener;

use super::{super::http::LARGE, application, drain, ok, probe, probes, read, response, says};
use crate::{
    controller::{Counts, Probe},
    plan::FailureKind,
};

const QUIET: Counts = Counts {
    in_flight: 0,
    served: 7,
};

const BODY: &str = r#"{"inFlight": 0, "served": 7}"#;

#[tokio::test]
async fn both_figures_of_one_path_are_read_from_one_answer() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let (address, _serving) = application(move |path| {
        seen.lock().unwrap().push(path.to_owned());
        ok(BODY)
    })
    .await;
    assert_eq!(probes().read(address, &drain()).await, Ok(QUIET));
    assert_eq!(*asked.lock().unwrap(), ["/drain"]);
}

#[tokio::test]
async fn the_counter_is_asked_before_the_gauge_where_their_paths_differ() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let (address, _serving) = application(move |path| {
        seen.lock().unwrap().push(path.to_owned());
        ok(if path.starts_with("/served") {
            "7"
        } else {
            "0"
        })
    })
    .await;
    let own = address.port();
    let both = probe(json!({
        "inFlight": { "path": "/busy", "pointer": "" },
        "served": { "path": "/served?of={{port}}", "pointer": "" },
    }));
    assert_eq!(probes().read(address, &both).await, Ok(QUIET));
    let expected = [format!("/served?of={own}"), "/busy".to_owned()];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn chunks_are_an_answer() {
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n",
        BODY.len()
    );
    assert_eq!(read(chunked.into_bytes(), &drain()).await, Ok(QUIET));
}

#[tokio::test]
async fn an_answer_that_is_not_one_is_described() {
    let large = format!("[{}1]", "1,".repeat(600_000));
    let chunk = "1,".repeat(600_000);
    let cases = [
        (
            response("404 Not Found", "", "{\"error\":\"no \u{1b}[31m\nsuch\"}"),
            FailureKind::Unavailable,
            [
                "the answer is 404, beginning \"{\\\"error\\\":\\\"no \\x1b[31m\\nsuch",
                "correct the path",
            ],
        ),
        (
            response("302 Found", "location: http://169.254.169.254/\r\n", ""),
            FailureKind::Unavailable,
            ["the answer is 302", "redirects are not followed"],
        ),
        (
            response("401 Unauthorized", "", ""),
            FailureKind::Unavailable,
            ["the answer is 401", "without a login"],
        ),
        (
            response("206 Partial Content", "", BODY),
            FailureKind::Unavailable,
            ["the answer is 206", "beginning"],
        ),
        (
            response("200 OK", "content-encoding: gzip\r\n", BODY),
            FailureKind::Rejected,
            ["encoded as gzip", "uncompressed"],
        ),
        (
            format!("HTTP/1.1 200 OK\r\n\r\n{BODY}").into_bytes(),
            FailureKind::Rejected,
            [
                "neither a Content-Length nor chunks",
                "send a Content-Length",
            ],
        ),
        (
            ok(&large),
            FailureKind::Rejected,
            ["larger than 1048576 bytes", "smaller endpoint"],
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
                chunk.len()
            )
            .into_bytes(),
            FailureKind::Rejected,
            ["larger than 1048576 bytes", "smaller endpoint"],
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            FailureKind::Unavailable,
            ["not HTTP/1.1", "http.port"],
        ),
        (
            ok("<html><body>Please log in"),
            FailureKind::Rejected,
            [
                "served with pointer \"/served\" has an answer that is not whole JSON, beginning \"<html>",
                "use sample",
            ],
        ),
    ];
    for (answer, kind, words) in cases {
        let failure = read(answer, &drain()).await.unwrap_err();
        says(&failure, &words);
        says(&failure, &["the probe http://127.0.0.1:", "/drain: "]);
        assert_eq!(failure.kind, kind, "{failure:?}");
        assert!(failure.message.len() < 1_000, "{failure:?}");
        assert!(
            failure
                .message
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte))
        );
    }
}

/// A figure that is read from a part of the answer may be any number.
#[tokio::test]
async fn an_answer_that_is_cut_at_any_byte_is_none() {
    let whole = ok(BODY);
    for length in 0..whole.len() {
        let failure = read(whole[..length].to_vec(), &drain()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "at {length}");
    }
    assert_eq!(read(whole, &drain()).await, Ok(QUIET));
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let failure = probes().read(address, &drain()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    let url = format!("the probe http://{address}/drain: the connection was refused");
    says(&failure, &[&url, "http.port"]);
}

#[tokio::test]
async fn an_application_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::time::pause();
    let failure = probes().read(address, &drain()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    says(
        &failure,
        &["no complete answer within 2 s", &address.to_string()],
    );
}

/// Hundreds of targets are asked at once; what all of them answer must not be held at once.
#[tokio::test]
async fn large_answers_wait_for_each_other_and_small_ones_for_none() {
    let pad = |length| ok(&format!("{BODY}{}", " ".repeat(length)));
    let probes = probes();
    let (large, _serving) = application(move |_| pad(900_000)).await;
    let (small, _serving) = application(move |_| pad(9_000)).await;
    assert_eq!(probes.read(large, &drain()).await, Ok(QUIET));
    let all = u32::try_from(LARGE).unwrap();
    let held = probes.large.clone().acquire_many_owned(all).await.unwrap();
    let given_back = AtomicBool::new(false);
    let waiting = async {
        assert_eq!(probes.read(large, &drain()).await, Ok(QUIET));
        assert!(given_back.load(Ordering::Relaxed), "it did not wait");
    };
    let meanwhile = async {
        for _ in 0..20 {
            assert_eq!(probes.read(small, &drain()).await, Ok(QUIET));
        }
        given_back.store(true, Ordering::Relaxed);
        drop(held);
    };
    tokio::join!(waiting, meanwhile);
    assert_eq!(probes.large.available_permits(), LARGE);
}
