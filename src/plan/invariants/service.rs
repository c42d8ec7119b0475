//! What must hold of the service that stays: V1 to V6.
//!
//! An invariant about the target that leaves is not enough: these ask of every decision who serves.

use super::{
    Decided, direction, doomed, id, in_place, living, same,
    traffic::{all_carry, healthy_everywhere, hosts, usable},
};
use crate::{
    Group, Health, InstanceState, Observation, Reading, Step, TargetId,
    limits::{ENDED_SHOWN_LATEST, FENCE, LOOK_WITHDRAWN_LONGEST},
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Direction, DrainProof, Duration, Outcome, StepKind, TargetStatus,
};

/// V1: a target that could serve is stopped only while enough others are healthy in the same
/// observation. That it is withdrawn only then is S3 and S4.
///
/// Needs the observation, the effect and the record.
pub(super) fn v1_enough_serve_without_it(decided: &Decided<'_>) -> Option<String> {
    let (before, after) = (decided.before, &decided.decision.status);
    let kept = match direction(after)? {
        Direction::Forward => Color::Green,
        Direction::Back => Color::Blue,
    };
    let ends = matches!(&decided.decision.step, Some(Step::Terminate { .. }))
        || matches!(&decided.decision.step, Some(Step::Send(c)) if c.kind == StepKind::Stop);
    let newly = |target: &&TargetStatus| {
        doomed(target) && !same(before, target).is_some_and(doomed) && target.color != kept
    };
    let mut stopped = after.targets.iter().filter(newly).filter(|_| ends);
    stopped.find_map(|target| {
        if !in_place(decided.spec) {
            return all_carry(decided, kept);
        }
        let served = target.drain.iter().any(|drain| drain.was_healthy);
        let hosts = hosts(decided.observation, after, kept);
        let most_out = decided.spec.rollout.max_unavailable.of(hosts);
        let floor = match served {
            true => hosts.saturating_sub(most_out).max(1),
            false => 1,
        };
        let stay = serving(decided, kept).count();
        (stay < floor).then(|| {
            format!(
                "{} is stopped while {stay} others serve, and {floor} should",
                id(target)
            )
        })
    })
}

/// V1 where cross-zone load balancing is off: a zone that has a healthy target keeps one.
///
/// Needs the observation and the effect.
pub(super) fn v1_every_zone_serves(decided: &Decided<'_>) -> Option<String> {
    let Some(Step::Deregister { group, targets }) = &decided.decision.step else {
        return None;
    };
    let group = decided.observation.groups.get(*group)?.known()?;
    if group.settings.cross_zone {
        return None;
    }
    let fleet = decided.observation.fleet.known()?;
    let zone = |id: &str| fleet.iter().find(|i| i.id == id).map(|i| i.zone.as_str());
    let healthy = || {
        let listed = group.targets.iter();
        listed.filter(|(_, health)| **health == Health::Healthy)
    };
    let taken = targets.iter().find(|taken| {
        let here = zone(&taken.id);
        let serves = healthy().any(|(target, _)| target == *taken);
        let mut others = healthy().filter(|(target, _)| !targets.contains(target));
        serves && !others.any(|(target, _)| zone(&target.id) == here)
    })?;
    Some(format!("no healthy target is left in the zone of {taken}"))
}

/// V2: while a target that could serve is withdrawn, the groups are read every 5 to 30 s.
///
/// Needs the decision.
pub(super) fn v2_watched(decided: &Decided<'_>) -> Option<String> {
    let decision = decided.decision;
    let rests = decision.look_at.since(decided.observation.began_at);
    // The observation itself may have taken a while.
    let longest = LOOK_WITHDRAWN_LONGEST + FENCE.times(2);
    let left = decision.status.targets.iter().find(|t| could_serve(t))?;
    let watched = direction(&decision.status).is_none() || !readable(decided) || rests <= longest;
    (!watched).then(|| format!("{} is withdrawn, and nobody looks for {rests}", id(left)))
}

