//! Somebody who may write status, and nothing else, lies in it while a release is on its way.
//!
//! A lie may put the release off, turn it around, hold it, or make it look ended. It must not make
//! the controller stop what a group lists, what a node may still send to, or what has requests; and
//! every request is served. That is asked all the time, by the judge and by the load: see
//! `Judge::lied_to` and `World::end_lied_to`. `tests/model/lies.rs` asks it of every state of a
//! small release; here it is asked of the whole controller, in the middle of its work.

use std::time::Duration;

use bluegreen::api::{Phase, StepKind};
use bluegreen_app::load::Mix;
use bluegreen_cloud::{Hostility, config::Span};
use serde_json::json;

use crate::harness::{About, Lie, Manifest, NEW, Scene, World};

/// For how many virtual seconds a world goes on when the lying begins: several times what it takes
/// to drain a target and to stop it.
const LONG: u64 = 240;
/// After how many virtual seconds a lie is told again.
const AGAIN: u64 = 5;
/// How many virtual seconds pass between two different lies.
const APART: u64 = LONG / Lie::ALL.len() as u64;

/// A world in which a release begins, of whose status the judge believes nothing.
async fn releasing(scene: Scene, manifest: &Manifest, seed: u64) -> World {
    let world = World::new(scene, seed).await;
    world.judge.lied_to();
    world.start();
    world.apply(manifest).await;
    world
}

/// Waits until the release has come to a phase.
async fn until_in(world: &World, phase: Phase) {
    println!("{phase:?}");
    world
        .until("the phase", 600, |status| status.phase == phase)
        .await;
}

/// One lie about every target, again and again, from a phase on.
async fn insisted_on(scene: Scene, manifest: &Manifest, seed: u64, lie: Lie, phase: Phase) {
    println!("{lie:?}");
    let world = releasing(scene, manifest, seed).await;
    until_in(&world, phase).await;
    for _ in 0..LONG / AGAIN {
        world.forge(lie, About::Every).await;
        world.watch(AGAIN).await;
    }
    world.end_lied_to().await;
}

