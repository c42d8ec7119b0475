//! The application's ways, over a network in memory and with a paused clock.

mod actuator;

use std::{net::SocketAddr, time::Duration};

use bluegreen_net::{Clock, Net, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    task::JoinHandle,
};

use super::*;

struct App {
    net: Net,
    clock: Clock,
    signals: mpsc::Sender<Signal>,
    running: JoinHandle<Result<Exit, ServeError>>,
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 5], 8080))
}

impl App {
    async fn started(config: Config) -> Self {
        let (net, clock) = (Net::memory(), Clock::stepped());
        let (signals, receiver) = mpsc::channel(1);
        let startup = config.startup;
        let serving = serve(net.clone(), clock.clone(), config, address(), receiver);
        let app = Self {
            running: tokio::spawn(serving),
            net,
            clock,
            signals,
        };
        app.clock.sleep(startup + Duration::from_millis(1)).await;
        app
    }

    async fn connect(&self) -> Stream {
        self.net.connect(None, address()).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = self.connect().await;
        ask(&mut stream, "GET", path).await;
        answer(&mut stream).await
    }

    async fn post(&self, path: &str) {
        let mut stream = self.connect().await;
        ask(&mut stream, "POST", path).await;
        answer(&mut stream).await;
    }

    async fn terminate(&self) {
        self.signals.send(Signal::Terminate).await.unwrap();
        self.clock.sleep(Duration::from_millis(1)).await;
    }
}

async fn ask(stream: &mut Stream, method: &str, path: &str) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: app\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Reads one answer whose body has a length; empty where the connection ends first.
async fn answer(stream: &mut Stream) -> String {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return text;
            }
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        if body.len() >= length.parse().unwrap() || count == 0 {
            return text;
        }
    }
}

