//! What must hold of every decision, as predicates.
//!
//! They are asked in debug builds after every decision, by the exhaustive walk over a model of
//! the world, and by the simulated cloud's judge. They do not share code with the planner where
//! that would make them true by construction.

use std::fmt;

use super::{Decision, Health, Observation, Reading, Step, TargetId, limits::FENCE};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Direction, DrainTimeoutPolicy, StepKind,
    TargetStatus,
};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in `docs/architecture.md`.
    pub invariant: &'static str,
    /// What contradicts it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// The first invariant that a decision breaks, if it breaks one.
#[must_use]
pub fn broken(
    spec: &BlueGreenReleaseSpec,
    before: &BlueGreenReleaseStatus,
    observation: &Observation,
    decision: &Decision,
) -> Option<Violation> {
    s1_no_black_hole(observation, decision)
        .or_else(|| s2_and_s14_drained_before_stopped(spec, observation, decision))
        .or_else(|| s9_no_way_forward_after_back(before, decision))
        .or_else(|| s10_only_recorded_targets(decision))
        .or_else(|| s11_bounded(decision))
        .or_else(|| s13_no_effect_without_sight(observation, decision))
        .or_else(|| l2_explained(decision))
}

fn violation(invariant: &'static str, what: String) -> Option<Violation> {
    Some(Violation { invariant, what })
}

/// S1: a group that has a healthy target keeps one.
fn s1_no_black_hole(observation: &Observation, decision: &Decision) -> Option<Violation> {
    let Some(Step::Deregister { group, targets }) = &decision.step else {
        return None;
    };
    let group = observation.groups.get(*group)?.known()?;
    let healthy: Vec<&TargetId> = group
        .targets
        .iter()
        .filter(|(_, health)| **health == Health::Healthy)
        .map(|(target, _)| target)
        .collect();
    let left = healthy.iter().any(|target| !targets.contains(target));
    if healthy.is_empty() || left {
        return None;
    }
    violation(
        "S1",
        format!(
            "no healthy target is left in {} without {targets:?}",
            group.name
        ),
    )
}

/// S2 and S14: what is stopped is proven to be drained, in status, in every group; and the very
/// observation that the decision rests on, and one that is older by an operation timeout, found
/// it withdrawn.
fn s2_and_s14_drained_before_stopped(
    spec: &BlueGreenReleaseSpec,
    observation: &Observation,
    decision: &Decision,
) -> Option<Violation> {
    stopped(decision).into_iter().find_map(|target| {
        let id = TargetId {
            id: target.id.clone(),
            port: target.port,
        };
        let proceed = spec.drain.on_timeout == DrainTimeoutPolicy::Proceed;
        let proven = target.steps.drained.is_some() || (proceed && target.steps.unproven.is_some());
        if !proven {
            return violation("S14", format!("{id} is stopped without a proof of drain"));
        }
        let listed = observation.groups.iter().any(|group| match group {
            Reading::Known(group) => group.registered(&id),
            Reading::Unknown(_) => true,
        });
        if listed {
            return violation("S2", format!("{id} is stopped while a group lists it"));
        }
        let since = target.steps.deregistered.as_ref().map(|step| step.at);
        if since.is_none_or(|since| observation.began_at < since + FENCE) {
            return violation("S2", format!("{id} is stopped after a single reading"));
        }
        None
    })
}

/// The records of the targets that the decision stops.
fn stopped(decision: &Decision) -> Vec<&TargetStatus> {
    let kind = match &decision.step {
        Some(Step::Send(command)) if command.kind == StepKind::Stop => StepKind::Stop,
        Some(Step::Terminate { .. }) => StepKind::Terminate,
        Some(
            Step::Send(_)
            | Step::AddFinalizer
            | Step::RemoveFinalizer
            | Step::Register { .. }
            | Step::Deregister { .. },
        )
        | None => return Vec::new(),
    };
    let intended = decision.status.intent.as_ref();
    decision
        .status
        .targets
        .iter()
        .filter(|target| target.steps.terminated.is_none())
        .filter(|target| target.process.as_ref().is_some_and(|p| p.step == kind))
        .filter(|target| {
            let id = format!("{}:{}", target.id, target.port);
            intended.is_some_and(|intent| intent.targets.contains(&id))
        })
        .collect()
}

/// S9: a release that rolls back never turns forward again.
fn s9_no_way_forward_after_back(
    before: &BlueGreenReleaseStatus,
    decision: &Decision,
) -> Option<Violation> {
    let direction =
        |status: &BlueGreenReleaseStatus| status.course.as_ref().map(|course| course.direction);
    let same = before.green.as_ref().map(|green| green.revision)
        == decision.status.green.as_ref().map(|green| green.revision);
    let turned = direction(before) == Some(Direction::Back)
        && direction(&decision.status) == Some(Direction::Forward);
    if same && turned {
        return violation(
            "S9",
            "a release that rolled back went forward again".to_owned(),
        );
    }
    None
}

/// S10: an effect concerns only targets that are in the record, and says so.
fn s10_only_recorded_targets(decision: &Decision) -> Option<Violation> {
    let (kind, ids): (StepKind, Vec<&str>) = match decision.step.as_ref()? {
        Step::AddFinalizer | Step::RemoveFinalizer => return None,
        Step::Register { targets, .. } => (StepKind::Register, ids(targets)),
        Step::Deregister { targets, .. } => (StepKind::Deregister, ids(targets)),
        Step::Send(command) => (
            command.kind,
            command.instances.iter().map(String::as_str).collect(),
        ),
        Step::Terminate { instances } => (
            StepKind::Terminate,
            instances.iter().map(String::as_str).collect(),
        ),
    };
    let Some(intent) = decision.status.intent.as_ref().filter(|i| i.step == kind) else {
        return violation("S10", format!("{} has no intent", kind.as_str()));
    };
    let stray = ids.iter().find(|id| {
        let recorded = decision
            .status
            .targets
            .iter()
            .any(|target| target.id == **id);
        let intended = intent
            .targets
            .iter()
            .any(|t| t.starts_with(&format!("{id}:")));
        !recorded || !intended
    });
    let stray = stray?;
    violation(
        "S10",
        format!(
            "{} concerns {stray}, which is not in the record",
            kind.as_str()
        ),
    )
}

fn ids(targets: &[TargetId]) -> Vec<&str> {
    targets.iter().map(|target| target.id.as_str()).collect()
}

/// S11: status is bounded.
fn s11_bounded(decision: &Decision) -> Option<Violation> {
    let status = &decision.status;
    let most = super::limits::TARGETS_MOST * 2;
    if status.targets.len() > most || status.conditions.len() > 12 || status.history.len() > 50 {
        return violation("S11", "status has more entries than it may have".to_owned());
    }
    None
}

/// S13: no reading, no effect on the cloud.
fn s13_no_effect_without_sight(
    observation: &Observation,
    decision: &Decision,
) -> Option<Violation> {
    let blind = observation.fleet.known().is_none()
        || observation
            .groups
            .iter()
            .any(|group| group.known().is_none());
    if blind && decision.step.is_some() {
        return violation("S13", "an effect rests on a reading that failed".to_owned());
    }
    None
}

/// L2: there is always a reason, in words.
fn l2_explained(decision: &Decision) -> Option<Violation> {
    let ready = decision
        .status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready");
    if ready.is_none_or(|condition| condition.message.is_empty()) {
        return violation("L2", "nothing says why the release is not ready".to_owned());
    }
    None
}