/// The same for each of these, in a world of its own.
async fn each_insisted_on(scene: &Scene, seed: u64, lies: &[(Lie, Phase)]) {
    let manifest = Manifest::of(scene);
    for (index, (lie, phase)) in lies.iter().enumerate() {
        let seed = seed + index as u64;
        insisted_on(scene.clone(), &manifest, seed, *lie, *phase).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_lie_about_all_again_and_again_in_place() {
    let lies = [
        (Lie::Drained, Phase::Draining),
        (Lie::Doomed, Phase::Registering),
        (Lie::Other, Phase::Starting),
        (Lie::Turned, Phase::Draining),
        (Lie::Unproven, Phase::Registering),
        (Lie::Terminated, Phase::Draining),
        (Lie::Fence, Phase::Starting),
    ];
    each_insisted_on(&Scene::in_place().short(), 900, &lies).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_lie_about_all_again_and_again_side_by_side() {
    let lies = [
        (Lie::Drained, Phase::Registering),
        (Lie::Doomed, Phase::Draining),
        (Lie::Other, Phase::Draining),
        (Lie::Turned, Phase::Registering),
        (Lie::Withdrawn, Phase::Starting),
        (Lie::Ended, Phase::Draining),
    ];
    each_insisted_on(&Scene::side_by_side().short(), 910, &lies).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_lie_about_all_again_and_again_of_instances_that_others_create() {
    let lies = [
        (Lie::Drained, Phase::Draining),
        (Lie::Doomed, Phase::Registering),
        (Lie::Other, Phase::Draining),
        (Lie::Turned, Phase::Draining),
        (Lie::NeverRegistered, Phase::Draining),
        (Lie::Ghost, Phase::Registering),
        (Lie::Foreign, Phase::Draining),
    ];
    each_insisted_on(&Scene::existing().short(), 920, &lies).await;
}

/// A stop whose unit has no port in its name ends the one process of the host, whichever port the
/// record says.
#[tokio::test(start_paused = true)]
async fn a_port_that_the_fleet_does_not_have_stops_no_fixed_unit() {
    let scene = Scene::in_place().short();
    let fixed = json!("snackgame@8080.service");
    let manifest = Manifest::of(&scene).with("fleet.hosts.stop.unit", fixed);
    insisted_on(scene, &manifest, 930, Lie::Ghost, Phase::Registering).await;
}

/// Every lie about one target, once each and one after the other, from each of these phases on.
async fn all_told(scene: &Scene, seed: u64, phases: &[Phase]) {
    let manifest = Manifest::of(scene);
    for (index, phase) in phases.iter().enumerate() {
        let world = releasing(scene.clone(), &manifest, seed + index as u64).await;
        until_in(&world, *phase).await;
        for lie in Lie::ALL {
            world.forge(lie, About::One).await;
            world.watch(APART).await;
        }
        world.end_lied_to().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_lie_about_one_target_in_place() {
    let phases = [Phase::Starting, Phase::Registering, Phase::Draining];
    all_told(&Scene::in_place().short(), 940, &phases).await;
}

#[tokio::test(start_paused = true)]
async fn every_lie_about_one_target_side_by_side() {
    let phases = [Phase::Starting, Phase::Registering, Phase::Draining];
    all_told(&Scene::side_by_side().short(), 943, &phases).await;
}

#[tokio::test(start_paused = true)]
async fn every_lie_about_one_target_of_instances_that_others_create() {
    let phases = [Phase::Registering, Phase::Draining];
    all_told(&Scene::existing().short(), 946, &phases).await;
}

/// The new version runs and serves everywhere, and nothing else does.
fn only_the_new_one(world: &World) {
    let running = world.apps.running();
    assert_eq!(running.len(), world.scene.hosts, "{running:?}");
    assert!(running.iter().all(|one| one.2 == NEW), "{running:?}");
    for group in &world.built.groups {
        assert_eq!(world.healthy(group).len(), world.scene.hosts);
    }
}

/// A lie about every drain, told once while the first targets drain, costs no more than time.
async fn only_delays(lie: Lie, seed: u64) {
    let scenes = [
        Scene::in_place().short(),
        Scene::side_by_side().short(),
        Scene::existing().short(),
    ];
    for (index, scene) in scenes.into_iter().enumerate() {
        let manifest = Manifest::of(&scene);
        let world = releasing(scene, &manifest, seed + index as u64).await;
        until_in(&world, Phase::Draining).await;
        world.forge(lie, About::Every).await;
        world.until_released(900).await;
        only_the_new_one(&world);
        world.end_lied_to().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_is_made_up_once_only_delays() {
    only_delays(Lie::Drained, 950).await;
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_is_made_up_once_only_delays() {
    only_delays(Lie::Withdrawn, 953).await;
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_is_said_to_be_given_up_only_delays() {
    only_delays(Lie::Unproven, 956).await;
}

/// Many requests that last, so that a target which is withdrawn has some for seconds, and commands
/// that are quick.
fn busy() -> Scene {
    let scene = Scene::in_place().short().calm();
    Scene {
        hostility: Hostility {
            command_start: Span::exactly(Duration::from_millis(500)),
            ..scene.hostility.clone()
        },
        clients: (12, 12, Duration::from_millis(100)),
        mix: Mix::only(2_000, 2_500),
        ..scene
    }
}

/// What the judge has seen after the drains were said to be proven, again and again, in a world
/// that is busy.
async fn seen_when_told_that_all_is_drained(world: &World) -> String {
    world.start();
    let manifest = Manifest::of(&world.scene);
    world.apply(&manifest).await;
    until_in(world, Phase::Draining).await;
    for _ in 0..LONG / AGAIN {
        world.forge(Lie::Drained, About::Every).await;
        world.clock.sleep(Duration::from_secs(AGAIN)).await;
    }
    world.judge.violations().join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_believes_status_is_noticed() {
    let world = World::new(busy(), 960).await;
    world.judge.lied_to_and_believing();
    let violations = seen_when_told_that_all_is_drained(&world).await;
    assert!(violations.contains("requests in flight"), "{violations}");
    world.control.stop().await;
}

/// In the same world, with the same lies, nothing is to be noticed of the controller as it is.
#[tokio::test(start_paused = true)]
async fn a_controller_that_believes_its_eyes_is_not_accused() {
    let world = World::new(busy(), 961).await;
    world.judge.lied_to();
    let violations = seen_when_told_that_all_is_drained(&world).await;
    assert_eq!(violations, "");
    world.end_lied_to().await;
}

/// Every change in AWS is followed by a time in which half of the readings show what was before it.
fn lagging(scene: Scene) -> Scene {
    Scene {
        hostility: Hostility {
            stale_probability: 1.0,
            ..scene.hostility.clone()
        },
        ..scene
    }
}

/// How often somebody looks at the status who wants to lie at the right moment: an effect is under
/// way for longer than that.
const WATCHES: Duration = Duration::from_millis(20);
/// How long after its intent an effect is under way, or has been made a moment ago.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// Somebody watches the status, and lies whenever an effect of a kind is intended: the decision
/// after it rests on the lie, and perhaps on readings that do not show the effect yet.
async fn lied_to_at_each(intended: StepKind, lie: Lie, about: About, seed: u64) {
    let lies = async |world: &World| world.forge(lie, about).await;
    at_each(intended, lagging(Scene::in_place().short()), seed, lies).await;
}

/// Somebody watches the status, and does something whenever an effect of a kind is intended.
async fn at_each(intended: StepKind, scene: Scene, seed: u64, does: impl AsyncFn(&World)) {
    let manifest = Manifest::of(&scene);
    let world = releasing(scene, &manifest, seed).await;
    let mut last = None;
    for _ in 0..Duration::from_secs(LONG).as_millis() / WATCHES.as_millis() {
        let intent = world.status().await.intent;
        let intent = intent.filter(|intent| intent.step == intended);
        if intent.is_some() && intent != last {
            does(&world).await;
            last = intent;
        }
        world.clock.sleep(WATCHES).await;
    }
    world.end_lied_to().await;
}

/// A target that was registered a moment ago was drained in its earlier life, as the controller
/// has seen: that must not be taken for its new one.
#[tokio::test(start_paused = true)]
async fn a_stop_that_is_made_up_at_the_moment_of_a_registration() {
    for seed in 970..972 {
        lied_to_at_each(StepKind::Register, Lie::Doomed, About::Every, seed).await;
    }
}

/// A target that is being stopped is said to be on its way back: it must not be registered while
/// its stop is on its way.
#[tokio::test(start_paused = true)]
async fn a_return_that_is_made_up_at_the_moment_of_a_stop() {
    for seed in 976..978 {
        lied_to_at_each(StepKind::Stop, Lie::Spared, About::One, seed).await;
    }
}

/// What was withdrawn a moment ago may still be shown as healthy: another target that is said to
/// have been withdrawn must not follow it on the strength of that.
#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_is_made_up_at_the_moment_of_another() {
    for seed in 973..975 {
        lied_to_at_each(StepKind::Deregister, Lie::Drained, About::One, seed).await;
    }
}

/// The controller is killed, somebody lies, and another controller begins, which remembers nothing.
async fn killed_and_lied_to(world: &World, lie: Lie, about: About) {
    world.control.kill();
    world.forge(lie, about).await;
    world.control.start(None);
}

/// The controller dies while a stop is on its way, and its target is said to be on its way back: the
/// one that goes on has not sent the stop itself, and must know of it all the same.
#[tokio::test(start_paused = true)]
async fn a_return_that_is_made_up_when_a_controller_dies_in_a_stop() {
    let dies = async |world: &World| killed_and_lied_to(world, Lie::Spared, About::One).await;
    for (scene, seed) in [
        (Scene::in_place().short(), 990),
        (lagging(Scene::in_place().short()), 991),
        (lagging(Scene::side_by_side().short()), 992),
    ] {
        at_each(StepKind::Stop, scene, seed, dies).await;
    }
    let scene = lagging(Scene::existing().short());
    at_each(StepKind::Terminate, scene, 993, dies).await;
}

/// Every lie that can be told to a controller that has just begun, about all targets, from each of
/// these phases on.
async fn all_told_to_beginners(scene: &Scene, seed: u64, phases: &[Phase]) {
    let manifest = Manifest::of(scene);
    for (index, phase) in phases.iter().enumerate() {
        let world = releasing(scene.clone(), &manifest, seed + index as u64).await;
        until_in(&world, *phase).await;
        for lie in Lie::ALL {
            killed_and_lied_to(&world, lie, About::Every).await;
            world.watch(APART).await;
        }
        world.end_lied_to().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_lie_to_a_controller_that_has_just_begun_in_place() {
    let phases = [Phase::Starting, Phase::Draining];
    all_told_to_beginners(&Scene::in_place().short(), 980, &phases).await;
}

#[tokio::test(start_paused = true)]
async fn every_lie_to_a_controller_that_has_just_begun_side_by_side() {
    let phases = [Phase::Registering, Phase::Draining];
    all_told_to_beginners(&Scene::side_by_side().short(), 983, &phases).await;
}

#[tokio::test(start_paused = true)]
async fn every_lie_to_a_controller_that_has_just_begun_of_instances_that_others_create() {
    let phases = [Phase::Registering, Phase::Draining];
    all_told_to_beginners(&Scene::existing().short(), 986, &phases).await;
}

/// The controller dies with an effect under way, and a reading of the next one may not show it yet.
#[tokio::test(start_paused = true)]
async fn a_lie_at_the_moment_at_which_the_controller_is_killed() {
    let moments = [
        (Scene::in_place(), StepKind::Register, Lie::Doomed),
        (Scene::in_place(), StepKind::Deregister, Lie::Drained),
        (Scene::existing(), StepKind::Deregister, Lie::Other),
    ];
    for (seed, (scene, step, lie)) in (990..).zip(moments) {
        println!("{lie:?} at {step:?}");
        let dies = async |world: &World| {
            world.clock.sleep(UNDER_WAY).await;
            killed_and_lied_to(world, lie, About::Every).await;
        };
        at_each(step, lagging(scene.short()), seed, dies).await;
    }
}
