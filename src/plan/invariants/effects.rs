//! What must hold of the effect itself: S5, S8, S10, S12, S13 and S16.

use super::{Decided, concerned, decided_at, doomed, id, living, same};
use crate::{
    CommandState, Group, Health, Invocation, Reading, SendCommand, Step, TargetId, limits::FENCE,
};
use bluegreen_api::{Color, Duration, StepKind, TargetStatus, Time};

/// S5: an effect concerns only instances that the selector finds in the same observation, and
/// only target groups that the spec names.
///
/// Needs the observation and the effect. The selector is a set of tags: an instance that lost
/// them is not this release's any more, whatever the record says of it. That the cloud itself
/// refuses what is not ours is a matter of permissions (`docs/aws-iam.md`).
pub(super) fn s5_only_what_is_ours(decided: &Decided<'_>) -> Option<String> {
    let step = decided.decision.step.as_ref()?;
    if let Step::Register { group, .. } | Step::Deregister { group, .. } = step
        && *group >= decided.spec.traffic.registration.target_groups.len()
    {
        return Some(format!("the spec names no target group number {group}"));
    }
    let fleet = decided.observation.fleet.known()?;
    let stray = concerned(step)
        .into_iter()
        .find(|id| fleet.iter().all(|instance| instance.id != **id))?;
    Some(format!(
        "an effect concerns {stray}, which the selector does not find"
    ))
}

/// S8: no effect is repeated before its outcome is known or its timeout is over, and none is made
/// whose goal is reached.
///
/// Needs the observation, the effect and the record before it.
pub(super) fn s8_nothing_twice(decided: &Decided<'_>) -> Option<String> {
    let now = decided_at(decided);
    let group = |index: usize| decided.observation.groups.get(index)?.known();
    match decided.decision.step.as_ref()? {
        Step::Claim { .. } | Step::RemoveFinalizer => None,
        Step::Register { group: at, targets } => {
            let group = group(*at)?;
            targets
                .iter()
                .find_map(|target| registered_twice(decided, group, target, now))
        }
        Step::Deregister { group: at, targets } => {
            let group = group(*at)?;
            targets
                .iter()
                .find_map(|target| withdrawn_twice(decided, group, target, now))
        }
        Step::Send(command) => sent_twice(decided, command, now),
        Step::Terminate { instances } => instances.iter().find_map(|instance| {
            let mut records = decided.before.targets.iter();
            let process = records.find(|t| t.id == *instance)?.process.as_ref()?;
            let lately = process.step == StepKind::Terminate && now < process.sent_at + FENCE;
            lately.then(|| format!("{instance} is terminated again too soon"))
        }),
    }
}

/// The records of a target that have not ended.
fn records<'a>(decided: &Decided<'a>, target: &TargetId) -> impl Iterator<Item = &'a TargetStatus> {
    let before = decided.before;
    [Color::Blue, Color::Green]
        .into_iter()
        .filter_map(|color| living(before, target, color))
        .collect::<Vec<_>>()
        .into_iter()
}

fn registered_twice(
    decided: &Decided<'_>,
    group: &Group,
    target: &TargetId,
    now: Time,
) -> Option<String> {
    let lately = records(decided, target)
        .flat_map(|record| &record.registrations)
        .filter(|registration| registration.group == group.name)
        .filter_map(|registration| registration.requested_at)
        .any(|at| now < at + FENCE);
    if lately {
        return Some(format!(
            "{target} is registered in {} again too soon",
            group.name
        ));
    }
    let withdrawn = records(decided, target)
        .flat_map(|record| &record.drain)
        .any(|drain| drain.group == group.name);
    (group.registered(target) && !withdrawn)
        .then(|| format!("{target} is registered in {}, which lists it", group.name))
}

fn withdrawn_twice(
    decided: &Decided<'_>,
    group: &Group,
    target: &TargetId,
    now: Time,
) -> Option<String> {
    if group.targets.get(target) == Some(&Health::Draining) {
        return Some(format!("{target} is deregistered while it drains"));
    }
    let mut drains = records(decided, target).flat_map(|record| &record.drain);
    let drain = drains.find(|drain| drain.group == group.name)?;
    let withdrawn = drain.draining_seen_at.is_some() || drain.gone_seen_at.is_some();
    let lately = drain.requested_at.is_some_and(|at| now < at + FENCE);
    (lately || (withdrawn && !group.registered(target)))
        .then(|| format!("{target} is deregistered from {} again", group.name))
}

/// A second command of a kind is sent only where the first is known to have failed, or, under
/// its own operation id, where nobody knows of it after its timeout.
fn sent_twice(decided: &Decided<'_>, command: &SendCommand, now: Time) -> Option<String> {
    let concerns = |target: &&TargetStatus| {
        let process = target.process.as_ref();
        process.is_some_and(|process| process.operation == command.operation)
            && command.instances.contains(&target.id)
    };
    let mut targets = decided.decision.status.targets.iter().filter(concerns);
    targets.find_map(|target| {
        let record = same(decided.before, target)?;
        if command.kind == StepKind::Stop && record.steps.terminated.is_some() {
            return Some(format!("{} has ended and is stopped", id(target)));
        }
        let earlier = record.process.as_ref().filter(|p| p.step == command.kind)?;
        let again = earlier.operation == command.operation;
        let failed = match decided.observation.commands.get(&earlier.operation) {
            Some(Reading::Known(CommandState::Absent)) => again,
            Some(Reading::Known(CommandState::Sent(sent))) => match sent.get(&target.id) {
                Some(Invocation::Running | Invocation::Succeeded { .. }) => false,
                Some(Invocation::Failed { .. } | Invocation::NotDelivered { .. }) | None => true,
            },
            Some(Reading::Unknown(_)) | None => false,
        };
        let ended = record.steps.terminated.is_some();
        (!ended && (!failed || now < earlier.sent_at + FENCE)).then(|| {
            let (kind, before) = (command.kind.as_str(), &earlier.operation);
            format!("{kind} is sent to {} again after {before}", id(target))
        })
    })
}

