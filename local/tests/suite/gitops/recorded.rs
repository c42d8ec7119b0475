//! Releases in which every phase occurs that a tool can see, each state recorded once.
//!
//! Times and what is random are masked, and the records of targets, which no tool reads, are left
//! out.

mod aside;

use std::collections::BTreeSet;

use bluegreen::{
    api::{
        BlueGreenRelease, BlueGreenReleaseStatus, Phase, REQUEST_ANNOTATION, Reason, RequestOutcome,
    },
    plan,
};
use bluegreen_app::app::HealthBehaviour;
use kube::api::{Patch, PatchParams};
use regex::Regex;
use serde_json::{Value, json};

use super::files::{ACTIONS, compare, path, verdicts};
use crate::harness::{Behaviour, Manifest, NAME, NEW, Scene, THIRD, World};

/// Some time, for all of them.
const THEN: &str = "2026-01-01T00:00:00Z";

/// Makes a test of each line: what is played, and the names of all that it records. So nothing is
/// recorded that is not named in [`NAMES`], and nothing is named that no test records.
macro_rules! recordings {
    ($($test:ident, $play:path: $($name:literal)+;)+) => {
        /// The names of everything that is recorded.
        pub(super) const NAMES: &[&str] = &[$($($name),+),+];
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                let mut tape = Tape { left: vec![$($name),+] };
                $play(&mut tape).await;
                assert!(tape.left.is_empty(), "never recorded: {:?}", tape.left);
            }
        )+
    };
}

recordings! {
    a_release_that_people_pause_and_promote, paused_and_promoted:
        "not-seen-yet" "starting" "registering" "paused-by-request" "awaiting-promotion" "draining"
        "retaining" "stopping" "released" "released-and-changed" "the-next-starting" "deleting";
    a_release_that_is_rolled_back, rolled_back: "rolling-back" "rolled-back";
    a_release_that_is_aborted, aborted: "aborted";
    a_release_that_is_not_to_begin_yet, aside::not_to_begin_yet: "paused-by-the-spec";
    a_release_that_finds_no_instance_running, aside::no_instance_running: "preflight";
    a_release_while_aws_cannot_be_read, aside::aws_cannot_be_read: "pending";
    a_release_that_is_held, aside::held: "held-after-a-failure";
    a_release_that_cannot_begin, aside::cannot_begin: "stalled";
    a_release_whose_drain_is_not_proven, aside::drain_not_proven: "drain-not-proven";
    a_rollback_that_fails, aside::rollback_failed: "rollback-failed";
}

/// What a test is still to record.
struct Tape {
    left: Vec<&'static str>,
}

impl Tape {
    /// Records the release as it stands.
    async fn record(&mut self, world: &World, name: &str) {
        let place = self.left.iter().position(|left| *left == name);
        let place = place.unwrap_or_else(|| panic!("{name} is not to be recorded here, or again"));
        self.left.remove(place);
        let release = world.release().await.unwrap();
        let text = serde_norway::to_string(&masked(&release)).unwrap();
        compare(&path(&format!("statuses/{name}.yaml")), &text);
        let offered = &verdicts()[name].actions;
        assert_eq!(offered, &possible(world, &release), "the actions on {name}");
    }

    /// Waits for a phase and records it.
    async fn phase(&mut self, world: &World, phase: Phase, name: &str) {
        world.until(name, 900, |status| status.phase == phase).await;
        self.record(world, name).await;
    }

    /// Waits until a person has to act, for this reason, and records that.
    async fn stalled(&mut self, world: &World, reason: Reason, name: &str) {
        world.until_stalled(reason, 900).await;
        self.record(world, name).await;
    }
}

/// The verbs that the controller would take now, for the last revision, and that something would
/// follow on.
fn possible(world: &World, release: &BlueGreenRelease) -> BTreeSet<String> {
    let Some((mut asked, seen)) = world.judge.seen() else {
        return BTreeSet::new();
    };
    let status = release.status.clone().unwrap();
    asked.spec = release.spec.clone();
    asked.generation = release.metadata.generation.unwrap();
    asked.deleting = release.metadata.deletion_timestamp.is_some();
    let mut decide = |request: Option<String>| {
        asked.request = request;
        let now = world.clock.now().into();
        plan::decide_unchecked(&asked, &status, &seen, now).status
    };
    let unasked = decide(None);
    let follows = |verb: &&str| {
        let answered = decide(Some(format!("{verb} {} once more", status.revision)));
        let last = answered.last_request.as_ref();
        let taken = last != status.last_request.as_ref()
            && last.is_some_and(|last| last.outcome == RequestOutcome::Accepted);
        let nothing_follows = BlueGreenReleaseStatus {
            last_request: unasked.last_request.clone(),
            ..answered
        };
        taken && nothing_follows != unasked
    };
    let verbs = ACTIONS.into_iter().filter(follows);
    verbs.map(str::to_owned).collect()
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
    let fence = Regex::new(r"(\bbg-[0-9a-f-]+-r\d+-[a-z]+-)\d+").unwrap();
    let instance = Regex::new(r"\bi-[0-9a-f]{8,}").unwrap();
    each_text(&mut object, &|text| {
        let text = time.replace_all(text, THEN);
        let text = fence.replace_all(&text, "${1}0");
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

async fn paused_and_promoted(tape: &mut Tape) {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short())
        .with("promotion.mode", json!("Manual"))
        .with("retain", json!("2m"));
    let world = world(scene).await;
    world.apply(&manifest).await;
    tape.record(&world, "not-seen-yet").await;
    world.start();
    tape.phase(&world, Phase::Starting, "starting").await;
    tape.phase(&world, Phase::Registering, "registering").await;
    ask(&world, "pause 1").await;
    tape.phase(&world, Phase::Paused, "paused-by-request").await;
    ask(&world, "resume 1").await;
    tape.phase(&world, Phase::AwaitingPromotion, "awaiting-promotion")
        .await;
    ask(&world, "promote 1").await;
    tape.phase(&world, Phase::Draining, "draining").await;
    tape.phase(&world, Phase::Retaining, "retaining").await;
    tape.phase(&world, Phase::Stopping, "stopping").await;
    world.until_released(900).await;
    tape.record(&world, "released").await;
    world.control.stop().await;
    world
        .apply(&manifest.clone().with("version", json!(THIRD)))
        .await;
    tape.record(&world, "released-and-changed").await;
    world.start();
    tape.phase(&world, Phase::Starting, "the-next-starting")
        .await;
    world.delete().await;
    tape.phase(&world, Phase::Deleting, "deleting").await;
    world.until_gone(900).await;
    world.end().await;
}

fn ill(scene: Scene) -> Scene {
    scene.behaving(NEW, |behaviour| Behaviour {
        health: HealthBehaviour::NeverHealthy,
        ..behaviour
    })
}

async fn rolled_back(tape: &mut Tape) {
    let scene = ill(Scene::side_by_side());
    let manifest = Manifest::of(&scene.clone().short()).with("health.timeout", json!("60s"));
    let world = begun(scene, &manifest).await;
    tape.phase(&world, Phase::RollingBack, "rolling-back").await;
    tape.phase(&world, Phase::RolledBack, "rolled-back").await;
    world.end().await;
}

async fn aborted(tape: &mut Tape) {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene.clone().short());
    let world = begun(scene, &manifest).await;
    world
        .until("it begins", 60, |status| status.phase == Phase::Starting)
        .await;
    ask(&world, "abort 1").await;
    tape.phase(&world, Phase::RolledBack, "aborted").await;
    world.end().await;
}
