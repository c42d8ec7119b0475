//! What a release on its way waits for: when that can next be true, and until when at the latest.

use super::{
    converge::{self, STOP_RESERVE},
    course::health_deadline,
    drain,
    limits::{
        COMMAND_SHARE, FENCE, HEALTH_SHARE, IN_TURN, LOOK_HEALTH, LOOK_LONGEST, LOOK_REGISTERING,
        LOOK_SHORTEST, LOOK_STARTING, QUIET_READINGS,
    },
    pass::Pass,
    planned::{arrived, gone},
    ports,
    record::{spacing, stable_for},
    roles::{Manner, Role, doomed, living, serving},
    world::{World, id_of},
};
use bluegreen_api::{
    BlueGreenReleaseSpec, BlueGreenReleaseStatus, Color, Duration, GroupDrain, StepKind,
    TargetStatus, Time,
};

/// What is waited for, in the order in which people want to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A process to end.
    Stop,
    /// A drain to be proven.
    Drain,
    /// The retain time to pass.
    Retain,
    /// A target to pass its health gate.
    Health,
    /// A process to start.
    Start,
}

/// One thing that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) what: What,
    /// When it can next be true.
    pub(super) look: Time,
    /// When it is true or has failed.
    pub(super) until: Time,
}

/// Everything that a release in progress waits for.
pub(super) fn waits(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
) -> Vec<Wait> {
    let keeping = living(status, Role::Keep).filter_map(|t| keeping(pass, world, status, t));
    let leaving = living(status, Role::Leave).filter_map(|t| leaving(pass, status, t));
    keeping.chain(leaving).collect()
}

/// When to look again at a command to a target. While its port says that the command is at work, that
/// port is watched instead of Systems Manager.
fn commanded(pass: &Pass<'_>, target: &TargetStatus, since: Time) -> Time {
    match ports::at_work(pass.observation, target) {
        Some(StepKind::Start) => {
            let pause = pass.now.since(since).divided_by(COMMAND_SHARE);
            pass.now + in_turn(pass, pause.max(LOOK_STARTING).min(LOOK_LONGEST))
        }
        Some(_) => pass.now + LOOK_LONGEST,
        None => look_again(since, pass.now),
    }
}

/// When to look again at a command, whose end cannot be computed: soon at first, ever less often.
fn look_again(since: Time, now: Time) -> Time {
    let pause = now.since(since).divided_by(COMMAND_SHARE);
    now + pause.max(LOOK_SHORTEST).min(LOOK_LONGEST)
}

/// The same for the first of many results of health checks, and for the last request in flight.
fn look_closely(pass: &Pass<'_>, since: Time) -> Time {
    let pause = pass.now.since(since).divided_by(HEALTH_SHARE);
    pass.now + in_turn(pass, pause.max(LOOK_HEALTH).min(LOOK_LONGEST))
}

/// A pause between two looks, longer where hosts wait for it one after the other.
fn in_turn(pass: &Pass<'_>, pause: Duration) -> Duration {
    match Manner::of(&pass.spec().fleet) {
        Manner::InPlace => pause.times(IN_TURN.0).divided_by(IN_TURN.1),
        Manner::SideBySide | Manner::Existing => pause,
    }
}

