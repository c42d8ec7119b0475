//! Planners that start and stop processes when they must not.

use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Direction, DrainProof, Drained, Duration, Intent, Process,
    StepKind, Time,
};
use bluegreen_plan::{Decision, Observation, Release, SendCommand, Step, decide, limits::FENCE};

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
            undone: false,
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
        document: "x".to_owned(),
        parameters: [("version", version), ("port", &target.port.to_string())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        instances: vec![target.id.clone()],
        port: 8080,
        timeout: Duration::from_secs(60),
    }));
}

pub(super) fn stops_in_hope(
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
        covers: None,
    });
    send(&mut decision, index, StepKind::Stop, "v1", now);
    decision
}

pub(super) fn looks_once(
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

pub(super) fn forgets_doom(
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

pub(super) fn starts_too_early(
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
