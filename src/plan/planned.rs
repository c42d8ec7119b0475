//! Which targets should be live in the end.

use std::collections::BTreeSet;

use super::{
    InstanceState, TargetId,
    roles::{Manner, kept_revision},
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Color, Direction, Hosts, StopHow, TargetStatus,
};

/// The targets that should be live when the release has taken its course.
pub(super) fn planned(
    spec: &BlueGreenReleaseSpec,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Vec<TargetId> {
    match status.course.as_ref().map(|course| course.direction) {
        None => Vec::new(),
        Some(Direction::Forward) => forward(spec, world, status),
        Some(Direction::Back) => status
            .targets
            .iter()
            .filter(|target| target.color == Color::Blue)
            .filter(|target| !with_instance(target) && !ended(world, &target.id))
            .map(id_of)
            .collect(),
    }
}

/// Whether it ended with its instance, so that nobody can bring it back.
fn with_instance(target: &TargetStatus) -> bool {
    target
        .steps
        .terminated
        .as_ref()
        .is_some_and(|end| end.how == StopHow::InstanceTerminated)
}

/// Whether an instance is known to be terminated.
fn ended(world: &World<'_>, id: &str) -> bool {
    let instance = world.instance(id);
    instance.is_some_and(|instance| instance.state == InstanceState::Terminated)
}

/// Whether every target that should be live in the end has arrived, and there are as many as there
/// were to be.
pub(super) fn all_arrived(
    spec: &BlueGreenReleaseSpec,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> bool {
    let planned = planned(spec, world, status);
    let wanted = status.course.as_ref().and_then(|course| course.replicas);
    let here = |id| keeper(status, id).is_some_and(arrived);
    planned.len() >= wanted.map_or(0, |wanted| wanted as usize) && planned.iter().all(here)
}

fn forward(
    spec: &BlueGreenReleaseSpec,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Vec<TargetId> {
    let version = kept_revision(status).and_then(|revision| revision.version.as_ref());
    let lost = spec
        .fleet
        .hosts
        .iter()
        .flat_map(|hosts| lost(hosts, world, status));
    world
        .fleet
        .iter()
        .filter(|instance| instance.state != InstanceState::Terminated)
        .filter_map(|instance| {
            let port = match (&spec.fleet.hosts, &spec.fleet.existing) {
                (Some(hosts), _) => green_port(&hosts.ports, &instance.id, status),
                (None, Some(existing)) => {
                    // A tag that somebody changes does not change the process that a record is of.
                    let replaced = |target: &TargetStatus| {
                        target.id == instance.id
                            && target.color == Color::Blue
                            && target.steps.terminated.is_none()
                    };
                    let ours = version.is_some()
                        && instance.version.as_ref() == version
                        && !status.targets.iter().any(replaced);
                    ours.then_some(existing.port)
                }
                (None, None) => None,
            };
            Some(TargetId {
                id: instance.id.clone(),
                port: port?,
            })
        })
        .chain(lost)
        .collect()
}

/// Hosts that the fleet's reading left out, and on which this release has work to do: a release
/// must not end without them because of one reading. Only the word `terminated` lets a host go.
fn lost(hosts: &Hosts, world: &World<'_>, status: &BlueGreenReleaseStatus) -> BTreeSet<TargetId> {
    status
        .targets
        .iter()
        .filter(|target| world.instance(&target.id).is_none() && !with_instance(target))
        .filter_map(|target| {
            let port = green_port(&hosts.ports, &target.id, status)?;
            Some(TargetId {
                id: target.id.clone(),
                port,
            })
        })
        .collect()
}

/// The port on which green starts on a host: the one that it has already, or one that blue does
/// not have. With one port, it is that one: blue makes room first.
fn green_port(ports: &[u16], host: &str, status: &BlueGreenReleaseStatus) -> Option<u16> {
    let of = |color: Color| {
        status
            .targets
            .iter()
            .filter(move |target| target.id == host && target.color == color)
    };
    if let Some(green) = of(Color::Green).next() {
        return Some(green.port);
    }
    let free = ports.iter().find(|port| {
        of(Color::Blue).all(|blue| blue.port != **port || blue.steps.terminated.is_some())
    });
    free.or(ports.first()).copied()
}

/// The record of a target that is kept.
pub(super) fn keeper<'a>(
    status: &'a BlueGreenReleaseStatus,
    id: &TargetId,
) -> Option<&'a TargetStatus> {
    let revision = kept_revision(status)?.revision;
    status
        .targets
        .iter()
        .find(|t| t.revision == revision && t.id == id.id && t.port == id.port)
}

/// Whether a record is about a port that the fleet has. The spec cannot change its ports, so any
/// other record was written by somebody else: nothing is started, registered or stopped for it.
pub(super) fn of_the_fleet(spec: &BlueGreenReleaseSpec, target: &TargetStatus) -> bool {
    match (&spec.fleet.hosts, &spec.fleet.existing) {
        (Some(hosts), _) => hosts.ports.contains(&target.port),
        (None, Some(existing)) => existing.port == target.port,
        (None, None) => false,
    }
}

/// Whether a target that is kept has passed its health gate, and has neither been given up nor lost
/// its health since.
pub(super) fn arrived(target: &TargetStatus) -> bool {
    target.steps.healthy.is_some()
        && target.unhealthy_since.is_none()
        && target.drain.is_empty()
        && super::roles::serving(target)
}

/// Whether a target that leaves is at its end.
pub(super) fn gone(spec: &BlueGreenReleaseSpec, target: &TargetStatus) -> bool {
    use bluegreen_api::ExistingTermination::{Instances, Never};

    if target.steps.terminated.is_some() {
        return true;
    }
    match spec.fleet.existing.as_ref().map(|e| e.terminate) {
        Some(Never) => target.steps.drained.is_some() || target.steps.unproven.is_some(),
        // What a release that is rolled back brought in is not ours to terminate.
        Some(Instances) if target.color == Color::Green => {
            target.steps.drained.is_some() || target.steps.unproven.is_some()
        }
        Some(Instances) | None => false,
    }
}

/// How the fleet brings new targets up.
pub(super) fn manner(spec: &BlueGreenReleaseSpec) -> Manner {
    Manner::of(&spec.fleet)
}
