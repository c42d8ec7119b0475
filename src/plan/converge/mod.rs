//! The next effect: bring up what is kept, withdraw and stop what leaves.
//!
//! The order is the safety of it. What is kept and still lives is registered before anything
//! else, so that rolling back first un-drains; what leaves is stopped only with proof; it is
//! withdrawn only while enough others are in service; and what is new is started last.

mod command;
mod deregister;
mod register;
mod start;
mod stop;

pub(super) use command::starting;
pub(super) use register::repair;
pub(super) use stop::{STOP_RESERVE, STOP_UNIT, still_registered, stoppable_at};

use super::{Step, TargetId, limits::BACKOFF_LONGEST, pass::Pass, revisions, world::World};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Duration, Intent, StepKind, TargetStatus, Time,
};

/// Chooses the next effect and writes its intent into status.
pub(super) fn next(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if !pass.release.finalizer || revisions::unkept(pass, status) {
        return Some(Step::Claim {
            revisions: revisions::to_keep(pass, status),
        });
    }
    if backing_off(pass).is_some() {
        return None;
    }
    register::register(pass, world, status)
        .or_else(|| register::put_back_leaving(pass, world, status))
        .or_else(|| stop::stop(pass, world, status))
        .or_else(|| deregister::deregister(pass, world, status))
        .or_else(|| start::start(pass, world, status))
}

/// Finishes what cannot be taken back, and begins nothing: a stop that was intended may be under
/// way, whatever a person has asked for since. Enough targets serve all the same.
pub(super) fn finish(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if !pass.release.finalizer || backing_off(pass).is_some() {
        return None;
    }
    register::put_back_leaving(pass, world, status).or_else(|| stop::finish(pass, world, status))
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
    let time = u64::try_from(pass.now.as_millis()).unwrap_or(0);
    let fence = time.max(status.fence.saturating_add(1));
    let kind = step.as_str().to_lowercase();
    let (uid, revision) = (&pass.release.uid, status.revision);
    let id = format!("bg-{uid}-r{revision}-{kind}-{fence}");
    status.fence = fence;
    status.intent = Some(Intent {
        id: id.clone(),
        step,
        at: pass.now,
        targets: targets.iter().map(ToString::to_string).collect(),
        group: group.map(ToOwned::to_owned),
    });
    id
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
