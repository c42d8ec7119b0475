//! Somebody serves at every moment: what dies or is taken out is noticed while something else can
//! serve.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{NONE, Outcome, PUT_BACK, RELEASED, SOON, TAKEN_OVER};
use crate::{
    releases::{NEW_VERSION, Place, hosts, seconds},
    sample::{Sample, Target, named},
    world::World,
};

/// Whether every target that is registered lives and is healthy, and there are so many.
fn whole(sample: &Sample, count: usize) -> bool {
    let healthy = sample.healthy();
    healthy.len() == count
        && sample.registered().len() == count
        && healthy.iter().all(|target| sample.lives(target))
}

/// Waits for the end of a release that cannot go well: whatever it is called, everything serves then,
/// or it says which target does not.
async fn ends_whole(world: &World, count: usize, culprit: &str) {
    let ended = world
        .expect_within("the release ends", RELEASED, |sample| {
            let said = sample.usual();
            said.current && said.rests() && (whole(sample, count) || said.says(&[culprit]))
        })
        .await;
    let Some(sample) = ended else { return };
    let said = sample.usual();
    world.expect(!said.ready() || whole(&sample, count), || {
        format!("Ready=True although not all of {count} targets serve")
    });
    if said.phase == "RolledBack" {
        world.expect_told(&said, &[culprit]).await;
    }
}

/// The target of the host that is recreated first, and the one that drains after it.
async fn second_drain(world: &World) -> Result<(Target, Target), String> {
    let draining = |sample: &Sample| sample.draining().len() == 1;
    let sample = world.until("a host drains", SOON, draining).await?;
    let first = sample.draining().remove(0);
    let sample = world
        .until("the next host drains", RELEASED, |sample| {
            sample.healthy().contains(&first) && draining(sample)
        })
        .await?;
    Ok((first, sample.draining().remove(0)))
}

pub(super) async fn a1(world: &World) -> Outcome {
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
        .await?;
    let (first, second) = second_drain(world).await?;
    world.expect_no_failure(world.began());
    let killed = Instant::now();
    world.kill(&first)?;
    let back = world
        .expect_within("the drained target is put back", TAKEN_OVER, |sample| {
            sample.registered().contains(&second)
        })
        .await;
    if back.is_none() {
        world
            .holds("a process of the application lives", SOON, |sample| {
                !sample.alive.is_empty()
            })
            .await;
    }
    ends_whole(world, 2, &first.0).await;
    let empty = world.samples_since(killed);
    let empty = empty.iter().filter(|sample| sample.alive.is_empty());
    world.expect(empty.count() == 0, || {
        "the only process that lived was stopped".to_owned()
    });
    world.expect_no_outage(killed, TAKEN_OVER);
    Ok(())
}

pub(super) async fn a2(world: &World) -> Outcome {
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080, 8081]))
        .await?;
    let all_drain = |sample: &Sample| sample.draining().len() == 2;
    let sample = world
        .until("the old targets drain", RELEASED, all_drain)
        .await?;
    let (old, new) = (sample.draining(), sample.healthy());
    world.expect_no_failure(world.began());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let killed = Instant::now();
    for target in &new {
        world.kill(target)?;
    }
    world
        .expect_within("the old targets are put back", TAKEN_OVER, |sample| {
            old.iter()
                .all(|target| sample.registered().contains(target))
        })
        .await;
    let rolled_back = world
        .expect_within("the release is rolled back", RELEASED, |sample| {
            sample.usual().in_phase("RolledBack")
        })
        .await;
    if let Some(sample) = rolled_back {
        let said = sample.usual();
        world.expect_told(&said, &[&new[0].0, &new[1].0]).await;
        world.expect(old.iter().all(|target| sample.lives(target)), || {
            "an old process was stopped".to_owned()
        });
    }
    world.expect_no_outage(killed, TAKEN_OVER);
    Ok(())
}

