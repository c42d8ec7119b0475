//! The application as a process of its own.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use bluegreen_net::{Clock, Net};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{
    behaviour::{Config, HealthBehaviour, OnTerminate},
    serve::{Exit, Signal, serve},
};

/// The command line of the sample application. All times are virtual: see `--clock-scale`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long, env = "APP_ADDRESS", default_value = "127.0.0.1:8080")]
    pub address: SocketAddr,
    /// The version that it says it is.
    #[arg(long, env = "APP_VERSION", default_value = "1.0.0")]
    pub app_version: String,
    /// The time from the start until it listens.
    #[arg(long, env = "APP_STARTUP", default_value = "5s", value_parser = duration)]
    pub startup: Duration,
    /// How long an idle connection is kept.
    #[arg(long, env = "APP_KEEP_ALIVE", default_value = "60s", value_parser = duration)]
    pub keep_alive: Duration,
    /// After how many requests a connection is closed; 0 for never.
    #[arg(long, env = "APP_KEEP_ALIVE_REQUESTS", default_value_t = 100)]
    pub keep_alive_requests: u32,
    /// How long it waits for requests in flight when it stops.
    #[arg(long, env = "APP_SHUTDOWN_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub shutdown_timeout: Duration,
    /// What it does on SIGTERM.
    #[arg(long, env = "APP_ON_TERMINATE", value_enum, default_value = "graceful")]
    pub on_terminate: OnTerminate,
    /// Never become healthy.
    #[arg(long, env = "APP_NEVER_HEALTHY", conflicts_with = "flapping")]
    pub never_healthy: bool,
    /// Be healthy and unhealthy in turn, each for this long.
    #[arg(long, env = "APP_FLAPPING", value_parser = duration)]
    pub flapping: Option<Duration>,
    /// The share of requests that are answered with 500, 0 to 1.
    #[arg(long, env = "APP_ERROR_RATE", default_value_t = 0.0)]
    pub error_rate: f64,
    /// Decides which requests those are.
    #[arg(long, env = "APP_SEED", default_value_t = 0)]
    pub seed: u64,
    /// Serve /actuator/ on this port instead of the application's.
    #[arg(long, env = "APP_MANAGEMENT_PORT")]
    pub management_port: Option<u16>,
    /// Answer /actuator/, /drain and /metrics to 127.0.0.1 only; to all others with 403.
    #[arg(long, env = "APP_PRIVATE_PAGES")]
    pub private_pages: bool,
    /// The instant at which virtual and real time were the same.
    #[arg(long, env = "CLOCK_ANCHOR")]
    pub clock_anchor: Option<Timestamp>,
    /// How many virtual seconds pass in a real one.
    #[arg(long, env = "CLOCK_SCALE", default_value_t = 1.0, value_parser = scale)]
    pub clock_scale: f64,
}

impl Args {
    fn config(&self) -> Config {
        let health = match (self.never_healthy, self.flapping) {
            (true, _) => HealthBehaviour::NeverHealthy,
            (false, Some(each)) => HealthBehaviour::Flapping {
                healthy: each,
                unhealthy: each,
            },
            (false, None) => HealthBehaviour::Healthy,
        };
        Config {
            version: self.app_version.clone(),
            pid: std::process::id(),
            startup: self.startup,
            keep_alive: self.keep_alive,
            keep_alive_requests: (self.keep_alive_requests > 0).then_some(self.keep_alive_requests),
            shutdown_timeout: self.shutdown_timeout,
            on_terminate: self.on_terminate,
            health,
            error_rate: self.error_rate,
            seed: self.seed,
            management_port: self.management_port,
            private_pages: self.private_pages,
        }
    }
}

/// Runs the application on a socket until a signal ends it; returns the code to exit with. One
/// thread does everything, so that many of them fit on one machine.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(serve_with_signals(args)),
        Err(error) => Err(format!("the runtime cannot be started: {error}")),
    };
    match ended {
        Ok(exit) => ExitCode::from(exit.code),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_with_signals(args: &Args) -> Result<Exit, String> {
    let no_signals = |error| format!("signals cannot be received: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let clock = Clock::scaled(
        args.clock_anchor.unwrap_or_else(Timestamp::now),
        args.clock_scale,
    );
    let (sender, signals) = mpsc::channel(1);
    let forward = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            // Where one waits already, another would say the same.
            let _ = sender.try_send(Signal::Terminate);
        }
    };
    // It ends with the runtime.
    tokio::spawn(forward);
    serve(Net::Tcp, clock, args.config(), args.address, signals)
        .await
        .map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "a duration cannot be negative".to_owned())
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && scale > 0.0 => Ok(scale),
        Ok(_) | Err(_) => Err("a scale is a positive number, such as 1 or 30".to_owned()),
    }
}