/// V2: where nothing is healthy and a withdrawn target lives, it is put back within one look.
///
/// Needs the observation, the effect and the record.
pub(super) fn v2_put_back(decided: &Decided<'_>) -> Option<String> {
    let (observation, after) = (decided.observation, &decided.decision.status);
    let fleet = observation.fleet.known().filter(|_| readable(decided))?;
    direction(after)?;
    if decided.decision.step.is_some() || observation.last_effect.is_some() {
        return None;
    }
    let groups = observation.groups.iter().filter_map(Reading::known);
    let mut listed = groups.flat_map(|group| group.targets.values());
    if listed.any(|health| *health == Health::Healthy) {
        return None;
    }
    let runs = |target: &TargetStatus| {
        let mut found = fleet.iter().filter(|instance| instance.id == target.id);
        found.any(|instance| instance.state == InstanceState::Running)
    };
    let lately = |target: &TargetStatus| {
        let mut asked = target.registrations.iter().filter_map(|r| r.requested_at);
        asked.any(|at| observation.began_at < at + FENCE)
    };
    let mut withdrawn = decided.before.targets.iter().filter(|t| could_serve(t));
    let left = withdrawn.find(|target| {
        let now = same(after, target).filter(|now| could_serve(now));
        now.is_some_and(|now| runs(now) && !lately(now))
    })?;
    Some(format!(
        "nothing is healthy, {} lives, and is not put back",
        id(left)
    ))
}

/// V3: `Ready` and `TargetsHealthy` are true only where this very observation shows every target
/// that serves as healthy.
///
/// Needs the observation and the record that is written with it.
pub(super) fn v3_true_of_what_was_seen(decided: &Decided<'_>) -> Option<String> {
    if !readable(decided) {
        return None;
    }
    let after = &decided.decision.status;
    let claims = ["Ready", "TargetsHealthy"].into_iter().find(|type_| {
        let mut conditions = after.conditions.iter();
        conditions.any(|c| c.type_ == *type_ && c.status == "True")
    })?;
    let mut serving = after.targets.iter().filter(|target| {
        let counts = claims == "Ready" || target.steps.registered.is_some();
        counts && target.steps.terminated.is_none() && target.drain.is_empty()
    });
    let ill = serving.find(|target| !healthy_everywhere(decided.observation, &id(target)))?;
    Some(format!("{claims} is true, and {} is not healthy", id(ill)))
}

/// V4: that a group has let go of a target counts in two readings, an operation timeout apart, and
/// not before the delay that was read is over.
///
/// Needs the observation and the records before and after.
pub(super) fn v4_not_before_its_time(decided: &Decided<'_>) -> Option<String> {
    let began = decided.observation.began_at;
    let after = &decided.decision.status;
    after.targets.iter().find_map(|target| {
        let drained = target.steps.drained.as_ref()?;
        let known = same(decided.before, target).is_some_and(|t| t.steps.drained.is_some());
        if known || drained.proof != DrainProof::FullDelay {
            return None;
        }
        let early = target.drain.iter().find(|drain| {
            let twice = drain.gone_seen_at.is_some_and(|gone| began >= gone + FENCE);
            let delay = drain.delay.min(delay_now(decided, &drain.group));
            let seen = drain
                .requested_at
                .filter(|_| drain.draining_seen_at.is_some());
            let over = seen.is_none_or(|asked| began >= asked + delay);
            !twice || !over
        })?;
        Some(format!(
            "{} counts as gone from {} too early",
            id(target),
            early.group
        ))
    })
}

fn delay_now(decided: &Decided<'_>, group: &str) -> Duration {
    let groups = decided.observation.groups.iter().filter_map(Reading::known);
    let mut named = groups.filter(|known| known.name == group);
    named.next().map_or(Duration::ZERO, |known| known.delay)
}

