//! The examples for Spring Boot, on answers as its actuator writes them.

use std::net::SocketAddr;

use serde_json::json;

use super::{application, ok, probes, response, says};
use crate::{
    api::{BlueGreenRelease, HttpProbe},
    controller::{Counts, Probe},
};

const PROMETHEUS: &str = include_str!("../../../../examples/spring-prometheus.yaml");
const METRICS: &str = include_str!("../../../../examples/spring-metrics.yaml");

/// `/actuator/prometheus` of a Spring Boot application with two connectors.
const SCRAPE: &str = r#"# HELP http_server_requests_seconds
# TYPE http_server_requests_seconds summary
http_server_requests_seconds_count{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/actuator/health"} 181
http_server_requests_seconds_sum{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/actuator/health"} 0.412083
http_server_requests_seconds_count{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/actuator/prometheus"} 12
http_server_requests_seconds_sum{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/actuator/prometheus"} 0.2
http_server_requests_seconds_count{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/games/{id}"} 640
http_server_requests_seconds_sum{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/games/{id}"} 9.5
http_server_requests_seconds_count{error="IllegalState",exception="IllegalState",method="POST",outcome="SERVER_ERROR",status="500",uri="/games"} 2
http_server_requests_seconds_sum{error="IllegalState",exception="IllegalState",method="POST",outcome="SERVER_ERROR",status="500",uri="/games"} 0.1
# HELP http_server_requests_seconds_max
# TYPE http_server_requests_seconds_max gauge
http_server_requests_seconds_max{error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/games/{id}"} 0.031
# HELP jvm_memory_used_bytes The amount of used memory
# TYPE jvm_memory_used_bytes gauge
jvm_memory_used_bytes{area="heap",id="G1 Old Gen"} 2.1463552E7
# HELP tomcat_threads_busy_threads
# TYPE tomcat_threads_busy_threads gauge
tomcat_threads_busy_threads{name="http-nio-18080"} 1.0
tomcat_threads_busy_threads{name="http-nio-8080"} 3.0
"#;

/// A meter of `/actuator/metrics`.
fn meter(name: &str, statistic: &str, value: &str) -> Vec<u8> {
    ok(&format!(
        r#"{{"name":"{name}","measurements":[{{"statistic":"{statistic}","value":{value}}},{{"statistic":"MAX","value":0.031}}],"availableTags":[{{"tag":"name","values":["http-nio-8080"]}}]}}"#
    ))
}

/// The probe of an example, which asks on 1{{port}}; here the application listens elsewhere.
fn probe(example: &str, address: SocketAddr) -> HttpProbe {
    let release: BlueGreenRelease = serde_norway::from_str(example).unwrap();
    let mut probe = release.spec.drain.in_flight.unwrap().http;
    assert_eq!(probe.port_of(8080), Ok(18080));
    probe.port = serde_json::from_value(json!(address.port())).unwrap();
    probe
}

fn target(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), 8080)
}

#[tokio::test]
async fn the_example_reads_the_scrape_endpoint_as_it_is() {
    let (address, _serving) = application(|path| match path {
        "/actuator/prometheus" => ok(SCRAPE),
        _ => response("404 Not Found", "", ""),
    })
    .await;
    let counts = probes()
        .read(target(address), &probe(PROMETHEUS, address))
        .await;
    let expected = Counts {
        in_flight: 3,
        served: 642,
    };
    assert_eq!(counts, Ok(expected));
}

#[tokio::test]
async fn the_example_reads_single_meters_as_they_are() {
    let (address, _serving) = application(|path| match path {
        "/actuator/metrics/tomcat.threads.busy?tag=name:http-nio-8080" => {
            meter("tomcat.threads.busy", "VALUE", "2.0")
        }
        "/actuator/metrics/http.server.requests?tag=uri:/games" => {
            meter("http.server.requests", "COUNT", "1.28E2")
        }
        _ => response("404 Not Found", "", ""),
    })
    .await;
    let counts = probes()
        .read(target(address), &probe(METRICS, address))
        .await;
    let expected = Counts {
        in_flight: 2,
        served: 128,
    };
    assert_eq!(counts, Ok(expected));
}

/// Without `server.tomcat.mbeanregistry.enabled` there is no such gauge.
#[tokio::test]
async fn a_meter_that_is_not_exposed_is_named() {
    let without: String = SCRAPE
        .lines()
        .filter(|line| !line.starts_with("tomcat"))
        .fold(String::new(), |body, line| body + line + "\n");
    let (address, _serving) = application(move |_| ok(&without)).await;
    let failure = probes()
        .read(target(address), &probe(PROMETHEUS, address))
        .await
        .unwrap_err();
    says(
        &failure,
        &[
            "/actuator/prometheus: drain.inFlight.http.inFlight with sample tomcat_threads_busy_threads finds no sample of that name",
        ],
    );
}
