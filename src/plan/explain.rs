//! Status for people and for machines: phase, message, conditions, and what is waited for.
//!
//! All of it is a function of state, so that a status that says the same is the same.

use super::{
    Failure, FailureKind,
    limits::{
        LOOK_IDLE, LOOK_LONGEST, LOOK_PROGRESS, LOOK_SHORTEST, LOOK_STALLED, LOOK_UNHEALTHY,
        LOOK_UNKNOWN, READING_TAKES, UNHEALTHY_STALLS,
    },
    pass::Pass,
    planned::arrived,
    preflight::{self, Preflight, Problem},
    roles::{Role, living, serving},
    waits::{Wait, What},
    world::World,
};
use bluegreen_api::{
    BlueGreenReleaseStatus, Direction, Duration, Next, Outcome, Phase, Reason, TargetStatus, Time,
    set_condition,
};

/// What a pass comes to, in words and in time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    phase: Phase,
    reason: Reason,
    message: String,
    next: Option<Next>,
    look_at: Time,
}

/// Writes the account of a pass whose readings failed.
pub(super) fn unreadable(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    failure: &Failure,
) -> Time {
    // What a release at rest says is as old as a minute in any case: it holds for as long again.
    let since = status.unreadable_since.unwrap_or(pass.now);
    let rests = status.course.is_none() && status.phase == Phase::Released;
    if rests && pass.now < since + LOOK_IDLE {
        return pass.now + LOOK_UNHEALTHY;
    }
    let Problem { reason, message } = preflight::unreadable(failure);
    let pause = match failure.kind {
        FailureKind::Denied | FailureKind::NotFound | FailureKind::Rejected => LOOK_STALLED,
        FailureKind::NotAsked | FailureKind::Throttled | FailureKind::Unavailable => LOOK_UNKNOWN,
    };
    let phase = if reason.stalls() {
        Phase::Stalled
    } else {
        status.phase
    };
    let account = Account {
        phase,
        reason,
        message: format!("waiting to read AWS: {message}"),
        next: None,
        look_at: pass.now + pause,
    };
    write(pass, status, account)
}

/// Writes the account of a release whose targets another one has.
pub(super) fn anothers(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    problem: Problem,
    acted: bool,
) -> Time {
    let (phase, reason) = if pass.release.deleting {
        (Phase::Deleting, Reason::Deleting)
    } else {
        (Phase::Stalled, problem.reason)
    };
    let account = Account {
        phase,
        reason,
        message: problem.message,
        next: None,
        look_at: if acted {
            pass.now
        } else {
            watch(pass, status).min(pass.now + LOOK_STALLED)
        },
    };
    write(pass, status, account)
}

/// Writes the account of a release that is not on its way.
pub(super) fn at_rest(
    pass: &Pass<'_>,
    world: Option<&World<'_>>,
    status: &mut BlueGreenReleaseStatus,
    preflight: Preflight,
) -> Time {
    let spec = pass.spec();
    let live = status.blue.as_ref().and_then(|blue| blue.version.clone());
    let plain = |phase, reason, message: String, pause| Account {
        phase,
        reason,
        message,
        next: None,
        look_at: pass.now + pause,
    };
    let at = |phase, reason, message, look_at| Account {
        phase,
        reason,
        message,
        next: None,
        look_at,
    };
    let account = if pass.release.deleting {
        plain(
            Phase::Deleting,
            Reason::Deleting,
            "nothing is left to do".to_owned(),
            LOOK_UNKNOWN,
        )
    } else if live.as_ref() == Some(&spec.version) {
        released(pass, world, status)
    } else if status.failed_generation == Some(pass.release.generation) {
        let last = status.history.first();
        let because = last
            .and_then(|entry| entry.reason.clone())
            .unwrap_or_default();
        let ended = match last.map(|entry| entry.outcome) {
            Some(Outcome::Aborted) => "aborted",
            Some(Outcome::RolledBack | Outcome::Promoted | Outcome::Superseded) | None => {
                "rolled back"
            }
        };
        let message = format!(
            "version {} was {ended}: {because}; version {} is live; change the spec, or ask for `retry {}`, to try again",
            spec.version,
            live.as_deref().unwrap_or("unknown"),
            status.revision,
        );
        at(Phase::RolledBack, Reason::RolledBack, message, idle(pass))
    } else {
        match preflight {
            Preflight::Problem(Problem { reason, message }) => {
                plain(Phase::Stalled, reason, message, LOOK_STALLED)
            }
            Preflight::NotYet(message) => {
                plain(Phase::Preflight, Reason::Releasing, message, LOOK_STALLED)
            }
            Preflight::Ready if spec.paused => at(
                Phase::Paused,
                Reason::Paused,
                format!("version {} waits: spec.paused is true", spec.version),
                idle(pass),
            ),
            Preflight::Ready => plain(
                Phase::Preflight,
                Reason::Releasing,
                format!("version {} is about to be released", spec.version),
                Duration::ZERO,
            ),
        }
    };
    write(pass, status, account)
}