/// V5: every registered target of the groups and of the fleet is in the record, or is named.
///
/// Needs the observation and the record that is written with it.
pub(super) fn v5_nothing_unknown(decided: &Decided<'_>) -> Option<String> {
    let fleet = decided
        .observation
        .fleet
        .known()
        .filter(|_| readable(decided))?;
    let after = &decided.decision.status;
    if after.blue.is_none() && after.green.is_none() {
        return None;
    }
    let said: Vec<&str> = after
        .conditions
        .iter()
        .map(|c| c.message.as_str())
        .collect();
    let named = |target: &TargetId| {
        let text = target.to_string();
        said.iter()
            .any(|said| said.contains(&text) || said.ends_with(" more"))
    };
    let recorded = |target: &TargetId| {
        let mut records = after.targets.iter().filter(|record| id(record) == *target);
        records.any(|record| match &record.steps.terminated {
            None => true,
            Some(ended) => decided.observation.began_at < ended.at + ENDED_SHOWN_LATEST,
        })
    };
    let groups = decided.observation.groups.iter().filter_map(Reading::known);
    let registered = |group: &Group| -> Vec<TargetId> {
        let listed = group.targets.keys();
        listed
            .filter(|target| group.registered(target))
            .cloned()
            .collect()
    };
    let mut all = groups.flat_map(registered);
    let stray = all.find(|target| {
        fleet.iter().any(|instance| instance.id == target.id) && !recorded(target) && !named(target)
    })?;
    Some(format!(
        "{stray} is registered, and nothing in status names it"
    ))
}

/// V6: a release that does not get on on its way back is stalled, with a reason; and what failed
/// keeps its cause in the history.
///
/// Needs the records before and after.
pub(super) fn v6_stalled_with_a_cause(decided: &Decided<'_>) -> Option<String> {
    let after = &decided.decision.status;
    let failed = after.history.first().filter(|ended| match ended.outcome {
        Outcome::RolledBack | Outcome::Aborted | Outcome::Superseded => true,
        Outcome::Promoted => false,
    });
    let cause = decided
        .before
        .course
        .as_ref()
        .and_then(|course| course.because.as_ref());
    let kept = |reason: &Option<String>| cause.is_none() || reason.is_some();
    if failed.is_some_and(|ended| !kept(&ended.reason)) {
        return Some("a release that went back has no cause in the history".to_owned());
    }
    let course = after.course.as_ref().filter(|_| readable(decided))?;
    let late =
        decided.observation.began_at > course.progress_at + decided.spec.rollout.step_deadline;
    let people = course.paused_at.is_some() || decided.spec.paused || course.hold.is_some();
    let waits = direction(after) == Some(Direction::Back) && late && !people;
    let stalled = after.conditions.iter().any(|c| c.type_ == "Stalled");
    (waits && !stalled && !deleting(after))
        .then(|| "the way back takes longer than a step may, and is not stalled".to_owned())
}

fn deleting(status: &BlueGreenReleaseStatus) -> bool {
    status.phase == bluegreen_api::Phase::Deleting
}

/// Whether everything could be read.
fn readable(decided: &Decided<'_>) -> bool {
    let groups = &decided.observation.groups;
    decided.observation.fleet.known().is_some()
        && groups.iter().all(|group| group.known().is_some())
}

/// Whether a target is withdrawn, and its process could serve.
fn could_serve(target: &TargetStatus) -> bool {
    let runs = target.process.as_ref().is_none_or(|process| {
        process.running_at.is_some() || (process.step == StepKind::Stop && process.undone)
    });
    let was = target.drain.iter().any(|drain| drain.was_healthy);
    was && runs && !doomed(target) && target.steps.terminated.is_none()
}

/// The targets that serve: usable, healthy in every group now, and past the gate where they are kept.
fn serving<'a>(decided: &Decided<'a>, kept: Color) -> impl Iterator<Item = &'a TargetStatus> {
    let observation = decided.observation;
    let status: &BlueGreenReleaseStatus = &decided.decision.status;
    let records = status.targets.iter();
    records
        .filter(move |target| target.color != kept || target.steps.healthy.is_some())
        .filter(move |target| living(status, &id(target), target.color).is_some())
        .filter(move |target| usable(target) && serves(observation, target, kept))
}

/// Whether a target is healthy: one that is kept in every group, another one in those that list it.
fn serves(observation: &Observation, target: &TargetStatus, kept: Color) -> bool {
    let id = id(target);
    if target.color == kept {
        return healthy_everywhere(observation, &id);
    }
    let groups = observation.groups.iter().filter_map(Reading::known);
    let listed: Vec<Health> = groups.filter_map(|group| group.listed(&id)).collect();
    !listed.is_empty() && listed.iter().all(|health| *health == Health::Healthy)
}
