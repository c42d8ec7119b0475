//! The demo: one release after the other, each in a world of its own, then the table.

use std::{fs, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    error::Error,
    figures::{Figures, Report},
    keep,
    methods::{Method, new_version},
    options::Options,
    release::{Release, Released},
    scenario::{NAME, OLD_VERSION, Scenario},
    view::Screen,
    world,
};

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
pub(crate) async fn interrupted() -> Error {
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
    world::remove_leftovers();
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
    screen.say(&format!(
        "{} releases of {NAME}, {OLD_VERSION} to {}, with seed {}, {} times as fast as the wall clock",
        methods.len(),
        new_version()?,
        report.seed,
        report.time_scale
    ));
    let mut before: Option<Released> = None;
    for (index, method) in methods.iter().enumerate() {
        let release = Release {
            method: *method,
            position: (index + 1, methods.len()),
            scenario: &scenario,
            options,
        };
        screen.show(&release.first_snapshot());
        // While the last requests of one world end, the application of the next one starts.
        let closing = async {
            match before.take() {
                Some(released) => released.close().await.map(Some),
                None => Ok(None),
            }
        };
        let (prepared, figures) = tokio::try_join!(release.prepare(), closing)?;
        record(&mut report, &mut screen, figures);
        before = Some(release.make(prepared, &mut screen).await?);
    }
    if let Some(released) = before {
        let keep = options.keep;
        let (figures, kept) = if keep {
            (released.count(&scenario).await?, Some(released))
        } else {
            (released.close().await?, None)
        };
        record(&mut report, &mut screen, Some(figures));
        finish(options, &report, &mut screen)?;
        if let Some(Released { world, mounted, .. }) = &kept {
            let _ = verdict(&report);
            screen.say(&keep::instructions(world, mounted.as_ref()));
            std::future::pending::<()>().await;
        }
    }
    Ok(verdict(&report))
}

fn record(report: &mut Report, screen: &mut Screen, figures: Option<Figures>) {
    if let Some(figures) = figures {
        screen.say(&summary(&figures));
        report.methods.push(figures);
    }
}

/// Prints the table and writes the report.
fn finish(options: &Options, report: &Report, screen: &mut Screen) -> Result<(), Error> {
    screen.say(&format!("\n{}", report.table()));
    match &options.report {
        Some(path) => fs::write(path, report.json())
            .map_err(Error::machine(format!("write {}", path.display()))),
        None => Ok(()),
    }
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
