//! The proof that nothing is in flight on a target.
//!
//! A target is drained in a group when it was listed there, we deregistered it with id and port,
//! and saw it draining, and when then either the group let the whole delay pass and the nodes
//! had time to learn of it, or the application itself was quiet for long enough. It is drained
//! when that holds in every group and nothing says otherwise.

use super::{
    Health, LoadBalancerKind, ProbeReading, Reading, delay,
    limits::{DRAIN_MARGIN, FENCE, SETTLE_APPLICATION, SETTLE_NETWORK},
    pass::Pass,
    roles::doomed,
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, Deregistered, DrainProof, DrainTimeoutPolicy, Drained, Duration,
    GroupDrain, Quiet, Settle, TargetStatus, Time, Unproven,
};

/// The time that the nodes are given to learn of a change.
pub(super) fn settle(spec: &BlueGreenReleaseSpec, kind: LoadBalancerKind) -> Duration {
    match (spec.drain.settle, kind) {
        (Settle::For(duration), _) => duration,
        (Settle::Auto, LoadBalancerKind::Application) => SETTLE_APPLICATION,
        (Settle::Auto, LoadBalancerKind::Network | LoadBalancerKind::Gateway) => SETTLE_NETWORK,
    }
}

/// Folds this pass's readings into the record of a target that leaves.
pub(super) fn record(pass: &Pass<'_>, world: &World<'_>, target: &mut TargetStatus) {
    see_groups(pass, world, target);
    if target.drain.is_empty() {
        return;
    }
    see_deregistered(pass, world, target);
    let probe = see_probe(pass, target);
    // A probe that falls silent because the process is being stopped proves nothing any more.
    let given_up = target.steps.unproven.is_some() && doomed(target);
    if target.steps.drained.is_none() && !given_up {
        target.steps.drained = proof(pass, world, target, probe);
    }
    give_up(pass, target);
}

/// What each group says of the target.
fn see_groups(pass: &Pass<'_>, world: &World<'_>, target: &mut TargetStatus) {
    let id = id_of(target);
    for group in &world.groups {
        let listed = group.listed(&id);
        let index = target.drain.iter().position(|d| d.group == group.name);
        let index = match (index, listed) {
            (Some(index), _) => index,
            // Somebody else deregistered it. That is a drain like any other.
            (None, Some(Health::Draining)) => {
                target.drain.push(GroupDrain {
                    group: group.name.clone(),
                    requested_at: None,
                    // It served, as far as is known.
                    was_healthy: target.steps.healthy.is_some() && target.unhealthy_since.is_none(),
                    delay: group.delay,
                    settle: settle(pass.spec(), group.load_balancer),
                    draining_seen_at: None,
                    gone_seen_at: None,
                });
                target.drain.len() - 1
            }
            (None, _) => continue,
        };
        let drain = &mut target.drain[index];
        match listed {
            Some(Health::Draining) => {
                drain.draining_seen_at.get_or_insert(pass.now);
                drain.gone_seen_at = None;
                // A proof that the group had let go of it was wrong.
                let quiet = |drained: &Drained| drained.proof == DrainProof::InFlightZero;
                target.steps.drained = target.steps.drained.take().filter(quiet);
            }
            // Such a reading is wrong, whatever made it so.
            None if too_early(pass, drain, group.delay) => {}
            None => {
                drain.gone_seen_at.get_or_insert(pass.now);
            }
            Some(_) => {
                // Not deregistered yet, or registered anew by somebody: what was seen of the
                // drain is worth nothing now.
                drain.draining_seen_at = None;
                drain.gone_seen_at = None;
                target.quiet = None;
                target.steps.deregistered = None;
                target.steps.drained = None;
                target.steps.unproven = None;
            }
        }
    }
}

/// Whether AWS cannot have let go of a target yet: it lists one that it was seen to drain for as
/// long as the deregistration delay is, whether or not anything is in flight.
fn too_early(pass: &Pass<'_>, drain: &GroupDrain, delay_now: Duration) -> bool {
    let delay = drain.delay.min(delay_now);
    let asked = drain
        .requested_at
        .filter(|_| drain.draining_seen_at.is_some());
    asked.is_some_and(|at| pass.observation.began_at < at + delay)
}

