//! What must hold where traffic moves: S1, S3 and S4.
//!
//! Traffic moves when targets are withdrawn: the load balancer sends what they had to the others.

use super::{Decided, Written, direction, doomed, id, in_place, is, living};
use crate::{Health, InstanceState, Observation, Reading, Step, TargetId};
use bluegreen_api::{BlueGreenReleaseStatus, Color, Direction, StopHow, TargetStatus};

/// S1: a group that has a healthy target keeps one.
///
/// Needs the observation and the effect. A group in which nothing is healthy has nothing to keep:
/// the load balancer sends to all of its targets then.
pub(super) fn s1_no_black_hole(decided: &Decided<'_>) -> Option<String> {
    let Some(Step::Deregister { group, targets }) = &decided.decision.step else {
        return None;
    };
    let group = decided.observation.groups.get(*group)?.known()?;
    let mut healthy = group
        .targets
        .iter()
        .filter(|(_, health)| **health == Health::Healthy)
        .map(|(target, _)| target)
        .peekable();
    healthy.peek()?;
    let left = healthy.any(|target| !targets.contains(target));
    (!left).then(|| {
        format!(
            "no healthy target is left in {} without {targets:?}",
            group.name
        )
    })
}

/// S3: a target is recorded as healthy only after as many observations as the gate asks for,
/// spread over as long as it asks for, the last of them in this very pass.
///
/// Needs the records before and after. What was in service when it was first seen (recorded
/// with no observations) came through no gate.
pub(super) fn s3_the_whole_gate(written: &Written<'_>) -> Option<String> {
    let gate = &written.spec.health;
    written.after.targets.iter().find_map(|target| {
        let passed = target.steps.healthy.as_ref()?;
        let mut earlier = written.before.targets.iter().filter(|t| is(t, &id(target)));
        let known = earlier.clone().any(|t| t.steps.healthy.is_some());
        // One that others had registered before it was first seen.
        let adopted = passed.consecutive == 0 && target.color == Color::Blue;
        if known || adopted {
            return None;
        }
        let since = earlier
            .find_map(|t| t.health.as_ref())
            .map_or(passed.at, |progress| progress.since);
        let short =
            passed.consecutive < gate.consecutive || passed.at.since(since) < gate.stable_for;
        short.then(|| {
            format!(
                "{} counts as healthy after {} observations since {since}",
                id(target),
                passed.consecutive
            )
        })
    })
}

/// S3: on the way forward, old targets are withdrawn only while the new ones carry it.
///
/// Needs the observation, the effect and the record. Where both versions live side by side, every
/// new target must have passed its gate and be healthy in every group in this observation. Where
/// the application is recreated in place, as many targets must stay in service as
/// `rollout.maxUnavailable` leaves.
pub(super) fn s3_forward_onto_the_healthy(decided: &Decided<'_>) -> Option<String> {
    if direction(&decided.decision.status) != Some(Direction::Forward) {
        return None;
    }
    shifted_onto_the_healthy(decided, Color::Green)
}

/// S4: on the way back, new targets are withdrawn only while the old ones carry it.
///
/// Needs the same as the one about the way forward, with the colors exchanged.
pub(super) fn s4_back_onto_the_healthy(decided: &Decided<'_>) -> Option<String> {
    if direction(&decided.decision.status) != Some(Direction::Back) {
        return None;
    }
    shifted_onto_the_healthy(decided, Color::Blue)
}

/// S4: a release turns back only to a version that can be put back: all of it still lives, or it
/// is known how to start it on its hosts.
///
/// Needs the records before and after.
pub(super) fn s4_back_to_something(written: &Written<'_>) -> Option<String> {
    let turned = direction(written.before) == Some(Direction::Forward)
        && direction(written.after) == Some(Direction::Back);
    if !turned {
        return None;
    }
    let Some(blue) = &written.after.blue else {
        return Some("the release turns back, and nothing was live before it".to_owned());
    };
    let startable = written.spec.fleet.hosts.is_some() && blue.version.is_some();
    if startable {
        return None;
    }
    let lost = written
        .after
        .targets
        .iter()
        .filter(|target| target.color == Color::Blue)
        .find(|target| doomed(target) || target.steps.terminated.is_some())?;
    Some(format!(
        "the release turns back, and {} cannot be put back",
        id(lost)
    ))
}

