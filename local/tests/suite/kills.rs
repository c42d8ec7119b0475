//! The controller is killed between two of its calls to AWS, and started again.
//!
//! Most calls are looks that find nothing new, and a kill between two of them is like the next. By
//! default every kill at a call that changes something is tried, and some of the others; with
//! `BLUEGREEN_KILLS=all` every one.

use std::time::Duration;

use bluegreen::api::BlueGreenReleaseStatus;
use futures::FutureExt;

use crate::harness::{Kill, Manifest, Moment, NEW, ProcessChange, Scene, World, calls, changes};

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

/// Of the calls that change nothing, every such one is killed.
const SHARE: usize = 24;

/// Which calls are killed, of calls that did or did not change something.
fn chosen(changing: &[bool], moment: Moment) -> Vec<usize> {
    let all = std::env::var("BLUEGREEN_KILLS").is_ok_and(|which| which == "all");
    let follows_change = |call: usize| call > 0 && changing[call - 1];
    let calls = 0..changing.len();
    calls
        .filter(|call| match moment {
            Moment::Before => all || changing[*call] || call % SHARE == 0,
            Moment::After => {
                all || changing[*call] || follows_change(*call) || call % SHARE == SHARE / 2
            }
            // A look that is carried out after its caller's death is nothing at all.
            Moment::Late => changing[*call],
        })
        .collect()
}

/// Releases with a kill, or without; returns what it came to, and which of its calls were changes.
async fn release(scene: Scene, kill: Option<Kill>) -> (End, Vec<bool>) {
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
    let calls = calls(&world.cloud).iter().map(changes).collect();
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
    let chosen = chosen(&calls, moment);
    let (count, calls) = (chosen.len(), calls.len());
    assert!(count > 3, "{count} of {calls}");
    println!("{count} of {calls} calls");
    let mut wrong = Vec::new();
    for call in chosen {
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
        "{} of {count}: {}",
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

#[tokio::test(start_paused = true)]
async fn with_the_call_still_under_way_side_by_side() {
    every_kill(|| Scene::side_by_side().short(), Moment::Late).await;
}

#[tokio::test(start_paused = true)]
async fn with_the_call_still_under_way_in_place() {
    every_kill(|| Scene::in_place().short(), Moment::Late).await;
}
