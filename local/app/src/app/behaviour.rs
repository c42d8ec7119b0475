//! How an application behaves, well or badly.

use std::time::Duration;

/// An application's settings. All durations are virtual.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Its version, as `x-app-version` says it.
    pub version: String,
    /// Its process id, as `x-app-pid` says it.
    pub pid: u32,
    /// How long it takes from its start until it listens.
    pub startup: Duration,
    /// How long an idle connection is kept. Tomcat's default of 60 s is as long as the load
    /// balancer's; 75 s is the cure.
    pub keep_alive: Duration,
    /// After how many requests a connection is closed, with notice; `None` for never.
    pub keep_alive_requests: Option<u32>,
    /// How long it waits for requests in flight when it stops; then they are broken off.
    pub shutdown_timeout: Duration,
    /// What it does on SIGTERM.
    pub on_terminate: OnTerminate,
    /// What its health check says.
    pub health: HealthBehaviour,
    /// The share of requests that are answered with 500, 0 to 1.
    pub error_rate: f64,
    /// Decides which requests those are.
    pub seed: u64,
    /// Where `/actuator/` is served; `None` is where all else is.
    pub management_port: Option<u16>,
    /// Whether `/actuator/`, `/drain` and `/metrics` are answered with 403 unless 127.0.0.1 asks.
    pub private_pages: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: "1.0.0".to_owned(),
            pid: std::process::id(),
            startup: Duration::from_secs(5),
            keep_alive: Duration::from_secs(60),
            keep_alive_requests: Some(100),
            shutdown_timeout: Duration::from_secs(30),
            on_terminate: OnTerminate::Graceful,
            health: HealthBehaviour::Healthy,
            error_rate: 0.0,
            seed: 0,
            management_port: None,
            private_pages: false,
        }
    }
}

/// What an application does on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnTerminate {
    /// It closes the listening socket, completes what is in flight, and ends.
    Graceful,
    /// It ends at once; what is in flight is broken off.
    Immediate,
    /// It closes the listening socket, completes what is in flight, and never ends.
    Hang,
    /// It goes on as if nothing had happened.
    Ignore,
}

/// What an application's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthBehaviour {
    /// 200.
    Healthy,
    /// 503.
    NeverHealthy,
    /// 200 and 503 in turn.
    Flapping {
        /// How long it says 200.
        healthy: Duration,
        /// How long it then says 503.
        unhealthy: Duration,
    },
}

impl HealthBehaviour {
    /// Whether it is healthy this long after it began to serve.
    pub(super) fn is_healthy(self, running: Duration) -> bool {
        match self {
            Self::Healthy => true,
            Self::NeverHealthy => false,
            Self::Flapping { healthy, unhealthy } => {
                let period = (healthy + unhealthy).as_nanos().max(1);
                running.as_nanos() % period < healthy.as_nanos()
            }
        }
    }
}
