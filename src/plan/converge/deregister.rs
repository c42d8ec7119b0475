//! Withdraws what leaves, as far as enough others are in service.

use super::{command::starting, intend, stop::unlisted, target_mut};
use crate::{
    Group, Health, Step, TargetId, delay, drain,
    limits::FENCE,
    pass::Pass,
    planned::{arrived, keeper, manner, planned},
    promotion,
    record::too_soon,
    roles::{Manner, Role, doomed, living},
    serve::{self, Left},
    world::{World, id_of},
};
use bluegreen_api::{BlueGreenReleaseStatus, GroupDrain, StepKind, TargetStatus};

/// Withdraws what leaves, as far as enough others are in service.
pub(super) fn deregister(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &mut BlueGreenReleaseStatus,
) -> Option<Step> {
    let chosen = withdrawing(pass, world, status);
    for (index, group) in world.groups.iter().enumerate() {
        let targets = due(pass, &chosen, group);
        if targets.is_empty() || takes_the_last(pass, status, group, &targets) {
            continue;
        }
        intend(
            pass,
            status,
            StepKind::Deregister,
            Some(&group.name),
            &targets,
        );
        promotion::by_itself(pass, status);
        let settle = drain::settle(pass.spec(), group.load_balancer);
        let color = chosen[0].color;
        for id in &targets {
            let Some(target) = target_mut(status, id, color) else {
                continue;
            };
            target.drain.retain(|d| d.group != group.name);
            target.drain.push(GroupDrain {
                group: group.name.clone(),
                requested_at: Some(pass.now),
                was_healthy: group.listed(id) == Some(Health::Healthy),
                delay: group.delay,
                settle,
                draining_seen_at: None,
                gone_seen_at: None,
            });
        }
        return Some(Step::Deregister {
            group: index,
            targets,
        });
    }
    None
}

/// Those that a group has to be asked to deregister now.
fn due(pass: &Pass<'_>, chosen: &[TargetStatus], group: &Group) -> Vec<TargetId> {
    chosen
        .iter()
        .filter(|target| deregister_is_due(pass, target, &group.name))
        .map(id_of)
        .filter(|id| group.listed(id) != Some(Health::Draining))
        .collect()
}

/// Whether a group would be left without a target that serves. What was in service when
/// a withdrawal began need not be so any more when its turn comes in the next group.
/// One that is being withdrawn, or was put back a moment ago, is none: the reading may be older.
fn takes_the_last(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    group: &Group,
    targets: &[TargetId],
) -> bool {
    let listed = group.targets.iter();
    let healthy = |health: &Health| *health == Health::Healthy;
    let mut serving = listed
        .filter(|(_, health)| healthy(health))
        .map(|(target, _)| target)
        .filter(|target| !may_have_left(pass, status, group, target));
    serving.all(|target| targets.contains(target))
}

/// Whether a reading that shows a target as healthy may be of the time before we deregistered it.
fn may_have_left(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    group: &Group,
    id: &TargetId,
) -> bool {
    let mut records = status
        .targets
        .iter()
        .filter(|target| target.id == id.id && target.port == id.port)
        .filter(|target| target.steps.terminated.is_none());
    records.any(|target| {
        let leaves = target.drain.iter().any(|drain| drain.group == group.name);
        leaves || too_soon(pass, target)
    })
}

/// Whether a group was not asked yet to deregister a target, or did not show it in time.
fn deregister_is_due(pass: &Pass<'_>, target: &TargetStatus, group: &str) -> bool {
    let concerned = target.registrations.iter().any(|r| r.group == group);
    match target.drain.iter().find(|d| d.group == group) {
        None => concerned || target.registrations.is_empty(),
        Some(drain) if drain.draining_seen_at.is_some() || drain.gone_seen_at.is_some() => false,
        Some(drain) => drain.requested_at.is_none_or(|at| pass.now >= at + FENCE),
    }
}

/// The targets that are, or may now be, withdrawn.
fn withdrawing(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Vec<TargetStatus> {
    let leaving: Vec<&TargetStatus> = living(status, Role::Leave)
        .filter(|target| world.instance(&target.id).is_some())
        .filter(|target| !doomed(target) || !unlisted(world, target))
        .filter(|target| !starting(pass, target))
        .collect();
    let (mut chosen, candidates): (Vec<&TargetStatus>, Vec<&TargetStatus>) = leaving
        .into_iter()
        .partition(|target| !target.drain.is_empty());
    // Where the account's calls do not allow to watch what is withdrawn, no more is; nor where
    // requests would be cut.
    let may = pass.observation.pace.may_withdraw && delay::cuts(pass, world, status).is_none();
    let candidates = match may {
        true => candidates,
        false => Vec::new(),
    };
    match manner(pass.spec()) {
        Manner::SideBySide | Manner::Existing => {
            if !serve::all_in_service(pass, world, status) || promotion::open(pass, status) {
                return Vec::new();
            }
            let mut carried = candidates;
            carried.retain(|target| serve::others_suffice(pass, world, status, target));
            chosen.extend(carried);
        }
        Manner::InPlace => chosen.extend(affordable(pass, world, status, candidates)),
    }
    chosen.into_iter().cloned().collect()
}

/// Those that can be withdrawn in place with enough targets left in service.
fn affordable<'a>(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &'a BlueGreenReleaseStatus,
    candidates: Vec<&'a TargetStatus>,
) -> Vec<&'a TargetStatus> {
    let hosts = planned(pass.spec(), world, status).len();
    let most_out = pass.spec().rollout.max_unavailable.of(hosts);
    let slots = most_out.saturating_sub(hosts_out(pass, world, status));
    // A target that is out of service already costs nothing; those go first. One that is about to
    // serve costs as much as one that does.
    let (serving, sick): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|target| {
        serve::in_service(pass, world, status, target) || serve::about_to_serve(world, target)
    });
    let costly = |target: &TargetStatus| serving.iter().any(|t| id_of(t) == id_of(target));
    let mut chosen: Vec<&TargetStatus> = Vec::new();
    for target in sick.iter().chain(&serving) {
        if chosen.len() >= slots {
            break;
        }
        let without: Vec<TargetId> = chosen.iter().chain([target]).map(|t| id_of(t)).collect();
        let left = Left::without(pass, world, status, &without);
        let fits = match costly(target) {
            true => left.suffice(target),
            false => left.anybody(target),
        };
        if fits {
            chosen.push(target);
        }
    }
    chosen
}

/// How many hosts are being changed right now: withdrawn, and not yet back in service.
fn hosts_out(pass: &Pass<'_>, world: &World<'_>, status: &BlueGreenReleaseStatus) -> usize {
    planned(pass.spec(), world, status)
        .iter()
        .filter(|id| {
            let back = keeper(status, id).is_some_and(arrived);
            let leaving = living(status, Role::Leave)
                .find(|target| target.id == id.id && target.port == id.port);
            match leaving {
                Some(target) => !target.drain.is_empty() || doomed(target),
                None => !back,
            }
        })
        .count()
}
