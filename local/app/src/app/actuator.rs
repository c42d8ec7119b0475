//! The metrics of Spring Boot, in the two shapes that it serves them in.
//!
//! `/actuator/prometheus` is text; `/actuator/metrics/NAME` is JSON, and may be narrowed with
//! `?tag=uri:/work`. As in Spring Boot, requests that watch the application are requests too: they
//! are in every number, and in `tomcat.threads.busy` without a label, so that a reader has to leave
//! them out by their `uri`. A page that does not exist has the uri `/**`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard},
};

use bluegreen_net::Clock;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Where all of it is.
pub(super) const ROOT: &str = "/actuator/";
/// How many threads Tomcat has at most, as it is shipped.
const THREADS: u64 = 200;

/// Which requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Tags {
    method: String,
    /// `None` while the request is being handled.
    status: Option<u16>,
    uri: &'static str,
}

#[derive(Debug, Default)]
struct Ended {
    count: u64,
    seconds: f64,
}

#[derive(Debug, Default)]
struct Counts {
    active: BTreeMap<Tags, u64>,
    ended: BTreeMap<Tags, Ended>,
}

/// All requests so far. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Counts>>);

/// A request that is being handled; it has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Observed {
    requests: Requests,
    clock: Clock,
    began: Timestamp,
    tags: Tags,
    pub(super) status: StatusCode,
}

impl Requests {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }

    pub(super) fn begin(&self, clock: &Clock, method: &Method, path: &str) -> Observed {
        let tags = Tags {
            method: method.to_string(),
            status: None,
            uri: uri(path),
        };
        *self.counts().active.entry(tags.clone()).or_default() += 1;
        Observed {
            requests: self.clone(),
            clock: clock.clone(),
            began: clock.now(),
            tags,
            status: StatusCode::OK,
        }
    }

    /// The body of `/actuator/prometheus`.
    pub(super) fn prometheus(&self) -> String {
        let counts = self.counts();
        let mut text = String::from("# TYPE http_server_requests_active_seconds summary\n");
        for (tags, count) in &counts.active {
            let labels = tags.labels();
            let name = "http_server_requests_active_seconds_active_count";
            writeln!(text, "{name}{{{labels}}} {count}").expect(WRITES);
        }
        text.push_str("# TYPE http_server_requests_seconds summary\n");
        for (tags, ended) in &counts.ended {
            let labels = tags.labels();
            let name = "http_server_requests_seconds";
            writeln!(text, "{name}_count{{{labels}}} {}", ended.count).expect(WRITES);
            writeln!(text, "{name}_sum{{{labels}}} {}", ended.seconds).expect(WRITES);
        }
        let busy: u64 = counts.active.values().sum();
        for (name, threads) in [("busy", busy), ("config_max", THREADS)] {
            let name = format!("tomcat_threads_{name}_threads");
            writeln!(
                text,
                "# TYPE {name} gauge\n{name}{{name=\"http-nio\"}} {threads}.0"
            )
            .expect(WRITES);
        }
        text
    }

    /// The body of `/actuator/metrics/NAME`; `None` for a name that is not known.
    pub(super) fn metric(&self, name: &str, query: &str) -> Option<Value> {
        let counts = self.counts();
        let wanted = |tags: &&Tags| query.split('&').all(|pair| tags.has(pair));
        let measured = match name {
            "http.server.requests" => {
                let ended = counts.ended.iter();
                let ended = ended.filter(|(tags, _)| wanted(tags));
                let (count, seconds) = ended.fold((0, 0.0), |(count, seconds), (_, one)| {
                    (count + one.count, seconds + one.seconds)
                });
                vec![("COUNT", json!(count)), ("TOTAL_TIME", json!(seconds))]
            }
            "http.server.requests.active" => {
                let active = counts.active.iter();
                let active = active.filter(|(tags, _)| wanted(tags));
                let count: u64 = active.map(|(_, count)| count).sum();
                vec![("ACTIVE_TASKS", json!(count))]
            }
            "tomcat.threads.busy" => {
                vec![("VALUE", json!(counts.active.values().sum::<u64>()))]
            }
            _ => return None,
        };
        let measurements = measured
            .into_iter()
            .map(|(statistic, value)| json!({"statistic": statistic, "value": value}));
        Some(json!({"name": name, "measurements": measurements.collect::<Vec<_>>()}))
    }
}

const WRITES: &str = "a text can be written to";

impl Tags {
    fn labels(&self) -> String {
        // What is being handled counts as a success so far, as it does for Spring.
        let status = self.status.unwrap_or(200);
        let outcome = match status {
            200..=299 => "SUCCESS",
            400..=499 => "CLIENT_ERROR",
            500..=599 => "SERVER_ERROR",
            _ => "UNKNOWN",
        };
        let Self { method, uri, .. } = self;
        format!(
            "error=\"none\",exception=\"none\",method=\"{method}\",outcome=\"{outcome}\",\
             status=\"{status}\",uri=\"{uri}\""
        )
    }

    /// Whether a pair of a query, as `tag=uri:/work`, holds; other pairs do.
    fn has(&self, pair: &str) -> bool {
        let tag = pair
            .strip_prefix("tag=")
            .and_then(|tag| tag.split_once(':'));
        match tag {
            Some(("uri", uri)) => uri.replace("%2F", "/") == self.uri,
            Some(("method", method)) => method == self.method,
            Some(_) | None => true,
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let mut counts = self.requests.counts();
        if let Some(active) = counts.active.get_mut(&self.tags) {
            *active = active.saturating_sub(1);
        }
        self.tags.status = Some(self.status.as_u16());
        let ended = counts.ended.entry(self.tags.clone()).or_default();
        ended.count += 1;
        ended.seconds += self.clock.now().duration_since(self.began).as_secs_f64();
    }
}

/// The pattern that a path belongs to.
fn uri(path: &str) -> &'static str {
    let pages = [
        "/",
        "/work",
        "/stream",
        "/health",
        "/drain",
        "/metrics",
        "/actuator/health",
        "/actuator/prometheus",
    ];
    let page = pages.into_iter().find(|page| *page == path);
    let metric = path.starts_with("/actuator/metrics/");
    page.or(metric.then_some("/actuator/metrics/{requiredMetricName}"))
        .unwrap_or("/**")
}
