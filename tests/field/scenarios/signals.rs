//! A signal is believed only when it can mean nothing else.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Outcome, RELEASED, SOON, before::expect_untouched};
use crate::{
    releases::{NEW_VERSION, Place, hosts},
    sample::Sample,
    world::World,
};

pub(super) async fn b1(world: &World) -> Outcome {
    world.note("the group checks every target on port 8080");
    world
        .aws
        .elb("ModifyTargetGroup", &[("HealthCheckPort", "8080")])
        .await?;
    let old = world.now().await?.registered();
    // The name of a version says what it is like; this one never listens.
    let version = format!("{NEW_VERSION}-silent");
    world
        .releases
        .apply(&Place::usual(), &hosts(&version, &[8080, 8081]))
        .await?;
    world
        .expect_within("it is Stalled and names the port", SOON, |sample| {
            let said = sample.usual();
            said.is("Stalled") && said.says(&["8080"])
        })
        .await;
    world
        .holds(
            "the old version serves",
            Duration::from_secs(30),
            |sample| {
                old.iter()
                    .all(|target| sample.lives(target) && sample.registered().contains(target))
            },
        )
        .await;
    expect_untouched(world).await;
    world.expect_no_failure(world.began());
    Ok(())
}

pub(super) async fn b2(world: &World) -> Outcome {
    let delay = Duration::from_secs(60);
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080, 8081]))
        .await?;
    let sample = world
        .until("the new targets are registered", RELEASED, |sample| {
            sample.targets.len() == 4
        })
        .await?;
    let old = sample.healthy();
    // They go to the old version, and end before the drain does.
    for _ in 0..4 {
        world.load.with_long_requests(Duration::from_secs(55));
    }
    world
        .until("the old targets drain", RELEASED, |sample| {
            sample.draining().len() == 2
        })
        .await?;
    let draining = Instant::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.note("the next answer about target health breaks off");
    let cut = json!({ "action": "DescribeTargetHealth", "kind": "malformed", "times": 1,
                      "principal": "controller" });
    world.aws.fault(&cut).await?;
    let left = delay.saturating_sub(draining.elapsed() + Duration::from_secs(2));
    world
        .holds(
            "the old processes live until the drain ends",
            left,
            |sample| old.iter().all(|target| sample.lives(target)),
        )
        .await;
    let ended = world
        .expect_within("the release ends", RELEASED, |sample| {
            sample.usual().rests()
        })
        .await;
    if let Some(said) = ended.map(|sample| sample.usual()) {
        world.expect(said.in_phase("Released"), || {
            format!("it ends otherwise: {}", said.all_words())
        });
    }
    world.expect_no_failure(world.began());
    Ok(())
}

/// What a release must not say of what it could not read.
const LIES: [&str; 4] = [
    "no such target group",
    "no longer found",
    "no instance matches",
    "the release begins",
];

pub(super) async fn b3(world: &World) -> Outcome {
    for action in [
        "DescribeTargetHealth",
        "DescribeTargetGroups",
        "DescribeInstances",
    ] {
        // What an earlier release has read of the groups and the fleet is good for half a minute.
        tokio::time::sleep(Duration::from_secs(31)).await;
        world.note(&format!("answers of {action} break off"));
        let cut = json!({ "action": action, "kind": "malformed", "principal": "controller" });
        world.aws.fault(&cut).await?;
        world
            .releases
            .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
            .await?;
        world
            .expect_within(
                &format!("it says that {action} cannot be read"),
                Duration::from_secs(15),
                |sample| {
                    let said = sample.usual();
                    let ready = said.conditions.get("Ready");
                    ready.is_some_and(|(_, reason, _)| reason == "CloudUnavailable")
                },
            )
            .await;
        let lied = |sample: &Sample| {
            let said = sample.usual();
            LIES.iter().find(|lie| said.says(&[lie])).copied()
        };
        let lie = lied(&world.now().await?);
        world.expect(lie.is_none(), || {
            format!("with {action} unread it says: {}", lie.unwrap_or_default())
        });
        world.aws.mend().await?;
        world.releases.delete(&Place::usual()).await?;
        world
            .until("the release is deleted", RELEASED, |sample| {
                sample.releases.is_empty() && sample.healthy().len() == 2
            })
            .await?;
    }
    world.expect_no_failure(world.began());
    Ok(())
}

pub(super) async fn b4(world: &World) -> Outcome {
    world.load.with_long_requests(Duration::from_secs(3));
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080, 8081]))
        .await?;
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
    let events = world.releases.events().await;
    let words = "deregistration delay";
    let told = said.says(&[words]) || events.iter().any(|event| event.contains(words));
    world.expect(told, || {
        format!("nothing says that the {words} of 0 s covers no request")
    });
    Ok(())
}
