//! A `stop.unit` that is not the application's.

use bluegreen::api::{Outcome, Phase, Reason};
use serde_json::json;

use super::{ends_released, only, releasing};
use crate::harness::{Manifest, NAME, NEW, OLD, Scene, THIRD};

/// Units that are not the application's: one that no host has, and one that is down. What the
/// document's exit code and the message say of them.
const WRONG: [(&str, &[&str]); 2] = [
    (
        "typo@{{applicationPort}}.service",
        &["exit code 12", "port 8080 of that host", "typo@"],
    ),
    (
        "snackgame@9{{port}}.service",
        &[
            "exit code 13",
            "port 8080 is still listened on",
            "ss -ltnp",
            "snackgame@9",
        ],
    ),
];

fn says(message: &str, words: &[&str]) {
    for word in [words, &["fleet.hosts.stop.unit", "i-"]].concat() {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// The old process is in the way of the new one, so the release turns back.
#[tokio::test(start_paused = true)]
async fn that_is_not_the_applications_in_place_is_named_and_the_target_is_put_back() {
    for (unit, words) in WRONG {
        let scene = Scene::behind_a_front().short();
        let good = Manifest::of(&scene);
        let wrong = good.clone().with("fleet.hosts.stop.unit", json!(unit));
        let world = releasing(scene, &wrong, 470).await;
        let status = world
            .until("it is rolled back", 300, |status| {
                status.phase == Phase::RolledBack
            })
            .await;
        assert_eq!(status.history[0].outcome, Outcome::RolledBack);
        says(&status.message, words);
        only(&world, OLD);
        // The remedy that the message names.
        world.apply(&good.with("version", json!(THIRD))).await;
        world.until_released(900).await;
        only(&world, THIRD);
        let report = world.end().await;
        assert!(!report.totals.by_version.contains_key(NEW));
    }
}

/// Everything new serves, so there is nothing to go back for.
#[tokio::test(start_paused = true)]
async fn that_is_not_the_applications_side_by_side_stalls_until_the_spec_is_corrected() {
    let scene = Scene::side_by_side().short();
    let good = Manifest::of(&scene);
    let unit = format!("{NAME}@9{{{{port}}}}.service");
    let wrong = good.clone().with("fleet.hosts.stop.unit", json!(unit));
    let world = releasing(scene, &wrong, 471).await;
    let message = world.until_stalled(Reason::StopFailed, 300).await;
    says(
        &message,
        &["exit code 13", "port 8080 is still listened on"],
    );
    world.apply(&good).await;
    ends_released(world).await;
}
