//! What only AWS can tell, found before anything is changed.

use super::{
    CommandState, Failure, FailureKind, Health, Instance, InstanceState, Invocation,
    LoadBalancerKind, Reading, TargetId, converge, course, delay, drain, failures, host,
    limits::TARGETS_MOST,
    pass::Pass,
    planned::{arrived, keeper, planned},
    record::EXIT_KILLED,
    revisions,
    roles::{Manner, Role, doomed, living},
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, Direction, DrainTimeoutPolicy, Existing, Hosts, Reason, StepKind,
};

/// Why a release cannot begin, or go on, without a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    /// The thing, the cause and the remedy.
    pub(super) message: String,
}

/// Whether a release may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Preflight {
    Ready,
    /// Not yet; nobody needs to do anything that is not on its way.
    NotYet(String),
    Problem(Problem),
}

/// What a reading that failed means for people.
pub(super) fn unreadable(failure: &Failure) -> Problem {
    let reason = match failure.kind {
        FailureKind::Denied => Reason::AccessDenied,
        FailureKind::NotFound => Reason::TargetGroupNotFound,
        FailureKind::NotAsked
        | FailureKind::Throttled
        | FailureKind::Rejected
        | FailureKind::Unavailable => Reason::CloudUnavailable,
    };
    Problem {
        reason,
        message: failure.message.clone(),
    }
}

/// What makes it impossible to go on, at any time.
pub(super) fn groups(world: &World<'_>) -> Option<Problem> {
    world.groups.iter().find_map(|group| {
        let trouble = if !group.instance_targets {
            "its target type is not `instance`; create a target group for instances"
        } else if group.load_balancer == LoadBalancerKind::Gateway {
            "it belongs to a Gateway Load Balancer; use one of an Application or Network Load Balancer"
        } else if !group.in_use {
            "no load balancer uses it; name it in a listener or rule"
        } else {
            return None;
        };
        Some(Problem {
            reason: Reason::TargetGroupUnsuitable,
            message: format!("target group {} cannot be used: {trouble}", group.name),
        })
    })
}

