//! Drains that do not end.

use std::{net::SocketAddr, time::Duration};

use bluegreen::api::Reason;
use bluegreen_net::Stream;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::harness::{Manifest, ProcessChange, Scene, World};

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
    for target in status.targets.iter().filter(|target| target.revision == 0) {
        let steps = &target.steps;
        assert_eq!(steps.unproven.is_some(), target.id == busy, "{target:?}");
        assert_eq!(steps.drained.is_none(), target.id == busy, "{target:?}");
        assert!(steps.terminated.is_some());
    }
    drop(request);
    world.end().await;
}
