//! Others in the same world: another release, another user of the account, a host that joins.

use std::time::Duration;

use tokio::time::sleep;

use super::{Outcome, RELEASED, SOON};
use crate::{
    releases::{NEW_VERSION, Place, hosts},
    sample::named,
    world::{World, counted},
};

/// The version after the new one.
const NEXT_VERSION: &str = "1.9.0";

pub(super) async fn c1(world: &World) -> Outcome {
    let (first, second) = (
        Place::new("first", "snackgame"),
        Place::new("second", "snackgame"),
    );
    for place in [&first, &second] {
        world.releases.namespace(&place.namespace).await?;
        world.follow(place);
    }
    let manifest = hosts(NEW_VERSION, &[8080]);
    world.releases.apply(&first, &manifest).await?;
    // The time of creation is in whole seconds.
    sleep(Duration::from_secs(2)).await;
    world.releases.apply(&second, &manifest).await?;
    world
        .expect_within(
            "the younger is stalled by the claim of the older",
            SOON,
            |sample| {
                let said = sample.release(&second);
                said.reason("Stalled") == "ClaimedByAnother" && said.says(&["first/snackgame"])
            },
        )
        .await;
    world
        .expect_within("the older is released", RELEASED, |sample| {
            sample.release(&first).in_phase("Released")
        })
        .await;
    let sample = world.now().await?;
    world.expect(!sample.release(&second).ready(), || {
        "the younger is Ready too".to_owned()
    });
    let changes = world.aws.controllers_changes().await;
    for host in &world.hosts {
        let about = changes.iter().filter(|change| change.names(host));
        let counts = counted(about.map(|change| change.action.clone()));
        let most = counts.values().max().copied().unwrap_or_default();
        // A stop and a start are both a SendCommand.
        world.expect(most <= 2, || {
            format!("{host} is changed by both: {counts:?}")
        });
    }
    world.expect_no_failure(world.began());
    Ok(())
}

/// Releases the next version, and holds what is registered then against what is said.
async fn next_is_whole(world: &World, stray: &str, hosts_then: usize) -> Outcome {
    world
        .releases
        .apply(&Place::usual(), &hosts(NEXT_VERSION, &[8080, 8081]))
        .await?;
    let ended = world
        .expect_within(
            "the next release ends, or asks for a person",
            RELEASED,
            |sample| {
                let said = sample.usual();
                said.in_phase("Released") || said.is("Stalled")
            },
        )
        .await;
    let Some(sample) = ended else { return Ok(()) };
    let said = sample.usual();
    if said.is("Stalled") {
        world.expect(said.says(&[stray]), || {
            format!("it does not name {stray}: {}", said.all_words())
        });
        return Ok(());
    }
    let registered = sample.registered();
    for target in &registered {
        let version = world.version(target).await;
        world.expect(version == NEXT_VERSION, || {
            format!("Released, and {} serves {version}", named(target))
        });
    }
    world.expect(registered.len() == hosts_then, || {
        format!("Released, and {} targets are registered", registered.len())
    });
    Ok(())
}

async fn first_release(world: &World) -> Outcome {
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080, 8081]))
        .await?;
    world
        .until("the first release ends", RELEASED, |sample| {
            sample.usual().in_phase("Released") && sample.targets.len() == 2
        })
        .await
        .map(drop)
}

pub(super) async fn c2(world: &World) -> Outcome {
    first_release(world).await?;
    let id = world.aws.launch("snackgame", "1.7.3").await?;
    let joined = (id, 8080);
    world
        .until("the new host runs the application", SOON, |sample| {
            sample.lives(&joined)
        })
        .await?;
    world.note(&format!("{} joins", named(&joined)));
    world.aws.register(&[(&joined.0, joined.1)]).await?;
    world
        .until("it is healthy", SOON, |sample| {
            sample.healthy().contains(&joined)
        })
        .await?;
    next_is_whole(world, &joined.0, 3).await?;
    world.expect_no_failure(world.began());
    Ok(())
}

pub(super) async fn c3(world: &World) -> Outcome {
    first_release(world).await?;
    let stale = (world.hosts[0].clone(), 8080);
    world.note(&format!("{} is registered again by hand", named(&stale)));
    world.aws.register(&[(&stale.0, stale.1)]).await?;
    world
        .until("it is unhealthy", SOON, |sample| {
            sample.with(&["unhealthy"]).contains(&stale)
        })
        .await?;
    world
        .expect_within(
            "the release at rest says that it is registered",
            Duration::from_secs(80),
            |sample| sample.usual().says(&[&named(&stale)]),
        )
        .await;
    next_is_whole(world, &stale.0, 2).await?;
    world.expect_no_failure(world.began());
    Ok(())
}
