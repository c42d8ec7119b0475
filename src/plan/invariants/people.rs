//! What must hold of requests by people: S9 and S15.

use super::{Decided, Written, direction, doomed, in_place, living};
use crate::{Step, TargetId};
use bluegreen_api::{
    Color, Direction, Outcome, Phase, PromotionMode, Request, RequestOutcome, StepKind, Verb,
};

/// The request that was taken in this write, if one was, and if it named the last revision.
fn taken(written: &Written<'_>) -> Option<Verb> {
    let answer = written.after.last_request.as_ref()?;
    let news = written.before.last_request.as_ref() != Some(answer);
    let request: Request = answer.text.parse().ok()?;
    let meant = request.revision == written.before.revision;
    (news && meant && answer.outcome == RequestOutcome::Accepted).then_some(request.verb)
}

/// S15: what a person may ask for happens only when a person has asked for it, of this revision.
///
/// Needs the records before and after.
pub(super) fn s15_asked_for(written: &Written<'_>) -> Option<String> {
    let verb = taken(written);
    let (before, after) = (&written.before.course, &written.after.course);
    let (Some(before), Some(after)) = (before, after) else {
        return None;
    };
    let manual = written.spec.promotion.mode == PromotionMode::Manual && !in_place(written.spec);
    let turned = before.direction == Direction::Forward && after.direction == Direction::Back;
    let aborted = turned
        && after.outcome == Some(Outcome::Aborted)
        && written
            .after
            .green
            .as_ref()
            .and_then(|green| green.version.as_ref())
            == Some(&written.spec.version)
        && written.after.phase != Phase::Deleting;
    let unasked = [
        (
            before.paused_at.is_none() && after.paused_at.is_some() && verb != Some(Verb::Pause),
            "is paused",
        ),
        (
            before.paused_at.is_some()
                && after.paused_at.is_none()
                && verb != Some(Verb::Resume)
                && verb != Some(Verb::Abort),
            "is resumed",
        ),
        (
            manual
                && before.promoted_at.is_none()
                && after.promoted_at.is_some()
                && verb != Some(Verb::Promote),
            "is promoted",
        ),
        (
            !turned && before.promoted_at.is_some() && after.promoted_at.is_none(),
            "is not promoted any more",
        ),
        (aborted && verb != Some(Verb::Abort), "is aborted"),
    ];
    let (_, what) = unasked.into_iter().find(|(unasked, _)| *unasked)?;
    Some(format!(
        "revision {} {what}, and nobody has asked for it",
        written.before.revision
    ))
}

/// S15: with `promotion.mode: Manual`, nothing old is withdrawn or stopped on the way forward
/// before a person has said so.
///
/// Needs the spec, the effect and the record that is written with it. A release that is deleted and
/// cannot turn back has no other way.
pub(super) fn s15_promoted_first(decided: &Decided<'_>) -> Option<String> {
    let status = &decided.decision.status;
    let course = status.course.as_ref()?;
    let unsaid = decided.spec.promotion.mode == PromotionMode::Manual
        && !in_place(decided.spec)
        && course.direction == Direction::Forward
        && course.promoted_at.is_none()
        && status.phase != Phase::Deleting;
    if !unsaid {
        return None;
    }
    let begun = match &decided.decision.step {
        Some(Step::Deregister { targets, .. }) => targets
            .iter()
            .any(|target| living(status, target, Color::Blue).is_some()),
        Some(Step::Send(command)) => {
            command.kind == StepKind::Stop && !ends_what_was_meant_to_end(decided)
        }
        Some(Step::Terminate { .. }) => !ends_what_was_meant_to_end(decided),
        Some(Step::Claim { .. } | Step::RemoveFinalizer | Step::Register { .. }) | None => false,
    };
    begun.then(|| "an old target is given up, and nobody has promoted the new".to_owned())
}

/// S15: while a release is paused nothing is begun: only a stop that was intended before is asked
/// for again.
///
/// Needs the spec, the effect and both records.
pub(super) fn s15_paused(decided: &Decided<'_>) -> Option<String> {
    let status = &decided.decision.status;
    let course = status.course.as_ref()?;
    let paused = decided.spec.paused || course.paused_at.is_some();
    let begins = match decided.decision.step.as_ref()? {
        Step::RemoveFinalizer => false,
        // A target that was withdrawn is put back, paused or not: enough must serve.
        Step::Register { targets, .. } => !targets.iter().all(|id| withdrawn(decided, id)),
        Step::Deregister { .. } => true,
        Step::Claim { .. } | Step::Send(_) | Step::Terminate { .. } => {
            !ends_what_was_meant_to_end(decided)
        }
    };
    (paused && begins && status.phase != Phase::Deleting)
        .then(|| "something is begun while the release is paused".to_owned())
}

/// Whether a target was in service before, and is withdrawn.
fn withdrawn(decided: &Decided<'_>, id: &TargetId) -> bool {
    let mut records = decided.before.targets.iter();
    records.any(|target| {
        let was = target.steps.healthy.is_some() || !target.drain.is_empty();
        target.id == id.id && target.port == id.port && was
    })
}

/// Whether an effect does nothing but stop what was to be stopped before.
fn ends_what_was_meant_to_end(decided: &Decided<'_>) -> bool {
    let meant = |id: &str| {
        let mut known = decided.before.targets.iter();
        known.any(|target| target.id == id && doomed(target))
    };
    match &decided.decision.step {
        Some(Step::Send(command)) if command.kind == StepKind::Stop => {
            command.instances.iter().all(|id| meant(id))
        }
        Some(Step::Terminate { instances }) => instances.iter().all(|id| meant(id)),
        Some(
            Step::Send(_)
            | Step::Claim { .. }
            | Step::RemoveFinalizer
            | Step::Register { .. }
            | Step::Deregister { .. },
        )
        | None => false,
    }
}

/// S9: what went back because it failed, or because somebody asked for that, is not begun again for
/// the same spec until somebody asks.
///
/// Needs the records before and after.
pub(super) fn s9_not_again_unasked(written: &Written<'_>) -> Option<String> {
    let (before, after) = (written.before, written.after);
    let generation = after.observed_generation;
    let went_back = before.course.as_ref().filter(|course| {
        course.direction == Direction::Back
            && after.course.is_none()
            && Some(course.generation) == generation
    });
    let green = before
        .green
        .as_ref()
        .and_then(|green| green.version.as_ref());
    let given_up = went_back.is_some_and(|course| match course.outcome {
        Some(Outcome::RolledBack) | None => true,
        Some(Outcome::Aborted) => green == Some(&written.spec.version),
        Some(Outcome::Promoted | Outcome::Superseded) => false,
    });
    if given_up && after.failed_generation != generation {
        return Some("a release that went back would be begun again by itself".to_owned());
    }
    let known = generation.is_some() && before.failed_generation == generation;
    let forgotten = known && after.failed_generation != generation;
    (forgotten && taken(written) != Some(Verb::Retry) && direction(before).is_none())
        .then(|| "a release that went back is begun again, and nobody has asked for it".to_owned())
}
