//! The controller as a process: arguments, logs, signals. Everything else is in the library.

use std::{
    env,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use bluegreen::{
    api::{self, crd},
    cloud::aws::{ATTEMPT_TIMEOUT, AwsSettings, Clouds},
    controller::{
        Authority, Cidrs, HttpProbes, LeaseOptions, Metrics, Options, Outside, Parts, Planner,
        StartError, SystemClock, client_config, connect, identity, run,
    },
    telemetry::{Endpoint, EndpointError, OneLine, Traces, subscriber},
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use tracing_subscriber::{EnvFilter, Layer, util::SubscriberInitExt};

/// Replaces the version of applications on EC2 behind an Elastic Load Balancer with zero dropped
/// requests, as BlueGreenRelease objects in Kubernetes say.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller. This is the default.
    Run(Box<Run>),
    /// Print the CustomResourceDefinition.
    Crd,
}

#[derive(Debug, Args)]
struct Run {
    /// Work on the releases of this namespace only. Default: all namespaces.
    #[arg(long, env = "BLUEGREEN_NAMESPACE")]
    namespace: Option<String>,

    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "BLUEGREEN_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// How many releases are worked on at the same time.
    #[arg(long, env = "BLUEGREEN_CONCURRENCY", default_value_t = Options::default().concurrency, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    /// The AWS region of releases that name none. Default: where the AWS tools look for it.
    #[arg(long, env = "AWS_REGION")]
    region: Option<String>,

    /// A URL that is used in place of AWS's endpoints, for every service and region.
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    endpoint_url: Option<String>,

    /// How much more often than by default AWS may be asked, 0.1 to 100. The default is about a
    /// third of what AWS documents for an account and region: raise it where AWS has raised the
    /// account's limits, lower it where others need them.
    #[arg(long, env = "BLUEGREEN_AWS_RATE_FACTOR", default_value_t = 1.0, value_parser = rate_factor)]
    aws_rate_factor: f64,

    /// Where hosts are that may be asked what is in flight (drain.inFlight), as ranges between
    /// commas; with an empty text, nowhere. Default: the private ranges. Link-local and metadata
    /// addresses are never asked, and the loopback only where a range within it is listed, as
    /// 127.0.0.0/8.
    #[arg(long, env = "BLUEGREEN_PROBE_CIDRS", default_value_t)]
    probe_cidrs: Cidrs,

    /// How logs are written. RUST_LOG says what is logged; default: info.
    #[arg(long, env = "BLUEGREEN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// The URL of an OpenTelemetry collector that takes traces by OTLP over HTTP, as in
    /// http://collector.monitoring:4318; /v1/traces is added. Default: no traces are made.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true
    )]
    otlp_endpoint: String,

    /// The name of this instance in Kubernetes Events and in traces.
    #[arg(long, env = "POD_NAME")]
    instance: Option<String>,

    #[command(flatten)]
    election: Election,
}

#[derive(Debug, Args)]
struct Election {
    /// Whether to hold a Lease before doing anything, so that others can stand by. Without it
    /// there must be one controller only.
    #[arg(long, env = "BLUEGREEN_LEADER_ELECTION", default_value_t = true, action = ArgAction::Set)]
    leader_election: bool,

    /// The name of the Lease.
    #[arg(
        long,
        env = "BLUEGREEN_LEASE_NAME",
        default_value = "bluegreen-controller"
    )]
    lease_name: String,

    /// The namespace of the Lease. Default: the pod's, or that of the kubeconfig.
    #[arg(long, env = "POD_NAMESPACE")]
    lease_namespace: Option<String>,

    /// How long the Lease lasts from a renewal, 10s to 10m: so long nobody works after a
    /// controller that was killed. It is renewed five times as often. Where less than 6 s of it
    /// are left no change is begun in AWS, and where less than 4 s are left AWS is not asked at all.
    #[arg(long, env = "BLUEGREEN_LEASE_DURATION", default_value = "15s", value_parser = lease_duration)]
    lease_duration: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The exit code of a command line that cannot be understood: clap's own.
const USAGE: u8 = 2;

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),

    #[error("cannot listen on {address}: {error}; choose another address with --listen")]
    Listen {
        address: SocketAddr,
        error: std::io::Error,
    },

    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
}

fn main() -> ExitCode {
    // First of all: whoever makes a TLS connection before this gets a provider by chance.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Crd) => {
            match io::stdout().write_all(crd::yaml().as_bytes()) {
                // Who has read enough, as `head` does, has what it wanted.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    eprintln!("cannot write the definition: {error}");
                    ExitCode::FAILURE
                }
                Ok(()) | Err(_) => ExitCode::SUCCESS,
            }
        }
        Some(Command::Run(run)) => start(*run),
        None => start(arguments.run),
    }
}

