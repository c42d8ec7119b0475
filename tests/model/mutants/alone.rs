//! Mistakes that one invariant alone finds out.

use bluegreen_api::{BlueGreenReleaseStatus, Color, Duration, StepKind, Time};
use bluegreen_plan::{
    Decision, Health, Observation, Reading, Release, TargetId, decide, decide_unchecked,
    limits::FENCE,
};

use super::{Mutant, back};
use crate::scenario;

/// All of them, each with the invariant.
pub(in super::super) fn alone() -> Vec<(&'static str, Mutant)> {
    let mutant = |code, name, planner, scenario| {
        let mutant = Mutant {
            name,
            planner,
            scenario,
        };
        (code, mutant)
    };
    let small = scenario::small;
    vec![
        mutant(
            "S3",
            "takes the first healthy reading for the whole gate",
            hasty,
            scenario::gated(),
        ),
        mutant(
            "S6",
            "forgets a target when its stop is intended",
            forgets_the_stopping,
            scenario::crashing(scenario::side_by_side()),
        ),
        mutant(
            "S7",
            "does not remember its last fence",
            forgets_the_fence,
            small(scenario::side_by_side()),
        ),
        mutant(
            "S8",
            "asks again before the first request can have landed",
            impatient,
            small(scenario::side_by_side()),
        ),
        mutant(
            "S12",
            "goes on at once when an effect has failed",
            restless,
            small(scenario::side_by_side()),
        ),
    ]
}

fn hasty(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut release = release.clone();
    release.spec.health.stable_for = Duration::ZERO;
    decide(&release, status, observation, now)
}

/// The same observation, in which the first healthy target of a color stands for all of it.
fn one_for_all(
    observation: &Observation,
    status: &BlueGreenReleaseStatus,
    color: Color,
) -> Observation {
    let mut observation = observation.clone();
    for group in &mut observation.groups {
        let Reading::Known(group) = group else {
            continue;
        };
        let same = status.targets.iter().filter(|t| t.color == color);
        let same: Vec<TargetId> = same
            .map(|target| TargetId {
                id: target.id.clone(),
                port: target.port,
            })
            .collect();
        let healthy = |id: &TargetId| group.targets.get(id) == Some(&Health::Healthy);
        if same.iter().any(healthy) {
            let theirs = group.targets.iter_mut().filter(|(id, _)| same.contains(id));
            theirs
                .filter(|(_, health)| **health == Health::Initial)
                .for_each(|(_, health)| *health = Health::Healthy);
        }
    }
    observation
}

pub(super) fn leaves_with_the_first(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    if back(status) {
        return decide(release, status, observation, now);
    }
    let seen = one_for_all(observation, status, Color::Green);
    decide_unchecked(release, status, &seen, now)
}

pub(super) fn returns_to_the_first(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    if !back(status) {
        return decide(release, status, observation, now);
    }
    let seen = one_for_all(observation, status, Color::Blue);
    decide_unchecked(release, status, &seen, now)
}

fn forgets_the_stopping(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut status = status.clone();
    status.targets.retain(|target| {
        let process = target.process.as_ref();
        process.is_none_or(|process| process.step != StepKind::Stop)
            || target.steps.terminated.is_some()
    });
    decide(release, &status, observation, now)
}

fn forgets_the_fence(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    decision.status.fence = status.fence;
    decision
}

fn impatient(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut status = status.clone();
    for target in &mut status.targets {
        for registration in &mut target.registrations {
            // One that is renewed also says from when on health counts: that would be another
            // mistake, and one that does harm.
            if registration.seen_at.is_none()
                && !registration.renewed
                && let Some(at) = &mut registration.requested_at
            {
                *at = *at - FENCE;
            }
        }
    }
    decide(release, &status, observation, now)
}

fn restless(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let observation = Observation {
        last_effect: None,
        ..observation.clone()
    };
    decide(release, status, &observation, now)
}
