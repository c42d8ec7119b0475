//! The application's own port. It tells at once, and without a call to AWS, that a command has done its
//! work: a process that is to stop has closed it, and one that starts has opened it. That is no proof
//! of anything; it says when Systems Manager is worth asking.

use super::{Observation, TargetId, planned::of_the_fleet, world::id_of};
use bluegreen_api::{BlueGreenReleaseSpec, BlueGreenReleaseStatus, StepKind, TargetStatus};

/// The targets with a command on its way to their host, and whether the port is open until the
/// command has done its work.
fn commanded<'a>(
    spec: &'a BlueGreenReleaseSpec,
    status: &'a BlueGreenReleaseStatus,
) -> impl Iterator<Item = (&'a TargetStatus, bool)> {
    let living = status
        .targets
        .iter()
        .filter(|target| target.steps.terminated.is_none() && of_the_fleet(spec, target));
    living.filter_map(|target| {
        let process = target.process.as_ref().filter(|process| !process.undone)?;
        match process.step {
            StepKind::Start => process.running_at.is_none().then_some((target, false)),
            StepKind::Stop => Some((target, true)),
            StepKind::Terminate | StepKind::Register | StepKind::Deregister => None,
        }
    })
}

/// The targets whose port is worth a question.
pub(super) fn asked(spec: &BlueGreenReleaseSpec, status: &BlueGreenReleaseStatus) -> Vec<TargetId> {
    commanded(spec, status)
        .map(|(target, _)| id_of(target))
        .collect()
}

/// The ports whose change is worth a look before its time, with what they were when they were asked:
/// open or not.
#[must_use]
pub fn watched(
    spec: &BlueGreenReleaseSpec,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
) -> Vec<(TargetId, bool)> {
    commanded(spec, status)
        .map(|(target, open)| (id_of(target), open))
        .filter(|(target, open)| observation.ports.get(target) == Some(open))
        .collect()
}

/// The command to a target whose port says that it has not done its work yet.
pub(super) fn at_work(observation: &Observation, target: &TargetStatus) -> Option<StepKind> {
    let process = target.process.as_ref()?;
    let stopping = process.step == StepKind::Stop;
    let open = observation.ports.get(&id_of(target))?;
    (*open == stopping).then_some(process.step)
}
