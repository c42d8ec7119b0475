//! Releases that nobody disturbs, of every kind: every old target's record is complete, and every
//! request was served.

use bluegreen::api::{BlueGreenReleaseStatus, DrainProof, Duration, Phase, StopHow, TargetStatus};
use bluegreen_app::app::HealthBehaviour;
use serde_json::json;

use crate::harness::{
    Behaviour, Manifest, NEW, OLD, ProcessChange, Scene, World, calls, condition,
};

/// The records of the old version's targets.
fn old(status: &BlueGreenReleaseStatus) -> Vec<&TargetStatus> {
    let targets = status.targets.iter();
    targets.filter(|target| target.revision == 0).collect()
}

/// Releases in a scene and returns the world with the status at the end.
async fn released(scene: Scene, manifest: &Manifest, seed: u64) -> (World, BlueGreenReleaseStatus) {
    let world = World::new(scene, seed).await;
    world.start();
    world.apply(manifest).await;
    let status = world.until_released(1_800).await;
    complete(&world, &status).await;
    (world, status)
}

/// What holds at the end of every release.
async fn complete(world: &World, status: &BlueGreenReleaseStatus) {
    assert_eq!(status.phase, Phase::Released);
    let (ready, reason, _) = condition(status, "Ready").unwrap();
    assert_eq!((ready.as_str(), reason.as_str()), ("True", "Released"));
    assert!(condition(status, "Reconciling").is_none());
    assert!(condition(status, "Stalled").is_none());
    assert_eq!(old(status).len(), world.scene.hosts);
    for target in old(status) {
        let steps = &target.steps;
        let registered = steps.registered.as_ref().unwrap().at;
        let healthy = steps.healthy.as_ref().unwrap().at;
        let deregistered = steps.deregistered.as_ref().unwrap();
        let drained = steps.drained.as_ref().unwrap();
        let terminated = steps.terminated.as_ref().unwrap();
        let order = [
            registered,
            healthy,
            deregistered.at,
            drained.at,
            terminated.at,
        ];
        assert!(order.is_sorted(), "{target:?}");
        assert_eq!(deregistered.groups.len(), world.scene.groups);
        assert!(drained.at.since(drained.since) >= drained.settle);
        match drained.proof {
            DrainProof::FullDelay => {
                assert!(drained.at.since(drained.since) >= drained.delay);
            }
            DrainProof::InFlightZero => assert_eq!(drained.in_flight, Some(0)),
            DrainProof::NeverRegistered => panic!("{target:?}"),
        }
    }
    // They are published after the status, by a task of its own.
    world.clock.sleep(std::time::Duration::from_secs(2)).await;
    let events = world.events().await;
    for reason in ["TargetsDrained", "TargetsHealthy", "Promoted", "Released"] {
        let told = events.iter().any(|(one, _)| one == reason);
        assert!(told, "no Event {reason} in {events:?}");
    }
    for group in &world.built.groups {
        assert_eq!(world.healthy(group).len(), world.scene.hosts);
    }
}

/// Ends a world in which the new version must serve, and the old must not.
async fn new_serves(world: World) {
    let report = world.end().await;
    let last = report.timeline.last().unwrap();
    assert!(!last.by_version.contains_key(OLD), "{last:?}");
    assert!(report.totals.by_version[NEW] > 0);
}

#[tokio::test(start_paused = true)]
async fn in_place() {
    let scene = Scene::in_place();
    let manifest = Manifest::of(&scene);
    let (world, status) = released(scene, &manifest, 1).await;
    for target in old(&status) {
        let steps = &target.steps;
        assert_eq!(steps.drained.as_ref().unwrap().proof, DrainProof::FullDelay);
        let terminated = steps.terminated.as_ref().unwrap();
        assert_eq!(terminated.how, StopHow::Graceful);
    }
    assert_eq!(world.judge.lowest(), Some(2), "one host after the other");
    assert_eq!(world.processes(ProcessChange::Signalled).len(), 3);
    new_serves(world).await;
}

/// A front listens on the registered port all the time, as nginx does; the application behind it is
/// replaced.
#[tokio::test(start_paused = true)]
async fn in_place_behind_a_front() {
    let scene = Scene::behind_a_front();
    let manifest = Manifest::of(&scene).early_finish();
    let (world, status) = released(scene, &manifest, 11).await;
    for target in old(&status) {
        assert_eq!(target.port, 80);
        let drained = target.steps.drained.as_ref().unwrap();
        assert_eq!(drained.proof, DrainProof::InFlightZero);
        let terminated = target.steps.terminated.as_ref().unwrap();
        assert_eq!(terminated.how, StopHow::Graceful);
    }
    assert_eq!(world.probed(), [8080]);
    let parameters = |document: &str| -> Vec<_> {
        let sent = calls(&world.cloud).into_iter();
        sent.filter(|call| call.parameters["DocumentName"] == document)
            .map(|call| call.parameters["Parameters"].clone())
            .collect()
    };
    for document in ["BlueGreen-StartUnit", "BlueGreen-StopUnit"] {
        let sent = parameters(document);
        assert_eq!(sent.len(), 3, "{sent:?}");
        for parameters in sent {
            assert_eq!(parameters["port"], json!(["8080"]));
            assert_eq!(parameters["unit"], json!(["snackgame@8080.service"]));
        }
    }
    assert_eq!(world.judge.lowest(), Some(2), "one host after the other");
    new_serves(world).await;
}

