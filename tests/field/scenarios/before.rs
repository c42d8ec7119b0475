//! What is looked at before anything is taken out.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{NONE, Outcome, RELEASED, SOON};
use crate::{
    releases::{NEW_VERSION, Place, hosts},
    world::World,
};

/// How long a release that must not begin is watched.
const WATCHED: Duration = Duration::from_secs(30);

/// That the controller has not changed anything in AWS.
pub(super) async fn expect_untouched(world: &World) {
    let changes = world.aws.controllers_changes().await;
    let first = changes.first().map(|change| change.action.clone());
    world.expect(changes.is_empty(), || {
        format!(
            "the controller has made {} changes, the first {}",
            changes.len(),
            first.unwrap_or_default()
        )
    });
}

pub(super) async fn a8(world: &World) -> Outcome {
    let sample = world.now().await?;
    for target in &sample.healthy() {
        world.health(target, false).await?;
    }
    world
        .until("nothing is healthy", SOON, |sample| {
            sample.with(&["unhealthy"]).len() == 2
        })
        .await?;
    let applied = Instant::now();
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
        .await?;
    world
        .holds("nothing is withdrawn", WATCHED, |sample| {
            sample.draining().is_empty() && sample.targets.len() == 2
        })
        .await;
    expect_untouched(world).await;
    let said = world.now().await?.usual();
    let ids: Vec<&str> = world.hosts.iter().map(String::as_str).collect();
    let names = ids.iter().any(|id| said.says(&[id]));
    world.expect(names && said.says(&["503"]), || {
        format!(
            "it names no target with what ELB says of it: {}",
            said.all_words()
        )
    });
    world.expect(!said.ready(), || "Ready=True".to_owned());
    world.expect_no_outage(applied, NONE);
    Ok(())
}

pub(super) async fn a9(world: &World) -> Outcome {
    let off = ("load_balancing.cross_zone.enabled", "false");
    world.aws.attribute(off.0, off.1).await?;
    let sample = world.now().await?;
    let zones: BTreeMap<String, String> = sample
        .instances
        .iter()
        .map(|(id, one)| (id.clone(), one.zone.clone()))
        .collect();
    let order: Vec<&String> = zones.values().collect();
    if order[0] != order[1] {
        return Err(format!("another seed is needed: {zones:?}"));
    }
    let mut release = hosts(NEW_VERSION, &[8080]);
    release["spec"]["rollout"]["maxUnavailable"] = json!(2);
    let applied = Instant::now();
    world.releases.apply(&Place::usual(), &release).await?;
    world
        .until("a target drains", SOON, |sample| {
            !sample.draining().is_empty()
        })
        .await?;
    world
        .expect_within("the release ends", RELEASED, |sample| {
            sample.usual().in_phase("Released") && sample.healthy().len() == 4
        })
        .await;
    let all: std::collections::BTreeSet<&String> = zones.values().collect();
    let samples = world.samples_since(applied);
    let bare = samples.iter().find_map(|sample| {
        let healthy = sample.healthy();
        let serves = |zone: &&&String| healthy.iter().any(|(id, _)| zones.get(id) == Some(**zone));
        all.iter().find(|zone| !serves(zone)).copied()
    });
    world.expect(bare.is_none(), || {
        format!(
            "no target served in zone {}",
            bare.cloned().unwrap_or_default()
        )
    });
    Ok(())
}

pub(super) async fn d1(world: &World) -> Outcome {
    let offline = world.hosts[0].clone();
    world.note(&format!("the agent of {offline} goes offline"));
    world.aws.agent(&offline, false).await?;
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
        .await?;
    let stalled = world
        .expect_within("it is Stalled and names the host", SOON, |sample| {
            let said = sample.usual();
            said.is("Stalled") && said.says(&[&offline])
        })
        .await;
    world
        .holds("nothing is withdrawn", WATCHED / 2, |sample| {
            sample.healthy().len() == 2
        })
        .await;
    expect_untouched(world).await;
    world.note(&format!("the agent of {offline} is online again"));
    world.aws.agent(&offline, true).await?;
    if stalled.is_some() {
        world
            .expect_within("the release ends", RELEASED, |sample| {
                sample.usual().in_phase("Released") && sample.healthy().len() == 2
            })
            .await;
    }
    world.expect_no_failure(world.began());
    Ok(())
}
