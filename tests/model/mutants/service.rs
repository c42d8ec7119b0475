//! Planners that look after the target that leaves, and not after those that serve.

use bluegreen_api::{
    BlueGreenReleaseStatus, DrainProof, Drained, Duration, Outcome, StepKind, Time,
};
use bluegreen_plan::{Decision, Health, Observation, Release, Step, decide};

use super::{Mutant, seen_as};
use crate::{
    scenario::{befallen, in_place, several, side_by_side, small},
    world::Kind,
};

/// All of them, each with the invariant that is asked first of those that find it out.
pub(in super::super) fn service() -> Vec<(&'static str, Mutant)> {
    let mutant = |code, name, planner, scenario| {
        let mutant = Mutant {
            name,
            planner,
            scenario,
        };
        (code, mutant)
    };
    vec![
        mutant(
            "V1",
            "stops what is drained although the others have died",
            stops_the_last,
            befallen(&[Kind::Deaths], 1, in_place()),
        ),
        mutant(
            "V2",
            "looks away while a target is withdrawn",
            looks_away,
            small(side_by_side()),
        ),
        mutant(
            "V3",
            "says that all targets are healthy, whatever it sees",
            sees_no_ill,
            befallen(&[Kind::Deaths], 1, side_by_side()),
        ),
        mutant(
            "V4",
            "takes one reading without the target for the end of the delay",
            reads_once,
            small(side_by_side()),
        ),
        mutant(
            "V5",
            "does not see what others have registered",
            overlooks_strangers,
            befallen(&[Kind::Registers], 1, several()),
        ),
        mutant(
            "V6",
            "forgets why it went back",
            forgets_the_cause,
            small(in_place()),
        ),
        mutant(
            "S16",
            "changes what another release has",
            takes_from_others,
            befallen(&[Kind::Claims], 1, in_place()),
        ),
    ]
}

fn stops_the_last(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let true_of_now = decide(release, status, observation, now);
    let believed = seen_as(observation, |health| {
        Some(if health == Health::Unhealthy {
            Health::Healthy
        } else {
            health
        })
    });
    let mut believing = decide(release, status, &believed, now);
    let stops = |step: &Step| matches!(step, Step::Send(send) if send.kind == StepKind::Stop);
    if believing.step.as_ref().is_some_and(stops) {
        believing.status.conditions = true_of_now.status.conditions;
        return believing;
    }
    true_of_now
}

fn looks_away(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    if decision.step.is_none() {
        decision.look_at = decision.look_at + Duration::from_secs(60);
    }
    decision
}

fn sees_no_ill(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    let mut told = decision.status.conditions.iter_mut();
    if let Some(told) = told.find(|condition| condition.type_ == "TargetsHealthy") {
        told.status = "True".to_owned();
    }
    decision
}

fn reads_once(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    for target in &mut decision.status.targets {
        let gone =
            !target.drain.is_empty() && target.drain.iter().all(|d| d.gone_seen_at.is_some());
        if gone && target.steps.deregistered.is_some() {
            target.steps.drained.get_or_insert(Drained {
                at: now,
                proof: DrainProof::FullDelay,
                since: now,
                delay: Duration::ZERO,
                settle: Duration::ZERO,
                in_flight: None,
                served: None,
                covers: None,
            });
        }
    }
    decision
}

fn overlooks_strangers(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    if status.blue.is_some() && decision.step.is_none() {
        let known = |id: &str| status.targets.iter().any(|target| target.id == id);
        decision.status.targets.retain(|target| known(&target.id));
        decision.status.conditions.retain(|c| c.type_ != "InSync");
    }
    decision
}

fn forgets_the_cause(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    for ended in &mut decision.status.history {
        if ended.outcome == Outcome::RolledBack {
            ended.reason = None;
        }
    }
    decision
}

fn takes_from_others(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let alone = Observation {
        claims: Vec::new(),
        ..observation.clone()
    };
    decide(release, status, &alone, now)
}
