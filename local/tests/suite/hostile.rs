//! The same short release with many seeds: lags, stale reads, throttles and late nodes as they are
//! in the field, in every order.

use crate::harness::{Manifest, Scene, World};

async fn seed(scene: Scene, seed: u64) {
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, seed).await;
    world.start();
    world.apply(&manifest).await;
    world.until_released(900).await;
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn side_by_side_loses_no_request() {
    for number in 100..110 {
        seed(Scene::side_by_side().short(), number).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_place_loses_no_request() {
    for number in 200..210 {
        seed(Scene::in_place().short(), number).await;
    }
}
