//! Folds what was seen into the record: adoption, registrations, health, processes, drains.

use super::{
    CommandState, Health, InstanceState, Invocation, Reading, StopReport, drain,
    limits::{FENCE, LOOK_SHORTEST},
    pass::Pass,
    planned::of_the_fleet,
    roles::{Role, role},
    timings,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Color, Duration, HealthProgress, Healthy,
    Registered, Registration, Revision, StepKind, Steps, StopHow, TargetStatus, Terminated,
};

/// Writes down what this pass saw.
pub(super) fn record(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    // The spec cannot change its ports: a record of another one is not ours.
    let ours = |target: &TargetStatus| of_the_fleet(pass.spec(), target);
    status.targets.retain(ours);
    if status.revision == 0 && status.blue.is_none() && status.green.is_none() {
        // A record belongs to a revision, and there is none.
        status.targets.clear();
        adopt(pass, world, status);
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
            }
            Some(Role::Keep) | None => {
                see_registrations(pass, world, target);
                see_health(pass, world, target);
            }
        }
        progress |= before != target.steps;
        timings::record(status, &before, target);
    }
    status.targets = targets;
    if progress && let Some(course) = &mut status.course {
        course.progress_at = pass.now;
    }
}

/// What is registered when the release is first seen is blue, revision 0.
fn adopt(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    let spec = pass.spec();
    let ports: &[u16] = match (&spec.fleet.hosts, &spec.fleet.existing) {
        (Some(hosts), _) => &hosts.ports,
        (None, Some(existing)) => std::slice::from_ref(&existing.port),
        (None, None) => &[],
    };
    for instance in world.fleet {
        for port in ports {
            let id = super::TargetId {
                id: instance.id.clone(),
                port: *port,
            };
            if !world.groups.iter().any(|group| group.registered(&id)) {
                continue;
            }
            let live = world
                .groups
                .iter()
                .all(|g| g.listed(&id) == Some(Health::Healthy));
            status.targets.push(TargetStatus {
                revision: 0,
                id: id.id,
                port: id.port,
                zone: Some(instance.zone.clone()),
                color: Color::Blue,
                version: live_version(spec, instance.version.as_ref()),
                process: None,
                registrations: Vec::new(),
                health: None,
                drain: Vec::new(),
                quiet: None,
                steps: Steps {
                    healthy: live.then_some(Healthy {
                        at: pass.now,
                        consecutive: 0,
                    }),
                    ..Steps::default()
                },
            });
        }
    }
    if status.targets.is_empty() {
        return;
    }
    let first = status.targets[0].version.clone();
    let same = status.targets.iter().all(|target| target.version == first);
    status.blue = Some(Revision {
        revision: 0,
        version: first.filter(|_| same),
        started_at: pass.now,
    });
}

fn live_version(spec: &BlueGreenReleaseSpec, tag: Option<&String>) -> Option<String> {
    let said = spec.adopt.as_ref().map(|adopt| adopt.version.clone());
    tag.cloned().or(said)
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

/// Counts healthy observations until the gate is passed.
fn see_health(pass: &Pass<'_>, world: &World<'_>, target: &mut TargetStatus) {
    if target.steps.healthy.is_some() {
        return;
    }
    let countable = target.steps.registered.is_some() && !too_soon(pass, target);
    if !countable || !world.healthy(target) {
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
    if progress.consecutive >= gate.consecutive && pass.now >= progress.since + gate.stable_for {
        target.steps.healthy = Some(Healthy {
            at: pass.now,
            consecutive: progress.consecutive,
        });
        target.health = None;
    }
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