/// The account of a release whose version is live: it is ready while every target serves.
fn released(
    pass: &Pass<'_>,
    world: Option<&World<'_>>,
    status: &BlueGreenReleaseStatus,
) -> Account {
    let version = &pass.spec().version;
    let living = || {
        let targets = status.targets.iter();
        targets.filter(|target| target.steps.terminated.is_none())
    };
    let ill: Vec<&TargetStatus> = match world {
        Some(world) => living().filter(|target| !world.healthy(target)).collect(),
        None => Vec::new(),
    };
    let all = living().count();
    let first = ill.first();
    let Some(first) = first.filter(|_| world.is_some()) else {
        return Account {
            phase: Phase::Released,
            reason: Reason::Released,
            message: format!("version {version} is live"),
            next: None,
            look_at: idle(pass),
        };
    };
    let reason = world.and_then(|world| world.reason(first));
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    let since = ill.iter().filter_map(|target| target.unhealthy_since).min();
    let since = since.unwrap_or(pass.now);
    let lasts = pass.now >= since + UNHEALTHY_STALLS;
    Account {
        phase: if lasts {
            Phase::Stalled
        } else {
            Phase::Released
        },
        reason: if lasts {
            Reason::TargetsLost
        } else {
            Reason::TargetUnhealthy
        },
        message: format!(
            "{} of {all} targets of version {version} are healthy; {}:{} is not{reason}; repair it, or release another version",
            all - ill.len(),
            first.id,
            first.port
        ),
        next: None,
        look_at: pass.now + LOOK_UNHEALTHY,
    }
}

/// When a release that rests looks again: once a minute, at the same time as the others on its
/// target groups, and at another time than those on other groups.
fn idle(pass: &Pass<'_>) -> Time {
    let groups = pass.spec().traffic.registration.target_groups.iter();
    let spread = groups
        .flat_map(|group| group.name().bytes())
        .fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
    let period = LOOK_IDLE.as_millis();
    let now = u64::try_from(pass.now.as_millis()).unwrap_or(0);
    let into = now.wrapping_add(spread) % period;
    pass.now + Duration::from_millis(period - into)
}

/// Writes the account of a release on its way.
pub(super) fn on_its_way(
    pass: &Pass<'_>,
    status: &mut BlueGreenReleaseStatus,
    waits: &[Wait],
    awaited: bool,
    acted: bool,
    problem: Option<Problem>,
) -> Time {
    let Some(course) = status.course.clone() else {
        return pass.now;
    };
    let back = course.direction == Direction::Back;
    let (phase, reason) = match (pass.release.deleting, back) {
        (true, _) => (Phase::Deleting, Reason::Deleting),
        (false, true) => (Phase::RollingBack, Reason::RollingBack),
        (false, false) => (phase_of(waits), Reason::Releasing),
    };
    let first = waits.iter().min_by_key(|wait| wait.what).copied();
    let doing = doing(status, waits, first);
    let message = match (&course.because, back) {
        (Some(because), true) => format!("rolling back ({because}): {doing}"),
        (Some(_) | None, _) => doing.clone(),
    };
    let mut account = Account {
        phase,
        reason,
        message,
        next: first.map(|wait| Next {
            at: wait.until,
            because: doing,
        }),
        look_at: look_at(pass, status, waits, awaited, acted),
    };
    if let Some(hold) = course.hold {
        account.phase = Phase::Stalled;
        account.reason = Reason::HeldAfterFailure;
        account.message = format!(
            "the release failed: {}; everything is left as it is; to go on, change the spec or ask for `retry {n}`; to put the old version back, ask for `abort {n}`",
            hold.because,
            n = status.revision,
        );
    } else if super::course::paused(pass, status) {
        account.phase = Phase::Paused;
        account.reason = Reason::Paused;
        account.message = format!("paused: {}; {}", paused_by(pass, status), account.message);
    } else if awaited {
        account.phase = Phase::AwaitingPromotion;
        account.reason = Reason::AwaitingPromotion;
        account.message = promotable(pass, status);
        account.next = None;
    } else if let Some(problem) = problem {
        if problem.reason.stalls() && !pass.release.deleting {
            account.phase = Phase::Stalled;
        }
        account.reason = problem.reason;
        account.message = problem.message;
    }
    write(pass, status, account)
}

