//! Faults from the field, made while the built programs work: a process of the application is
//! killed, a target is deregistered by hand, an answer of AWS is cut, a second copy of a manifest is
//! applied. Each scenario has a world of its own and says what a user may expect of it: how long
//! requests may fail, that no condition claims what is not so, and how the release ends.
//!
//! Arguments are names of scenarios; without any, all are run. `tests/field/run` builds what is tried.
//! Everything runs in real time, since the controller is the program that is shipped; so the
//! manifests' times are short, and scenarios run side by side.

mod aws;
mod claims;
mod folder;
mod http;
mod load;
mod process;
mod programs;
mod releases;
mod sample;
mod scenarios;
mod world;

use std::{
    env,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use folder::Folder;
use futures::{FutureExt, StreamExt, stream};
use programs::Programs;
use scenarios::{SCENARIOS, Scenario};
use tokio::signal::unix::{SignalKind, signal};
use world::{Ended, World};

/// How many scenarios run at the same time, unless `FIELD_LANES` says otherwise. They mostly wait.
const LANES: usize = 8;

/// No scenario takes longer.
const BOUND: Duration = Duration::from_secs(400);

/// What came of a scenario.
struct Verdict {
    name: &'static str,
    about: &'static str,
    took: Duration,
    faults: Vec<String>,
    story: Vec<String>,
}

fn main() -> ExitCode {
    load::check();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            code = suite() => code,
            () = interrupted() => ExitCode::FAILURE,
        }
    })
}

/// Waits for a signal to end. What was started ends when it is dropped.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn suite() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).collect();
    let (chosen, programs) = match (chosen(&asked), find_programs()) {
        (Ok(chosen), Ok(programs)) => (chosen, programs),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let lanes = env::var("FIELD_LANES").ok();
    let lanes = lanes.and_then(|lanes| lanes.parse().ok()).unwrap_or(LANES);
    let folder = match Folder::new() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("cannot make a temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    let began = Instant::now();
    let running = chosen.iter().zip(1_u8..).map(|(scenario, number)| {
        let folder = folder.path().join(scenario.name);
        let programs = &programs;
        async move {
            let result = one(scenario, programs, &folder, number).await;
            tell(&result);
            result
        }
    });
    let mut results: Vec<Verdict> = stream::iter(running)
        .buffer_unordered(lanes.max(1))
        .collect()
        .await;
    results.sort_by_key(|result| chosen.iter().position(|one| one.name == result.name));
    table(&results, began.elapsed());
    if results.iter().all(|result| result.faults.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The scenarios of these names.
fn chosen(asked: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if asked.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let named = |name: &String| {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            format!(
                "no scenario is called {name}; there are {}",
                names.join(" ")
            )
        })
    };
    asked.iter().map(named).collect()
}

fn find_programs() -> Result<Programs, String> {
    let controller = env::var_os("BLUEGREEN_CONTROLLER")
        .ok_or("BLUEGREEN_CONTROLLER does not name the controller; tests/field/run builds it")?;
    let programs = Programs {
        demo: PathBuf::from(env!("CARGO_BIN_EXE_demo")),
        controller: PathBuf::from(controller),
    };
    for program in [&programs.demo, &programs.controller] {
        if !program.is_file() {
            return Err(format!("{} is not there", program.display()));
        }
    }
    Ok(programs)
}

async fn one(
    scenario: &'static Scenario,
    programs: &Programs,
    folder: &Path,
    number: u8,
) -> Verdict {
    let began = Instant::now();
    let ended = match World::start(programs, &(scenario.setup)(), folder, number).await {
        Ok(world) => {
            let running = AssertUnwindSafe((scenario.run)(&world)).catch_unwind();
            let why = match tokio::time::timeout(BOUND, running).await {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(why))) => Some(why),
                Ok(Err(panic)) => Some(words(panic.as_ref())),
                Err(_) => Some(format!("it took longer than {BOUND:?}")),
            };
            if let Some(why) = why {
                world.fault(why);
            }
            world.end().await
        }
        Err(why) => Ended {
            faults: vec![why],
            story: Vec::new(),
        },
    };
    Verdict {
        name: scenario.name,
        about: scenario.about,
        took: began.elapsed(),
        faults: ended.faults,
        story: ended.story,
    }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked without words".to_owned())
}

fn tell(result: &Verdict) {
    let Verdict {
        name,
        about,
        took,
        faults,
        story,
    } = result;
    let took = took.as_secs_f64();
    if faults.is_empty() {
        println!("{name}: ok, {took:.1} s: {about}");
        return;
    }
    println!("\n{name}: FAILED, {took:.1} s: {about}");
    for fault in faults {
        println!("{name}: {fault}");
    }
    for line in story {
        println!("{name} |  {line}");
    }
    println!();
}

fn table(results: &[Verdict], took: Duration) {
    println!(
        "\n{:<9} {:<7} {:>8}  fault",
        "scenario", "result", "seconds"
    );
    for result in results {
        let word = if result.faults.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        let seconds = result.took.as_secs_f64();
        let fault = result.faults.first().unwrap_or(&String::new()).clone();
        let fault = fault.lines().next().unwrap_or_default().to_owned();
        println!("{:<9} {word:<7} {seconds:>8.1}  {fault}", result.name);
    }
    let failed = results.iter().filter(|result| !result.faults.is_empty());
    let failed = failed.count();
    println!("all of it took {:.1} s", took.as_secs_f64());
    println!("{} passed, {failed} failed", results.len() - failed);
}
