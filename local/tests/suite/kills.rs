//! The controller is killed between any two of its calls to AWS, and started again.

use std::time::Duration;

use bluegreen::api::BlueGreenReleaseStatus;
use futures::FutureExt;

use crate::harness::{Kill, Manifest, Moment, NEW, ProcessChange, Scene, World};

/// One seed for all: a run with a kill is the undisturbed one up to that call.
const SEED: u64 = 300;
/// More than a restart in a cluster takes, and less than an operation timeout, so that what was
/// under way at the kill is still to come.
const BACK_AFTER: Duration = Duration::from_secs(3);

/// What a release comes to.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// Each old target with the steps that are on record.
    records: Vec<(String, u16, [bool; 5])>,
    started: Vec<String>,
    told_to_stop: Vec<String>,
    /// Every change in AWS, without its time.
    mutations: Vec<String>,
}

fn end(world: &World, status: &BlueGreenReleaseStatus) -> End {
    let old = status.targets.iter().filter(|target| target.revision == 0);
    let records = old.map(|target| {
        let steps = &target.steps;
        let done = [
            steps.registered.is_some(),
            steps.healthy.is_some(),
            steps.deregistered.is_some(),
            steps.drained.is_some(),
            steps.terminated.is_some(),
        ];
        (target.id.clone(), target.port, done)
    });
    let mut records: Vec<_> = records.collect();
    records.sort();
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    // An idempotent repeat is the same change on some of the same subjects: only what is new
    // counts.
    let mut seen = std::collections::BTreeSet::new();
    for mutation in world.mutations() {
        for subject in &mutation.subjects {
            let place = &mutation.place;
            seen.insert(format!("{} {subject} {place}", mutation.action));
        }
    }
    End {
        records,
        started: sorted(world.processes(ProcessChange::Started)),
        told_to_stop: sorted(world.processes(ProcessChange::Signalled)),
        mutations: seen.into_iter().collect(),
    }
}

/// Releases with a kill, or without; returns what it came to and how many calls it took.
async fn release(scene: Scene, kill: Option<Kill>) -> (End, usize) {
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, SEED).await;
    let reviving = match kill {
        Some(kill) => Some(world.start_doomed(kill, BACK_AFTER)),
        None => {
            world.start();
            None
        }
    };
    world.apply(&manifest).await;
    let status = world.until_released(900).await;
    let calls = world.control.calls();
    let controllers = 1 + usize::from(kill.is_some());
    assert_eq!(
        world.control.starts(),
        controllers,
        "{kill:?} did not happen"
    );
    let draining_twice = repeated_deregistrations(&world);
    if !draining_twice.is_empty() {
        world.fail(&format!("deregistered twice: {draining_twice:?}"), &status);
    }
    let end = end(&world, &status);
    drop(reviving);
    assert!(world.end().await.totals.by_version[NEW] > 0);
    (end, calls)
}

/// Targets whose deregistration was asked for again while they were draining.
fn repeated_deregistrations(world: &World) -> Vec<String> {
    let mut draining = std::collections::BTreeSet::new();
    let mut repeated = Vec::new();
    for mutation in world.mutations() {
        for target in &mutation.subjects {
            let key = format!("{target} {}", mutation.place);
            match mutation.action.as_str() {
                "DeregisterTargets" if !draining.insert(key.clone()) => repeated.push(key),
                "RegisterTargets" => {
                    draining.remove(&key);
                }
                _ => {}
            }
        }
    }
    repeated
}

/// Kills at every call, on the given side of it, and compares.
async fn every_kill(scene: fn() -> Scene, moment: Moment) {
    let (undisturbed, calls) = release(scene(), None).await;
    assert!(calls > 20, "{calls}");
    println!("{calls} calls");
    let mut wrong = Vec::new();
    for call in 0..calls {
        let kill = Kill { call, moment };
        println!("{kill:?}");
        let ended = std::panic::AssertUnwindSafe(release(scene(), Some(kill))).catch_unwind();
        match ended.await {
            Ok((end, _)) if end == undisturbed => {}
            Ok((end, _)) => wrong.push(format!("{kill:?}: {end:#?}\ninstead of {undisturbed:#?}")),
            Err(_) => wrong.push(format!("{kill:?}: see above")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {calls}: {}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(start_paused = true)]
async fn before_any_call_side_by_side() {
    every_kill(|| Scene::side_by_side().short(), Moment::Before).await;
}

#[tokio::test(start_paused = true)]
async fn after_any_call_side_by_side() {
    every_kill(|| Scene::side_by_side().short(), Moment::After).await;
}

#[tokio::test(start_paused = true)]
async fn before_any_call_in_place() {
    every_kill(|| Scene::in_place().short(), Moment::Before).await;
}

#[tokio::test(start_paused = true)]
async fn after_any_call_in_place() {
    every_kill(|| Scene::in_place().short(), Moment::After).await;
}
