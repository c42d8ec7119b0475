//! Takes registered targets of the fleet into the record: those of before the first release, and
//! those that others have registered since.

use super::{
    Health, Instance, TargetId,
    limits::ENDED_SHOWN_LATEST,
    owners,
    pass::Pass,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Color, Direction, Healthy, Revision, Steps,
    TargetStatus,
};

/// Every registered target is blue, revision 0, when the release is first seen.
pub(super) fn first(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    let registered = registered(pass.spec(), world);
    let adopted = registered.map(|(instance, id)| record(pass, world, instance, id, 0));
    status.targets.extend(adopted);
    if status.targets.is_empty() {
        return;
    }
    status.blue = Some(before(pass, &status.targets));
}

/// The revision of before the first release. Its version is known where all targets have the same.
fn before(pass: &Pass<'_>, targets: &[TargetStatus]) -> Revision {
    let first = targets.first().and_then(|target| target.version.clone());
    let same = targets.iter().all(|target| target.version == first);
    Revision {
        revision: 0,
        version: first.filter(|_| same),
        started_at: pass.now,
    }
}

/// Registered targets of the fleet without a record join the live side: the next release replaces
/// them, and one in progress does. Without that they would serve an old version for good.
pub(super) fn strangers(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    let coming = coming(status).cloned();
    let new: Vec<TargetStatus> = registered(pass.spec(), world)
        .filter(|(_, id)| !known(pass, status, id))
        .filter(|(instance, _)| coming.is_none() || instance.version != coming)
        .map(|(instance, id)| {
            let revision = status.blue.as_ref().map_or(0, |blue| blue.revision);
            record(pass, world, instance, id, revision)
        })
        .collect();
    if !new.is_empty() && status.blue.is_none() {
        status.blue = Some(before(pass, &new));
    }
    // The record that has ended gives way: there is one for each revision, instance and port.
    let replaced = |target: &TargetStatus| {
        let mut new = new.iter();
        new.any(|new| new.revision == target.revision && id_of(new) == id_of(target))
    };
    status.targets.retain(|target| !replaced(target));
    status.targets.extend(new);
}

/// A target that others had registered beside a healthy one of the same host, and that was never
/// healthy itself, is let go when they have deregistered it again.
pub(super) fn let_go(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    if status.course.is_some() || pass.spec().fleet.hosts.is_none() {
        return;
    }
    let listed = |target: &TargetStatus| {
        let id = id_of(target);
        world.groups.iter().any(|group| group.listed(&id).is_some())
    };
    let living = |target: &&TargetStatus| target.steps.terminated.is_none();
    let staying: Vec<TargetId> = status
        .targets
        .iter()
        .filter(living)
        .filter(|target| world.healthy(target))
        .map(id_of)
        .collect();
    status.targets.retain(|target| {
        let beside = staying.iter().any(|other| other.id == target.id);
        let unused = target.process.is_none() && target.steps.healthy.is_none();
        !(living(&target) && unused && beside && !listed(target))
    });
}

/// The version of instances that join the new side by themselves.
fn coming(status: &BlueGreenReleaseStatus) -> Option<&String> {
    let course = status.course.as_ref()?;
    let forward = course.direction == Direction::Forward;
    let green = status.green.as_ref().filter(|_| forward)?;
    green.version.as_ref()
}

/// Whether a target has a record. Where it has ended a moment ago, a reading may still show it.
fn known(pass: &Pass<'_>, status: &BlueGreenReleaseStatus, id: &TargetId) -> bool {
    let mut records = status.targets.iter().filter(|target| id_of(target) == *id);
    records.any(|target| match &target.steps.terminated {
        None => true,
        Some(ended) => pass.now < ended.at + ENDED_SHOWN_LATEST,
    })
}

/// The targets of the fleet that some group has registered.
fn registered<'a>(
    spec: &'a BlueGreenReleaseSpec,
    world: &'a World<'_>,
) -> impl Iterator<Item = (&'a Instance, TargetId)> {
    let ports = owners::ports(spec);
    let of_fleet = world.fleet.iter().flat_map(move |instance| {
        let id = |port: &u16| TargetId {
            id: instance.id.clone(),
            port: *port,
        };
        ports.iter().map(move |port| (instance, id(port)))
    });
    of_fleet.filter(|(_, id)| world.groups.iter().any(|group| group.registered(id)))
}

fn record(
    pass: &Pass<'_>,
    world: &World<'_>,
    instance: &Instance,
    id: TargetId,
    revision: u64,
) -> TargetStatus {
    let mut groups = world.groups.iter();
    let live = groups.all(|group| group.listed(&id) == Some(Health::Healthy));
    // The version that the user declares is that of before the first release.
    let said = pass.spec().adopt.as_ref().filter(|_| revision == 0);
    let said = said.map(|adopt| adopt.version.clone());
    TargetStatus {
        revision,
        id: id.id,
        port: id.port,
        zone: Some(instance.zone.clone()),
        color: Color::Blue,
        version: instance.version.clone().or(said),
        process: None,
        registrations: Vec::new(),
        health: None,
        drain: Vec::new(),
        quiet: None,
        unhealthy_since: None,
        steps: Steps {
            healthy: live.then_some(Healthy {
                at: pass.now,
                consecutive: 0,
            }),
            ..Steps::default()
        },
    }
}
