//! One user must not be able to stop the releases of all others.

use std::{fs, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{Outcome, RELEASED, SOON};
use crate::{
    releases::{NEW_VERSION, Place, hosts},
    world::World,
};

/// The memory limit of the chart, in KiB. What is built for tests needs more than what is shipped,
/// and less than this.
const MEMORY: u64 = 128 * 1024;

/// How many releases of others there are.
const MANY: usize = 60;

/// The most memory that the controller has had, in KiB.
fn peak(world: &World) -> Option<u64> {
    let id = world.controller()?;
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// That a good release goes through.
async fn a_good_one_goes_through(world: &World) -> Outcome {
    let applied = Instant::now();
    world
        .releases
        .apply(&Place::usual(), &hosts(NEW_VERSION, &[8080]))
        .await?;
    world
        .expect_within("the good release begins", SOON, |sample| {
            !sample.draining().is_empty()
        })
        .await;
    world
        .expect_within("the good release ends", RELEASED, |sample| {
            sample.usual().in_phase("Released") && sample.healthy().len() == 2
        })
        .await;
    world.expect_no_failure(applied);
    Ok(())
}

pub(super) async fn e1(world: &World) -> Outcome {
    world.releases.namespace("others").await?;
    let process = world.controller();
    // Each step makes the text ten times as long.
    let hostile = format!(
        "'{0}'{1}.size()",
        "a".repeat(10),
        ".replace('a', 'aaaaaaaaaa')".repeat(7)
    );
    let mut release = hosts(NEW_VERSION, &[8080]);
    release["spec"]["drain"]["inFlight"] = json!({
        "http": { "path": "/drain", "inFlight": hostile, "served": "body.served" },
    });
    let answer = world.releases.try_apply(&Place::usual(), &release).await?;
    if answer.status < 300 {
        world
            .until("a host drains", SOON, |sample| {
                !sample.draining().is_empty()
            })
            .await?;
        // By then the probe is asked, and another user's release is to be looked at all the same.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let other = missing(world, "missing").await?;
        world.follow(&other);
        world
            .expect_within("another release is looked at", SOON, |sample| {
                sample.release(&other).says(&["missing"])
            })
            .await;
        world.expect(process.is_some() && world.controller() == process, || {
            "the controller has ended".to_owned()
        });
    } else {
        world.note(&format!("refused: {}", answer.body));
        a_good_one_goes_through(world).await?;
    }
    let peak = peak(world).unwrap_or(u64::MAX);
    world.expect(peak <= MEMORY, || {
        format!("the controller has taken {peak} KiB of the chart's {MEMORY}")
    });
    Ok(())
}

/// Applies a release of others that names a target group which is not there.
async fn missing(world: &World, name: &str) -> Result<Place, String> {
    let mut release = hosts(NEW_VERSION, &[8080]);
    release["spec"]["traffic"]["registration"]["targetGroups"] = json!([{ "name": name }]);
    release["spec"]["fleet"]["hosts"]["selector"]["tags"]["app"] = json!(name);
    let place = Place::new("others", name);
    world.releases.apply(&place, &release).await?;
    Ok(place)
}

pub(super) async fn e2(world: &World) -> Outcome {
    world.releases.namespace("others").await?;
    for number in 0..MANY {
        let name = format!("missing-{number}");
        missing(world, &name).await?;
    }
    // They have been looked at, and are looked at again and again.
    tokio::time::sleep(Duration::from_secs(10)).await;
    a_good_one_goes_through(world).await
}

pub(super) async fn e3(world: &World) -> Outcome {
    world.releases.namespace("others").await?;
    let letters = "abcdefgh";
    let regions = letters
        .chars()
        .flat_map(|letter| (1..=8).map(move |digit| format!("zz-a{letter}-{digit}")));
    let mut taken = 0;
    for region in regions {
        let mut release = hosts(NEW_VERSION, &[8080]);
        release["spec"]["aws"] = json!({ "region": region });
        let place = Place::new("others", &region);
        let answer = world.releases.try_apply(&place, &release).await?;
        taken += usize::from(answer.status < 300);
    }
    world.note(&format!("{taken} of 64 were accepted"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    a_good_one_goes_through(world).await
}
