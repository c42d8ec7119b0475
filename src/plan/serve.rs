//! Somebody always serves: how many targets are in service now, how many must stay, and which
//! withdrawn ones are to be put back.
//!
//! A withdrawal, a stop and the way back all ask here, so that they agree: what may be withdrawn is
//! not put back for the same reading, and what is to be put back is not stopped.

use std::collections::BTreeSet;

use super::{
    Health, InstanceState, TargetId,
    pass::Pass,
    planned::{arrived, keeper, manner, planned},
    record::too_soon,
    roles::{Manner, Role, doomed, living, role, serving},
    world::{World, id_of},
};
use bluegreen_api::{BlueGreenReleaseStatus, TargetStatus};

/// Whether a target can be counted on: healthy in every group now, not being withdrawn, and past its
/// health gate where it is one that is kept. One that is `initial` is about to serve, and does not
/// count yet.
pub(super) fn in_service(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let counted = match role(status, target) {
        Some(Role::Keep) => arrived(target) && world.healthy(target),
        Some(Role::Leave) | None => {
            target.drain.is_empty() && !doomed(target) && world.serves(target)
        }
    };
    let lately = too_soon(pass, target);
    target.steps.terminated.is_none() && counted && !lately
}

/// Whether every target that is kept is in service, and there are as many as there were to be.
pub(super) fn all_in_service(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> bool {
    let planned = planned(pass.spec(), world, status);
    let here =
        |id| keeper(status, id).is_some_and(|target| in_service(pass, world, status, target));
    let wanted = status.course.as_ref().and_then(|course| course.replicas);
    let enough = planned.len() >= wanted.map_or(1, |wanted| wanted as usize);
    enough && planned.iter().all(here)
}

/// Whether enough others serve, in this observation, for a target to be out of service: to be
/// withdrawn, and once it is withdrawn, to be stopped.
pub(super) fn others_suffice(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let serves = was_in_service(pass, world, status, target);
    match manner(pass.spec()) {
        Manner::InPlace => {
            let without = [id_of(target)];
            let left = Left::without(pass, world, status, &without);
            if serves {
                left.suffice(target)
            } else {
                left.anybody(target)
            }
        }
        Manner::SideBySide | Manner::Existing => {
            let carried = all_in_service(pass, world, status);
            carried && (zones_covered(pass, world, status, target) || !serves)
        }
    }
}

/// Whether a target serves, or did so when it was withdrawn.
fn was_in_service(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let withdrawn = !target.drain.is_empty();
    let was = target.drain.iter().any(|drain| drain.was_healthy);
    in_service(pass, world, status, target) || (withdrawn && was)
}

/// The targets that are in service without some, all of them and in each zone.
pub(super) struct Left {
    /// How many of them must stay in service.
    floor: usize,
    /// How many are in service.
    all: usize,
    /// The zones, where a zone's requests are served by its own targets alone: the hosts that should
    /// be in service there, and those that are.
    zones: Vec<Zone>,
}

struct Zone {
    name: String,
    floor: usize,
    serving: usize,
}

impl Left {
    pub(super) fn without(
        pass: &Pass<'_>,
        world: &World<'_>,
        status: &BlueGreenReleaseStatus,
        without: &[TargetId],
    ) -> Self {
        let planned = planned(pass.spec(), world, status);
        let most_out = |hosts| pass.spec().rollout.max_unavailable.of(hosts);
        let floor = |hosts: usize| hosts.saturating_sub(most_out(hosts)).max(1);
        let serving: Vec<&TargetStatus> = status
            .targets
            .iter()
            .filter(|target| in_service(pass, world, status, target))
            .filter(|target| !without.contains(&id_of(target)))
            .collect();
        let zone_of = |id: &str| world.instance(id).map(|instance| instance.zone.as_str());
        let names: BTreeSet<&str> = match world.zonal() {
            true => planned.iter().filter_map(|id| zone_of(&id.id)).collect(),
            false => BTreeSet::new(),
        };
        let zones = names.into_iter().map(|name| {
            let hosts = planned.iter().filter(|id| zone_of(&id.id) == Some(name));
            let here = serving.iter().filter(|t| zone_of(&t.id) == Some(name));
            Zone {
                name: name.to_owned(),
                floor: floor(hosts.count()),
                serving: here.count(),
            }
        });
        Self {
            floor: floor(planned.len()),
            all: serving.len(),
            zones: zones.collect(),
        }
    }

    /// Whether enough are left for a target that serves to be out of service.
    pub(super) fn suffice(&self, target: &TargetStatus) -> bool {
        let zone = self.zone_of(target);
        self.all >= self.floor && zone.is_none_or(|zone| zone.serving >= zone.floor)
    }

    /// Whether any is left: enough for one that does not serve anyhow.
    pub(super) fn anybody(&self, target: &TargetStatus) -> bool {
        let zone = self.zone_of(target);
        self.all > 0 && zone.is_none_or(|zone| zone.serving > 0)
    }

    fn zone_of(&self, target: &TargetStatus) -> Option<&Zone> {
        let zone = target.zone.as_deref()?;
        self.zones.iter().find(|known| known.name == zone)
    }
}

/// Whether a target's zone is served by the side that is kept, where it must serve its own requests.
fn zones_covered(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    if !world.zonal() {
        return true;
    }
    let zone = |id: &str| world.instance(id).map(|instance| instance.zone.as_str());
    let planned = planned(pass.spec(), world, status);
    let mut kept = planned.iter().filter_map(|id| keeper(status, id));
    kept.any(|kept| {
        in_service(pass, world, status, kept) && zone(&kept.id) == target.zone.as_deref()
    })
}

/// The withdrawn targets that must serve again: their processes live, and the others do not suffice.
/// A target that is kept is put back by the ordinary way; this is about those that leave.
pub(super) fn to_put_back<'a>(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &'a BlueGreenReleaseStatus,
) -> Vec<&'a TargetStatus> {
    living(status, Role::Leave)
        .filter(|target| serving(target) && world.runs(&target.id))
        .filter(|target| withdrawn(world, target))
        .filter(|target| could_serve(pass, world, status, target))
        .filter(|target| !others_suffice(pass, world, status, target))
        .collect()
}

