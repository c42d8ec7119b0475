//! Drains that do not end.

use std::{net::SocketAddr, time::Duration};

use bluegreen::api::{BlueGreenReleaseStatus, DrainProof, Outcome, Phase, Reason, TargetStatus};
use bluegreen_cloud::switches::Switch;
use bluegreen_net::Stream;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{only, releasing};
use crate::harness::{Manifest, NEW, OLD, ProcessChange, Scene, THIRD, World, condition};

/// A request that somebody in the network makes of a host itself, and that lasts for hours.
async fn endless_request(world: &World, host: usize) -> Stream {
    let at = SocketAddr::new(world.built.hosts[host].address, world.scene.ports[0]);
    let mut stream = world.net.connect(None, at).await.unwrap();
    stream
        .write_all(b"GET /work?ms=3600000 HTTP/1.1\r\nhost: app\r\n\r\n")
        .await
        .unwrap();
    stream
}

/// Lets the load balancer never end a drain in any group, or end them again.
fn endless_drains(world: &World, on: bool) {
    let switch = Switch::EndlessDrains {
        target_group: None,
        on,
    };
    world.cloud.switch(&switch).unwrap();
}

/// The old version's targets.
fn old(status: &BlueGreenReleaseStatus) -> Vec<&TargetStatus> {
    let targets = status.targets.iter();
    targets.filter(|target| target.revision == 0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_not_proven_is_held() {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene).early_finish();
    let world = World::new(scene, 440).await;
    let request = endless_request(&world, 0).await;
    let busy = world.built.hosts[0].id.clone();
    world.start();
    world.apply(&manifest).await;
    let message = world.until_stalled(Reason::DrainNotProven, 600).await;
    assert!(message.contains(&busy), "{message}");
    assert!(message.contains("Proceed"), "{message}");
    world.clock.sleep(Duration::from_secs(300)).await;
    let stopped = world.processes(ProcessChange::Signalled);
    let touched = stopped.iter().any(|process| process.contains(&busy));
    assert!(!touched, "{stopped:?}");
    drop(request);
    let status = world.until_released(600).await;
    let target = status
        .targets
        .iter()
        .find(|target| target.revision == 0 && target.id == busy);
    assert!(target.unwrap().steps.drained.is_some());
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_not_proven_is_given_up_where_the_user_says_so() {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene)
        .early_finish()
        .with("drain.onTimeout", json!("Proceed"));
    let world = World::new(scene, 441).await;
    let request = endless_request(&world, 0).await;
    let busy = world.built.hosts[0].id.clone();
    world.start();
    world.apply(&manifest).await;
    let status = world.until_released(900).await;
    for target in old(&status) {
        let steps = &target.steps;
        assert_eq!(steps.unproven.is_some(), target.id == busy, "{target:?}");
        assert_eq!(steps.drained.is_none(), target.id == busy, "{target:?}");
        assert!(steps.terminated.is_some());
    }
    drop(request);
    world.end().await;
}

/// A world in which a release begins and no drain ends.
async fn never_ending(scene: Scene, manifest: &Manifest, seed: u64) -> World {
    let world = releasing(scene, manifest, seed).await;
    endless_drains(&world, true);
    world
}

/// Comes to where the first drain should have ended and has not, and checks what a person reads
/// until its bound.
async fn drains_past_the_delay(world: &World) {
    let status = world
        .until("it drains", 600, |status| status.phase == Phase::Draining)
        .await;
    assert!(status.message.starts_with("draining "), "{status:?}");
    let (_, reason, message) = condition(&status, "Reconciling").unwrap();
    assert_eq!(reason, Reason::Releasing.as_str());
    assert!(message.contains("at the latest"), "{message}");
    assert!(condition(&status, "Stalled").is_none());
    // The bound counts from the delay, the settle time and a minute: until then it is patient.
    let patience = world.scene.delay + Duration::from_secs(60);
    world.clock.sleep(patience).await;
    let status = world.status().await;
    assert_eq!(status.phase, Phase::Draining, "{}", status.message);
    assert!(condition(&status, "Stalled").is_none());
}

/// Comes to where the drain is past its bound, and checks what a person reads then.
async fn held(world: &World) -> String {
    drains_past_the_delay(world).await;
    let message = world.until_stalled(Reason::DrainNotProven, 120).await;
    assert!(message.contains("is not proven to be drained"), "{message}");
    assert!(message.contains("drain.onTimeout to Proceed"), "{message}");
    assert_eq!(world.status().await.phase, Phase::Stalled);
    message
}

/// A drain that AWS does not end for so long is held, and then proven.
async fn held_while_aws_does_not_end_it(scene: Scene, so_long: Duration, seed: u64) {
    let manifest = Manifest::of(&scene);
    let world = never_ending(scene, &manifest, seed).await;
    let message = held(&world).await;
    let before = world.mutations();
    world.clock.sleep(so_long).await;
    // Nobody knows more than before: nothing is stopped, nothing is begun, and it is still said.
    assert_eq!(
        world.until_stalled(Reason::DrainNotProven, 0).await,
        message
    );
    assert_eq!(world.mutations(), before);
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.is_empty(), "{stopped:?}");
    let status = world.status().await;
    for target in old(&status) {
        let steps = &target.steps;
        assert!(steps.drained.is_none() && steps.unproven.is_none());
        assert!(steps.terminated.is_none());
    }
    endless_drains(&world, false);
    let status = world.until_released(900).await;
    assert_eq!(status.history[0].outcome, Outcome::Promoted);
    for target in old(&status) {
        let proof = target.steps.drained.as_ref().map(|drained| drained.proof);
        assert_eq!(proof, Some(DrainProof::FullDelay), "{target:?}");
        assert!(target.steps.unproven.is_none());
    }
    world.end().await;
}