fn keeping(
    pass: &Pass<'_>,
    world: &World<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<Wait> {
    if doomed(target) {
        return Some(stopping(pass, target));
    }
    let step_deadline = status.course.as_ref()?.progress_at + pass.spec().rollout.step_deadline;
    if !serving(target) {
        let process = target.process.as_ref()?;
        return Some(Wait {
            what: What::Start,
            look: commanded(pass, target, process.sent_at),
            until: step_deadline,
        });
    }
    if arrived(target) && world.healthy(target) {
        return None;
    }
    let until = health_deadline(status, target, pass.spec().health.timeout)
        .filter(|_| target.steps.healthy.is_none())
        .unwrap_or(step_deadline);
    let look = match (&target.health, &target.steps.registered) {
        (Some(progress), _) => {
            let counted = progress.last + spacing(pass.spec());
            let stable = progress.since + stable_for(pass, world);
            if progress.consecutive >= pass.spec().health.consecutive {
                stable
            } else {
                counted
            }
        }
        (None, Some(_)) if world.registering(target) => pass.now + LOOK_REGISTERING,
        (None, Some(registered)) => look_closely(pass, registered.at),
        (None, None) => {
            let asked = target
                .registrations
                .iter()
                .filter_map(|r| r.requested_at)
                .max();
            look_closely(pass, asked.unwrap_or(pass.now))
        }
    };
    Some(Wait {
        what: What::Health,
        look: look.min(until + Duration::from_millis(1)),
        until,
    })
}

fn leaving(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    target: &TargetStatus,
) -> Option<Wait> {
    if gone(pass.spec(), target) {
        return None;
    }
    if doomed(target) {
        return Some(stopping(pass, target));
    }
    if converge::starting(pass, target) {
        let process = target.process.as_ref()?;
        return Some(Wait {
            what: What::Start,
            look: commanded(pass, target, process.sent_at),
            until: process.requested_at + pass.spec().rollout.step_deadline,
        });
    }
    if target.drain.is_empty() {
        return None;
    }
    if let Some(at) = converge::stoppable_at(pass, status, target) {
        let retained = target.color == Color::Blue && pass.spec().retain > Duration::ZERO;
        return Some(Wait {
            what: if retained { What::Retain } else { What::Drain },
            look: if pass.now < at {
                at
            } else {
                look_again(at, pass.now)
            },
            until: at,
        });
    }
    let asked = target.drain.iter().filter_map(|d| d.requested_at).max();
    Some(Wait {
        what: What::Drain,
        look: drain_look(pass, target),
        until: drain::bound(target).unwrap_or(asked.unwrap_or(pass.now) + FENCE),
    })
}

fn stopping(pass: &Pass<'_>, target: &TargetStatus) -> Wait {
    let (requested, sent) = target
        .process
        .as_ref()
        .map_or((pass.now, pass.now), |p| (p.requested_at, p.sent_at));
    Wait {
        what: What::Stop,
        look: commanded(pass, target, sent),
        until: requested + pass.spec().stop.grace_period + STOP_RESERVE,
    }
}

/// When a drain can next be proven.
fn drain_look(pass: &Pass<'_>, target: &TargetStatus) -> Time {
    let ends: Option<Vec<Time>> = target
        .drain
        .iter()
        .map(|d| drain::expected_at(target, d))
        .collect();
    let Some(end) = ends.and_then(|ends| ends.into_iter().max()) else {
        let asked = target.drain.iter().filter_map(|d| d.requested_at).max();
        return look_again(asked.unwrap_or(pass.now), pass.now);
    };
    let full = if pass.now < end {
        end
    } else {
        look_again(end, pass.now)
    };
    match (&pass.spec().drain.in_flight, drain::settled_at(target)) {
        (Some(in_flight), Some(settled)) if pass.spec().drain.early_finish => {
            let pause = in_flight
                .quiet_for
                .divided_by(QUIET_READINGS)
                .max(LOOK_SHORTEST);
            let quiet = match &target.quiet {
                Some(quiet) => (quiet.since + in_flight.quiet_for).min(pass.now + pause),
                // The quiet begins with the reading that finds it.
                None => look_closely(pass, settled).min(pass.now + pause),
            };
            full.min(quiet.max(settled))
        }
        (Some(_) | None, _) => full,
    }
}

/// Whether nothing is waited for that the target groups show: only commands to hosts, the nodes to
/// settle and the application to be quiet. What the groups show meanwhile is watched for the sake of
/// those that serve.
pub(super) fn not_for_groups(
    spec: &BlueGreenReleaseSpec,
    status: &BlueGreenReleaseStatus,
    now: Time,
) -> bool {
    let commanded = ports::asked(spec, status);
    let mut waiting = false;
    let mut living = status
        .targets
        .iter()
        .filter(|target| target.steps.terminated.is_none());
    let needless = living.all(|target| {
        let rests = target.drain.is_empty()
            && target.steps.healthy.is_some()
            && target.unhealthy_since.is_none();
        let untouched = target.drain.is_empty() && target.registrations.is_empty();
        let waits = commanded.contains(&id_of(target)) || drains(target, now);
        waiting |= waits;
        waits || rests || untouched
    });
    status.course.is_some() && needless && waiting
}

/// Whether a target was seen to drain in every group, and the delay of none is over.
fn drains(target: &TargetStatus, now: Time) -> bool {
    let drains = |drain: &GroupDrain| {
        drain.draining_seen_at.is_some()
            && drain.gone_seen_at.is_none()
            && drain::expected_at(target, drain).is_some_and(|end| now < end)
    };
    !target.drain.is_empty() && target.drain.iter().all(drains)
}
