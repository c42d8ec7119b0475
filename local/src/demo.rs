//! The demo: one release after the other, each in a world of its own, then the table.

use std::{fs, process::ExitCode, time::Duration};

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    error::Error,
    figures::{Figures, Measured, Report},
    keep,
    methods::{MANIFEST_PATH, Method, Mounted},
    options::Options,
    progress::Progress,
    scenario::Scenario,
    view::{Requests, Row, Screen, Snapshot},
    world::World,
};

/// How often the display is made anew, in real time.
const FRAME: Duration = Duration::from_millis(100);
/// Over how many frames requests per second are counted.
const RATE_FRAMES: usize = 10;
/// The registry's token. It listens on loopback for as long as the demo runs, and what can be
/// changed through it is simulated.
const TOKEN: &str = "demo";
/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// Runs the demo.
#[must_use]
pub fn main(options: &Options) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        // Everything that runs belongs to the run, and ends when it is dropped here.
        tokio::select! {
            ended = run(options) => ended,
            interrupted = interrupted() => Err(interrupted),
        }
    });
    match ended {
        Ok(code) => code,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for a signal to end.
async fn interrupted() -> Error {
    let signals = signal(SignalKind::interrupt()).and_then(|interrupt| {
        let terminate = signal(SignalKind::terminate())?;
        Ok((interrupt, terminate))
    });
    match signals {
        Ok((mut interrupt, mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => Error::Interrupted,
                _ = terminate.recv() => Error::Interrupted,
            }
        }
        Err(error) => Error::machine("catch signals")(error),
    }
}

async fn run(options: &Options) -> Result<ExitCode, Error> {
    let scenario = if options.short {
        Scenario::short()
    } else {
        Scenario::full()
    };
    let mut methods = options.chosen_methods();
    if options.keep && !methods.contains(&Method::Bluegreen) {
        methods.push(Method::Bluegreen);
    }
    let mut report = Report {
        seed: options.seed,
        time_scale: options.time_scale(),
        methods: Vec::new(),
    };
    let mut screen = Screen::new(options.plain);
    let mut kept = None;
    for (index, method) in methods.iter().enumerate() {
        let release = Release {
            method: *method,
            position: (index + 1, methods.len()),
            scenario: &scenario,
            scale: report.time_scale,
        };
        let keep = options.keep && index + 1 == methods.len();
        let (figures, staying) = release.run(options, keep, &mut screen).await?;
        screen.say(&summary(&figures));
        report.methods.push(figures);
        kept = staying;
    }
    screen.say(&format!("\n{}", report.table()));
    if let Some(path) = &options.report {
        fs::write(path, report.json())
            .map_err(Error::machine(format!("write {}", path.display())))?;
    }
    if let Some((world, mounted)) = kept {
        screen.say(&keep::instructions(&world, &mounted));
        std::future::pending::<()>().await;
    }
    Ok(verdict(&report))
}

fn summary(figures: &Figures) -> String {
    let Figures {
        name,
        requests,
        failed,
        seconds,
        ..
    } = figures;
    format!("{name:<18} {requests} requests, {failed} failed, {seconds:.1} s")
}

/// What makes the demo fail: a request that was lost by the controller.
fn verdict(report: &Report) -> ExitCode {
    let ours = Method::Bluegreen.name();
    let lost = report
        .methods
        .iter()
        .any(|figures| figures.name == ours && figures.failed > 0);
    if lost {
        eprintln!("error: {ours} has failed requests, and must not");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// One release to be made.
struct Release<'a> {
    method: Method,
    position: (usize, usize),
    scenario: &'a Scenario,
    scale: f64,
}

impl Release<'_> {
    /// Makes it in a new world; returns that world too, where it is to stay.
    async fn run(
        &self,
        options: &Options,
        keep: bool,
        screen: &mut Screen,
    ) -> Result<(Figures, Option<(World, Mounted)>), Error> {
        // Few are at work at a time, so a byte tells them apart.
        let number = self.position.0 as u8;
        let world = World::build(self.scenario, options.seed, self.scale, number).await?;
        let mounted = match self.method {
            Method::Bluegreen => Some(Mounted::start(&world, TOKEN).await?),
            Method::Kill
            | Method::GracefulOnly
            | Method::FailHealthCheck
            | Method::DeregisterSleep
            | Method::DeregisterWait => None,
        };
        let progress = Progress::new(world.scene.hosts.len());
        let mut watch = Watch {
            release: self,
            world: &world,
            progress: &progress,
            screen,
            began: world.clock.now(),
            counts: Vec::new(),
        };
        progress.say("the load begins");
        watch.during(world.clock.sleep(self.scenario.warm_up)).await;
        if mounted.is_some() {
            progress.say(format!("applying {MANIFEST_PATH}"));
        }
        let began = world.clock.now();
        watch.began = began;
        let released = self
            .method
            .release(&world, self.scenario, &progress, mounted.as_ref());
        watch.during(released).await?;
        let aws_calls = world.calls_of(self.method.principal());
        progress.say("released; the last requests end");
        watch
            .during(world.clock.sleep(self.scenario.cool_down))
            .await;
        let measured = Measured {
            method: self.method,
            began,
            facts: world.monitor.facts(),
            aws_calls,
            hosts: world.monitor.hosts(),
        };
        match mounted {
            Some(mounted) if keep => {
                let figures = measured.figures(&settled(&world).await)?;
                Ok((figures, Some((world, mounted))))
            }
            mounted => {
                if let Some(mounted) = mounted {
                    mounted.close().await;
                }
                let load = world.close().await;
                Ok((measured.figures(&load.totals)?, None))
            }
        }
    }
}

/// The counts of a load that goes on. What is in flight by then has not failed.
async fn settled(world: &World) -> bluegreen_app::load::Totals {
    let mut totals = world.totals();
    totals.unfinished = 0;
    totals
}

/// Shows a release while it goes on.
struct Watch<'a, 'b> {
    release: &'a Release<'b>,
    world: &'a World,
    progress: &'a Progress,
    screen: &'a mut Screen,
    began: Timestamp,
    /// Served and failed at the last frames.
    counts: Vec<(Timestamp, u64, u64)>,
}

impl Watch<'_, '_> {
    /// Shows frames until something has ended.
    async fn during<F: Future>(&mut self, something: F) -> F::Output {
        let mut something = std::pin::pin!(something);
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = &mut something => return ended,
                _ = frames.tick() => {
                    let snapshot = self.snapshot();
                    self.screen.show(&snapshot);
                }
            }
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let now = self.world.clock.now();
        let seconds =
            |later: Timestamp, earlier: Timestamp| later.duration_since(earlier).as_secs_f64();
        let state = self.progress.state();
        let truth = self.world.monitor.hosts();
        let hosts = self.world.scene.hosts.iter().zip(&truth).zip(&state.hosts);
        let rows = hosts.map(|((host, truth), progress)| Row {
            id: host.id.clone(),
            target: truth.target.clone(),
            processes: truth
                .processes
                .iter()
                .map(|process| {
                    let stopping = if process.stopping { " (stopping)" } else { "" };
                    format!("{}{stopping}", process.version)
                })
                .collect(),
            in_flight: self.world.oracle.in_flight(&host.id, crate::scenario::PORT),
            done: progress.done.clone(),
            doing: progress.doing.clone(),
            left: progress.until.map(|until| seconds(until, now)),
        });
        let rows = rows.collect();
        let totals = self.world.totals();
        if self.counts.len() == RATE_FRAMES {
            self.counts.remove(0);
        }
        self.counts.push((now, totals.served, totals.failed));
        let (since, served, failed) = self.counts[0];
        let time = seconds(now, since).max(0.1);
        Snapshot {
            method: self.release.method.name(),
            position: self.release.position,
            scale: self.release.scale,
            elapsed: seconds(now, self.began),
            message: state.message,
            hosts: rows,
            requests: Requests {
                served: totals.served,
                failed: totals.failed,
                in_flight: totals.unfinished,
                served_per_second: (totals.served - served) as f64 / time,
                failed_per_second: (totals.failed - failed) as f64 / time,
            },
        }
    }
}