/// Longer than any deadline of the spec.
const HOURS: Duration = Duration::from_secs(3 * 3_600);
/// Within `rollout.stepDeadline`, together with the delay and the bound.
const MINUTES: Duration = Duration::from_secs(10 * 60);

#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_does_not_end_for_hours_is_held_side_by_side() {
    held_while_aws_does_not_end_it(Scene::side_by_side().short(), HOURS, 442).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_does_not_end_for_minutes_is_held_in_place() {
    held_while_aws_does_not_end_it(Scene::in_place().short(), MINUTES, 443).await;
}

/// In place a target that drains is missing from service. So the hold ends with
/// `rollout.stepDeadline`: the target, which still runs, is put back.
#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_never_ends_in_place_is_turned_back_at_the_step_deadline() {
    let scene = Scene::in_place().short();
    let manifest = Manifest::of(&scene);
    let world = never_ending(scene, &manifest, 447).await;
    held(&world).await;
    let status = world
        .until("it is rolled back", 900, |status| {
            status.phase == Phase::RolledBack
        })
        .await;
    let (ready, reason, message) = condition(&status, "Ready").unwrap();
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "RolledBack"));
    assert!(message.contains("rollout.stepDeadline"), "{message}");
    let actions = world.mutations();
    let actions: Vec<_> = actions.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(actions, ["DeregisterTargets", "RegisterTargets"]);
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.is_empty(), "{stopped:?}");
    only(&world, OLD);
    endless_drains(&world, false);
    world.apply(&manifest.with("version", json!(THIRD))).await;
    world.until_released(900).await;
    only(&world, THIRD);
    world.end().await;
}

/// A drain that AWS never ends is given up at its bound, and not before.
async fn given_up_while_aws_never_ends_it(scene: Scene, seed: u64) {
    let manifest = Manifest::of(&scene).with("drain.onTimeout", json!("Proceed"));
    let world = never_ending(scene, &manifest, seed).await;
    drains_past_the_delay(&world).await;
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.is_empty(), "before the bound: {stopped:?}");
    // The release ends although the load balancer still says `draining`: that is what was chosen.
    let status = world.until_released(900).await;
    assert_eq!(status.history[0].outcome, Outcome::Promoted);
    let signalled = world.apps.events();
    for target in old(&status) {
        let steps = &target.steps;
        assert!(steps.drained.is_none(), "never recorded as drained");
        let unproven = steps.unproven.as_ref().unwrap();
        assert!(unproven.because.contains("not proven"), "{unproven:?}");
        let asked = target.drain[0].requested_at.unwrap();
        let drain = &target.drain[0];
        let patience = drain.delay + drain.settle + bluegreen::api::Duration::from_secs(60);
        assert!(unproven.at.since(asked) > patience, "{target:?}");
        let told = signalled.iter().find(|event| {
            event.what == ProcessChange::Signalled
                && (event.host.as_str(), event.port) == (target.id.as_str(), target.port)
        });
        assert!(told.unwrap().at >= unproven.at.timestamp());
    }
    endless_drains(&world, false);
    world.clock.sleep(Duration::from_secs(600)).await;
    only(&world, NEW);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_never_ends_is_given_up_side_by_side_where_the_user_says_so() {
    given_up_while_aws_never_ends_it(Scene::side_by_side().short(), 444).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_never_ends_is_given_up_in_place_where_the_user_says_so() {
    given_up_while_aws_never_ends_it(Scene::in_place().short(), 445).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_never_ends_does_not_bar_the_way_back() {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene);
    let world = never_ending(scene, &manifest, 446).await;
    world.until_stalled(Reason::DrainNotProven, 600).await;
    let manifest = manifest.with("version", json!(OLD));
    world.apply(&manifest).await;
    let live = format!(":{}", world.scene.ports[0]);
    world
        .until_true("the old version is back", 120, |world| {
            let healthy = world.healthy(&world.built.groups[0]);
            healthy.iter().filter(|one| one.ends_with(&live)).count() == world.scene.hosts
        })
        .await;
    let message = world.until_stalled(Reason::DrainNotProven, 600).await;
    assert!(
        message.contains("8081"),
        "the new one drains now: {message}"
    );
    endless_drains(&world, false);
    let status = world.until_released(900).await;
    assert_eq!(status.history[0].outcome, Outcome::Aborted);
    let stopped = world.processes(ProcessChange::Signalled);
    assert!(stopped.iter().all(|one| one.ends_with(NEW)), "{stopped:?}");
    only(&world, OLD);
    world.end().await;
}
