//! What is released, on what, and under which load: the same for every method.

use std::time::Duration;

use bluegreen_app::load::{Mix, RequestClass};
use bluegreen_cloud::{Hostility, balancer::Knobs};

/// The name of the application, its load balancer, its target group and its tag.
pub const NAME: &str = "snackgame";
/// The port that the application is registered with.
pub const PORT: u16 = 8080;
/// The port of the load balancer.
pub const LISTENER_PORT: u16 = 8000;
/// The version that is live at first.
pub const OLD_VERSION: &str = "1.7.3";
/// The systemd unit that runs the application.
pub const UNIT: &str = "snackgame@8080.service";

/// A scenario. All durations are virtual.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// How many hosts there are; one process on each.
    pub hosts: usize,
    /// How the cloud lags, refuses and errs.
    pub hostility: Hostility,
    /// How the load balancer's nodes behave.
    pub knobs: Knobs,
    /// From the start of a process until it listens.
    pub startup: Duration,
    /// Between two health checks of one node of the load balancer.
    pub check_interval: Duration,
    /// The target group's deregistration delay.
    pub deregistration_delay: Duration,
    /// The application's own limit for its graceful shutdown.
    pub shutdown_timeout: Duration,
    /// Between SIGTERM and SIGKILL.
    pub grace_period: Duration,
    /// How many clients keep their connection.
    pub keep_alive_clients: usize,
    /// How many clients make a new connection for each request.
    pub new_connection_clients: usize,
    /// How many requests a second arrive besides, whatever became of the earlier ones.
    pub arrivals_per_second: f64,
    /// What clients ask for.
    pub mix: Mix,
    /// How long the load runs before the release begins.
    pub warm_up: Duration,
    /// How long new requests go on after the release has ended.
    pub cool_down: Duration,
}

impl Scenario {
    /// Three hosts. One request in ten outlives every fixed wait of the naive methods, and the
    /// longest, 48 s, outlive such a wait and the application's graceful shutdown together. The
    /// deregistration delay is long enough even for one of those that a late node of the load
    /// balancer sends 40 s after the deregistration: no request has to fail.
    #[must_use]
    pub fn full() -> Self {
        Self {
            hosts: 3,
            hostility: Hostility::realistic(),
            knobs: Knobs::default(),
            startup: Duration::from_secs(8),
            check_interval: Duration::from_secs(10),
            deregistration_delay: Duration::from_secs(90),
            shutdown_timeout: Duration::from_secs(20),
            grace_period: Duration::from_secs(25),
            keep_alive_clients: 16,
            new_connection_clients: 8,
            arrivals_per_second: 3.0,
            mix: Mix {
                classes: vec![
                    RequestClass::new(0.76, 20, 100),
                    RequestClass::new(0.14, 500, 3_000),
                    RequestClass::new(0.10, 12_000, 48_000),
                ],
            },
            warm_up: Duration::from_secs(10),
            cool_down: Duration::from_secs(5),
        }
    }

    /// The same on two hosts, with a faster application.
    #[must_use]
    pub fn short() -> Self {
        Self {
            hosts: 2,
            startup: Duration::from_secs(5),
            warm_up: Duration::from_secs(5),
            cool_down: Duration::from_secs(2),
            ..Self::full()
        }
    }
}
