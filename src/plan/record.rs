//! Folds what was seen into the record: adoption, registrations, health, processes, drains.

use super::{
    CommandState, Failure, FailureKind, InstanceState, Invocation, Reading, StopReport, adopt,
    drain,
    limits::{FENCE, LISTED_LATEST, LOOK_SHORTEST},
    pass::Pass,
    planned::of_the_fleet,
    roles::{Role, role},
    timings,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Duration, HealthProgress, Healthy, Process,
    Registered, Registration, StepKind, StopHow, TargetStatus, Terminated,
};

/// Writes down what this pass saw.
pub(super) fn record(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    // The spec cannot change its ports: a record of another one is not ours.
    let ours = |target: &TargetStatus| of_the_fleet(pass.spec(), target);
    status.targets.retain(ours);
    if status.revision == 0 && status.blue.is_none() && status.green.is_none() {
        // A record belongs to a revision, and there is none.
        status.targets.clear();
        adopt::first(pass, world, status);
    }
    let mut targets = std::mem::take(&mut status.targets);
    let mut progress = false;
    for target in &mut targets {
        if target.steps.terminated.is_some() {
            continue;
        }
        let before = target.steps.clone();
        see_process(pass, target);
        see_instance(pass, world, target);
        match role(status, target) {
            Some(Role::Leave) => {
                see_registrations(pass, world, target);
                drain::record(pass, world, target);
                if target.drain.is_empty() {
                    see_health(pass, world, Some(Role::Leave), target);
                }
            }
            role @ (Some(Role::Keep) | None) => {
                see_registrations(pass, world, target);
                see_health(pass, world, role, target);
            }
        }
        progress |= before != target.steps;
        timings::record(status, &before, target);
    }
    status.targets = targets;
    adopt::let_go(pass, world, status);
    adopt::strangers(pass, world, status);
    if progress && let Some(course) = &mut status.course {
        course.progress_at = pass.now;
    }
}

fn see_registrations(pass: &Pass<'_>, world: &World<'_>, target: &mut TargetStatus) {
    let id = id_of(target);
    for group in &world.groups {
        if !group.registered(&id) {
            continue;
        }
        match target
            .registrations
            .iter_mut()
            .find(|r| r.group == group.name)
        {
            Some(registration) => {
                registration.seen_at.get_or_insert(pass.now);
            }
            None => target.registrations.push(Registration {
                group: group.name.clone(),
                requested_at: None,
                renewed: false,
                seen_at: Some(pass.now),
            }),
        }
    }
    let everywhere = world.groups.iter().all(|group| group.registered(&id));
    if everywhere && target.steps.registered.is_none() {
        target.steps.registered = Some(Registered { at: pass.now });
    }
}

/// Counts healthy observations until the gate is passed, and notes when a target that had passed it
/// is not healthy any more.
fn see_health(pass: &Pass<'_>, world: &World<'_>, role: Option<Role>, target: &mut TargetStatus) {
    let passed = target.steps.healthy.is_some();
    let healthy = world.healthy(target);
    if passed && !healthy && !too_soon(pass, target) {
        target.unhealthy_since.get_or_insert(pass.now);
    }
    if passed && healthy && role.is_none() {
        // Nothing rests on it.
        target.unhealthy_since = None;
    }
    if passed && target.unhealthy_since.is_none() {
        return;
    }
    let countable = target.steps.registered.is_some() && !too_soon(pass, target);
    if !countable || !healthy {
        target.health = None;
        return;
    }
    let gate = &pass.spec().health;
    let progress = target.health.get_or_insert(HealthProgress {
        since: pass.now,
        last: pass.now,
        consecutive: 1,
    });
    if pass.now >= progress.last + spacing(pass.spec()) {
        progress.last = pass.now;
        progress.consecutive = progress.consecutive.saturating_add(1).min(gate.consecutive);
    }
    let stable = progress.since + stable_for(pass, world);
    if progress.consecutive >= gate.consecutive && pass.now >= stable {
        let passed_now = Healthy {
            at: pass.now,
            consecutive: progress.consecutive,
        };
        target.steps.healthy.get_or_insert(passed_now);
        target.unhealthy_since = None;
        target.health = None;
    }
}

/// How long a target must be healthy without a break: while a group starts it slowly, it does not
/// carry its share yet.
pub(super) fn stable_for(pass: &Pass<'_>, world: &World<'_>) -> Duration {
    let slow = world.groups.iter().map(|group| group.settings.slow_start);
    slow.fold(pass.spec().health.stable_for, Duration::max)
}

