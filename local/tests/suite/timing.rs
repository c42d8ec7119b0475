//! How much the controller adds to what AWS itself takes.

use std::{collections::BTreeMap, time::Duration};

use bluegreen_cloud::events::EventKind;
use jiff::Timestamp;

use crate::harness::{Manifest, Scene, World, calls};

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// The first event of a kind since an instant whose subject ends so.
fn first(world: &World, since: Timestamp, kind: EventKind, subject: &str) -> Timestamp {
    let events = world.cloud.events(0);
    let mut found = events
        .iter()
        .filter(|event| event.kind == kind && event.at >= since)
        .filter(|event| event.subject.ends_with(subject));
    found.next().unwrap().at
}

/// How long a command took on a host, from when it was sent until its end there.
fn commanded(world: &World, document: &str, host: &str) -> f64 {
    let events = world.cloud.events(0);
    let mut sent = events
        .iter()
        .filter(|event| event.kind == EventKind::CommandSent && event.detail.starts_with(document));
    let sent = sent.next().unwrap();
    let ended = events.iter().rfind(|event| {
        event.kind == EventKind::InvocationStatus
            && event.subject == format!("{} {host}", sent.subject)
    });
    seconds(sent.at, ended.unwrap().at)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_drain_is_noticed_within_a_quarter_of_a_second_while_it_is_watched() {
    for scene in [Scene::in_place().calm(), Scene::side_by_side().calm()] {
        let scene = Scene {
            delay: Duration::from_secs(300),
            ..scene
        };
        let manifest = Manifest::of(&scene);
        let world = World::new(scene, 500).await;
        world.start();
        world.apply(&manifest).await;
        let status = world.until_released(3_600).await;
        for target in status.targets.iter().filter(|target| target.revision == 0) {
            let key = format!("{}:{}", target.id, target.port);
            let gone =
                world.cloud.events(0).into_iter().find(|event| {
                    event.kind == EventKind::TargetGone && event.subject.ends_with(&key)
                });
            let gone = gone.unwrap().at;
            let seen = target.drain[0].gone_seen_at.unwrap().timestamp();
            let late = seconds(gone, seen);
            assert!((0.0..=0.25).contains(&late), "{key}: {late} s late");
            let drained = target.steps.drained.as_ref().unwrap().at.timestamp();
            let proven = seconds(gone, drained) - READ_AGAIN;
            assert!(
                (0.0..=0.25).contains(&proven),
                "{key}: proven {proven} s later"
            );
            let calls = calls(&world.cloud);
            let begun = calls.iter().find(|call| {
                call.action.ends_with(":DeregisterTargets")
                    && call.parameters.to_string().contains(&target.id)
            });
            let begun = begun.unwrap().at;
            let reads = calls.iter().filter(|call| {
                call.action.ends_with(":DescribeTargetHealth") && call.at > begun && call.at < seen
            });
            let reads = reads.count();
            println!("{key}: {late} s late, {reads} reads");
            // What is withdrawn is watched: a reading every five seconds, and two to see it go.
            assert!(reads <= 300 / 5 + 2, "{key}: {reads} reads");
        }
        world.end().await;
    }
}

/// What could not have been faster, taken from the cloud's own log: for the slowest host the start
/// command, from its registration until the control plane calls it healthy, and what `stableFor`
/// asks for after that; then from the deregistration to the end of the delay, a second reading of
/// that, and the slowest stop command.
#[tokio::test(start_paused = true)]
async fn a_release_takes_hardly_longer_than_aws_itself() {
    for (seed, latency) in [
        (510, QUICK),
        (511, QUICK),
        (512, QUICK),
        (513, SLOW),
        (514, SLOW),
    ] {
        let scene = Scene {
            latency: (latency, latency),
            ..Scene::side_by_side().short().calm()
        };
        let (over, took) = over(scene, seed).await;
        let calls = CALLS * 2.0 * latency;
        println!("{over:.3} of {took:.3} s over, of which {calls:.3} s are calls on their way");
        assert!((0.0..=OVER + calls).contains(&over), "{over} s over");
    }
}

/// One way between the controller and AWS, in seconds: on one machine, and in the field.
const QUICK: f64 = 0.002;
const SLOW: f64 = 0.02;

/// The calls to AWS that must follow each other: the target group, its attributes and its health,
/// the start; a reading, the registration; a reading, the deregistration; a reading that finds it
/// draining, one that finds it gone, the stop; a reading that finds it stopped.
const CALLS: f64 = 12.0;

/// How much longer than physically needed a release takes at the most, in seconds, besides the
/// calls.
const OVER: f64 = 1.0;

/// That a target is gone counts in two readings so far apart, in seconds.
const READ_AGAIN: f64 = 5.0;

/// `health.stableFor` by default, in seconds.
const STABLE_FOR: f64 = 10.0;

/// How much longer than physically needed a release took, and how long it took, in seconds.
async fn over(scene: Scene, seed: u64) -> (f64, f64) {
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, seed).await;
    world.start();
    world.clock.sleep(Duration::from_secs(5)).await;
    let applied = world.clock.now();
    world.apply(&manifest).await;
    let healthy = healthy_since(&world, applied).await;
    let status = world.until_released(1_800).await;
    let took = seconds(applied, status.history[0].ended_at.timestamp());

    let hosts: Vec<&str> = world
        .built
        .hosts
        .iter()
        .map(|host| host.id.as_str())
        .collect();
    let longest =
        |each: &dyn Fn(&str) -> f64| hosts.iter().map(|host| each(host)).fold(0.0_f64, f64::max);
    let coming = longest(&|host| {
        let target = format!("{host}:8081");
        let registered = first(&world, applied, EventKind::TargetRegistered, &target);
        let health = seconds(registered, healthy[&target]);
        commanded(&world, "BlueGreen-StartUnit", host) + health
    });
    let draining = longest(&|host| {
        let target = format!("{host}:8080");
        let began = first(&world, applied, EventKind::TargetDraining, &target);
        seconds(began, first(&world, began, EventKind::TargetGone, &target)) + READ_AGAIN
    });
    let stopping = longest(&|host| commanded(&world, "BlueGreen-StopUnit", host));
    let limit = coming + STABLE_FOR + draining + stopping;
    world.end().await;
    (took - limit, took)
}

/// When each new target was first healthy in truth, to a fiftieth of a second.
async fn healthy_since(world: &World, applied: Timestamp) -> BTreeMap<String, Timestamp> {
    let group = &world.built.groups[0];
    let mut since = BTreeMap::new();
    while since.len() < world.scene.hosts {
        assert!(seconds(applied, world.clock.now()) < 300.0, "never healthy");
        world.clock.sleep(Duration::from_millis(20)).await;
        let healthy = world.healthy(group);
        for target in healthy.into_iter().filter(|one| one.ends_with(":8081")) {
            since.entry(target).or_insert(world.clock.now());
        }
    }
    since
}
