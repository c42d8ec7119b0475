//! Planners that are broken on purpose: the ways in which such software goes wrong.
//!
//! Each wraps the real planner and spoils what goes in or what comes out. The walk must find
//! every one of them out; where it does not, it proves little of the real one either.
//!
//! Those in `alone.rs` do no harm that the model can see, or none in time: one invariant alone
//! finds them out, so each of them shows what that invariant is for.

mod alone;
mod people;

use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Direction, DrainProof, Drained, Duration, Intent, Process,
    Settle, StepKind, Time,
};
use bluegreen_plan::{
    Decision, Health, Observation, Reading, Release, SendCommand, Step, TargetId, decide,
    decide_whatever_status_says, limits::FENCE,
};

use super::{explore::Planner, scenario, scenario::Scenario};

pub(super) use alone::alone;
pub(super) use people::people;

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
            "counts on a probe that says nothing",
            believes_silence,
            small(scenario::early_finish()),
        ),
        // Whoever goes on in its place believes status then.
        mutant(
            "asks for a stop that it has not noted, and is lied to",
            notes_nothing,
            scenario::lied_to(scenario::side_by_side()),
        ),
        mutant(
            "asks for the end of an instance that it has not noted, and is lied to",
            notes_nothing,
            scenario::lied_to(scenario::existing()),
        ),
    ]
}

/// Takes a note for written that is not.
fn notes_nothing(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let decide = decide_whatever_status_says;
    let decision = decide(release, status, observation, now);
    match decision.step {
        Some(Step::Claim {
            ref stops,
            noted: Some(_),
            ..
        }) => {
            let mut noted = release.clone();
            noted.stops.clone_from(stops);
            let mut observation = observation.clone();
            decision
                .step
                .iter()
                .for_each(|step| observation.witness.notes(step));
            decide(&noted, status, &observation, now)
        }
        Some(_) | None => decision,
    }
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

/// The first target that leaves, is deregistered, and is not being stopped.
fn withdrawn(status: &BlueGreenReleaseStatus) -> Option<usize> {
    let forward = status
        .course
        .as_ref()
        .is_some_and(|course| course.direction == Direction::Forward);
    status
        .targets
        .iter()
        .position(|target| {
            let steps = &target.steps;
            target.color == Color::Blue
                && steps.terminated.is_none()
                && steps.deregistered.is_some()
                && target
                    .process
                    .as_ref()
                    .is_none_or(|p| p.step == StepKind::Start)
        })
        .filter(|_| forward)
}

/// Makes a decision send a command about a target, as if the planner had chosen it.
fn send(decision: &mut Decision, index: usize, kind: StepKind, version: &str, now: Time) {
    let status = &mut decision.status;
    status.fence += 1;
    let operation = format!("bg-u-r1-x-{}", status.fence);
    let target = &mut status.targets[index];
    if kind == StepKind::Stop {
        target.process = Some(Process {
            operation: operation.clone(),
            step: kind,
            requested_at: now,
            sent_at: now,
            running_at: None,
        });
    }
    status.intent = Some(Intent {
        id: operation.clone(),
        step: kind,
        at: now,
        targets: vec![format!("{}:{}", target.id, target.port)],
        group: None,
    });
    decision.step = Some(Step::Send(SendCommand {
        operation,
        kind,
        process: String::new(),
        document: "x".to_owned(),
        parameters: [("version", version), ("port", &target.port.to_string())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        instances: vec![target.id.clone()],
        port: 8080,
        timeout: Duration::from_secs(60),
    }));
}

fn stops_in_hope(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    let index = withdrawn(&decision.status);
    let (None, Some(index)) = (&decision.step, index) else {
        return decision;
    };
    let target = &mut decision.status.targets[index];
    target.steps.drained = Some(Drained {
        at: now,
        proof: DrainProof::FullDelay,
        since: now,
        delay: Duration::ZERO,
        settle: Duration::ZERO,
        in_flight: None,
        served: None,
    });
    send(&mut decision, index, StepKind::Stop, "v1", now);
    decision
}

fn looks_once(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut earlier = status.clone();
    let targets = earlier.targets.iter_mut();
    for step in targets.flat_map(|target| &mut target.steps.deregistered) {
        step.at = step.at - FENCE;
    }
    let mut decision = decide(release, &earlier, observation, now);
    // What it writes down is the truth.
    for target in &mut decision.status.targets {
        let known = status.targets.iter().any(|other| {
            (&other.id, other.port) == (&target.id, target.port)
                && other.steps.deregistered.is_some()
        });
        if known && let Some(step) = &mut target.steps.deregistered {
            step.at = step.at + FENCE;
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

fn forgets_doom(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut status = status.clone();
    for target in &mut status.targets {
        if target
            .process
            .as_ref()
            .is_some_and(|p| p.step == StepKind::Stop)
        {
            target.process = None;
        }
    }
    decide(release, &status, observation, now)
}

fn starts_too_early(
    release: &Release,
    status: &BlueGreenReleaseStatus,
    observation: &Observation,
    now: Time,
) -> Decision {
    let mut decision = decide(release, status, observation, now);
    let index = withdrawn(&decision.status);
    // Its mistake is the one in its name: it does keep the pause after a failure.
    let calm = observation.last_effect.is_none();
    if let (None, Some(index), true) = (&decision.step, index, calm) {
        send(&mut decision, index, StepKind::Start, "v2", now);
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
