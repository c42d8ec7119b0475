//! What the application answers.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bluegreen_net::Clock;
use http::{HeaderValue, Method, Response, StatusCode, header};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    actuator::{self, Requests},
    behaviour::Config,
    connection::Page,
    gauge::{Gauge, Kind},
};

/// No request takes longer than this.
const LONGEST_WORK: Duration = Duration::from_secs(3_600);
/// No answer is sent in more parts than this.
const MOST_PARTS: u32 = 1_000;

/// Where a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The application's port.
    Application,
    /// The port for those who watch it.
    Management,
}

/// The application behind its connections.
pub(super) struct Pages {
    pub(super) clock: Clock,
    pub(super) config: Config,
    pub(super) gauge: Gauge,
    pub(super) requests: Requests,
    started: Timestamp,
    /// Set by `/health/fail`.
    told_to_fail: AtomicBool,
    rng: Mutex<StdRng>,
}

impl Pages {
    pub(super) fn new(clock: Clock, config: Config) -> Self {
        Self {
            started: clock.now(),
            rng: Mutex::new(StdRng::seed_from_u64(config.seed)),
            gauge: Gauge::default(),
            requests: Requests::default(),
            told_to_fail: AtomicBool::new(false),
            clock,
            config,
        }
    }

    /// Whether a path is asked for by those who watch the application.
    pub(super) fn kind(path: &str) -> Kind {
        match path {
            "/health" | "/health/fail" | "/health/restore" | "/drain" | "/metrics" => {
                Kind::Watching
            }
            _ if path.starts_with(actuator::ROOT) => Kind::Watching,
            _ => Kind::Work,
        }
    }

    /// The answer to a request that must not come through this door, or from this address.
    pub(super) fn refuse(
        &self,
        door: Door,
        peer: Option<IpAddr>,
        path: &str,
    ) -> Option<Response<Page>> {
        let managing = path.starts_with(actuator::ROOT);
        let elsewhere = match door {
            Door::Application => managing && self.config.management_port.is_some(),
            Door::Management => !managing,
        };
        if elsewhere {
            return Some(text(StatusCode::NOT_FOUND, "no such page\n"));
        }
        let private = managing || matches!(path, "/drain" | "/metrics");
        let local = peer == Some(Ipv4Addr::LOCALHOST.into());
        (self.config.private_pages && private && !local)
            .then(|| text(StatusCode::FORBIDDEN, "this page is for 127.0.0.1 only\n"))
    }

    pub(super) async fn answer(&self, method: &Method, path: &str, query: &str) -> Response<Page> {
        let mut response = match (method, path) {
            (_, "/health" | "/actuator/health") => self.health(),
            (&Method::POST, "/health/fail") => self.tell_health(true),
            (&Method::POST, "/health/restore") => self.tell_health(false),
            (_, "/health/fail" | "/health/restore") => text(
                StatusCode::METHOD_NOT_ALLOWED,
                "this changes what /health says: use POST\n",
            ),
            (_, "/drain") => self.drain(),
            (_, "/metrics") => self.metrics(),
            (_, "/actuator/prometheus") => prometheus(&self.requests.prometheus()),
            _ if path.starts_with(actuator::ROOT) => self.metric(path, query),
            _ if self.is_unlucky() => text(StatusCode::INTERNAL_SERVER_ERROR, "bad luck\n"),
            (_, "/") => text(
                StatusCode::OK,
                &format!("version {}\n", self.config.version),
            ),
            (_, "/work") => {
                let time = milliseconds(query);
                self.clock.sleep(time).await;
                text(StatusCode::OK, &format!("worked {} ms\n", time.as_millis()))
            }
            (_, "/stream") => self.stream(query),
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        };
        let headers = response.headers_mut();
        if let Ok(version) = HeaderValue::from_str(&self.config.version) {
            headers.insert("x-app-version", version);
        }
        headers.insert("x-app-pid", HeaderValue::from(self.config.pid));
        response
    }

    fn health(&self) -> Response<Page> {
        let running = self.clock.now().duration_since(self.started);
        let running = Duration::try_from(running).unwrap_or_default();
        let told_to_fail = self.told_to_fail.load(Ordering::Relaxed);
        if self.config.health.is_healthy(running) && !told_to_fail {
            json(StatusCode::OK, "{\"status\":\"UP\"}")
        } else {
            json(
                StatusCode::SERVICE_UNAVAILABLE,
                "{\"status\":\"OUT_OF_SERVICE\"}",
            )
        }
    }

    fn tell_health(&self, fail: bool) -> Response<Page> {
        self.told_to_fail.store(fail, Ordering::Relaxed);
        let status = if fail {
            "{\"failing\":true}"
        } else {
            "{\"failing\":false}"
        };
        json(StatusCode::OK, status)
    }

    fn drain(&self) -> Response<Page> {
        let reading =
            serde_json::to_string(&self.gauge.read()).expect("two numbers can be written as JSON");
        json(StatusCode::OK, &reading)
    }

    fn metrics(&self) -> Response<Page> {
        let reading = self.gauge.read();
        let metrics = format!(
            "# HELP app_requests_in_flight Requests being handled, without those that watch.\n\
             # TYPE app_requests_in_flight gauge\n\
             app_requests_in_flight {}\n\
             # HELP app_requests_served_total Requests that have ended, without those that watch.\n\
             # TYPE app_requests_served_total counter\n\
             app_requests_served_total {}\n",
            reading.in_flight, reading.served
        );
        prometheus(&metrics)
    }

    fn metric(&self, path: &str, query: &str) -> Response<Page> {
        let name = path.strip_prefix("/actuator/metrics/");
        match name.and_then(|name| self.requests.metric(name, query)) {
            Some(metric) => json(StatusCode::OK, &metric.to_string()),
            None => text(StatusCode::NOT_FOUND, "no such metric\n"),
        }
    }

    /// Sends the head at once and the body in parts, spread evenly over the time asked for.
    fn stream(&self, query: &str) -> Response<Page> {
        let parts = parameter(query, "parts")
            .and_then(|value| value.parse::<u32>().ok())
            .unwrap_or(10)
            .clamp(1, MOST_PARTS);
        let pause = milliseconds(query) / parts;
        Response::new(Page::in_parts(self.clock.clone(), parts, pause))
    }

    fn is_unlucky(&self) -> bool {
        let mut rng = self
            .rng
            .lock()
            .expect("no code that holds this lock can panic");
        rng.random_bool(self.config.error_rate.clamp(0.0, 1.0))
    }
}

fn milliseconds(query: &str) -> Duration {
    let asked = parameter(query, "ms").and_then(|value| value.parse().ok());
    Duration::from_millis(asked.unwrap_or(0)).min(LONGEST_WORK)
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn prometheus(metrics: &str) -> Response<Page> {
    respond(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        metrics,
    )
}

fn text(status: StatusCode, body: &str) -> Response<Page> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn json(status: StatusCode, body: &str) -> Response<Page> {
    respond(status, "application/json", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: &str) -> Response<Page> {
    let mut response = Response::new(Page::whole(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
