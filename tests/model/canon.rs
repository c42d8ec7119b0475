//! Equal states made equal.
//!
//! Two states from which the same can happen must be one state, or the walk never ends: texts for
//! people are dropped, operation ids are numbered anew, and times older than anything that is
//! asked of them are all "long ago".

use std::collections::{BTreeMap, BTreeSet};

use bluegreen_api::{
    BlueGreenReleaseStatus, Duration, RequestOutcome, StepKind, TargetStatus, Time,
};
use bluegreen_plan::limits::{FENCE, LISTED_LATEST, RESEND};

use super::{
    scenario::{Scenario, TICK},
    world::{NOW, World},
};

/// Older than anything that is asked of a time.
const LONG_AGO: Time = Time::from_millis(NOW.as_millis() - 1_000_000);

/// Stands for every cause in words.
const CAUSE: &str = "a cause";

/// Lets a tick pass over a status: everything that was written down is older by it.
pub(super) fn age(status: &mut BlueGreenReleaseStatus) {
    each_time(status, &mut |time| *time = *time - TICK);
}

fn each_time(status: &mut BlueGreenReleaseStatus, f: &mut impl FnMut(&mut Time)) {
    if let Some(course) = &mut status.course {
        f(&mut course.progress_at);
        for time in [
            &mut course.retried_at,
            &mut course.blind_since,
            &mut course.sight_since,
        ] {
            time.as_mut().map(&mut *f);
        }
    }
    for target in &mut status.targets {
        if let Some(process) = &mut target.process {
            f(&mut process.requested_at);
            f(&mut process.sent_at);
        }
        for registration in &mut target.registrations {
            registration.requested_at.as_mut().map(&mut *f);
        }
        target.unhealthy_since.as_mut().map(&mut *f);
        if let Some(health) = &mut target.health {
            f(&mut health.since);
            f(&mut health.last);
        }
        for drain in &mut target.drain {
            drain.requested_at.as_mut().map(&mut *f);
            drain.draining_seen_at.as_mut().map(&mut *f);
            drain.gone_seen_at.as_mut().map(&mut *f);
        }
        if let Some(quiet) = &mut target.quiet {
            f(&mut quiet.since);
        }
        if let Some(terminated) = &mut target.steps.terminated {
            f(&mut terminated.at);
        }
        if let Some(deregistered) = &mut target.steps.deregistered {
            f(&mut deregistered.at);
        }
    }
}

/// Makes a status the one of all that are equal to it, but for the numbers of its operations: those
/// of the world count too, see [`number_operations`].
pub(super) fn canonical_status(scenario: &Scenario, status: &mut BlueGreenReleaseStatus) {
    forget_texts(status);
    for target in &mut status.targets {
        forget_old_times(scenario, target);
        if let Some(process) = &mut target.process {
            process.operation = named(&process.operation, fence(&process.operation));
        }
    }
    if let Some(course) = &mut status.course {
        let limit = scenario.spec.rollout.step_deadline + TICK;
        old(&mut course.progress_at, limit);
        let limit = limit.max(scenario.spec.health.timeout + TICK);
        for at in [&mut course.retried_at, &mut course.sight_since] {
            at.iter_mut().for_each(|at| old(at, limit));
        }
        if let Some(at) = &mut course.blind_since {
            old(at, bluegreen_plan::limits::BLIND);
        }
    }
    status
        .targets
        .sort_by_key(|target| (target.revision, target.id.clone(), target.port));
}

fn forget_texts(status: &mut BlueGreenReleaseStatus) {
    let BlueGreenReleaseStatus {
        observed_generation,
        phase,
        message,
        conditions,
        revision: _,
        blue,
        green,
        course,
        failed_generation: _,
        last_request,
        targets: _,
        intent,
        fence: _,
        unreadable_since,
        next,
        timings,
        history,
    } = status;
    *observed_generation = None;
    *phase = bluegreen_api::Phase::Pending;
    message.clear();
    conditions.clear();
    *unreadable_since = unreadable_since.map(|_| NOW);
    *intent = None;
    *next = None;
    *timings = None;
    if let Some(last) = last_request {
        last.at = NOW;
        last.outcome = RequestOutcome::Accepted;
        last.message.clear();
    }
    history.clear();
    for revision in [blue, green].into_iter().flatten() {
        revision.started_at = NOW;
    }
    if let Some(course) = course {
        course.since = NOW;
        // That there is a cause is asked of the history in the end.
        course.because = course.because.as_ref().map(|_| CAUSE.to_owned());
        course.paused_at = course.paused_at.map(|_| NOW);
        course.promoted_at = course.promoted_at.map(|_| NOW);
        course.idle_since = course.idle_since.map(|_| NOW);
        course.idle = Duration::ZERO;
        if let Some(hold) = &mut course.hold {
            hold.since = NOW;
            CAUSE.clone_into(&mut hold.because);
        }
    }
}

fn old(time: &mut Time, limit: Duration) {
    if NOW.since(*time) >= limit {
        *time = LONG_AGO;
    }
}