fn shifted_onto_the_healthy(decided: &Decided<'_>, kept: Color) -> Option<String> {
    let Some(Step::Deregister { group: _, targets }) = &decided.decision.step else {
        return None;
    };
    let status = &decided.decision.status;
    let leaves = match kept {
        Color::Green => Color::Blue,
        Color::Blue => Color::Green,
    };
    if let Some(stray) = targets.iter().find(|t| living(status, t, leaves).is_none()) {
        return Some(format!("{stray} is withdrawn, and does not leave"));
    }
    if in_place(decided.spec) {
        enough_stay(decided, kept, leaves, targets)
    } else {
        all_carry(decided, kept)
    }
}

/// Whether every target of the color that is kept is in service: as many as there should be.
pub(super) fn all_carry(decided: &Decided<'_>, kept: Color) -> Option<String> {
    let status = &decided.decision.status;
    let records = || status.targets.iter().filter(|t| t.color == kept);
    let missing = match kept {
        Color::Green => decided
            .observation
            .fleet
            .known()?
            .iter()
            .filter(|instance| instance.state != InstanceState::Terminated)
            .filter(|instance| match &decided.spec.fleet.existing {
                // A tag that was changed does not change what a recorded process is.
                Some(_) => {
                    let replaced = |t: &TargetStatus| {
                        t.id == instance.id
                            && t.color == Color::Blue
                            && t.steps.terminated.is_none()
                    };
                    instance.version == status.green.as_ref().and_then(|g| g.version.clone())
                        && !status.targets.iter().any(replaced)
                }
                None => true,
            })
            .find(|instance| {
                !records().any(|t| t.id == instance.id && in_service(decided.observation, t))
            })
            .map(|instance| instance.id.clone()),
        Color::Blue => records()
            .filter(|target| has_instance(target))
            .find(|target| !in_service(decided.observation, target))
            .map(|target| target.id.clone()),
    };
    if let Some(missing) = missing {
        return Some(format!(
            "traffic is taken off the other version while {missing} is not in service"
        ));
    }
    let any = records().any(|target| in_service(decided.observation, target));
    (!any).then(|| "traffic is taken off the other version while none is in service".to_owned())
}

/// Whether enough stay in service without those that are withdrawn now. One that is out of
/// service already, or was withdrawn in another group, takes nothing away.
fn enough_stay(
    decided: &Decided<'_>,
    kept: Color,
    leaves: Color,
    targets: &[TargetId],
) -> Option<String> {
    let (before, after) = (decided.before, &decided.decision.status);
    let takes = targets.iter().any(|target| {
        let fresh = living(before, target, leaves).is_none_or(|record| record.drain.is_empty());
        fresh && healthy_everywhere(decided.observation, target)
    });
    if !takes {
        return None;
    }
    let hosts = hosts(decided.observation, after, kept);
    let floor = hosts
        .saturating_sub(decided.spec.rollout.max_unavailable.of(hosts))
        .max(1);
    let stay = after
        .targets
        .iter()
        .filter(|target| !targets.contains(&id(target)))
        .filter(|target| target.color != kept || target.steps.healthy.is_some())
        .filter(|target| usable(target) && healthy_everywhere(decided.observation, &id(target)))
        .count();
    (stay < floor)
        .then(|| format!("{stay} targets stay in service without {targets:?}, and {floor} should"))
}

/// How many hosts should be in service in the end.
pub(super) fn hosts(
    observation: &Observation,
    status: &BlueGreenReleaseStatus,
    kept: Color,
) -> usize {
    match kept {
        Color::Green => observation.fleet.known().map_or(0, |fleet| {
            let there = fleet
                .iter()
                .filter(|instance| instance.state != InstanceState::Terminated);
            there.count()
        }),
        Color::Blue => status
            .targets
            .iter()
            .filter(|target| target.color == Color::Blue && has_instance(target))
            .count(),
    }
}

/// Whether it did not end with its instance: what did, nobody can bring back.
fn has_instance(target: &TargetStatus) -> bool {
    let end = target.steps.terminated.as_ref();
    end.is_none_or(|end| end.how != StopHow::InstanceTerminated)
}

/// Whether a target lives, and nobody has begun to take it out of service.
pub(super) fn usable(target: &TargetStatus) -> bool {
    target.steps.terminated.is_none() && target.drain.is_empty() && !doomed(target)
}

/// Whether a target has passed its gate and is healthy in every group in this observation.
fn in_service(observation: &Observation, target: &TargetStatus) -> bool {
    usable(target) && target.steps.healthy.is_some() && healthy_everywhere(observation, &id(target))
}

pub(super) fn healthy_everywhere(observation: &Observation, target: &TargetId) -> bool {
    observation.groups.iter().all(|group| match group {
        Reading::Known(group) => group.targets.get(target) == Some(&Health::Healthy),
        Reading::Unknown(_) => false,
    })
}
