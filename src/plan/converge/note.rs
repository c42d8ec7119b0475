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
use crate::{
    Step, TargetId, commands, limits::NOTED_LONGEST, pass::Pass, roles::revision_of, world::id_of,
};
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
    let process = process(pass, status, target)?;
    let noted = of(pass, StepKind::Stop, target);
    let noted: Vec<&NotedStop> = noted.filter(|stop| stop.process == process).collect();
    // Status says which one it was, and is anybody's text.
    let again = resent(pass, target, StepKind::Stop)
        .filter(|again| noted.iter().any(|stop| stop.operation == *again));
    let unused = || noted.iter().find_map(|stop| unused(pass, status, stop));
    again.map(Noted::Again).or_else(|| unused().map(Noted::New))
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
    let alike = ready
        .iter()
        .filter(|target| stopped_together(target, first));
    let stop = NotedStop {
        operation: Operation::next(pass, status, StepKind::Stop).id,
        step: StepKind::Stop,
        process: process(pass, status, first)?,
        at: pass.now,
        targets: alike.map(|target| id_of(target).to_string()).collect(),
    };
    Some(claim(pass, open(pass), stop))
}

/// Whose process it is that a target's stop is about.
fn process(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<String> {
    let revision = revision_of(status, target)?;
    let commands = commands::of(pass, status, revision)?;
    Some(commands::process(pass, revision, &commands))
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
    let targets: Vec<String> = ready.iter().map(|t| id_of(t).to_string()).collect();
    let mut stops = open(pass);
    // Nobody asks with which operation an instance ended: the newest note says all.
    let old = stops
        .iter_mut()
        .filter(|stop| stop.step == StepKind::Terminate);
    old.for_each(|stop| stop.targets.retain(|target| !targets.contains(target)));
    let stop = NotedStop {
        operation,
        step: StepKind::Terminate,
        process: String::new(),
        at: pass.now,
        targets,
    };
    claim(pass, stops, stop)
}

fn claim(pass: &Pass<'_>, mut stops: Vec<NotedStop>, stop: NotedStop) -> Step {
    let noted = Some(stop.operation.clone());
    stops.push(stop);
    forget_closed(&mut stops);
    Step::Claim {
        // What was noted of commands when the release began stays as it is.
        commands: pass.release.commands.clone(),
        stops,
        noted,
    }
}

/// What is noted and may still be under way, as far as this process knows.
pub(super) fn open(pass: &Pass<'_>) -> Vec<NotedStop> {
    let mut stops = pass.release.stops.clone();
    for stop in &mut stops {
        let noted = stop.clone();
        stop.targets.retain(|target| {
            let target: Option<TargetId> = target.parse().ok();
            target.is_some_and(|target| pass.observation.witness.sent(&noted, &target))
        });
    }
    forget_closed(&mut stops);
    stops
}

/// Drops what is noted of no target any more, but for the last: its number must not be given again.
fn forget_closed(stops: &mut Vec<NotedStop>) {
    let last = numbers(&*stops).max();
    stops.retain(|stop| !stop.targets.is_empty() || numbers([stop]).max() == last);
}

/// The numbers at the ends of what is noted.
pub(super) fn numbers<'a>(
    stops: impl IntoIterator<Item = &'a NotedStop>,
) -> impl Iterator<Item = u64> {
    let stops = stops.into_iter();
    stops.filter_map(|stop| fence_of(&stop.operation).parse().ok())
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
