//! The errors that the balancer makes by itself.

use std::sync::atomic::{AtomicU32, Ordering};

use bluegreen_net::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::oracle::Failure;

pub(super) async fn write_ok(stream: &mut Stream) {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    stream.write_all(answer).await.unwrap();
}

/// Registers a server that is healthy, and does `misbehave` with every other request.
async fn misbehaving<F>(
    world: &World,
    misbehave: impl Fn(Stream) -> F + Clone + Send + Sync + 'static,
) -> Task
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = scripted(&world.net, host(1), move |mut stream| {
        let misbehave = misbehave.clone();
        async move {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            if buffer[..count].starts_with(b"GET /health") {
                write_ok(&mut stream).await;
            } else {
                misbehave(stream).await;
            }
        }
    });
    world.register(0, 1, host(1));
    world.seconds(11.0).await;
    server
}

async fn failure_of(world: &World, path: &str) -> (u16, Option<Failure>) {
    let answer = world.get(node(1), path).await;
    let records = world.oracle.recent();
    (answer.status, records.last().unwrap().failure)
}

#[tokio::test(start_paused = true)]
async fn no_target_is_503_with_the_page_of_a_load_balancer() {
    let world = World::new(immediate()).await;
    let answer = world.get(node(1), "/").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["server"], "awselb/2.0");
    let body = answer.body.unwrap();
    let title = "<center><h1>503 Service Temporarily Unavailable</h1></center>";
    assert!(body.contains(title), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_weight_on_an_empty_group_is_503_although_another_group_has_targets() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    world.change(|topology| {
        topology.target_groups.push(Arc::new(group("green")));
        topology.load_balancers[0].listeners[0].rules[0].action =
            forward(&[("blue", 1), ("green", 1)]);
    });
    world.seconds(0.1).await;
    let mut counts = [0, 0];
    for _ in 0..100 {
        match world.get(node(1), "/").await.status {
            200 => counts[0] += 1,
            503 => counts[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(
        counts.iter().all(|count| *count > 30),
        "seed {SEED}: {counts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_without_an_answer_is_502_and_nothing_is_sent_again() {
    let world = World::new(immediate()).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let _server = misbehaving(&world, move |stream| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    })
    .await;
    let failure = failure_of(&world, "/").await;
    assert_eq!(failure, (502, Some(Failure::ConnectionClosed)));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_http_is_502() {
    let world = World::new(immediate()).await;
    let _server = misbehaving(&world, |mut stream| async move {
        stream.write_all(b"220 mail.example.com\r\n").await.unwrap();
        std::future::pending().await
    })
    .await;
    let failure = failure_of(&world, "/").await;
    assert_eq!(failure, (502, Some(Failure::MalformedAnswer)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_is_504_after_the_idle_timeout() {
    let world = World::new(immediate()).await;
    let _server = misbehaving(&world, |stream| async move {
        let _open = stream;
        std::future::pending().await
    })
    .await;
    let before = world.clock.now();
    let failure = failure_of(&world, "/").await;
    assert_eq!(failure, (504, Some(Failure::NoAnswer)));
    assert_at(world.clock.now(), before + SignedDuration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_broken_off_after_the_idle_timeout() {
    let world = World::new(immediate()).await;
    let _server = misbehaving(&world, |mut stream| async move {
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        stream.write_all(half).await.unwrap();
        std::future::pending().await
    })
    .await;
    let before = world.clock.now();
    let answer = world.get(node(1), "/").await;
    assert_eq!((answer.status, answer.body), (200, None));
    assert_at(answer.ended, before + SignedDuration::from_secs(60));
    assert_eq!(
        world.oracle.failures()[0].failure,
        Some(Failure::BodyBroken)
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_accept_is_504_after_ten_seconds() {
    let world = World::new(immediate()).await;
    world.register(0, 1, host(1));
    world.seconds(0.1).await;
    // A listener that accepts nobody, and so many who wait that no other can.
    let _listener = world.net.listen(host(1)).await.unwrap();
    let mut waiting = Vec::new();
    let short = Duration::from_millis(1);
    while let Ok(stream) = world
        .clock
        .timeout(short, world.net.connect(None, host(1)))
        .await
    {
        waiting.push(stream);
    }
    let before = world.clock.now();
    let failure = failure_of(&world, "/").await;
    assert_eq!(failure, (504, Some(Failure::ConnectionTimeout)));
    assert_at(world.clock.now(), before + SignedDuration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_is_recorded_and_blamed_on_nobody() {
    let world = World::new(immediate()).await;
    let _app = world.healthy_app(1).await;
    let long = world.get_later(node(1), "/work?ms=30000").await;
    long.abort();
    world.seconds(1.0).await;
    let records = world.oracle.recent();
    assert_eq!(records[0].failure, Some(Failure::ClientGone));
    assert_eq!(world.oracle.counters().failed, 0);
    assert_eq!(world.oracle.in_flight("i-1", 8080), 0);
}