/// Whether a reading may still show a target that was put back as it was before.
pub(super) fn too_soon(pass: &Pass<'_>, target: &TargetStatus) -> bool {
    target
        .registrations
        .iter()
        .filter(|registration| registration.renewed)
        .filter_map(|registration| registration.requested_at)
        .any(|at| pass.now < at + FENCE)
}

/// The time between two observations that count: they are spread over `stableFor`.
pub(super) fn spacing(spec: &BlueGreenReleaseSpec) -> Duration {
    let gaps = u64::from(spec.health.consecutive.saturating_sub(1)).max(1);
    spec.health.stable_for.divided_by(gaps).max(LOOK_SHORTEST)
}

/// What became of the command that last concerned the process.
fn see_process(pass: &Pass<'_>, target: &mut TargetStatus) {
    let Some(process) = &mut target.process else {
        return;
    };
    if let Some(known) = did_nothing(pass, &target.id, process) {
        process.undone = known;
    }
    let Some(Reading::Known(CommandState::Sent(invocations))) =
        pass.observation.commands.get(&process.operation)
    else {
        return;
    };
    let Some(invocation) = invocations.get(&target.id) else {
        return;
    };
    match (process.step, invocation) {
        (StepKind::Start, Invocation::Succeeded { .. }) => {
            process.running_at.get_or_insert(pass.now);
        }
        (StepKind::Stop, Invocation::Succeeded { stopped }) => {
            // A document of the user's own need not report anything.
            let how = stopped.map_or(StopHow::Graceful, |report| report.how);
            target.steps.terminated = Some(ended(pass, how, stopped.as_ref()));
        }
        (StepKind::Stop, Invocation::Failed { code, stopped, .. }) if *code == EXIT_KILLED => {
            target.steps.terminated = Some(ended(pass, StopHow::Killed, stopped.as_ref()));
        }
        (
            StepKind::Start
            | StepKind::Stop
            | StepKind::Terminate
            | StepKind::Register
            | StepKind::Deregister,
            Invocation::Running
            | Invocation::NotDelivered { .. }
            | Invocation::Failed { .. }
            | Invocation::Succeeded { .. },
        ) => {}
    }
}

/// Whether the last command to a host is known to have done nothing, and never will: it was refused,
/// it did not reach the host, or Systems Manager has no such command long after it would list it.
/// `None` where that is not known.
fn did_nothing(pass: &Pass<'_>, instance: &str, process: &Process) -> Option<bool> {
    match pass.observation.commands.get(&process.operation) {
        Some(Reading::Known(CommandState::Sent(sent))) => {
            sent.get(instance).map(Invocation::did_nothing)
        }
        Some(Reading::Known(CommandState::Absent)) => {
            let listed = process.sent_at + FENCE + LISTED_LATEST;
            Some(pass.now >= listed || refused(pass, &process.operation).is_some())
        }
        Some(Reading::Unknown(_)) | None => None,
    }
}

/// Why AWS refused an effect, where it was the last one and it is certain that it was not made.
pub(super) fn refused<'a>(pass: &Pass<'a>, operation: &str) -> Option<&'a Failure> {
    let last = pass.observation.last_effect.as_ref()?;
    let certain = match last.failure.kind {
        FailureKind::Rejected | FailureKind::NotFound | FailureKind::Denied => true,
        FailureKind::NotAsked | FailureKind::Throttled | FailureKind::Unavailable => false,
    };
    (certain && last.intent == operation).then_some(&last.failure)
}

/// The exit code with which a stop document says that it had to kill.
pub(super) const EXIT_KILLED: i32 = 10;

fn ended(pass: &Pass<'_>, how: StopHow, report: Option<&StopReport>) -> Terminated {
    Terminated {
        at: pass.now,
        how,
        took: report.and_then(|report| report.took),
        exit: report.and_then(|report| report.exit),
    }
}

/// A process ends with its instance. Only the word `terminated` counts: an instance that is not
/// listed may be one that a lagging reading left out.
fn see_instance(pass: &Pass<'_>, world: &World<'_>, target: &mut TargetStatus) {
    let terminated = world
        .instance(&target.id)
        .is_some_and(|instance| instance.state == InstanceState::Terminated);
    if terminated {
        target.steps.terminated = Some(ended(pass, StopHow::InstanceTerminated, None));
    }
}
