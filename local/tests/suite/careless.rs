//! The judges are not blind: a stop without a drain is noticed by all of them.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Scene, World};

#[tokio::test(start_paused = true)]
async fn a_process_that_is_stopped_while_it_is_registered_is_noticed() {
    let scene = Scene::in_place();
    let world = World::new(scene, 600).await;
    for host in &world.built.hosts[..2] {
        let command = json!({
            "DocumentName": "BlueGreen-StopUnit",
            "InstanceIds": [host.id],
            "Parameters": {"unit": ["snackgame@8080.service"], "gracePeriod": ["30"]},
        });
        world.cloud.arrange("SendCommand", &command).unwrap();
    }
    world.clock.sleep(Duration::from_secs(60)).await;
    let violations = world.judge.violations().join("\n");
    assert!(violations.contains("while registered"), "{violations}");
    assert!(violations.contains("never should be less"), "{violations}");
    assert!(world.failed() > 0, "a client has noticed");
}
