//! What must hold, and what an end is.

use bluegreen_api::BlueGreenReleaseStatus;
use bluegreen_plan::{Decision, Observation, Release, invariants};

use super::{
    scenario::{Scenario, version},
    world::World,
};

/// What a decision breaks.
pub(super) fn broken(
    release: &Release,
    before: &BlueGreenReleaseStatus,
    observation: &Observation,
    decision: &Decision,
) -> Option<String> {
    invariants::broken(&release.spec, before, observation, decision)
        .map(|violation| violation.to_string())
}

/// Whether nothing is left to do: the release rests, and nothing of it is on its way.
pub(super) fn ended(release: &Release, status: &BlueGreenReleaseStatus, world: &World) -> bool {
    if release.deleting {
        return !release.finalizer;
    }
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    let done = live == Some(&release.spec.version)
        || status.failed_generation == Some(release.generation)
        || nobody_runs(release, world);
    status.course.is_none() && done && world.commands.iter().all(|sent| sent.done)
}

/// Whether the first version that was asked for is live, without another having been asked for.
pub(super) fn promoted(release: &Release, status: &BlueGreenReleaseStatus) -> bool {
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    release.generation == 1 && live == Some(&release.spec.version)
}

/// Whether the world is as an end says it is: every live target runs the live version and is
/// healthy everywhere, and on hosts nothing else runs.
pub(super) fn wrong_end(
    scenario: &Scenario,
    status: &BlueGreenReleaseStatus,
    world: &World,
) -> Option<String> {
    let live = status
        .blue
        .as_ref()
        .and_then(|blue| blue.version.as_ref())?;
    let hosts = scenario.spec.fleet.hosts.is_some();
    for (index, slot) in world.slots.iter().enumerate() {
        let runs = slot.process.map(version);
        let serves = slot.regs.iter().any(|reg| reg.registered());
        if serves && runs.as_ref() != Some(live) {
            return Some(format!(
                "{} is registered in the end and runs {runs:?}, while {live} is live",
                world.target(index)
            ));
        }
        if hosts && runs.is_some() && !serves {
            return Some(format!(
                "{runs:?} is left running, unregistered, on {}",
                world.target(index)
            ));
        }
    }
    let healthy = |group: usize| world.healthy_in(group);
    (0..scenario.groups)
        .find(|group| healthy(*group) < scenario.hosts)
        .map(|group| format!("only {} targets are healthy in the end", healthy(group)))
}

/// Whether the release waits for others: they create the instances, and none runs the version.
fn nobody_runs(release: &Release, world: &World) -> bool {
    let runs = |number: u8| version(number) == release.spec.version;
    release.spec.fleet.existing.is_some()
        && !world
            .slots
            .iter()
            .any(|slot| slot.process.is_some_and(runs))
}
