//! What must hold, and what an end is.

use bluegreen_api::{BlueGreenReleaseStatus, StepKind, TargetStatus};
use bluegreen_plan::{
    Decision, Observation, Release,
    invariants::{self, AtRest, Decided, Invariant, TruePort},
};

use super::{
    scenario::{Scenario, version},
    world::World,
};

/// Every invariant but the one that is left out, for the question whether another would notice.
fn all(but: Option<&str>) -> impl Iterator<Item = &'static Invariant> {
    invariants::ALL
        .iter()
        .filter(move |invariant| Some(invariant.code) != but)
}

/// What a decision breaks.
pub(super) fn broken(
    release: &Release,
    before: &BlueGreenReleaseStatus,
    observation: &Observation,
    decision: &Decision,
    but: Option<&str>,
) -> Option<String> {
    let decided = Decided {
        spec: &release.spec,
        before,
        observation,
        decision,
    };
    let violation = all(but).find_map(|invariant| invariant.of(&decided))?;
    Some(violation.to_string())
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

/// Whether a target's stop was intended and has not ended.
pub(super) fn stopping(target: &TargetStatus) -> bool {
    let process = target.process.as_ref();
    let stop = process.is_some_and(|process| match process.step {
        StepKind::Stop | StepKind::Terminate => !process.undone,
        StepKind::Start | StepKind::Register | StepKind::Deregister => false,
    });
    stop && target.steps.terminated.is_none()
}

/// Whether the first version that was asked for is live, without another having been asked for.
pub(super) fn promoted(release: &Release, status: &BlueGreenReleaseStatus) -> bool {
    let live = status.blue.as_ref().and_then(|blue| blue.version.as_ref());
    release.generation == 1 && live == Some(&release.spec.version)
}

/// Whether the world is as an end says it is, where others have not made it so: nothing is left over, and every group has its
/// healthy targets.
pub(super) fn wrong_end(
    scenario: &Scenario,
    status: &BlueGreenReleaseStatus,
    world: &World,
    but: Option<&str>,
) -> Option<String> {
    status.blue.as_ref()?.version.as_ref()?;
    // Of an instance that is not the release's, no end says anything.
    if world.untagged.contains(&true) || world.meddled {
        return None;
    }
    let ports = world
        .slots
        .iter()
        .enumerate()
        .map(|(index, slot)| TruePort {
            target: world.target(index),
            runs: slot.process.map(version),
            registered: slot.regs.iter().any(|reg| reg.registered()),
        });
    let truth: Vec<TruePort> = ports.collect();
    let at_rest = AtRest {
        spec: &scenario.spec,
        status,
        truth: &truth,
    };
    if let Some(violation) = all(but).find_map(|invariant| invariant.of_rest(&at_rest)) {
        return Some(violation.to_string());
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
        && !(0..world.tags.len()).any(|index| !world.terminated[index] && runs(world.tags[index]))
}