fn start(arguments: Run) -> ExitCode {
    let endpoint = match otlp_endpoint(&arguments.otlp_endpoint) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            eprintln!("error: --otlp-endpoint, or OTEL_EXPORTER_OTLP_ENDPOINT: {error}");
            return ExitCode::from(USAGE);
        }
    };
    // One thread: the controller waits for networks, and a second thread would only keep memory of
    // its own, which is a tenth of what a thousand releases take.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            log(arguments.log_format, None);
            error!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let instance = arguments.instance.as_deref();
    let traces = match endpoint
        .as_ref()
        .map(|endpoint| Traces::start(endpoint, instance, runtime.handle().clone()))
        .transpose()
    {
        Ok(traces) => traces,
        Err(error) => {
            log(arguments.log_format, None);
            error!("{error}");
            return ExitCode::FAILURE;
        }
    };
    log(arguments.log_format, traces.as_ref());
    let ended = runtime.block_on(async {
        let ended = control(arguments).await;
        // The lease has been given back by now: nobody waits for this.
        if let Some(traces) = traces {
            traces.end().await;
        }
        ended
    });
    match ended {
        Ok(()) => {
            info!("ended");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// A factor that neither stops the controller nor lets it run into AWS's own limits at once.
fn rate_factor(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.1..=100.0).contains(&factor) => Ok(factor),
        _ => Err("give a number from 0.1 to 100, as in 2.5".to_owned()),
    }
}

/// The collector of traces, where one is named; OpenTelemetry's rule for its variables is that an
/// empty one is none. clap is not asked to read it, since it repeats what it refuses, and that may
/// have a password in it.
fn otlp_endpoint(text: &str) -> Result<Option<Endpoint>, EndpointError> {
    match text {
        "" => Ok(None),
        url => url.parse().map(Some),
    }
}

/// Ten seconds leave four in which something may begin, and five renewals, two seconds apart.
fn lease_duration(text: &str) -> Result<Duration, String> {
    match text.parse::<api::Duration>().map(Duration::from) {
        // Whoever stands by would count less than whoever holds it.
        Ok(time) if time.subsec_nanos() != 0 => {
            Err("a Lease counts whole seconds; give a time without ms, as in 15s".to_owned())
        }
        Ok(time) if time.as_secs() >= 10 && time.as_secs() <= 600 => Ok(time),
        _ => Err("give a time from 10s to 10m, as in 15s".to_owned()),
    }
}

/// The lease to hold.
fn lease(arguments: &Run, own_namespace: &str) -> Option<LeaseOptions> {
    let election = &arguments.election;
    let place = arguments
        .instance
        .as_deref()
        .unwrap_or("bluegreen-controller");
    election.leader_election.then(|| LeaseOptions {
        namespace: election
            .lease_namespace
            .clone()
            .unwrap_or_else(|| own_namespace.to_owned()),
        name: election.lease_name.clone(),
        identity: identity(place),
        duration: election.lease_duration,
    })
}

async fn control(arguments: Run) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    end_on_signals(&shutdown)?;
    let config = client_config().await?;
    let server = config.cluster_url.to_string();
    let lease = lease(&arguments, &config.default_namespace);
    let authority = match lease {
        Some(_) => Authority::elected(),
        None => Authority::alone(),
    };
    let client = connect(config)?;
    let address = arguments.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Listen { address, error })?;
    let metrics = Arc::new(Metrics::default());
    let settings = AwsSettings {
        region: arguments.region,
        endpoint_url: arguments.endpoint_url,
    };
    let fence = authority.clone();
    let world = Outside {
        clouds: Clouds::connect(&settings, metrics.clone())
            .await
            .with_rate_factor(arguments.aws_rate_factor)
            .with_fence(move || fence.outlasts(ATTEMPT_TIMEOUT)),
        clock: SystemClock,
        probe: HttpProbes::new(arguments.probe_cidrs),
    };
    let options = Options {
        namespace: arguments.namespace,
        concurrency: arguments.concurrency,
        instance: arguments.instance,
        lease,
        ..Options::default()
    };
    let parts = Parts {
        client,
        server,
        world,
        planner: Planner::default(),
        options,
        metrics,
        authority,
        listener: Some(listener),
    };
    Ok(run(parts, shutdown).await?)
}

/// kube logs each failed request as it fails; this program does so where it deals with it.
const LOGGED: &str = "info,kube_client::client::builder=off";

fn log(format: LogFormat, traces: Option<&Traces>) {
    let asked = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let asked = match asked.trim() {
        "" => LOGGED,
        asked => asked,
    };
    let (filter, misread) = match EnvFilter::try_new(asked) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(LOGGED), Some(error)),
    };
    // In a file colours would be noise.
    let coloured = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(coloured)
        .with_writer(move || OneLine::new(io::stderr(), coloured));
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    subscriber(lines, filter, traces).init();
    if let Some(error) = misread {
        warn!(
            "RUST_LOG cannot be read and has no effect: {error}; write it as in \
             info,bluegreen=debug"
        );
    }
}

/// The first SIGTERM or SIGINT ends the controller in order, the second at once.
fn end_on_signals(shutdown: &CancellationToken) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(130);
            }
            info!("shutting down; a second signal ends this at once");
            shutdown.cancel();
        }
    });
    Ok(())
}
