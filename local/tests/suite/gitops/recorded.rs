//! Releases in which every state occurs that a tool can see, each recorded once.
//!
//! Times and what is random are masked, and the records of targets, which no tool reads, are left
//! out.

use bluegreen::api::{BlueGreenRelease, Phase, REQUEST_ANNOTATION, Reason};
use bluegreen_app::app::HealthBehaviour;
use bluegreen_cloud::faults::{Fault, FaultKind};
use kube::api::{Patch, PatchParams};
use regex::Regex;
use serde_json::{Value, json};

use super::files::{compare, path};
use crate::harness::{Behaviour, Manifest, NAME, NEW, Scene, THIRD, World, condition};

/// Some time, for all of them.
const THEN: &str = "2026-01-01T00:00:00Z";

/// Records the release as it stands.
async fn record(world: &World, name: &str) {
    let release = world.release().await.unwrap();
    let text = serde_norway::to_string(&masked(&release)).unwrap();
    compare(&path(&format!("statuses/{name}.yaml")), &text);
}

fn masked(release: &BlueGreenRelease) -> Value {
    let mut object = serde_json::to_value(release).unwrap();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["managedFields", "resourceVersion", "uid"] {
        metadata.remove(field);
    }
    if let Some(status) = object["status"].as_object_mut() {
        for field in ["targets", "timings", "intent", "fence"] {
            status.remove(field);
        }
    }
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap();
    let instance = Regex::new(r"\bi-[0-9a-f]{8,}").unwrap();
    each_text(&mut object, &|text| {
        let text = time.replace_all(text, THEN);
        instance.replace_all(&text, "i-0").into_owned()
    });
    object
}

fn each_text(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| each_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Waits for a phase and records it.
async fn phase(world: &World, phase: Phase, name: &str) {
    world.until(name, 900, |status| status.phase == phase).await;
    record(world, name).await;
}

async fn ask(world: &World, request: &str) {
    let patch = json!({ "metadata": { "annotations": { REQUEST_ANNOTATION: request } } });
    let params = PatchParams::default();
    let patch = Patch::Merge(&patch);
    world.releases.patch(NAME, &params, &patch).await.unwrap();
}

/// A world in which nothing happens by chance.
async fn world(scene: Scene) -> World {
    World::new(scene.short().calm(), 700).await
}

async fn begun(scene: Scene, manifest: &Manifest) -> World {
    let world = world(scene).await;
    world.start();
    world.apply(manifest).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_release_that_people_pause_and_promote() {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short())
        .with("promotion.mode", json!("Manual"))
        .with("retain", json!("2m"));
    let world = world(scene).await;
    world.apply(&manifest).await;
    record(&world, "not-seen-yet").await;
    world.start();
    phase(&world, Phase::Starting, "starting").await;
    phase(&world, Phase::Registering, "registering").await;
    ask(&world, "pause 1").await;
    phase(&world, Phase::Paused, "paused-by-request").await;
    ask(&world, "resume 1").await;
    phase(&world, Phase::AwaitingPromotion, "awaiting-promotion").await;
    ask(&world, "promote 1").await;
    phase(&world, Phase::Draining, "draining").await;
    phase(&world, Phase::Retaining, "retaining").await;
    phase(&world, Phase::Stopping, "stopping").await;
    world.until_released(900).await;
    record(&world, "released").await;
    world.control.stop().await;
    world
        .apply(&manifest.clone().with("version", json!(THIRD)))
        .await;
    record(&world, "released-and-changed").await;
    world.start();
    phase(&world, Phase::Starting, "the-next-starting").await;
    world.delete().await;
    phase(&world, Phase::Deleting, "deleting").await;
    world.until_gone(900).await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_not_to_begin_yet() {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short()).with("paused", json!(true));
    let world = begun(scene, &manifest).await;
    phase(&world, Phase::Paused, "paused-by-the-spec").await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_finds_no_instance_running() {
    let scene = Scene::existing();
    let manifest = Manifest::of(&scene.clone().short()).with("version", json!(THIRD));
    let world = begun(scene, &manifest).await;
    phase(&world, Phase::Preflight, "preflight").await;
    world.end().await;
}

fn ill(scene: Scene) -> Scene {
    scene.behaving(NEW, |behaviour| Behaviour {
        health: HealthBehaviour::NeverHealthy,
        ..behaviour
    })
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back() {
    let scene = ill(Scene::side_by_side());
    let manifest = Manifest::of(&scene.clone().short()).with("health.timeout", json!("60s"));
    let world = begun(scene, &manifest).await;
    phase(&world, Phase::RollingBack, "rolling-back").await;
    phase(&world, Phase::RolledBack, "rolled-back").await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_aborted() {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short());
    let world = begun(scene, &manifest).await;
    world
        .until("it begins", 60, |status| status.phase == Phase::Starting)
        .await;
    ask(&world, "abort 1").await;
    phase(&world, Phase::RolledBack, "aborted").await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_held() {
    let scene = ill(Scene::side_by_side());
    let manifest = Manifest::of(&scene.clone().short())
        .with("health.timeout", json!("60s"))
        .with("onFailure", json!("Hold"));
    let world = begun(scene, &manifest).await;
    phase(&world, Phase::Stalled, "held-after-a-failure").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_begin() {
    let scene = Scene::in_place();
    let manifest = Manifest::of(&scene.clone().short()).with("fleet.hosts.ports", json!([9090]));
    let world = begun(scene, &manifest).await;
    phase(&world, Phase::Stalled, "stalled").await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_release_while_aws_cannot_be_read() {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short());
    let world = world(scene).await;
    let fault = Fault::new("DescribeInstances", FaultKind::DropBefore);
    let fault = world.cloud.set_fault(fault);
    world.start();
    world.apply(&manifest).await;
    let unread = |status: &_| {
        let ready = condition(status, "Ready");
        ready.is_some_and(|(_, reason, _)| reason == Reason::CloudUnavailable.as_str())
    };
    world.until("it says so", 120, unread).await;
    record(&world, "pending").await;
    world.cloud.clear_faults(Some(fault));
    world.until_released(900).await;
    world.end().await;
}
