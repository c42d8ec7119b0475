//! The next effect: bring up what is kept, withdraw and stop what leaves.
//!
//! The order is the safety of it. What is kept and still lives is registered before anything
//! else, so that rolling back first un-drains; what leaves is stopped only with proof; it is
//! withdrawn only while enough others are in service; and what is new is started last.

mod command;
mod deregister;
mod note;
mod register;
mod start;
mod stop;

pub(super) use command::{fence_of, starting};
pub(super) use deregister::withheld_until;
pub(super) use stop::{STOP_RESERVE, all_in_service, still_registered, stoppable_at, vouched_from};

use super::{Step, TargetId, commands, limits::BACKOFF_LONGEST, pass::Pass, world::World};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Duration, Intent, StepKind, TargetStatus, Time,
};

/// Chooses the next effect and writes its intent into status.
pub(super) fn next(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if !pass.release.finalizer || commands::unnoted(pass, status) {
        let stops = note::open(pass);
        return Some(Step::Claim {
            commands: commands::to_note(pass, status, &stops),
            stops,
            noted: None,
        });
    }
    if backing_off(pass).is_some() {
        return None;
    }
    register::register(pass, world, status)
        .or_else(|| stop::stop(pass, world, status))
        .or_else(|| deregister::deregister(pass, world, status))
        .or_else(|| start::start(pass, world, status))
}

/// Finishes what cannot be taken back, and begins nothing: a stop that was intended may be under
/// way, whatever a person has asked for since.
pub(super) fn finish(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if !pass.release.finalizer || backing_off(pass).is_some() {
        return None;
    }
    stop::finish(pass, world, status)
}

/// Until when no effect is tried, because the last ones failed.
pub(super) fn backing_off(pass: &Pass<'_>) -> Option<Time> {
    let last = pass.observation.last_effect.as_ref()?;
    let doubled = Duration::from_secs(1).times(1 << last.failures.min(6));
    let until = last.at + doubled.min(BACKOFF_LONGEST);
    (pass.now < until).then_some(until)
}

/// Writes an intent down and returns its id.
fn intend(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    step: StepKind,
    group: Option<&str>,
    targets: &[TargetId],
) -> String {
    let operation = Operation::next(pass, status, step);
    intend_as(pass, status, &operation, step, group, targets);
    operation.id
}

/// What an effect is called: its fence is higher than that of any before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Operation {
    id: String,
    fence: u64,
}

impl Operation {
    /// The next.
    fn next(pass: &Pass<'_>, status: &BlueGreenReleaseStatus, step: StepKind) -> Self {
        let time = u64::try_from(pass.now.as_millis()).unwrap_or(0);
        // What was noted status cannot take back: no operation gets the number of another.
        let noted = note::numbers(&pass.release.stops);
        let last = noted.chain(last_fence(pass, status)).max();
        let fence = last.map_or(time, |last| time.max(last.saturating_add(1)));
        let fence = command::of_kind(step, fence);
        let step = step.as_str().to_lowercase();
        let (uid, revision) = (&pass.release.uid, status.revision);
        Self {
            id: format!("bg-{uid}-r{revision}-{step}-{fence}"),
            fence,
        }
    }
}

/// The fence of the last intent. Status is anybody's text: one that no planner can have written is none.
fn last_fence(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> Option<u64> {
    Some(status.fence).filter(|fence| *fence < command::fence_most(pass.now))
}

/// Writes an intent down whose operation was chosen before.
fn intend_as(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    operation: &Operation,
    step: StepKind,
    group: Option<&str>,
    targets: &[TargetId],
) {
    status.fence = operation.fence;
    status.intent = Some(Intent {
        id: operation.id.clone(),
        step,
        at: pass.now,
        targets: targets.iter().map(ToString::to_string).collect(),
        group: group.map(ToOwned::to_owned),
    });
}

fn target_mut<'a>(
    status: &'a mut BlueGreenReleaseStatus,
    id: &TargetId,
    color: Color,
) -> Option<&'a mut TargetStatus> {
    status.targets.iter_mut().find(|target| {
        target.color == color
            && target.id == id.id
            && target.port == id.port
            && target.steps.terminated.is_none()
    })
}