/// Everything that must hold before a release begins.
pub(super) fn check(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Preflight {
    let spec = pass.spec();
    if let Some(problem) = groups(world) {
        return Preflight::Problem(problem);
    }
    if let Some(problem) = settings(pass, world).or_else(|| delay::refused(pass, world, status)) {
        return Preflight::Problem(problem);
    }
    match (&spec.fleet.hosts, &spec.fleet.existing) {
        (Some(hosts), _) => match check_hosts(world, hosts, Manner::of(&spec.fleet)) {
            Preflight::Ready => match no_free_port(pass, world, status) {
                Some(message) => problem(Reason::NoFreePort, message),
                None => host::check(pass, world, hosts),
            },
            other => other,
        },
        (None, Some(existing)) => check_existing(pass, world, status, existing),
        (None, None) => Preflight::NotYet("waiting: the spec names no fleet".to_owned()),
    }
}

/// A setting of a target group with which a healthy target, or the end of a drain, would not mean
/// what the release takes it for.
fn settings(pass: &Pass<'_>, world: &World<'_>) -> Option<Problem> {
    let spec = pass.spec();
    let manner = Manner::of(&spec.fleet);
    world.groups.iter().find_map(|group| {
        let name = &group.name;
        let proceed = spec.drain.on_timeout == DrainTimeoutPolicy::Proceed;
        let message = match group.settings.health_check_port {
            Some(port) if manner == Manner::SideBySide => format!(
                "target group {name} checks port {port} on every host, so the old process would answer for the new one; set its HealthCheckPort to traffic-port"
            ),
            Some(_) | None if group.settings.slow_start >= spec.health.timeout => format!(
                "target group {name} starts targets slowly for {}, and health.timeout is {}; give health.timeout more time",
                group.settings.slow_start, spec.health.timeout
            ),
            Some(_) | None
                if !group.ends_connections() && spec.drain.in_flight.is_none() && !proceed =>
            {
                format!(
                    "target group {name} belongs to a Network Load Balancer and keeps connections after the deregistration delay, so no drain could be proven; set deregistration_delay.connection_termination.enabled, give drain.inFlight, or set drain.onTimeout to Proceed"
                )
            }
            Some(_) | None => return None,
        };
        Some(Problem {
            reason: Reason::TargetGroupUnsuitable,
            message,
        })
    })
}

fn problem(reason: Reason, message: String) -> Preflight {
    Preflight::Problem(Problem { reason, message })
}

fn check_hosts(world: &World<'_>, hosts: &Hosts, manner: Manner) -> Preflight {
    let alive: Vec<_> = world
        .fleet
        .iter()
        .filter(|instance| instance.state != InstanceState::Terminated)
        .collect();
    if alive.is_empty() {
        return problem(
            Reason::NoInstances,
            "no instance matches fleet.hosts.selector; check its tags".to_owned(),
        );
    }
    if alive.len() * 2 > TARGETS_MOST {
        return problem(
            Reason::TooManyTargets,
            format!(
                "{} hosts match fleet.hosts.selector, and a release may have {TARGETS_MOST} targets, old and new; divide the application into several releases",
                alive.len()
            ),
        );
    }
    if let Some(stopped) = alive.iter().find(|i| i.state != InstanceState::Running) {
        return problem(
            Reason::InstanceNotRunning,
            format!(
                "instance {} matches fleet.hosts.selector but does not run; start it, or take the tags off it",
                stopped.id
            ),
        );
    }
    for group in &world.groups {
        let stray = group.targets.keys().find(|target| {
            alive.iter().any(|instance| instance.id == target.id)
                && !hosts.ports.contains(&target.port)
                && group.registered(target)
        });
        if let Some(stray) = stray {
            return problem(
                Reason::PortNotRegistered,
                format!(
                    "target group {} has {} registered, but fleet.hosts.ports is {:?}; name the port that is registered, or deregister that target",
                    group.name, stray, hosts.ports
                ),
            );
        }
    }
    if let Some(problem) = revisions::unsuitable(hosts, manner) {
        return Preflight::Problem(problem);
    }
    if manner == Manner::InPlace
        && let Some(not_yet) = nothing_to_rely_on(world, hosts)
    {
        return not_yet;
    }
    if manner == Manner::InPlace && alive.len() == 1 {
        return problem(
            Reason::WouldLeaveNoTarget,
            "recreating in place on the only host would leave no target in service; give fleet.hosts.ports two ports, or tag a second host".to_owned(),
        );
    }
    Preflight::Ready
}

/// A host on which the new version has no port to start on: others have registered the second one too.
fn no_free_port(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<String> {
    let hosts = pass.spec().fleet.hosts.as_ref()?;
    let [first, second] = hosts.ports.as_slice() else {
        return None;
    };
    let living = |id: &str, color: Color, port: Option<u16>| {
        status.targets.iter().any(|target| {
            target.id == id
                && target.color == color
                && target.steps.terminated.is_none()
                && port.is_none_or(|port| target.port == port)
        })
    };
    let taken = world.running().find(|host| {
        let both = [first, second].map(|port| living(&host.id, Color::Blue, Some(*port)));
        both == [true, true] && !living(&host.id, Color::Green, None)
    })?;
    let id = &taken.id;
    Some(format!(
        "targets {id}:{first} and {id}:{second} are both registered, so the new version has no port to start on; deregister the one that is not to serve, and stop what runs there"
    ))
}

/// Why recreating in place cannot begin: no registered host is healthy, or a zone would be without
/// a target.
fn nothing_to_rely_on(world: &World<'_>, hosts: &Hosts) -> Option<Preflight> {
    let of_fleet = |target: &TargetId| {
        world.instance(&target.id).is_some() && hosts.ports.contains(&target.port)
    };
    for group in &world.groups {
        let registered = || {
            let listed = group.targets.iter();
            listed.filter(|(target, _)| of_fleet(target) && group.registered(target))
        };
        let Some((first, _)) = registered().next() else {
            continue;
        };
        if registered().any(|(_, health)| *health == Health::Healthy) {
            continue;
        }
        let (name, hosts) = (&group.name, registered().count());
        if registered().any(|(_, health)| *health == Health::Initial) {
            return Some(Preflight::NotYet(format!(
                "waiting for the first health checks of {hosts} targets in target group {name}"
            )));
        }
        let reason = group.reasons.get(first);
        let reason = reason.map_or_else(String::new, |reason| format!(" ({first}: {reason})"));
        return Some(problem(
            Reason::NothingHealthy,
            format!(
                "none of {hosts} targets in target group {name} is healthy{reason}, and recreating in place would take one out; repair the health check or the application, or deregister the targets"
            ),
        ));
    }
    let alone = world.running().find(|instance| {
        let zone = |other: &&Instance| other.zone == instance.zone;
        world.zonal() && world.running().filter(zone).count() == 1
    })?;
    Some(problem(
        Reason::WouldLeaveNoTarget,
        format!(
            "instance {} is the only host in zone {}, and cross-zone load balancing is off, so recreating it in place would leave the zone without a target; turn cross-zone load balancing on, tag a second host in the zone, or give fleet.hosts.ports two ports",
            alone.id, alone.zone
        ),
    ))
}

fn check_existing(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    existing: &Existing,
) -> Preflight {
    if world.fleet.len() > TARGETS_MOST {
        return problem(
            Reason::TooManyTargets,
            format!(
                "{} instances match fleet.existing.selector, and a release may have {TARGETS_MOST}; divide the application into several releases",
                world.fleet.len()
            ),
        );
    }
    let version = &pass.spec().version;
    let ready = world
        .running()
        .filter(|instance| instance.version.as_ref() == Some(version))
        .count();
    let wanted = replicas(existing, version, status);
    if ready < wanted {
        return Preflight::NotYet(format!(
            "waiting for instances: {ready} of {wanted} run with tag {}={version}",
            existing.version_tag
        ));
    }
    Preflight::Ready
}

/// How many instances of the new version there must be: as many as the spec says, or as are live.
pub(super) fn replicas(
    existing: &Existing,
    version: &String,
    status: &BlueGreenReleaseStatus,
) -> usize {
    let live = status
        .targets
        .iter()
        .filter(|target| target.color == Color::Blue && target.steps.terminated.is_none())
        .filter(|target| target.version.as_ref() != Some(version))
        .count();
    let wanted = existing.replicas.map_or(live, |replicas| replicas as usize);
    wanted.max(1)
}

/// An effect that failed for good until a person acts.
pub(super) fn refused_effect(pass: &Pass<'_>) -> Option<Problem> {
    let last = pass.observation.last_effect.as_ref()?;
    let reason = match last.failure.kind {
        FailureKind::Denied => Reason::AccessDenied,
        FailureKind::NotFound | FailureKind::Rejected => Reason::EffectRefused,
        FailureKind::NotAsked | FailureKind::Throttled | FailureKind::Unavailable => {
            Reason::CloudUnavailable
        }
    };
    Some(Problem {
        reason,
        message: last.failure.message.clone(),
    })
}

/// The same without the time at which the release turns back: for what is said when it does.
pub(super) fn stuck(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Problem> {
    trouble(pass, world, status, "")
}

/// An instance that stopped, a process that does not stop, a drain that does not end: what stalls
/// a release on its way.
pub(super) fn on_the_way(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Problem> {
    let turns_back = course::turns_back_at(pass, world, status)
        .map(|at| format!("; without that, the release turns back at {at} at the latest"))
        .unwrap_or_default();
    trouble(pass, world, status, &turns_back)
}

fn trouble(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    turns_back: &str,
) -> Option<Problem> {
    if let Some(message) = too_few(pass, world, status) {
        return Some(Problem {
            reason: Reason::WouldLeaveNoTarget,
            message: format!("{message}{turns_back}"),
        });
    }
    let forward = status.course.as_ref()?.direction == Direction::Forward;
    if let Some(message) = no_free_port(pass, world, status).filter(|_| forward) {
        return Some(Problem {
            reason: Reason::NoFreePort,
            message: format!("{message}{turns_back}"),
        });
    }
    let to_withdraw = living(status, Role::Leave).any(|target| target.drain.is_empty());
    if let Some(problem) = delay::cuts(pass, world, status).filter(|_| to_withdraw) {
        return Some(Problem {
            message: format!("{}{turns_back}", problem.message),
            ..problem
        });
    }
    if let Some(stopped) = not_running(world, status) {
        return Some(Problem {
            reason: Reason::InstanceNotRunning,
            message: format!(
                "instance {stopped} should run the new target but does not run; start it{turns_back}"
            ),
        });
    }
    if let Some(lost) = not_found(pass, world, status) {
        return Some(Problem {
            reason: Reason::InstanceNotFound,
            message: format!(
                "instance {lost} is no longer found by the fleet's selector, and nothing is done to it; put its tags back, or terminate it{turns_back}"
            ),
        });
    }
    if let Some(message) = in_the_way(pass, world, status) {
        return Some(Problem {
            reason: Reason::PortNotRegistered,
            message,
        });
    }
    let leaving = living(status, Role::Leave);
    for target in leaving {
        match pass.spec().drain.on_timeout {
            DrainTimeoutPolicy::Hold if drain::overdue(target, pass.now) => {
                return Some(Problem {
                    reason: Reason::DrainNotProven,
                    message: format!(
                        "target {}:{} is not proven to be drained, a minute after it should have been; look at what is in flight on it, or set drain.onTimeout to Proceed{turns_back}",
                        target.id, target.port
                    ),
                });
            }
            DrainTimeoutPolicy::Hold | DrainTimeoutPolicy::Proceed => {}
        }
        if let Some(message) = failures::unstoppable(pass, status, target) {
            return Some(Problem {
                reason: Reason::StopFailed,
                message: format!("{message}; the controller retries{turns_back}"),
            });
        }
        let Some(process) = target.process.as_ref().filter(|p| p.step == StepKind::Stop) else {
            continue;
        };
        let Some(Reading::Known(CommandState::Sent(sent))) =
            pass.observation.commands.get(&process.operation)
        else {
            continue;
        };
        match sent.get(&target.id) {
            Some(Invocation::Failed { code, output, .. })
                if *code != EXIT_KILLED && doomed(target) =>
            {
                return Some(Problem {
                    reason: Reason::StopFailed,
                    message: format!(
                        "the stop command on {} for port {} ended with exit code {code}: {output}; repair the host: the controller retries",
                        target.id, target.port
                    ),
                });
            }
            Some(
                Invocation::Running
                | Invocation::Succeeded { .. }
                | Invocation::Failed { .. }
                | Invocation::NotDelivered { .. },
            )
            | None => {}
        }
    }
    None
}

/// Why what is there does not suffice to go on: one host is left to recreate in place, or instances
/// of the new version have gone.
fn too_few(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> Option<String> {
    let planned = planned(pass.spec(), world, status);
    let here = |id| keeper(status, id).is_some_and(arrived);
    let leaving = living(status, Role::Leave).next().is_some();
    if Manner::of(&pass.spec().fleet) == Manner::InPlace
        && planned.len() == 1
        && leaving
        && !planned.iter().all(here)
    {
        return Some("one host is left, and recreating it in place would leave no target in service; start or tag a second host".to_owned());
    }
    let wanted = status.course.as_ref()?.replicas? as usize;
    (planned.len() < wanted).then(|| {
        format!(
            "{} of {wanted} instances of version {} are there; create the missing ones",
            planned.len(),
            pass.spec().version
        )
    })
}

/// Why something that leaves cannot be stopped: its instance serves with another port.
fn in_the_way(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<String> {
    living(status, Role::Leave).find_map(|target| {
        let here = id_of(target);
        let drained = target.steps.drained.is_some() || target.steps.unproven.is_some();
        let other = converge::still_registered(pass, world, status, target)
            .filter(|other| drained && *other != here)?;
        let ends = match pass.spec().fleet.hosts {
            None => format!("instance {} is to be terminated", target.id),
            Some(_) => format!("what runs on {here} is to be stopped by a command that does not name the port"),
        };
        Some(format!(
            "{ends}, and the instance is registered as {other} too; deregister that, or register it on an instance of its own"
        ))
    })
}

/// An instance on which something is to come up or to leave, and which the selector does not find.
fn not_found(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<String> {
    let coming = planned(pass.spec(), world, status)
        .into_iter()
        .filter(|id| !keeper(status, id).is_some_and(arrived))
        .map(|id| id.id);
    coming
        .chain(living(status, Role::Leave).map(|target| target.id.clone()))
        .find(|id| world.instance(id).is_none())
}

/// An instance on which a target should come up, and which does not run.
fn not_running<'a>(world: &World<'_>, status: &'a BlueGreenReleaseStatus) -> Option<&'a str> {
    let waiting = living(status, Role::Keep).filter(|target| !arrived(target));
    waiting.map(|target| target.id.as_str()).find(|id| {
        let instance = world.instance(id);
        instance.is_some_and(|instance| instance.state == InstanceState::Stopped)
    })
}
