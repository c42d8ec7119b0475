//! Instances that others create: what becomes of the way forward and back when one of them is not
//! there any more, or is not what it was.

use std::time::Duration;

use tokio::time::Instant;

use super::{NONE, Outcome, RELEASED, SOON, TAKEN_OVER};
use crate::{
    releases::{NEW_VERSION, Place, existing},
    sample::{Sample, Target, named},
    world::{World, counted},
};

/// Launches instances of the new version; the application on each of them listens.
async fn launch(world: &World, count: usize) -> Result<Vec<Target>, String> {
    let mut new = Vec::new();
    for _ in 0..count {
        let id = world.aws.launch("snackgame", NEW_VERSION).await?;
        new.push((id, 8080));
    }
    world
        .until("the new instances run the application", SOON, |sample| {
            new.iter().all(|target| sample.lives(target))
        })
        .await?;
    Ok(new)
}

fn has(sample: &Sample, target: &Target) -> bool {
    sample.registered().contains(target)
}

pub(super) async fn a6(world: &World) -> Outcome {
    let new = launch(world, 3).await?;
    world
        .releases
        .apply(&Place::usual(), &existing(NEW_VERSION))
        .await?;
    let sample = world
        .until("the old targets drain", RELEASED, |sample| {
            sample.draining().len() == 3
        })
        .await?;
    let old = sample.draining();
    world.expect_no_failure(world.began());
    let (stopped, living) = old.split_first().ok_or("there are old targets")?;
    world.note(&format!("{} is stopped by hand", stopped.0));
    world
        .aws
        .ec2("StopInstances", &[("InstanceId.1", stopped.0.as_str())])
        .await?;
    let failed = Instant::now();
    for target in &new {
        world.kill(target)?;
    }
    world
        .expect_within(
            "the old targets that run are put back",
            TAKEN_OVER,
            |sample| living.iter().all(|target| has(sample, target)),
        )
        .await;
    world
        .expect_within("it names the instance that is stopped", SOON, |sample| {
            sample.usual().says(&[&stopped.0])
        })
        .await;
    world.expect_no_outage(failed, TAKEN_OVER);
    Ok(())
}

pub(super) async fn c4(world: &World) -> Outcome {
    let mut new = launch(world, 2).await?;
    world
        .releases
        .apply(&Place::usual(), &existing(NEW_VERSION))
        .await?;
    world
        .until("the new instances are registered", SOON, |sample| {
            new.iter().all(|target| has(sample, target))
        })
        .await?;
    let lost = new.remove(0);
    world.note(&format!("{} is terminated", lost.0));
    world
        .aws
        .ec2("TerminateInstances", &[("InstanceId.1", lost.0.as_str())])
        .await?;
    let old: Vec<Target> = world.hosts.iter().map(|id| (id.clone(), 8080)).collect();
    let serving = |sample: &Sample| {
        let all = old.iter().chain(&new);
        all.filter(|target| has(sample, target) && sample.lives(target))
            .count()
    };
    world
        .holds("two targets serve", Duration::from_secs(60), |sample| {
            serving(sample) >= 2
        })
        .await;
    let sample = world.now().await?;
    let said = sample.usual();
    world.expect(!said.ready(), || {
        format!("Ready=True with one of two: {}", said.all_words())
    });
    world.expect_no_outage(world.began(), NONE);
    Ok(())
}

pub(super) async fn c5(world: &World) -> Outcome {
    launch(world, 2).await?;
    world
        .releases
        .apply(&Place::usual(), &existing(NEW_VERSION))
        .await?;
    let sample = world
        .until("the old targets drain", RELEASED, |sample| {
            sample.draining().len() == 2
        })
        .await?;
    let changed = sample.draining().remove(0);
    world.note(&format!("{} is tagged with the new version", changed.0));
    world.aws.tag(&changed.0, "Version", NEW_VERSION).await?;
    world
        .expect_within(
            "the release ends, or asks for a person",
            RELEASED,
            |sample| {
                let said = sample.usual();
                said.in_phase("Released") || said.is("Stalled")
            },
        )
        .await;
    let said = world.now().await?.usual();
    world.expect_told(&said, &[&changed.0]).await;
    let log = world.log();
    let panicked = log.lines().find(|line| line.contains("panicked"));
    world.expect(panicked.is_none(), || {
        format!("the controller: {}", panicked.unwrap_or_default())
    });
    let changes = world.aws.controllers_changes().await;
    let about = changes.iter().filter(|change| change.names(&changed.0));
    let counts = counted(about.map(|change| change.action.clone()));
    world.expect(counts.values().all(|count| *count <= 2), || {
        format!(
            "{} is registered and withdrawn again and again: {counts:?}",
            named(&changed)
        )
    });
    world.expect_no_failure(world.began());
    Ok(())
}