/// Whether no group sends to the target any more.
fn see_deregistered(pass: &Pass<'_>, world: &World<'_>, target: &mut TargetStatus) {
    let everywhere = world.groups.iter().all(|group| {
        match target.drain.iter().find(|d| d.group == group.name) {
            Some(drain) => drain.draining_seen_at.is_some() || drain.gone_seen_at.is_some(),
            None => never_in(target, &group.name) && group.listed(&id_of(target)).is_none(),
        }
    });
    if everywhere && target.steps.deregistered.is_none() {
        target.steps.deregistered = Some(Deregistered {
            at: pass.now,
            groups: target.drain.iter().map(|d| d.group.clone()).collect(),
        });
    }
}

/// Whether a registration in a group was neither intended nor seen.
fn never_in(target: &TargetStatus, group: &str) -> bool {
    target.registrations.iter().all(|r| r.group != group)
}

/// A reading of the probe, and whether requests were served since the one before it.
#[derive(Debug, Clone, Copy)]
struct Probed {
    reading: ProbeReading,
    moved: bool,
}

impl Probed {
    /// Whether the application itself says that it is not drained.
    fn contradicts(self) -> bool {
        self.reading.in_flight > 0 || self.moved
    }
}

/// Counts how long the application has been quiet. Returns the reading, if there was one.
fn see_probe(pass: &Pass<'_>, target: &mut TargetStatus) -> Option<Probed> {
    let reading = match pass.observation.probes.get(&id_of(target)) {
        Some(Reading::Known(reading)) => *reading,
        Some(Reading::Unknown(_)) | None => {
            target.quiet = None;
            return None;
        }
    };
    let settled = settled_at(target).is_some_and(|at| reading.at >= at);
    let before = target.quiet.as_ref().map(|quiet| quiet.served);
    if reading.in_flight > 0 || !settled {
        target.quiet = None;
    } else if before != Some(reading.served) {
        target.quiet = Some(Quiet {
            since: reading.at,
            served: reading.served,
        });
    }
    Some(Probed {
        reading,
        moved: before.is_some_and(|served| served != reading.served),
    })
}

/// The latest instant at which a group can have executed the deregistration.
fn deregistered_at(drain: &GroupDrain) -> Option<Time> {
    drain.draining_seen_at.or(drain.gone_seen_at)
}

