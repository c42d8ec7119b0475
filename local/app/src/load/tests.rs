//! The load generator against the application, over a network in memory.

use std::collections::BTreeMap;

use bluegreen_net::Stream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::*;
use crate::app;

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 5], 80))
}

struct World {
    net: Net,
    clock: Clock,
    signals: mpsc::Sender<app::Signal>,
}

fn world(config: app::Config) -> World {
    let (net, clock) = (Net::memory(), Clock::stepped());
    let (signals, receiver) = mpsc::channel(1);
    let config = app::Config {
        startup: Duration::ZERO,
        ..config
    };
    tokio::spawn(app::serve(
        net.clone(),
        clock.clone(),
        config,
        address(),
        receiver,
    ));
    World {
        net,
        clock,
        signals,
    }
}

impl World {
    async fn start(&self, change: impl FnOnce(&mut Config)) -> Load {
        // The application listens when its task has run.
        self.clock.sleep(Duration::from_millis(1)).await;
        let mut config = Config::against(vec![address()]);
        change(&mut config);
        Load::start(self.net.clone(), self.clock.clone(), config)
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_is_counted_once_and_the_timeline_adds_up() {
    let world = world(app::Config::default());
    let load = world.start(|_| ()).await;
    world.clock.sleep(Duration::from_secs(60)).await;
    let before = load.totals();
    assert!(before.unfinished > 0, "long requests are in flight");
    let report = load.stop(Duration::from_secs(120)).await;
    let totals = &report.totals;
    assert!(totals.sent > 500, "{totals:?}");
    assert_eq!(
        (totals.served, totals.failed),
        (totals.sent, 0),
        "{totals:?}"
    );
    assert_eq!((totals.unfinished, totals.not_sent), (0, 0));
    assert_eq!(
        totals.by_version,
        BTreeMap::from([("1.0.0".to_owned(), totals.sent)])
    );
    let in_timeline: u64 = report.timeline.iter().map(|second| second.served).sum();
    assert_eq!(in_timeline, totals.sent);
    assert!(totals.longest_seconds > 10.0 && totals.longest_seconds < 40.1);
    assert!(
        totals.p50_seconds < 0.2 && totals.p99_seconds > 3.0,
        "{totals:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn connections_are_kept_or_new_as_the_client_is() {
    for (kept, new, expected) in [(1, 0, 1), (0, 1, 20)] {
        let (net, clock) = (Net::memory(), Clock::stepped());
        let mut listener = net.listen(address()).await.unwrap();
        let config = Config {
            keep_alive_workers: kept,
            new_connection_workers: new,
            arrivals_per_second: 0.0,
            max_requests: 20,
            ..Config::against(vec![address()])
        };
        let mut load = Load::start(net, clock, config);
        let mut connections = 0;
        loop {
            tokio::select! {
                () = load.finished() => break,
                accepted = listener.accept() => {
                    connections += 1;
                    tokio::spawn(answer_all(accepted.unwrap()));
                }
            }
        }
        assert_eq!((load.totals().served, connections), (20, expected));
    }
}

/// Answers each request, which comes as a whole in memory.
async fn answer_all(mut stream: Stream) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn bad_statuses_and_refused_connections_are_failures() {
    let world = world(app::Config {
        error_rate: 1.0,
        ..app::Config::default()
    });
    let load = world.start(|config| config.mix = Mix::only(10, 20)).await;
    world.clock.sleep(Duration::from_secs(5)).await;
    world.signals.send(app::Signal::Kill).await.unwrap();
    world.clock.sleep(Duration::from_secs(5)).await;
    let report = load.stop(Duration::from_secs(10)).await;
    let totals = &report.totals;
    assert_eq!((totals.served, totals.failed), (0, totals.sent));
    assert!(totals.by_status[&500] > 100, "{totals:?}");
    assert!(
        totals.by_transport_error[&TransportError::Refused] > 100,
        "{totals:?}"
    );
    assert!(report.failures[0].contains("500"), "{:?}", report.failures);
}

#[tokio::test(start_paused = true)]
async fn it_stops_by_itself_and_gives_up_only_when_patience_ends() {
    let world = world(app::Config::default());
    let limited = world
        .start(|config| {
            config.max_requests = 50;
            config.mix = Mix::only(10, 20);
        })
        .await;
    let mut limited = limited;
    limited.finished().await;
    assert_eq!(limited.totals().sent, 50);

    let impatient = world
        .start(|config| {
            config.mix = Mix::only(60_000, 60_000);
            config.arrivals_per_second = 0.0;
        })
        .await;
    world.clock.sleep(Duration::from_secs(5)).await;
    let report = impatient.stop(Duration::from_secs(5)).await;
    assert_eq!((report.totals.sent, report.totals.unfinished), (12, 12));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_a_failure() {
    let world = world(app::Config::default());
    let load = world
        .start(|config| {
            config.mix = Mix::only(30_000, 30_000);
            config.request_timeout = Duration::from_secs(10);
            config.arrivals_per_second = 1.0;
            config.max_arrivals_in_flight = 3;
        })
        .await;
    world.clock.sleep(Duration::from_secs(30)).await;
    let totals = load.stop(Duration::from_secs(60)).await.totals;
    assert!(
        totals.by_transport_error[&TransportError::Timeout] > 10,
        "{totals:?}"
    );
    assert!(totals.not_sent > 0, "{totals:?}");
    assert_eq!(totals.served, 0);
}
