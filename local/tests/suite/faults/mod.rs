//! Each thing that goes wrong, one at a time: what the user sees, that nothing healthy is lost,
//! and that the release goes on, or back, when it has passed.
//!
//! That nothing healthy is lost is asked in every one of them, all the time, by the judge and by
//! the load: see `harness/judge.rs` and `World::end`.

mod apis;
mod applications;
mod changes;
mod cloud;
mod drains;
mod preflight;
mod units;

use bluegreen::api::Phase;

use crate::harness::{Manifest, NEW, Scene, World};

/// A world in which a release begins.
async fn releasing(scene: Scene, manifest: &Manifest, seed: u64) -> World {
    let world = World::new(scene, seed).await;
    world.start();
    world.apply(manifest).await;
    world
}

/// A world in which a release has come to a phase.
async fn in_phase(scene: Scene, seed: u64, phase: Phase) -> (World, Manifest) {
    println!("{phase:?}");
    let manifest = Manifest::of(&scene);
    let world = releasing(scene, &manifest, seed).await;
    world
        .until("the phase", 600, |status| status.phase == phase)
        .await;
    (world, manifest)
}

/// One version runs and serves on every host, and no other.
fn only(world: &World, version: &str) {
    let running = world.apps.running();
    assert_eq!(running.len(), world.scene.hosts, "{running:?}");
    assert!(running.iter().all(|one| one.2 == version), "{running:?}");
    for group in &world.built.groups {
        assert_eq!(world.healthy(group).len(), world.scene.hosts);
    }
}

/// The release has gone on to its end, and the world ends without a request that was not served.
async fn ends_released(world: World) {
    world.until_released(1_800).await;
    only(&world, NEW);
    world.end().await;
}