fn quick() -> Config {
    Config {
        startup: Duration::ZERO,
        pid: 42,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_until_it_has_started() {
    let (net, clock) = (Net::memory(), Clock::stepped());
    let (_signals, receiver) = mpsc::channel(1);
    let serving = serve(
        net.clone(),
        clock.clone(),
        Config::default(),
        address(),
        receiver,
    );
    let running = tokio::spawn(serving);
    clock.sleep(Duration::from_millis(4_900)).await;
    assert!(net.connect(None, address()).await.is_err());
    clock.sleep(Duration::from_millis(200)).await;
    assert!(net.connect(None, address()).await.is_ok());
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn answers_say_the_version_and_the_process() {
    let app = App::started(quick()).await;
    let page = app.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    assert!(page.contains("x-app-version: 1.0.0\r\n"), "{page}");
    assert!(page.contains("x-app-pid: 42\r\n"), "{page}");
    assert!(app.get("/nothing").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test(start_paused = true)]
async fn work_takes_the_virtual_time_asked_for() {
    let app = App::started(quick()).await;
    let before = app.clock.now();
    app.get("/work?ms=2500").await;
    let taken = app.clock.now().duration_since(before).as_secs_f64();
    assert!((2.5..2.51).contains(&taken), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn graceful_stop_is_as_tomcat_was_measured() {
    let app = App::started(quick()).await;
    let mut in_flight = app.connect().await;
    let (mut asked_later, mut untouched) = (app.connect().await, app.connect().await);
    for idle in [&mut asked_later, &mut untouched] {
        ask(idle, "GET", "/").await;
        answer(idle).await;
    }
    ask(&mut in_flight, "GET", "/work?ms=3000").await;
    app.clock.sleep(Duration::from_millis(10)).await;

    app.terminate().await;

    let refused = app.net.connect(None, address()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    ask(&mut asked_later, "GET", "/").await;
    assert_eq!(answer(&mut asked_later).await, "", "closed without a byte");
    let nothing_yet = app
        .clock
        .timeout(Duration::from_secs(1), untouched.read_u8())
        .await;
    assert!(nothing_yet.is_err(), "an untouched connection stays open");
    let completed = answer(&mut in_flight).await;
    assert!(completed.starts_with("HTTP/1.1 200 OK"), "{completed}");
    assert!(!completed.contains("connection: close"), "{completed}");
    assert!(in_flight.read_u8().await.is_err(), "then it is closed");
    let exit = app.running.await.unwrap().unwrap();
    assert_eq!((exit.code, exit.broken_off), (143, 0));
    assert!(untouched.read_u8().await.is_err(), "closed at the end");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_is_completed_and_then_closed() {
    let app = App::started(quick()).await;
    let mut stream = app.connect().await;
    ask(&mut stream, "GET", "/stream?ms=1000&parts=10").await;
    app.clock.sleep(Duration::from_millis(500)).await;
    app.terminate().await;
    let completed = answer(&mut stream).await;
    assert_eq!(completed.matches("part\n").count(), 10, "{completed}");
    assert!(stream.read_u8().await.is_err());
    assert_eq!(app.running.await.unwrap().unwrap().code, 143);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_after_its_answer_while_others_are_in_flight() {
    let app = App::started(quick()).await;
    let (mut short, mut long) = (app.connect().await, app.connect().await);
    ask(&mut short, "GET", "/work?ms=1000").await;
    ask(&mut long, "GET", "/work?ms=20000").await;
    app.clock.sleep(Duration::from_millis(10)).await;
    let told = app.clock.now();
    app.terminate().await;
    assert!(answer(&mut short).await.starts_with("HTTP/1.1 200"));
    assert!(short.read_u8().await.is_err());
    let closed = app.clock.now().duration_since(told).as_secs_f64();
    assert!((0.9..1.1).contains(&closed), "{closed}");
    assert!(answer(&mut long).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn an_immediate_stop_breaks_off_what_is_in_flight() {
    let app = App::started(Config {
        on_terminate: OnTerminate::Immediate,
        ..quick()
    })
    .await;
    let mut stream = app.connect().await;
    ask(&mut stream, "GET", "/work?ms=1000").await;
    app.clock.sleep(Duration::from_millis(10)).await;
    app.terminate().await;
    assert_eq!(answer(&mut stream).await, "");
    let exit = app.running.await.unwrap().unwrap();
    assert_eq!((exit.code, exit.broken_off), (143, 1));
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_the_start_ends_it() {
    let clock = Clock::stepped();
    let (signals, receiver) = mpsc::channel(1);
    signals.send(Signal::Terminate).await.unwrap();
    let before = clock.now();
    let config = Config::default();
    let exit = serve(Net::memory(), clock.clone(), config, address(), receiver).await;
    assert_eq!(exit.unwrap().code, 143);
    assert_eq!(clock.now(), before);
}

#[tokio::test(start_paused = true)]
async fn past_the_shutdown_timeout_requests_are_broken_off() {
    let app = App::started(quick()).await;
    let mut stream = app.connect().await;
    ask(&mut stream, "GET", "/work?ms=600000").await;
    app.clock.sleep(Duration::from_millis(10)).await;
    let told = app.clock.now();
    app.terminate().await;
    assert_eq!(answer(&mut stream).await, "");
    let taken = app.clock.now().duration_since(told).as_secs_f64();
    assert!((30.0..30.1).contains(&taken), "{taken}");
    let exit = app.running.await.unwrap().unwrap();
    assert_eq!((exit.code, exit.broken_off), (143, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_or_ignores_ends_only_when_killed() {
    for (on_terminate, still_listens) in [(OnTerminate::Hang, false), (OnTerminate::Ignore, true)] {
        let app = App::started(Config {
            on_terminate,
            ..quick()
        })
        .await;
        app.terminate().await;
        app.clock.sleep(Duration::from_secs(3_600)).await;
        assert!(!app.running.is_finished());
        let listens = app.net.connect(None, address()).await.is_ok();
        assert_eq!(listens, still_listens, "{on_terminate:?}");
        app.signals.send(Signal::Kill).await.unwrap();
        assert_eq!(app.running.await.unwrap().unwrap().code, 137);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_after_the_keep_alive_time() {
    let app = App::started(quick()).await;
    let mut stream = app.connect().await;
    ask(&mut stream, "GET", "/").await;
    answer(&mut stream).await;
    let before = app.clock.now();
    assert!(stream.read_u8().await.is_err());
    let idle = app.clock.now().duration_since(before).as_secs_f64();
    assert!((60.0..60.1).contains(&idle), "{idle}");
}

#[tokio::test(start_paused = true)]
async fn the_last_request_of_a_connection_is_announced() {
    let app = App::started(Config {
        keep_alive_requests: Some(2),
        ..quick()
    })
    .await;
    let mut stream = app.connect().await;
    ask(&mut stream, "GET", "/").await;
    assert!(!answer(&mut stream).await.contains("connection: close"));
    ask(&mut stream, "GET", "/").await;
    assert!(answer(&mut stream).await.contains("connection: close"));
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_drain_reading_leaves_out_those_that_watch() {
    let app = App::started(quick()).await;
    let mut stream = app.connect().await;
    ask(&mut stream, "GET", "/work?ms=1000").await;
    app.clock.sleep(Duration::from_millis(10)).await;
    app.get("/health").await;
    app.get("/metrics").await;
    let reading = app.get("/drain").await;
    assert!(
        reading.ends_with("{\"inFlight\":1,\"served\":0}"),
        "{reading}"
    );
    answer(&mut stream).await;
    let reading = app.get("/drain").await;
    assert!(
        reading.ends_with("{\"inFlight\":0,\"served\":1}"),
        "{reading}"
    );
    let metrics = app.get("/metrics").await;
    assert!(
        metrics.contains("\napp_requests_served_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn health_can_be_switched_off_and_on_and_can_flap() {
    let app = App::started(quick()).await;
    assert!(app.get("/health").await.starts_with("HTTP/1.1 200"));
    app.post("/health/fail").await;
    assert!(app.get("/health").await.starts_with("HTTP/1.1 503"));
    assert!(app.get("/").await.starts_with("HTTP/1.1 200"));
    app.post("/health/restore").await;
    assert!(app.get("/health").await.starts_with("HTTP/1.1 200"));
    assert!(app.get("/health/fail").await.starts_with("HTTP/1.1 405"));

    let flapping = App::started(Config {
        health: HealthBehaviour::Flapping {
            healthy: Duration::from_secs(20),
            unhealthy: Duration::from_secs(10),
        },
        ..quick()
    })
    .await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(flapping.get("/health").await.starts_with("HTTP/1.1 200"));
        flapping.clock.sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(seen, [true, true, false, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_requests_is_unlucky() {
    let app = App::started(Config {
        error_rate: 0.3,
        seed: 7,
        ..quick()
    })
    .await;
    let mut unlucky = 0;
    for _ in 0..200 {
        unlucky += u32::from(app.get("/work").await.starts_with("HTTP/1.1 500"));
    }
    assert!((40..80).contains(&unlucky), "seed 7: {unlucky}");
}
