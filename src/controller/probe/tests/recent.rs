//! What is remembered from one reading to the next.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{application, drain, ok, probes, response, says};
use crate::{
    controller::{Counts, Probe},
    plan::FailureKind,
};

fn body(served: u64) -> Vec<u8> {
    ok(&format!(r#"{{"inFlight": 0, "served": {served}}}"#))
}

fn counts(served: u64) -> Result<Counts, crate::plan::Failure> {
    Ok(Counts {
        in_flight: 0,
        served,
    })
}

#[tokio::test]
async fn a_counter_that_went_back_proves_nothing_once() {
    let next = Arc::new(Mutex::new(body(812)));
    let answer = next.clone();
    let (address, _serving) = application(move |_| answer.lock().unwrap().clone()).await;
    let probes = probes();
    let read = async || probes.read(address, &drain()).await;
    assert_eq!(read().await, counts(812));
    assert_eq!(read().await, counts(812));
    *next.lock().unwrap() = response("503 Service Unavailable", "", "");
    read().await.unwrap_err();
    *next.lock().unwrap() = body(3);
    let failure = read().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    says(
        &failure,
        &[
            "went back from 812 to 3",
            "the process restarted",
            "proves nothing",
        ],
    );
    assert_eq!(read().await, counts(3));
    *next.lock().unwrap() = body(4);
    assert_eq!(read().await, counts(4));
}

#[tokio::test]
async fn after_a_while_another_process_is_not_a_restart() {
    let next = Arc::new(Mutex::new(body(812)));
    let answer = next.clone();
    let (address, _serving) = application(move |_| answer.lock().unwrap().clone()).await;
    let probes = probes();
    assert_eq!(probes.read(address, &drain()).await, counts(812));
    *next.lock().unwrap() = body(3);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11 * 60)).await;
    tokio::time::resume();
    assert_eq!(probes.read(address, &drain()).await, counts(3));
}

/// Status holds the words, and a write of it is a reason to look again.
#[tokio::test]
async fn a_fault_keeps_its_words_as_long_as_it_lasts() {
    let number = Arc::new(Mutex::new(0));
    let counter = number.clone();
    let (address, _serving) = application(move |_| {
        let mut number = counter.lock().unwrap();
        *number += 1;
        match *number {
            3 => body(1),
            number => response("404 Not Found", "", &format!("at {number}")),
        }
    })
    .await;
    let probes = probes();
    let read = async || probes.read(address, &drain()).await;
    let first = read().await.unwrap_err();
    says(&first, &["beginning \"at 1\""]);
    assert_eq!(read().await.unwrap_err(), first);
    assert_eq!(read().await, counts(1));
    says(&read().await.unwrap_err(), &["beginning \"at 4\""]);
}