/// A host that is back within seconds makes the next one's turn come at once.
#[tokio::test(start_paused = true)]
async fn in_place_with_a_health_gate_of_one_reading() {
    let scene = Scene::in_place().short();
    let gate = json!({"consecutive": 1, "stableFor": "0s"});
    let manifest = Manifest::of(&scene).with("health", gate);
    let world = World::new(scene, 7).await;
    world.start();
    world.apply(&manifest).await;
    world.until_released(240).await;
    new_serves(world).await;
}

#[tokio::test(start_paused = true)]
async fn side_by_side() {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene);
    let (world, _) = released(scene, &manifest, 2).await;
    assert_eq!(world.judge.lowest(), Some(3), "no capacity is lost");
    new_serves(world).await;
}

#[tokio::test(start_paused = true)]
async fn of_instances_that_others_create() {
    let scene = Scene::existing();
    let manifest = Manifest::of(&scene);
    let (world, status) = released(scene, &manifest, 3).await;
    for target in old(&status) {
        let terminated = target.steps.terminated.as_ref().unwrap();
        assert_eq!(terminated.how, StopHow::InstanceTerminated);
    }
    assert_eq!(world.judge.lowest(), Some(3));
    new_serves(world).await;
}

#[tokio::test(start_paused = true)]
async fn in_two_target_groups() {
    let scene = Scene {
        groups: 2,
        ..Scene::in_place()
    };
    let manifest = Manifest::of(&scene);
    let (world, status) = released(scene, &manifest, 4).await;
    for target in old(&status) {
        assert_eq!(target.drain.len(), 2, "a proof for each group");
    }
    new_serves(world).await;
}

#[tokio::test(start_paused = true)]
async fn with_an_early_finish() {
    finishes_early(Manifest::early_finish, 5).await;
}

/// The counter and the gauge from `/metrics`, in Prometheus' format.
#[tokio::test(start_paused = true)]
async fn with_an_early_finish_by_samples() {
    let by_samples = |manifest: Manifest| {
        let figure = |name| json!({"path": "/metrics", "sample": {"name": name}});
        let http = json!({
            "port": "{{port}}",
            "inFlight": figure("app_requests_in_flight"),
            "served": figure("app_requests_served_total"),
        });
        manifest.early_finish().with("drain.inFlight.http", http)
    };
    finishes_early(by_samples, 7).await;
}

async fn finishes_early(early: fn(Manifest) -> Manifest, seed: u64) {
    let scene = Scene {
        delay: std::time::Duration::from_secs(300),
        ..Scene::in_place()
    };
    let manifest = early(Manifest::of(&scene));
    let (world, status) = released(scene, &manifest, seed).await;
    for target in old(&status) {
        let drained = target.steps.drained.as_ref().unwrap();
        assert_eq!(drained.proof, DrainProof::InFlightZero);
        let took = drained.at.since(drained.since);
        assert!(
            took >= Duration::from_secs(55),
            "settle and quiet: {took:?}"
        );
        assert!(took < Duration::from_secs(100), "not the delay: {took:?}");
    }
    new_serves(world).await;
}

#[tokio::test(start_paused = true)]
async fn with_the_old_processes_retained() {
    let scene = Scene::side_by_side();
    let manifest = Manifest::of(&scene).with("retain", json!("2m"));
    let (world, status) = released(scene, &manifest, 6).await;
    for target in old(&status) {
        let steps = &target.steps;
        let deregistered = steps.deregistered.as_ref().unwrap().at;
        let kept = steps.terminated.as_ref().unwrap().at.since(deregistered);
        assert!(kept >= Duration::from_secs(120), "{kept:?}");
    }
    new_serves(world).await;
}

/// The reasons of the Events of a whole release, in the order in which each came first.
async fn told(scene: Scene, seed: u64, end: Phase) -> Vec<String> {
    let manifest = Manifest::of(&scene).with("health.timeout", json!("60s"));
    let world = World::new(scene, seed).await;
    world.start();
    world.apply(&manifest).await;
    let ended = |status: &BlueGreenReleaseStatus| status.phase == end;
    world.until("it has ended", 900, ended).await;
    // They are published after the status, by a task of its own.
    world.clock.sleep(std::time::Duration::from_secs(2)).await;
    let events = world.events().await;
    let mut reasons: Vec<_> = events.into_iter().map(|(reason, _)| reason).collect();
    let mut seen = std::collections::BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    // The judge of a thread must not be shown the passes of a world that is over.
    world.end().await;
    reasons
}

#[tokio::test(start_paused = true)]
async fn events_tell_a_whole_release() {
    let in_place = Scene::in_place().short().calm();
    assert_eq!(
        told(in_place, 8, Phase::Released).await,
        [
            "Starting",
            "Draining",
            "Stopping",
            "TargetsDrained",
            "TargetsStopped",
            "Registering",
            "TargetsHealthy",
            "Released",
            "Promoted",
        ]
    );
    let side_by_side = Scene::side_by_side().short().calm();
    assert_eq!(
        told(side_by_side, 9, Phase::Released).await,
        [
            "Starting",
            "Registering",
            "TargetsHealthy",
            "Draining",
            "Stopping",
            "TargetsDrained",
            "Released",
            "TargetsStopped",
            "Promoted",
        ]
    );
    let ill = Scene::side_by_side()
        .short()
        .calm()
        .behaving(NEW, |behaviour| Behaviour {
            health: HealthBehaviour::NeverHealthy,
            ..behaviour
        });
    assert_eq!(
        told(ill, 10, Phase::RolledBack).await,
        [
            "Starting",
            "Registering",
            "RollingBack",
            "TargetsDrained",
            "TargetsStopped",
            "RolledBack",
            "ReleaseFailed",
        ]
    );
}
