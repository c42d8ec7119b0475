//! How revisions are started and stopped, where the spec has begun to describe it in another way.

use bluegreen::api::{BlueGreenReleaseStatus, Phase, RevisionSnapshot};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::harness::{Manifest, NAME, NEW, OLD, Scene, THIRD, World, calls};

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

fn revisions(world: &World) -> Api<ControllerRevision> {
    Api::default_namespaced(world.client.clone())
}

/// The number and the version of each revision that is kept.
async fn kept(world: &World) -> Vec<(u64, String)> {
    let found = revisions(world).list(&ListParams::default()).await.unwrap();
    let mut kept: Vec<(u64, String)> = found
        .items
        .into_iter()
        .map(|object| {
            let snapshot: RevisionSnapshot = serde_json::from_value(object.data.0).unwrap();
            let number = object.revision.unwrap().try_into().unwrap();
            (number, snapshot.version.unwrap())
        })
        .collect();
    kept.sort();
    kept
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
    let kept: Vec<(u64, String)> = kept(&world).await;
    let versions = [OLD, NEW, THIRD, NEW].map(ToOwned::to_owned);
    assert_eq!(kept, (0..).zip(versions).collect::<Vec<_>>());
    world.end().await;
}

/// A controller that begins in the middle of a release reads them from the API server.
#[tokio::test(start_paused = true)]
async fn without_the_revisions_the_spec_counts() {
    for removed in [false, true] {
        let scene = Scene::side_by_side().short();
        let manifest = Manifest::of(&scene);
        let world = World::new(scene, 951).await;
        world.start();
        world.apply(&manifest).await;
        world.until_released(900).await;
        let first = longest(&world).len();

        let next = otherwise(manifest).with("version", json!(THIRD));
        world.apply(&next).await;
        let draining = |status: &BlueGreenReleaseStatus| {
            status.phase == Phase::Draining && status.revision == 2
        };
        world.until("it drains", 300, draining).await;
        world.control.stop().await;
        if removed {
            let (api, params) = (revisions(&world), DeleteParams::default());
            for object in api.list(&ListParams::default()).await.unwrap() {
                api.delete(&object.name_any(), &params).await.unwrap();
            }
        }
        world.start();
        world.until_released(900).await;
        let second = longest(&world).split_off(first);
        assert!(!second.is_empty());
        let by_spec = second.iter().all(|one| one == LONGEST);
        assert_eq!(by_spec, removed, "{second:?}");
        world.end().await;
    }
}

/// A status that was emptied lost what the controller knows. The next revision gets no commands of
/// an earlier one for that.
#[tokio::test(start_paused = true)]
async fn a_number_is_not_given_again() {
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