fn forget_old_times(scenario: &Scenario, target: &mut TargetStatus) {
    let spec = &scenario.spec;
    let drain =
        TICK.times(u64::from(scenario.delay)) + TICK.times(u64::from(scenario.settle)) + TICK;
    let health = spec.health.timeout + TICK;
    target.zone = None;
    if let Some(process) = &mut target.process {
        old(&mut process.requested_at, health);
        // That long after it was sent a command that is not listed was never sent.
        let limit = match process.step {
            StepKind::Stop if !process.undone => LISTED_LATEST + FENCE,
            StepKind::Start
            | StepKind::Stop
            | StepKind::Terminate
            | StepKind::Register
            | StepKind::Deregister => RESEND,
        };
        old(&mut process.sent_at, limit);
        process.running_at = process.running_at.map(|_| LONG_AGO);
    }
    for registration in &mut target.registrations {
        registration.seen_at = registration.seen_at.map(|_| LONG_AGO);
        if let Some(at) = &mut registration.requested_at {
            old(at, health);
        }
    }
    if let Some(since) = &mut target.unhealthy_since {
        old(since, health);
    }
    target.registrations.sort_by(|a, b| a.group.cmp(&b.group));
    if let Some(progress) = &mut target.health {
        let gate = spec.health.stable_for + TICK;
        old(&mut progress.since, gate);
        old(&mut progress.last, gate);
    }
    for drain_record in &mut target.drain {
        // Its bound counts from it too, and is far away: every request that is not seen to have
        // been taken is made anew long before.
        if let Some(at) = &mut drain_record.requested_at {
            if drain_record.draining_seen_at.is_some() {
                // It is as old as what was seen, but for a tick or two.
                old(at, drain);
            } else {
                *at = (*at).max(NOW - bluegreen_plan::limits::FENCE);
            }
        }
        if let Some(at) = &mut drain_record.draining_seen_at {
            old(at, drain);
        }
        if let Some(at) = &mut drain_record.gone_seen_at {
            old(at, drain);
        }
    }
    target.drain.sort_by(|a, b| a.group.cmp(&b.group));
    if let (Some(quiet), Some(probe)) = (&mut target.quiet, &spec.drain.in_flight) {
        old(&mut quiet.since, probe.quiet_for);
    }
    let steps = &mut target.steps;
    if let Some(step) = &mut steps.registered {
        step.at = LONG_AGO;
    }
    if let Some(step) = &mut steps.healthy {
        step.at = LONG_AGO;
    }
    if let Some(step) = &mut steps.deregistered {
        old(&mut step.at, TICK.max(spec.retain));
        step.groups.clear();
    }
    if let Some(step) = &mut steps.drained {
        step.at = LONG_AGO;
        step.since = LONG_AGO;
    }
    if let Some(step) = &mut steps.unproven {
        step.at = LONG_AGO;
    }
    if let Some(end) = &mut steps.terminated {
        old(&mut end.at, bluegreen_plan::limits::ENDED_SHOWN_LATEST);
        // Nothing of an ended target's life matters any more but how it ended.
        target.process = None;
        target.registrations.clear();
        target.drain.clear();
        target.quiet = None;
        target.health = None;
        target.unhealthy_since = None;
        let end = end.clone();
        target.steps = bluegreen_api::Steps {
            terminated: Some(end),
            ..Default::default()
        };
    }
}

fn fence(operation: &str) -> u64 {
    operation
        .rsplit('-')
        .next()
        .and_then(|number| number.parse().ok())
        .expect("an operation id ends with its fence")
}

/// An operation of the same kind with another number.
fn named(operation: &str, number: u64) -> String {
    let kind = operation.rsplit('-').nth(1).expect("it has a kind");
    format!("bg-u-r-{kind}-{number}")
}

/// The numbers of the operations that a status knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Operations(BTreeSet<u64>);

impl Operations {
    pub(super) fn of(status: &BlueGreenReleaseStatus) -> Self {
        let processes = status.targets.iter().filter_map(|t| t.process.as_ref());
        Self(processes.map(|p| fence(&p.operation)).collect())
    }
}

/// The new number of each operation that a status knows, and of the last one that was intended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Numbers {
    of: Vec<(u64, u64)>,
    last: u64,
}

/// Only the order of operations matters, and only of those that are still open. Numbers those of a
/// world under a status that knows some of them; that status is to be given the same numbers.
pub(super) fn number_operations(operations: &Operations, world: &mut World) -> Numbers {
    let Operations(known) = operations;
    world
        .commands
        .retain(|sent| !sent.done || known.contains(&fence(&sent.operation)));
    for slot in 0..world.slots.len() {
        let open = world
            .commands
            .iter()
            .any(|sent| !sent.done && sent.slot == slot);
        if !open {
            world.slots[slot].fence = 0;
        }
    }
    let mut fences = known.clone();
    fences.extend(world.commands.iter().map(|sent| fence(&sent.operation)));
    fences.extend(world.slots.iter().map(|slot| slot.fence).filter(|f| *f > 0));
    let numbers: BTreeMap<u64, u64> = fences.into_iter().zip(1..).collect();
    for sent in &mut world.commands {
        sent.operation = named(&sent.operation, numbers[&fence(&sent.operation)]);
    }
    world.commands.sort();
    world.commands.dedup();
    for slot in &mut world.slots {
        if slot.fence > 0 {
            slot.fence = numbers[&slot.fence];
        }
    }
    Numbers {
        of: known.iter().map(|fence| (*fence, numbers[fence])).collect(),
        last: numbers.values().last().copied().unwrap_or(0),
    }
}

impl Numbers {
    /// Gives an operation its new number.
    fn give(&self, operation: &mut String) {
        let old = fence(operation);
        let known = self.of.iter().find(|(number, _)| *number == old);
        let (_, new) = known.expect("every operation that the status knows was numbered");
        *operation = named(operation, *new);
    }
}

/// Gives the operations of a status their new numbers.
pub(super) fn renumber(status: &mut BlueGreenReleaseStatus, numbers: &Numbers) {
    for target in &mut status.targets {
        if let Some(process) = &mut target.process {
            numbers.give(&mut process.operation);
        }
    }
    status.fence = numbers.last;
}