/// Whether a target was in service, and some group does not send to it now: because we withdrew it,
/// or because others did.
fn withdrawn(world: &World<'_>, target: &TargetStatus) -> bool {
    let id = id_of(target);
    let missing = || {
        let mut groups = world.groups.iter();
        groups.any(|group| was_in(target, &group.name) && !group.registered(&id))
    };
    !target.drain.is_empty() || (target.steps.healthy.is_some() && missing())
}

/// Whether a target was registered in a group. One of before the release need not be in every group
/// of the spec, and is not put into another one.
pub(super) fn was_in(target: &TargetStatus, group: &str) -> bool {
    let registered = target.registrations.iter().any(|r| r.group == group);
    registered || target.drain.iter().any(|drain| drain.group == group)
}

/// Whether it helps to put a target back: it was healthy when it was withdrawn, or nothing is
/// healthy at all, and then the load balancer sends to every target.
fn could_serve(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> bool {
    let nothing = !Left::without(pass, world, status, &[]).anybody(target);
    nothing || target.drain.is_empty() || target.drain.iter().any(|drain| drain.was_healthy)
}

/// Whether a target is about to serve: some group has not finished its first checks. To withdraw it
/// costs capacity, although it has none yet.
pub(super) fn about_to_serve(world: &World<'_>, target: &TargetStatus) -> bool {
    let id = id_of(target);
    let mut groups = world.groups.iter();
    groups.any(|group| group.listed(&id) == Some(Health::Initial))
}

impl World<'_> {
    /// Whether some group serves the requests of a zone with the targets of that zone alone.
    pub(super) fn zonal(&self) -> bool {
        self.groups.iter().any(|group| !group.settings.cross_zone)
    }

    /// Whether an instance is found, and runs.
    pub(super) fn runs(&self, id: &str) -> bool {
        let instance = self.instance(id);
        instance.is_some_and(|instance| instance.state == InstanceState::Running)
    }
}