/// S10: an effect concerns only targets that are in the record, and says so in its intent.
///
/// Needs the effect and the record that is written with it.
pub(super) fn s10_only_recorded_targets(decided: &Decided<'_>) -> Option<String> {
    let status = &decided.decision.status;
    let step = decided.decision.step.as_ref()?;
    let kind = match step {
        Step::Claim { .. } | Step::RemoveFinalizer => return None,
        Step::Register { .. } => StepKind::Register,
        Step::Deregister { .. } => StepKind::Deregister,
        Step::Send(command) => command.kind,
        Step::Terminate { .. } => StepKind::Terminate,
    };
    let Some(intent) = status.intent.as_ref().filter(|i| i.step == kind) else {
        return Some(format!("{} has no intent", kind.as_str()));
    };
    let stray = concerned(step).into_iter().find(|id| {
        let recorded = status.targets.iter().any(|target| target.id == **id);
        let mut intended = intent.targets.iter();
        !recorded || !intended.any(|t| t.strip_prefix(*id).is_some_and(|t| t.starts_with(':')))
    })?;
    Some(format!(
        "{} concerns {stray}, which is not in the record",
        kind.as_str()
    ))
}

/// The longest pause that is demanded after failures in a row.
const PAUSE_LONGEST: u64 = 30;

/// S12: after failures in a row there is a pause before the next effect, of at least a second for
/// each of them, and a pass that moves nothing does not ask for the next at once.
///
/// Needs the observation, the decision and the record before it.
pub(super) fn s12_pauses(decided: &Decided<'_>) -> Option<String> {
    let decision = decided.decision;
    match &decision.step {
        Some(Step::Claim { .. } | Step::RemoveFinalizer) => None,
        Some(
            Step::Register { .. }
            | Step::Deregister { .. }
            | Step::Send(_)
            | Step::Terminate { .. },
        ) => {
            let last = decided.observation.last_effect.as_ref()?;
            let pause = Duration::from_secs(u64::from(last.failures).min(PAUSE_LONGEST));
            (decided_at(decided) < last.at + pause).then(|| {
                format!(
                    "an effect follows {} failures without a pause",
                    last.failures
                )
            })
        }
        None => {
            let at_once = decision.look_at <= decided.observation.began_at;
            let moved = || {
                decided.before.course != decision.status.course
                    || decided.before.targets != decision.status.targets
            };
            (at_once && !moved()).then(|| "a pass that moves nothing does not rest".to_owned())
        }
    }
}

/// S13: no reading, no effect on the cloud; and what is on its way is let go only with one.
///
/// Needs the observation, the effect and the record that is written with it.
pub(super) fn s13_no_effect_without_sight(decided: &Decided<'_>) -> Option<String> {
    let observation = decided.observation;
    let unknown = |group: &Reading<Group>| group.known().is_none();
    let blind = observation.fleet.known().is_none() || observation.groups.iter().any(unknown);
    let status = &decided.decision.status;
    let stopping = |target: &TargetStatus| doomed(target) && target.steps.terminated.is_none();
    let rests = status.course.is_none() && !status.targets.iter().any(stopping);
    let needs_sight = match decided.decision.step.as_ref()? {
        Step::RemoveFinalizer => !rests,
        Step::Claim { .. }
        | Step::Register { .. }
        | Step::Deregister { .. }
        | Step::Send(_)
        | Step::Terminate { .. } => true,
    };
    (blind && needs_sight).then(|| "an effect rests on a reading that failed".to_owned())
}

/// S16: nothing is done to a target that is in the record of a release which comes first, but that
/// what lives is registered where no target is healthy.
///
/// Needs the observation and the effect.
pub(super) fn s16_one_owner(decided: &Decided<'_>) -> Option<String> {
    let step = decided.decision.step.as_ref()?;
    let named: Vec<TargetId> = match step {
        Step::Register { targets, .. } | Step::Deregister { targets, .. } => targets.clone(),
        Step::Claim { .. } | Step::RemoveFinalizer | Step::Send(_) | Step::Terminate { .. } => {
            Vec::new()
        }
    };
    let hosts = match step {
        Step::Send(_) | Step::Terminate { .. } => concerned(step),
        Step::Claim { .. }
        | Step::RemoveFinalizer
        | Step::Register { .. }
        | Step::Deregister { .. } => Vec::new(),
    };
    let claims = decided.observation.claims.iter();
    let (claim, target) = claims
        .flat_map(|claim| claim.targets.iter().map(move |target| (claim, target)))
        .find(|(_, target)| named.contains(target) || hosts.contains(&target.id.as_str()))?;
    let none_serves = |index: usize| {
        let group = decided.observation.groups.get(index)?.known()?;
        let mut listed = group.targets.values();
        Some(!listed.any(|health| *health == Health::Healthy))
    };
    match step {
        Step::Register { group, .. } if none_serves(*group) == Some(true) => None,
        Step::Register { .. }
        | Step::Deregister { .. }
        | Step::Send(_)
        | Step::Terminate { .. }
        | Step::Claim { .. }
        | Step::RemoveFinalizer => Some(format!(
            "{target} belongs to release {}, which comes first",
            claim.release
        )),
    }
}
