//! A status that others tear: parts of it are taken out, exchanged with each other, and put back
//! from an earlier time, again and again while a release is in progress and under load.
//!
//! Status is the controller's own, so this is no attack that it withstands: requests may be lost.
//! Three things hold whatever status says. The planner does not panic. No process is stopped, and no
//! instance terminated, that AWS shows in service. Nothing outside of the fleet and its target groups
//! is changed.

use bluegreen::api::BlueGreenReleaseStatus;
use kube::api::PostParams;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};

use crate::harness::{Manifest, NAME, Scene, World, calls, changes};

/// How often a status is torn, and how many virtual seconds later again.
const TIMES: usize = 60;
const APART: u64 = 4;

/// A part of a value, somewhere in it.
fn somewhere<'a>(random: &mut StdRng, value: &'a mut Value) -> &'a mut Value {
    let deeper = random.random_range(0..4) > 0;
    let parts: usize = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if !deeper || parts == 0 {
        return value;
    }
    let chosen = random.random_range(0..parts);
    let part = match value {
        Value::Object(fields) => fields.values_mut().nth(chosen),
        Value::Array(items) => items.get_mut(chosen),
        _ => None,
    };
    somewhere(random, part.expect("there are so many"))
}

/// Tears a status, unless nothing is left of it that the API server takes.
fn torn(random: &mut StdRng, before: &Value, earlier: &[Value]) -> Option<BlueGreenReleaseStatus> {
    let mut status = before.clone();
    match random.random_range(0..3) {
        0 => {
            let part = somewhere(random, &mut status);
            *part = match part {
                Value::Object(_) => Value::Object(Map::new()),
                Value::Array(_) => json!([]),
                _ => Value::Null,
            };
        }
        1 => {
            let other = somewhere(random, &mut status).clone();
            *somewhere(random, &mut status) = other;
        }
        _ => {
            let old = earlier.get(random.random_range(0..earlier.len()))?;
            let fields = old.as_object()?;
            let (name, part) = fields.iter().nth(random.random_range(0..fields.len()))?;
            status[name] = part.clone();
        }
    }
    serde_json::from_value(status).ok()
}

/// Changes of what is not the release's.
fn strayed(world: &World) -> Vec<String> {
    let hosts = world.built.hosts.iter().map(|host| host.id.clone());
    let ours: Vec<String> = hosts.chain(world.built.groups.iter().cloned()).collect();
    let calls = calls(&world.cloud);
    let changed = calls.iter().filter(|call| changes(call));
    changed
        .map(|call| format!("{} {}", call.action, call.parameters))
        .filter(|call| !ours.iter().any(|own| call.contains(own.as_str())))
        .collect()
}

async fn tear(scene: Scene, seed: u64) {
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, seed).await;
    let mut random = StdRng::seed_from_u64(world.seed);
    world.judge.expect_torn_statuses();
    world.start();
    world.apply(&manifest).await;
    let mut earlier = Vec::new();
    let mut taken = 0;
    for _ in 0..TIMES {
        world
            .clock
            .sleep(std::time::Duration::from_secs(APART))
            .await;
        let mut release = world.release().await.unwrap();
        let status = serde_json::to_value(&release.status).unwrap();
        earlier.push(status.clone());
        if let Some(torn) = torn(&mut random, &status, &earlier) {
            release.status = Some(torn);
            release.metadata.managed_fields = None;
            let params = PostParams::default();
            let written = world.releases.replace_status(NAME, &params, &release);
            taken += usize::from(written.await.is_ok());
        }
        let violations = world.judge.violations();
        if !violations.is_empty() {
            world.fail(&violations.join("\n"), &release.status.unwrap_or_default());
        }
    }
    world.control.stop().await;
    let stray = strayed(&world);
    assert!(
        stray.is_empty(),
        "BLUEGREEN_SEED={}: {stray:#?}",
        world.seed
    );
    assert!(taken > TIMES / 4, "BLUEGREEN_SEED={}: {taken}", world.seed);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_torn_stops_nothing_in_service_in_place() {
    tear(Scene::in_place().short(), 970).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_torn_stops_nothing_in_service_side_by_side() {
    tear(Scene::side_by_side().short(), 971).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_torn_ends_no_instance_in_service() {
    tear(Scene::existing().short(), 972).await;
}
