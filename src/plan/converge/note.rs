//! Notes a stop beside the finalizer before it is asked for.
//!
//! What a process has sent it knows no longer than it lives, and status is anybody's text. Whoever
//! goes on in its place learns from the note which targets may be about to end, and does not bring
//! one of them back into service before that is over (`docs/adr/0007`).

use super::{
    Operation,
    command::{fence_of, resent, stopped_together},
    last_fence,
};
use crate::{Step, TargetId, limits::NOTED_LONGEST, pass::Pass, world::id_of};
use bluegreen_api::{BlueGreenReleaseStatus, NotedStop, StepKind, TargetStatus};

/// How a target's stop is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Noted {
    /// With an operation that this process has noted and not sent yet.
    New(Operation),
    /// With the operation before, which nobody has seen arrive, and which is sent again.
    Again(String),
}

/// How a target's stop is noted, with which it may be sent; `None` where it has to be noted first.
pub(super) fn noted(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<Noted> {
    let mut noted = of(pass, StepKind::Stop, target);
    if let Some(again) = resent(pass, target, StepKind::Stop) {
        let known = noted.any(|stop| stop.operation == again);
        return known.then_some(Noted::Again(again));
    }
    let mut noted = noted.filter_map(|stop| unused(pass, status, stop));
    noted.next().map(Noted::New)
}

/// The operation of a note that this process has written and not used yet, where nothing was intended
/// since.
fn unused(pass: &Pass<'_>, status: &BlueGreenReleaseStatus, stop: &NotedStop) -> Option<Operation> {
    let own = pass.observation.witness.has_noted(&stop.operation);
    let fence: u64 = fence_of(&stop.operation).parse().ok().filter(|_| own)?;
    let last = last_fence(pass, status);
    last.is_none_or(|last| fence > last).then(|| Operation {
        id: stop.operation.clone(),
        fence,
    })
}

/// Notes the stop of the first of some targets, and of all that one command can stop with it.
pub(super) fn stop(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    ready: &[TargetStatus],
) -> Option<Step> {
    let first = ready.first()?;
    let again = resent(pass, first, StepKind::Stop);
    let alike = ready
        .iter()
        .filter(|target| stopped_together(target, first))
        .filter(|target| resent(pass, target, StepKind::Stop) == again);
    let operation = again.clone();
    let operation = operation.unwrap_or_else(|| Operation::next(pass, status, StepKind::Stop).id);
    Some(note(pass, operation, StepKind::Stop, alike))
}

/// The operation with which the end of a target's instance is noted, and may be asked for.
pub(super) fn end_noted(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<Operation> {
    let mut noted = of(pass, StepKind::Terminate, target);
    noted.find_map(|stop| unused(pass, status, stop))
}

/// Notes the end of instances.
pub(super) fn end(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    ready: &[TargetStatus],
) -> Step {
    let operation = Operation::next(pass, status, StepKind::Terminate).id;
    note(pass, operation, StepKind::Terminate, ready.iter())
}

fn note<'a>(
    pass: &Pass<'_>,
    operation: String,
    step: StepKind,
    targets: impl Iterator<Item = &'a TargetStatus>,
) -> Step {
    let targets: Vec<String> = targets.map(|target| id_of(target).to_string()).collect();
    let mut stops = open(pass);
    if step == StepKind::Terminate {
        // Nobody asks with which operation an instance ended: the newest note says all.
        let old = stops.iter_mut().filter(|stop| stop.step == step);
        old.for_each(|stop| stop.targets.retain(|target| !targets.contains(target)));
        stops.retain(|stop| !stop.targets.is_empty());
    }
    stops.push(NotedStop {
        operation,
        step,
        at: pass.now,
        targets,
    });
    Step::Claim {
        // What was noted of commands when the release began stays as it is.
        commands: pass.release.commands.clone(),
        stops,
    }
}

/// What is noted and may still be under way, as far as this process knows.
pub(super) fn open(pass: &Pass<'_>) -> Vec<NotedStop> {
    let stops = pass.release.stops.iter().filter_map(|stop| {
        let mut open = stop.clone();
        open.targets.retain(|target| {
            let target: Option<TargetId> = target.parse().ok();
            target.is_some_and(|target| pass.observation.witness.sent(stop, &target))
        });
        (!open.targets.is_empty()).then_some(open)
    });
    stops.collect()
}

/// What is noted of a target, and counts for as long as anything takes that is asked for now.
fn of<'a>(
    pass: &Pass<'a>,
    step: StepKind,
    target: &TargetStatus,
) -> impl Iterator<Item = &'a NotedStop> {
    let id = id_of(target).to_string();
    let now = pass.now;
    pass.release
        .stops
        .iter()
        .filter(move |stop| stop.step == step && now < stop.at + NOTED_LONGEST)
        .filter(move |stop| stop.targets.contains(&id))
}