/// When the nodes of all groups have had their time, as far as all groups are known to drain.
pub(super) fn settled_at(target: &TargetStatus) -> Option<Time> {
    target
        .drain
        .iter()
        .map(|drain| deregistered_at(drain).map(|at| at + drain.settle))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

/// When a drain is expected to be proven by the full delay, as far as that is known.
pub(super) fn expected_at(target: &TargetStatus, drain: &GroupDrain) -> Option<Time> {
    match (drain.draining_seen_at, drain.gone_seen_at) {
        (Some(draining), None) => Some(draining + drain.delay.max(late_ones(drain))),
        // The group itself says that the delay is over, and once more an operation timeout later.
        (Some(draining), Some(gone)) => Some((draining + late_ones(drain)).max(gone + FENCE)),
        (None, Some(gone)) if drain.delay == Duration::ZERO => Some(gone + drain.settle.max(FENCE)),
        // It was never to be registered there, so no connection was ever made to it through this
        // group. One that was asked for counts as registered even if no reading showed it: the
        // readings may have been older.
        (None, Some(gone)) if never_in(target, &drain.group) => Some(gone + FENCE),
        // It was listed, and then gone, and nobody saw the time in between: as if it had been
        // deregistered at the moment when it was found gone.
        (None, Some(gone)) => Some(gone + (drain.delay + drain.settle).max(FENCE)),
        (None, None) => None,
    }
}

/// How long after the deregistration the last requests that nodes still send may be in flight.
/// With a delay that outlasts settle, the load balancer itself ends them with the others. With a
/// shorter one, a request that was sent at the last moment is given the same delay.
fn late_ones(drain: &GroupDrain) -> Duration {
    if drain.delay < drain.settle {
        drain.settle + drain.delay
    } else {
        drain.settle
    }
}

fn proof(
    pass: &Pass<'_>,
    world: &World<'_>,
    target: &TargetStatus,
    probe: Option<Probed>,
) -> Option<Drained> {
    let deregistered = target.steps.deregistered.as_ref()?;
    if probe.is_some_and(Probed::contradicts) {
        return None;
    }
    let over = target.drain.iter().all(|drain| {
        let read_again = drain
            .gone_seen_at
            .is_some_and(|at| pass.observation.began_at >= at + FENCE);
        read_again && expected_at(target, drain).is_some_and(|at| pass.now >= at)
    });
    let full_delay = over && delay_proves(pass, world, target, probe);
    let quiet = pass.spec().drain.early_finish && quiet_long_enough(pass, target, probe);
    let never_registered = target
        .drain
        .iter()
        .all(|drain| never_in(target, &drain.group));
    let proof = match (full_delay, quiet) {
        (true, _) if never_registered => DrainProof::NeverRegistered,
        (true, _) => DrainProof::FullDelay,
        (false, true) => DrainProof::InFlightZero,
        (false, false) => return None,
    };
    debug_assert!(
        world.groups.iter().all(|g| !g.registered(&id_of(target))),
        "a target that a group lists as registered is never drained"
    );
    Some(Drained {
        at: pass.now,
        proof,
        since: target
            .drain
            .iter()
            .filter_map(deregistered_at)
            .max()
            .unwrap_or(deregistered.at),
        delay: longest(target.drain.iter().map(|drain| drain.delay)),
        settle: longest(target.drain.iter().map(|drain| drain.settle)),
        covers: match proof {
            DrainProof::FullDelay => delay::covered(world, target),
            DrainProof::InFlightZero | DrainProof::NeverRegistered => None,
        },
        in_flight: probe.map(|probed| probed.reading.in_flight),
        served: probe.map(|probed| probed.reading.served),
    })
}

/// Whether the end of the delay says that nothing is in flight. A Network Load Balancer that does not
/// end connections with the delay says nothing: then the application's probe has to. And where there
/// is a probe, its silence holds the proof back until the drain's bound.
fn delay_proves(
    pass: &Pass<'_>,
    world: &World<'_>,
    target: &TargetStatus,
    probe: Option<Probed>,
) -> bool {
    let registered = target
        .drain
        .iter()
        .any(|drain| !never_in(target, &drain.group));
    if probe.is_some() || !registered {
        return true;
    }
    let cut = world.groups.iter().all(|group| group.ends_connections());
    let asked = pass.spec().drain.in_flight.is_some();
    let held = asked && bound(target).is_none_or(|bound| pass.now <= bound);
    cut && !held
}

fn longest(durations: impl Iterator<Item = Duration>) -> Duration {
    durations.max().unwrap_or_default()
}

/// Whether a drain may be proven by the next reading, or is proven.
pub(super) fn may_be_over(spec: &BlueGreenReleaseSpec, target: &TargetStatus, now: Time) -> bool {
    let expected = |drain: &GroupDrain| expected_at(target, drain).is_some_and(|at| now >= at);
    let in_flight = spec
        .drain
        .in_flight
        .as_ref()
        .filter(|_| spec.drain.early_finish);
    let quiet = match (in_flight, &target.quiet) {
        (Some(in_flight), Some(quiet)) => now >= quiet.since + in_flight.quiet_for,
        (Some(_) | None, _) => false,
    };
    let proven = target.steps.drained.is_some() || target.steps.unproven.is_some();
    !target.drain.is_empty() && (proven || quiet || target.drain.iter().all(expected))
}

/// Every reading of a whole quiet period, which began after settle, was quiet.
fn quiet_long_enough(pass: &Pass<'_>, target: &TargetStatus, probe: Option<Probed>) -> bool {
    let (Some(in_flight), Some(quiet), Some(probed)) =
        (&pass.spec().drain.in_flight, &target.quiet, probe)
    else {
        return false;
    };
    probed.reading.at >= quiet.since + in_flight.quiet_for
}

/// When a drain that is not proven by then counts as never ending.
pub(super) fn bound(target: &TargetStatus) -> Option<Time> {
    target
        .drain
        .iter()
        .filter_map(|drain| {
            // A drain that is expected to end later than delay and settle say (because nobody
            // saw it begin) is measured against that.
            let expected = expected_at(target, drain);
            let asked = drain.requested_at.map(|at| at + drain.delay + drain.settle);
            expected.max(asked)
        })
        .max()
        .map(|at| at + DRAIN_MARGIN)
}

/// Whether a drain is past its bound without a proof.
pub(super) fn overdue(target: &TargetStatus, now: Time) -> bool {
    target.steps.drained.is_none()
        && target.steps.terminated.is_none()
        && bound(target).is_some_and(|bound| now > bound)
}

/// Records that the proof was given up, where the policy is to go on without it.
fn give_up(pass: &Pass<'_>, target: &mut TargetStatus) {
    let proceed = pass.spec().drain.on_timeout == DrainTimeoutPolicy::Proceed;
    if proceed && target.steps.unproven.is_none() && overdue(target, pass.now) {
        target.steps.unproven = Some(Unproven {
            at: pass.now,
            because: "the drain was not proven within deregistration delay, settle and a minute"
                .to_owned(),
        });
    }
}
