//! How revisions are started and stopped, where the spec has begun to say it in another way, and
//! where status says something of its own.

use bluegreen::api::{BlueGreenReleaseStatus, COMMANDS_ANNOTATION, NotedCommands, Phase};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::harness::{Manifest, NAME, NEW, Scene, THIRD, World, calls};

/// What the second manifest gives as the longest time of a stop, in seconds. The built-in way to
/// stop a unit gives another.
const LONGEST: &str = "77";

/// The same unit, stopped by a command of the user's own.
fn otherwise(manifest: Manifest) -> Manifest {
    let parameters = json!({
        "unit": format!("{NAME}@{{{{port}}}}.service"),
        "gracePeriod": "{{gracePeriod}}",
        "fence": "{{fence}}",
        "executionTimeout": LONGEST,
    });
    let command = json!({"document": "BlueGreen-StopUnit", "parameters": parameters});
    manifest.with("fleet.hosts.stop", json!({ "command": command }))
}

/// How long each stop so far might have taken at the most, in the controller's own words.
fn longest(world: &World) -> Vec<String> {
    let calls = calls(&world.cloud);
    let stops = calls
        .iter()
        .filter(|call| call.action == "ssm:SendCommand")
        .filter(|call| call.parameters["DocumentName"] == "BlueGreen-StopUnit");
    let longest = |parameters: &Value| parameters["Parameters"]["executionTimeout"][0].clone();
    stops
        .map(|call| longest(&call.parameters).as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_version_is_stopped_as_the_spec_said_when_it_began() {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, 950).await;
    world.start();
    world.apply(&manifest).await;
    world.until_released(900).await;
    let first = longest(&world);
    assert!(!first.is_empty() && first.iter().all(|one| one != LONGEST));

    let next = otherwise(manifest).with("version", json!(THIRD));
    world.apply(&next).await;
    world.until_released(900).await;
    let both = longest(&world);
    assert_eq!(both.len(), first.len() * 2);
    assert!(both.iter().all(|one| one != LONGEST), "{both:?}");

    world.apply(&next.with("version", json!(NEW))).await;
    world.until_released(900).await;
    let last = longest(&world).split_off(both.len());
    assert!(last.iter().all(|one| one == LONGEST), "{last:?}");
    let release = world.release().await.unwrap();
    let text = release.annotations().get(COMMANDS_ANNOTATION);
    let noted = NotedCommands::of(&release.uid().unwrap(), text.map(String::as_str));
    let versions: Vec<_> = noted
        .revisions
        .iter()
        .map(|(revision, commands)| (*revision, commands.version.as_deref().unwrap()))
        .collect();
    assert_eq!(versions, [(2, THIRD), (3, NEW)]);
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_what_was_noted_the_spec_counts() {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, 951).await;
    world.start();
    world.apply(&manifest).await;
    world.until_released(900).await;
    let first = longest(&world).len();

    let next = otherwise(manifest).with("version", json!(THIRD));
    world.apply(&next).await;
    let draining =
        |status: &BlueGreenReleaseStatus| status.phase == Phase::Draining && status.revision == 2;
    world.until("it drains", 300, draining).await;
    for text in [Value::Null, json!("{ not json")] {
        let annotations = json!({ COMMANDS_ANNOTATION: text });
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let params = PatchParams::default();
        world.releases.patch(NAME, &params, &patch).await.unwrap();
    }
    world.until_released(900).await;
    let second = longest(&world).split_off(first);
    assert!(!second.is_empty());
    assert!(second.iter().all(|one| one == LONGEST), "{second:?}");
    world.end().await;
}

/// Whoever empties the status loses what the controller knows, and gets no commands of an earlier
/// revision for that.
#[tokio::test(start_paused = true)]
async fn a_number_that_was_noted_is_not_given_again() {
    let scene = Scene::side_by_side().short();
    let manifest = Manifest::of(&scene);
    let world = World::new(scene, 952).await;
    world.start();
    world.apply(&manifest).await;
    world.until_released(900).await;
    world.control.stop().await;
    let mut release = world.release().await.unwrap();
    release.status = Some(BlueGreenReleaseStatus::default());
    release.metadata.managed_fields = None;
    let params = PostParams::default();
    let written = world.releases.replace_status(NAME, &params, &release);
    written.await.unwrap();
    world.apply(&manifest.with("version", json!(THIRD))).await;
    world.start();
    let status = world.until_released(900).await;
    assert_eq!(status.revision, 2);
    let running = world.apps.running();
    assert!(running.iter().all(|one| one.2 == THIRD), "{running:?}");
    world.end().await;
}