/// Who has paused the release, and how that ends.
fn paused_by(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> String {
    let by_request = status
        .course
        .as_ref()
        .is_some_and(|course| course.paused_at.is_some());
    let resume = format!(
        "`pause` was asked for, and `resume {}` ends it",
        status.revision
    );
    match (pass.spec().paused, by_request) {
        (true, true) => format!("spec.paused is true, and {resume}"),
        (true, false) => "spec.paused is true".to_owned(),
        (false, _) => resume,
    }
}

/// What a release that waits for a promotion says.
fn promotable(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> String {
    let old = status
        .blue
        .as_ref()
        .and_then(|blue| blue.version.as_deref());
    format!(
        "version {} is healthy beside version {}, and both serve; ask for `promote {n}` to withdraw the old one, or for `abort {n}` to go back, with the annotation bluegreen.dev/request",
        pass.spec().version,
        old.unwrap_or("unknown"),
        n = status.revision,
    )
}

fn phase_of(waits: &[Wait]) -> Phase {
    match waits.iter().map(|wait| wait.what).min() {
        Some(What::Stop) => Phase::Stopping,
        Some(What::Drain) => Phase::Draining,
        Some(What::Retain) => Phase::Retaining,
        Some(What::Health) => Phase::Registering,
        Some(What::Start) | None => Phase::Starting,
    }
}

/// What goes on, in one clause.
fn doing(status: &BlueGreenReleaseStatus, waits: &[Wait], first: Option<Wait>) -> String {
    let keep = living(status, Role::Keep).count();
    let arrived = living(status, Role::Keep)
        .filter(|target| arrived(target))
        .count();
    let leave = status
        .targets
        .iter()
        .filter(|target| super::roles::role(status, target) == Some(Role::Leave))
        .count();
    let Some(first) = first else {
        return match keep {
            0 => "the release begins".to_owned(),
            _ => format!("{arrived} of {keep} targets are in service"),
        };
    };
    let count = waits.iter().filter(|wait| wait.what == first.what).count();
    let until = waits
        .iter()
        .filter(|wait| wait.what == first.what)
        .map(|wait| wait.until)
        .max()
        .unwrap_or(first.until);
    match first.what {
        What::Stop => format!("stopping {count} of {leave} targets, until {until} at the latest"),
        What::Drain => format!("draining {count} of {leave} targets, until {until} at the latest"),
        What::Retain => {
            format!("{count} of {leave} targets are drained and kept alive until {until}")
        }
        What::Health => format!(
            "waiting for {count} of {keep} targets to be healthy, until {until} at the latest"
        ),
        What::Start => format!("starting {count} of {keep} targets, until {until} at the latest"),
    }
}

/// When to look at the latest, counted from the reading and not from now: it may be a kept one. What is
/// withdrawn and lives is watched: it must be put back as soon as it is missed.
fn watch(pass: &Pass<'_>, status: &BlueGreenReleaseStatus) -> Time {
    let mut targets = status.targets.iter();
    let withdrawn = targets.any(|target| !target.drain.is_empty() && serving(target));
    let every = if withdrawn {
        pass.observation.pace.every
    } else {
        LOOK_PROGRESS
    };
    let kept = pass.now.since(pass.observation.began_at) > READING_TAKES;
    let read_at = if kept {
        pass.observation.began_at
    } else {
        pass.now
    };
    // A clock that was set back must not put the look off.
    (read_at + every)
        .min(pass.now + every)
        .max(pass.now + LOOK_SHORTEST)
}

fn look_at(
    pass: &Pass<'_>,
    status: &BlueGreenReleaseStatus,
    waits: &[Wait],
    awaited: bool,
    acted: bool,
) -> Time {
    if acted {
        return pass.now;
    }
    let watch = watch(pass, status);
    let held = status.course.as_ref().is_some_and(|c| c.hold.is_some());
    if held || awaited || super::course::paused(pass, status) {
        return (pass.now + LOOK_STALLED).min(watch);
    }
    let step_deadline = status.course.as_ref().map(|course| {
        course.progress_at + pass.spec().rollout.step_deadline + Duration::from_millis(1)
    });
    let look = waits
        .iter()
        .map(|wait| wait.look)
        .chain(super::converge::backing_off(pass))
        .chain(step_deadline.filter(|at| *at > pass.now))
        // It is on its way, and nothing says what it waits for: it depends on what AWS shows.
        .chain(waits.is_empty().then(|| pass.now + LOOK_LONGEST))
        .chain([watch])
        .min()
        .unwrap_or(pass.now + LOOK_UNKNOWN);
    look.max(pass.now + Duration::from_millis(1))
}

/// Puts the account into status.
fn write(pass: &Pass<'_>, status: &mut BlueGreenReleaseStatus, account: Account) -> Time {
    let Account {
        phase,
        reason,
        message,
        next,
        look_at,
    } = account;
    let generation = Some(pass.release.generation);
    let ready = reason == Reason::Released;
    let stalled = reason.stalls();
    let reconciling = !ready && !stalled;
    let mut set = |type_: &str, value: Option<(bool, Reason, &str)>| {
        set_condition(&mut status.conditions, type_, value, generation, pass.now);
    };
    set("Ready", Some((ready, reason, &message)));
    set(
        "Reconciling",
        reconciling.then_some((true, reason, message.as_str())),
    );
    set(
        "Stalled",
        stalled.then_some((true, reason, message.as_str())),
    );
    status.phase = phase;
    status.message = message;
    status.next = next;
    look_at
}