pub(super) async fn a3(world: &World) -> Outcome {
    let mut release = hosts(NEW_VERSION, &[8080, 8081]);
    release["spec"]["retain"] = seconds(Duration::from_secs(60));
    world.releases.apply(&Place::usual(), &release).await?;
    let sample = world
        .until("the old processes are retained", RELEASED, |sample| {
            let new = sample.healthy();
            new.len() == 2
                && sample.targets.len() == 2
                && new.iter().all(|(_, port)| *port == 8081)
                && sample.alive.len() == 4
        })
        .await?;
    let new = sample.healthy();
    let old: Vec<Target> = sample.alive.iter().cloned().collect();
    let old: Vec<Target> = old.into_iter().filter(|one| !new.contains(one)).collect();
    for target in &new {
        world.health(target, false).await?;
    }
    world
        .expect_within("the old targets are put back", TAKEN_OVER, |sample| {
            old.iter()
                .all(|target| sample.registered().contains(target))
        })
        .await;
    let rolled_back = world
        .expect_within("the release is rolled back", RELEASED, |sample| {
            sample.usual().in_phase("RolledBack")
        })
        .await;
    if let Some(said) = rolled_back.map(|sample| sample.usual()) {
        world.expect_told(&said, &[&new[0].0, &new[1].0]).await;
    }
    // What is unhealthy is still asked where nothing else is: no request has to fail.
    world.expect_no_outage(world.began(), NONE);
    Ok(())
}

pub(super) async fn a4(world: &World) -> Outcome {
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
        .await?;
    let sample = world
        .until("a host drains", SOON, |sample| sample.draining().len() == 1)
        .await?;
    let other = sample.healthy();
    let [other] = other.as_slice() else {
        return Err(format!("one target should serve, not {other:?}"));
    };
    let taken = Instant::now();
    world.note(&format!("{} is deregistered by hand", named(other)));
    world.aws.deregister(&[(&other.0, other.1)]).await?;
    world
        .expect_within("the target is registered again", PUT_BACK, |sample| {
            sample.registered().contains(other)
        })
        .await;
    world.expect_no_outage(taken, PUT_BACK);
    world
        .expect_within("the release ends", RELEASED, |sample| {
            sample.usual().in_phase("Released") && whole(sample, 2)
        })
        .await;
    world.expect_no_outage(taken, PUT_BACK);
    let said = world.now().await?.usual();
    world.expect_told(&said, &[&other.0]).await;
    Ok(())
}

pub(super) async fn a5(world: &World) -> Outcome {
    let targets: Vec<(&str, u16)> = world.hosts.iter().map(|id| (id.as_str(), 8080)).collect();
    world
        .until("the applications listen", SOON, |sample| {
            sample.alive.len() == 2
        })
        .await?;
    world.aws.register(&targets).await?;
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
        .await?;
    let sample = world
        .until("a target drains", SOON * 2, |sample| {
            !sample.draining().is_empty()
        })
        .await?;
    let quickly = [
        ("HealthCheckIntervalSeconds", "5"),
        ("HealthCheckTimeoutSeconds", "4"),
    ];
    world.aws.elb("ModifyTargetGroup", &quickly).await?;
    world.expect(sample.healthy().len() == 1, || {
        format!(
            "a target is withdrawn while {} others are healthy",
            sample.healthy().len()
        )
    });
    world
        .expect_within("the release ends", RELEASED, |sample| {
            sample.usual().in_phase("Released") && whole(sample, 2)
        })
        .await;
    world.expect_no_failure(sample.at);
    Ok(())
}

pub(super) async fn a7(world: &World) -> Outcome {
    let mut release = hosts(NEW_VERSION, &[8080]);
    // What is there is what is wanted.
    release["spec"]["version"] = json!("1.7.3");
    world.releases.apply(&Place::usual(), &release).await?;
    let sample = world
        .until("the release rests", SOON, |sample| sample.usual().ready())
        .await?;
    let all = sample.healthy();
    for target in &all {
        world.health(target, false).await?;
    }
    let bound = Duration::from_secs(80);
    world
        .expect_within("Ready is false where nothing is healthy", bound, |sample| {
            !sample.usual().ready()
        })
        .await;
    world.note("all targets are deregistered by hand");
    let targets: Vec<(&str, u16)> = all.iter().map(|(id, port)| (id.as_str(), *port)).collect();
    world.aws.deregister(&targets).await?;
    let known = world
        .expect_within(
            "Ready is false where nothing is registered",
            bound,
            |sample| sample.registered().is_empty() && !sample.usual().ready(),
        )
        .await;
    if let Some(said) = known.map(|sample| sample.usual()) {
        world.expect(!said.message.contains("is live"), || {
            format!("it says that {}", said.message)
        });
    }
    let events = world.releases.events().await;
    let named = all
        .iter()
        .any(|(id, _)| events.iter().any(|event| event.contains(id)));
    world.expect(named, || "no Event names a target".to_owned());
    Ok(())
}
