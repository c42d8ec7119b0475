//! Conditions besides `Ready`, for `kubectl wait` and for alerts: what is true of the targets.

use super::{
    FailureKind, Reading, delay, drift,
    limits::DELAY_USUAL,
    pass::Pass,
    planned::planned,
    roles::{Role, living, role},
    serve,
    world::World,
};
use bluegreen_api::{BlueGreenReleaseStatus, Reason, TargetStatus, set_condition};

/// Writes `TargetsHealthy`, `TrafficShifted` and `Drained`.
pub(super) fn write(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    let conditions = [
        ("TargetsHealthy", targets_healthy(world, status)),
        ("TrafficShifted", traffic_shifted(pass, world, status)),
        ("Drained", drained(pass, status)),
        ("InSync", drift::in_sync(pass, world, status)),
        ("ProbeFailing", probe_failing(pass)),
        ("DelayTooShort", delay::told(pass, world, status)),
    ];
    let generation = Some(pass.release.generation);
    for (type_, told) in conditions {
        let value = told
            .as_ref()
            .map(|told| (told.holds, told.reason, told.message.as_str()));
        set_condition(&mut status.conditions, type_, value, generation, pass.now);
    }
}

/// What a condition says; `None` where there is nothing yet of which it could say anything.
pub(super) struct Told {
    pub(super) holds: bool,
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// The condition is there while it is true: the first of the probes that gave no figures.
fn probe_failing(pass: &Pass<'_>) -> Option<Told> {
    let probes = pass.observation.probes.iter();
    let mut failing = probes.filter_map(|(target, reading)| match reading {
        Reading::Unknown(failure) if failure.kind != FailureKind::NotAsked => {
            Some((target, failure))
        }
        Reading::Unknown(_) | Reading::Known(_) => None,
    });
    let (target, failure) = failing.next()?;
    Some(Told {
        holds: true,
        reason: Reason::ProbeFailing,
        message: format!(
            "drain.inFlight gives no figures for {target}: {}",
            failure.message
        ),
    })
}

/// Whether every target that is registered and not withdrawn is healthy in all target groups.
fn targets_healthy(world: &World<'_>, status: &BlueGreenReleaseStatus) -> Option<Told> {
    let serving: Vec<&TargetStatus> = status
        .targets
        .iter()
        .filter(|target| target.steps.registered.is_some() && target.drain.is_empty())
        .filter(|target| target.steps.terminated.is_none())
        .collect();
    let ill: Vec<String> = serving
        .iter()
        .filter(|target| !world.healthy(target))
        .map(|target| format!("{}:{}", target.id, target.port))
        .collect();
    let all = serving.len();
    (all > 0).then(|| match ill.as_slice() {
        [] => Told {
            holds: true,
            reason: Reason::TargetsHealthy,
            message: format!("{all} of {all} targets are healthy"),
        },
        [first, ..] => Told {
            holds: false,
            reason: Reason::TargetUnhealthy,
            message: format!(
                "{} of {all} targets are healthy; {first} is not",
                all - ill.len()
            ),
        },
    })
}

/// Whether all requests go to the version that the spec asks for.
fn traffic_shifted(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Option<Told> {
    let blue = status.blue.as_ref();
    if status.course.is_none() {
        let live = blue?.version.as_ref();
        let wanted = live == Some(&pass.spec().version);
        let mut living = status
            .targets
            .iter()
            .filter(|t| t.steps.terminated.is_none());
        let serves = living.any(|target| world.healthy(target));
        let version = live.map_or("unknown", String::as_str);
        return Some(Told {
            holds: wanted && serves,
            reason: match (wanted, serves) {
                (true, true) => Reason::Released,
                (true, false) => Reason::TargetUnhealthy,
                (false, _) if status.failed_generation.is_some() => Reason::RolledBack,
                (false, _) => Reason::Releasing,
            },
            message: if serves {
                format!("version {version} gets the traffic")
            } else {
                format!("version {version} is live, and none of its targets is healthy")
            },
        });
    }
    let here = living(status, Role::Keep)
        .filter(|target| serve::in_service(pass, world, status, target))
        .count();
    let wanted = planned(pass.spec(), world, status).len();
    let left = living(status, Role::Leave)
        .filter(|target| target.steps.deregistered.is_none())
        .count();
    let holds = here >= wanted && wanted > 0 && left == 0;
    Some(Told {
        holds,
        reason: Reason::Releasing,
        message: format!(
            "{here} of {wanted} targets are in service, {left} are still to be withdrawn"
        ),
    })
}

/// Whether every target that leaves, or has left, has its proof.
fn drained(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> Option<Told> {
    let live = status.blue.as_ref().map(|blue| blue.revision);
    let leaving: Vec<&TargetStatus> = status
        .targets
        .iter()
        .filter(|target| match role(status, target) {
            Some(role) => role == Role::Leave,
            None => Some(target.revision) != live,
        })
        .collect();
    let proven = leaving
        .iter()
        .filter(|target| target.steps.drained.is_some())
        .count();
    let unproven = leaving
        .iter()
        .find(|target| target.steps.unproven.is_some() && target.steps.drained.is_none());
    let all = leaving.len();
    let covers = leaving
        .iter()
        .filter_map(|target| target.steps.drained.as_ref()?.covers);
    let needed = pass.spec().drain.longest_request.unwrap_or(DELAY_USUAL);
    let cut = match covers.min().filter(|covers| *covers < needed) {
        Some(covers) => format!("; requests longer than {covers} were cut, if there were any"),
        None => String::new(),
    };
    (all > 0).then(|| Told {
        holds: proven == all,
        reason: match unproven {
            Some(_) => Reason::DrainNotProven,
            None if proven == all => Reason::TargetsDrained,
            None => Reason::Releasing,
        },
        message: match unproven {
            Some(target) => format!(
                "{proven} of {all} targets are proven to be drained; {}:{} was stopped without proof",
                target.id, target.port
            ),
            None => format!("{proven} of {all} targets are proven to be drained{cut}"),
        },
    })
}
