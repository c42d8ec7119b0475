//! Registers what is kept and lives. On the way back this un-drains.

use super::{backing_off, intend, target_mut};
use crate::{
    Group, Step, TargetId, drift,
    limits::FENCE,
    pass::Pass,
    planned::{keeper, planned},
    roles::{Role, kept_revision, living, role, serving},
    serve,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Color, DriftPolicy, Registration, StepKind, Steps, TargetStatus,
};

/// Registers what is kept, serves, and is missing in a group.
pub(super) fn register(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    if pass.spec().fleet.existing.is_some() {
        welcome(pass, world, status);
    }
    let kept: Vec<(TargetId, Color)> = living(status, Role::Keep)
        .filter(|target| serving(target) && world.runs(&target.id))
        .map(|target| (id_of(target), target.color))
        .collect();
    into_groups(pass, world, status, &kept)
}

/// Puts targets that leave back into service, because the others do not suffice without them.
pub(super) fn put_back_leaving(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    let back = serve::to_put_back(pass, world, status);
    let back: Vec<(TargetId, Color)> = back.iter().map(|t| (id_of(t), t.color)).collect();
    into_groups(pass, world, status, &back)
}

/// Registers the live targets of a release at rest again, where the spec asks for that.
pub(crate) fn repair(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    let asked = pass.spec().drift == DriftPolicy::Repair && pass.release.finalizer;
    if !asked || pass.release.deleting || pass.spec().paused || backing_off(pass).is_some() {
        return None;
    }
    let missing: Vec<(TargetId, Color)> = drift::missing(world, status)
        .map(|(target, _)| (id_of(target), target.color))
        .collect();
    into_groups(pass, world, status, &missing)
}

/// Registers targets in the first group in which some are missing.
fn into_groups(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
    targets: &[(TargetId, Color)],
) -> Option<Step> {
    for (index, group) in world.groups.iter().enumerate() {
        let is_missing = |(id, color): &&(TargetId, Color)| {
            let record = find(status, id, *color);
            record.is_some_and(|target| {
                let leaves = role(status, target) == Some(Role::Leave);
                let belongs = !leaves || serve::was_in(target, &group.name);
                belongs && missing(target, group) && !asked_lately(pass, target, &group.name)
            })
        };
        let wanted: Vec<(TargetId, Color)> = targets.iter().filter(is_missing).cloned().collect();
        if wanted.is_empty() {
            continue;
        }
        let ids: Vec<TargetId> = wanted.iter().map(|(id, _)| id.clone()).collect();
        intend(pass, status, StepKind::Register, Some(&group.name), &ids);
        for (id, color) in wanted {
            if let Some(target) = target_mut(status, &id, color) {
                put_back(pass, target, &group.name);
            }
        }
        return Some(Step::Register {
            group: index,
            targets: ids,
        });
    }
    None
}

/// The record of a target that has not ended.
fn find<'a>(
    status: &'a BlueGreenReleaseStatus,
    id: &TargetId,
    color: Color,
) -> Option<&'a TargetStatus> {
    status.targets.iter().find(|target| {
        target.color == color
            && target.id == id.id
            && target.port == id.port
            && target.steps.terminated.is_none()
    })
}

/// Whether a target has to be registered in a group. Where its deregistration was intended, it
/// has to be, whatever the reading says: the reading may be older than the deregistration.
fn missing(target: &TargetStatus, group: &Group) -> bool {
    let withdrawn = target.drain.iter().any(|drain| drain.group == group.name);
    withdrawn || !group.registered(&id_of(target))
}

/// Whether a registration was intended so lately that a reading may not show it yet.
fn asked_lately(pass: &Pass<'_>, target: &TargetStatus, group: &str) -> bool {
    target
        .registrations
        .iter()
        .filter(|r| r.group == group)
        .filter_map(|r| r.requested_at)
        .any(|at| pass.now < at + FENCE)
}

/// A registration begins anew: what was recorded of an earlier one, and of its end, is over.
fn put_back(pass: &Pass<'_>, target: &mut TargetStatus, group: &str) {
    let renewed = target.drain.iter().any(|drain| drain.group == group);
    target.drain.retain(|drain| drain.group != group);
    target.quiet = None;
    target.health = None;
    target.unhealthy_since = None;
    target.steps = Steps::default();
    let of_group = |r: &Registration| r.group == group;
    let before_renewed = target
        .registrations
        .iter()
        .any(|r| of_group(r) && r.renewed);
    target.registrations.retain(|r| !of_group(r));
    target.registrations.push(Registration {
        group: group.to_owned(),
        requested_at: Some(pass.now),
        renewed: renewed || before_renewed,
        seen_at: None,
    });
}

/// Opens a record for every instance of the new version that others have created.
fn welcome(pass: &Pass<'_>, world: &World<'_>, status: &mut BlueGreenReleaseStatus) {
    for id in planned(pass.spec(), world, status) {
        let running = world.running().any(|instance| instance.id == id.id);
        if running && keeper(status, &id).is_none() {
            open(world, status, &id);
        }
    }
}

/// Opens the record of a target that is kept. An ended one of the same revision gives way to it.
pub(super) fn open(world: &World<'_>, status: &mut BlueGreenReleaseStatus, id: &TargetId) {
    let Some(revision) = kept_revision(status).cloned() else {
        return;
    };
    let color = if status.green.as_ref() == Some(&revision) {
        Color::Green
    } else {
        Color::Blue
    };
    status
        .targets
        .retain(|t| t.revision != revision.revision || t.id != id.id || t.port != id.port);
    status.targets.push(TargetStatus {
        revision: revision.revision,
        id: id.id.clone(),
        port: id.port,
        zone: world.instance(&id.id).map(|i| i.zone.clone()),
        color,
        version: revision.version,
        process: None,
        registrations: Vec::new(),
        health: None,
        drain: Vec::new(),
        quiet: None,
        unhealthy_since: None,
        steps: Steps::default(),
    });
}
