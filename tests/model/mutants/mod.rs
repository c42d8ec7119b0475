//! Planners that are broken on purpose: the ways in which such software goes wrong.
//!
//! Each wraps the real planner and spoils what goes in or what comes out. The walk must find
//! every one of them out; where it does not, it proves little of the real one either.
//!
//! Those in `alone.rs` do no harm that the model can see, or none in time: one invariant alone
//! finds them out, so each of them shows what that invariant is for.

mod alone;
mod commands;
mod people;
mod service;

use bluegreen_api::{BlueGreenReleaseStatus, Color, Direction, Duration, Settle, Time};
use bluegreen_plan::{Decision, Health, Observation, Reading, Release, Step, TargetId, decide};

use super::{explore::Planner, scenario, scenario::Scenario};

use commands::{forgets_doom, looks_once, starts_too_early, stops_in_hope};

pub(super) use alone::alone;
pub(super) use people::people;
pub(super) use service::service;

/// A broken planner, and a fleet on which that shows.
pub(super) struct Mutant {
    pub(super) name: &'static str,
    pub(super) planner: Planner,
    pub(super) scenario: Scenario,
}

/// All of them.
pub(super) fn all() -> Vec<Mutant> {
    let mutant = |name, planner, scenario| Mutant {
        name,
        planner,
        scenario,
    };
    let small = scenario::small;
    vec![
        mutant(
            "does not wait for the nodes to settle",
            unsettled,
            small(scenario::side_by_side()),
        ),
        mutant(
            "takes draining for gone",
            draining_is_gone,
            small(scenario::side_by_side()),
        ),
        mutant(
            "takes registered for healthy",
            initial_is_healthy,
            small(scenario::side_by_side()),
        ),
        mutant(
            "withdraws every old target at once",
            all_at_once,
            small(scenario::in_place()),
        ),
        mutant(
            "acts before it writes the intent",
            forgets_intent,
            small(scenario::in_place()),
        ),
        mutant(
            "does not put blue back when it rolls back",
            never_puts_back,
            small(scenario::in_place()),
        ),
        mutant(
            "deregisters with the wrong port",
            wrong_port,
            small(scenario::in_place()),
        ),
        mutant(
            "stops when deregistered, without a proof",
            stops_in_hope,
            small(scenario::side_by_side()),
        ),
        mutant(
            "takes one reading for two before a stop",
            looks_once,
            small(scenario::quiet_at_once()),
        ),
        mutant(
            "goes forward again after rolling back",
            turns_forward,
            small(scenario::in_place()),
        ),
        mutant(
            "forgets that it meant to stop a target",
            forgets_doom,
            small(scenario::in_place()),
        ),
        mutant(
            "starts the new beside the old on one port",
            starts_too_early,
            small(scenario::in_place()),
        ),
        mutant(
            "withdraws the old ones when the first of the new is healthy",
            alone::leaves_with_the_first,
            scenario::several(),
        ),
        mutant(
            "withdraws the new ones when the first of the old is back",
            alone::returns_to_the_first,
            scenario::several(),
        ),
        mutant(
            "counts on a probe that says nothing",
            believes_silence,
            small(scenario::early_finish()),
        ),
    ]
}

fn unsettled(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut release = release.clone();
    release.spec.drain.settle = Settle::For(Duration::ZERO);
    decide(&release, status, observation, now)
}

/// The same observation with every target's health changed.
fn seen_as(observation: &Observation, f: fn(Health) -> Option<Health>) -> Observation {
    let mut observation = observation.clone();
    for group in &mut observation.groups {
        if let Reading::Known(group) = group {
            let targets = std::mem::take(&mut group.targets);
            let seen = targets
                .into_iter()
                .filter_map(|(id, health)| Some((id, f(health)?)));
            group.targets = seen.collect();
        }
    }
    observation
}

fn draining_is_gone(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let seen = seen_as(observation, |health| {
        (health != Health::Draining).then_some(health)
    });
    let mut status = status.clone();
    // As a script does that never asked for the delay.
    for drain in status
        .targets
        .iter_mut()
        .flat_map(|target| &mut target.drain)
    {
        drain.delay = Duration::ZERO;
        drain.settle = Duration::ZERO;
    }
    decide(release, &status, &seen, now)
}

fn initial_is_healthy(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let seen = seen_as(observation, |health| {
        Some(if health == Health::Initial {
            Health::Healthy
        } else {
            health
        })
    });
    decide(release, status, &seen, now)
}

fn all_at_once(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    if let Some(Step::Deregister { targets, .. }) = &mut decision.step {
        *targets = decision
            .status
            .targets
            .iter()
            .filter(|target| target.color == Color::Blue && target.steps.terminated.is_none())
            .map(|target| TargetId {
                id: target.id.clone(),
                port: target.port,
            })
            .collect();
    }
    decision
}

fn forgets_intent(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let decision = decide(release, status, observation, now);
    let acts = decision.step.is_some() && status.course.is_some();
    Decision {
        status: if acts {
            status.clone()
        } else {
            decision.status
        },
        ..decision
    }
}

fn back(status: &BlueGreenReleaseStatus) -> bool {
    status
        .course
        .as_ref()
        .is_some_and(|course| course.direction == Direction::Back)
}

fn never_puts_back(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let decision = decide(release, status, observation, now);
    match &decision.step {
        Some(Step::Register { .. }) if back(&decision.status) => Decision {
            step: None,
            ..decision
        },
        Some(_) | None => decision,
    }
}

fn wrong_port(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    if let Some(Step::Deregister { targets, .. }) = &mut decision.step {
        for target in targets {
            target.port += 1000;
        }
    }
    decision
}

fn turns_forward(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    if back(status)
        && let Some(course) = &mut decision.status.course
    {
        course.direction = Direction::Forward;
    }
    decision
}

fn believes_silence(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut observation = observation.clone();
    for reading in observation.probes.values_mut() {
        if let Reading::Known(reading) = reading {
            reading.in_flight = 0;
        }
    }
    decide(release, status, &observation, now)
}
