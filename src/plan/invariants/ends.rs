//! What must hold where something ends: S2, S6 and S14.

use super::{AtRest, Decided, Written, doomed, id, same};
use crate::{Reading, Step, limits::FENCE};
use bluegreen_api::{Color, DrainTimeoutPolicy, StepKind, TargetStatus};

/// S14: what is stopped is proven to be drained, in status, in every group; or, with
/// `drain.onTimeout: Proceed`, it is noted that there is no proof.
///
/// Needs the effect and the record that is written with it.
pub(super) fn s14_proof_in_status(decided: &Decided<'_>) -> Option<String> {
    let proceed = decided.spec.drain.on_timeout == DrainTimeoutPolicy::Proceed;
    stopped(decided)
        .find(|target| {
            let steps = &target.steps;
            steps.drained.is_none() && !(proceed && steps.unproven.is_some())
        })
        .map(|target| format!("{} is stopped without a proof of drain", id(target)))
}

/// S2: the very observation that the decision to stop rests on, and one that is older by an
/// operation timeout, found the target withdrawn in every group.
///
/// Needs the observation, the effect and the record.
pub(super) fn s2_withdrawn_twice(decided: &Decided<'_>) -> Option<String> {
    let observation = decided.observation;
    stopped(decided).find_map(|target| {
        let id = id(target);
        let listed = observation.groups.iter().any(|group| match group {
            Reading::Known(group) => group.registered(&id),
            Reading::Unknown(_) => true,
        });
        if listed {
            return Some(format!("{id} is stopped while a group lists it"));
        }
        let since = target.steps.deregistered.as_ref().map(|step| step.at);
        since
            .is_none_or(|since| observation.began_at < since + FENCE)
            .then(|| format!("{id} is stopped after a single reading"))
    })
}

/// The records of the targets that the decision stops.
fn stopped<'a>(decided: &Decided<'a>) -> impl Iterator<Item = &'a TargetStatus> {
    let kind = match &decided.decision.step {
        Some(Step::Send(command)) if command.kind == StepKind::Stop => Some(StepKind::Stop),
        Some(Step::Terminate { .. }) => Some(StepKind::Terminate),
        Some(
            Step::Send(_)
            | Step::Claim { .. }
            | Step::RemoveFinalizer
            | Step::Register { .. }
            | Step::Deregister { .. },
        )
        | None => None,
    };
    let status = &decided.decision.status;
    let intended = status.intent.as_ref();
    let targets: &[TargetStatus] = if kind.is_some() { &status.targets } else { &[] };
    targets
        .iter()
        .filter(|target| target.steps.terminated.is_none())
        .filter(move |target| target.process.as_ref().map(|p| p.step) == kind)
        .filter(move |target| {
            let id = id(target).to_string();
            intended.is_some_and(|intent| intent.targets.contains(&id))
        })
}

/// S6: no target is forgotten, none is doubled, and none is left over in the end.
///
/// Needs the records before and after. A port carries one process, so two records of it cannot
/// both live: that also bounds what lives to the ports that the fleet has. A record goes only
/// when its target has ended, for nobody would stop a process that nobody knows of. When a
/// release ends, everything that lives is of the version that is live. Instances that others
/// create are others' to count: only the first of these is asked of them.
pub(super) fn s6_conserved(written: &Written<'_>) -> Option<String> {
    let after = written.after;
    let lives = |target: &&TargetStatus| target.steps.terminated.is_none();
    let mut rest = after.targets.as_slice();
    while let Some((target, others)) = rest.split_first() {
        rest = others;
        let twin = |other: &TargetStatus| other.port == target.port && other.id == target.id;
        if lives(&target) && others.iter().filter(lives).any(twin) {
            return Some(format!("{} has two records that live", id(target)));
        }
    }
    if written.spec.fleet.existing.is_some() {
        return None;
    }
    // What others had registered beside a target of the release, and have deregistered, is not its.
    let others = |target: &TargetStatus| {
        let mut stay = after.targets.iter().filter(lives);
        let beside = stay.any(|other| other.id == target.id && other.port != target.port);
        let unused = target.process.is_none() && target.steps.healthy.is_none();
        written.before.course.is_none() && unused && beside
    };
    let mut known = written.before.targets.iter().filter(lives);
    if let Some(lost) = known.find(|target| same(after, target).is_none() && !others(target)) {
        return Some(format!("{} lives, and its record is gone", id(lost)));
    }
    let ended = written.before.course.is_some() && after.course.is_none();
    if !ended {
        return None;
    }
    let live = after.blue.as_ref().map(|blue| blue.revision);
    let left = after.targets.iter().filter(lives).find(|target| {
        target.color != Color::Blue || Some(target.revision) != live || doomed(target)
    })?;
    Some(format!("{} is left over when the release ends", id(left)))
}

/// S6: at rest everything that serves runs the version that is live, and on hosts nothing else
/// runs.
///
/// Needs the truth: asked by whoever knows it, when a release rests and nothing is on its way.
/// Says nothing where nobody knows which version is live.
pub(super) fn s6_nothing_left_over(at_rest: &AtRest<'_>) -> Option<String> {
    let blue = at_rest.status.blue.as_ref();
    let live = blue.and_then(|blue| blue.version.as_ref())?;
    let hosts = at_rest.spec.fleet.hosts.is_some();
    at_rest.truth.iter().find_map(|port| {
        let (target, runs) = (&port.target, &port.runs);
        if port.registered && runs.as_ref() != Some(live) {
            return Some(format!(
                "{target} is registered in the end and runs {runs:?}, while {live} is live"
            ));
        }
        (hosts && runs.is_some() && !port.registered)
            .then(|| format!("{runs:?} is left running, unregistered, on {target}"))
    })
}
